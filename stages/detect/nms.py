"""NMS_TRT's suppression in numpy, for models that end in decoded boxes and scores (``model.boxes.onnx``).

The rows are those of NVIDIA's plugin, as its open sources (Apache-2.0) from TensorRT 8.0 on compute in float32: scores
over the threshold, the best ``topK`` of a class, suppression within a class in the order of scores, the best
``keepTopK`` of all that survive; equal scores go by class, then by prior. It takes no more candidates than it needs: in
the order in which the rows come out, each survivor suppresses what follows it in its class, until the list is full.
"""

from typing import Any, Mapping, Tuple

import numpy as np

# Candidates taken at first are those of so many priors for every row of the list; as many again, several times, follow.
PRIORS_PER_ROW, GROWTH = 3, 8
PORTION = 96  # candidates that are held against each other at once


class _Settings:
    """The plugin's fields that have a meaning here, by the names that model.json has under ``NMS_TRT``."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.threshold = np.float32(parameters["confidenceThreshold"])
        self.overlap = np.float32(parameters["nmsThreshold"])
        self.top, self.keep = int(parameters["topK"]), int(parameters["keepTopK"])
        self.background = int(parameters["backgroundLabelId"])
        self.more = np.float32(0 if parameters["isNormalized"] else 1)


def rows(boxes: np.ndarray, scores: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """The detections, best first.

    Args:
        boxes: float32 [P, 4] or [1, P, 4], rows xmin, ymin, xmax, ymax, not clipped.
        scores: float32 [P, C] or [1, P, C], the background's too.
        parameters: NMS_TRT's fields, as model.json holds them.

    Returns:
        float32 [n, 7], n up to keepTopK: image (0), class, score, and the box, clipped to 0..1 (a NaN becomes 0).

    Raises:
        KeyError: ``parameters`` lacks a field.
    """
    settings = _Settings(parameters)
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scores = np.asarray(scores, np.float32).reshape(len(boxes), -1)
    labels, priors = _Search(boxes, scores, settings).chosen()
    made = np.zeros((len(labels), 7), np.float32)
    made[:, 1], made[:, 2] = labels, scores[priors, labels]
    made[:, 3:] = np.fmin(np.fmax(boxes[priors], 0), 1)
    return made


class _Search:
    """Candidates in the order of the rows, taken in portions."""

    def __init__(self, boxes: np.ndarray, scores: np.ndarray, settings: _Settings) -> None:
        self._boxes, self._scores, self._settings = boxes, scores, settings
        with np.errstate(invalid="ignore"):
            passed = scores > settings.threshold
        if 0 <= settings.background < scores.shape[1]:
            passed[:, settings.background] = False
        self._left = np.where(passed, scores, np.float32(-1))  # -1: not, or no longer, a candidate
        self._seen = np.zeros(scores.shape[1], np.int64)  # candidates of each class so far
        self._labels, self._priors = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def chosen(self) -> Tuple[np.ndarray, np.ndarray]:
        """Classes and priors of the rows."""
        keep, best = self._settings.keep, self._left.max(axis=1)
        count = PRIORS_PER_ROW * keep
        while len(self._labels) < keep:
            # That many priors have a score as high, so as many candidates have; all that are equal come along.
            is_last = count >= len(best)
            least = np.float32(0) if is_last else max(np.partition(best, -count)[-count], np.float32(0))
            self._take(*self._candidates(least))
            if is_last or least <= 0:
                break
            count *= GROWTH
        return self._labels, self._priors

    def _candidates(self, least: np.float32) -> Tuple[np.ndarray, np.ndarray]:
        """Classes and priors of the candidates with scores of at least this, in order, as far as topK lets them."""
        width = self._scores.shape[1]
        places = np.flatnonzero(self._left >= least)
        priors, labels = np.divmod(places, width)
        values = self._left.reshape(-1)[places]
        self._left.reshape(-1)[places] = -1
        order = np.lexsort((priors, labels, -values))
        labels, priors = labels[order], priors[order]
        allowed = self._ranks(labels) < self._settings.top
        return labels[allowed], priors[allowed]

    def _ranks(self, labels: np.ndarray) -> np.ndarray:
        """The place of each candidate in its class, those of earlier portions counted too."""
        order = np.argsort(labels, kind="mergesort")
        counts = np.bincount(labels, minlength=len(self._seen))
        firsts = np.cumsum(counts) - counts
        ranks = np.empty(len(labels), np.int64)
        ranks[order] = np.arange(len(labels)) - np.repeat(firsts - self._seen, counts)
        self._seen += counts
        return ranks

    def _take(self, labels: np.ndarray, priors: np.ndarray) -> None:
        """Add the survivors among further candidates, as many as the list has room for."""
        for begun in range(0, len(labels), PORTION):
            if len(self._labels) < self._settings.keep:
                self._survive(labels[begun : begun + PORTION], priors[begun : begun + PORTION])

    def _survive(self, labels: np.ndarray, priors: np.ndarray) -> None:
        """Add the survivors of one portion."""
        same = self._labels[:, np.newaxis] == labels
        alive = ~self._overlaps(same, self._priors, priors).any(axis=0)
        labels, priors = labels[alive], priors[alive]
        pairs = self._overlaps(np.triu(labels[:, np.newaxis] == labels, 1), priors, priors)
        stays = np.ones(len(labels), bool)
        for index in np.flatnonzero(pairs.any(axis=1)).tolist():
            if stays[index]:
                stays[pairs[index]] = False
        room = self._settings.keep - len(self._labels)
        found = np.flatnonzero(stays)[:room]
        self._labels = np.concatenate([self._labels, labels[found]])
        self._priors = np.concatenate([self._priors, priors[found]])

    def _overlaps(self, asked: np.ndarray, priors: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Where ``asked``, whether a prior's box overlaps another's by more than the threshold: bool [n, m]."""
        first, second = np.nonzero(asked)
        found = np.zeros(asked.shape, bool)
        overlaps = iou(self._boxes[priors].T[:, first], self._boxes[others].T[:, second], self._settings.more)
        found[first, second] = overlaps > self._settings.overlap
        return found


def iou(first: np.ndarray, second: np.ndarray, more: np.float32) -> np.ndarray:
    """Intersection over union of boxes with as many others, float32 [n]; corners may be either way round.

    Args:
        first, second: float32 [4, n], xmin, ymin, xmax, ymax.
        more: 1 where boxes are in pixels, both ends of a side included; else 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sides, areas, others = [], np.float32(1), np.float32(1)
        for axis in (0, 1):
            low, high = np.fmin(first[axis], first[axis + 2]), np.fmax(first[axis], first[axis + 2])
            lows, highs = np.fmin(second[axis], second[axis + 2]), np.fmax(second[axis], second[axis + 2])
            sides.append((np.fmin(high, highs) - np.fmax(low, lows), (lows > high) | (highs < low)))
            areas, others = areas * (high - low + more), others * (highs - lows + more)
        apart = sides[0][1] | sides[1][1]
        width, height = (np.where(apart, np.float32(0), side) + more for side, _ in sides)
        common = width * height
        return np.divide(common, areas + others - common, out=np.zeros_like(common), where=(width > 0) & (height > 0))
