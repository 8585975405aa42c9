"""Digests of files and folders, remembered so that only what changed is read again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
)

from nanoforge.files.lines import NotAsWritten, digest_of, read_lines, write_lines
from nanoforge.files.selection import ALL_FILES, FileStat, Selection
from stages.files import opened, rows

# A file written in the same clock tick as its digest was taken could change again without a trace in its times
# (git calls such an entry "racily clean"), so digests of files this young are not remembered.
YOUNG_NS = 2_000_000_000
CHUNK = 1 << 20

Value = TypeVar("Value")


class Listing(NamedTuple):
    """A folder's files with their digests. ``digest`` covers paths and contents, not times.

    Attributes:
        seen: of each file what was seen of it, sorted by path.
        digests: of each file, in the same order.
    """

    digest: str
    seen: Sequence[str]
    digests: Sequence[str]

    def files(self) -> Iterator[Tuple[str, str]]:
        """Each path with its digest, sorted."""
        return zip(map(_path_of, self.seen), self.digests)


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, as 64 hex digits.

    Raises:
        OSError: it is no file, or cannot be read.
    """
    hasher = hashlib.sha256()
    with opened(str(path)) as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            hasher.update(chunk)
    return hasher.hexdigest()


def sha256_text(text: str) -> str:
    """SHA-256 of the text in UTF-8, as 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def json_digest(value: Any) -> str:
    """SHA-256 of the value's canonical JSON, as 64 hex digits."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":")))


def listing_digest(files: Mapping[str, str]) -> str:
    """The digest of a set of files: paths with their contents' digests, sorted."""
    return _digest_of_sorted(sorted(files.items()))


def _digest_of_sorted(files: Iterable[Tuple[str, str]]) -> str:
    return digest_of((f"{digest} {path}" for path, digest in files), end="\n")


