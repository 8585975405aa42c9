"""A converted model as a function from a picture to its detections, whatever computes its network."""

from typing import Any, Dict, List, Tuple

import numpy as np

from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.detect.preprocess import Preprocess
from stages.job import BadInput

Detection = Dict[str, Any]
SCORE_PARTS, PIXEL_PARTS = 1e5, 100.0  # of a score, and of a pixel, that are told
PARTS = np.array([1.0, SCORE_PARTS, PIXEL_PARTS, PIXEL_PARTS, PIXEL_PARTS, PIXEL_PARTS])


class Detector:
    """A model ready to run. One picture: :meth:`detect`. Many: prepare the next slot while the last one computes.

    ``start`` and ``finish`` belong to the thread that opened the detector (CUDA's context is its own), ``prepare`` to
    any, one at a time.

    Attributes:
        classes: names by class id, 0 is the background.
        height, width: the network's input size.
        slots: how many pictures can be under way.
    """

    def __init__(self, description: Description, backend: Backend) -> None:
        self.classes, self.height, self.width = description.classes, description.height, description.width
        self._unused = description.unused
        self._backend, self.slots = backend, len(backend.slots)
        self._preprocess = Preprocess(
            self.height, self.width, description.scale, description.offset, description.swapped
        )

    def __enter__(self) -> "Detector":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Give back the device's memory; the detector is of no use then."""
        self._backend.close()

    def prepare(self, picture: np.ndarray, slot: int, bgr: bool = False, quick: bool = False) -> None:
        """Fill a slot with ``picture``, uint8 [height, width, 3] of any size, red first unless ``bgr``.

        ``quick`` is for live frames, see :meth:`stages.detect.preprocess.Preprocess.fill`.
        """
        self._preprocess.fill(picture, self._backend.slots[slot], bgr, quick)

    def start(self, slot: int) -> None:
        """Begin with a slot that was prepared."""
        self._backend.start(slot)

    def finish(self, slot: int, size: Tuple[int, int], threshold: float = 0.0) -> List[Detection]:
        """What was found in a slot that was started, of those that the model gives with a score from ``threshold`` on.

        Ids that stand for no class are no detections: nothing was ever trained to be one.

        Args:
            size: height and width that the boxes are for.

        Returns:
            ``{"class", "class_id", "score", "box"}``, best first: score 0 to 1, box [xmin, ymin, xmax, ymax] in pixels
            of ``size``, rounded to 1e-5 and 0.01 pixels, under the noise of different processors.

        Raises:
            BadInput: the model gives a class that it has no name for.
        """
        rows, (height, width) = self._backend.finish(slot), size
        if self._unused:
            rows = rows[~np.isin(rows[:, 1], self._unused)]
        if threshold:
            rows = rows[rows[:, 2] > threshold - 1 / SCORE_PARTS]
        across, down = width * PIXEL_PARTS, height * PIXEL_PARTS
        # The products are exact in float64, so these are the roundings of Python's round, all at once.
        values = np.rint(rows[:, 1:] * np.array([1.0, SCORE_PARTS, across, down, across, down])) / PARTS
        return [
            {"class": self.class_name(int(class_id)), "class_id": int(class_id), "score": score, "box": box}
            for class_id, score, *box in values.tolist()
            if score >= threshold
        ]

    def detect(self, picture: np.ndarray) -> List[Detection]:
        """All detections that the model gives on a picture, uint8 RGB [height, width, 3]; see :meth:`finish`."""
        self.prepare(picture, 0)
        self.start(0)
        return self.finish(0, (picture.shape[0], picture.shape[1]))

    def class_name(self, class_id: int) -> str:
        """The name of a class id; one that the model does not have is BadInput."""
        if not 0 < class_id < len(self.classes):
            raise BadInput(
                "Class id %d is not among the model's %d classes; convert a model of these records"
                % (class_id, len(self.classes) - 1)
            )
        return self.classes[class_id]
