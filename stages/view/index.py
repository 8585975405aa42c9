"""The index: what every picture is called, and all its boxes and findings, in SQLite, made once for what is shown.

It is built in a thread, aside; whoever asks meanwhile is answered from what is there so far. Once it is whole, a copy
gets the name that it is found by, made of the paths, sizes and times of all files that it tells of.
"""

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import threading
import unicodedata
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote

from stages import files
from stages.picture_id import picture_id
from stages.view.sources.source import PictureEntry, ViewSource

SUFFIX, RUN = ".sqlite", "run-"
MOST_KEPT, MOST_RUNS = 40, 400
FORMAT = 2  # of the tables: another one is another key
SMALL, MEDIUM = 32**2, 96**2  # pixels: COCO's limits of area (cocodataset.org, "Detection Evaluation")
SIZES = ("small", "medium", "large")
NO_BOX = 1e18  # in place of a smallest box, so that pictures without one come last
FIRST_BATCH, BATCH = 200, 5000  # pictures of a transaction: few at first, so that there is something to see
TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE source (number INTEGER PRIMARY KEY, pictures INTEGER, boxes INTEGER);
CREATE TABLE class (number INTEGER PRIMARY KEY, name TEXT UNIQUE, boxes INTEGER);
CREATE TABLE split (name TEXT PRIMARY KEY, pictures INTEGER) WITHOUT ROWID;
CREATE TABLE warning (text TEXT);
CREATE TABLE picture (
    key INTEGER PRIMARY KEY, source INTEGER, split TEXT, boxes INTEGER, fewest INTEGER, smallest REAL, sizes INTEGER,
    findings INTEGER, folded TEXT, id TEXT, name BLOB, width INTEGER, height INTEGER, file INTEGER, offset INTEGER,
    length INTEGER);
CREATE INDEX picture_id ON picture (id, source);
CREATE TABLE box (
    picture INTEGER, place INTEGER, class INTEGER, xmin REAL, ymin REAL, xmax REAL, ymax REAL,
    difficult INTEGER, truncated INTEGER, PRIMARY KEY (picture, place)) WITHOUT ROWID;
CREATE TABLE facet (
    class INTEGER, size INTEGER, difficult INTEGER, truncated INTEGER, picture INTEGER,
    PRIMARY KEY (class, size, difficult, truncated, picture)) WITHOUT ROWID;
CREATE TABLE finding (
    picture INTEGER, kind TEXT, file TEXT, message TEXT, line INTEGER, object INTEGER, action TEXT);
