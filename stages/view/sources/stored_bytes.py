"""The bytes of a file at any place, plain or compressed: TensorFlow writes TFRecords as they are, or GZIP or ZLIB."""

import os
import threading
import zlib
from typing import BinaryIO, NamedTuple, Optional, Protocol

from stages import files
from stages.data.tfrecord import masked_crc

WINDOW = 1 << 16  # bytes that are read at once where little is asked for
STEP = 1 << 25  # bytes between the places where unpacking can begin; each keeps 40 kB
PACKED = 1 << 18  # compressed bytes that are read at once
KEPT = 1 << 22  # bytes that are kept of what was unpacked last: a record is looked back at
MOST_POINTS = 512
GZIP_MARK, DETECTED = b"\x1f\x8b", 32 + zlib.MAX_WBITS  # zlib's way to say: GZIP or ZLIB, as the header has it


class StoredBytes(Protocol):
    """The bytes of a file, unpacked."""

    size: Optional[int]
    """How many there are; None where only unpacking tells."""

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from ``offset`` on, fewer at the end.

        Raises:
            OSError, ValueError: they cannot be read.
        """

    def close(self) -> None:
        """Let go of the file."""


def opened(path: str) -> StoredBytes:
    """The file, unpacked if it is compressed.

    Raises:
        OSError: it cannot be read.
    """
    stream = files.opened(path)
    head = stream.read(12)
    # What is sound as the head of a record is no compressed file that begins like one.
    is_record = len(head) == 12 and head[8:] == masked_crc(head[:8])
    is_zlib = len(head) > 1 and head[0] == 0x78 and (head[0] << 8 | head[1]) % 31 == 0  # RFC 1950
    if not is_record and (head.startswith(GZIP_MARK) or is_zlib):
        return _PackedBytes(stream)
    return _PlainBytes(stream)


class _PlainBytes:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size: Optional[int] = os.fstat(stream.fileno()).st_size
        self._window = 0, b""  # where it begins, and what it holds: exchanged together, as several threads read

    def read(self, offset: int, size: int) -> bytes:
        begin, held = self._window
        if not begin <= offset <= offset + size <= begin + len(held):
            held = os.pread(self._stream.fileno(), max(size, WINDOW), offset)
            begin = offset
            if size <= WINDOW:
                self._window = begin, held
        return held[offset - begin : offset - begin + size]

    def close(self) -> None:
        self._stream.close()


class _Point(NamedTuple):
    """A place where unpacking can begin: bytes unpacked and packed before it, and the decoder as it is there."""

    unpacked: int
    packed: int
    decoder: "zlib._Decompress"


class _PackedBytes:
    """Unpacks as far as is asked, and goes back to the nearest place where it was before; nothing goes to the disk."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size: Optional[int] = None
        self._lock = threading.Lock()
        self._step = STEP
        self._points = [_Point(0, 0, zlib.decompressobj(DETECTED))]
        self._resume(self._points[0])

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            if offset < self._begin:
                self._resume(next(point for point in reversed(self._points) if point.unpacked <= offset))
            while self._begin + len(self._held) < offset + size and self._unpack():
                unneeded = min(len(self._held), max(0, offset - KEPT - self._begin))
                if unneeded > KEPT:
                    del self._held[:unneeded]
                    self._begin += unneeded
            return bytes(self._held[offset - self._begin : offset - self._begin + size])

    def close(self) -> None:
        self._stream.close()

    def _resume(self, point: _Point) -> None:
        self._begin, self._held = point.unpacked, bytearray()
        self._packed = point.packed
        self._decoder = point.decoder.copy()  # which may hold packed bytes that were read and not yet unpacked

    def _unpack(self) -> bool:
        """Unpack a piece more; whether there was one."""
        if self._decoder.eof:
            # Files may be compressed in pieces, one behind the other.
            self._packed -= len(self._decoder.unused_data)
            self._decoder = zlib.decompressobj(DETECTED)
        data = self._decoder.unconsumed_tail or os.pread(self._stream.fileno(), PACKED, self._packed)
        if not self._decoder.unconsumed_tail:
            self._packed += len(data)
        if not data:
            return False
        try:
            self._held += self._decoder.decompress(data, WINDOW * 4)
        except zlib.error as error:
            raise ValueError("the compressed data is damaged (%s)" % error) from error
        end = self._begin + len(self._held)
        if end >= self._points[-1].unpacked + self._step and not self._decoder.eof:
            self._points.append(_Point(end, self._packed, self._decoder.copy()))
            if len(self._points) > MOST_POINTS:
                self._points, self._step = self._points[::2], 2 * self._step
        return True
