"""TensorRT and PyCUDA, imported where they are needed, and one sentence where they cannot be."""

import importlib
import sys
import traceback
from typing import Any, List, Tuple

from stages.jetson.engine_file import Here
from stages.job import StageFailed

TENSORRT = (
    "TensorRT cannot be imported (%s): on the board it belongs to JetPack's own /usr/bin/python3 (sudo apt install"
    " python3-libnvinfer); in a container it comes with the runtime nvidia"
)
PYCUDA = (
    "PyCUDA cannot be imported (%s): it is compiled on the board against its CUDA (docs/jetpack.md); build the image's"
    " target device, or the virtual environment, there"
)
_LOGGERS: List[Any] = []
CUDA = "CUDA does not start (%s): are the driver and the PyCUDA here of one JetPack?"


def tensorrt() -> Any:
    """The module tensorrt.

    Raises:
        StageFailed: there is none.
    """
    return _imported("tensorrt", TENSORRT)


def logger(trt: Any, verbose: bool = False) -> Any:
    """TensorRT's logger of this process, for warnings and errors; ``verbose``, where it is the first, for all.

    There is one, and it stays: plugins and runtimes keep a pointer to the first that they are given.
    """
    if not _LOGGERS:
        _LOGGERS.append(trt.Logger(trt.Logger.VERBOSE if verbose else trt.Logger.WARNING))
    return _LOGGERS[0]


def cuda() -> Tuple[Any, Any]:
    """The module pycuda.driver, and a context on the first device, which is to be kept.

    Raises:
        StageFailed: there is no PyCUDA, or CUDA does not start.
    """
    driver = _imported("pycuda.driver", PYCUDA)
    try:
        driver.init()
        return driver, driver.Device(0).make_context()
    except driver.Error as error:
        raise StageFailed(CUDA % error) from None


def cuda_memory() -> Tuple[int, int]:
    """What the device has free and in all, in MB; a context must be there."""
    free, total = _imported("pycuda.driver", PYCUDA).mem_get_info()
    return int(free) >> 20, int(total) >> 20


def let_go(context: Any) -> None:
    """End a context, and give back what it holds of the board's memory.

    Where an error ends it, the calls that it came through still hold engines and buffers, which have to go before.
    """
    traceback.clear_frames(sys.exc_info()[2])  # None: nothing to clear
    context.pop()
    context.detach()


def here(trt: Any, driver: Any) -> Here:
    """What engines depend on, of this board."""
    device = driver.Device(0)
    version = ".".join(map(str, driver.get_version()[:2]))
    return Here(str(trt.__version__), version, device.name(), ".".join(map(str, device.compute_capability())))


def _imported(name: str, words: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # a library that is missing is either
        raise StageFailed(words % error) from None
