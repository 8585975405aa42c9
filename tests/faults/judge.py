"""What must hold after every fault, whatever it was; each function raises AssertionError where it does not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

import psutil

TRACEBACK = "Traceback (most recent call last)"
EXIT_CODES = (0, 1, 2, 3, 130)
LAST_LINES = 4
PATIENCE_S = 60.0  # a stage that is asked to end has ten seconds, on a machine that does other things too
# Of a build folder: what tells how it went, not what was made.
NOT_MADE = ("logs", "cache", "failures", "lock", "holder.json", ".nanoforge-build")
ASIDE = re.compile(r"^\.|^work-|\.part$|\.new$|\.tmp$|\.\d+$")


class Done(NamedTuple):
    """A command that has ended; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last lines that a user sees."""
        return "\n".join([line for line in (self.err or self.out).splitlines() if line.strip()][-LAST_LINES:])

    def __str__(self) -> str:
        return f"exit code {self.code}, last lines: {self.last or '(none)'}"


def told(done: Done, codes: Sequence[int] = EXIT_CODES, names: Iterable[str] = ()) -> None:
    """It ended with one of the codes, no traceback, and if it failed, its last lines hold one of ``names``."""
    said = done.out + done.err
    assert TRACEBACK not in said, f"a traceback: {said[said.index(TRACEBACK) :].strip().splitlines()[-1]}"
    assert done.code in codes, str(done)
    if done.code in EXIT_CODES[1:]:
        assert done.last, f"exit code {done.code} and not a word"
        wanted = list(names)
        assert not wanted or any(name in done.last for name in wanted), f"names none of {wanted}: {done}"


def listing(folder: Path, without: Sequence[str] = ()) -> Dict[str, str]:
    """Every entry below a folder: what it is, and a file's digest or a link's target."""
    found: Dict[str, str] = {}
    for base, folders, names in os.walk(folder):
        if Path(base) == folder:
            folders[:] = [name for name in folders if name not in without]
            names = [name for name in names if name not in without]
        for name in (*folders, *names):
            path = Path(base, name)
            found[str(path.relative_to(folder))] = _what(path)
    return found


def _what(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    if path.is_dir():
        return "folder"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "special"


def users_files(project: Path) -> Dict[str, str]:
    """What in a project's folder is the user's own: all but ``build/``."""
    return listing(project, without=["build"])


def same(before: Dict[str, str], after: Dict[str, str], what: str) -> None:
    """Nothing came, went or changed."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    assert not names, f"{what}: {len(names)} differ, such as {names[:4]}"


def made(project: Path) -> List[str]:
    """What a build folder holds that a stage made, by names: two equal histories make equal ones."""
    entries = listing(project / "build", without=NOT_MADE)
    return sorted({_nameless(name) for name in entries})


def _nameless(name: str) -> str:
    """TensorFlow names its event files by the time and the process."""
    return re.sub(r"events\.out\.[^/]*", "events", name)


def aside(folder: Path) -> List[str]:
    """What looks like half-made work below a folder; locks are meant to stay."""
    return sorted(
        name for name in listing(folder) if any(map(ASIDE.search, Path(name).parts)) and not name.endswith(".lock")
    )


def nothing_aside(project: Path, template: Path) -> None:
    """Beside what stages made there is nothing that a project without any fault does not have too."""
    usual = {re.sub(r"\d+", "0", name) for name in aside(template / "build")}
    left = [name for name in aside(project / "build") if re.sub(r"\d+", "0", name) not in usual]
    assert not left, f"left behind: {left[:4]}"


def empty(folder: Path, what: str) -> None:
    found = sorted(os.listdir(folder))
    assert not found, f"left behind in {what}: {found[:4]}"


def record(project: Path, stage: str) -> Dict[str, Any]:
    """The record of a stage's artifact, which must be there and whole."""
    path = project / "build" / stage / "record.json"
    assert path.is_file(), f"there is no {path.relative_to(project)}"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def equal(project: Path, template: Path, stage: str) -> None:
    """The stage made what it made where nothing went wrong."""
    mine, theirs = record(project, stage), record(template, stage)
    for name, entry in mine["files"].items():
        content = (project / "build" / stage / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], f"{stage}: {name} is not what its record says"
    if stage in UNEQUAL:
        UNEQUAL[stage](project / "build" / stage, template / "build" / stage)
    else:
        differing = [name for name in theirs["files"] if mine["files"].get(name) != theirs["files"][name]]
        assert mine["artifact_digest"] == theirs["artifact_digest"], f"{stage}: {differing[:3]} differ"


def _same_training(mine: Path, theirs: Path) -> None:
    """One that goes on sees its pictures in another order; what it is made of must be the same."""

    def shape(folder: Path) -> Dict[str, Any]:
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        steps = {name: [point["step"] for point in points] for name, points in history.items()}
        checkpoints = json.loads((folder / "checkpoints.json").read_text(encoding="utf-8"))
        listed = [entry["step"] for entry in checkpoints["checkpoints"]]
        names = sorted(path.name for path in (folder / "checkpoints").iterdir())
        return {**steps, "listed": listed, "last": checkpoints["last"], "names": names}

    assert shape(mine) == shape(theirs), f"{shape(mine)} instead of {shape(theirs)}"


UNEQUAL = {"train": _same_training}


def processes(temporary: Path) -> List[psutil.Process]:
    """What was started with that folder for temporary files, which the local runner hands down."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(temporary) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def no_process(temporary: Path) -> None:
    """All that was started has ended, or does so in a minute; what does not is ended here."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        left = processes(temporary)
        if not left:
            return
        time.sleep(0.05)
    words = [" ".join(process.cmdline())[:120] for process in left]
    for process in left:
        process.kill()
    raise AssertionError(f"{len(left)} processes were left, such as {words[0]}")
