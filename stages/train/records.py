"""A records artifact as training reads it: its classes, its shards, its index."""

import json
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from google.protobuf import message
from tensorflow.core.example import example_pb2

from stages import files, record_index
from stages.job import BadInput
from stages.protos import label_map

TRAINING, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAINING, VALIDATION, TEST)
LABEL_MAP = "label_map.pbtxt"


class RecordSet:
    """What training needs to know of a records artifact.

    Attributes:
        folder: its absolute path.
        classes: class names; the first has id 1.
        image_size: height and width of the pictures in the records, None where that is not told.
        index: split -> the lines of ``index.jsonl`` (see docs/architecture.md), in file order; of test, which is there
            only where the dataset's own split has such pictures, none may be.
    """

    def __init__(self, folder: str) -> None:
        """Read the artifact and check that no shard is missing or cut off, and that the label map can be read.

        Raises:
            BadInput: the folder is not a records artifact, a split is empty, a shard has not got the records that the
                index lists, or the label map is none or another's.
        """
        self.folder = folder
        self.classes, self.image_size = _dataset(folder)
        lines = _index(folder)
        self.index = {split: [line for line in lines if line["split"] == split] for split in SPLITS}
        for split in (TRAINING, VALIDATION):
            if not self.index[split]:
                raise BadInput(
                    "The records hold no %s picture: add photos or change records.validation_fraction." % split
                )
        _check_shards(folder, lines)
        _check_label_map(os.path.join(folder, LABEL_MAP), self.classes)

    def shards(self, split: str) -> List[str]:
        """File names of the split's shards, in file order."""
        return list(dict.fromkeys(line["shard"] for line in self.index[split]))

    def most_boxes(self, splits: Sequence[str] = (TRAINING, VALIDATION)) -> int:
        """The largest number of boxes in one picture of these splits, at least 1."""
        return max([1] + [len(line["boxes"]) for split in splits for line in self.index[split]])


def _dataset(folder: str) -> Tuple[List[str], Optional[Tuple[int, int]]]:
    path = os.path.join(folder, "dataset.json")
    try:
        with files.opened(path) as stream:
            document = json.loads(stream.read().decode("utf-8"))
        classes = [str(entry["name"]) for entry in sorted(document["classes"], key=lambda entry: int(entry["id"]))]
        height, width = document.get("image_size") or (0, 0)
        size = (int(height), int(width)) if height and width else None
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise BadInput("%s is not a records artifact (%s): run records again." % (folder, error)) from error
    if not classes:
        raise BadInput("%s names no class: name some in dataset.classes and run records again." % path)
    return classes, size


def _index(folder: str) -> List[Dict[str, Any]]:
    try:
        return record_index.lines(folder)
    except (OSError, ValueError) as error:
        raise BadInput(
            "%s cannot be read (%s): run records again." % (os.path.join(folder, record_index.FILE), error)
        ) from error


def _check_shards(folder: str, lines: List[Dict[str, Any]]) -> None:
    shards: Dict[str, List[Dict[str, Any]]] = {}
    for line in lines:
        shards.setdefault(line["shard"], []).append(line)
    for shard, held in shards.items():
        held.sort(key=lambda line: int(line["offset"]))
        path = os.path.join(folder, shard)
        size = os.path.getsize(path) if os.path.isfile(path) else None
        if size is None:
            raise BadInput("The shard %s is missing in %s: run records again." % (shard, folder))
        end = max(line["offset"] + line["length"] for line in held)
        if size != end:
            raise BadInput(
                "The shard %s in %s has %d bytes instead of %d (cut off?): run records again."
                % (shard, folder, size, end)
            )
        _check_frames(path, held)
        _check_first(folder, held[0])


def _check_frames(path: str, lines: List[Dict[str, Any]]) -> None:
    """Check that the frames are those of the lines, which are in order, one after the other.

    TensorFlow 1.12 takes whatever memory a frame's length asks for, and ends without a word where it cannot.
    """
    place = 0
    with open(path, "rb") as stream:
        for line in lines:
            stream.seek(place)
            if line["offset"] != place or record_index.held(stream.read(record_index.HEAD)) != line["length"]:
                raise BadInput(
                    "The shard %s has no record of %d bytes at byte %d, where the index says so: run records again."
                    % (path, line["length"], line["offset"])
                )
            place += line["length"]


def _check_first(folder: str, line: Dict[str, Any]) -> None:
    """Check that a shard's first record is an Example: TensorFlow 1.12 ends without a word at what is none."""
    try:
        data = record_index.frame(folder, line)[record_index.HEAD : -record_index.TAIL]
        feature = example_pb2.Example.FromString(data).features.feature
        record_index.check_source(line, b"".join(feature["image/source_id"].bytes_list.value))
        if not feature["image/encoded"].bytes_list.value:
            raise ValueError("it holds no picture")
    except (OSError, ValueError, message.DecodeError) as error:
        raise BadInput(
            "The first record in %s cannot be used (%s): run records again."
            % (os.path.join(folder, line["shard"]), error)
        ) from error


def _check_label_map(path: str, classes: List[str]) -> None:
    """Here, since object_detection reads it where nobody can say which file is wrong, and waits for a named pipe."""
    try:
        names = label_map.read(path)
    except BadInput as error:
        raise BadInput("The label map %s cannot be read (%s): run records again." % (path, error)) from error
    if names != dict(enumerate(classes, 1)):
        raise BadInput("The label map %s names other classes than dataset.json beside it: run records again." % path)