CREATE INDEX finding_picture ON finding (picture);
CREATE INDEX finding_kind ON finding (kind, picture);
"""
# Made at the end: what sorts and filters without them is small until then.
INDEXES = """
CREATE INDEX picture_folded ON picture (folded, key);
CREATE INDEX picture_fewest ON picture (fewest, key, boxes);
CREATE INDEX picture_smallest ON picture (smallest, key);
CREATE INDEX picture_split ON picture (split, key, boxes);
CREATE INDEX picture_source ON picture (source, key, boxes);
ANALYZE;
"""


class Indexed(NamedTuple):
    """How much of the sources is indexed, in the unit of the source that is being read."""

    done: int
    total: int


class Index:
    """The index of some sources.

    Attributes:
        stamp: names what is shown: another one, and pictures that a browser keeps are others.
        failed: a sentence on why it ended before its end, else empty.
    """

    def __init__(self, sources: Sequence[ViewSource], folder: str) -> None:
        """``folder`` is where indexes are kept; it is made if need be."""
        self._sources = sources
        self.stamp = _key(sources)
        self.failed = ""
        os.makedirs(folder, exist_ok=True)
        _tidy(folder)
        self._whole = os.path.join(folder, self.stamp + SUFFIX)
        self._aside = self._spent = ""
        self._reading: Optional[ViewSource] = None
        if not self._is_whole():
            self._aside = os.path.join(folder, "%s-%d.part" % (self.stamp[:8], os.getpid()))
            _remove(self._aside)
            with self.open("rwc") as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(TABLES)

    def build(self) -> None:
        """Fill it, if that is not done; returns when it is whole, or has failed."""
        if not self._aside:
            return
        try:
            with self.open() as connection:
                connection.execute("PRAGMA synchronous = OFF")  # a half-made index is never used
                connection.execute("PRAGMA cache_size = -65536")
                self._fill(connection)
                copy = self._aside + ".copy"
                connection.execute("VACUUM INTO ?", (copy,))
            os.rename(copy, self._whole)
            self._spent, self._aside = self._aside, ""  # who has just asked may not have opened it yet
        except Exception as error:  # whatever it is: a page that waited for this thread would wait for ever
            self.failed = "The index could not be finished: %s" % files.readable(str(error) or type(error).__name__)

    def start(self) -> None:
        """Build it in a thread."""
        threading.Thread(target=self.build, name="index", daemon=True).start()

    def close(self) -> None:
        """Remove what is half made, or was aside."""
        for path in filter(None, (self._spent, self._aside)):
            _remove(path)
        self._spent = self._aside = ""

    @contextmanager
    def open(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """A connection of its own, so that threads and readers do not wait for each other; committed at the end.

        One thread may go on with it where another left off, as the server does with an answer that comes in pieces.
        """
        aside = self._aside
        path = location(aside, mode) if aside else location(self._whole, "ro&immutable=1")
        connection = sqlite3.connect(path, uri=True, timeout=30, check_same_thread=False)
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    @property
    def progress(self) -> Optional[Indexed]:
        """None once it is whole, or has failed."""
        if not self._aside or self.failed:
            return None
        reading = self._reading
        return Indexed(reading.done, max(reading.total, reading.done)) if reading else Indexed(0, 0)

    def _is_whole(self) -> bool:
        """Whether the index is there already; it is used from now on, so that it is not tidied away."""
        if not os.path.isfile(self._whole):
            return False
        try:
            with self.open() as connection:
                found = connection.execute("SELECT value FROM meta WHERE name = 'whole'").fetchone()
        except sqlite3.Error:  # a power cut may leave a file without its contents
            found = None
        if found:
            os.utime(self._whole)
        return bool(found)

    def _fill(self, connection: sqlite3.Connection) -> None:
        writer = _Writer(connection)
        for number, source in enumerate(self._sources):
            self._reading = source
            writer.add_source(number, source)
        connection.executescript(INDEXES)
        connection.execute("INSERT INTO meta VALUES ('whole', '1')")
        connection.commit()


class _Writer:
    """Puts the pictures of sources into the tables, many in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._key = 0
        self._classes: Dict[str, int] = {}
        self._rows: Dict[str, List[Tuple[Any, ...]]] = {}
        self._batch = FIRST_BATCH
        self._pictures = self._boxes = 0
        self._warnings: List[str] = []

    def add_source(self, number: int, source: ViewSource) -> None:
        self._pictures = self._boxes = 0
        self._connection.execute("INSERT INTO source VALUES (?, 0, 0)", (number,))
        for name in source.classes():
            self._class(name)
        seen: Dict[bytes, int] = {}
        splits: Dict[str, int] = {}
        class_boxes: Dict[int, int] = {}
        waiting = 0
        for entry in self._entries(source):
            named = os.fsencode(entry.name)
            seen[named] = seen.get(named, -1) + 1
            self._add(number, entry, named, seen[named], class_boxes)
            splits[entry.split] = splits.get(entry.split, 0) + 1
            waiting += 1
            if waiting == self._batch:
                self._flush(number, splits, class_boxes)
                waiting, self._batch = 0, BATCH
        self._findings(None, source.unplaced())
        self._flush(number, splits, class_boxes)
        warnings = [(text,) for text in (*source.warnings, *self._warnings)]
        self._connection.executemany("INSERT INTO warning VALUES (?)", warnings)
        self._connection.commit()

    def _entries(self, source: ViewSource) -> Iterator[PictureEntry]:
        """The entries of a source; where they end early, what is there is shown, and why is told."""
        self._warnings = []
        try:
            yield from source.entries()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            told = "%s is shown up to where it is damaged: %s." % (source.title, why)
            self._warnings.append(files.readable(told.replace("?.", "?")))

    def _add(self, source: int, entry: PictureEntry, name: bytes, ordinal: int, class_boxes: Dict[int, int]) -> None:
        self._key += 1
        width, height = entry.size
        areas = []
        facets = set()
        for place, box in enumerate(entry.boxes):
            class_id = self._class(box.label)
            class_boxes[class_id] = class_boxes.get(class_id, 0) + 1
            xmin, ymin, xmax, ymax = box.edges
            area = abs((xmax - xmin) * (ymax - ymin)) * width * height
            areas.append(area)
            flags = int(box.difficult), int(box.truncated)
            facets.add((class_id, size_of(area), *flags, self._key))
            self._row("box", self._key, place, class_id, xmin, ymin, xmax, ymax, *flags)
        self._rows.setdefault("facet", []).extend(facets)
        findings = self._findings(self._key, entry.findings)
        count = len(entry.boxes)
        shown = files.readable(entry.name)
        identity = picture_id(entry.name + "\0%d" % ordinal if ordinal else entry.name)
        self._row(
            "picture", self._key, source, entry.split, count, -count, min(areas, default=NO_BOX),
            sum({1 << size_of(area) for area in areas}), findings,
            folded(shown), identity, name, width, height, *entry.place,
        )  # fmt: skip
        self._pictures += 1
        self._boxes += count

    def _findings(self, key: Optional[int], findings: Any) -> int:
        count = 0
        for count, told in enumerate(findings, 1):  # noqa: B007 - it is returned
            file, message = files.readable(told.file), files.readable(told.message)
            self._row("finding", key, told.kind, file, message, told.line, told.object, told.action)
        return count

    def _row(self, table: str, *values: Any) -> None:
        self._rows.setdefault(table, []).append(values)

    def _class(self, name: str) -> int:
        if name not in self._classes:
            self._classes[name] = len(self._classes)
            self._connection.execute("INSERT INTO class VALUES (?, ?, 0)", (self._classes[name], files.readable(name)))
        return self._classes[name]

    def _flush(self, source: int, splits: Dict[str, int], class_boxes: Dict[int, int]) -> None:
        connection = self._connection
        for table, rows in self._rows.items():
            if rows:
                connection.executemany("INSERT INTO %s VALUES (%s)" % (table, ", ".join("?" * len(rows[0]))), rows)
        self._rows = {}
        connection.execute(
            "UPDATE source SET pictures = ?, boxes = ? WHERE number = ?", (self._pictures, self._boxes, source)
        )
        for name, count in splits.items():
            connection.execute("INSERT OR IGNORE INTO split VALUES (?, 0)", (name,))
            connection.execute("UPDATE split SET pictures = pictures + ? WHERE name = ?", (count, name))
        connection.executemany(
            "UPDATE class SET boxes = boxes + ? WHERE number = ?", [(n, one) for one, n in class_boxes.items()]
        )
        splits.clear()
        class_boxes.clear()
        connection.commit()


