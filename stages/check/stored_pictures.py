"""The pictures in the records: how each looks, and small ones to show."""

import base64
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np
from google.protobuf.message import DecodeError

from stages import drawing, files, pixels, record_index, workers
from stages.check.dataset import CheckedData, batches
from stages.data import tfrecord
from stages.data.split import looks
from stages.job import BadInput

AT_A_TIME = 64  # pictures that a process takes
LONG_SIDE = 240  # pixels of a small picture
JPEG_QUALITY = 78
ENCODED, SOURCE = "image/encoded", "image/source_id"


class Outline(NamedTuple):
    """A box to draw: ymin, xmin, ymax, xmax as shares of the picture, and the number of its colour, from 1."""

    box: Sequence[float]
    color: int


def all_looks(data: CheckedData, processes: int, progress: Callable[[int], None]) -> np.ndarray:
    """uint8 [n, 32]: how every picture looks, see stages/data/split/looks.py.

    Args:
        progress: is told how many are done.

    Raises:
        BadInput: a record is damaged, or is not that of its line in the index.
    """
    found: List[bytes] = []
    work = ([data.pictures.line(place) for place in batch] for batch in batches(data.pictures, AT_A_TIME))
    for some in workers.in_order(partial(_looks_of, data.folder), work, processes):
        found += some
        progress(len(found))
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, looks.BITS // 8)


def _looks_of(folder: str, lines: Iterable[Dict[str, Any]]) -> List[bytes]:
    return [looks.look(_decoded(folder, line)) for line in lines]


def _decoded(folder: str, line: Dict[str, Any]) -> np.ndarray:
    try:
        content = next(tfrecord.contents(record_index.frame(folder, line)))
        features = tfrecord.Example.FromString(content).features.feature
        record_index.check_source(line, b"".join(features[SOURCE].bytes_list.value[:1]))
        return pixels.decode(b"".join(features[ENCODED].bytes_list.value[:1]), pixels.ANY_SIZE)
    except (OSError, ValueError, DecodeError) as error:
        raise BadInput(
            "The record of %s in %s cannot be read: %s; make the records again with ./run records."
            % (files.readable(line["source_id"]), line["shard"], getattr(error, "strerror", None) or error)
        ) from error


def thumbnail(data: CheckedData, place: int, outlines: Sequence[Outline] = ()) -> str:
    """A small picture in the photo's own proportions, boxes drawn on it, as a data URI.

    Raises:
        BadInput: as :func:`all_looks`.
    """
    picture = _decoded(data.folder, data.pictures.line(place))
    width, height = _fitted(*(int(side) for side in data.pictures.sizes[place]))
    small = pixels.resize(picture, height, width)
    scale = np.array([width, height, width, height])
    for outline in outlines:
        ymin, xmin, ymax, xmax = outline.box
        small = drawing.outlined(small, np.array([xmin, ymin, xmax, ymax]) * scale, outline.color)
    return "data:image/jpeg;base64," + base64.b64encode(pixels.encode_jpeg(small, JPEG_QUALITY)).decode("ascii")


def _fitted(width: int, height: int) -> Tuple[int, int]:
    """Sides of the same proportions, the longer ``LONG_SIDE``, neither under an eighth of that."""
    longer = max(width, height)
    return max(LONG_SIDE // 8, LONG_SIDE * width // longer), max(LONG_SIDE // 8, LONG_SIDE * height // longer)
