"""What the commands of detector.pyz do: each makes a job of what is asked, and runs a stage's own program on it.

Programs are imported when they are asked for: what one needs, another may lack.
"""

import argparse
import glob
import os
from typing import Any, Callable, Dict, NamedTuple, Optional

from stages.jetson import engine_file, libraries, made_whole, model, model_files
from stages.jetson.made_whole import Room
from stages.jetson.terminal import TerminalJob, say
from stages.job import BadInput, Job, StageFailed
from stages.parameters import (
    LARGEST_MAP_LOSS,
    LARGEST_SCORE_DIFFERENCE,
    LEAST_IOU,
    BenchEngineParameters,
    BuildEngineParameters,
    InstallParameters,
    LiveParameters,
)

BENCH, SELFTEST = "bench.json", "selftest.txt"


def build_engine(archive: str, asked: argparse.Namespace) -> None:
    """Build the engine, unless there is one of the same that this board can load."""
    from stages.jetson import build_engine as program

    parameters = BuildEngineParameters(
        asked.source, asked.precision, asked.workspace_mb, LEAST_IOU, LARGEST_SCORE_DIFFERENCE, LARGEST_MAP_LOSS
    )
    folder = asked.out or _beside(archive, "engine-" + asked.precision)
    if _is_up_to_date(folder, archive, parameters):
        say("%s is up to date; remove it to build it again" % folder)
        return
    with made_whole.appearing(folder, engine_file.SIDECAR) as room:
        job = _ran(
            "build-engine", program.main, room, {"model": model.opened(archive, room.scratch)}, _plain(parameters)
        )
    _report(folder, job)


def bench(archive: str, asked: argparse.Namespace) -> None:
    """Time the engine."""
    engine = _engine(archive, asked.engine)
    from stages.jetson import bench_engine as program

    parameters = BenchEngineParameters(asked.runs, asked.warmup_runs)
    folder = asked.out or _beside(archive, "bench-" + os.path.basename(engine))
    with made_whole.appearing(folder, BENCH) as room:
        inputs = {"engine": engine, "model": model.opened(archive, room.scratch)}
        job = _ran("bench-engine", program.main, room, inputs, _plain(parameters))
    _report(folder, job)


def detect(archive: str, asked: argparse.Namespace) -> None:
    """Detect until the source ends."""
    from stages.detect import live as program

    sinks = [] if asked.sink == ["none"] else asked.sink or ["lines"]
    parameters = LiveParameters(
        asked.source, sinks, asked.threshold, asked.backend, asked.size, asked.fps, asked.frames
    )
    with made_whole.passing() as room:
        if asked.backend == "tensorrt":
            inputs = {"engine": _engine(archive, asked.engine)}
        else:
            inputs = {"model": model.opened(archive, room.scratch)}
        # Relative paths of sinks count from a job's output folder, for whoever types them from the current one.
        job = _ran("detect", program.main, room._replace(output=os.getcwd()), inputs, _plain(parameters))
    _report("detect", job)


def install(archive: str, asked: argparse.Namespace) -> None:
    """Put the detector into jetson-inference."""
    _install(archive, asked, look_only=False)


def check(archive: str, asked: argparse.Namespace) -> None:
    """Look whether it is there as it was installed."""
    _install(archive, asked, look_only=True)


def selftest(archive: str, asked: argparse.Namespace) -> None:
    """Try all that the board needs; what came of it is kept, whether all is well or not."""
    from stages.jetson import selftest as program

    folder = asked.out or _beside(archive, "selftest")
    failed: Optional[StageFailed] = None
    with made_whole.appearing(folder, SELFTEST) as room:
        try:
            _ran("selftest", program.main, room, {"model": model.opened(archive, room.scratch)}, {})
        except StageFailed as error:
            if not os.path.isfile(os.path.join(room.output, SELFTEST)):
                raise
            failed = error
    say("To be sent back, whatever it says: %s" % os.path.join(folder, SELFTEST))
    if failed:
        raise failed


def _install(archive: str, asked: argparse.Namespace, look_only: bool) -> None:
    from stages.jetson import install as program

    with made_whole.passing() as room:
        folder = model.opened(archive, room.scratch)
        parameters = InstallParameters(asked.folder, asked.name or model_files.check(folder)["name"], look_only)
        _ran("install", program.main, room, {"model": folder}, _plain(parameters))


def _ran(
    stage: str, main: Callable[[Job], None], room: Room, inputs: Dict[str, str], parameters: Dict[str, Any]
) -> TerminalJob:
    job = TerminalJob(
        {
            "stage": stage,
            "inputs": inputs,
            "output": room.output,
            "scratch": room.scratch,
            "parameters": parameters,
            "cpus": os.cpu_count() or 1,
        }
    )
    try:
        main(job)
    finally:
        job.rest()
    return job


def _plain(parameters: NamedTuple) -> Dict[str, Any]:
    return dict(parameters._asdict())


def _report(folder: str, job: TerminalJob) -> None:
    figures = ", ".join("%s %s" % (name, value) for name, value in sorted(job.figures.items()))
    say("%s: %s" % (folder, figures or "done"))


def _beside(archive: str, name: str) -> str:
    return os.path.join(os.path.dirname(archive), name)


def _engine(archive: str, wanted: str) -> str:
    """The engine's folder: the one that is named, or that beside the archive; of several there, fp16's."""
    if wanted:
        if not os.path.isfile(os.path.join(wanted, engine_file.SIDECAR)):
            raise BadInput("%s holds no %s; is this the folder that build-engine made?" % (wanted, engine_file.SIDECAR))
        return wanted
    found = sorted(os.path.dirname(one) for one in glob.glob(_beside(glob.escape(archive), "engine-*/engine.json")))
    usual = _beside(archive, "engine-fp16")
    if not found:
        raise BadInput(
            "There is no engine beside %s: build it first (python3 %s build-engine)"
            % (archive, os.path.basename(archive))
        )
    if usual not in found and len(found) > 1:
        raise BadInput("There is more than one engine beside %s: name one of them (--engine %s)" % (archive, found[0]))
    return usual if usual in found else found[0]


def _is_up_to_date(folder: str, archive: str, parameters: BuildEngineParameters) -> bool:
    """Whether the engine in ``folder`` is what would be built, as its sidecar says."""
    if not os.path.isfile(os.path.join(folder, engine_file.SIDECAR)):
        return False
    listed = model_files.listed_in(archive)
    name = model.FILES[parameters.source]
    trt = libraries.tensorrt()
    driver, context = libraries.cuda()
    try:
        engine_file.read(folder, libraries.here(trt, driver), listed[name].sha256 if name in listed else "")
    except BadInput as error:
        say("It is built again: %s" % error)
        return False
    finally:
        libraries.let_go(context)  # its memory is the builder's
    said = engine_file.sidecar(folder)
    built = (said["model"].get("kind"), said["model"].get("description_sha256"), said.get("precision"))
    wanted = (parameters.source, listed[model.DESCRIPTION].sha256, parameters.precision)
    return bool(built == wanted and said.get("workspace_mb") == parameters.workspace_mb)
