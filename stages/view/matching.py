"""Detections against truth in one picture: which belong together, and how far they are from each other."""

from typing import Dict, List, NamedTuple, Optional, Sequence

from stages.view.sources.source import Edges

LEAST_IOU = 0.5  # as COCO's AP@0.5 and PASCAL VOC have it


class Detected(NamedTuple):
    """A detection: edges as shares of the picture, score 0 to 1."""

    edges: Edges
    label: str
    score: float


class TruthMatch(NamedTuple):
    """What detections and truth come to.

    Attributes:
        truth: of each detection, the place of the object of its class that it is on; None: it is false.
        missed: places of the objects without a detection; of difficult ones none is asked for, as PASCAL VOC counts.
        badness: the sum of 1 - score * IoU over all objects that are not difficult, where a missed one has score 0, and
            of the scores of the detections that are on no object. 0: all found, with certainty and exactly; it has no
            upper limit.
    """

    truth: List[Optional[int]]
    missed: List[int]
    badness: float


class Labelled(NamedTuple):
    """An object as it was labelled: edges as shares of the picture."""

    edges: Edges
    label: str
    difficult: bool = False


def match(detections: Sequence[Detected], truth: Sequence[Labelled]) -> TruthMatch:
    """Match greedily, as COCO does: by falling score, each detection takes the free object of its class that it
    overlaps most, if their IoU is at least ``LEAST_IOU``."""
    taken: Dict[int, float] = {}
    found_on: List[Optional[int]] = [None] * len(detections)
    false_scores = 0.0
    for place in sorted(range(len(detections)), key=lambda one: -detections[one].score):
        found = detections[place]
        free = [
            (iou(found.edges, one.edges), -number)
            for number, one in enumerate(truth)
            if one.label == found.label and number not in taken
        ]
        best, number = max(free, default=(0.0, 0))
        if best >= LEAST_IOU:
            taken[-number] = found.score * best
            found_on[place] = -number
        else:
            false_scores += found.score
    asked = [number for number, one in enumerate(truth) if not one.difficult]
    missed = [number for number in asked if number not in taken]
    return TruthMatch(found_on, missed, sum(1 - taken.get(number, 0.0) for number in asked) + false_scores)


def iou(one: Edges, other: Edges) -> float:
    """Intersection over union of two boxes; 0 for boxes without area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(edges: Edges) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])
