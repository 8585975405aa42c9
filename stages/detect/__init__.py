"""Boxes on pictures and video, by the reference interpreter."""
