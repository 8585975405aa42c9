"""The frames of a TFRecord file: where each record is, found from head to head over what is between."""

import struct
from typing import Iterator, NamedTuple

from stages.data.tfrecord import HEAD, TAIL, masked_crc
from stages.view.sources.stored_bytes import StoredBytes

MOST_BYTES = 1 << 29  # of a record that is looked at


class Frame(NamedTuple):
    """A record: where its frame begins, and the bytes of its content."""

    offset: int
    size: int

    @property
    def content(self) -> int:
        """Where the content begins."""
        return self.offset + HEAD


def frames(stored: StoredBytes) -> Iterator[Frame]:
    """All frames, in order; contents are passed over.

    Raises:
        OSError, ValueError: the file cannot be read from some frame on; the message says where.
    """
    offset = 0
    while True:
        head = stored.read(offset, HEAD)
        if not head:
            return
        if len(head) < HEAD or head[8:] != masked_crc(head[:8]):
            raise ValueError("the record at byte %d has a damaged head" % offset)
        frame = Frame(offset, struct.unpack("<Q", head[:8])[0])
        end = frame.content + frame.size + TAIL
        is_cut = end > stored.size if stored.size is not None else len(stored.read(end - 1, 1)) < 1
        if is_cut:
            raise ValueError("the record at byte %d, of %d bytes by its head, is cut off" % (offset, frame.size))
        yield frame
        offset = end


def content(stored: StoredBytes, frame: Frame) -> bytes:
    """The content of a frame, both checksums proven.

    Raises:
        OSError, ValueError: it cannot be read, or is not what was written.
    """
    if frame.size > MOST_BYTES:
        raise ValueError("the record at byte %d has %d bytes, too many to be shown" % frame)
    head = stored.read(frame.offset, HEAD)
    if head != struct.pack("<Q", frame.size) + masked_crc(struct.pack("<Q", frame.size)):
        raise ValueError("no record of %d bytes is at byte %d any more" % (frame.size, frame.offset))
    data, tail = stored.read(frame.content, frame.size), stored.read(frame.content + frame.size, TAIL)
    if len(tail) < TAIL or tail != masked_crc(data):
        raise ValueError("the record at byte %d is damaged: its checksum is another" % frame.offset)
    return data
