"""Results as ``detections.json``: boxes in pixels of the original pictures."""

import json
from typing import Any, Dict, List, Sequence

import numpy as np

from stages.train.coco import Result


def entry(line: Dict[str, Any], result: Result, classes: Sequence[str], score_threshold: float) -> Dict[str, Any]:
    """One picture of ``detections.json`` (docs/architecture.md) from its line in ``index.jsonl`` and its result."""
    kept = [index for index, score in enumerate(result.scores) if score >= score_threshold]
    size = line["width"], line["height"]
    return {
        "file": line["source_id"],
        "width": line["width"],
        "height": line["height"],
        "detections": [
            dict(_box(result.boxes[index], result.classes[index], size, classes), score=float(result.scores[index]))
            for index in kept
        ],
        "truth": [
            _box(box, class_id, size, classes) for box, class_id in zip(result.truth_boxes, result.truth_classes)
        ],
        "drawing": None,
    }


def write(path: str, model: str, score_threshold: float, pictures: List[Dict[str, Any]], split: str) -> None:
    """Write the entries as ``detections.json``; ``model`` says which checkpoint made them, on pictures of ``split``."""
    document = {"model": model, "score_threshold": score_threshold, "pictures": pictures, "split": split}
    # A name that is not UTF-8 holds lone surrogates, and what Python makes of them here is their escape in JSON, too.
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
        json.dump(document, stream, indent=1, sort_keys=True, ensure_ascii=False)


def _box(box: np.ndarray, class_id: int, size: Sequence[int], classes: Sequence[str]) -> Dict[str, Any]:
    ymin, xmin, ymax, xmax = (float(edge) for edge in box)
    width, height = size
    return {
        "class": classes[class_id - 1],
        "class_id": int(class_id),
        "box": [xmin * width, ymin * height, xmax * width, ymax * height],
    }
