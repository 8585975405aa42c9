"""How full the disk is that a folder is on."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

FULL = {errno.ENOSPC, errno.EDQUOT}
# The system's words, and those that stages/system_errors.py makes of them.
WORDS = (*(os.strerror(number).lower() for number in FULL), "the disk is full", "(quota) is used up")


class Disk(NamedTuple):
    """Where a disk is mounted, and the bytes that are free on it."""

    mount: Path
    free: int


def disk_of(path: Path) -> Disk:
    """The disk that holds ``path``, or would hold it."""
    there = Path(os.path.realpath(path))
    while not there.exists():
        there = there.parent
    mount = there
    while not os.path.ismount(mount):
        mount = mount.parent
    return Disk(mount, shutil.disk_usage(there).free)


def tells_of_full_disk(text: str) -> bool:
    """Whether a stage's words are those for a full disk or quota."""
    return any(words in text.lower() for words in WORDS)


def size_of_folder(folder: Path) -> int:
    """The bytes of all files below ``folder``; of links their own."""
    return sum(os.lstat(os.path.join(base, name)).st_size for base, _, names in os.walk(folder) for name in names)
