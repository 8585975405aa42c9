"""How the records of a file are read: where things are, what boxes mean and what classes are called."""

import io
import math
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from stages import files, picture_header, pixels
from stages.view.sources import box_reading
from stages.view.sources.box_reading import BoxReading, Four
from stages.view.sources.features import Blob, Features, Read, Value
from stages.view.sources.layout import Layout, layout
from stages.view.sources.source import TruthBox

HEADER = 1 << 16  # bytes of a picture in which its size is looked for
NO_CLASS = "object"
Size = Tuple[int, int]


class Manner(NamedTuple):
    """How records are read; ``boxes`` is None where they have none, ``names`` are those of class ids."""

    layout: Layout
    boxes: Optional[BoxReading]
    names: Dict[int, str]


def manner(sample: Sequence[Features], read: Read, names: Dict[int, str]) -> Manner:
    """The manner of records of which these are some; ``read`` gives bytes of their file."""
    found = layout(sample)
    boxes = [(four, size_of(one, found, read)) for one in sample for four in fours(one, found)]
    orders = box_reading.orders(len(found.boxes) == 4, found.sided)
    return Manner(found, box_reading.reading(boxes, orders) if boxes else None, names)


def warnings(told: Manner, sample: Features) -> Iterator[str]:
    """What to say of a manner, each without its file and the full stop; ``sample`` is one of the records."""
    found, boxes = told.layout, told.boxes
    if not found.picture:
        keys = ", ".join(sorted(map(files.readable, sample))[:8])
        yield "has no picture in its records, whose features are %s" % (keys or "none")
    if not found.boxes:
        yield "has no boxes in its records that are recognised"
    if boxes is None:
        return
    keys = files.readable(found.boxes[0]) + (" and the like" if len(found.boxes) > 1 else "")
    if boxes.is_exchanged and boxes.bad_at_first and len(found.boxes) == 4:
        yield (
            "has boxes that are no boxes of their pictures as they are named (%d of %d in %s); they are shown as if"
            " %s%s, and whoever trains on these records must read them so"
            % (boxes.bad_at_first, boxes.seen, keys, boxes.order.words, _or_else(boxes))
        )
    elif boxes.is_exchanged and len(found.boxes) == 4:
        yield "seems to have boxes of which %s (%s), by their shapes in pictures of many shapes; they are shown so" % (
            boxes.order.words,
            keys,
        )
    if len(found.boxes) == 1:
        yield "has boxes in %s, which are read as %s in %s" % (
            keys,
            boxes.order.words,
            "shares of the picture" if boxes.shares else "pixels",
        )
    elif not boxes.shares:
        yield "has boxes in pixels (%s), where object_detection expects shares from 0 to 1" % keys
    if boxes.bad:
        yield "has boxes that reach outside of their pictures or have no area: %d of the first %d" % (
            boxes.bad,
            boxes.seen,
        )


def _or_else(boxes: BoxReading) -> str:
    """Which other readings are as good, so that somebody has to look."""
    words = [one.words for one in boxes.others]
    return " (or %s: these boxes do not tell which)" % " or ".join(words) if words else ""


def fours(record: Features, found: Layout) -> List[Four]:
    """The four numbers of each box, as many as all edges have."""
    if len(found.boxes) == 4:
        edges = [_numbers(record.get(key, ())) for key in found.boxes]
        return list(zip(*edges))
    flat = _numbers(record.get(found.boxes[0], ())) if found.boxes else []
    places = range(0, len(flat) - 3, 4)
    return [(flat[one], flat[one + 1], flat[one + 2], flat[one + 3]) for one in places]


def boxes_of(record: Features, told: Manner, size: Size) -> List[TruthBox]:
    """The boxes of a record that can be drawn."""
    if told.boxes is None:
        return []
    found = told.layout
    count = len(fours(record, found))
    labels = _labels(record, told, count)
    flags = [_flags(record.get(key, ()), count) for key in (found.difficult, found.truncated)]
    boxes = []
    for number, four in enumerate(fours(record, found)):
        if all(map(math.isfinite, four)) and (told.boxes.shares or min(size) > 0):
            edges = told.boxes.edges(four, size)
            boxes.append(TruthBox(edges, labels[number], flags[0][number], flags[1][number]))
    return boxes


def size_of(record: Features, found: Layout, read: Read) -> Size:
    """(width, height) as the record tells it, else as the picture's own header does; (0, 0) where neither does."""
    told = [record.get(key, ()) for key in (found.width, found.height)]
    if all(len(one) == 1 and isinstance(one[0], int) and 0 < one[0] < 1 << 20 for one in told):
        return int(told[0][0]), int(told[1][0])  # type: ignore[arg-type]
    picture = record.get(found.picture, ())
    if not picture:
        return 0, 0
    value = picture[0]
    data = read(value.offset, min(value.size, HEADER)) if isinstance(value, Blob) else value
    return picture_header.size(io.BytesIO(data)) or (0, 0) if isinstance(data, bytes) else (0, 0)


def name_of(record: Features, found: Layout) -> str:
    """What the picture is called; empty where nothing says it. It may hold lone surrogates."""
    for key in found.names:
        values = record.get(key, ())
        text = text_of(values[0]) if len(values) == 1 else ""
        if text:
            return text
    return ""


def text_of(value: Value) -> str:
    """A value as text, whatever it is; bytes that are not UTF-8 are lone surrogates, as in names of files."""
    if isinstance(value, Blob):
        value = value.head
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def encoded(data: bytes, record: Features, found: Layout) -> bytes:
    """Pixels that are stored as they are, as a PNG.

    Raises:
        ValueError: they are not as many as the record's size tells.
    """
    width, height = size_of(record, found, lambda _offset, _size: b"")
    channels = len(data) // (width * height) if width and height else 0
    if channels not in (1, 3) or channels * width * height != len(data):
        raise ValueError(
            "%d bytes are no picture that is known, nor the pixels of one of %d x %d" % (len(data), width, height)
        )
    picture = np.frombuffer(data, np.uint8).reshape(height, width, channels)
    return pixels.encode_png(np.repeat(picture, 3, axis=2) if channels == 1 else picture)


def _labels(record: Features, told: Manner, count: int) -> List[str]:
    texts, ids = record.get(told.layout.text, ()), record.get(told.layout.label, ())
    if len(texts) == count and any(texts):
        return [files.readable(text_of(one)) or NO_CLASS for one in texts]
    if len(ids) == count:
        return [told.names.get(int(one), "class %d" % one) if isinstance(one, int) else NO_CLASS for one in ids]
    return [NO_CLASS] * count


def _flags(values: Sequence[Value], count: int) -> List[bool]:
    return [bool(one) for one in values] if len(values) == count else [False] * count


def _numbers(values: Sequence[Value]) -> List[float]:
    return [float(one) for one in values if isinstance(one, (int, float))]
