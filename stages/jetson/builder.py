"""A process of its own that builds an engine: `builder.py REQUEST.json`.

TensorRT ends the process where an assertion fails, and the kernel where memory does; what it takes is free again when
the process ends. It prints all that TensorRT says, and ends with 0 once the plan is written, with the contract's codes
and a line ``::nanoforge:: {"error": ...}`` otherwise. Another such line, ``{"here": ...}``, says what it builds for.
"""

import ctypes
import json
import signal
import sys
from typing import Any, Dict

from stages import disk, parent
from stages.detect import description
from stages.jetson import generations, libraries, plugin_libraries
from stages.jetson.generations import Settings, Source
from stages.job import EXIT_BAD_INPUT, EXIT_FAILED, BadInput, StageFailed, emit
from stages.system_errors import sentence_of

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(request: Dict[str, Any]) -> None:
    """Build what is asked for; the plan gets its name when it is whole."""
    trt = libraries.tensorrt()
    driver, context = libraries.cuda()
    try:
        emit({"here": libraries.here(trt, driver)._asdict()})
        disk.replace(request["plan"], _plan(trt, driver, request))
    finally:
        libraries.let_go(context)  # PyCUDA would abort the process, whatever its exit code


def _plan(trt: Any, driver: Any, request: Dict[str, Any]) -> bytes:
    """In a function of its own: what it takes of the device has to go before the context does."""
    logger = libraries.logger(trt, verbose=True)
    plugin_libraries.load(trt, logger, request["plugins"], [request["folder"]])
    source = Source(request["kind"], request["path"], (request["input"], request["shape"]), request["outputs"])
    calibrator = None
    if request["precision"] == generations.INT8:
        from stages.jetson import calibrator as calibrators  # OpenCV, which the other precisions do without

        described = description.read(request["folder"])
        calibrator = calibrators.of_pictures(trt, driver, request["pictures"], described, request["cache"])
    return generations.build(trt, logger, source, Settings(request["precision"], request["workspace_mb"], calibrator))


def _end_with_parent() -> None:
    """By the kernel: TensorRT holds Python's lock for minutes in some versions, and no thread of ours could act."""
    parent.end_with_it()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    with open(sys.argv[1], encoding="utf-8") as asked:
        wanted = json.load(asked)
    try:
        main(wanted)
    except (BadInput, StageFailed) as error:
        emit({"error": str(error)})
        sys.exit(EXIT_BAD_INPUT if isinstance(error, BadInput) else EXIT_FAILED)
    except (OSError, MemoryError) as error:
        told = sentence_of(error)
        emit({"error": told.text if told else str(error)})
        sys.exit(EXIT_FAILED)
