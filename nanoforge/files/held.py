"""Folders that a command holds while it runs; what a killed one left is told from what is in use by a lock on it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

PREFIX = "held-"


@contextmanager
def held_folder(parent: Path) -> Iterator[Path]:
    """A new folder below ``parent``, gone at the end; those that killed commands left there are removed first."""
    parent.mkdir(parents=True, exist_ok=True)
    with _held(parent, fcntl.LOCK_EX):
        for left in parent.glob(f"{PREFIX}*"):
            _remove_if_left(left)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # The system lets go of it when this process ends, in any way.
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(descriptor)


@contextmanager
def _held(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _remove_if_left(folder: Path) -> None:
    try:
        with _held(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _remove(folder)
    except OSError:
        # Another command holds it, or has just removed it.
        return


def _remove(folder: Path) -> None:
    """Remove a folder, whatever permissions were taken away in it."""
    for base, names, _ in os.walk(folder):
        for path in (os.path.join(base, name) for name in names):
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
