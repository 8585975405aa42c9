"""A VOC annotation: its objects, where they are, and which of them go into the records."""
