"""What each layer of an engine takes on this board, by TensorRT's own profiler; ``layers.json``.

``{"runs": 20, "milliseconds": 31.2, "layers": [{"name", "milliseconds", "share"}]}`` in the order of their work, a
layer's milliseconds being the mean of the runs. A profiler makes them wait for each other, so the sum is somewhat more
than an inference takes; bench-engine measures that.
"""

from typing import Any, Dict, Iterator

import numpy as np

from stages.detect.description import Description
from stages.detect.preprocess import Preprocess
from stages.jetson import engine_file, libraries, plugin_libraries
from stages.jetson.running import EngineRunner, loaded

RUNS, SLOWEST = 20, 10


def measured(folder: str, described: Description, picture: np.ndarray) -> Dict[str, Any]:
    """The engine's layers on a picture, uint8 RGB [height, width, 3] of any size; what ``layers.json`` holds.

    Raises:
        BadInput: the engine in ``folder`` is not for this board.
        StageFailed: a library or a plugin is missing, or memory.
    """
    trt = libraries.tensorrt()
    cuda, context = libraries.cuda()
    try:
        return _as_json(_times(trt, cuda, folder, described, picture))
    finally:
        libraries.let_go(context)


def told(layers: Dict[str, Any]) -> Iterator[str]:
    """A line for the sum, and one for each of the slowest."""
    yield "%d layers take %.2f ms; the slowest:" % (len(layers["layers"]), layers["milliseconds"])
    for one in sorted(layers["layers"], key=lambda layer: -layer["milliseconds"])[:SLOWEST]:
        yield "%8.3f ms  %4.1f %%  %s" % (one["milliseconds"], 100 * one["share"], one["name"])


def _times(trt: Any, cuda: Any, folder: str, described: Description, picture: np.ndarray) -> Dict[str, float]:
    """In a function of its own: what it holds of the device has to go before the context does."""
    logger = libraries.logger(trt)
    kind = engine_file.sidecar(folder)["model"].get("kind")
    plan = engine_file.read(folder, libraries.here(trt, cuda))
    plugin_libraries.load(trt, logger, plugin_libraries.PLUGINS.get(kind, []), [folder])
    runner = EngineRunner(loaded(trt, logger, plan, folder), cuda)
    preprocess = Preprocess(described.height, described.width, described.scale, described.offset, described.swapped)
    for one in runner.inputs.values():
        preprocess.fill(picture, one.host.reshape(described.shape))
    return runner.profiled(trt, RUNS)


def _as_json(times: Dict[str, float]) -> Dict[str, Any]:
    total = sum(times.values())
    layers = [
        {"name": name, "milliseconds": round(time, 4), "share": round(time / total, 4) if total else 0.0}
        for name, time in times.items()
    ]
    return {"runs": RUNS, "milliseconds": round(total, 4), "layers": layers}
