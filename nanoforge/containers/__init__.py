"""Docker behind narrow interfaces; nothing outside of this package imports the Docker SDK."""
