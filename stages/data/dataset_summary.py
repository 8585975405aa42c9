"""Counting what goes into the records and what does not. It does not grow with them."""

import bisect
import math
from collections import Counter
from typing import Any, Dict, List, Sequence, Tuple
from typing import Counter as CounterOf

from stages.data.finding_log import FindingLog
from stages.data.findings import summary
from stages.data.picture_record import PictureRecord
from stages.data.split.sides import SIDES
from stages.finding_kinds import DROP, FIX

SIZE_EDGES = (0, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # pixels; the last class is open


class Tally:
    """What became of pictures, or of boxes: ``read`` is always ``kept`` + ``dropped`` + ``background``."""

    def __init__(self) -> None:
        self.kept = self.dropped = self.background = 0

    @property
    def read(self) -> int:
        return self.kept + self.dropped + self.background

    def document(self) -> Dict[str, int]:
        """All four by name."""
        return {"read": self.read, "kept": self.kept, "dropped": self.dropped, "background": self.background}


class DatasetSummary:
    """The figures of ``dataset.json``.

    Attributes:
        tally_pictures: read are all photos that count, and XML files without a photo that can be read; kept are those
            in the records with a box, background those without.
        tally_boxes: read are all objects in XML that can be parsed, an object with several boxes as several, also of
            pictures that are dropped; kept are those in the records, background those of classes that are not listed in
            pictures that are in the records: the detector learns that they are background.
        pictures: how many of each split are in the records.
        listed: how many of the objects read are of listed classes.
    """

    def __init__(self, classes: Sequence[str], image_size: Tuple[int, int]) -> None:
        self.image_size = image_size
        self.pictures: CounterOf[str] = Counter()
        self.class_boxes: Dict[str, CounterOf[str]] = {name: Counter() for name in classes}
        self.sizes = [0] * len(SIZE_EDGES)
        self.tally_pictures, self.tally_boxes = Tally(), Tally()
        self.listed = 0

    @property
    def images(self) -> int:
        return sum(self.pictures.values())

    @property
    def boxes(self) -> int:
        return sum(self.sizes)

    @property
    def missing(self) -> int:
        """Objects that are in the XML and not in the records, whatever the reason."""
        return self.tally_boxes.dropped + self.tally_boxes.background

    def add(self, split: str, record: PictureRecord) -> None:
        """Count a record of ``split``."""
        self.pictures[split] += 1
        self.listed += record.listed
        kept = record.facts["boxes"]
        if kept:
            self.tally_pictures.kept += 1
        else:
            self.tally_pictures.background += 1
        self.tally_boxes.kept += len(kept)
        self.tally_boxes.dropped += record.listed - len(kept)
        self.tally_boxes.background += record.written - record.listed
        names = list(self.class_boxes)
        height, width = self.image_size
        for class_id, (ymin, xmin, ymax, xmax) in zip(record.facts["classes"], kept):
            self.class_boxes[names[class_id - 1]][split] += 1
            size = math.sqrt((ymax - ymin) * height * (xmax - xmin) * width)
            self.sizes[bisect.bisect_right(SIZE_EDGES, size) - 1] += 1

    def drop(self, pictures: int, boxes: int, listed: int) -> None:
        """Count pictures that do not go into the records, and objects with them, so many of them of listed classes."""
        self.listed += listed
        self.tally_pictures.dropped += pictures
        self.tally_boxes.dropped += boxes

    def splits(self) -> List[str]:
        """Those of ``dataset.json``: test is there only if it has pictures."""
        return [split for split in SIDES if split != "test" or self.pictures[split]]

    def sentence(self, log: FindingLog) -> str:
        """What became of all that was read, without a full stop.

        Such as ``9 of 12 pictures (41 of 60 boxes) are in the records; 3 dropped (19 boxes): 3 damaged_xml``.
        """
        pictures, boxes = self.tally_pictures, self.tally_boxes
        told = "%d of %d pictures (%d of %d boxes) are in the records"
        parts = [told % (self.images, pictures.read, boxes.kept, boxes.read)]
        if pictures.background:
            parts[0] += ", %d of them as background without a box" % pictures.background
        lost = log.of_taken(DROP)
        lost.pop("unknown_class", None)  # told apart
        dropped = summary(lost)
        if pictures.dropped:
            of_them = " (%s)" % counted(boxes.dropped, "box") if boxes.dropped else ""
            parts.append("%d dropped%s: %s" % (pictures.dropped, of_them, dropped))
        elif boxes.dropped:
            parts.append("%s dropped: %s" % (counted(boxes.dropped, "box"), dropped))
        if boxes.background:
            parts.append("%s of classes that are not listed" % counted(boxes.background, "box"))
        mended = summary(log.of_taken(FIX))
        return "; ".join(parts + ["mended: %s" % mended] * bool(mended))

    def document(self, shards: Dict[str, List[str]], log: FindingLog) -> Dict[str, Any]:
        """``dataset.json``, all but the encoding and what decided the split.

        ``figures`` say what became of all pictures and boxes (see the attributes). ``dropped`` counts objects that are
        in the XML but not in the records, those of classes that are not listed included. ``box_sizes`` counts boxes by
        the square root of their area in pixels at ``image_size``: ``counts[i]`` from ``edges[i]`` up to the next edge,
        the last without end.
        """
        splits = self.splits()
        return {
            "format": 1,
            "classes": [
                {"id": number, "name": name, "boxes": {split: boxes[split] for split in splits}}
                for number, (name, boxes) in enumerate(self.class_boxes.items(), 1)
            ],
            "image_size": list(self.image_size),
            "splits": {
                split: {
                    "pictures": self.pictures[split],
                    "shards": shards[split],
                    "boxes": sum(boxes[split] for boxes in self.class_boxes.values()),
                }
                for split in splits
            },
            "images": self.images,
            "boxes": self.boxes,
            "box_sizes": {"edges": list(SIZE_EDGES), "counts": self.sizes},
            "figures": {"pictures": self.tally_pictures.document(), "boxes": self.tally_boxes.document()},
            "dropped": self.missing,
            "dropped_pictures": self.tally_pictures.dropped,
            "findings": [finding._asdict() for finding in log.first],
            "finding_counts": dict(sorted(log.kinds.items())),
        }


def counted(count: int, noun: str) -> str:
    """``1 box``, ``3 boxes``."""
    return "%d %s%s" % (count, noun, "" if count == 1 else "es" if noun.endswith("x") else "s")
