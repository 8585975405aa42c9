"""``made.jsonl``: what was made of every picture of an artifact, so that a later run need not make it again.

A line for each picture (``PictureRecord.text``) that a later run may take over, and a last one with the digest of all
before it, without which nothing is believed. It says how the records came to be and belongs to no later stage's input.
"""

import hashlib
import json
import os
import re
from array import array
from typing import Any, Optional

import numpy as np

from stages import disk, files, record_index
from stages.data import tfrecord
from stages.data.picture_record import PictureRecord, of_text

FILE = files.MADE
KEY = re.compile(rb'\{"key": "([0-9a-f]{64})"')
END = re.compile(rb'\{"sha256": "([0-9a-f]{64})"\}\n')
MOST_BYTES = 16 << 20  # of a line


class KeyPlaces:
    """Where something is by its key of 64 hex digits, in 16 bytes each: by its first 16 digits, so look what it is."""

    def __init__(self) -> None:
        self._added = array("Q")
        self._sorted: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self._added) // 2

    def add(self, key: str, place: int) -> None:
        """Note where it is."""
        self._added.extend((int(key[:16], 16), place))
        self._sorted = None

    def find(self, key: str) -> Optional[int]:
        """Where it may be, None if it is not there."""
        if self._sorted is None:
            rows = np.array(self._added, np.uint64).reshape(-1, 2)
            self._sorted = rows[np.argsort(rows[:, 0], kind="stable")]
        number = np.uint64(int(key[:16], 16))
        row = int(np.searchsorted(self._sorted[:, 0], number))
        return int(self._sorted[row, 1]) if row < len(self._sorted) and self._sorted[row, 0] == number else None


class MadeWriter:
    """The file of an artifact, line by line."""

    def __init__(self, path: str) -> None:
        self._path, self._digest = path, hashlib.sha256()
        with disk.writing(path):
            self._stream = open(path, "wb")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "MadeWriter":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        with disk.writing(self._path):
            if kind is None:
                self._stream.write(json.dumps({"sha256": self._digest.hexdigest()}).encode() + b"\n")
            self._stream.close()

    def add(self, record: PictureRecord) -> None:
        """A picture that can be used, in this artifact, or one that cannot; what cannot be known again is left out.

        Raises:
            StageFailed: the disk does not take it.
        """
        if record.key:
            line = record.text() + b"\n"
            self._digest.update(line)
            with disk.writing(self._path):
                self._stream.write(line)


class Earlier:
    """The artifact of an earlier run: what was made of pictures that may not have changed since.

    Of one that is damaged, or of another form, as much is known as can be believed.
    """

    def __init__(self, folder: Optional[str]) -> None:
        """``folder`` is None where there is none."""
        self._folder = folder or ""
        self._path = os.path.join(self._folder, FILE)
        try:
            self.known = self._keys() if folder else KeyPlaces()
        except (OSError, ValueError):
            self.known = KeyPlaces()

    def find(self, key: str) -> Optional[PictureRecord]:
        """What was made of the picture of that key, whose record is there and whole; None: make it."""
        place = self.known.find(key)
        if place is None:
            return None
        try:
            with files.opened(self._path) as stream:
                stream.seek(place)
                record = of_text(stream.readline(MOST_BYTES))
            if record.checksum:
                self.frame(record)
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return record if record.key == key and bool(record.facts) == bool(record.checksum) else None

    def frame(self, record: PictureRecord) -> bytes:
        """The record of a picture, framed.

        Raises:
            OSError: it cannot be read.
            ValueError, LookupError, TypeError: it is not there, or another one, or damaged.
        """
        at = record.at or {}
        if os.path.basename(at["shard"]) != at["shard"]:
            raise ValueError("%r is not the name of a file" % at["shard"])
        frame = record_index.frame(self._folder, at)
        if tfrecord.checksum(frame) != record.checksum or len(list(tfrecord.contents(frame))) != 1:
            raise ValueError("another record is there")
        return frame

    def _keys(self) -> KeyPlaces:
        """The places of all lines.

        Raises:
            OSError, ValueError: there is no such file, or it is not what was written.
        """
        keys, digest, place = KeyPlaces(), hashlib.sha256(), 0
        with files.opened(self._path) as stream:
            for line in iter(lambda: stream.readline(MOST_BYTES), b""):
                end, key = END.fullmatch(line), KEY.match(line)
                if end and end.group(1).decode() == digest.hexdigest() and not stream.read(1):
                    return keys
                if not key:
                    break
                keys.add(key.group(1).decode(), place)
                digest.update(line)
                place += len(line)
        raise ValueError("it is damaged")
