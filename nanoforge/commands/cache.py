"""`gc --cache`: room in the folder that all projects share."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Iterator, Optional

import psutil
from rich.filesize import decimal

from nanoforge.console import Console
from nanoforge.files.atomic import MAKING, held_if_free, lock_of, remove
from nanoforge.files.disks import size_of_folder
from nanoforge.files.paths import cache_folder, cache_in_use
from nanoforge.runners.host_environment import READY

UNUSED_DAYS = 30
_DAY_S = 86400
# What is Nanoforge's in there: the cache may be a folder that the user keeps other things in (NANOFORGE_CACHE).
OWN = {
    "environments": re.compile(rf"\.?[a-z0-9-]+-[0-9a-f]{{16}}(-[a-z-]+-[0-9a-f]{{12}})?({re.escape(MAKING)}|\.\d+)?"),
    "checkpoints": re.compile(rf"\.?[0-9a-f]{{64}}({re.escape(MAKING)})?"),
}


def collect(dry_run: bool) -> None:
    """Remove environments and checkpoints that nothing used for a month, and what killed processes left half-made.

    All of it is made again when something needs it. What is used or made at this moment stays.
    """
    console = Console()
    freed = 0
    with cache_in_use():
        for folder in _candidates():
            why = _why_unneeded(folder)
            with held_if_free(lock_of(_whole(folder))) as free:
                # Once more: it may have been made, or used, before the lock was had.
                if not why or not free or why != _why_unneeded(folder):
                    continue
                size = size_of_folder(folder)
                console.say(f"{'would remove' if dry_run else 'removing'} {folder} ({decimal(size)}, {why})")
                if not dry_run:
                    (folder / READY).unlink(missing_ok=True)  # so that no half of it can be taken for the whole
                    remove(folder)
                freed += size
    console.say(f"{decimal(freed)} {'could be freed' if dry_run else 'freed'} in {cache_folder()}")


def _candidates() -> Iterator[Path]:
    for room, own in OWN.items():
        folder = cache_folder() / room
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if own.fullmatch(path.name) and path.is_dir())


def _whole(path: Path) -> Path:
    """What a folder is or was to become: its lock is held by who makes it."""
    return path.with_name(path.name[1 : -len(MAKING)]) if path.name.endswith(MAKING) else path


def _why_unneeded(path: Path) -> Optional[str]:
    """Why nobody will miss it, or None."""
    if path.name.endswith(MAKING) or (path.parent.name == "environments" and not (path / READY).is_file()):
        return "half-made"
    mark = path / READY if (path / READY).is_file() else path
    days = (time.time() - mark.stat().st_mtime) / _DAY_S
    return f"not used for {days:.0f} days" if days > UNUSED_DAYS and not _runs(path) else None


def _runs(environment: Path) -> bool:
    """Whether a process has it as its environment, such as a training that takes longer than a month."""
    if Path(sys.prefix) == environment:
        return True
    programs = (process.info["cmdline"] for process in psutil.process_iter(["cmdline"]))
    return any(words and words[0].startswith(f"{environment}{os.sep}") for words in programs)