class DigestCache:
    """Remembers digests of files by (path, size, mtime, ctime, inode), and of whole folders by all of these.

    What it remembers of a folder is a file of its own, which appears whole, so that commands need no lock, and is
    believed only where it is what was written. One that is damaged or cannot be written costs reading the folder's
    files again, and a word to ``warn``. Of a file all that is seen is one line, so that a million take little memory.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._snapshot: Optional[Dict[Any, Any]] = None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, a folder that several stages read is walked once only; nothing may run meanwhile."""
        self._snapshot = {}
        try:
            yield
        finally:
            self._snapshot = None

    def folder_digest(self, root: Path, selection: Selection = ALL_FILES) -> str:
        """The digest of the files below ``root``; one directory walk where nothing was touched.

        Raises:
            OSError: ``root`` or one of its files cannot be read.
        """
        return self._once(("digest", root, selection), lambda: self._folder_digest(root, selection))

    def listing(self, root: Path, selection: Selection = ALL_FILES) -> Listing:
        """The files below ``root`` with their digests.

        Raises:
            OSError: ``root`` or one of its files cannot be read.
        """
        return self._once(("listing", root, selection), lambda: self._listing(root, selection))

    def extent(self, root: Path, selection: Selection = ALL_FILES) -> Tuple[int, int]:
        """How many files there are below ``root``, and their bytes together.

        Raises:
            OSError: ``root`` cannot be read.
        """
        seen = self._seen(root, selection)
        return len(seen), sum(int(one[one.index("\0") + 1 :].partition(" ")[0]) for one in seen)

    def _once(self, key: Tuple[Any, ...], make: Callable[[], Value]) -> Value:
        """What ``make`` gives; inside a snapshot it is asked once."""
        if self._snapshot is None:
            return make()
        if key not in self._snapshot:
            self._snapshot[key] = make()
        value: Value = self._snapshot[key]
        return value

    def _seen(self, root: Path, selection: Selection) -> List[str]:
        """What is seen now of the selected files, sorted by path; a root that is a file counts whatever is selected."""
        seen = self._once(("walk", root), lambda: sorted(rows(str(root), _line)))
        if selection == ALL_FILES or root.is_file():
            return seen
        return [one for one in seen if selection.takes(one[: one.index("\0")])]

    def _folder_digest(self, root: Path, selection: Selection) -> str:
        remembered = list(self._read(self._file("folder", root, selection)))
        if remembered and remembered[0] == digest_of(self._seen(root, selection)):
            return remembered[1]
        return self.listing(root, selection).digest

    def _listing(self, root: Path, selection: Selection) -> Listing:
        folder, seen = root.parent if root.is_file() else root, self._seen(root, selection)
        digests, all_kept = self._digests_of(folder, seen, self._file("files", root, selection))
        digest = _digest_of_sorted(zip(map(_path_of, seen), digests))
        if all_kept:
            self._write(self._file("folder", root, selection), [digest_of(seen), digest])
        return Listing(digest, seen, digests)

    def file_digests(self, folder: Path, stats: Sequence[FileStat]) -> Dict[str, str]:
        """The digests of these files of a folder; those that were not touched since the last time are not read.

        Raises:
            OSError: one of them cannot be read.
        """
        if not stats:
            return {}
        seen = sorted(_line_of(stat) for stat in stats)
        digests, _ = self._digests_of(folder, seen, self._file("single", folder, ALL_FILES))
        return dict(zip(map(_path_of, seen), digests))

    def _digests_of(self, folder: Path, seen: Sequence[str], memory: Path) -> Tuple[List[str], bool]:
        """The digest of each file, and whether all of them are remembered now."""
        remembered = _Remembered(self._read(memory))
        digests: List[str] = []
        young: Set[int] = set()
        now = time.time_ns()
        for number, one in enumerate(seen):
            known = remembered.digest(one)
            if known is None and _is_young(one, now):
                young.add(number)
            digests.append(known or sha256_file(folder / _path_of(one)))
        if remembered.count < len(digests) - len(young) or remembered.has_others():
            pairs = enumerate(zip(seen, digests))
            self._write(memory, (f"{one} {digest}" for number, (one, digest) in pairs if number not in young))
        return digests, not young

    def _file(self, what: str, root: Path, selection: Selection) -> Path:
        return self._folder / f"{what}-{sha256_text(repr((str(root), selection)))[:20]}.lines"

    def _read(self, file: Path) -> Iterator[str]:
        try:
            yield from read_lines(file)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._warn(f"What was remembered in {file} cannot be read ({error.strerror}): files are read again.")
        except NotAsWritten:
            self._warn(f"What was remembered in {file} is damaged: files are read again.")
            with suppress(OSError):
                file.unlink()

    def _write(self, file: Path, lines: Iterable[str]) -> None:
        try:
            write_lines(file, lines)
        except OSError as error:
            self._warn(
                f"Digests cannot be kept in {self._folder} ({error.strerror}): the next command reads the files again."
            )


class _Remembered:
    """What was seen with its digests, sorted as it is asked for, so that one look at each is enough.

    Attributes:
        count: how many digests were found.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self.count = 0
        self._others = False
        self._lines = lines
        self._next()

    def _next(self) -> None:
        self._seen, _, self._digest = next(self._lines, "").rpartition(" ")

    def digest(self, seen: str) -> Optional[str]:
        """The digest of a file that was seen so before, or None."""
        while self._seen and self._seen < seen:
            self._others = True
            self._next()
        if self._seen != seen:
            return None
        digest = self._digest
        self.count += 1
        self._next()
        return digest

    def has_others(self) -> bool:
        """Whether something is remembered that was not asked for."""
        return self._others or bool(self._seen)


def _line(path: str, status: os.stat_result) -> str:
    """What is seen of a file: its line is another where it was touched."""
    return f"{path}\0{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _line_of(stat: FileStat) -> str:
    """The same of what another walk saw."""
    return f"{stat.path}\0{stat.size} {stat.mtime_ns} {stat.ctime_ns} {stat.inode}"


def _path_of(seen: str) -> str:
    return seen[: seen.index("\0")]


def _is_young(seen: str, now: int) -> bool:
    _, mtime_ns, ctime_ns, _ = map(int, seen.rpartition("\0")[2].split(" "))
    return now - ctime_ns <= YOUNG_NS or 0 <= now - mtime_ns <= YOUNG_NS
