"""Digests of files and folders, remembered so that only what changed is read again."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from nanoforge.files.selection import ALL_FILES, FileStat, Selection, walk

# A file written in the same clock tick as its digest was taken could change again without a trace in its times
# (git calls such an entry "racily clean"), so digests of files this young are not remembered.
YOUNG_NS = 2_000_000_000
CHUNK = 1 << 20

TABLES = (
    "digests (root TEXT, path TEXT, size INT, mtime INT, ctime INT, inode INT, sha256 TEXT, PRIMARY KEY (root, path))",
    "walks (signature TEXT PRIMARY KEY, digest TEXT)",
)

FileRow = Tuple[Union[str, bytes], Union[str, bytes], int, int, int, int, str]


class Listing(NamedTuple):
    """A folder's files with their digests. ``digest`` covers paths and contents, not times."""

    digest: str
    files: Dict[str, str]


def sha256_file(path: Path) -> str:
    """SHA-256 of the file's bytes, as 64 hex digits."""
    hasher = hashlib.sha256()
    with open(path, "rb") as stream:
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


def signature(stats: Iterable[FileStat]) -> str:
    """A digest of what a walk saw; equal signatures mean that nothing was touched."""
    return sha256_text("".join("\0".join(map(str, stat)) + "\n" for stat in stats))


class DigestCache:
    """Remembers digests of files by their whole :class:`FileStat`, and of whole folders by their walk's signature."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = _open_database(path)
        self._snapshot: Optional[Dict[Tuple[Path, Selection], str]] = None

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, a folder that several stages read is walked once only; nothing may run meanwhile."""
        self._snapshot = {}
        try:
            yield
        finally:
            self._snapshot = None

    def folder_digest(self, root: Path, selection: Selection = ALL_FILES) -> str:
        """The digest of the files below ``root``; one directory walk where nothing was touched."""
        if self._snapshot is None:
            return self._folder_digest(root, selection)
        if (root, selection) not in self._snapshot:
            self._snapshot[root, selection] = self._folder_digest(root, selection)
        return self._snapshot[root, selection]

    def _folder_digest(self, root: Path, selection: Selection) -> str:
        stats = walk(root, selection)
        seen = signature(stats)
        row = self._database.execute("SELECT digest FROM walks WHERE signature = ?", (seen,)).fetchone()
        return str(row[0]) if row else self._listing(root, stats, seen).digest

    def listing(self, root: Path, selection: Selection = ALL_FILES) -> Listing:
        """The files below ``root`` with their digests."""
        stats = walk(root, selection)
        return self._listing(root, stats, signature(stats))

    def _listing(self, root: Path, stats: List[FileStat], seen: str) -> Listing:
        files = self.file_digests(root.parent if root.is_file() else root, stats)
        digest = listing_digest(files)
        if not any(map(_is_young, stats)):
            with self._database:
                self._database.execute("INSERT OR REPLACE INTO walks VALUES (?, ?)", (seen, digest))
        return Listing(digest, files)

    def file_digests(self, folder: Path, stats: Sequence[FileStat]) -> Dict[str, str]:
        """The digests of these files of a folder; those that were not touched since the last time are not read."""
        known = self._known_digests(folder)
        files: Dict[str, str] = {}
        fresh: List[FileRow] = []
        for stat in stats:
            entry = known.get(stat.path)
            if entry and entry[:4] == stat[1:]:
                files[stat.path] = entry[4]
                continue
            files[stat.path] = sha256_file(folder / stat.path)
            if not _is_young(stat):
                fresh.append((_stored(str(folder)), _stored(stat.path), *stat[1:], files[stat.path]))
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?)", fresh)
        return files

    def _known_digests(self, folder: Path) -> Dict[str, Tuple[int, int, int, int, str]]:
        rows = self._database.execute(
            "SELECT path, size, mtime, ctime, inode, sha256 FROM digests WHERE root = ?", (_stored(str(folder)),)
        )
        return {os.fsdecode(path): (*stat, digest) for path, *stat, digest in rows}


def _is_young(stat: FileStat) -> bool:
    return time.time_ns() - max(stat.mtime_ns, stat.ctime_ns) <= YOUNG_NS


def _stored(path: str) -> Union[str, bytes]:
    """The path as SQLite takes it: a name that is not UTF-8 as its bytes."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def _open_database(path: Path) -> sqlite3.Connection:
    try:
        return _create_tables(path)
    except sqlite3.DatabaseError:
        # A damaged cache costs one more reading of the files, nothing else.
        path.unlink()
        return _create_tables(path)


def _create_tables(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(str(path), timeout=60)
    try:
        for table in TABLES:
            database.execute(f"CREATE TABLE IF NOT EXISTS {table} WITHOUT ROWID")
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
