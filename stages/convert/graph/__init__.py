"""A frozen SSD graph: read, repaired, its parts found, its parameters derived, and judged."""
