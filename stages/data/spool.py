"""The records of all pictures in one file, until all are known and it can be said which side each goes to."""

import json
import os
from array import array
from contextlib import suppress
from typing import Any, Dict, Iterator, NamedTuple, Tuple

from stages import disk
from stages.data.picture_record import PictureRecord


class Spooled(NamedTuple):
    """A record as it was put in; ``written`` and ``listed`` as in :class:`PictureRecord`."""

    framed: bytes
    facts: Dict[str, Any]
    written: int
    listed: int


class Spool:
    """Memory grows by 16 bytes a picture. The file is removed in the end, whatever ends the work.

    ``listed`` counts the objects of listed classes in all XML files of what was put in.
    """

    def __init__(self, scratch: str) -> None:
        self._path = os.path.join(scratch, "records.spool")
        self._lengths = array("Q")
        self.listed = 0

    def __enter__(self) -> "Spool":
        with disk.writing(self._path):
            self._stream = open(self._path, "wb")  # noqa: SIM115 - closed by __exit__
        return self

    def __exit__(self, *_: Any) -> None:
        with suppress(OSError):
            self._stream.close()  # which may have bytes left that a full disk does not take
        os.remove(self._path)

    def add(self, made: PictureRecord) -> None:
        """Append a picture's record.

        Raises:
            StageFailed: the disk does not take it.
        """
        assert made.framed is not None
        beside = json.dumps([made.facts, made.written, made.listed]).encode()
        with disk.writing(self._path):
            self._stream.write(made.framed)
            self._stream.write(beside)
        self._lengths.extend((len(made.framed), len(beside)))
        self.listed += made.listed

    def records(self) -> Iterator[Spooled]:
        """All that was put in, in that order.

        Raises:
            StageFailed: the disk does not take what was written last.
        """
        with disk.writing(self._path):
            self._stream.flush()
        with open(self._path, "rb") as stream:
            for framed, beside in self._pairs():
                content = stream.read(framed)
                yield Spooled(content, *json.loads(stream.read(beside).decode()))

    def _pairs(self) -> Iterator[Tuple[int, int]]:
        return zip(self._lengths[::2], self._lengths[1::2])
