"""Which files of a folder count, and the walk that finds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple


class Selection(NamedTuple):
    """Which files of a folder count: those with one of the suffixes (empty: all) and the name's beginning."""

    suffixes: Tuple[str, ...] = ()
    prefix: str = ""

    def takes(self, name: str) -> bool:
        return name.startswith(self.prefix) and (not self.suffixes or name.lower().endswith(self.suffixes))


ALL_FILES = Selection()


class FileStat(NamedTuple):
    """One file as a directory walk sees it: path relative to the root, bytes, nanoseconds, inode."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str, stat: os.stat_result) -> FileStat:
        return cls(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def walk(root: Path, selection: Selection = ALL_FILES) -> List[FileStat]:
    """Every selected regular file at or below ``root``, sorted by path; hidden ones are left out."""
    if root.is_file():
        return [FileStat.of(root.name, root.stat())]
    return sorted(_walk_folder(str(root), "", selection))


def _walk_folder(folder: str, prefix: str, selection: Selection) -> Iterator[FileStat]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk_folder(entry.path, f"{prefix}{entry.name}/", selection)
            elif selection.takes(entry.name) and entry.is_file():
                yield FileStat.of(prefix + entry.name, entry.stat())
