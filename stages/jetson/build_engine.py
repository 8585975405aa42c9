"""Stage: a TensorRT engine of the converted model, for the very board that this runs on, proven on its samples.

The engine is built by a process of its own (builder.py), whose words go into ``build.log``. It stays in the scratch
folder until it has been held against the reference; so an engine that is published is whole and right.
"""

import json
import os
import shutil
from typing import Any, Dict, Optional

from stages.detect import description
from stages.jetson import board, building, engine_file, model, parity, samples, session
from stages.jetson.building import Built, Wanted
from stages.jetson.model import Model
from stages.jetson.session import EngineSession
from stages.job import Job, StageFailed, run
from stages.parameters import BuildEngineParameters

# What building an SSD of 300 x 300 takes beside the workspace: cuDNN and cuBLAS alone are some 600 MB on a Nano.
BASE_MB = 900
LOG, LAYERS, PARITY = "build.log", "layers.json", "parity.json"
PROFILED_RUNS, SLOWEST = 20, 10
# What float32 makes of other orders of summing; more is no rounding.
USUAL_IN_FP32 = (0.99, 0.005)


def main(job: Job) -> None:
    """Write the engine of the input ``model`` with its sidecar, and what was measured of it.

    Raises:
        BadInput: the model, or what is asked for, is not for this board.
        StageFailed: no TensorRT here, or it builds no engine, or one that does not find what the reference finds.
    """
    parameters = job.read(BuildEngineParameters)
    source = model.read(job.inputs["model"], parameters.source, job.scratch)
    this = board.Board()
    check_memory(job, this, parameters.workspace_mb)
    plan = os.path.join(job.scratch, engine_file.PLAN)
    wanted = Wanted(source, parameters.precision, parameters.workspace_mb, plan, job.out(LOG), job.scratch)
    try:
        built = building.build(job, wanted)
        measured = measure(job, source, plan, parity.limits(parameters), parameters.precision)
        _publish(job, wanted, built, this, measured)
    finally:
        for path in (plan, job.out(engine_file.PLAN + ".part")):
            if os.path.lexists(path):
                os.unlink(path)
    size = os.path.getsize(job.out(engine_file.PLAN))
    job.metrics(
        tensorrt=built.here.tensorrt,
        precision=parameters.precision,
        seconds=built.seconds,
        megabytes=round(size / 1048576, 1),
        milliseconds=measured[LAYERS]["milliseconds"],
        **_summary(measured[PARITY])
    )


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


def measure(job: Job, source: Model, plan: str, allowed: parity.Limits, precision: str) -> Dict[str, Any]:
    """What ``layers.json`` and ``parity.json`` hold of the engine at ``plan``, once the engine is within the limits.

    Raises:
        BadInput: TensorRT does not take it, or the samples are damaged.
        StageFailed: it is not within the limits.
    """
    described = description.read(source.folder)
    held: Optional[samples.Samples] = None
    if source.samples:
        held = samples.read(source.samples, described.height, described.width)
    with open(plan, "rb") as stream:
        data = stream.read()
    with EngineSession(data, source.kind, described, source.folder, plan) as opened:
        if held and held.pictures:
            report = parity.compared(opened, described, held, allowed)
            opened.prepare(held.pictures[0].picture())
        else:
            job.warn("The model came without samples (they travel in a bundle): nobody knows what this engine finds")
            report = {"format": parity.FORMAT, "samples": 0, "reason": "the model came without samples"}
        layers = opened.layers(PROFILED_RUNS)
    if held and held.pictures:
        _judge(job, report, precision)
    _tell_layers(layers)
    return {LAYERS: session.as_json(layers, PROFILED_RUNS), PARITY: report}


def _judge(job: Job, report: Dict[str, Any], precision: str) -> None:
    least, most = USUAL_IN_FP32
    print("parity: %s" % json.dumps(report, sort_keys=True), flush=True)
    parity.check(report)
    if precision == "fp32" and (report["min_iou"] < least or report["max_score_diff"] > most):
        job.warn(
            "The fp32 engine is within the limits, but differs by more than rounding does (least IoU %.3f, scores by"
            " %.3f): was it built of the same model as its samples?" % (report["min_iou"], report["max_score_diff"])
        )


def _tell_layers(layers: Any) -> None:
    total = sum(one.milliseconds for one in layers)
    print("%d layers take %.2f ms; the slowest:" % (len(layers), total))
    for one in session.slowest(layers, SLOWEST):
        print("%8.3f ms  %4.1f %%  %s" % (one.milliseconds, 100 * one.milliseconds / (total or 1), one.name))


def _publish(job: Job, wanted: Wanted, built: Built, this: board.Board, measured: Dict[str, Any]) -> None:
    """Move all into the output folder: the engine under its name once it is whole, its sidecar last."""
    source = wanted.model
    beside = [name for name in (model.DESCRIPTION, model.LABELS) if os.path.isfile(os.path.join(source.folder, name))]
    for name in beside:
        shutil.copyfile(os.path.join(source.folder, name), job.out(name))
    for name, content in measured.items():
        with open(job.out(name), "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1, sort_keys=True)
    aside = job.out(engine_file.PLAN + ".part")
    shutil.move(wanted.plan, aside)  # scratch may lie on another disk
    os.replace(aside, job.out(engine_file.PLAN))
    described = {
        "model": {"kind": source.kind, "sha256": source.sha256, "description_sha256": source.description_sha256},
        "precision": wanted.precision,
        "workspace_mb": wanted.workspace_mb,
        "l4t": this.l4t(),
        "board": this.described(),
        "seconds": built.seconds,
    }
    engine_file.write(job.output, dict(described, **built.here._asdict()), beside)


def _summary(report: Dict[str, Any]) -> Dict[str, Any]:
    names = ("samples", "min_iou", "max_score_diff")
    found = {name: report[name] for name in names if name in report}
    precisions = report.get("mAP@0.5")
    return dict(found, mAP=precisions["engine"]) if precisions else found


if __name__ == "__main__":
    run(main)
