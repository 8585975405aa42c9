"""What a records artifact holds, as arrays: 200,000 pictures with a million boxes take about 100 MB."""

from array import array
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from stages import record_index
from stages.files import readable
from stages.job import BadInput
from stages.pages.artifact import Artifact
from stages.picture_id import picture_id

SPLITS = ("train", "validation", "test")
FIGURES = ("read", "kept", "dropped", "background")
AGAIN = "make it again with ./run records"


class Pictures(NamedTuple):
    """The pictures in the order of the index, and their boxes in the same order.

    Attributes:
        names: each one's ``source_id``.
        split: int64 [n], the place in ``SPLITS``.
        sizes: int64 [n, 2], width and height of the original photo.
        shards, shard: the files that hold the records, and int64 [n], the place in them.
        frames: int64 [n, 2], offset and length of each record.
        first: int64 [n + 1]: picture i has the boxes from first[i] up to first[i + 1].
        boxes: float64 [m, 4], ymin, xmin, ymax, xmax as shares of the picture, 0 to 1.
        classes: int64 [m], ids from 1.
        owner: int64 [m], the picture of each box.
    """

    names: List[str]
    split: np.ndarray
    sizes: np.ndarray
    shards: List[str]
    shard: np.ndarray
    frames: np.ndarray
    first: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    owner: np.ndarray

    def line(self, place: int) -> Dict[str, Any]:
        """What ``record_index.frame`` needs to find a record."""
        offset, length = (int(number) for number in self.frames[place])
        shard, source_id = self.shards[self.shard[place]], self.names[place]
        return {"shard": shard, "offset": offset, "length": length, "source_id": source_id}

    def counts(self) -> np.ndarray:
        """int64 [n]: how many boxes each picture has."""
        return np.diff(self.first)


class CheckedData(NamedTuple):
    """A records artifact: its folder, ``dataset.json``, the names of its classes by id - 1, and its pictures."""

    folder: str
    document: Dict[str, Any]
    classes: List[str]
    pictures: Pictures

    @property
    def image_size(self) -> Tuple[int, int]:
        """Height and width of the pictures in the records."""
        return self.document["image_size"][0], self.document["image_size"][1]

    @property
    def splits(self) -> List[str]:
        """Those that the dataset has, of ``SPLITS``."""
        return [name for name in SPLITS if name in self.document["splits"]]

    def told(self, place: int) -> Dict[str, Any]:
        """A picture as the page and health.json name it; ``id`` is that of its address in the viewer."""
        pictures = self.pictures
        width, height = (int(side) for side in pictures.sizes[place])
        name = pictures.names[place]
        split = SPLITS[pictures.split[place]]
        return {"id": picture_id(name), "name": readable(name), "split": split, "width": width, "height": height}


def read(folder: str) -> CheckedData:
    """Read a records artifact, the index line by line.

    Raises:
        BadInput: it is damaged; the message names the file and the line.
    """
    document = Artifact("records", folder).document("dataset.json")
    try:
        classes = [one["name"] for one in sorted(document["classes"], key=lambda one: int(one["id"]))]
        sides = [int(side) for side in document["image_size"]]
        whole = all(isinstance(name, str) for name in classes) and len(sides) == 2 and min(sides) > 0
        whole = whole and bool(classes) and "train" in document["splits"]
        figures = [document["figures"][what][kind] for what in ("pictures", "boxes") for kind in FIGURES]
        whole = whole and all(isinstance(figure, int) and figure >= 0 for figure in figures)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise BadInput("dataset.json of the records artifact is damaged: %s." % AGAIN)
    return CheckedData(folder, document, classes, _pictures(folder, list(document["splits"]), len(classes)))


def _pictures(folder: str, splits: List[str], classes: int) -> Pictures:
    names: List[str] = []
    shards: Dict[str, int] = {}
    numbers, corners, ids = array("q"), array("d"), array("q")
    try:
        for number, line in enumerate(record_index.read(folder), 1):
            if line["split"] not in SPLITS or line["split"] not in splits or max(line["classes"], default=1) > classes:
                raise ValueError("line %d: its split or class is none of dataset.json" % number)
            names.append(line["source_id"])
            numbers.extend((SPLITS.index(line["split"]), line["width"], line["height"]))
            numbers.extend((shards.setdefault(line["shard"], len(shards)), line["offset"], line["length"]))
            numbers.append(len(line["boxes"]))
            for box in line["boxes"]:
                corners.extend(box)
            ids.extend(line["classes"])
    except (OSError, ValueError) as error:
        raise BadInput(
            "%s of the records artifact cannot be read: %s; %s."
            % (record_index.FILE, getattr(error, "strerror", None) or error, AGAIN)
        ) from error
    if not names:
        raise BadInput("%s of the records artifact lists no picture: %s." % (record_index.FILE, AGAIN))
    table = np.array(numbers, np.int64).reshape(-1, 7)
    boxes = np.clip(np.array(corners, np.float64).reshape(-1, 4), 0, 1)
    first = np.concatenate([[0], np.cumsum(table[:, 6])])
    owner = np.repeat(np.arange(len(names)), table[:, 6])
    classes_of = np.array(ids, np.int64)
    split, sizes, shard, frames = table[:, 0], table[:, 1:3], table[:, 3], table[:, 4:6]
    return Pictures(names, split, sizes, list(shards), shard, frames, first, boxes, classes_of, owner)


def batches(pictures: Pictures, most: int) -> Iterator[List[int]]:
    """All places in the order of the index, ``most`` at a time."""
    for start in range(0, len(pictures.names), most):
        yield list(range(start, min(start + most, len(pictures.names))))
