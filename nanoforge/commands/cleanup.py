"""Room on the disk: `clean` removes what was built, `gc` what nothing needs any more."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import List, Sequence

from rich.filesize import decimal
from rich.prompt import Confirm

from nanoforge.commands.options import StageOptions
from nanoforge.commands.status import all_statuses
from nanoforge.commands.trial import in_a_trial
from nanoforge.containers import tunnel
from nanoforge.containers.leftovers import remove_leftovers
from nanoforge.errors import BadInput
from nanoforge.files.disks import size_of_folder
from nanoforge.files.scratch import PREFIX
from nanoforge.pipeline.plan import FRESH, UNKNOWN
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import STAGES, stage_called
from nanoforge.store.folders import DISCARDED, WORK, discard

A_DAY_S = 24 * 3600


def clean(config: str, stage: str, yes: bool) -> None:
    """Remove a stage's artifacts, or everything that was built, a trial too; lists it, and asks first unless ``yes``.

    Raises:
        BadInput: it would ask, and there is nobody to answer.
    """
    _clean(StageOptions(config).project(), stage, yes)
    trial = in_a_trial(StageOptions(config)).project()
    if not stage and trial.build.is_dir():
        _clean(trial, "", yes)


def _clean(project: Project, stage: str, yes: bool) -> None:
    store, console = project.store, project.console
    with project.locked():
        names = [stage_called(stage).name] if stage else store.folders.stages()
        found = [folder for name in names for folder in store.folders.own(name)]
        _tell_what_stays(project)
        if not found:
            console.say("There is nothing to remove.")
            return
        size = _tell(project, "is removed" if yes else "would be removed", found)
        if not yes and not _agreed(f"Remove {decimal(size)}?"):
            return
        for folder in found:
            discard(folder)
        for name in names:
            store.folders.drop_empty(name)
            store.forget_lost(name)
        console.good(f"removed {decimal(size)}")


def gc(config: str, dry_run: bool, host: str) -> None:
    """Remove artifacts that are neither current nor the last of their stage, and work folders nobody goes on with.

    On daemons: the containers of commands that were killed, and the volumes that keep this project's inputs there.
    """
    project = StageOptions(config).project()
    if host:
        _gc_far(project, host, dry_run)
        return
    with project.locked():
        unused = _unused(project)
        _tell_what_stays(project)
        size = _tell(project, "would be removed" if dry_run else "is removed", unused)
        if not dry_run:
            for folder in unused:
                discard(folder)
            for name in STAGES:
                project.store.forget_lost(name)
        project.console.say(f"{decimal(size)} {'could be freed' if dry_run else 'freed'}")
        tunnel.sweep()
        daemon = project.placement.usual_daemon()
        if daemon:
            remove_leftovers(daemon, project.owner, dry_run, project.console.say)


def _tell_what_stays(project: Project) -> None:
    """What may be Nanoforge's and is not provably this project's is for the user to remove."""
    for folder in project.store.folders.of_earlier_versions():
        project.console.warn(f"{folder} was left by an earlier Nanoforge, and stays: remove it if no project needs it.")


def _tell(project: Project, what: str, folders: Sequence[Path]) -> int:
    """List folders with their sizes; returns the bytes of all."""
    sizes = {folder: size_of_folder(folder) for folder in folders}
    for folder, size in sizes.items():
        project.console.say(f"{what}: {folder} ({decimal(size)})")
    return sum(sizes.values())


def _agreed(question: str) -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        raise BadInput("clean asks before it removes anything, and nobody is there to answer: add --yes.")
    try:
        return Confirm.ask(question)
    except EOFError:
        return False


def _aside(build: Path) -> List[Path]:
    """What killed runs of `preview --running`, which holds no lock, left in the build folder a day ago or earlier."""
    before = time.time() - A_DAY_S
    left = sorted(build.glob(f"{PREFIX}preview-*"))
    return [path for path in left if path.is_dir() and path.stat().st_mtime < before]


def _gc_far(project: Project, host: str, dry_run: bool) -> None:
    if host not in project.config.hosts:
        raise BadInput(f"--host {host}: detector.toml has no [hosts.{host}].")
    with project.locked():
        remove_leftovers(project.placement.daemon(host), project.owner, dry_run, project.console.say)


def _unused(project: Project) -> List[Path]:
    """What neither is of use nor may still be; where that cannot be known, everything is kept, and the user told."""
    store = project.store
    found = all_statuses(project)
    kept = {status.artifact.folder for status in found if status.artifact}
    kept |= {linked.folder for linked in map(store.linked, STAGES) if linked}
    for status in found:
        name, own = status.stage.name, store.folders.own(status.stage.name)
        if status.state == UNKNOWN and own:
            project.console.warn(f"every artifact of {name} is kept: {status.reasons[-1]}")
            kept |= set(own)
        elif status.recipe is None:
            # A training that was interrupted goes on once what it needs is made again.
            kept |= {folder for folder in own if WORK.fullmatch(folder.name)}
        elif status.state != FRESH:
            kept.add(store.work_folder(name, status.fingerprint))
    resolved = {folder.resolve() for folder in kept}
    everything = [folder for stage in store.folders.stages() for folder in store.folders.own(stage)]
    everything += _aside(project.build)
    return [folder for folder in everything if DISCARDED.fullmatch(folder.name) or folder.resolve() not in resolved]
