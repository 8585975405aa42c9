"""An engine loaded on this board: from a picture to the rows of its detections, and what its layers take.

The rows are NMS_TRT's: image, class, score, xmin, ymin, xmax, ymax, each edge a share of the picture.
"""

from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from stages.detect.description import Description
from stages.detect.preprocess import Preprocess
from stages.jetson import libraries, plugin_libraries, running
from stages.job import BadInput


class LayerTime(NamedTuple):
    """A layer of the engine, and its milliseconds, the mean of some runs."""

    name: str
    milliseconds: float


class EngineSession:
    """The engine ``plan``, with its buffers and a CUDA context of its own, which belongs to the thread that opened it.

    Args:
        kind: what it was built of: uff, onnx or boxes.
        folder: where it or its model lies, and libflattenconcat.so perhaps.
        where: its path, for errors.

    Raises:
        BadInput: TensorRT does not take it, or it is not of what is described.
        StageFailed: a library or a plugin is missing, or memory.
    """

    def __init__(self, plan: bytes, kind: str, described: Description, folder: str, where: str) -> None:
        trt = libraries.tensorrt()
        self.cuda, self._context = libraries.cuda()
        self._trt, self._described = trt, described
        try:
            logger = trt.Logger(trt.Logger.WARNING)
            plugin_libraries.load(trt, logger, plugin_libraries.PLUGINS[kind], [folder])
            self._runner = running.Runner(running.loaded(trt, logger, plan, where), self.cuda)
            self._check(where)
        except BaseException:
            libraries.let_go(self._context)
            raise
        self._input = next(iter(self._runner.inputs.values())).host.reshape(described.shape)
        self._preprocess = Preprocess(
            described.height, described.width, described.scale, described.offset, described.swapped
        )

    def __enter__(self) -> "EngineSession":
        return self

    def __exit__(self, *_: Any) -> None:
        self._runner.close()
        libraries.let_go(self._context)

    def prepare(self, picture: np.ndarray) -> None:
        """Fill the input from ``picture``, uint8 RGB [height, width, 3] of any size."""
        self._preprocess.into(self._input, picture)

    def run(self) -> np.ndarray:
        """Copy the input to the device, infer, copy back, and wait; the rows, float32 [n, 7], until it runs again."""
        self._runner.start()
        found = self._runner.finish()
        count = int(found[self._described.count].reshape(-1).view(np.int32)[0])
        return found[self._described.rows].reshape(-1, 7)[:count]

    def detect(self, picture: np.ndarray) -> np.ndarray:
        """The rows of a picture, uint8 RGB [height, width, 3] of any size."""
        self.prepare(picture)
        return self.run()

    def layers(self, runs: int) -> List[LayerTime]:
        """What each layer takes, the mean of ``runs`` runs after one that warms up, in the order of their work."""
        return [LayerTime(name, time) for name, time in self._runner.profiled(self._trt, runs).items()]

    def _check(self, where: str) -> None:
        inputs = [list(one.shape)[-3:] for one in self._runner.inputs.values()]
        if inputs != [self._described.shape] or not {self._described.rows, self._described.count}.issubset(
            self._runner.outputs
        ):
            raise BadInput(
                "%s takes %s and gives %s, and %s says otherwise; build the engine again"
                % (where, inputs, ", ".join(sorted(self._runner.outputs)), self._described.path)
            )


def slowest(layers: Sequence[LayerTime], most: int) -> List[LayerTime]:
    """The layers that take longest."""
    return sorted(layers, key=lambda one: -one.milliseconds)[:most]


def as_json(layers: Sequence[LayerTime], runs: int) -> Dict[str, Any]:
    """For ``layers.json``."""
    total = sum(one.milliseconds for one in layers)
    return {
        "runs": runs,
        "milliseconds": round(total, 4),
        "layers": [
            {
                "name": one.name,
                "milliseconds": round(one.milliseconds, 4),
                "share": round(one.milliseconds / total, 4) if total else 0.0,
            }
            for one in layers
        ],
    }
