"""What each task does; `tasks.py` holds the tasks' names and help."""

from nanoforge.lazy import modules_of

__getattr__ = modules_of(__name__)
