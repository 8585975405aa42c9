"""A converted model as a function from a picture to its detections."""

import json
import os
from typing import Any, Dict, List

import numpy as np

from stages import files, pixels
from stages.job import BadInput
from stages.reference.interpreter import UffInterpreter

LARGEST_JSON = 1 << 24  # bytes

Detection = Dict[str, Any]


class Detector:
    """The model in ``folder``, a convert artifact (``model.uff`` and ``model.json``).

    Attributes:
        classes: names by class id, 0 is the background.
        height, width: the network's input size.

    Raises:
        BadInput: the folder holds no model, or its two files do not belong together.
    """

    def __init__(self, folder: str) -> None:
        path = os.path.join(folder, "model.json")
        model = _read_json(path)
        try:
            self.classes: List[str] = [str(name) for name in model["classes"]]
            channels, self.height, self.width = (int(size) for size in model["input"]["shape"])
            self._scale, self._offset = np.float32(model["input"]["scale"]), np.float32(model["input"]["offset"])
            self._swapped = {"RGB": False, "BGR": True}[model["input"]["channels"]]
            self._rows, self._count = model["outputs"]["detections"], model["outputs"]["count"]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput("%s does not describe a model (%s); convert again" % (path, error)) from error
        self._interpreter = UffInterpreter(os.path.join(folder, "model.uff"))
        shape, shapes = (1, channels, self.height, self.width), list(self._interpreter.input_shapes.values())
        if shapes != [shape] or not {self._rows, self._count}.issubset(self._interpreter.outputs):
            raise BadInput(
                "%s says input %s and outputs %s, but model.uff has %s and %s; convert again"
                % (path, shape, [self._rows, self._count], shapes, self._interpreter.outputs)
            )

    def detect(self, picture: np.ndarray) -> List[Detection]:
        """All detections that the model gives, best first.

        Args:
            picture: uint8 RGB [height, width, 3] of any size.

        Returns:
            ``{"class", "class_id", "score", "box"}``: score 0 to 1, box [xmin, ymin, xmax, ymax] in pixels of
            ``picture``, rounded to 1e-5 and 0.01 pixels, under the noise of different processors.
        """
        results = self._interpreter.run(self._tensor(picture))
        rows = results[self._rows].reshape(-1, 7)[: int(results[self._count].reshape(-1)[0])]
        height, width = picture.shape[:2]
        boxes = rows[:, 3:].astype(float) * (width, height, width, height)
        return [self._detection(int(row[1]), float(row[2]), box) for row, box in zip(rows, boxes)]

    def class_name(self, class_id: int) -> str:
        """The name of a class id; one that the model does not have is BadInput."""
        if not 0 < class_id < len(self.classes):
            raise BadInput(
                "Class id %d is not among the model's %d classes; convert a model of these records"
                % (class_id, len(self.classes) - 1)
            )
        return self.classes[class_id]

    def _tensor(self, picture: np.ndarray) -> np.ndarray:
        small = pixels.resize(picture, self.height, self.width)
        if self._swapped:
            small = small[:, :, ::-1]
        values = small.astype(np.float32) * self._scale + self._offset
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])

    def _detection(self, class_id: int, score: float, box: np.ndarray) -> Detection:
        return {
            "class": self.class_name(class_id),
            "class_id": class_id,
            "score": round(score, 5),
            "box": [round(float(edge), 2) for edge in box],
        }


def _read_json(path: str) -> Any:
    try:
        return json.loads(files.read(path, LARGEST_JSON).decode("utf-8"))
    except OSError as error:
        raise BadInput(
            "%s cannot be read (%s); is this the folder that convert made?" % (path, error.strerror)
        ) from error
    except ValueError as error:
        raise BadInput("%s is not JSON (%s); convert again" % (path, error)) from error
