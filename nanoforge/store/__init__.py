"""Immutable artifacts, and how each came to be."""
