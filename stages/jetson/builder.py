"""A process of its own that builds an engine: `builder.py REQUEST.json`.

TensorRT ends the process where an assertion fails, and the kernel where memory does; what it takes is free again when
the process ends. It prints all that TensorRT says, and ends with 0 once the plan is written, with the contract's codes
and a line ``::nanoforge:: {"error": ...}`` otherwise.
"""

import json
import os
import sys
from typing import Any, Dict

from stages import parent
from stages.jetson import generations, libraries, plugin_libraries
from stages.jetson.generations import Settings, Source
from stages.job import EXIT_BAD_INPUT, EXIT_FAILED, BadInput, StageFailed, emit

PLUGINS = {"uff": ["GridAnchor_TRT", "FlattenConcat_TRT", "NMS_TRT"], "onnx": ["NMS_TRT"]}


def main(request: Dict[str, Any]) -> None:
    """Build what is asked for; writes the plan under another name first."""
    trt = libraries.tensorrt()
    driver, context = libraries.cuda()
    logger = trt.Logger(trt.Logger.VERBOSE)
    plugin_libraries.load(trt, logger, request["plugins"], request["folders"])
    source = Source(request["kind"], request["path"], (request["input"], request["shape"]), request["outputs"])
    calibrator = None
    if request["precision"] == generations.INT8:
        from stages.jetson import calibrator as calibrators

        calibrator = calibrators.of_pictures(trt, driver, request["calibration"], request["cache"])
    plan = generations.build(trt, logger, source, Settings(request["precision"], request["workspace_mb"], calibrator))
    aside = request["plan"] + ".part"
    with open(aside, "wb") as stream:
        stream.write(plan)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, request["plan"])
    context.pop()


if __name__ == "__main__":
    parent.end_with_it()
    with open(sys.argv[1], encoding="utf-8") as asked:
        wanted = json.load(asked)
    try:
        main(wanted)
    except (BadInput, StageFailed) as error:
        emit({"error": str(error)})
        sys.exit(EXIT_BAD_INPUT if isinstance(error, BadInput) else EXIT_FAILED)
