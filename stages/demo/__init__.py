"""Environment data: the demo's pictures and their VOC XML, rendered from seeded random numbers."""
