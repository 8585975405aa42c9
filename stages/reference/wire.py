"""The protobuf wire format, read strictly and without a schema: the reader of UFF files is built on it.

Own code rather than the protobuf package, so that a mistake of the writer's library cannot hide in the reader.
Source: Protocol Buffers, "Encoding" (protobuf.dev/programming-guides/encoding).
"""

import struct
from typing import Iterator, List, Tuple, Union

MAX_TEXT = 1 << 10
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = Union[int, memoryview]


class Malformed(ValueError):
    """The bytes are not a message of this format, or are cut short."""


def varint(data: memoryview, position: int) -> Tuple[int, int]:
    """The unsigned 64-bit number at ``position`` and the position after it."""
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise Malformed("a number is cut short: the file is truncated or damaged")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
    raise Malformed("a number is longer than 10 bytes")


def fields(data: memoryview) -> Iterator[Tuple[int, int, Value]]:
    """The fields of a message in file order: number, wire type, and an unsigned int (varint) or the raw bytes."""
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, kind = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise Malformed("field number %d is illegal" % number)
        if kind == VARINT:
            value, position = varint(data, position)
            yield number, kind, value
        else:
            start, position = _extent(data, position, kind)
            yield number, kind, data[start:position]


def _extent(data: memoryview, position: int, kind: int) -> Tuple[int, int]:
    """Start and end of the bytes of a field that is not a varint."""
    if kind == BYTES:
        length, position = varint(data, position)
    elif kind in (FIXED64, FIXED32):
        length = 8 if kind == FIXED64 else 4
    else:
        raise Malformed("wire type %d is not used here" % kind)
    if length > len(data) - position:
        raise Malformed(
            "a field of %d bytes has only %d left: the file is truncated or damaged" % (length, len(data) - position)
        )
    return position, position + length


def number(kind: int, value: Value) -> int:
    """A varint field as signed 64-bit integer."""
    if kind != VARINT or not isinstance(value, int):
        raise Malformed("a number was expected, found wire type %d" % kind)
    return value - (1 << 64) if value >> 63 else value


def message(kind: int, value: Value) -> memoryview:
    """The bytes of a message, a string or a blob."""
    if kind != BYTES or not isinstance(value, memoryview):
        raise Malformed("bytes were expected, found wire type %d" % kind)
    return value


def text(kind: int, value: Value) -> str:
    """A UTF-8 string field, as long as a name may be."""
    content = message(kind, value)
    if len(content) > MAX_TEXT:
        raise Malformed("a name of %d bytes is longer than any (%d)" % (len(content), MAX_TEXT))
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a name is not UTF-8") from None


def double(kind: int, value: Value) -> float:
    """A double field."""
    if kind != FIXED64 or not isinstance(value, memoryview):
        raise Malformed("a double was expected, found wire type %d" % kind)
    return float(struct.unpack("<d", value)[0])


def numbers(kind: int, value: Value) -> List[int]:
    """One field of a repeated int: packed or not."""
    if kind == VARINT:
        return [number(kind, value)]
    data, position, result = message(kind, value), 0, []
    while position < len(data):
        item, position = varint(data, position)
        result.append(number(VARINT, item))
    return result


def doubles(kind: int, value: Value) -> List[float]:
    """One field of a repeated double: packed or not."""
    if kind == FIXED64:
        return [double(kind, value)]
    data = message(kind, value)
    if len(data) % 8:
        raise Malformed("a list of doubles has %d bytes" % len(data))
    return [item for (item,) in struct.iter_unpack("<d", data)]
