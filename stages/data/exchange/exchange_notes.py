"""What of a dataset VOC cannot hold, or cannot be read: counted by kind, the first of each told, all in a file."""

import json
import os
from collections import Counter
from typing import Any, Dict, List, NamedTuple
from typing import Counter as CounterOf

from stages import disk, files
from stages.data.finding_log import FILE


class ExchangeKind(NamedTuple):
    """A kind of note: what it means for the dataset that is written, and what to do about it; empty: nothing."""

    meaning: str
    remedy: str = ""


KINDS: Dict[str, ExchangeKind] = {
    # Pictures
    "no_photo": ExchangeKind(
        "the picture is left out", "Name the folder of its photo by --photos, or put the photo there"
    ),
    "ambiguous_photo": ExchangeKind(
        "the picture is left out", "Give photos of one name in several folders their folders in the file, too"
    ),
    "not_labelled": ExchangeKind(
        "no XML is written, and records leaves such a photo out (no_xml)",
        'Label it; if such photos show no object, set records.findings = { no_xml = "fix" }',
    ),
    "several_label_files": ExchangeKind("the picture is left out", "Remove the label file that does not hold"),
    "several_photos": ExchangeKind(
        "the picture is left out", "Export a task for each photo: it is not told which of them its regions are on"
    ),
    "repeated_picture": ExchangeKind(
        "its objects are put together", "Look whether the objects are there twice; records drops exact repetitions"
    ),
    "turned_view": ExchangeKind(
        "the picture is left out", "Save the photo turned as it is to be seen, and label it without turning the view"
    ),
    "no_size": ExchangeKind(
        "boxes in shares of the picture become none, as its size is not known",
        "Take the photo from a backup, or remove it with its labels",
    ),
    # Objects whose place or class is not known: records leaves their pictures out
    "no_class": ExchangeKind("the object has no class, and records leaves its picture out (no_class)", "Mend the file"),
    "no_box": ExchangeKind("the object has no box, and records leaves its picture out (no_box)", "Draw its box"),
    "unreadable_number": ExchangeKind(
        "the object has no box, and records leaves its picture out (no_box)", "Correct the number in the file"
    ),
    "wrong_entry": ExchangeKind("it is left out", "Mend the file, or export it anew"),
    # What is written as something else
    "shape_boxed": ExchangeKind("the box that encloses it is written in its place"),
    "several_labels": ExchangeKind("an object of each label is written"),
    "crowd": ExchangeKind("it is written with <difficult>1</difficult> and the attribute iscrowd"),
    "not_normalised": ExchangeKind(
        "the box is written as it is told, and records cuts it at the edge or leaves its picture out (outside_box)",
        "Numbers of YOLO are shares of the picture, 0 to 1",
    ),
    # What VOC has no place for
    "keypoints": ExchangeKind("keypoints are left out"),
    "mask": ExchangeKind("the mask is left out"),
    "score": ExchangeKind("the score is left out"),
    "supercategory": ExchangeKind("the supercategory is left out"),
    "attribute": ExchangeKind("the attribute is left out"),
    "relation": ExchangeKind("the relation is left out"),
    "other_label": ExchangeKind("what it says is left out, as it is about no object"),
}


class NoteLog:
    """The notes of a run, in ``findings.jsonl`` of the output; memory does not grow with them."""

    def __init__(self, output: str) -> None:
        """Begin the file.

        Raises:
            StageFailed: the disk does not take it.
        """
        self.kinds: CounterOf[str] = Counter()
        self._first: Dict[str, str] = {}
        self._path = os.path.join(output, FILE)
        with disk.writing(self._path):
            self._stream = open(self._path, "w", encoding="utf-8")  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "NoteLog":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.close()

    def add(self, kind: str, where: str, message: str) -> None:
        """Note what was found ``where``: a file, and a line or an element in it.

        Raises:
            StageFailed: the disk does not take it.
        """
        self.kinds[kind] += 1
        self._first.setdefault(kind, "%s: %s" % (where, message))
        line = {"kind": kind, "where": where, "message": message, "meaning": KINDS[kind].meaning}
        with disk.writing(self._path):
            self._stream.write(json.dumps(line, sort_keys=True) + "\n")

    def lines(self) -> List[str]:
        """For each kind its count, the first, what it means and what to do; the most frequent first."""
        frequent = sorted(self.kinds.items(), key=lambda one: (-one[1], one[0]))
        return [self._line(kind, count) for kind, count in frequent]

    def _line(self, kind: str, count: int) -> str:
        told = KINDS[kind]
        remedy = " %s." % told.remedy if told.remedy else ""
        return "%d %s: %s; for instance %s.%s" % (count, kind, told.meaning, files.readable(self._first[kind]), remedy)
