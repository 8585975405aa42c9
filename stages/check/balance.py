"""Classes, splits and pictures counted: how even they are."""

from typing import Any, Dict, List

import numpy as np

from stages.check.dataset import SPLITS, CheckedData, Pictures

COUNT_EDGES = (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 31, 51, 101)  # objects per picture; the last without end
MOST_SIZES = 12
COCO_AREAS = (32 * 32, 96 * 96)  # pixels: small, medium, large (cocoapi's cocoeval.py)
STRETCHED = 1.5  # how much wider or narrower than it is a photo may become


def classes(data: CheckedData, sides: np.ndarray) -> List[Dict[str, Any]]:
    """Per class: ``boxes`` and ``pictures`` of each split, and the ``median_side`` of its boxes, in network pixels.

    Args:
        sides: float64 [m, 2], height and width of every box in pixels of the network's input.
    """
    pictures, found = data.pictures, []
    split_of_box = pictures.split[pictures.owner]
    extent = np.sqrt(sides.prod(axis=1))
    for class_id, name in enumerate(data.classes, 1):
        mine = pictures.classes == class_id
        boxes = np.bincount(split_of_box[mine], minlength=len(SPLITS))
        shown = np.bincount(pictures.split[np.unique(pictures.owner[mine])], minlength=len(SPLITS))
        found.append(
            {
                "id": class_id,
                "name": name,
                "boxes": {split: int(boxes[SPLITS.index(split)]) for split in data.splits},
                "pictures": {split: int(shown[SPLITS.index(split)]) for split in data.splits},
                "median_side": _rounded(np.median(extent[mine])) if mine.any() else None,
            }
        )
    return found


def splits(data: CheckedData) -> Dict[str, Dict[str, int]]:
    """Per split: ``pictures``, ``boxes`` and ``empty``, the pictures without a box."""
    counts = data.pictures.counts()
    found = {}
    for split in data.splits:
        mine = data.pictures.split == SPLITS.index(split)
        found[split] = {
            "pictures": int(mine.sum()),
            "boxes": int(counts[mine].sum()),
            "empty": int((counts[mine] == 0).sum()),
        }
    return found


def objects_per_picture(data: CheckedData) -> Dict[str, Any]:
    """``edges`` and per split the ``counts`` of pictures with so many boxes; ``mean``, ``median`` and ``most``."""
    counts = data.pictures.counts()
    edges = np.array(COUNT_EDGES + (np.iinfo(np.int64).max,))
    per_split = {
        split: np.histogram(counts[data.pictures.split == SPLITS.index(split)], edges)[0].tolist()
        for split in data.splits
    }
    return {
        "edges": list(COUNT_EDGES),
        "counts": per_split,
        "mean": _rounded(counts.mean()),
        "median": _rounded(np.median(counts)),
        "most": int(counts.max()),
    }


def picture_sizes(pictures: Pictures, input_size: List[int]) -> Dict[str, Any]:
    """How large the photos are, and what becomes of their shape.

    ``sizes`` are the most frequent, ``others`` counts the rest; ``smaller`` counts those that are enlarged in both
    directions for the network, ``stretched`` those that become wider or narrower by ``STRETCHED`` and more, and
    ``stretch`` is the median of that factor.
    """
    sizes, counts = np.unique(pictures.sizes, axis=0, return_counts=True)
    order = np.lexsort((sizes[:, 1], sizes[:, 0], -counts))
    widths, heights = pictures.sizes.T.astype(np.float64)
    turned = np.log((widths / heights) / (input_size[1] / input_size[0]))
    return {
        "sizes": [
            {"width": int(sizes[one, 0]), "height": int(sizes[one, 1]), "pictures": int(counts[one])}
            for one in order[:MOST_SIZES]
        ],
        "different": len(sizes),
        "others": int(counts[order[MOST_SIZES:]].sum()),
        "smaller": int(((widths < input_size[1]) & (heights < input_size[0])).sum()),
        "stretched": int((np.abs(turned) >= np.log(STRETCHED) - 1e-9).sum()),
        "stretch": _rounded(np.exp(np.median(np.abs(turned)))),
    }


def box_sizes(sides: np.ndarray) -> Dict[str, Any]:
    """Boxes by COCO's sizes, and percentiles of their extent (root of the area) and of width over height.

    Args:
        sides: as :func:`classes`.
    """
    areas = sides.prod(axis=1)
    known = (areas > 0) if len(sides) else np.zeros(0, bool)
    ratios = sides[known, 1] / sides[known, 0]
    return {
        "small": int((areas < COCO_AREAS[0]).sum()),
        "medium": int(((areas >= COCO_AREAS[0]) & (areas < COCO_AREAS[1])).sum()),
        "large": int((areas >= COCO_AREAS[1]).sum()),
        "extent": percentiles(np.sqrt(areas)),
        "ratio": percentiles(ratios),
    }


def percentiles(values: np.ndarray) -> Dict[str, Any]:
    """``5``, ``25``, ``50``, ``75`` and ``95``: that percentile; each null of nothing."""
    points = (5, 25, 50, 75, 95)
    found = np.percentile(values, points) if len(values) else [None] * len(points)
    return {str(point): _rounded(value) for point, value in zip(points, found)}


def _rounded(value: Any) -> Any:
    return None if value is None else round(float(value), 4)
