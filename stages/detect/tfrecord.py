"""The picture in a TFRecord frame, read with the standard library only: a device has no protobuf and no crc32c package.

Formats: TensorFlow's ``core/lib/io/record_writer.cc``, ``core/example/example.proto`` and ``feature.proto``.
"""

import functools
import struct
from typing import Iterator, List

from stages.reference import wire

MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h
CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, bits reversed (RFC 3720, appendix B.4)
HEAD, TAIL = 12, 4  # bytes of a frame before and after its content


def content(frame: bytes) -> bytes:
    """The content of one whole frame.

    Raises:
        ValueError: the frame is cut off, or a checksum is wrong.
    """
    if len(frame) < HEAD + TAIL or frame[8:HEAD] != _checksum(frame[:8]):
        raise ValueError("its head is damaged")
    held = frame[HEAD:-TAIL]
    if struct.unpack("<Q", frame[:8])[0] != len(held) or frame[-TAIL:] != _checksum(held):
        raise ValueError("it is cut off or damaged")
    return held


def feature(example: bytes, name: str) -> bytes:
    """The bytes of the feature ``name`` in a serialized tf.train.Example, empty where it has none.

    Raises:
        ValueError: the bytes are not an Example.
    """
    found = bytearray()
    for features in _messages(memoryview(example), 1):
        for entry in _messages(features, 1):
            # As protobuf: of several the last counts, here and among entries with one name.
            key = functools.reduce(lambda _, later: later, _messages(entry, 1), memoryview(b""))
            if key == name.encode("utf-8"):
                found = _values(entry)
    return bytes(found)


def _values(entry: memoryview) -> bytearray:
    """All bytes of an entry's ``bytes_list``; no list is made of them, which millions of empty ones would fill."""
    found = bytearray()
    for value in _messages(entry, 2):
        for bytes_list in _messages(value, 1):
            for item in _messages(bytes_list, 1):
                found += item
    return found


def _messages(data: memoryview, number: int) -> Iterator[memoryview]:
    return (wire.message(kind, value) for field, kind, value in wire.fields(data) if field == number)


def _table() -> List[int]:
    table = []
    for remainder in range(256):
        for _ in range(8):
            remainder = remainder >> 1 ^ (CASTAGNOLI if remainder & 1 else 0)
        table.append(remainder)
    return table


TABLE = _table()


def _checksum(data: bytes) -> bytes:
    """The masked CRC-32C of ``data``; byte by byte, 15 ms for a record of 100 kB."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (crc >> 15 | crc << 17) + MASK_DELTA & 0xFFFFFFFF)
