"""A records artifact as training reads it: its classes, its shards, its index."""

import json
import os
from typing import Any, Dict, List, Sequence

from google.protobuf import text_format
from object_detection.protos import string_int_label_map_pb2

from stages import files
from stages.job import BadInput

TRAINING, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAINING, VALIDATION, TEST)
LABEL_MAP = "label_map.pbtxt"
LARGEST_LABEL_MAP = 1 << 24  # bytes


class RecordSet:
    """What training needs to know of a records artifact.

    Attributes:
        folder: its absolute path.
        classes: class names; the first has id 1.
        index: split -> the lines of ``index.jsonl`` (see docs/architecture.md), in file order; of test, which is there
            only where the dataset's own split has such pictures, none may be.
    """

    def __init__(self, folder: str) -> None:
        """Read the artifact and check that no shard is missing or cut off, and that the label map can be read.

        Raises:
            BadInput: the folder is not a records artifact, a split is empty, a shard does not have its size, or the
                label map is none.
        """
        self.folder = folder
        self.classes = [entry["name"] for entry in sorted(_dataset(folder)["classes"], key=lambda entry: entry["id"])]
        lines = _index(folder)
        self.index = {split: [line for line in lines if line["split"] == split] for split in SPLITS}
        for split in (TRAINING, VALIDATION):
            if not self.index[split]:
                raise BadInput(
                    "The records hold no %s picture: add photos or change records.validation_fraction." % split
                )
        _check_sizes(folder, lines)
        _check_label_map(os.path.join(folder, LABEL_MAP))

    def shards(self, split: str) -> List[str]:
        """File names of the split's shards, in file order."""
        return list(dict.fromkeys(line["shard"] for line in self.index[split]))

    def most_boxes(self, splits: Sequence[str] = (TRAINING, VALIDATION)) -> int:
        """The largest number of boxes in one picture of these splits, at least 1."""
        return max([1] + [len(line["boxes"]) for split in splits for line in self.index[split]])


def _dataset(folder: str) -> Dict[str, Any]:
    path = os.path.join(folder, "dataset.json")
    try:
        with files.opened(path) as stream:
            dataset: Dict[str, Any] = json.loads(stream.read().decode("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput("%s is not a records artifact (%s): run records again." % (folder, error)) from error
    if not dataset.get("classes"):
        raise BadInput("%s names no class: name some in dataset.classes and run records again." % path)
    return dataset


def _index(folder: str) -> List[Dict[str, Any]]:
    path = os.path.join(folder, "index.jsonl")
    try:
        with files.opened(path) as stream:
            return [json.loads(line.decode("utf-8")) for line in stream]
    except (OSError, ValueError) as error:
        raise BadInput("%s cannot be read (%s): run records again." % (path, error)) from error


def _check_sizes(folder: str, lines: List[Dict[str, Any]]) -> None:
    ends: Dict[str, int] = {}
    for line in lines:
        ends[line["shard"]] = max(ends.get(line["shard"], 0), line["offset"] + line["length"])
    for shard, end in ends.items():
        path = os.path.join(folder, shard)
        size = os.path.getsize(path) if os.path.isfile(path) else None
        if size is None:
            raise BadInput("The shard %s is missing in %s: run records again." % (shard, folder))
        if size != end:
            raise BadInput(
                "The shard %s in %s has %d bytes instead of %d (cut off?): run records again."
                % (shard, folder, size, end)
            )


def _check_label_map(path: str) -> None:
    """Here, since object_detection reads it where nobody can say which file is wrong, and waits for a named pipe."""
    try:
        text = files.read(path, LARGEST_LABEL_MAP).decode("utf-8")
        text_format.Merge(text, string_int_label_map_pb2.StringIntLabelMap())
    except (OSError, ValueError, text_format.ParseError) as error:
        raise BadInput("The label map %s cannot be read (%s): run records again." % (path, error)) from error
