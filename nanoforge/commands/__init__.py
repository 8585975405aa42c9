"""What each task does; `tasks.py` holds the tasks' names and help."""
