"""How good detections are against the truth: COCO's average precision at IoU 0.5, without COCO's libraries.

As pycocotools computes it: detections best first, each taking the free box of its class that it overlaps most;
precision made to fall only, and read at 101 points of recall; at most 100 detections a picture; the mean over classes
with truth.
"""

from typing import List, Optional, Tuple

import numpy as np

from stages.jetson.samples import Boxes
from stages.overlap import iou

LEAST_IOU, MOST_DETECTIONS = 0.5, 100
RECALLS = np.linspace(0, 1, 101)


def mean_average(found: List[Tuple[Boxes, Boxes]]) -> Optional[float]:
    """mAP@0.5 of pictures' detections, best first, each with its truth; None where there is no true box at all."""
    classes = sorted({int(one) for _, truth in found for one in truth.classes})
    averages = [_average(found, class_id) for class_id in classes]
    return float(np.mean(averages)) if averages else None


def _average(found: List[Tuple[Boxes, Boxes]], class_id: int) -> float:
    scores, hits, wanted = [np.zeros(0)], [np.zeros(0, bool)], 0
    for detections, truth in found:
        mine = detections.of(detections.classes == class_id)
        order = np.argsort(-mine.scores, kind="mergesort")[:MOST_DETECTIONS]
        true = truth.edges[truth.classes == class_id]
        scores.append(mine.scores[order])
        hits.append(_hits(mine.edges[order], true))
        wanted += len(true)
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    hit = np.concatenate(hits)[order].cumsum()
    if not len(hit):
        return 0.0
    recall, precision = hit / wanted, hit / np.arange(1, len(hit) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.where(places < len(falling), falling[np.minimum(places, len(falling) - 1)], 0.0).mean())


def _hits(edges: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Which of a picture's boxes, best first, take a true one."""
    overlap, free = iou(edges, true), np.ones(len(true), bool)
    hits = np.zeros(len(edges), bool)
    for number in range(len(edges)):
        rivals = np.where(free, overlap[number], -1.0)
        if len(rivals) and rivals.max() >= LEAST_IOU:
            free[int(rivals.argmax())] = False
            hits[number] = True
    return hits