def folded(text: str) -> str:
    """What names are compared by: capitals or not, and letters with accents as one or as two, as macOS writes them."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def size_of(area: float) -> int:
    """Which of ``SIZES`` a box of that many pixels is."""
    return 0 if area < SMALL else 1 if area < MEDIUM else 2


def _key(sources: Sequence[ViewSource]) -> str:
    """32 hex digits of all files that the sources tell of, as they are now."""
    told: List[Any] = [FORMAT]
    for source in sources:
        stats = [(path, os.stat(path)) for path in source.files()]
        told.append([source.kind, [(os.fsencode(p).hex(), one.st_size, one.st_mtime_ns) for p, one in stats]])
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _tidy(folder: str) -> None:
    """Remove what killed processes left half made, and what was not used for the longest time: of the indexes, and of
    the runs, of which an index may have many."""
    names = os.listdir(folder)
    for name in names:
        process = re.match(r"(?:[0-9a-f]{8}-|%s[0-9a-f]{32}\.sqlite\.)(\d+)\.part" % RUN, name)
        if process and not os.path.exists("/proc/%s" % process.group(1)):
            _remove(os.path.join(folder, name))
    whole = [name for name in names if name.endswith(SUFFIX)]
    for are_runs, most in ((False, MOST_KEPT), (True, MOST_RUNS)):
        paths = [os.path.join(folder, name) for name in whole if name.startswith(RUN) == are_runs]
        for path in sorted(paths, key=_last_use)[:-most]:
            _remove(path)


def _last_use(path: str) -> float:
    """When an index was opened last; one that another viewer has just removed was never."""
    try:
        return os.path.getmtime(path)
    except OSError:
        return 0.0


def _remove(path: str) -> None:
    """Remove a database with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", ".copy"):
        with contextlib.suppress(OSError):
            os.remove(path + suffix)


def location(path: str, mode: str) -> str:
    """A database's path as SQLite's URI."""
    return "file:%s?mode=%s" % (quote(os.fsencode(path)), mode)
