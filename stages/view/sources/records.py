"""A records artifact as a source: ``index.jsonl`` tells of all pictures, and where each is.

What it does not tell, whether objects are difficult or truncated, is read from the records, without their pictures.
"""

import json
import os
from collections import defaultdict
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from stages import files, record_index
from stages.data import tfrecord
from stages.data.tfrecord import HEAD, TAIL
from stages.view.sources import feature_text, stored_bytes
from stages.view.sources.features import Features, features, scanned
from stages.view.sources.source import Looked, PictureEntry, PicturePlace, ToldFinding, TruthBox
from stages.view.sources.stored_bytes import StoredBytes

SUMMARY, FINDINGS = "dataset.json", "findings.jsonl"
FEWER = "%s lists %d pictures, and %s tells of %d: make the records again."
DAMAGED = "%s is damaged in line %d: what it tells from there on is not shown; make the records again."
OTHERS = "line %d of %s tells of a file or class that %s does not; are they of other records?"


class RecordsSource:
    """The folder that the stage records made."""

    kind = "records"

    def __init__(self, folder: str, title: str) -> None:
        self.folder, self.title = folder, title
        self.warnings: List[str] = []
        summary = json.loads(files.read(os.path.join(folder, SUMMARY)).decode("utf-8"))
        self.total, self.done = int(summary["images"]), 0
        self._names: List[str] = [str(one["name"]) for one in summary["classes"]]
        self._size = int(summary["image_size"][1]), int(summary["image_size"][0])
        shards = [str(shard) for split in summary["splits"].values() for shard in split["shards"]]
        self._shards = sorted(shards)
        self._unplaced: List[ToldFinding] = []

    def files(self) -> Sequence[str]:
        return [os.path.join(self.folder, name) for name in (SUMMARY, record_index.FILE, FINDINGS, *self._shards)]

    def classes(self) -> Sequence[str]:
        return self._names

    def entries(self) -> Iterator[PictureEntry]:
        places = {shard: number for number, shard in enumerate(self._shards)}
        told = self._findings()
        shards = _Shards(self.folder)
        for line in record_index.read(self.folder):
            if line["shard"] not in places or max(line["classes"], default=0) > len(self._names):
                raise ValueError(OTHERS % (self.done + 1, record_index.FILE, SUMMARY))
            place = PicturePlace(places[line["shard"]], line["offset"], line["length"])
            found = [*told.pop(line["source_id"], ()), *told.pop(_stem(line["source_id"]), ())]
            self.done += 1
            boxes = self._boxes(line, shards.flags(line))
            yield PictureEntry(line["source_id"], line["split"], self._size, boxes, place, found)
        self.warnings += shards.warnings
        if self.done != self.total:
            self.warnings.append(FEWER % (record_index.FILE, self.done, SUMMARY, self.total))
        self._unplaced = [one for ones in told.values() for one in ones]

    def unplaced(self) -> Iterator[ToldFinding]:
        return iter(self._unplaced)

    def file(self, place: PicturePlace) -> str:
        return self._shards[place.file]

    def look(self, place: PicturePlace, name: str) -> Looked:
        line = {"shard": self._shards[place.file], "offset": place.offset, "length": place.length, "source_id": name}
        (content,) = tfrecord.contents(record_index.frame(self.folder, line))
        found = features(content)
        record_index.check_source(line, _bytes(found, "image/source_id"))
        return Looked(_bytes(found, "image/encoded"), False, feature_text.texts(found))

    def _boxes(self, line: Dict[str, Any], flags: List[Tuple[bool, bool]]) -> List[TruthBox]:
        return [
            TruthBox((xmin, ymin, xmax, ymax), self._names[class_id - 1], *flag)
            for class_id, (ymin, xmin, ymax, xmax), flag in zip(line["classes"], line["boxes"], flags)
        ]

    def _findings(self) -> Dict[str, List[ToldFinding]]:
        """Findings by the file that they are about, or by its path without suffix where that is an XML file; those
        before a damaged line, which is told."""
        found: Dict[str, List[ToldFinding]] = defaultdict(list)
        with files.opened(os.path.join(self.folder, FINDINGS)) as stream:
            for number, line in enumerate(stream, 1):
                try:
                    entry = _finding(line)
                except (TypeError, ValueError, RecursionError):
                    self.warnings = [DAMAGED % (FINDINGS, number)]
                    break
                is_xml = entry.file.lower().endswith(".xml")
                found[_stem(entry.file) if is_xml else entry.file].append(entry)
        return found


def _finding(line: bytes) -> ToldFinding:
    """The finding that a line tells.

    Raises:
        TypeError, ValueError, RecursionError: it is damaged.
    """
    found = ToldFinding(**json.loads(line.decode("utf-8")))
    texts, numbers = (found.kind, found.file, found.message, found.action), (found.line, found.object)
    if not all(isinstance(one, str) for one in texts) or not all(one is None or type(one) is int for one in numbers):
        raise ValueError("it is no finding")
    return found


class _Shards:
    """The records themselves, read one after the other for what the index does not tell."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._name = ""
        self._stored: Optional[StoredBytes] = None
        self.warnings: List[str] = []

    def flags(self, line: Dict[str, Any]) -> List[Tuple[bool, bool]]:
        """Of each box, whether it is difficult and truncated; that it is neither, where the record cannot be read."""
        count = len(line["boxes"])
        try:
            found = self._features(line) if count else {}
        except (OSError, ValueError) as error:
            self._damaged(line["shard"], error)
            found = {}
        flags = [found.get("image/object/" + name, ()) for name in ("difficult", "truncated")]
        difficult, truncated = (
            [bool(one) for one in ones] if len(ones) == count else [False] * count for ones in flags
        )
        return list(zip(difficult, truncated))

    def _features(self, line: Dict[str, Any]) -> Features:
        if self._name != line["shard"]:
            self.close()
            self._stored = stored_bytes.opened(os.path.join(self._folder, line["shard"]))
            self._name = line["shard"]
        assert self._stored is not None
        found = scanned(self._stored.read, line["offset"] + HEAD, line["length"] - HEAD - TAIL)
        record_index.check_source(line, _bytes(found, "image/source_id"))
        return found

    def close(self) -> None:
        if self._stored is not None:
            self._stored.close()

    def _damaged(self, shard: str, error: Exception) -> None:
        """Say of each shard once that it is."""
        begin = "%s is not what %s tells of" % (shard, record_index.FILE)
        if not any(one.startswith(begin) for one in self.warnings):
            why = error.strerror if isinstance(error, OSError) else error
            self.warnings.append("%s (%s): make the records again." % (begin, why))


def _bytes(found: Features, key: str) -> bytes:
    return b"".join(one for one in found.get(key, ()) if isinstance(one, bytes))


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]
