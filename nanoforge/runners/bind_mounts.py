"""A stage's folders as its container sees them, where the daemon sees this machine's files: they are mounted."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from nanoforge.containers.compose import Service
from nanoforge.containers.daemon import Container, Folder
from nanoforge.errors import BadInput
from nanoforge.files.paths import HOME
from nanoforge.files.selection import Selection
from nanoforge.runners.contract import Listener, StageInput, StageRun
from stages.files import walk

INPUTS, OUTPUT, SCRATCH = "/nanoforge/inputs", "/nanoforge/output", "/nanoforge/scratch"
JOB = "/nanoforge/job.json"


class BindMounts:
    """The folders of one run; while it is entered, the container's user may write output and scratch.

    Attributes:
        done_before: whether an earlier try came to its end, so that only its output is missing; never so here.
        job_path: the job file in the container.
        mounts: what the container sees.
    """

    done_before = False
    job_path = JOB

    def __init__(self, run: StageRun, container: Container, cpus: int) -> None:
        self._container = container
        self._run = run
        self._cpus = cpus
        self._job_file = run.log.with_suffix(".json")
        self.mounts = [
            *declared_folders(container.service),
            *(Folder(str(run.inputs[name].path.resolve()), place) for name, place in job_inputs(run).items()),
            Folder(str(self._job_file), JOB),
            Folder(str(run.output), OUTPUT, read_only=False),
            Folder(str(run.scratch), SCRATCH, read_only=False),
        ]

    def __enter__(self) -> BindMounts:
        run = self._run
        for name, source in run.inputs.items():
            _refuse_links_outside(name, source)
            _refuse_roots_own(name, source.path)
        self._job_file.write_text(run.job(job_inputs(run), OUTPUT, SCRATCH, self._cpus), encoding="utf-8")
        self._job_file.chmod(0o644)  # whatever the umask says, the container's user reads it
        self._hand_to(_user_of(self._container))
        return self

    def __exit__(self, *_: object) -> None:
        self._hand_to((os.getuid(), os.getgid()))

    def head(self, service: str, container: Container) -> List[str]:
        """The log's first lines: the command that does the same by hand."""
        compose = ["docker-compose", "-f", str(HOME / "compose.yml"), "run", "--rm"]
        stays = [folder for folder in container.folders if folder.read_only][len(container.service.volumes) :]
        mounts = [f"{folder.source}:{folder.target}:ro" for folder in stays]
        changes = [f"OUT:{OUTPUT}", f"SCRATCH:{SCRATCH}"]
        variables = [f"{name}={value}" for name, value in container.environment.items() if name.endswith("THREADS")]
        line = [
            *compose,
            *(word for mount in (*mounts, *changes) for word in ("-v", mount)),
            *(word for variable in variables for word in ("-e", variable)),
            service,
            *container.command,
        ]
        user, group = _user_of(container)
        return [
            f"# By hand (OUT and SCRATCH: new folders, as absolute paths, that user {user} may write):",
            f"# NANOFORGE_UID={user} NANOFORGE_GID={group} {' '.join(shlex.quote(word) for word in line)}",
        ]

    def bring_back(self, _listener: Listener) -> None:
        """Nothing to do: the output is in its folder already."""

    def _hand_to(self, owner: Tuple[int, int]) -> None:
        give([self._run.output, self._run.scratch], owner)


def give(folders: Sequence[Path], owner: Tuple[int, int]) -> None:
    """Give folders to the container's user, or back to the caller. Only root can, and only root has to."""
    if os.getuid() != 0:
        return
    for folder in folders:
        for base, _, names in os.walk(folder):
            for name in (".", *names):
                os.chown(os.path.join(base, name), *owner, follow_symlinks=False)


def declared_folders(service: Service) -> List[Folder]:
    """The folders that compose.yml mounts into the service, such as the stages' code."""
    return [_declared(text) for text in service.volumes]


def _declared(text: str) -> Folder:
    parts = text.split(":")
    if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"]):
        raise BadInput(f"compose.yml: volume {text!r}: expected FOLDER:PLACE or FOLDER:PLACE:ro.")
    return Folder(str((HOME / Path(parts[0]).expanduser()).resolve()), parts[1], read_only=len(parts) == 3)


def input_place(name: str, path: Path) -> str:
    """Where an input is in the container: a folder under its name, a file under its own name inside that."""
    return f"{INPUTS}/{name}/{path.name}" if path.is_file() else f"{INPUTS}/{name}"


def _user_of(container: Container) -> Tuple[int, int]:
    user, group = container.service.user.split(":")
    return int(user), int(group)


def _refuse_links_outside(name: str, source: StageInput) -> None:
    """A link that leads out of a mounted folder leads nowhere in the container: say so before the stage stumbles."""
    found = _link_outside(os.path.realpath(source.path), source.selection)
    if found:
        raise BadInput(
            f"The {name} hold {found}, a link to {os.readlink(found)}, which leads nowhere in a container: put the file"
            " itself there, make the link relative, or use --runner local."
        )


def _refuse_roots_own(name: str, path: Path) -> None:
    """What only root may read, no container can: none of them is root."""
    readable = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    if os.getuid() == 0 and path.stat().st_mode & readable != readable:
        raise BadInput(
            f"The {name} at {path} can be read by root only, and containers never run as root: chmod -R a+rX {path}, or"
            " use --runner local."
        )


def _link_outside(root: str, selection: Selection) -> Optional[str]:
    """The first link among what counts that leads out of ``root``."""
    links = (os.path.join(root, link) for link in walk(root).links)
    counting = (link for link in links if os.path.isdir(link) or selection.takes(os.path.basename(link)))
    return next((link for link in counting if _leads_outside(link, root)), None)


def _leads_outside(link: str, root: str) -> bool:
    """An absolute link does even where its goal is inside, because the folder is in another place in the container."""
    return os.path.isabs(os.readlink(link)) or not os.path.realpath(link).startswith(root + os.sep)


def known_paths(run: StageRun) -> Dict[str, str]:
    """Paths in the container -> the same here, as the user knows them."""
    inputs = {place: str(run.inputs[name].path) for name, place in job_inputs(run).items()}
    return {**inputs, OUTPUT: str(run.output), SCRATCH: str(run.scratch)}


def job_inputs(run: StageRun) -> Dict[str, str]:
    """Input name -> its place in the container."""
    return {name: input_place(name, source.path) for name, source in run.inputs.items()}
