"""A photo with its annotation, decoded and judged."""
