"""The features of a tf.train.Example where it is stored: what is large, such as pictures, is told of and not read.

Formats: TensorFlow's ``core/example/example.proto`` and ``feature.proto``; Protocol Buffers, "Encoding".
"""

from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from stages.data import tfrecord

SMALL = 1 << 14  # bytes of features that are read whole: to pass over a part of them would take longer
LARGE = 4096  # bytes of an entry that is not read whole
HEAD = 2048  # bytes of a large value that are read: they tell a picture's format, and mostly its size
MOST_VALUES = 10000  # large values of one feature, such as masks
MOST_NUMBERS = 1 << 22  # bytes of a list of numbers
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
Read = Callable[[int, int], bytes]


class Blob(NamedTuple):
    """A large value: its first bytes, where it is in the file, and how many bytes it has."""

    head: bytes
    offset: int
    size: int


Value = Union[bytes, Blob, float, int]
Features = Dict[str, Sequence[Value]]


class NoExample(ValueError):
    """The record is something else; a clause that says what."""


def features(content: bytes) -> Features:
    """The features of an Example, whole.

    Raises:
        NoExample: the bytes are something else.
    """
    return scanned(lambda offset, size: content[offset : offset + size], 0, len(content), len(content) + 1)


def scanned(read: Read, offset: int, size: int, whole: int = SMALL) -> Features:
    """The features of the Example of ``size`` bytes at ``offset``. Unless all of them have less than ``whole`` bytes,
    values in entries of ``LARGE`` bytes and more are :class:`Blob`.

    Raises:
        NoExample: something else is there.
    """
    small: List[bytes] = []
    found: Features = {}
    names = set()
    for number, kind, place, length in _fields(read, offset, offset + size):
        names.add(number)
        if number != 1 or kind != BYTES:
            continue
        if length < whole:
            small.append(read(place, length))
            continue
        for field, wire, begin, extent in _fields(read, place, place + length):
            if field != 1 or wire != BYTES:
                raise NoExample("it is no tf.train.Example")
            if extent < LARGE:
                small.append(b"\x0a" + _encoded(extent) + read(begin, extent))
            else:
                found.update([_large_entry(read, begin, extent)])
    if 2 in names:
        raise NoExample("it is a SequenceExample, a list of pictures or words as of a video, which is not shown")
    if names - {1}:
        raise NoExample("it is no tf.train.Example")
    found.update(_parsed(b"".join(small)))
    return found


def _parsed(data: bytes) -> Features:
    """The features of a message Features."""
    message = tfrecord.Example()
    try:
        message.features.ParseFromString(data)
    except Exception as error:  # protobuf has an error of its own in each of its implementations
        raise NoExample("it is no tf.train.Example") from error
    kinds = {key: one.WhichOneof("kind") for key, one in message.features.feature.items()}
    return {key: getattr(message.features.feature[key], kind).value if kind else [] for key, kind in kinds.items()}


def _large_entry(read: Read, offset: int, size: int) -> Tuple[str, Sequence[Value]]:
    """Key and values of an entry of the map of features."""
    key, values = "", []  # type: str, Sequence[Value]
    for number, kind, place, length in _fields(read, offset, offset + size):
        if number == 1 and kind == BYTES:
            key = read(place, min(length, LARGE)).decode("utf-8", "replace")
        elif number == 2 and kind == BYTES:
            values = _large_values(read, place, length)
    return key, values


def _large_values(read: Read, offset: int, size: int) -> Sequence[Value]:
    """The values of a Feature: bytes as blobs, numbers as they are, as long as they are not too many."""
    found: List[Value] = []
    for number, kind, place, length in _fields(read, offset, offset + size):
        if number != 1 or kind != BYTES:
            if length > MOST_NUMBERS or kind != BYTES:
                return []
            field = bytes([number << 3 | BYTES]) + _encoded(length) + read(place, length)
            entry = b"\x0a\x01-\x12" + _encoded(len(field)) + field
            return list(_parsed(b"\x0a" + _encoded(len(entry)) + entry)["-"])
        for item, wire, begin, extent in _fields(read, place, place + length):
            if item == 1 and wire == BYTES and len(found) < MOST_VALUES:
                found.append(Blob(read(begin, min(extent, HEAD)), begin, extent))
    return found


def _fields(read: Read, position: int, end: int) -> Iterator[Tuple[int, int, int, int]]:
    """The fields between two places: number, wire type, where the value begins and its bytes."""
    while position < end:
        key, position = _varint(read, position)
        number, kind = key >> 3, key & 7
        if kind == BYTES:
            length, position = _varint(read, position)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        elif kind == VARINT:
            length = _varint(read, position)[1] - position
        else:
            raise NoExample("it is no tf.train.Example")
        if not number or position + length > end:
            raise NoExample("it is no tf.train.Example")
        yield number, kind, position, length
        position += length


def _varint(read: Read, position: int) -> Tuple[int, int]:
    """The number at a place, and the place after it."""
    result = 0
    for shift, byte in enumerate(read(position, 10)):
        result |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return result, position + shift + 1
    raise NoExample("it is no tf.train.Example")


def _encoded(number: int) -> bytes:
    """A number as a varint."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
