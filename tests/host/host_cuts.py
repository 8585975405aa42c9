"""Cuts a piece of work at its n-th change of the disk: as a kill would, or as a disk that takes no more."""

import errno
import os
import sys
from contextlib import contextmanager
from pathlib import Path

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "os.link", "os.truncate"}


class Killed(BaseException):
    """Nothing runs after it: every later change of the disk is refused as well."""


class Cut:
    """Counts the changes below ``root`` and refuses from the ``at``-th on (a kill), or that one alone (an error)."""

    def __init__(self, root: Path, at: int, kill: bool) -> None:
        self._root = str(root)
        self._at = at
        self._kill = kill
        self.changes = 0

    def hear(self, event, arguments):
        if event == "open" and not _writes(*arguments):
            return
        if event in CHANGES or event in ("open", "os.fsync"):
            path = os.fspath(arguments[0]) if not isinstance(arguments[0], int) else self._root
            # What is removed piece by piece goes by names in folders that are open.
            if not os.path.isabs(path) or path.startswith(self._root):
                self._change(path)

    def _change(self, path):
        self.changes += 1
        if self._kill and self.changes >= self._at:
            raise Killed
        if self.changes == self._at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _writes(_path, mode, flags):
    return any(letter in (mode or "") for letter in "wax+") or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


_listening = []
sys.addaudithook(lambda event, arguments: _listening[-1].hear(event, arguments) if _listening else None)


@contextmanager
def cutting(monkeypatch, root, at, kill):
    """Inside, changes below ``root`` are counted, and cut at number ``at``; 0: never."""
    cut = Cut(root, at or sys.maxsize, kill)
    with monkeypatch.context() as patch:
        # The one change that Python's audit does not tell of; what it does for a power cut no test can see.
        patch.setattr(os, "fsync", lambda number: cut.hear("os.fsync", (number,)))
        _listening.append(cut)
        try:
            yield cut
        finally:
            _listening.pop()


def every_cut(monkeypatch, root, kill, work):
    """Do ``work`` with a cut at the first change, then at the second …, until it ends uncut; yields after each."""
    at = 0
    while True:
        at += 1
        with cutting(monkeypatch, root, at, kill) as cut:
            try:
                work()
            except (Killed, OSError):
                pass
        yield at
        if cut.changes < at:
            return
