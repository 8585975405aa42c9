"""Stage: a TensorRT engine of the converted model, for the very board that this runs on.

The builder is a process of its own (builder.py), whose words go into ``build.log``; what ends it is explained here.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import IO, Any, Dict, List

from stages import parent
from stages.jetson import board, build_log, engine_file, generations, libraries, model
from stages.jetson.builder import PLUGINS
from stages.job import EVENT_MARK, EXIT_BAD_INPUT, BadInput, Job, StageFailed, run
from stages.parameters import BuildEngineParameters

# What building an SSD of 300 x 300 takes beside the workspace: cuDNN and cuBLAS alone are some 600 MB on a Nano.
BASE_MB = 900
USUAL_SECONDS = {generations.FP32: 180, generations.FP16: 300, generations.INT8: 400}
LOG = "build.log"


def main(job: Job) -> None:
    """Write ``model.engine``, ``engine.json`` and ``build.log`` for the input ``model``.

    Raises:
        BadInput: the model, or what is asked for, is not for this board.
        StageFailed: no TensorRT here, or it builds no engine; says why as far as it can be known.
    """
    parameters = job.read(BuildEngineParameters)
    described = model.read(job.inputs["model"], parameters.source, job.scratch)
    trt = libraries.tensorrt()
    driver, context = libraries.cuda()
    here = libraries.here(trt, driver)
    _check_precision(trt, parameters.precision)
    context.pop()  # its memory is the builder's
    this = board.Board()
    _check_memory(job, this, parameters)
    started = time.time()
    _build(job, parameters, described)
    seconds = round(time.time() - started, 1)
    engine_file.write(
        job.output,
        dict(
            here._asdict(),
            model={
                "kind": described.kind,
                "sha256": described.sha256,
                "description_sha256": described.description_sha256,
            },
            precision=parameters.precision,
            workspace_mb=parameters.workspace_mb,
            l4t=this.l4t(),
            board=this.described(),
            seconds=seconds,
        ),
    )
    size = os.path.getsize(os.path.join(job.output, engine_file.PLAN))
    job.metrics(
        tensorrt=here.tensorrt, precision=parameters.precision, seconds=seconds, megabytes=round(size / 1048576, 1)
    )


def _check_precision(trt: Any, precision: str) -> None:
    builder = trt.Builder(trt.Logger(trt.Logger.WARNING))
    if precision == generations.INT8 and not getattr(builder, "platform_has_fast_int8", True):
        raise BadInput(
            "This GPU has no fast INT8 (a Jetson Nano has none): the engine would be slower than with fp16 and less"
            " exact; build with fp16"
        )


def _check_memory(job: Job, this: board.Board, parameters: BuildEngineParameters) -> None:
    memory = this.memory()
    if memory is None:
        return
    advice = board.advice(memory, BASE_MB + parameters.workspace_mb)
    if advice and memory.available + memory.swap_free < (BASE_MB + parameters.workspace_mb) // 2:
        raise StageFailed("Too little memory to build an engine: %s" % "; ".join(advice))
    if advice:
        job.warn("Building may be killed for its memory: %s" % "; ".join(advice))


def _build(job: Job, parameters: BuildEngineParameters, described: model.Model) -> None:
    """Run the builder, and explain what ended it if it made no engine."""
    request = _request(job, parameters, described)
    progress = build_log.Progress()
    expected = USUAL_SECONDS[parameters.precision]
    with open(job.out(LOG), "w", encoding="utf-8") as log:
        child = _started(request)
        try:
            assert child.stdout is not None
            errors = _followed(job, child.stdout, log, progress, expected)
            code = child.wait()
        finally:
            child.kill()
            child.wait()
    if code:
        _explain(code, errors, progress, job.out(LOG))


def _request(job: Job, parameters: BuildEngineParameters, described: model.Model) -> str:
    """The builder's request, as a file in the scratch folder."""
    asked = {
        "kind": described.kind,
        "path": described.path,
        "input": described.input,
        "shape": described.shape,
        "outputs": ["MarkOutput_0"],
        "plugins": PLUGINS[described.kind],
        "folders": [os.path.dirname(described.path)],
        "precision": parameters.precision,
        "workspace_mb": parameters.workspace_mb,
        "plan": job.out(engine_file.PLAN),
        "cache": os.path.join(job.scratch, "calibration.cache"),
        "calibration": os.path.join(job.scratch, "calibration.npy"),
    }
    path = os.path.join(job.scratch, "request.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(asked, stream)
    return path


def _started(request: str) -> "subprocess.Popen[str]":
    """The builder, by the Python that runs this and in the way that it was started."""
    module = "stages.jetson.builder"
    start = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "start.py")
    way = ["-I", "-B", "-u", start, module] if sys.flags.isolated else ["-B", "-u", "-m", module]
    return subprocess.Popen(
        [sys.executable, *way, request],
        env=dict(os.environ, **{parent.PIPE: "1"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        encoding="utf-8",
        errors="replace",
    )


def _followed(job: Job, lines: IO[str], log: IO[str], progress: build_log.Progress, expected: float) -> List[str]:
    """Copy what the builder says into the log, and tell how far it is; returns its own errors."""
    errors: List[str] = []
    started = time.time()
    for line in lines:
        log.write(line)
        mark = line.find(EVENT_MARK)
        if mark >= 0:
            event: Dict[str, Any] = json.loads(line[mark + len(EVENT_MARK) :])
            errors += [event["error"]] if "error" in event else []
        if progress.hear(line):
            log.flush()
            left = max(expected - (time.time() - started), 0)
            words = "about %d s left" % left if left else "longer than usual"
            job.progress(progress.done, max(progress.total, 1), words)
    return errors


def _explain(code: int, errors: List[str], progress: build_log.Progress, log: str) -> None:
    reason = progress.reason()
    said = " (TensorRT said: %s)" % reason if reason else ""
    if errors:
        raise (BadInput if code == EXIT_BAD_INPUT else StageFailed)(errors[-1] + said)
    if code == -signal.SIGKILL:
        raise StageFailed(
            "The builder was killed, as the system does where memory ends: add swap, end other programs, or build with"
            " a smaller workspace (build_engine.workspace_mb)%s" % said
        )
    if code < 0:
        raise StageFailed("TensorRT ended the builder by signal %d%s; see %s" % (-code, said, log))
    raise StageFailed("The builder ended with exit code %d%s; see %s" % (code, said, log))


if __name__ == "__main__":
    run(main)
