"""Logs of what belongs to no project: in a folder of the user's own, only the newest of them kept."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from nanoforge.files.paths import cache_folder

KEPT = 20
# What is Nanoforge's in there: the cache may be a folder that the user keeps other things in (NANOFORGE_CACHE).
OWN = re.compile(r"[a-z-]+-[a-z0-9_]{8}\.log")


def new_log(name: str) -> Path:
    """A new, empty file that nobody else can read or put a link in place of, and whose folder is private.

    It lies in the cache or, where that takes nothing, in a folder of its own in the temporary folder.
    """
    try:
        folder = cache_folder() / "logs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_old(folder)
        return _new_file(folder, name)
    except OSError:
        return _new_file(Path(tempfile.mkdtemp(prefix="nanoforge-logs-")), name)


def _new_file(folder: Path, name: str) -> Path:
    descriptor, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".log", dir=folder)
    os.close(descriptor)
    return Path(path)


def _remove_old(folder: Path) -> None:
    # One that another command removes in this moment needs no more removing.
    with contextlib.suppress(OSError):
        own = [log for log in folder.iterdir() if OWN.fullmatch(log.name)]
        logs = sorted(own, key=lambda log: log.stat().st_mtime_ns, reverse=True)
        for log in logs[KEPT - 1 :]:
            for each in (log, log.with_suffix(".json")):
                each.unlink(missing_ok=True)
