"""For those who work on Nanoforge itself: its tests, generated docs and the matrix."""
