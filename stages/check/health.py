"""All figures of the health page: what health.json holds."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

from stages.check import anchor_advice, anchor_match, balance, left_out, lookalikes, suspicious, verdicts
from stages.check.dataset import SPLITS, CheckedData
from stages.check.lookalikes import Alike
from stages.check.model_anchors import ModelAnchors
from stages.check.suspicious import SuspiciousKind

FORMAT = 1
WORST = 12  # boxes that anchors meet worst, told and shown


class Examination(NamedTuple):
    """What the page is drawn from.

    Attributes:
        document: health.json.
        sides: float64 [m, 2], height and width of every box in pixels of the network's input.
        worst: the boxes that anchors meet worst.
        suspicions: the kinds that there are.
        alike: which pictures look alike.
    """

    document: Dict[str, Any]
    sides: np.ndarray
    worst: List[int]
    suspicions: List[SuspiciousKind]
    alike: Alike


def examine(data: CheckedData, model: ModelAnchors, rows: np.ndarray, step: Callable[[str], None]) -> Examination:
    """Everything that is computed from boxes and looks.

    Args:
        rows: uint8 [n, 32], the looks of the pictures.
        step: is told what is done next.

    Raises:
        BadInput: findings.jsonl is damaged.
    """
    pictures = data.pictures
    sides = (pictures.boxes[:, 2:] - pictures.boxes[:, :2]) * np.array(model.input_size)
    step("what was left out")
    found = left_out.findings(data.folder)
    step("boxes against anchors")
    matched = _matched(data, model, sides)
    step("suspicious boxes")
    suspicions = suspicious.find(suspicious.boxes_of(data, sides))
    step("pictures that look alike")
    alike = lookalikes.find(data, rows)
    document: Dict[str, Any] = {
        "format": FORMAT,
        "images": len(pictures.names),
        "boxes": len(pictures.boxes),
        "image_size": list(data.image_size),
        "splits": balance.splits(data),
        "classes": balance.classes(data, sides),
        "objects_per_picture": balance.objects_per_picture(data),
        "pictures": balance.picture_sizes(pictures, list(model.input_size)),
        "box_sizes": balance.box_sizes(sides),
        "annotations": _annotations(data, found),
        "findings": found,
        "model": {"name": model.model, "input_size": list(model.input_size), "unknown": model.unknown},
        "anchors": matched.anchors,
        "advice": matched.advice,
        "suspicious": suspicious.figures(data, suspicions),
        "lookalikes": lookalikes.figures(data, alike),
    }
    document["verdicts"] = verdicts.all_of(document)
    return Examination(document, sides, matched.worst, suspicions, alike)


class Matched(NamedTuple):
    """Figures of anchors and advice, where there are any, and the boxes that anchors meet worst."""

    anchors: Optional[Dict[str, Any]]
    advice: Optional[Dict[str, Any]]
    worst: List[int]


def _matched(data: CheckedData, model: ModelAnchors, sides: np.ndarray) -> Matched:
    if not model.anchors:
        return Matched(None, None, [])
    pictures = data.pictures
    ious = anchor_match.best(model, pictures.boxes)
    worst = anchor_match.worst(ious, pictures.classes, pictures.owner, WORST)
    anchors = anchor_match.figures(model, data, ious, sides)
    anchors["worst"] = [{**suspicious.told(data, box), "iou": round(float(ious[box]), 4)} for box in worst]
    training = pictures.split[pictures.owner] == SPLITS.index("train")
    return Matched(anchors, anchor_advice.advise(model, pictures.boxes, training, ious), worst)


def _annotations(data: CheckedData, found: List[Dict[str, Any]]) -> Dict[str, Any]:
    """What became of all pictures and boxes that were read, and which photos had no objects, and why."""
    figures = data.document["figures"]
    return {
        "pictures": {what: figures["pictures"][what] for what in ("read", "kept", "dropped", "background")},
        "boxes": {what: figures["boxes"][what] for what in ("read", "kept", "dropped", "background")},
        "without_xml": left_out.counted(found, "no_xml"),
        "empty_xml": left_out.counted(found, "empty_xml"),
        "without_objects": left_out.counted(found, "no_objects"),
        "empty": int((data.pictures.counts() == 0).sum()),
    }
