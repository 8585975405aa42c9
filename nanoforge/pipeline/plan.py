"""The plan: for every stage, whether its artifact is there already, and if not, because of what."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional

from nanoforge.errors import BadInput, DaemonLost, EnvironmentNotReady, NanoforgeError
from nanoforge.files.listings import changed_files, save_listing
from nanoforge.files.selection import left_out_words
from nanoforge.pipeline import fingerprint as fingerprints
from nanoforge.pipeline.fingerprint import RECIPE_VERSION, WHAT_CHANGED
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import ArtifactIfMade, ArtifactInput, InputSource, Stage, UserFiles, upstream
from nanoforge.store.store import ArtifactFolder, UnusableArtifact

FRESH, STALE, MISSING, FAILED, RUNNING, UNKNOWN = "fresh", "stale", "missing", "failed", "running", "unknown"


@dataclass
class Status:
    """What is known of one stage before it runs.

    Attributes:
        recipe: None where an input is not made yet, or where it runs does not answer, so that nobody can know.
        artifact: the fresh artifact, or the one that the stage made last.
        reasons: why it would run, or cannot be known; empty when fresh.
        problem: why it cannot be known, for a command that needs it.
    """

    stage: Stage
    state: str
    reasons: List[str] = field(default_factory=list)
    recipe: Optional[Dict[str, Any]] = None
    artifact: Optional[ArtifactFolder] = None
    problem: Optional[NanoforgeError] = None

    @property
    def fingerprint(self) -> str:
        assert self.recipe is not None
        return fingerprints.fingerprint(self.recipe)


Statuses = Dict[str, Status]


def plan(project: Project, target: str) -> List[Status]:
    """The status of ``target`` and of every stage before it, in the order in which they run."""
    return statuses(project, upstream(target, project.context))


def statuses(project: Project, names: Iterable[str]) -> List[Status]:
    """The statuses of stages that come in the order in which they run."""
    before: Statuses = {}
    with project.digests.snapshot():
        for name in names:
            before[name] = status_of(project, project.stage(name), before)
    return list(before.values())


def status_of(project: Project, stage: Stage, before: Statuses, thorough: bool = False) -> Status:
    """The status of ``stage``, given that of the stages before it; ``thorough`` reads its artifact's files again."""
    try:
        project.placement.check_machine(stage.name, stage.environment)
    except EnvironmentNotReady as error:
        return _before_its_recipe(project, stage, [str(error)], error)
    inputs = stage.inputs(project.context)
    sources = {source.stage for source in inputs.values() if isinstance(source, ArtifactInput)}
    unmade = sorted(name for name in sources if before[name].state != FRESH)
    if unmade:
        reasons = [f"it needs {_state_words(before[name])}" for name in unmade]
        problems = [before[name].problem for name in unmade]
        return _before_its_recipe(project, stage, reasons, next(filter(None, problems), None))
    try:
        image = project.image(stage)
    except (EnvironmentNotReady, DaemonLost) as error:
        return _before_its_recipe(project, stage, [f"it cannot be known: {error}"], error)
    if image == "":
        unbuilt = f"the image of environment {stage.environment} is not built yet, or older than docker/"
        return _before_its_recipe(project, stage, [unbuilt])
    try:
        digests = input_digests(project, stage, before)
    except BadInput as error:
        return _before_its_recipe(project, stage, [f"it cannot be known: {error}"], error)
    recipe = fingerprints.recipe(stage, stage.parameters(project.context), digests, image)
    return _status_of_recipe(project, stage, recipe, thorough)


def _state_words(status: Status) -> str:
    name = status.stage.name
    return f"{name}, of which nothing can be known" if status.state == UNKNOWN else f"{name}, which is {status.state}"


def _before_its_recipe(
    project: Project, stage: Stage, reasons: List[str], problem: Optional[NanoforgeError] = None
) -> Status:
    """The status of a stage whose recipe nobody can know yet; with a ``problem``, not even whether it would run."""
    linked = project.store.linked(stage.name)
    latest = linked if isinstance(linked, ArtifactFolder) else None
    state = UNKNOWN if problem else STALE if linked else MISSING
    return Status(stage, state, [*_moved(latest), *_unusable(linked), *reasons], None, latest, problem)


def _status_of_recipe(project: Project, stage: Stage, recipe: Dict[str, Any], thorough: bool) -> Status:
    fingerprint = fingerprints.fingerprint(recipe)
    found = project.store.find(stage.name, fingerprint)
    damage = _damage(project, found, thorough) if found else None
    if found and not damage:
        return Status(stage, FRESH, [], recipe, found)
    if found:
        return Status(stage, STALE, [f"its artifact {found.folder} is damaged: {damage}"], recipe, found)
    linked = project.store.linked(stage.name)
    latest = linked if isinstance(linked, ArtifactFolder) else None
    unusable = project.store.unusable(stage.name, fingerprint) or linked
    failure = project.notes.failure(stage.name, fingerprint)
    if failure is not None:
        return Status(stage, FAILED, [f"its last run failed: {failure}"], recipe, latest)
    reasons = _unusable(unusable)
    if latest and not reasons:
        note_listings(project, stage)
        reasons = list(differences(project, latest.recipe, recipe)) or ["its artifact is no longer there"]
    return Status(stage, STALE if reasons else MISSING, reasons or ["it was never made"], recipe, latest)


