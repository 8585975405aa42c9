"""Stage: a TensorRT engine of the converted model, for the very board that this runs on, proven on its samples.

The engine is built by a process of its own (builder.py), whose words go into ``build.log``. It stays in the scratch
folder until it has been held against the reference; so an engine that is published is whole and right.
"""

import json
import os
import shutil
from typing import Any, Dict, Optional

import numpy as np

from stages.detect import description
from stages.detect.backends.tensorrt import TensorrtBackend
from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.jetson import board, building, engine_file, generations, layer_times, model, parity, samples
from stages.jetson.building import Built, Wanted
from stages.jetson.samples import ReferenceSamples
from stages.job import Job, StageFailed, run
from stages.parameters import BuildEngineParameters

# What building an SSD of 300 x 300 takes beside the workspace: cuDNN and cuBLAS alone are some 600 MB on a Nano.
BASE_MB = 900
LOG, LAYERS, PARITY = "build.log", "layers.json", "parity.json"
# What float32 makes of other orders of summing: least IoU, largest difference of scores. More is no rounding.
USUAL_IN_FP32 = (0.99, 0.005)


def main(job: Job) -> None:
    """Write the engine of the input ``model`` with its sidecar, and what was measured of it.

    Raises:
        BadInput: the model, or what is asked for, is not for this board.
        StageFailed: no TensorRT here, or it builds no engine, or one that does not find what the reference finds.
    """
    parameters = job.read(BuildEngineParameters)
    source = model.read(job.inputs["model"], parameters.source, job.scratch)
    described = description.read(source.folder)
    held = samples.read(source.samples, described.height, described.width) if source.samples else None
    check_memory(job, board.Board(), parameters.workspace_mb)
    folder = os.path.join(job.scratch, "engine")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    wanted = Wanted(source, parameters.precision, parameters.workspace_mb, folder, job.out(LOG), job.scratch)
    try:
        built = made(job, wanted)
        report = proven(job, folder, described, held, parity.limits(parameters))
        _judge(job, report, parameters.precision)
        layers = layer_times.measured(folder, described, _picture(described, held))
        print("\n".join(layer_times.told(layers)), flush=True)
        for name, content in ((PARITY, report), (LAYERS, layers)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
                json.dump(content, stream, indent=1, sort_keys=True)
        _publish(job, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _tell(job, built, parameters.precision, layers, report)


def check_memory(job: Job, this: board.Board, workspace_mb: int) -> None:
    """Warn where a build may end for its memory.

    Raises:
        StageFailed: there is not half of what it takes.
    """
    memory = this.memory()
    if memory is None:
        return
    wanted = BASE_MB + workspace_mb
    advice = board.advice(memory, wanted)
    if advice and memory.available + memory.swap_free < wanted // 2:
        raise StageFailed("Too little memory to build an engine: %s" % "; ".join(advice))
    if advice:
        job.warn("Building may be killed for its memory: %s" % "; ".join(advice))


def made(job: Job, wanted: Wanted) -> Built:
    """Build the engine in its folder, and write what lies beside it there."""
    built = building.build(job, wanted)
    source, this = wanted.model, board.Board()
    beside = [name for name in (model.DESCRIPTION, model.LABELS) if os.path.isfile(os.path.join(source.folder, name))]
    for name in beside:
        shutil.copyfile(os.path.join(source.folder, name), os.path.join(wanted.folder, name))
    sidecar = {
        "model": {"kind": source.kind, "sha256": source.sha256, "description_sha256": source.description_sha256},
        "precision": wanted.precision,
        "workspace_mb": wanted.workspace_mb,
        "l4t": this.l4t(),
        "board": this.described(),
        "seconds": built.seconds,
    }
    engine_file.write(wanted.folder, dict(sidecar, **built.here._asdict()), beside)
    return built


def proven(
    job: Job, folder: str, described: Description, held: Optional[ReferenceSamples], allowed: parity.DriftLimits
) -> Dict[str, Any]:
    """Hold the engine against the reference; what ``parity.json`` holds.

    Raises:
        BadInput: TensorRT does not take the engine, or a sample cannot be read.
    """
    if held is None or not held.pictures:
        job.warn("The model came without samples (they travel in a bundle): nobody knows what this engine finds")
        return {"format": parity.FORMAT, "samples": 0, "reason": "the model came without samples"}
    with Detector(described, TensorrtBackend(folder, described)) as detector:
        return parity.compared(detector, described, held, allowed)


def _judge(job: Job, report: Dict[str, Any], precision: str) -> None:
    if not report["samples"]:
        return
    print("parity: %s" % json.dumps(report, sort_keys=True), flush=True)
    parity.check(report)
    least, most = USUAL_IN_FP32
    if precision == generations.FP32 and (report["min_iou"] < least or report["max_score_diff"] > most):
        job.warn(
            "The fp32 engine is within the limits, but differs by more than rounding does (least IoU %.3f, scores by"
            " %.3f): was it built of the same model as its samples?" % (report["min_iou"], report["max_score_diff"])
        )


def _picture(described: Description, held: Optional[ReferenceSamples]) -> np.ndarray:
    if held and held.pictures:
        return held.pictures[0].picture()
    return np.zeros((described.height, described.width, 3), np.uint8)


def _publish(job: Job, folder: str) -> None:
    """Move all into the output folder, the sidecar, without which there is no engine, last."""
    for name in sorted(os.listdir(folder), key=lambda one: one == engine_file.SIDECAR):
        aside = job.out(name + ".part")
        try:
            shutil.move(os.path.join(folder, name), aside)  # scratch may lie on another disk
            os.replace(aside, job.out(name))
        finally:
            if os.path.lexists(aside):
                os.unlink(aside)


def _tell(job: Job, built: Built, precision: str, layers: Dict[str, Any], report: Dict[str, Any]) -> None:
    names = ("samples", "min_iou", "max_score_diff")
    figures = {name: report[name] for name in names if name in report}
    precisions = report.get("mAP@0.5")
    if precisions:
        figures["mAP@0.5"] = precisions["engine"]
    job.metrics(
        tensorrt=built.here.tensorrt,
        precision=precision,
        seconds=built.seconds,
        megabytes=round(os.path.getsize(job.out(engine_file.PLAN)) / 1048576, 1),
        layers_ms=layers["milliseconds"],
        **figures,
    )


if __name__ == "__main__":
    run(main)
