"""COCO's metrics of detections, as pycocotools computes them."""

import contextlib
import io
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MOST_DETECTIONS = 100


class Result(NamedTuple):
    """One picture's detections and truth.

    boxes, truth_boxes: float32 [n, 4], (ymin, xmin, ymax, xmax) as shares of the picture; scores: float32 [n], 0 to 1;
    classes, truth_classes: int64 [n], ids from 1.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    truth_boxes: np.ndarray
    truth_classes: np.ndarray


def metrics(results: Sequence[Result], classes: Sequence[str]) -> Dict[str, Any]:
    """mAP (IoU 0.50 to 0.95), mAP@0.5, mAP@0.75, recall@100 and per_class, as docs/architecture.md lays them out.

    A class that no truth box has is left out of the means, as COCO does; its own figures are None.
    """
    evaluator = _evaluated(results, len(classes))
    precision = evaluator.eval["precision"][:, :, :, 0, -1]  # [IoU threshold, recall, class]; 0: boxes of all areas
    recall = evaluator.eval["recall"][:, :, 0, -1]  # [IoU threshold, class]
    return {
        "mAP": _mean(precision),
        "mAP@0.5": _mean(precision[0]),
        "mAP@0.75": _mean(precision[5]),
        "recall@100": _mean(recall),
        "per_class": {
            name: {"AP": _mean(precision[:, :, index]), "AP@0.5": _mean(precision[0, :, index])}
            for index, name in enumerate(classes)
        },
    }


def _evaluated(results: Sequence[Result], class_count: int) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(_truth(results, class_count), _detections(results), "bbox")
        evaluator.params.maxDets = [MOST_DETECTIONS]
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator


def _truth(results: Sequence[Result], class_count: int) -> COCO:
    return _indexed(
        [
            _annotation(picture, box, class_id)
            for picture, result in enumerate(results)
            for box, class_id in zip(result.truth_boxes, result.truth_classes)
        ],
        len(results),
        class_count,
    )


def _detections(results: Sequence[Result]) -> COCO:
    return _indexed(
        [
            dict(_annotation(picture, box, class_id), score=float(score))
            for picture, result in enumerate(results)
            for box, class_id, score in zip(result.boxes, result.classes, result.scores)
        ],
        len(results),
        0,
    )


def _indexed(annotations: List[Dict[str, Any]], pictures: int, class_count: int) -> COCO:
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number  # from 1: COCOeval takes 0 for "not matched"
    coco = COCO()
    coco.dataset = {
        "images": [{"id": picture} for picture in range(pictures)],
        "annotations": annotations,
        "categories": [{"id": class_id} for class_id in range(1, class_count + 1)],
    }
    coco.createIndex()
    return coco


def _annotation(picture: int, box: Sequence[float], class_id: int) -> Dict[str, Any]:
    ymin, xmin, ymax, xmax = (float(edge) for edge in box)
    width, height = xmax - xmin, ymax - ymin
    return {
        "image_id": picture,
        "category_id": int(class_id),
        "bbox": [xmin, ymin, width, height],
        "area": width * height,
        "iscrowd": 0,
    }


def _mean(values: np.ndarray) -> Optional[float]:
    """The mean of those values that COCO could compute; -1 marks the others."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None
