"""Walking the plan: every stage that is not fresh runs, and its output becomes an artifact.

A stage runs as soon as what it needs is there; several at the same time where each machine's memory allows.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from nanoforge.config import checkpoints
from nanoforge.errors import Interrupted, NanoforgeError, StageFailed
from nanoforge.pipeline.plan import (
    FRESH,
    Status,
    Statuses,
    input_digest,
    input_path,
    made,
    note_listings,
    plan,
    status_of,
)
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import STAGES, ArtifactInput, InputSource, UserFiles, upstream
from nanoforge.runners.contract import EventSink, Limits, Outcome, Runner, StageInput, StageRun
from nanoforge.stop import Stop
from nanoforge.store.store import ArtifactFolder, discard

MOST_AT_ONCE = 4
# How a runner's name is shown; others are hosts.
PLACES = {"local": "", "docker": " (in a container)"}


def build(project: Project, target: str) -> ArtifactFolder:
    """Make ``target`` and whatever it needs; what is fresh is not run.

    Returns:
        The artifact of ``target``.

    Raises:
        NanoforgeError: a stage could not run or failed; the artifacts before it stay.
    """
    with project.locked():
        names = upstream(target, project.setting)
        _make_images(project, names)
        # Where something is to run, every artifact that goes into it is read once more: a flipped bit must not travel.
        thorough = any(status.state != FRESH for status in plan(project, target))
        return made(_Walk(project, names, thorough).all()[target])


def _make_images(project: Project, names: Sequence[str]) -> None:
    """An image belongs to a recipe, so it has to be there before anything can be planned."""
    for name in names:
        runner = project.runner(STAGES[name])
        if runner.image == "":
            runner.prepare()
    project.placement.sweep(project.owner)


@dataclass
class _Run:
    """A stage that runs now."""

    status: Status
    runner: Runner
    call: StageRun
    started: float
    tools: Mapping[str, str]
    stop: Stop = field(default_factory=Stop)


class _Walk:
    """The stages in order: those that are known, those that run, and those that wait."""

    def __init__(self, project: Project, names: Sequence[str], thorough: bool) -> None:
        self._project = project
        self._waiting: List[str] = list(names)
        self._thorough = thorough
        self._known: Statuses = {}
        self._running: Dict[Future[Outcome], _Run] = {}
        self._seen: Statuses = {}

    def all(self) -> Statuses:
        """Run what has to; returns the status of every stage, fresh by then."""
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            try:
                self._walk(pool)
            except BaseException:
                for run in self._running.values():
                    run.stop.ask()
                raise
        return self._known

    def _walk(self, pool: ThreadPoolExecutor) -> None:
        try:
            self._start_what_can(pool)
            while self._running:
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._finish(future)
                self._start_what_can(pool)
        except NanoforgeError:
            self._let_others_end()
            raise

    def _start_what_can(self, pool: ThreadPoolExecutor) -> None:
        for name in list(self._waiting):
            status = self._status(name)
            if status is None:
                continue
            if status.state == FRESH:
                self._note(name, status)
                self._project.console.say(f"{name}: fresh")
            elif self._has_room(status):
                self._waiting.remove(name)
                run = _begin(self._project, status, self._known)
                self._running[pool.submit(_run_stage, self._project, run)] = run

    def _status(self, name: str) -> Optional[Status]:
        """The status of a stage, or None while a stage before it is not made."""
        stage = STAGES[name]
        sources = stage.inputs(self._project.setting).values()
        if any(isinstance(source, ArtifactInput) and source.stage not in self._known for source in sources):
            return None
        if name not in self._seen:
            self._seen[name] = status_of(self._project, stage, self._known, self._thorough)
        return self._seen[name]

    def _has_room(self, status: Status) -> bool:
        """Whether the stage's memory fits beside that of the stages that run on the same machine."""
        runner = self._project.runner(status.stage)
        beside = [run.runner for run in self._running.values() if run.runner.machine == runner.machine]
        if not beside:
            return True
        reserves = [self._reserve(each) for each in (runner, *beside)]
        return len(self._running) < MOST_AT_ONCE and all(reserves) and sum(filter(None, reserves)) <= runner.capacity

    def _reserve(self, runner: Runner) -> Optional[int]:
        stated = self._project.config.runner.memory_mb << 20
        return runner.reserves and (stated or runner.reserves)

    def _finish(self, future: Future[Outcome]) -> None:
        run = self._running.pop(future)
        name = run.status.stage.name
        try:
            artifact = _publish(self._project, run, future.result(), self._known)
        except Interrupted:
            raise
        except NanoforgeError as error:
            self._project.note_failure(name, run.status.fingerprint, str(error))
            raise
        self._project.forget_failure(name)
        self._note(name, Status(run.status.stage, FRESH, [], run.status.recipe, artifact))

    def _note(self, name: str, status: Status) -> None:
        self._known[name] = status
        self._project.store.use(name, made(status))
        if name in self._waiting:
            self._waiting.remove(name)

    def _let_others_end(self) -> None:
        """One stage failed; what others have begun is not thrown away."""
        if self._running:
            names = ", ".join(run.status.stage.name for run in self._running.values())
            self._project.console.say(f"waiting for {names} to end …")
        for future in list(self._running):
            try:
                wait([future])
                self._finish(future)
            except NanoforgeError as error:
                self._project.console.warn(str(error))


