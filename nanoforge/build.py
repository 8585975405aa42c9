"""Walking the plan: every stage that is not fresh runs, in order, and its output becomes an artifact."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, Mapping

from nanoforge import checkpoints, environments, runner
from nanoforge.errors import NanoforgeError, StageFailed
from nanoforge.pipeline import STAGES, upstream
from nanoforge.plan import FRESH, Known, Status, input_digest, input_path, made, note_listings, plan, status_of
from nanoforge.project import Project
from nanoforge.runner import Call, Limits, Outcome
from nanoforge.store import ArtifactFolder, discard


def build(project: Project, target: str) -> ArtifactFolder:
    """Make ``target`` and whatever it needs; what is fresh is not run.

    Returns:
        The artifact of ``target``.

    Raises:
        NanoforgeError: a stage could not run or failed; the artifacts before it stay.
    """
    with project.locked():
        # Where something is to run, every artifact that goes into it is read once more: a flipped bit must not travel.
        thorough = any(status.state != FRESH for status in plan(project, target))
        known: Known = {}
        for name in upstream(target, project.setting):
            status = status_of(project, STAGES[name], known, thorough)
            known[name] = status if status.state == FRESH else _run(project, status, known)
            project.store.use(name, made(known[name]))
            if status.state == FRESH:
                project.console.say(f"{name}: fresh")
        return made(known[target])


def _run(project: Project, status: Status, known: Known) -> Status:
    """Run a stage and publish what it made; returns its status afterwards."""
    stage, console = status.stage, project.console
    console.say(f"{stage.name}: {stage.summary}")
    for reason in status.reasons:
        console.say(f"  because {reason}")
    _set_aside_damaged(project, status)
    if stage.name == "train":
        checkpoints.fetch(project.setting.start)
    try:
        artifact = _make(project, status, known)
    except NanoforgeError as error:
        project.note_failure(stage.name, status.fingerprint, str(error))
        raise
    project.forget_failure(stage.name)
    return Status(stage, FRESH, [], status.recipe, artifact)


def _make(project: Project, status: Status, known: Known) -> ArtifactFolder:
    stage, fingerprint = status.stage, status.fingerprint
    note_listings(project, stage)
    python = environments.ensure(stage.environment, project.console, project.config.runner.python36)
    call = _call(project, status, known, python)
    shutil.rmtree(call.output, ignore_errors=True)
    started = time.time()
    with project.running(stage.name), project.console.bar(stage.name) as bar:
        outcome = runner.run(call, bar.update, project.console.warn)
    _check_inputs(project, status, known)
    record = _record(status, outcome, started, environments.describe(python))
    artifact = project.store.publish(call.output, stage.name, fingerprint, record)
    discard(call.output.parent)
    project.console.good(
        f"{stage.name}: done in {record['seconds']:.0f} s{_in_brackets(metric_words(outcome.metrics))}"
    )
    return artifact


def _call(project: Project, status: Status, known: Known, python: Path) -> Call:
    stage = status.stage
    work = project.store.work_folder(stage.name, status.fingerprint)
    return Call(
        stage=stage.name,
        module=stage.module,
        python=python,
        inputs={name: input_path(source, known) for name, source in stage.inputs(project.setting).items()},
        parameters=stage.parameters(project.setting),
        output=work / "output",
        scratch=work / "scratch",
        log=project.log_file(stage.name, status.fingerprint),
        limits=limits(project.config.runner.cpus, project.config.runner.memory_mb),
    )


def _check_inputs(project: Project, status: Status, known: Known) -> None:
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


def limits(cpus: int, memory_mb: int) -> Limits:
    """The limits of a stage; no ``cpus`` means every processor that this process may use."""
    available = len(os.sched_getaffinity(0))
    return Limits(min(cpus or available, available), memory_mb)


def _set_aside_damaged(project: Project, status: Status) -> None:
    found = project.store.find(status.stage.name, status.fingerprint) if status.recipe else None
    if found:
        project.console.warn(f"{status.reasons[0]}; it is made again.")
        discard(found.folder)


def _record(status: Status, outcome: Outcome, started: float, tools: Mapping[str, str]) -> Dict[str, Any]:
    return {
        "environment": status.stage.environment,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "recipe": status.recipe,
        "metrics": outcome.metrics,
        "warnings": outcome.warnings,
        "tools": dict(tools),
    }


def metric_words(metrics: Mapping[str, Any]) -> str:
    """The single figures of an artifact in one line, such as `images 240, boxes 471`."""
    single = {name: value for name, value in metrics.items() if not isinstance(value, (dict, list))}
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in single.items()
    )


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
