"""Proof on the board that an engine finds what the reference finds: on the samples that travelled with its model.

Detections of one class are paired by overlap, the largest first. What an engine may do differently and still be right:

* A detection whose score is within the largest score difference of the threshold may be there on one side only.
* Whether one box suppresses another hangs on IoU > nmsThreshold. With boxes that differ by so much as the limits allow,
  a pair near the threshold may be decided either way; what that adds or takes away is excused, and counted.
* A box cut to a sliver by the picture's edge overlaps little after the least shift: if all edges agree to NEARLY, it is
  the same box, whatever the overlap. A box with no area inside the picture shows nothing, and is not looked for.
* Once the list is full (keepTopK rows), what is at its end may be another.
"""

from typing import Any, Dict, List, NamedTuple, Set, Tuple

import numpy as np

from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.jetson import precision
from stages.jetson.samples import Boxes, ReferenceSample, ReferenceSamples, boxes, scale_of
from stages.job import StageFailed
from stages.overlap import iou
from stages.parameters import BuildEngineParameters

FORMAT = 1
MOST_FAILURES = 20  # that parity.json lists
# A pair that overlaps less is not one thing found twice.
LEAST_PAIR_IOU = 0.3
# In shares of the picture: four steps of a float16 between 0.5 and 1, in which TensorRT 8 may decode boxes.
NEARLY = 2e-3


class DriftLimits(NamedTuple):
    """How far an engine may be from the reference; see BuildEngineParameters."""

    least_iou: float
    largest_score_difference: float
    largest_map_loss: float


class DetectionPair(NamedTuple):
    """A detection on both sides: where in each list, how alike, and how far apart their edges are."""

    reference: int
    engine: int
    iou: float
    score_difference: float
    edge_difference: float


class EngineComparison:
    """Holds an engine's detections against the reference's, picture by picture.

    Args:
        described: the model.
        limits: how far the engine may be off.
        threshold: the score from which detections count.
    """

    def __init__(self, described: Description, limits: DriftLimits, threshold: float) -> None:
        self._classes, self._limits, self._threshold = described.classes, limits, threshold
        self._suppression = float(described.nms.get("nmsThreshold", 0.6))
        self._most = int(described.nms.get("keepTopK", 100))
        self._pictures = self._detections = 0
        self._pairs: List[DetectionPair] = []
        self._excused: Dict[str, int] = {}
        self._failures: List[Dict[str, Any]] = []
        self._known: Dict[str, List[Tuple[Boxes, Boxes]]] = {"reference": [], "engine": []}

    def add(self, sample: ReferenceSample, engine: Boxes) -> None:
        """Compare one picture."""
        self._pictures += 1
        reference = sample.reference
        self._detections += int((reference.scores >= self._threshold).sum())
        pairs = matched(reference, engine)
        for pair in pairs:
            if max(reference.scores[pair.reference], engine.scores[pair.engine]) >= self._threshold:
                self._judge(sample.name, reference, pair)
        self._alone(sample.name, reference, engine, {pair.reference for pair in pairs}, "is not found by the engine")
        self._alone(sample.name, engine, reference, {pair.engine for pair in pairs}, "is found by the engine only")
        if sample.truth is not None:
            self._known["reference"].append((reference, sample.truth))
            self._known["engine"].append((engine, sample.truth))

    def report(self) -> Dict[str, Any]:
        """What ``parity.json`` holds."""
        overlaps = [pair.iou for pair in self._pairs if pair.edge_difference > NEARLY] or [1.0]
        differences = [pair.score_difference for pair in self._pairs] or [0.0]
        return {
            "format": FORMAT,
            "samples": self._pictures,
            "score_threshold": self._threshold,
            "detections": self._detections,
            "matched": len(self._pairs),
            "min_iou": round(min(overlaps), 6),
            "mean_iou": round(float(np.mean(overlaps)), 6),
            "max_score_diff": round(max(differences), 6),
            "mean_score_diff": round(float(np.mean(differences)), 6),
            "excused": self._excused,
            "mAP@0.5": self._precisions(),
            "limits": self._limits._asdict(),
            "failures": self._failures[:MOST_FAILURES],
            "failure_count": len(self._failures),
        }

    def _precisions(self) -> Any:
        found = {side: precision.mean_average(known) for side, known in self._known.items()}
        return None if None in found.values() else {side: round(value or 0.0, 6) for side, value in found.items()}

    def _judge(self, name: str, reference: Boxes, pair: DetectionPair) -> None:
        self._pairs.append(pair)
        if pair.iou < self._limits.least_iou and pair.edge_difference <= NEARLY:
            self._excused["box cut to a sliver"] = self._excused.get("box cut to a sliver", 0) + 1
        elif pair.iou < self._limits.least_iou:
            words = "overlaps the reference's by %.3f only (build_engine.least_iou: %g)" % (
                pair.iou,
                self._limits.least_iou,
            )
            self._fail(name, reference, pair.reference, words)
        elif pair.score_difference > self._limits.largest_score_difference:
            words = "has a score that differs by %.3f (build_engine.largest_score_difference: %g)" % (
                pair.score_difference,
                self._limits.largest_score_difference,
            )
            self._fail(name, reference, pair.reference, words)

    def _alone(self, name: str, having: Boxes, lacking: Boxes, paired: Set[int], words: str) -> None:
        for number in np.flatnonzero(having.scores >= self._threshold):
            if number in paired:
                continue
            reason = self._excuse(having, lacking, int(number))
            if reason:
                self._excused[reason] = self._excused.get(reason, 0) + 1
            else:
                self._fail(name, having, int(number), words)

    def _excuse(self, having: Boxes, lacking: Boxes, number: int) -> str:
        score, margin = having.scores[number], self._limits.largest_score_difference
        if (having.edges[number, 2:] <= having.edges[number, :2]).any():
            return "no area inside the picture"
        if score - self._threshold <= margin:
            return "score at the threshold"
        if len(lacking.scores) >= self._most and score - lacking.scores.min() <= margin:
            return "end of a full list"
        rivals = lacking.edges[lacking.classes == having.classes[number]]
        overlaps = iou(having.edges[number : number + 1], rivals)[0]
        if len(overlaps) and np.abs(overlaps - self._suppression).min() <= 1 - self._limits.least_iou:
            return "overlap at the suppression threshold"
        return ""

    def _fail(self, name: str, found: Boxes, number: int, words: str) -> None:
        class_id = int(found.classes[number])
        known = 0 <= class_id < len(self._classes)
        self._failures.append(
            {
                "picture": name,
                "class": self._classes[class_id] if known else "class %d" % class_id,
                "score": round(float(found.scores[number]), 5),
                "box": [round(float(edge), 5) for edge in found.edges[number]],
                "what": words,
            }
        )


