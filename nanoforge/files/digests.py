"""Digests of files and folders, remembered so that only what changed is read again."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from nanoforge.files.atomic import write_bytes
from nanoforge.files.selection import ALL_FILES, FileStat, Selection
from stages.files import opened, read
from stages.files import walk as found_below

# A file written in the same clock tick as its digest was taken could change again without a trace in its times
# (git calls such an entry "racily clean"), so digests of files this young are not remembered.
YOUNG_NS = 2_000_000_000
CHUNK = 1 << 20
MOST_BYTES = 1 << 30  # of what is remembered of a folder: millions of files

Value = TypeVar("Value")


class Listing(NamedTuple):
    """A folder's files with their digests. ``digest`` covers paths and contents, not times."""

    digest: str
    files: Dict[str, str]


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


def listing_digest(files: Dict[str, str]) -> str:
    """The digest of a set of files: paths with their contents' digests, sorted."""
    return sha256_text("".join(f"{digest} {path}\n" for path, digest in sorted(files.items())))


class DigestCache:
    """Remembers digests of files by (path, size, mtime, ctime, inode), and of whole folders by all of these.

    What it remembers of a folder is a file of its own, which appears whole, so that commands need no lock, and is
    believed only where its first line is the digest of the rest. One that is damaged or cannot be written costs reading
    the folder's files again, and a word to ``warn``.
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

    def _once(self, key: Tuple[Any, ...], make: Callable[[], Value]) -> Value:
        """What ``make`` gives; inside a snapshot it is asked once."""
        if self._snapshot is None:
            return make()
        if key not in self._snapshot:
            self._snapshot[key] = make()
        value: Value = self._snapshot[key]
        return value

    def _stats(self, root: Path, selection: Selection) -> List[FileStat]:
        return selection.among(self._once(("walk", root), lambda: found_below(str(root))), root)

    def _folder_digest(self, root: Path, selection: Selection) -> str:
        whole = self._read(self._file("folder", root, selection))
        if whole.get("seen") == _signature(self._stats(root, selection)):
            return str(whole["digest"])
        return self.listing(root, selection).digest

    def _listing(self, root: Path, selection: Selection) -> Listing:
        folder, stats = root.parent if root.is_file() else root, self._stats(root, selection)
        files, all_kept = self._digests_of(folder, stats, self._file("files", root, selection))
        digest = listing_digest(files)
        if all_kept:
            self._write(self._file("folder", root, selection), {"seen": _signature(stats), "digest": digest})
        return Listing(digest, files)

    def file_digests(self, folder: Path, stats: Sequence[FileStat]) -> Dict[str, str]:
        """The digests of these files of a folder; those that were not touched since the last time are not read.

        Raises:
            OSError: one of them cannot be read.
        """
        return self._digests_of(folder, stats, self._file("single", folder, ALL_FILES))[0] if stats else {}

    def _digests_of(self, folder: Path, stats: Sequence[FileStat], memory: Path) -> Tuple[Dict[str, str], bool]:
        """The digests by path, and whether all of them are remembered now."""
        known = self._read(memory)
        files: Dict[str, str] = {}
        kept: Dict[str, Tuple[Union[int, str], ...]] = {}
        read, now = 0, time.time_ns()
        for stat in stats:
            *seen, digest = known.get(stat.path, (None,))
            if seen != list(stat[1:]):
                digest, read = sha256_file(folder / stat.path), read + 1
            files[stat.path] = digest
            if not _young(stat, now):
                kept[stat.path] = (*stat[1:], digest)
        if read or len(kept) < len(known):
            self._write(memory, kept)
        return files, len(kept) == len(files)

    def _file(self, what: str, root: Path, selection: Selection) -> Path:
        return self._folder / f"{what}-{sha256_text(repr((str(root), selection)))[:20]}"

    def _read(self, file: Path) -> Dict[str, Any]:
        try:
            digest, _, text = read(str(file), MOST_BYTES).partition(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._warn(f"What was remembered in {file} cannot be read ({error.strerror}): files are read again.")
            return {}
        if digest != _digest_line(file, text):
            self._warn(f"What was remembered in {file} is damaged: files are read again.")
            return {}
        value: Dict[str, Any] = json.loads(text)
        return value

    def _write(self, file: Path, value: Mapping[str, Any]) -> None:
        text = json.dumps(value).encode("ascii")  # a name that is not UTF-8 as escaped lone surrogates
        try:
            write_bytes(file, _digest_line(file, text) + b"\n" + text)
        except OSError as error:
            self._warn(
                f"Digests cannot be kept in {self._folder} ({error.strerror}): the next command reads the files again."
            )


def _digest_line(file: Path, text: bytes) -> bytes:
    """What ``file`` begins with; its name is in it, so that one file cannot stand in for another."""
    return hashlib.sha256(file.name.encode("ascii") + text).hexdigest().encode("ascii")


def _signature(stats: List[FileStat]) -> str:
    """A digest of what a walk saw; equal signatures mean that nothing was touched."""
    return sha256_text(json.dumps(stats))


def _young(stat: FileStat, now: int) -> bool:
    return now - stat.ctime_ns <= YOUNG_NS or 0 <= now - stat.mtime_ns <= YOUNG_NS
