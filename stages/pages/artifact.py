"""An artifact folder that a page is made of, its documents read and checked where they enter."""

import json
import os
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from stages.job import BadInput

REQUIRED_KEYS = {
    "dataset.json": (
        "classes",
        "image_size",
        "encoding",
        "splits",
        "images",
        "boxes",
        "dropped",
        "findings",
        "finding_counts",
        "figures",
        "split",
    ),
    "checkpoints.json": ("tensorflow", "best", "last", "checkpoints"),
    "history.json": ("training", "evaluation"),
    "evaluation.json": ("step", "mAP", "mAP@0.5", "per_class"),
    "export.json": ("step", "tensorflow"),
    "audit.json": ("verdict", "findings"),
    "model.json": ("input", "outputs", "classes", "plugin", "feature_maps", "anchors"),
    "parity.json": ("pictures", "detections", "matched", "max_score_diff", "min_iou", "worst"),
    "build-engine/parity.json": ("samples",),
    "engine.json": ("tensorrt", "cuda", "device", "compute", "l4t", "precision", "seconds", "plan", "board"),
    "layers.json": ("milliseconds", "layers"),
    "bench.json": ("runs", "network", "end_to_end", "memory_mb", "board", "slowed"),
    "detections.json": ("score_threshold", "pictures"),
    "record.json": ("stage", "environment", "fingerprint", "artifact_digest", "started", "seconds", "recipe"),
}

# What the page takes for granted of a record: of each value, and of the values in those of its recipe that are digests.
RECORD_TYPES: Dict[str, Union[type, Tuple[type, ...]]] = {
    "stage": str,
    "environment": str,
    "fingerprint": str,
    "artifact_digest": str,
    "started": str,
    "seconds": (int, float),
    "recipe": dict,
    "tools": dict,
    "warnings": list,
}
DIGESTS = ("inputs", "locks", "code")
LONGEST_S = 1e9


class Artifact:
    """One finished artifact folder.

    Attributes:
        stage: the name of the stage that made it.
        folder: its path.
    """

    def __init__(self, stage: str, folder: str) -> None:
        self.stage = stage
        self.folder = folder

    def path(self, *parts: str) -> str:
        """The path of a file of the artifact.

        Raises:
            BadInput: there is no such file, or the name leads out of the artifact.
        """
        name = "/".join(parts)
        path = os.path.realpath(os.path.join(self.folder, name))
        inside = path.startswith(os.path.realpath(self.folder) + os.sep)
        if not inside or not os.path.isfile(path):
            raise BadInput(
                "The %s artifact has no file %s: make it again with ./run %s." % (self.stage, name, self.stage)
            )
        return path

    def document(self, name: str) -> Dict[str, Any]:
        """The JSON object in a file of the artifact, with the keys that docs/architecture.md promises.

        Raises:
            BadInput: the file is missing, is not JSON, or lacks one of those keys.
        """
        try:
            with open(self.path(name), encoding="utf-8") as stream:
                document = json.load(stream)
        except (ValueError, RecursionError) as error:
            raise self._unusable(name, "is not JSON: %s" % error) from error
        if not isinstance(document, dict):
            raise self._unusable(name, "holds no JSON object")
        wanted = REQUIRED_KEYS.get(self.stage + "/" + name) or REQUIRED_KEYS[name]
        missing = [key for key in wanted if key not in document]
        if missing:
            raise self._unusable(name, "lacks %s" % ", ".join(missing))
        return document

    def lines(self, name: str) -> List[Dict[str, Any]]:
        """The objects of a JSON Lines file.

        Raises:
            BadInput: the file is missing or a line is not JSON; the message names the line.
        """
        objects = []
        with open(self.path(name), encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    objects.append(json.loads(line))
                except ValueError as error:
                    raise self._unusable(name, "line %d is not JSON: %s" % (number, error)) from error
        return objects

    def record(self) -> Optional[Dict[str, Any]]:
        """How the artifact came to be, or None where a stage was run by hand and no host wrote it down.

        Raises:
            BadInput: it is damaged, or that of another stage's artifact.
        """
        if not os.path.exists(os.path.join(self.folder, "record.json")):
            return None
        record = self.document("record.json")
        wrong = list(_wrong_parts(record))
        if wrong:
            raise self._unusable("record.json", "is damaged (%s)" % ", ".join(wrong))
        if record["stage"] != self.stage:
            raise self._unusable("record.json", "is that of a %s artifact" % record["stage"])
        return record

    def _unusable(self, name: str, fault: str) -> BadInput:
        return BadInput(
            "%s of the %s artifact %s: make it again with ./run %s." % (name, self.stage, fault, self.stage)
        )


def _wrong_parts(record: Dict[str, Any]) -> Iterator[str]:
    """The keys of a record whose values are not what the page can show."""
    for key, kind in RECORD_TYPES.items():
        if key in record and not isinstance(record[key], kind):
            yield key
    if isinstance(record["seconds"], (int, float)) and not 0 <= record["seconds"] < LONGEST_S:
        yield "seconds"
    if not isinstance(record["recipe"], dict):
        return
    for key in ("parameters",) + DIGESTS:
        values = record["recipe"].get(key, {})
        whole = isinstance(values, dict)
        if not whole or (key in DIGESTS and not all(isinstance(value, str) for value in values.values())):
            yield "recipe.%s" % key
