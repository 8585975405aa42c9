"""The network as an engine of TensorRT: two slots in page-locked memory, one stream, see :mod:`stages.jetson.running`.

An engine that ends in NMS_TRT gives its rows; one of the boxes form (outputs ``boxes`` and ``scores``) gives all
priors, which are suppressed here as the plugin would.
"""

import os
from typing import Any, List

import numpy as np

from stages.detect import nms
from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.jetson import engine_file, libraries, plugin_libraries
from stages.jetson.running import EngineRunner, loaded
from stages.job import BadInput, StageFailed

SLOTS = 2
BOXES, SCORES = "boxes", "scores"


class TensorrtBackend(Backend):
    """The engine in ``folder``, an artifact of build-engine; its CUDA context belongs to the thread that makes it.

    Attributes:
        slots: two input tensors in page-locked memory, float32 [3, height, width].

    Raises:
        BadInput: the engine is of another board, version or model, or is not whole; nothing was loaded then.
        StageFailed: TensorRT, PyCUDA or a plugin is missing, or memory.
    """

    def __init__(self, folder: str, description: Description) -> None:
        trt = libraries.tensorrt()
        cuda, self._context = libraries.cuda()
        self._runner: Any = None
        try:
            plan = engine_file.read(folder, libraries.here(trt, cuda))
            kind = engine_file.sidecar(folder)["model"].get("kind")
            logger = libraries.logger(trt)
            plugin_libraries.load(trt, logger, plugin_libraries.PLUGINS.get(kind, []), [folder])
            self._path = os.path.join(folder, engine_file.PLAN)
            self._runner = EngineRunner(loaded(trt, logger, plan, self._path), cuda, SLOTS)
            self._description, self._has_boxes = description, {BOXES, SCORES} == set(self._runner.outputs)
            self.slots = self._inputs()
        except BaseException:
            self.close()
            raise

    def start(self, slot: int) -> None:
        """Queue the copies and the inference; returns at once."""
        self._runner.start(slot)

    def finish(self, slot: int) -> np.ndarray:
        """The rows of NMS_TRT, float32 [n, 7].

        Raises:
            StageFailed: the inference failed, or its number of rows cannot be one.
        """
        found = self._runner.finish(slot)
        if self._has_boxes:
            return nms.rows(found[BOXES], found[SCORES], self._description.nms)
        rows, counted = (found[name] for name in self._description.outputs)
        rows, count = rows.reshape(-1, 7), int(counted.reshape(-1).view(np.int32)[0])
        if not 0 <= count <= len(rows):
            raise StageFailed(
                "The engine %s counts %d detections in %d rows, which is no result; %s"
                % (self._path, count, len(rows), engine_file.REBUILD)
            )
        return rows[:count]

    def close(self) -> None:
        """Let go of the engine once it rests, then of the CUDA context."""
        self.slots = []
        if self._runner is not None:
            self._runner.rest()
        self._runner = None
        libraries.let_go(self._context)

    def _inputs(self) -> List[np.ndarray]:
        """The slots' inputs, once the engine is known to be of what is described."""
        if self._has_boxes:
            self._check_suppression()
        shapes = [list(one.shape)[-3:] for one in self._runner.inputs.values()]
        fits = self._has_boxes or set(self._description.outputs).issubset(self._runner.outputs)
        if shapes != [self._description.shape] or not fits:
            raise BadInput(
                "%s takes %s and gives %s, and %s says otherwise; %s"
                % (self._path, shapes, sorted(self._runner.outputs), self._description.path, engine_file.REBUILD)
            )
        return [
            one.host.reshape(self._description.shape) for slot in self._runner.slots for one in slot.inputs.values()
        ]

    def _check_suppression(self) -> None:
        try:
            nms.rows(np.zeros((1, 4), np.float32), np.zeros((1, 2), np.float32), self._description.nms)
        except KeyError as error:
            raise BadInput(
                "%s does not say how boxes are suppressed (%s is missing); convert again"
                % (self._description.path, error)
            ) from error
