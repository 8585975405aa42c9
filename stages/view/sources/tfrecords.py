"""TFRecord files of anybody's as a source: found out what is in them, record by record, without TensorFlow."""

import itertools
import os
import threading
from typing import Dict, Iterator, List, Sequence, Tuple

from stages import files
from stages.data.pairing.names import WORDS
from stages.data.split.split_lists import side_named
from stages.view import pictures
from stages.view.sources import feature_text, frames, label_map, manner, stored_bytes
from stages.view.sources.features import Features, NoExample, features, scanned
from stages.view.sources.frames import Frame
from stages.view.sources.layout import layout
from stages.view.sources.source import Looked, PictureEntry, PicturePlace, ToldFinding
from stages.view.sources.stored_bytes import StoredBytes

SAMPLE = 100  # records of a file that tell how it is read
MOST_OPEN = 16  # files that are kept open


class TFRecordSource:
    """TFRecord files, in this order; all records in them."""

    kind = "tfrecord"

    def __init__(self, paths: Sequence[str], title: str) -> None:
        self._paths = list(paths)
        self.title = title
        self.warnings: List[str] = []
        self.total = sum(os.path.getsize(path) for path in self._paths)
        self.done = 0
        self._folder = os.path.commonpath([os.path.dirname(path) for path in self._paths])
        self._open: Dict[int, StoredBytes] = {}
        self._lock = threading.Lock()

    def files(self) -> Sequence[str]:
        return self._paths

    def classes(self) -> Sequence[str]:
        return ()

    def unplaced(self) -> Iterator[ToldFinding]:
        return iter(())

    def file(self, place: PicturePlace) -> str:
        return files.readable(os.path.relpath(self._paths[place.file], self._folder))

    def entries(self) -> Iterator[PictureEntry]:
        told = _Warnings()
        before = 0
        for number, path in enumerate(self._paths):
            for entry in _File(number, path, self.file(PicturePlace(number)), told).entries():
                # Of a compressed file nobody knows how far it is.
                self.done = min(self.total, before + entry.place.offset)
                yield entry
            before += os.path.getsize(path)
        self.done = self.total
        self.warnings = told.sentences()

    def look(self, place: PicturePlace, name: str) -> Looked:
        found = features(frames.content(self._opened(place.file), Frame(place.offset, place.length)))
        where = layout([found])
        if manner.name_of(found, where) not in (name, ""):
            raise ValueError("another picture is there than when it was listed: start the viewer anew")
        data = found[where.picture][0] if where.picture else b""
        if not isinstance(data, bytes) or not data:
            return Looked(b"", False, feature_text.texts(found), "No feature of the record holds a picture.")
        problem = ""
        if not pictures.format_of(data):
            try:
                data = manner.encoded(data, found, where)
            except ValueError as error:
                problem = "The picture cannot be shown: %s." % error
        return Looked(data, False, feature_text.texts(found), problem)

    def _opened(self, number: int) -> StoredBytes:
        """Files stay open: to unpack a compressed one from its beginning for each picture would take long."""
        with self._lock:
            if number not in self._open:
                if len(self._open) >= MOST_OPEN:
                    self._open.pop(next(iter(self._open)))
                self._open[number] = stored_bytes.opened(self._paths[number])
            return self._open[number]


class _File:
    """One of the files, as the index is told of it."""

    def __init__(self, number: int, path: str, shown: str, told: "_Warnings") -> None:
        self._number, self._path, self._shown, self._told = number, path, shown, told

    def entries(self) -> Iterator[PictureEntry]:
        """Its pictures, as far as it can be read."""
        try:
            stored = stored_bytes.opened(self._path)
        except OSError as error:
            self._told.add("cannot be read: %s" % (error.strerror or error), self._shown)
            return
        try:
            yield from self._entries(stored)
        finally:
            stored.close()

    def _entries(self, stored: StoredBytes) -> Iterator[PictureEntry]:
        found = self._records(stored)
        sample = list(itertools.islice(found, SAMPLE))
        if not sample:
            return
        how = manner.manner([one for _, one in sample], stored.read, label_map.beside(self._path))
        for words in manner.warnings(how, sample[0][1]):
            self._told.add(words, self._shown)
        split = side_in(self._shown)
        for ordinal, (frame, one) in enumerate(itertools.chain(sample, found)):
            name = manner.name_of(one, how.layout) or "%s#%d" % (self._shown, ordinal)
            size = manner.size_of(one, how.layout, stored.read)
            place = PicturePlace(self._number, frame.offset, frame.size)
            yield PictureEntry(name, split, size, manner.boxes_of(one, how, size), place)

    def _records(self, stored: StoredBytes) -> Iterator[Tuple[Frame, Features]]:
        try:
            for frame in frames.frames(stored):
                try:
                    yield frame, scanned(stored.read, frame.content, frame.size)
                except NoExample as error:
                    self._told.add("holds records that are left out: %s" % error, self._shown)
        except (OSError, ValueError) as error:
            self._told.add("is shown up to where it is damaged: %s" % error, self._shown)


class _Warnings:
    """Sentences about files: what holds for several is said once."""

    def __init__(self) -> None:
        self._files: Dict[str, Dict[str, None]] = {}

    def add(self, words: str, file: str) -> None:
        self._files.setdefault(words, {})[file] = None

    def sentences(self) -> List[str]:
        more = {words: " (and %d more files)" % (len(ones) - 1) for words, ones in self._files.items() if len(ones) > 1}
        return ["%s%s %s." % (next(iter(ones)), more.get(words, ""), words) for words, ones in self._files.items()]


def side_in(path: str) -> str:
    """The side of a split that a word of a file's path names; empty where none does."""
    words = (word for name in path.split("/") for word in WORDS.split(os.path.splitext(name)[0]))
    return next((side for side in map(side_named, words) if side), "")
