"""The Docker engine behind one narrow interface; nothing outside of this package speaks to the Docker SDK."""
