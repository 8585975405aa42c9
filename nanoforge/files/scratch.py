"""Folders to work in, gone at the end of a command; those that killed commands left are found and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Tuple

PREFIX = ".nanoforge-"


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new, hidden folder below ``parent`` that nobody else can look into.

    Folders above it are made, and gone again where nothing else came into them. What killed commands of this
    ``name`` left in ``parent`` is removed first.
    """
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent, name)
        folder, lock = _new(parent, name)
        try:
            yield folder
        finally:
            _remove(folder)
            os.close(lock)
    finally:
        for above in made:
            with contextlib.suppress(OSError):  # it holds something now, as it should
                above.rmdir()


def _new(parent: Path, name: str) -> Tuple[Path, int]:
    """The folder, and the descriptor by which it is locked: the system frees it however this process ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-", dir=parent))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with contextlib.suppress(OSError):  # a disk without locks: what is left there stays
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # and not removed by another command between the two
            return folder, lock
        os.close(lock)


def _remove_abandoned(parent: Path, name: str) -> None:
    pattern = re.compile(rf"{re.escape(PREFIX + name)}-[a-z0-9_]{{8}}")
    try:
        found = [folder for folder in parent.iterdir() if pattern.fullmatch(folder.name)]
    except PermissionError:  # a folder that takes files and shows none
        return
    for folder in found:
        lock = _locked(folder)
        if lock is not None:
            _remove(folder)
            os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a folder, whatever permissions were taken away in it."""
    for base, names, _ in os.walk(folder):
        for path in (os.path.join(base, name) for name in names):
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> Optional[int]:
    """A lock on a folder of one's own that nobody holds; None for others, and for links."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
    except OSError:
        pass  # held by a command that runs
    os.close(lock)
    return None
