"""How well the model's anchors meet the boxes.

In training each anchor is given the box that it overlaps most if their IoU is at least 0.5 (argmax_matcher,
matched_threshold 0.5), and each box gets its best anchor whatever their IoU is (force_match_for_each_row). So a box
below 0.5 is learned from a single anchor at most, which fits it badly.
"""

from typing import Any, Dict, List

import numpy as np

from stages import anchor_grids
from stages.check.dataset import CheckedData
from stages.check.model_anchors import ModelAnchors

MATCHED, BAD = 0.5, 0.3
EDGES = 20  # classes of the histogram, each 0.05 wide
LARGEST = 1.25  # how much larger than the smallest or largest anchor a box may be and count as near it in size
ELONGATED = 3.0  # longer side over shorter


def best(model: ModelAnchors, boxes: np.ndarray) -> np.ndarray:
    """float64 [m]: the best IoU of each box with any anchor."""
    return anchor_grids.best_iou(model.grids(), boxes)


def summary(ious: np.ndarray) -> Dict[str, Any]:
    """``boxes``, ``recall`` (the share with a best IoU of at least 0.5), ``mean`` best IoU, and how many are below.

    ``recall`` and ``mean`` are null of no box.
    """
    return {
        "boxes": len(ious),
        "recall": round(float((ious >= MATCHED).mean()), 4) if len(ious) else None,
        "mean": round(float(ious.mean()), 4) if len(ious) else None,
        "below_0.5": int((ious < MATCHED).sum()),
        "below_0.3": int((ious < BAD).sum()),
    }


def figures(model: ModelAnchors, data: CheckedData, ious: np.ndarray, sides: np.ndarray) -> Dict[str, Any]:
    """What the page says of the anchors and the boxes.

    Args:
        ious: float64 [m], of :func:`best`.
        sides: float64 [m, 2], height and width of the boxes in pixels of the network's input.
    """
    grids, classes = model.grids(), data.pictures.classes
    extents = _extents(model)
    below = ious < MATCHED
    extent, elongation = (
        np.sqrt(sides.prod(axis=1)),
        sides.max(axis=1, initial=0) / np.maximum(sides.min(axis=1, initial=1e9), 1e-9),
    )
    small = below & (extent < extents.min() / LARGEST)
    large = below & (extent > extents.max() * LARGEST)
    long = below & ~small & ~large & (elongation > ELONGATED)
    return {
        **summary(ious),
        "histogram": np.histogram(ious, EDGES, (0, 1))[0].tolist(),
        "per_class": [
            {"id": class_id, "name": name, **summary(ious[classes == class_id])}
            for class_id, name in enumerate(data.classes, 1)
        ],
        "why_below": {
            "smaller_than_any_anchor": int(small.sum()),
            "larger_than_any_anchor": int(large.sum()),
            "elongated": int(long.sum()),
            "between_anchors": int((below & ~small & ~large & ~long).sum()),
        },
        "anchors": sum(grid.cells[0] * grid.cells[1] * len(grid.sizes) for grid in grids),
        "smallest_anchor": round(float(extents.min()), 1),
        "largest_anchor": round(float(extents.max()), 1),
        "layers": [{"cells": list(grid.cells), "sizes": sizes_in_pixels(grid, model)} for grid in grids],
    }


def sizes_in_pixels(grid: anchor_grids.AnchorGrid, model: ModelAnchors) -> List[List[float]]:
    """Height and width of each anchor of a cell, in pixels of the network's input."""
    found: List[List[float]] = np.round(grid.sizes * np.array(model.input_size), 1).tolist()
    return found


def _extents(model: ModelAnchors) -> np.ndarray:
    """The root of the area of every anchor in pixels."""
    sizes = np.concatenate([grid.sizes for grid in model.grids()])
    return np.asarray(np.sqrt((sizes * np.array(model.input_size)).prod(axis=1)))


def worst(ious: np.ndarray, classes: np.ndarray, owner: np.ndarray, most: int) -> List[int]:
    """The boxes that anchors meet worst, those below 0.5 only, one of a picture, and of each class in turn."""
    order = np.lexsort((np.arange(len(ious)), ious))
    order = order[ious[order] < MATCHED]
    rank: Dict[int, int] = {}
    seen, ranked = set(), []
    for box in order[: 50 * most].tolist():
        if owner[box] not in seen:
            seen.add(owner[box])
            class_id = int(classes[box])
            rank[class_id] = rank.get(class_id, 0) + 1
            ranked.append((rank[class_id], float(ious[box]), box))
    return [box for _, _, box in sorted(ranked)[:most]]
