"""Counting what goes into the records: boxes per class and split, box sizes, findings. It does not grow with them."""

import bisect
import json
import math
from collections import Counter
from typing import Any, Dict, Iterable, List, Optional, TextIO, Tuple
from typing import Counter as CounterOf

from stages.data.findings import DataFinding
from stages.data.picture_record import PictureRecord

MOST_FINDINGS = 1000  # in dataset.json; findings.jsonl has them all
SIZE_EDGES = (0, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # pixels; the last class is open
SPLITS = ("train", "validation")


class DatasetSummary:
    """The figures of ``dataset.json``. ``dropped`` counts objects that are in the XML but not in the records."""

    def __init__(self, classes: List[str], image_size: Tuple[int, int]) -> None:
        self.image_size = image_size
        self.pictures: CounterOf[str] = Counter()
        self.class_boxes: Dict[str, CounterOf[str]] = {name: Counter() for name in classes}
        self.sizes = [0] * len(SIZE_EDGES)
        self.kinds: CounterOf[str] = Counter()
        self.findings: List[DataFinding] = []
        self.dropped = self.dropped_pictures = 0
        self._lowest: Optional[int] = None
        self._highest: Optional[int] = None

    @property
    def images(self) -> int:
        return sum(self.pictures.values())

    @property
    def boxes(self) -> int:
        return sum(self.sizes)

    def note(self, findings: Iterable[DataFinding], log: TextIO) -> None:
        """Count findings, and write each as a line of JSON."""
        for finding in findings:
            self.kinds[finding.kind] += 1
            if len(self.findings) < MOST_FINDINGS:
                self.findings.append(finding)
            log.write(json.dumps(finding._asdict(), sort_keys=True) + "\n")

    def add(self, split: str, share: int, made: PictureRecord) -> None:
        """Count a record of ``split``; ``share`` is the number that decided so."""
        self.pictures[split] += 1
        self._lowest = share if self._lowest is None else min(self._lowest, share)
        self._highest = share if self._highest is None else max(self._highest, share)
        names = list(self.class_boxes)
        height, width = self.image_size
        for class_id, (ymin, xmin, ymax, xmax) in zip(made.facts["classes"], made.facts["boxes"]):
            self.class_boxes[names[class_id - 1]][split] += 1
            size = math.sqrt((ymax - ymin) * height * (xmax - xmin) * width)
            self.sizes[bisect.bisect_right(SIZE_EDGES, size) - 1] += 1
        self.dropped += made.written - len(made.facts["classes"])

    def drop_picture(self, made: PictureRecord) -> None:
        self.dropped_pictures += 1
        self.dropped += made.written

    def balanced(self, threshold: int) -> int:
        """The threshold that leaves no side empty: ``threshold`` itself, or the nearest that moves a picture over."""
        if threshold == 0 or self._lowest is None or self._highest is None or self._lowest == self._highest:
            return threshold
        return min(max(threshold, self._lowest + 1), self._highest)

    def document(self, shards: Dict[str, List[str]]) -> Dict[str, Any]:
        """``dataset.json``, all but the encoding.

        ``box_sizes`` counts boxes by the square root of their area in pixels at ``image_size``: ``counts[i]`` from
        ``edges[i]`` up to the next edge, the last without end.
        """
        return {
            "format": 1,
            "classes": [
                {"id": number, "name": name, "boxes": {split: boxes[split] for split in SPLITS}}
                for number, (name, boxes) in enumerate(self.class_boxes.items(), 1)
            ],
            "image_size": list(self.image_size),
            "splits": {
                split: {
                    "pictures": self.pictures[split],
                    "shards": shards[split],
                    "boxes": sum(boxes[split] for boxes in self.class_boxes.values()),
                }
                for split in SPLITS
            },
            "images": self.images,
            "boxes": self.boxes,
            "box_sizes": {"edges": list(SIZE_EDGES), "counts": self.sizes},
            "dropped": self.dropped,
            "dropped_pictures": self.dropped_pictures,
            "findings": [finding._asdict() for finding in self.findings],
            "finding_counts": dict(sorted(self.kinds.items())),
        }
