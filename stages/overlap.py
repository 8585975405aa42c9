"""How much boxes overlap (numpy, 3.6 to current)."""

import numpy as np


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of ``first`` [n, 4] with every one of ``second`` [m, 4]: float64 [n, m].

    Boxes are xmin, ymin, xmax, ymax; one without an area overlaps nothing.
    """
    first, second = first.astype(np.float64)[:, np.newaxis], second.astype(np.float64)[np.newaxis]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.maximum(sides, 0).prod(axis=-1)
    union = (first[..., 2:] - first[..., :2]).prod(axis=-1) + (second[..., 2:] - second[..., :2]).prod(axis=-1) - common
    return np.where(union > 0, common / np.where(union > 0, union, 1), 0.0)
