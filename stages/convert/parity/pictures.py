"""Pictures to compare a graph and its model on: from records, from a folder, or of seeded noise."""

import os
from typing import Any, List, NamedTuple, Optional

import numpy as np
from google.protobuf import message
from tensorflow.core.example import example_pb2

from stages import files, pixels, record_index
from stages.convert.parity.measure import noise
from stages.job import BadInput


class Truth(NamedTuple):
    """What is on a picture: float [n, 4], (ymin, xmin, ymax, xmax) as shares of it, and int [n], class ids from 1."""

    boxes: np.ndarray
    classes: np.ndarray


class ProofPicture(NamedTuple):
    """A picture at the network's input size: uint8 RGB [height, width, 3], and what is on it, if that is known."""

    name: str
    pixels: np.ndarray
    truth: Optional[Truth]


def from_records(folder: str, count: int, height: int, width: int) -> List[ProofPicture]:
    """The first ``count`` validation pictures of a records artifact, filled up with training pictures; none of test.

    Raises:
        BadInput: the folder is not a records artifact, or a record is damaged.
    """
    lines = [line for line in _index(folder) if line["split"] != "test"]
    lines.sort(key=lambda line: line["split"] != "validation")  # stable: file order within each split
    return [
        ProofPicture(line["source_id"], _record(folder, line, height, width), _truth(line)) for line in lines[:count]
    ]


def _index(folder: str) -> List[Any]:
    try:
        return record_index.lines(folder)
    except (OSError, ValueError) as error:
        raise BadInput("%s is not a records artifact (%s); run records again" % (folder, error)) from error


def _truth(line: Any) -> Truth:
    return Truth(np.array(line["boxes"], float).reshape(-1, 4), np.array(line["classes"], int))


def _record(folder: str, line: Any, height: int, width: int) -> np.ndarray:
    try:
        example = example_pb2.Example.FromString(
            record_index.frame(folder, line)[record_index.HEAD : -record_index.TAIL]
        )
        record_index.check_source(line, b"".join(_bytes(example, "image/source_id")))
        return pixels.shrunk(b"".join(_bytes(example, "image/encoded")), height, width)
    except (OSError, ValueError, message.DecodeError) as error:
        raise BadInput(
            "Record %s in %s cannot be read (%s); run records again" % (line["source_id"], line["shard"], error)
        ) from error


def _bytes(example: example_pb2.Example, name: str) -> List[bytes]:
    return list(example.features.feature[name].bytes_list.value)


def from_folder(folder: str, count: int, height: int, width: int) -> List[ProofPicture]:
    """The first ``count`` pictures of a folder, by name, shrunk to the input size.

    Raises:
        BadInput: the folder holds no picture, or one that cannot be read.
    """
    if not os.path.isdir(folder):
        raise BadInput("There is no folder of pictures at %s" % folder)
    names = files.names_below(folder, files.PICTURE_SUFFIXES)[:count]
    if not names:
        raise BadInput("The folder %s holds no picture (%s)" % (folder, ", ".join(files.PICTURE_SUFFIXES)))
    return [ProofPicture(name, _read(os.path.join(folder, name), height, width), None) for name in names]


def _read(path: str, height: int, width: int) -> np.ndarray:
    try:
        return pixels.shrunk(pixels.read(path), height, width)
    except ValueError as error:
        raise BadInput("%s cannot be used: %s" % (path, error)) from error


def of_noise(count: int, height: int, width: int) -> List[ProofPicture]:
    """``count`` seeded pictures with large and small structure: coarse noise enlarged, fine noise on top."""
    made = []
    for seed in range(count):
        coarse = pixels.resize(noise((2 + seed % 9, 2 + seed % 7, 3), seed), height, width).astype(np.int16)
        fine = noise((height, width, 3), seed + 1000).astype(np.int16) // 4 - 32
        made.append(ProofPicture("noise %d" % seed, np.clip(coarse + fine, 0, 255).astype(np.uint8), None))
    return made
