"""The builder (builder.py) as a child: asked, listened to, its progress told, and what ends it explained."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, List, NamedTuple

from stages import parent
from stages.jetson import build_log, calibrator, generations
from stages.jetson.engine_file import PLAN, Here
from stages.jetson.model import Model
from stages.jetson.plugin_libraries import PLUGINS
from stages.job import EVENT_MARK, EXIT_BAD_INPUT, BadInput, Job, StageFailed

USUAL_SECONDS = {generations.FP32: 180, generations.FP16: 300, generations.INT8: 400}


class Wanted(NamedTuple):
    """What is to be built.

    Attributes:
        model: of what.
        precision, workspace_mb: how.
        folder: where the engine goes.
        log: the path of all that TensorRT says.
        scratch: a folder for what a later build of the same can use.
    """

    model: Model
    precision: str
    workspace_mb: int
    folder: str
    log: str
    scratch: str


class Built(NamedTuple):
    """What was built: for which board, and in how many seconds."""

    here: Here
    seconds: float


def build(job: Job, wanted: Wanted) -> Built:
    """Run the builder to its end; the engine is there then.

    Raises:
        BadInput: the model, or what is asked for, is not for this board.
        StageFailed: no TensorRT here, or it builds no engine; says why as far as it can be known.
    """
    heard, started = Heard(), time.time()
    usual = USUAL_SECONDS[wanted.precision]
    with open(wanted.log, "w", encoding="utf-8") as log:
        child = _started(_request(wanted))
        try:
            assert child.stdout is not None
            for line in child.stdout:
                log.write(line)
                if heard.goes_on(line):
                    log.flush()
                    _tell(job, heard.progress, time.time() - started, usual)
            code = child.wait()
        finally:
            child.kill()
            child.wait()
    if code:
        _explain(code, heard, wanted.log)
    assert heard.here is not None
    return Built(heard.here, round(time.time() - started, 1))


class Heard:
    """What the builder has said so far."""

    def __init__(self) -> None:
        self.progress = build_log.Progress()
        self.errors: List[str] = []
        self.here: Any = None

    def goes_on(self, line: str) -> bool:
        mark = line.find(EVENT_MARK)
        if mark >= 0:
            try:
                event: Dict[str, Any] = json.loads(line[mark + len(EVENT_MARK) :])
            except ValueError:  # TensorRT's own words came in between; the line stands in the log
                return False
            self.errors += [event["error"]] if "error" in event else []
            self.here = Here(**event["here"]) if "here" in event else self.here
        return self.progress.hear(line)


def _tell(job: Job, progress: build_log.Progress, elapsed: float, usual: float) -> None:
    left = progress.seconds_left(elapsed, usual)
    words = "about %d s left" % left if left >= 1 else "longer than usual"
    job.progress(progress.done, progress.total + 1, words)  # one more: writing it


def _request(wanted: Wanted) -> str:
    """The builder's request, as a file in the scratch folder."""
    model = wanted.model
    asked: Dict[str, Any] = {
        "kind": model.kind,
        "path": model.path,
        "folder": model.folder,
        "input": model.input,
        "shape": model.shape,
        "outputs": ["MarkOutput_0"],
        "plugins": PLUGINS[model.kind],
        "precision": wanted.precision,
        "workspace_mb": wanted.workspace_mb,
        "plan": os.path.join(wanted.folder, PLAN),
    }
    if wanted.precision == generations.INT8:
        if model.calibration is None:
            raise BadInput(
                "INT8 is calibrated with training pictures, and the model came without; make the bundle with some"
                " (bundle.calibration_pictures)"
            )
        asked["pictures"] = calibrator.pictures(model.calibration)
        asked["cache"] = os.path.join(wanted.scratch, calibrator.cache_name(model.sha256, asked["pictures"]))
    path = os.path.join(wanted.scratch, "request.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(asked, stream)
    return path


def _started(request: str) -> "subprocess.Popen[str]":
    """The builder, by the Python that runs this and in the way that it was started."""
    module = "stages.jetson.builder"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # a folder, or detector.pyz
    start = os.path.join(root, "stages", "start.py")
    way = ["-I", "-B", "-u", start, module] if sys.flags.isolated else ["-B", "-u", "-m", module]
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, *way, request],
        cwd=os.path.dirname(request),  # -m looks there first, and the user's folder may hold anything
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths), **{parent.PIPE: "1"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        encoding="utf-8",
        errors="replace",
    )


def _explain(code: int, heard: Heard, log: str) -> None:
    reason = heard.progress.reason()
    said = " (TensorRT said: %s)" % reason if reason else ""
    if heard.errors and "out of memory" in reason.lower():
        said += "; end the desktop and other programs, or build with a smaller workspace (build_engine.workspace_mb)"
    if heard.errors:
        raise (BadInput if code == EXIT_BAD_INPUT else StageFailed)(heard.errors[-1] + said)
    if code == -signal.SIGKILL:
        raise StageFailed(
            "The builder was killed, as the system does where memory ends: add swap, end other programs, or build with"
            " a smaller workspace (build_engine.workspace_mb)%s" % said
        )
    if code < 0:
        raise StageFailed("TensorRT ended the builder by signal %d%s; see %s" % (-code, said, log))
    raise StageFailed("The builder ended with exit code %d%s; see %s" % (code, said, log))
