"""Proof that a .uff computes what its graph does: TensorFlow against the reference interpreter, picture by picture.

Compared are, in this order: heads, anchors, decoded boxes, detections. Heads come first because they are what
conversion can get wrong; detections of nearly equal scores change places for a difference of 1e-7.

TensorFlow's postprocessing and NMS_TRT differ in five ways, which is why not every list of detections can be equal:

* ``topK`` limits a class's candidates before suppression, ``max_detections_per_class`` its results. The converter makes
  ``topK`` large, so only scenes with thousands of candidates notice.
* Both suppress unclipped boxes and clip the survivors; TensorFlow then drops boxes without area, NMS_TRT keeps them,
  outside of the picture as they are, and gives them places in its list.
* Whether one box suppresses another is decided by IoU > threshold in float32. A pair within 1e-4 of the threshold may
  be decided either way.
* A box at the picture's edge may be cut to a sliver, of which a rounding of the seventh digit is a part that shows: its
  IoU may be under 0.99 although all its corners agree to 1e-4.
* When more boxes survive than ``keepTopK``, those with the lowest scores are left out. Scores within 1e-4 of the last
  place may change places, and boxes without area may take some.

A detection that only one side has is excused by one of these, named in ``excused``; any other fails.
"""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from stages.convert.graph import grid_anchor
from stages.convert.graph.analysis import Examined
from stages.convert.graph.detector_parameters import plugins
from stages.convert.parity import measure
from stages.convert.parity.pictures import ProofPicture
from stages.convert.parity.worst import Seen, View
from stages.convert.uff.plugin_graph import CONFIDENCES, LOCATIONS, NMS, PRIORS
from stages.overlap import iou
from stages.train import coco

LEAST_SCORE, LEAST_IOU, MOST_SCORE_DIFFERENCE = 0.3, 0.99, 1e-3
# Float32 rounding through 30 to 60 layers makes 1e-4 on values of 10 between TensorFlow's own versions.
MOST_HEAD_DIFFERENCE, MOST_ANCHOR_DIFFERENCE, MOST_BOX_DIFFERENCE = 1e-3, 1e-5, 1e-3
NEARLY = 1e-4


