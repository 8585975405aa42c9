"""Files of a million lines, written and read line by line, and believed only as they were written.

The first line is a digest of the file's name and of the rest. A line may hold what a path may, so that it ends with
what no path holds: NUL and line feed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Iterable, Iterator

from nanoforge.files.atomic import replacing
from stages.files import opened

END = "\0\n"
CHUNK = 1 << 20
LINES_AT_ONCE = 10_000
MOST_BYTES = 1 << 31  # ten million files
DIGITS = 64


class NotAsWritten(Exception):
    """A file is not what was written."""


def encoded(lines: Iterable[str], end: str = END) -> Iterator[bytes]:
    """The lines in UTF-8, thousands in one piece; bytes of names that are not UTF-8 as they were."""
    waiting = iter(lines)
    while True:
        some = list(islice(waiting, LINES_AT_ONCE))
        if not some:
            return
        yield (end.join(some) + end).encode("utf-8", "surrogateescape")


def digest_of(lines: Iterable[str], end: str = END) -> str:
    """SHA-256 of :func:`encoded`, as 64 hex digits."""
    hasher = hashlib.sha256()
    for piece in encoded(lines, end):
        hasher.update(piece)
    return hasher.hexdigest()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file, which appears whole.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as temporary, open(temporary, "r+b") as stream:
        hasher = _hasher_for(path)
        stream.write(b"-" * DIGITS + b"\n")
        for piece in encoded(lines):
            hasher.update(piece)
            stream.write(piece)
        stream.seek(0)
        stream.write(hasher.hexdigest().encode("ascii"))


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file, all of which are proven before the first of them is given.

    Raises:
        FileNotFoundError: there is none.
        NotAsWritten: it is not what was written.
        OSError: it cannot be read.
    """
    with _proven(path) as stream:
        line = ""
        for piece in io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="\n"):
            line += piece  # a path may hold a line feed
            if line.endswith(END):
                yield line[: -len(END)]
                line = ""


def are_whole(path: Path) -> bool:
    """Whether there is a file of lines that is what was written."""
    try:
        with _proven(path):
            return True
    except (OSError, NotAsWritten):
        return False


@contextmanager
def _proven(path: Path) -> Iterator[BinaryIO]:
    """The file, read once whole; at its first line."""
    with opened(str(path)) as stream:
        if os.fstat(stream.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it has more than the {MOST_BYTES} bytes that it may have", str(path))
        stated, hasher = stream.read(DIGITS + 1), _hasher_for(path)
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            hasher.update(chunk)
        if stated != hasher.hexdigest().encode("ascii") + b"\n":
            raise NotAsWritten
        stream.seek(len(stated))
        yield stream


def _hasher_for(path: Path) -> hashlib._Hash:
    """With the file's name in it, so that one file cannot stand in for another."""
    return hashlib.sha256(path.name.encode("ascii"))