def _begin(project: Project, status: Status, known: Statuses) -> _Run:
    """Get everything ready for a stage to run."""
    stage, console = status.stage, project.console
    runner = project.runner(stage)
    console.say(f"{stage.name}: {stage.summary}{PLACES.get(runner.name, f' (on {runner.name})')}")
    for reason in status.reasons:
        console.say(f"  because {reason}")
    _set_aside_damaged(project, status)
    if stage.name == "train":
        checkpoints.fetch(project.setting.start)
    note_listings(project, stage)
    runner.prepare()
    call = _call(project, status, known)
    shutil.rmtree(call.output, ignore_errors=True)
    return _Run(status, runner, call, time.time(), runner.tools())


def _run_stage(project: Project, run: _Run) -> Outcome:
    name = run.status.stage.name
    with project.running(name), project.console.bar(name) as bar:
        return run.runner.run(run.call, EventSink(bar.update, project.console.warn), run.stop)


def _publish(project: Project, run: _Run, outcome: Outcome, known: Statuses) -> ArtifactFolder:
    stage = run.status.stage
    _check_inputs(project, run.status, known)
    record = _record(run, outcome)
    artifact = project.store.publish(run.call.output, stage.name, run.status.fingerprint, record)
    discard(run.call.output.parent)
    project.console.good(
        f"{stage.name}: done in {record['seconds']:.0f} s{_in_brackets(metric_words(outcome.metrics))}"
    )
    return artifact


def _call(project: Project, status: Status, known: Statuses) -> StageRun:
    stage = status.stage
    work = project.store.work_folder(stage.name, status.fingerprint)
    assert status.recipe is not None
    return StageRun(
        stage=stage.name,
        module=stage.module,
        inputs={
            name: _stage_input(source, known, status.recipe["inputs"][name])
            for name, source in stage.inputs(project.setting).items()
        },
        parameters=stage.parameters(project.setting),
        output=work / "output",
        scratch=work / "scratch",
        log=project.log_file(stage.name, status.fingerprint),
        limits=Limits(project.config.runner.cpus, project.config.runner.memory_mb),
        work=f"{project.owner}/{stage.name}/{status.fingerprint}",
        owner=project.owner,
    )


def _stage_input(source: InputSource, known: Statuses, digest: str) -> StageInput:
    path = input_path(source, known)
    return StageInput(path, digest, source.selection) if isinstance(source, UserFiles) else StageInput(path, digest)


def _check_inputs(project: Project, status: Status, known: Statuses) -> None:
    """The inputs must still be what the fingerprint says, or the artifact would lie about how it came to be."""
    assert status.recipe is not None
    sources = status.stage.inputs(project.setting)
    now = {name: input_digest(project, source, known, name) for name, source in sources.items()}
    changed = [name for name, digest in now.items() if digest != status.recipe["inputs"][name]]
    if changed:
        raise StageFailed(
            f"{status.stage.name}: input {', '.join(changed)} changed while the stage ran, so its output was not kept;"
            " run it again."
        )


def _set_aside_damaged(project: Project, status: Status) -> None:
    found = project.store.find(status.stage.name, status.fingerprint) if status.recipe else None
    if found:
        project.console.warn(f"{status.reasons[0]}; it is made again.")
        discard(found.folder)


def _record(run: _Run, outcome: Outcome) -> Dict[str, Any]:
    return {
        "environment": run.runner.environment,
        "runner": run.runner.name,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.started)),
        "seconds": round(time.time() - run.started, 1),
        "recipe": run.status.recipe,
        "metrics": outcome.metrics,
        "warnings": outcome.warnings,
        "tools": dict(run.tools),
    }


def metric_words(metrics: Mapping[str, Any]) -> str:
    """The single figures of an artifact in one line, such as `images 240, boxes 471`."""
    single = {name: value for name, value in metrics.items() if not isinstance(value, (dict, list))}
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in single.items()
    )


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
