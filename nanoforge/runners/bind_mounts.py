"""A stage's folders as its container sees them, where the daemon sees this machine's files: they are mounted."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path, PurePosixPath
from typing import Dict, Iterator, List, Sequence, Tuple

from nanoforge.containers.compose import Service
from nanoforge.containers.daemon import Container, Folder
from nanoforge.errors import BadInput
from nanoforge.files.paths import HOME, user_path
from nanoforge.files.selection import Selection
from nanoforge.runners.contract import Listener, StageRun
from stages.files import walk

INPUTS, OUTPUT, SCRATCH = "/nanoforge/inputs", "/nanoforge/output", "/nanoforge/scratch"
JOB = "/nanoforge/job.json"
# Which files of the stages' code count.
CODE = Selection((".py", ".j2", ".html", ".css", ".js"))
ACL = "system.posix_acl_access"


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
        user = _user_of(self._container)
        _check_all(run, self._container.service, user)
        self._job_file.write_text(run.job(job_inputs(run), OUTPUT, SCRATCH, self._cpus), encoding="utf-8")
        self._job_file.chmod(0o644)  # whatever the umask says, the container's user reads it
        # Another user of this machine gets neither to what is written nor into it.
        for closed in {run.output.parent, run.scratch.parent}:
            closed.chmod(0o700)
        self._hand_to(user)
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
        unnameable = next((one.source for one in container.folders if one.read_only and ":" in one.source), "")
        if unnameable:
            return [f"# By hand: not by docker-compose, which cannot mount {unnameable}, because of its colon."]
        return [
            f"# By hand (OUT and SCRATCH: new folders, as absolute paths, that user {user} may write):",
            f"# NANOFORGE_UID={user} NANOFORGE_GID={group} {' '.join(shlex.quote(word) for word in line)}",
        ]

    def bring_back(self, _listener: Listener) -> None:
        """Nothing to do: the output is in its folder already."""

    def bring_findings(self) -> None:
        """Nothing to do: the scratch folder is here."""

    def _hand_to(self, owner: Tuple[int, int]) -> None:
        give([self._run.output, self._run.scratch], owner)


def give(folders: Sequence[Path], owner: Tuple[int, int]) -> None:
    """Give folders to the container's user, or back to the caller. Only root can, and only root has to."""
    if os.getuid() != 0:
        return
    for folder in folders:
        # By open folders, so that nothing that is exchanged for a link meanwhile leads elsewhere.
        for _, subfolders, files, descriptor in os.fwalk(folder):
            os.fchown(descriptor, *owner)
            for name in (*subfolders, *files):
                os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)


def declared_folders(service: Service) -> List[Folder]:
    """The folders that compose.yml mounts into the service, such as the stages' code."""
    return [_declared(text) for text in service.volumes]


def _declared(text: str) -> Folder:
    # A folder's path may hold colons; a place in a container does not.
    parts = re.fullmatch(r"(.+):(/[^:]*)(:ro)?", text, re.DOTALL)
    if not parts:
        raise BadInput(f"compose.yml: volume {text!r}: expected FOLDER:PLACE or FOLDER:PLACE:ro.")
    source, target, read_only = parts.groups()
    return Folder(str((HOME / user_path(source)).resolve()), target, read_only is not None)


def input_place(name: str, path: Path) -> str:
    """Where an input is in the container: a folder under its name, a file under its own name inside that."""
    return f"{INPUTS}/{name}/{path.name}" if path.is_file() else f"{INPUTS}/{name}"


def _user_of(container: Container) -> Tuple[int, int]:
    user, group = container.service.user.split(":")
    return int(user), int(group)


def _check_all(run: StageRun, service: Service, user: Tuple[int, int]) -> None:
    """Whatever the container's user cannot reach is named before the stage stumbles over it, of every tree the first.

    Raises:
        BadInput: a link leads out of what is mounted, or a file or folder that counts may not be read.
    """
    trees = [(f"the {name}", source.path, source.selection) for name, source in run.inputs.items()]
    trees += [("the code of the stages", Path(folder.source), CODE) for folder in declared_folders(service)]
    closed = []
    for what, path, selection in trees:
        found = _first_out_of_reach(what, path.resolve(), selection, user)
        if found:
            closed.append((f"in {what}, {found}", shlex.quote(str(path))))
    if closed:
        raise BadInput(
            f"User {user[0]}, as whom containers run, may not read, {'; '.join(words for words, _ in closed)}:"
            f" chmod -R a+rX {' '.join(path for _, path in closed)}, or use --runner local."
        )


def _first_out_of_reach(what: str, root: Path, selection: Selection, user: Tuple[int, int]) -> str:
    for found, is_link in _entries(root, selection):
        if is_link and _leads_outside(found, str(root)):
            raise BadInput(
                f"In {what}, {found} is a link to {os.readlink(found)}, which leads nowhere in a container: put the"
                " file itself there, make the link relative, or use --runner local."
            )
        if not _may_read(found, user):
            return found
    return ""


def _entries(root: Path, selection: Selection) -> Iterator[Tuple[str, bool]]:
    """The path of each file and folder that counts, and whether it is a link."""
    found = walk(str(root))
    if root.is_file():
        yield str(root), False
        return
    files = {one.path for one in selection.among(found, root)}
    holding = {str(folder) for part in {path.rpartition("/")[0] for path in files} for folder in _and_above(part)}
    links = {*found.links}
    for path in sorted({*files, *holding, *(link for link in links if (root / link).is_dir())}):
        yield str(root / path), path in links


def _and_above(folder: str) -> Tuple[PurePosixPath, ...]:
    return (PurePosixPath(folder), *PurePosixPath(folder).parents)


def _may_read(path: str, user: Tuple[int, int]) -> bool:
    """By its mode; what has finer rules (ACL) is left to the stage to find out."""
    try:
        status = os.stat(path)
    except FileNotFoundError:  # a link that leads nowhere here either
        return True
    needed = 5 if stat.S_ISDIR(status.st_mode) else 4
    digit = 6 if status.st_uid == user[0] else 3 if status.st_gid == user[1] else 0
    return status.st_mode >> digit & needed == needed or ACL in os.listxattr(path)


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
