"""The samples that travel with a model: pictures, what the reference finds on them, and what is really there.

``samples.json`` is ``{"format": 1, "score_threshold", "pictures": [{"file", "detections": [{"class_id", "score",
"box"}], "truth": [{"class_id", "box"}] or null}]}``, boxes in pixels of the sample.
"""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from stages import files, pixels
from stages.job import BadInput

FORMAT, LARGEST_JSON = 1, 1 << 26


class Boxes(NamedTuple):
    """Boxes on one picture.

    Attributes:
        classes: int64 [n], ids from 1.
        scores: float64 [n], 0 to 1; of the truth all 1.
        edges: float64 [n, 4], (xmin, ymin, xmax, ymax) as shares of the picture.
    """

    classes: np.ndarray
    scores: np.ndarray
    edges: np.ndarray

    def of(self, chosen: np.ndarray) -> "Boxes":
        """Those that an index or a mask chooses."""
        return Boxes(self.classes[chosen], self.scores[chosen], self.edges[chosen])


class ReferenceSample(NamedTuple):
    """A picture with its reference; ``truth`` is None where nobody knows it."""

    name: str
    path: str
    reference: Boxes
    truth: Optional[Boxes]

    def picture(self) -> np.ndarray:
        """uint8 RGB [height, width, 3].

        Raises:
            BadInput: the file cannot be read.
        """
        return _pixels(self.path)


class ReferenceSamples(NamedTuple):
    """All of a model's, and the score from which the reference's detections count."""

    score_threshold: float
    pictures: List[ReferenceSample]


def read(path: str, height: int, width: int) -> ReferenceSamples:
    """The samples that ``samples.json`` at ``path`` lists.

    Args:
        height, width: of the network's input, which the samples have too.

    Raises:
        BadInput: the file is damaged, or not of this model.
    """
    folder = os.path.dirname(path)
    try:
        held = json.loads(files.read(path, LARGEST_JSON).decode("utf-8"))
        if held["format"] != FORMAT:
            raise ValueError("its format is %s" % held["format"])
        scale = scale_of(height, width)
        return ReferenceSamples(
            float(held["score_threshold"]), [_sample(folder, one, scale) for one in held["pictures"]]
        )
    except OSError as error:
        raise BadInput("%s cannot be read (%s); make the bundle again" % (path, error.strerror)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("%s does not list samples (%s); make the bundle again" % (path, error)) from error


def scale_of(height: int, width: int) -> np.ndarray:
    """What makes pixels of shares, float64 [4]."""
    return np.array([width, height, width, height], float)


def boxes(entries: List[Dict[str, Any]], scale: np.ndarray) -> Boxes:
    """Detections as :meth:`stages.detect.detector.Detector.detect` gives them, or truth.

    Args:
        scale: float64 [4], width, height, width and height of the picture.
    """
    return Boxes(
        np.array([int(one["class_id"]) for one in entries], np.int64),
        np.array([float(one.get("score", 1)) for one in entries], float),
        np.array([one["box"] for one in entries], float).reshape(-1, 4) / scale,
    )


def _sample(folder: str, entry: Dict[str, Any], scale: np.ndarray) -> ReferenceSample:
    name = str(entry["file"])
    truth = None if entry["truth"] is None else boxes(entry["truth"], scale)
    return ReferenceSample(name, os.path.join(folder, *name.split("/")), boxes(entry["detections"], scale), truth)


def _pixels(path: str) -> np.ndarray:
    try:
        return pixels.decode(pixels.read(path))
    except ValueError as error:
        raise BadInput("%s: %s; make the bundle again" % (path, error)) from error