def matched(reference: Boxes, engine: Boxes) -> List[DetectionPair]:
    """Pairs of one class, those that overlap most first; each box is in one pair at most."""
    overlap = iou(reference.edges, engine.edges)
    apart = np.abs(reference.edges[:, np.newaxis] - engine.edges[np.newaxis]).max(axis=2)
    difference = np.abs(reference.scores[:, np.newaxis] - engine.scores[np.newaxis])
    same_class = reference.classes[:, np.newaxis] == engine.classes[np.newaxis]
    places = np.argwhere(same_class & ((overlap >= LEAST_PAIR_IOU) | (apart <= NEARLY)))
    values = [(-overlap[i, j], difference[i, j], i, j) for i, j in places.tolist()]
    pairs: List[DetectionPair] = []
    taken: Tuple[Set[int], Set[int]] = (set(), set())
    for _, _, i, j in sorted(values):  # of equal overlaps the scores decide
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append(DetectionPair(i, j, float(overlap[i, j]), float(difference[i, j]), float(apart[i, j])))
    return pairs


def limits(parameters: BuildEngineParameters) -> DriftLimits:
    """Those that were asked for."""
    return DriftLimits(parameters.least_iou, parameters.largest_score_difference, parameters.largest_map_loss)


def compared(
    detector: Detector, described: Description, samples: ReferenceSamples, allowed: DriftLimits
) -> Dict[str, Any]:
    """Run every sample through the engine and compare; returns what ``parity.json`` holds."""
    comparison = EngineComparison(described, allowed, samples.score_threshold)
    scale = scale_of(described.height, described.width)
    for sample in samples.pictures:
        comparison.add(sample, boxes(detector.detect(sample.picture()), scale))
    return comparison.report()


def check(report: Dict[str, Any]) -> None:
    """Go on if the engine is within the limits.

    Raises:
        StageFailed: one sentence with picture, class and figures of the first that is not.
    """
    if report["failures"]:
        first = report["failures"][0]
        more = " and %d more like it" % (report["failure_count"] - 1) if report["failure_count"] > 1 else ""
        raise StageFailed(
            "The engine does not find what the reference finds: on %s a %s of score %.2f %s%s; build with fp32, or with"
            " larger limits if that is good enough"
            % (first["picture"], first["class"], first["score"], first["what"], more)
        )
    known = report["mAP@0.5"]
    loss = known["reference"] - known["engine"] if known else 0.0
    allowed = report["limits"]["largest_map_loss"]
    if loss > allowed:
        raise StageFailed(
            "The engine finds less than the reference: mAP@0.5 %.3f instead of %.3f on the samples"
            " (build_engine.largest_map_loss: %g); build with fp32, or with a larger limit if that is good enough"
            % (known["engine"], known["reference"], allowed)
        )
