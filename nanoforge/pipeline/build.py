"""`build`: from the plan to artifacts. ``STEPS`` is what happens to one stage; their order is the scheduler's."""

from __future__ import annotations

import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from nanoforge.errors import StageFailed
from nanoforge.pipeline.aftermath import begin, check_begun
from nanoforge.pipeline.aids import aids
from nanoforge.pipeline.foresight import Question
from nanoforge.pipeline.plan import (
    FRESH,
    Status,
    input_digests,
    input_path,
    made,
    note_listings,
    plan,
    tell_left_out,
)
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.room import check_room
from nanoforge.pipeline.scheduler import Scheduler, StageWork, Step
from nanoforge.pipeline.stages import InputSource, UserFiles, upstream
from nanoforge.runners.contract import EventSink, Outcome, StageInput, StageRun
from nanoforge.store.store import ArtifactFolder

# How a runner's name is shown; others are hosts.
RUNNER_WORDS = {"local": "", "docker": " (in a container)"}


def build(project: Project, target: str) -> ArtifactFolder:
    """Make ``target`` and whatever it needs; what is fresh is not run.

    Returns:
        The artifact of ``target``.

    Raises:
        NanoforgeError: a stage could not run or failed; the artifacts before it stay.
    """
    with project.locked():
        names = upstream(target, project.context)
        project.store.prepare(names)
        _make_images(project, names)
        # Where something is to run, every artifact that goes into it is read once more: a flipped bit must not travel.
        thorough = any(status.state != FRESH for status in plan(project, target))
        statuses = Scheduler(project, names, STEPS, thorough).run()
        _tell_last_look(project, list(statuses.values()))
        return made(statuses[target])


def _make_images(project: Project, names: Sequence[str]) -> None:
    """An image belongs to a recipe, so it has to be there before anything can be planned."""
    for name in names:
        stage = project.stage(name)
        if project.image(stage) == "":
            project.runner(stage).prepare()
    project.placement.sweep(project.owner)


def _tell_last_look(project: Project, statuses: Sequence[Status]) -> None:
    """Between two looks only sizes and times are compared, so the user is told of the oldest."""
    oldest = project.notes.oldest_verification((status.stage.name, status.fingerprint) for status in statuses)
    project.console.say(f"artifacts last read whole: {oldest} (`./run verify` reads them)")


def announce(work: StageWork) -> None:
    """Say what begins, where, and because of what."""
    console, runner = work.project.console, work.runner
    console.say(f"{work.stage.name}: {work.stage.summary}{RUNNER_WORDS.get(runner.name, f' (on {runner.name})')}")
    for reason in work.status.reasons:
        console.say(f"  because {reason}")


def warn_of_damage(work: StageWork) -> None:
    """Say that an artifact is not believed; it stays until another takes its place."""
    store, stage, fingerprint = work.project.store, work.stage.name, work.status.fingerprint
    if store.find(stage, fingerprint) or store.unusable(stage, fingerprint):
        work.project.console.warn(f"{work.status.reasons[0]}; it is made again.")


def fetch_inputs(work: StageWork) -> None:
    """Download what is downloaded only now, remember which files the user's inputs are made of, and tell which not."""
    for source in work.stage.inputs(work.project.context).values():
        if isinstance(source, UserFiles) and source.fetch:
            source.fetch(work.project.console)
    note_listings(work.project, work.stage)
    tell_left_out(work.project, work.stage)


def find_room(work: StageWork) -> None:
    """Refuse what is sure not to fit on the disk; see `room`."""
    check_room(work, _work_folder(work))


def prepare_environment(work: StageWork) -> None:
    """Make the environment, if it is not there, and an empty place for the output."""
    work.runner.prepare()
    begin(_work_folder(work))
    work.started, work.tools = time.time(), work.runner.tools()


def offer_aids(work: StageWork) -> None:
    """Give the stage what may spare it work; see `aids`."""
    work.aids = aids(work, _work_folder(work))


def foresee(work: StageWork) -> Optional[Future[Outcome]]:
    """Ask first whether the stage's work would be in vain, in a thread of its own; see `foresight`."""
    question = Question.of(work, _stage_run(work))
    if question is None or question.was_answered:
        return None
    work.project.console.say(f"  but first: {question.words}")
    return work.pool.submit(question.ask)