class Comparison:
    """Compares one graph with what was made of it and keeps the worst differences.

    Args:
        examined: the graph.
        interpreter: a UffInterpreter or an OnnxRuntime: its ``run(tensor, keep)`` gives values by name.

    Attributes:
        limits: the parts that are compared before detections, and how far they may be apart.
        input: what pictures have to fit.
        view: the picture of the worst case, or the first one where no detection differs; None before :meth:`add`.
    """

    limits = {
        "box": MOST_HEAD_DIFFERENCE,
        "class": MOST_HEAD_DIFFERENCE,
        "anchors": MOST_ANCHOR_DIFFERENCE,
        "decoded": MOST_BOX_DIFFERENCE,
    }

    def __init__(self, examined: Examined, interpreter: Any) -> None:
        self._graph, self._structure, self._parameters = examined.graph, examined.structure, examined.parameters
        self._session, self._interpreter = examined.session, interpreter
        self.input = examined.parameters.input
        self._nms = plugins(examined.parameters)["NMS_TRT"]
        self.pictures = self.detections = self.matched = 0
        self.differences = {part: 0.0 for part in self.limits}
        self.max_score_diff, self.min_iou = 0.0, 1.0
        self.excused: Dict[str, int] = {}
        self.failures: List[Dict[str, Any]] = []
        self.worst: Dict[str, Any] = {}
        self.view: Optional[View] = None
        self._results: Dict[str, List[coco.Result]] = {"tensorflow": [], "model": []}

    def add(self, picture: ProofPicture) -> None:
        """Run both on ``picture`` and note every difference."""
        self.pictures += 1
        before = self._worst_case()
        truth = self._tensorflow(picture)
        seen = self.model(self._tensor(picture))
        self._compare_values(picture.name, truth, seen)
        self._compare_detections(picture.name, truth, seen)
        if picture.truth:
            for side, found in (("tensorflow", truth["detections"]), ("model", seen["detections"])):
                self._results[side].append(
                    coco.Result(
                        found.boxes[:, [1, 0, 3, 2]],
                        found.scores,
                        found.classes,
                        picture.truth.boxes,
                        picture.truth.classes,
                    )
                )
        if self.view is None or self._worst_case() is not before:
            self.view = View(picture, truth["detections"], seen["detections"])

    def _worst_case(self) -> Dict[str, Any]:
        return self.failures[0] if self.failures else self.worst

    def _tensorflow(self, picture: ProofPicture) -> Dict[str, Any]:
        """The parts of :attr:`limits` and the detections, as TensorFlow computes them."""
        structure, outputs = self._structure, self._parameters.outputs
        tensors = [
            structure.box_encodings,
            structure.class_predictions,
            structure.decoded,
            structure.scores,
            outputs.boxes,
            outputs.classes,
            outputs.scores,
            outputs.number,
        ]
        fed = measure.as_fed(picture.pixels, self._graph, structure)
        encodings, predictions, decoded, converted, boxes, classes, scores, count = self._session.run(
            tensors, {structure.image: fed}
        )
        rows = slice(int(count[0]))
        return {
            "box": encodings.reshape(-1, 4),
            "class": predictions.reshape(-1, self._parameters.classes),
            "anchors": self._parameters.anchors,
            "decoded": decoded.T[:, [1, 0, 3, 2]],
            "scores": converted.reshape(-1, self._parameters.classes),
            "detections": Seen(boxes[0, rows][:, [1, 0, 3, 2]], classes[0, rows].astype(int), scores[0, rows]),
        }

    def _tensor(self, picture: ProofPicture) -> np.ndarray:
        """The picture as the network takes it, float32 [1, 3, h, w]."""
        size = self._parameters.input
        values = picture.pixels.astype(np.float32)
        if size.channels == "BGR":
            values = values[:, :, ::-1]
        tensor = (values * np.float32(size.scale) + np.float32(size.offset)).transpose(2, 0, 1)[np.newaxis]
        return np.ascontiguousarray(tensor)

    def model(self, tensor: np.ndarray) -> Dict[str, Any]:
        """The same of the model."""
        out = self._interpreter.run(tensor, keep=[LOCATIONS, CONFIDENCES, PRIORS])
        encodings = np.asarray(out[LOCATIONS]).reshape(-1, 4)
        priors, variances = np.asarray(out[PRIORS]).reshape(2, -1, 4)
        rows = np.asarray(out[NMS]).reshape(-1, 7)[: int(np.asarray(out[NMS + "_1"]).reshape(-1)[0])]
        return {
            "box": encodings,
            "class": np.asarray(out[CONFIDENCES]).reshape(-1, self._parameters.classes),
            "anchors": priors,
            "decoded": grid_anchor.decode(encodings, priors, variances[0]),
            "detections": Seen(rows[:, 3:], rows[:, 1].astype(int), rows[:, 2]),
        }

    def _compare_values(self, name: str, truth: Dict[str, Any], seen: Dict[str, Any]) -> None:
        for part, limit in self.limits.items():
            scale = max(1.0, float(np.abs(truth[part]).max()) / 10)
            difference = _difference(truth[part], seen[part])
            self.differences[part] = max(self.differences[part], difference)
            if not difference <= limit * scale:
                self.failures.append(
                    {
                        "picture": name,
                        "what": "%s differ by %.3g (allowed %.3g)" % (_NAMES[part], difference, limit * scale),
                    }
                )

    def _compare_detections(self, name: str, truth: Dict[str, Any], seen: Dict[str, Any]) -> None:
        least = max(LEAST_SCORE, self._parameters.score_threshold + MOST_SCORE_DIFFERENCE)
        pairs, missing, extra = match(truth["detections"], seen["detections"], least)
        self.detections += len(pairs) + len(missing)
        self.matched += len(pairs)
        for overlap, difference, index in pairs:
            if overlap < self.min_iou or difference > self.max_score_diff:
                self.worst = self._describe(
                    name, truth["detections"], index, "IoU %.6f, score differs by %.2g" % (overlap, difference)
                )
            self.min_iou, self.max_score_diff = min(self.min_iou, overlap), max(self.max_score_diff, difference)
        for index in missing:
            self._judge(
                name, truth["detections"], seen["detections"], index, "is not found by the reference interpreter"
            )
        for index in extra:
            self._judge(
                name, seen["detections"], truth["detections"], index, "is found by the reference interpreter only"
            )

    def _judge(self, name: str, having: Seen, lacking: Seen, index: int, what: str) -> None:
        reason = excuse(having, lacking, index, self._nms["nmsThreshold"], self._nms["keepTopK"])
        if reason:
            self.excused[reason] = self.excused.get(reason, 0) + 1
        else:
            self.failures.append(self._describe(name, having, index, what))

    @staticmethod
    def _describe(name: str, detections: Seen, index: int, what: str) -> Dict[str, Any]:
        return {
            "picture": name,
            "what": what,
            "class_id": int(detections.classes[index]),
            "score": float(detections.scores[index]),
            "box": [float(edge) for edge in detections.boxes[index]],
        }

    def report(self) -> Dict[str, Any]:
        """The figures as parity.json holds them."""
        return {
            "pictures": self.pictures,
            "detections": self.detections,
            "matched": self.matched,
            "max_score_diff": self.max_score_diff,
            "min_iou": self.min_iou,
            "heads": {part: value for part, value in self.differences.items() if part in ("box", "class", "scores")},
            **{part: value for part, value in self.differences.items() if part in ("anchors", "decoded")},
            "excused": self.excused,
            "failures": self.failures,
            "mAP": self._mean_precisions(),
            "worst": self._worst_case(),
        }

    def _mean_precisions(self) -> Optional[Dict[str, Optional[float]]]:
        """Both sides' mAP on the pictures whose boxes are known; None where those of none are."""
        if not self._results["model"]:
            return None
        names = [str(class_id) for class_id in range(1, self._parameters.classes)]
        return {side: coco.metrics(results, names)["mAP"] for side, results in self._results.items()}


