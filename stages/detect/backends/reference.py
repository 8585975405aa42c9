"""The network by the reference interpreter: on any processor, exact, not fast."""

import os

import numpy as np

from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.job import BadInput
from stages.reference.interpreter import UffInterpreter

MODEL = "model.uff"


class ReferenceBackend(Backend):
    """``model.uff`` in ``folder``, computed by numpy; ``start`` returns when it is done.

    Attributes:
        slots: one input tensor, float32 [3, height, width].

    Raises:
        BadInput: there is no such file, or it is not the one that is described.
    """

    def __init__(self, folder: str, description: Description) -> None:
        path = os.path.join(folder, MODEL)
        if not os.path.isfile(path) and os.path.isfile(os.path.join(folder, "model.boxes.onnx")):
            raise BadInput(
                "%s is missing, as for every model whose scores come from a softmax, and the reference reads no other"
                ' file; set detect.backend = "tensorflow" (or --backend tensorflow), or build an engine of'
                ' model.boxes.onnx (build_engine.source = "boxes") and detect with it' % path
            )
        self._interpreter = UffInterpreter(path)
        self._names = description.outputs
        shape, shapes = (1, *description.shape), list(self._interpreter.input_shapes.values())
        if shapes != [shape] or not set(self._names).issubset(self._interpreter.outputs):
            raise BadInput(
                "%s says input %s and outputs %s, but model.uff has %s and %s; convert again"
                % (description.path, shape, self._names, shapes, self._interpreter.outputs)
            )
        self.slots = [np.empty(description.shape, np.float32)]
        self._found = np.empty((0, 7), np.float32)

    def start(self, slot: int) -> None:
        """Compute the network."""
        results = self._interpreter.run(self.slots[slot][np.newaxis])
        rows, count = (results[name] for name in self._names)
        self._found = rows.reshape(-1, 7)[: int(count.reshape(-1)[0])]

    def finish(self, slot: int) -> np.ndarray:
        """The rows of NMS_TRT, float32 [n, 7]."""
        return self._found

    def close(self) -> None:
        """There is nothing to give back."""
