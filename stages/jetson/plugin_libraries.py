"""TensorRT's plugins, loaded the way that each version wants, before anything is parsed or loaded.

NMS_TRT and GridAnchor_TRT are in libnvinfer_plugin of every version. FlattenConcat_TRT came into it on the Jetson with
6.0 at the latest; before, NVIDIA's sample uff_ssd brings it as a library of its own.
"""

import ctypes
import glob
import os
from typing import Any, Dict, List

from stages.job import StageFailed

PLUGINS: Dict[str, List[str]] = {
    "uff": ["GridAnchor_TRT", "FlattenConcat_TRT", "NMS_TRT"],
    "onnx": ["NMS_TRT"],
    "boxes": [],
}
"""What each kind of model needs, to be parsed and to be loaded."""
FLATTEN_CONCAT = "libflattenconcat.so"
PLACES = (
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
    "/usr/src/tensorrt/samples/python/uff_ssd/build",
)


def load(trt: Any, logger: Any, wanted: List[str], folders: List[str]) -> List[str]:
    """Register the plugins of TensorRT, and FlattenConcat_TRT's library where the registry lacks it.

    Args:
        wanted: names of plugins, such as ``NMS_TRT``.
        folders: where else ``libflattenconcat.so`` may lie.

    Returns:
        Paths of the libraries that were loaded beside TensorRT's own.

    Raises:
        StageFailed: a plugin is missing; says which, and where it comes from.
    """
    trt.init_libnvinfer_plugins(logger, "")
    loaded: List[str] = []
    if "FlattenConcat_TRT" in missing(trt, wanted):
        loaded = [path for path in _libraries(folders) if _opened(path)][:1]
    left = missing(trt, wanted)
    if left:
        hint = ""
        if "FlattenConcat_TRT" in left:
            hint = (
                "; TensorRT %s needs %s: build it from /usr/src/tensorrt/samples/python/uff_ssd (cmake, make), or"
                " install JetPack 4.3 or newer, which has it built in" % (trt.__version__, FLATTEN_CONCAT)
            )
        elif "NMS_TRT" in left:
            hint = " (11 removed it); build of model.boxes.onnx, which needs none: convert --to onnx, source boxes"
        raise StageFailed("TensorRT %s has no plugin %s%s" % (trt.__version__, ", ".join(left), hint))
    return loaded


def missing(trt: Any, wanted: List[str]) -> List[str]:
    """Which of the plugins the registry lacks."""
    registry = trt.get_plugin_registry()
    creators = registry.all_creators if hasattr(registry, "all_creators") else registry.plugin_creator_list  # before 10
    there = {creator.name for creator in creators}
    return [name for name in wanted if name not in there]


def _libraries(folders: List[str]) -> List[str]:
    return [
        path for folder in [*folders, *PLACES] for path in sorted(glob.glob(os.path.join(folder, FLATTEN_CONCAT + "*")))
    ]


def _opened(path: str) -> bool:
    try:
        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        print("%s cannot be loaded: %s" % (path, error))
        return False
    return True