def run_program(work: StageWork) -> Future[Outcome]:
    """Run the stage's program in a thread of its own."""
    return work.pool.submit(_run, work, _stage_run(work))


def check_inputs(work: StageWork) -> None:
    """The inputs must still be what the fingerprint says, or the artifact would lie about how it came to be.

    Raises:
        StageFailed: naming those that changed, or the output is not whole.
    """
    check_begun(work.stage.name, _work_folder(work))
    now, then = input_digests(work.project, work.stage, work.before), _recipe(work)["inputs"]
    changed = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
    if changed:
        raise StageFailed(
            f"{work.stage.name}: input {', '.join(changed)} changed while the stage ran, so its output was not kept;"
            " run it again."
        )


def publish(work: StageWork) -> None:
    """Make the output the stage's artifact, with the record of how it came to be."""
    project, record = work.project, _record(work)
    work.artifact = project.store.publish(_work_folder(work) / "output", record)
    project.notes.note_verification(work.stage.name, work.status.fingerprint, sound=True)
    figures = metric_words(work.outcome.metrics)
    project.console.good(f"{work.stage.name}: done in {record['seconds']:.0f} s{f' ({figures})' if figures else ''}")


STEPS: Tuple[Step, ...] = (
    announce,
    warn_of_damage,
    fetch_inputs,
    find_room,
    prepare_environment,
    offer_aids,
    foresee,
    run_program,
    check_inputs,
    publish,
)
"""What happens to a stage that is not fresh."""


def _run(work: StageWork, run: StageRun) -> Outcome:
    project, name = work.project, work.stage.name
    with project.running(name), project.console.bar(name) as bar:
        return work.runner.run(run, EventSink(bar.update, project.console.warn), work.stop)


def _stage_run(work: StageWork) -> StageRun:
    project, stage, fingerprint = work.project, work.stage, work.status.fingerprint
    folder, digests = _work_folder(work), _recipe(work)["inputs"]
    sources = {name: source for name, source in stage.inputs(project.context).items() if name in digests}
    return StageRun(
        stage=stage.name,
        module=stage.module,
        inputs={**{name: _stage_input(work, source, digests[name]) for name, source in sources.items()}, **work.aids},
        parameters=stage.parameters(project.context),
        output=folder / "output",
        scratch=folder / "scratch",
        log=project.log_file(stage.name, fingerprint),
        limits=project.placement.limits,
        work_id=f"{project.owner}/{stage.name}/{fingerprint}",
        owner=project.owner,
    )


def _stage_input(work: StageWork, source: InputSource, digest: str) -> StageInput:
    path = input_path(work.project, source, work.before)
    return StageInput(path, digest, source.selection) if isinstance(source, UserFiles) else StageInput(path, digest)


def _work_folder(work: StageWork) -> Path:
    return work.project.store.work_folder(work.stage.name, work.status.fingerprint)


def _recipe(work: StageWork) -> Dict[str, Any]:
    assert work.status.recipe is not None
    return work.status.recipe


def _record(work: StageWork) -> Dict[str, Any]:
    return {
        "environment": work.runner.environment,
        "runner": work.runner.name,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(work.started)),
        "seconds": round(time.time() - work.started, 1),
        "recipe": work.status.recipe,
        "metrics": work.outcome.metrics,
        "warnings": work.outcome.warnings,
        "tools": dict(work.tools),
        "aids": {name: aid.digest for name, aid in work.aids.items() if aid.digest},
    }


def metric_words(metrics: Mapping[str, Any]) -> str:
    """The single figures of an artifact in one line, such as `images 240, boxes 471`, and its proof."""
    single = {name: value for name, value in metrics.items() if not isinstance(value, (dict, list))}
    words = [f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in single.items()]
    return ", ".join([*words, *([proof_words(metrics["parity"])] if metrics.get("parity") else [])])


def proof_words(parity: Mapping[str, Any]) -> str:
    """How equal a model and its graph are, such as `2000 of 2000 detections equal, scores within 4e-07`."""
    if not parity["detections"]:
        return "heads and boxes equal, nothing was detected"
    others = parity["detections"] - parity["matched"]
    at_an_edge = f" (the other {others}: rounding at a threshold, see parity.json)" if others else ""
    equal = f"{parity['matched']} of {parity['detections']} detections equal{at_an_edge}"
    return f"{equal}, scores within {parity['max_score_diff']:.0e}, boxes to an IoU of {parity['min_iou']:.6g}"