def _damage(project: Project, artifact: ArtifactFolder, thorough: bool) -> Optional[str]:
    """What is wrong with an artifact's files; all are read where ``thorough``, or where `verify` found one damaged."""
    name, fingerprint = str(artifact.record["stage"]), artifact.fingerprint
    seen = project.notes.verification(name, fingerprint)
    whole = thorough or (seen is not None and not seen.sound)
    damage = project.store.damage(artifact, whole)
    if whole:
        project.notes.note_verification(name, fingerprint, damage is None)
    return damage


def _unusable(found: Any) -> List[str]:
    """Why what lies at the artifact's place is not used, if something does."""
    return [f"its artifact {found.folder} {found.why}"] if isinstance(found, UnusableArtifact) else []


def _moved(latest: Optional[ArtifactFolder]) -> List[str]:
    """What is known of an artifact of another Nanoforge even before its recipe can be compared."""
    return [WHAT_CHANGED] if latest and latest.recipe.get("version") != RECIPE_VERSION else []


def made(status: Status) -> ArtifactFolder:
    """The artifact of a fresh stage."""
    assert status.state == FRESH and status.artifact is not None
    return status.artifact


def input_path(project: Project, source: InputSource, before: Statuses) -> Path:
    """Where an input is; only for one that is there."""
    if isinstance(source, UserFiles):
        return source.path
    if isinstance(source, ArtifactIfMade):
        return _present(if_made(project, source, before)).folder
    folder = made(before[source.stage]).folder
    return folder / source.part if source.part else folder


def input_digests(project: Project, stage: Stage, before: Statuses) -> Dict[str, str]:
    """The digest of each input's contents, of those that there are; only for stages whose inputs are all made.

    Raises:
        BadInput: a file or folder that the user names is not there, or cannot be read.
    """
    inputs = stage.inputs(project.context).items()
    digests = {name: _input_digest(project, source, before, name) for name, source in inputs}
    return {name: digest for name, digest in digests.items() if digest}


def if_made(project: Project, source: ArtifactIfMade, before: Statuses) -> Optional[ArtifactFolder]:
    """The artifact that was made last, if it is whole and was made of what is fresh."""
    artifact = project.store.latest(source.stage)
    if artifact is None or project.store.damage(artifact, thorough=False):
        return None
    *between, first = source.made_of
    used = artifact
    for stage in between:
        linked = project.store.latest(stage)
        if linked is None or linked.digest not in used.recipe["inputs"].values():
            return None
        used = linked
    return artifact if made(before[first]).digest in used.recipe["inputs"].values() else None


def _present(artifact: Optional[ArtifactFolder]) -> ArtifactFolder:
    assert artifact is not None
    return artifact


def _input_digest(project: Project, source: InputSource, before: Statuses, name: str) -> str:
    if isinstance(source, ArtifactInput):
        return made(before[source.stage]).digest
    if isinstance(source, ArtifactIfMade):
        found = if_made(project, source, before)
        return found.digest if found else ""
    if source.digest:
        return source.digest
    if not os.path.exists(source.path):
        raise BadInput(
            f"The {name} are not there: {source.path} does not exist; {source.key} in detector.toml names it."
        )
    try:
        return project.digests.folder_digest(source.path, source.selection)
    except OSError as error:
        raise BadInput(
            f"The {name} cannot be read: {error.filename}: {error.strerror}; {source.key} in detector.toml names it."
        ) from None


def tell_left_out(project: Project, stage: Stage) -> None:
    """Say what does not count among the user's inputs of the stage although it is in their folders."""
    for source in stage.inputs(project.context).values():
        words = left_out_words(source.path) if isinstance(source, UserFiles) and not source.digest else None
        if words:
            project.warn_once(words)


def note_listings(project: Project, stage: Stage) -> None:
    """Remember which files the user's inputs of the stage are made of, to name those that change."""
    for source in stage.inputs(project.context).values():
        if isinstance(source, UserFiles) and not source.digest:
            listing = project.digests.listing(source.path, source.selection)
            save_listing(project.build, listing.digest, listing.files())


def differences(project: Project, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Every way in which two recipes of a stage differ, as sentences."""
    for name, before, after in _changes(old["parameters"], new["parameters"]):
        yield f"parameter {name} changed from {before} to {after}"
    for name in sorted({*old["inputs"], *new["inputs"]}):
        yield from _input_difference(project, name, old["inputs"].get(name), new["inputs"].get(name))
    if old["version"] != new["version"]:
        yield WHAT_CHANGED
    else:
        for name, before, after in _changes(old["code"], new["code"]):
            yield f"code {name} was {_verb(before, after)}"
    if old.get("image") != new.get("image"):
        yield f"it was made {_image_words(old.get('image'))}, and would be made {_image_words(new.get('image'))}"
    for name, before, after in _changes(old["locks"], new["locks"]):
        yield f"environment lock {name} was {_verb(before, after)}"


def _image_words(image: Optional[str]) -> str:
    return f"in image {image.split(':')[-1][:12]}" if image else "in a virtual environment"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Any]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _verb(before: Any, after: Any) -> str:
    return "added" if before is None else "removed" if after is None else "changed"


def _input_difference(project: Project, name: str, before: Optional[str], after: Optional[str]) -> Iterator[str]:
    if before == after:
        return
    words = changed_files(project.build, before, after)
    yield f"input {name} changed: {words}" if words else f"input {name} was {_verb(before, after)}"
