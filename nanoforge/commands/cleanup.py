"""Room on the disk: `clean` removes what was built, `gc` what nothing needs any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

from rich.filesize import decimal
from rich.prompt import Confirm

from nanoforge.commands.options import StageOptions
from nanoforge.commands.status import all_statuses
from nanoforge.containers import tunnel
from nanoforge.containers.leftovers import remove_leftovers
from nanoforge.errors import BadInput
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import STAGES, stage_called
from nanoforge.store.store import discard


def clean(config: str, stage: str, yes: bool) -> None:
    """Remove a stage's artifacts, or everything that was built; asks first unless ``yes``."""
    project = StageOptions(config).project()
    with project.locked():
        folders = [project.store.stage_folder(name) for name in ([stage_called(stage).name] if stage else STAGES)]
        found = [folder for folder in folders if folder.is_dir()]
        size = sum(_size(folder) for folder in found)
        if not found:
            project.console.say("There is nothing to remove.")
        elif yes or Confirm.ask(f"Remove {decimal(size)} in {project.build}?"):
            for folder in found:
                discard(folder)
            project.console.good(f"removed {decimal(size)}")


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
        size = sum(_size(folder) for folder in unused)
        for folder in unused:
            project.console.say(f"{'would remove' if dry_run else 'removing'} {folder}")
            if not dry_run:
                discard(folder)
        project.console.say(f"{decimal(size)} {'could be freed' if dry_run else 'freed'}")
        tunnel.sweep()
        daemon = project.placement.usual_daemon()
        if daemon:
            remove_leftovers(daemon, project.owner, dry_run, project.console.say)


def _gc_far(project: Project, host: str, dry_run: bool) -> None:
    if host not in project.config.hosts:
        raise BadInput(f"--host {host}: detector.toml has no [hosts.{host}].")
    with project.locked():
        remove_leftovers(project.placement.daemon(host), project.owner, dry_run, project.console.say)


def _unused(project: Project) -> List[Path]:
    found = all_statuses(project)
    kept = {status.artifact.folder for status in found if status.artifact}
    kept |= {latest.folder for latest in map(project.store.latest, STAGES) if latest}
    kept |= {project.store.work_folder(status.stage.name, status.fingerprint) for status in found if status.recipe}
    folders = [*(artifact.folder for artifact in project.store.artifacts()), *project.store.leftovers()]
    resolved = {folder.resolve() for folder in kept}
    return [folder for folder in folders if folder.resolve() not in resolved]


def _size(folder: Path) -> int:
    return sum(os.lstat(os.path.join(base, name)).st_size for base, _, names in os.walk(folder) for name in names)
