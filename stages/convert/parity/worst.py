"""The worst case of the proof as a picture: what TensorFlow detects beside what the reference interpreter detects."""

from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from stages import drawing, pixels
from stages.convert.parity.pictures import ProofPicture

PANEL_WIDTH = 480


class Seen(NamedTuple):
    """Detections, best first.

    Attributes:
        boxes: float [n, 4], xmin, ymin, xmax, ymax, normalised, clipped.
        classes, scores: int [n], class ids, and float [n].
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


class View(NamedTuple):
    """A picture with the detections of TensorFlow and of the reference interpreter."""

    picture: ProofPicture
    truth: Seen
    seen: Seen


def draw(view: View, box: Optional[List[float]], names: List[str], least: float) -> np.ndarray:
    """TensorFlow's detections on the left, the reference interpreter's on the right: uint8 RGB.

    Args:
        view: what to draw.
        box: the detection in question, normalised xmin, ymin, xmax, ymax; drawn white and dashed on both sides.
        names: of the classes, by id.
        least: detections with a lower score are left out.
    """
    height, width = view.picture.pixels.shape[:2]
    canvas = pixels.resize(view.picture.pixels, max(1, PANEL_WIDTH * height // width), PANEL_WIDTH)
    edges = [canvas.shape[1], canvas.shape[0]] * 2
    marked = [{"box": [edge * side for edge, side in zip(box, edges)]}] if box else []
    panels = [drawing.draw(canvas, _detections(one, names, edges), marked, least) for one in (view.truth, view.seen)]
    return drawing.contact_sheet(panels, 2, PANEL_WIDTH)


def _detections(seen: Seen, names: List[str], edges: List[int]) -> List[Dict[str, Any]]:
    return [
        {
            "class": names[class_id],
            "class_id": int(class_id),
            "score": float(score),
            "box": [float(edge) * side for edge, side in zip(box, edges)],
        }
        for box, class_id, score in zip(seen.boxes, seen.classes, seen.scores)
        if 0 < class_id < len(names)
    ]
