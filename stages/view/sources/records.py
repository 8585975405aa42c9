"""A records artifact as a source: ``index.jsonl`` tells all pictures, before any TFRecord is read."""

import json
import os
from collections import defaultdict
from typing import Any, Dict, Iterator, List, Sequence

from stages import files, record_index
from stages.data import tfrecord
from stages.view.sources import example_text
from stages.view.sources.source import Entry, Looked, Place, Told, TruthBox

SUMMARY, FINDINGS = "dataset.json", "findings.jsonl"


class RecordsSource:
    """The folder that the stage records made."""

    kind = "records"

    def __init__(self, folder: str, title: str) -> None:
        self.folder, self.title = folder, title
        self.warnings: List[str] = []
        summary = json.loads(files.read(os.path.join(folder, SUMMARY)).decode("utf-8"))
        self.total, self.done = int(summary["images"]), 0
        self._names = [str(one["name"]) for one in summary["classes"]]
        self._size = int(summary["image_size"][1]), int(summary["image_size"][0])
        self._shards = sorted(shard for split in summary["splits"].values() for shard in split["shards"])
        self._unplaced: List[Told] = []

    def files(self) -> Sequence[str]:
        return [os.path.join(self.folder, name) for name in (SUMMARY, record_index.FILE, FINDINGS, *self._shards)]

    def classes(self) -> Sequence[str]:
        return self._names

    def entries(self) -> Iterator[Entry]:
        places = {shard: number for number, shard in enumerate(self._shards)}
        told = self._findings()
        for line in record_index.read(self.folder):
            place = Place(places[line["shard"]], line["offset"], line["length"])
            found = told.pop(line["source_id"], ()) or told.pop(_stem(line["source_id"]), ())
            self.done += 1
            yield Entry(line["source_id"], line["split"], self._size, self._boxes(line), place, found)
        self._unplaced = [one for ones in told.values() for one in ones]

    def unplaced(self) -> Iterator[Told]:
        return iter(self._unplaced)

    def file(self, place: Place) -> str:
        return self._shards[place.file]

    def look(self, place: Place, name: str) -> Looked:
        line = {"shard": self._shards[place.file], "offset": place.offset, "length": place.length, "source_id": name}
        (content,) = tfrecord.contents(record_index.frame(self.folder, line))
        features = tfrecord.Example.FromString(content).features.feature
        record_index.check_source(line, b"".join(features["image/source_id"].bytes_list.value))
        data = b"".join(features["image/encoded"].bytes_list.value)
        return Looked(data, False, example_text.texts(features))

    def _boxes(self, line: Dict[str, Any]) -> List[TruthBox]:
        return [
            TruthBox((xmin, ymin, xmax, ymax), self._names[class_id - 1])
            for class_id, (ymin, xmin, ymax, xmax) in zip(line["classes"], line["boxes"])
        ]

    def _findings(self) -> Dict[str, List[Told]]:
        """Findings by the file that they are about, or by its path without suffix where that is an XML file."""
        found: Dict[str, List[Told]] = defaultdict(list)
        with files.opened(os.path.join(self.folder, FINDINGS)) as stream:
            for line in stream:
                entry = json.loads(line.decode("utf-8"))
                is_xml = entry["file"].lower().endswith(".xml")
                found[_stem(entry["file"]) if is_xml else entry["file"]].append(Told(**entry))
        return found


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]
