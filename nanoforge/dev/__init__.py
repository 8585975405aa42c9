"""For those who work on Nanoforge itself: its tests, generated docs and the matrix."""

from nanoforge.lazy import modules_of

__getattr__ = modules_of(__name__)