class BoxesComparison(Comparison):
    """The same for a model that ends in boxes and scores, run by a BoxesRuntime."""

    limits = {"scores": MOST_SCORE_DIFFERENCE, "decoded": MOST_BOX_DIFFERENCE}

    def model(self, tensor: np.ndarray) -> Dict[str, Any]:
        out = self._interpreter.run(tensor)
        rows = out["rows"]
        return {
            "scores": out["scores"][0],
            "decoded": out["boxes"][0],
            "detections": Seen(rows[:, 3:], rows[:, 1].astype(int), rows[:, 2]),
        }


_NAMES = {
    "box": "box encodings",
    "class": "class predictions",
    "anchors": "anchors",
    "decoded": "decoded boxes",
    "scores": "scores",
}


def _difference(truth: np.ndarray, seen: np.ndarray) -> float:
    if truth.shape != seen.shape:
        return float("inf")
    return float(np.abs(truth.astype(np.float64) - seen).max())


def match(truth: Seen, seen: Seen, least: float) -> Tuple[List[Tuple[float, float, int]], List[int], List[int]]:
    """Pair detections of one class with IoU over 0.99 and scores within 0.001, each used once.

    Returns:
        (IoU, score difference, index in ``truth``) of each pair, for truth of a score over ``least``; the indices in
        ``truth`` of those without partner; the indices in ``seen`` of those over ``least`` (by more than the score
        tolerance) that are no detection's partner at all.
    """
    overlaps = iou(truth.boxes, seen.boxes)
    differences = np.abs(truth.scores[:, np.newaxis] - seen.scores[np.newaxis])
    fits = (
        (truth.classes[:, np.newaxis] == seen.classes[np.newaxis])
        & (overlaps > LEAST_IOU)
        & (differences <= MOST_SCORE_DIFFERENCE)
    )
    partner: Dict[int, int] = {}
    for index in np.argsort(-truth.scores, kind="stable"):
        free = [other for other in np.flatnonzero(fits[index]) if other not in partner.values()]
        if free:
            partner[int(index)] = int(max(free, key=lambda other: overlaps[index, other]))
    wanted = [int(index) for index in np.flatnonzero(truth.scores > least)]
    pairs = [
        (float(overlaps[index, partner[index]]), float(differences[index, partner[index]]), index)
        for index in wanted
        if index in partner
    ]
    extra = [
        int(index)
        for index in np.flatnonzero(seen.scores > least + MOST_SCORE_DIFFERENCE)
        if index not in partner.values()
    ]
    return pairs, [index for index in wanted if index not in partner], extra


def excuse(having: Seen, lacking: Seen, index: int, iou_threshold: float, most: int) -> Optional[str]:
    """Which known difference of the two postprocessors lets one side lack detection ``index`` of the other, if any."""
    box, score = having.boxes[index], having.scores[index]
    if (box[2:] <= box[:2]).any():
        return "no area inside the picture"
    alike = lacking.classes == having.classes[index]
    rivals = lacking.boxes[alike]
    same_place = (np.abs(rivals - box) <= NEARLY).all(axis=1)
    if (same_place & (np.abs(lacking.scores[alike] - score) <= MOST_SCORE_DIFFERENCE)).any():
        return "rounding of a box cut to a sliver"
    if len(rivals) and np.abs(iou(box[np.newaxis], rivals) - iou_threshold).min() <= NEARLY:
        return "overlap at the suppression threshold"
    if len(lacking.scores) >= most and score - lacking.scores.min() <= NEARLY:
        return "score at the last place"
    return None
