"""Where a stage runs: as a child process, or as a container here or on another machine."""
