"""The network as TensorFlow 1.12 computes the frozen graph itself: what conversion has to equal, without it."""

from typing import List

import numpy as np

from stages.convert.graph import frozen_graph
from stages.convert.parity.session import GraphSession
from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.job import BadInput

INPUT = "image_tensor"
# As object_detection's exporter names them: [1, n, 4] ymin, xmin, ymax, xmax; [1, n]; [1, n] from 1 on; [1].
OUTPUTS = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]


class TensorflowBackend(Backend):
    """The frozen graph in ``folder``, an export artifact; ``start`` returns when it is done.

    Attributes:
        slots: one input of pixels from 0 to 255, float32 [3, height, width]; the graph scales them itself.

    Raises:
        BadInput: there is no such graph, or it is not one of object_detection's.
    """

    def __init__(self, folder: str, description: Description) -> None:
        graph = frozen_graph.read(folder)
        missing = [name for name in [INPUT, *OUTPUTS] if name not in graph.nodes]
        if missing:
            raise BadInput(
                "%s has no %s; give a graph that object_detection's exporter wrote" % (folder, ", ".join(missing))
            )
        self._session = GraphSession(graph.definition)
        self.slots = [np.empty(description.shape, np.float32)]
        self._picture = np.empty((1, description.height, description.width, 3), np.uint8)
        self._found: List[np.ndarray] = []

    def start(self, slot: int) -> None:
        """Run the graph.

        Raises:
            BadInput: it fails on the input, for instance as one of another size.
        """
        self._picture[0] = self.slots[slot].transpose(1, 2, 0)
        self._found = self._session.run(OUTPUTS, {INPUT: self._picture})

    def finish(self, slot: int) -> np.ndarray:
        """The rows as NMS_TRT would order them, float32 [n, 7]."""
        boxes, scores, classes, count = (array[0] for array in self._found)
        made = np.zeros((int(count), 7), np.float32)
        made[:, 1], made[:, 2] = classes[: len(made)], scores[: len(made)]
        made[:, 3:] = boxes[: len(made), [1, 0, 3, 2]]
        return made

    def close(self) -> None:
        """End the session."""
        self._session.close()
