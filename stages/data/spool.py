"""What was made of all pictures, until all are known and it can be said which side each goes to.

A file of the scratch folder: of every picture, as TFRecord frames, its text (``PictureRecord.text``) and then its
record, if it has one and that is in no artifact. So a run that is interrupted leaves whole pictures up to where it was,
and the next one takes them.
"""

import os
from array import array
from contextlib import suppress
from typing import Any, BinaryIO, Iterator, NamedTuple, Optional

from stages import disk
from stages.data import tfrecord
from stages.data.made import Earlier, KeyPlaces
from stages.data.picture_record import PictureRecord, of_text
from stages.job import StageFailed

FILE = "records.spool"


class Spooled(NamedTuple):
    """A picture as it was put in; ``framed`` is its record, empty where it has none."""

    record: PictureRecord
    framed: bytes


def packed(record: PictureRecord, framed: bytes) -> bytes:
    """As it is put in."""
    return tfrecord.framed(record.text()) + framed


class Spool:
    """Memory grows by 8 bytes a picture, 24 where an earlier run was interrupted.

    The file is removed when the work is done, and stays where an error ends it.

    Attributes:
        known: where pictures are that the interrupted run left.
        listed: how many objects of listed classes are in the XML files of pictures with a record.
    """

    def __init__(self, scratch: str, earlier: Earlier) -> None:
        """``earlier`` has the records of what is taken from there."""
        self._path = os.path.join(scratch, FILE)
        self._earlier = earlier
        self._places = array("Q")
        self.known = KeyPlaces()
        self.listed = 0

    def __enter__(self) -> "Spool":
        with disk.writing(self._path):
            self._stream = open(self._path, "ab")  # noqa: SIM115 - closed by __exit__
            self._end = self._left_whole()
            self._stream.truncate(self._end)
            self._reading = open(self._path, "rb")  # noqa: SIM115 - closed by __exit__
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        with suppress(OSError):
            self._reading.close()
            self._stream.close()  # which may have bytes left that a full disk does not take
        if kind is None:
            os.remove(self._path)

    def find(self, key: str) -> Optional[int]:
        """Where the picture of that key is that an interrupted run left; None: make it."""
        place = self.known.find(key)
        return None if place is None or self._left(place).key != key else place

    def take(self, place: int) -> PictureRecord:
        """Put in a picture that an interrupted run left."""
        return self._noted(place, self._left(place))

    def copy(self, record: PictureRecord) -> PictureRecord:
        """Put in a picture whose record is in ``earlier``, or that has none.

        Raises:
            StageFailed: the disk does not take it.
        """
        return self.add(packed(record, b""))

    def add(self, data: bytes) -> PictureRecord:
        """Put in a picture that was made, ``packed``.

        Raises:
            StageFailed: the disk does not take it.
        """
        with disk.writing(self._path):
            self._stream.write(data)
        place, self._end = self._end, self._end + len(data)
        return self._noted(place, of_text(tfrecord.first_content(data)))

    def pictures(self) -> Iterator[Spooled]:
        """All that was put in, in that order, with what is in ``earlier``.

        Raises:
            StageFailed: the disk does not take what was written last, or a file was changed meanwhile.
        """
        with disk.writing(self._path):
            self._stream.flush()
        for place in self._places:
            try:
                self._reading.seek(place)
                found = _next(self._reading, self._end)
                if found.record.at:
                    found = found._replace(framed=self._earlier.frame(found.record))
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise StageFailed(
                    "What was made of a picture changed on the disk meanwhile (%s): run the same command again." % error
                ) from error
            yield found

    def _noted(self, place: int, record: PictureRecord) -> PictureRecord:
        self._places.append(place)
        self.listed += record.listed if record.facts else 0
        return record

    def _left(self, place: int) -> PictureRecord:
        self._reading.seek(place)
        return of_text(tfrecord.first_content(tfrecord.next_frame(self._reading, self._end)))

    def _left_whole(self) -> int:
        """Where the pictures end that an interrupted run left; what is behind them is damaged."""
        place = 0
        with open(self._path, "rb") as stream, suppress(ValueError, LookupError, TypeError):
            end = os.fstat(stream.fileno()).st_size
            while place < end:
                record = _next(stream, end).record
                if record.key and not record.at:  # what is in an artifact is found there
                    self.known.add(record.key, place)
                place = stream.tell()
        return place


def _next(stream: BinaryIO, end: int) -> Spooled:
    """The picture that begins where the stream is.

    Raises:
        ValueError, LookupError, TypeError: it is cut off or damaged.
    """
    record = of_text(tfrecord.first_content(tfrecord.next_frame(stream, end)))
    framed = tfrecord.next_frame(stream, end) if record.checksum and not record.at else b""
    if framed and tfrecord.checksum(framed) != record.checksum:
        raise ValueError("another record is there")
    return Spooled(record, framed)
