"""Which files an input was made of, remembered per digest, so that a reason can name the file that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Tuple

from nanoforge.files.lines import NotAsWritten, are_whole, read_lines, write_lines
from stages.files import readable

NAMED_FILES = 5
TELLING_DIGITS = 16  # of a digest: they tell two contents of a file apart, and prove nothing
Files = Iterable[Tuple[str, str]]
"""Paths with their digests, sorted."""


def save_listing(build: Path, digest: str, files: Files) -> None:
    """Remember the files behind an input's digest."""
    path = _listing_file(build, digest)
    if not are_whole(path):
        write_lines(path, (f"{name}\0{contents[:TELLING_DIGITS]}" for name, contents in files))


def changed_files(build: Path, old: Optional[str], new: Optional[str]) -> Optional[str]:
    """How the files behind two digests differ, in words that name the first of each kind.

    Returns:
        None where the files behind one of them were never noted, or cannot be read.
    """
    if old is None or new is None:
        return None
    kinds = {"added": _FirstOnes(), "removed": _FirstOnes(), "changed": _FirstOnes()}
    try:
        for path, kind in _differences(*(read_lines(_listing_file(build, digest)) for digest in (old, new))):
            kinds[kind].add(path)
    except (OSError, NotAsWritten):
        return None
    return "; ".join(f"{named.count} {kind} ({named})" for kind, named in kinds.items() if named.count)


def _differences(old: Iterator[str], new: Iterator[str]) -> Iterator[Tuple[str, str]]:
    """Path and kind of every difference; both are sorted, so one look at each line is enough."""
    before, after = next(old, None), next(new, None)
    while before is not None or after is not None:
        if before == after:
            before, after = next(old, None), next(new, None)
            continue
        gone, come = (line.partition("\0")[0] if line is not None else None for line in (before, after))
        if gone is None or (come is not None and come < gone):
            yield str(come), "added"
            after = next(new, None)
        elif come is None or gone < come:
            yield gone, "removed"
            before = next(old, None)
        else:
            yield gone, "changed"
            before, after = next(old, None), next(new, None)


class _FirstOnes:
    """How many paths, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self._first: List[str] = []

    def add(self, path: str) -> None:
        self.count += 1
        if self.count <= NAMED_FILES:
            self._first.append(path)

    def __str__(self) -> str:
        return readable(", ".join(self._first)) + (", …" if self.count > NAMED_FILES else "")


def _listing_file(build: Path, digest: str) -> Path:
    return build / "cache" / "listings" / f"{digest[:20]}.lines"
