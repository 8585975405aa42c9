"""Small VOC datasets made on the spot, and what a stage leaves behind."""

import io
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np
from PIL import Image

from stages.data import tfrecord
from stages.demo import voc_writer

RED, BLUE = (220, 30, 30), (30, 30, 220)
PARAMETERS = {
    "classes": ["cone", "ball"],
    "image_size": [64, 96],
    "encoding": "png",
    "jpeg_quality": 95,
    "aliases": {},
    "boxes": "auto",
    "sizes": "xml",
    "split": "auto",
    "validation_fraction": 0.25,
    "accept_losses": True,
    "seed": 0,
    "limit": 0,
    "pictures_per_shard": 1000,
    "findings": {},
    "max_megapixels": 100,
}
Objects = Sequence[Tuple[str, Tuple[float, float, float, float]]]


def photo(width: int = 200, height: int = 100, seed: int = 0, kind: str = "JPEG", orientation: int = 1) -> bytes:
    """A noisy photo as a file; ``orientation`` goes into its EXIF, the pixels stay."""
    noise = np.random.RandomState(seed).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    picture = Image.fromarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    picture.save(stream, kind, exif=exif) if orientation != 1 else picture.save(stream, kind)
    return stream.getvalue()


class Dataset:
    """A VOC dataset in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.photos, self.annotations = folder / "JPEGImages", folder / "Annotations"
        self.photos.mkdir(parents=True)
        self.annotations.mkdir()

    def add(
        self,
        name: str,
        objects: Objects = (("cone", (20, 10, 120, 80)),),
        size: Tuple[int, int] = (200, 100),
        data: bytes = b"",
    ) -> None:
        """A photo ``name`` (a noisy JPEG unless ``data`` is given) and its XML."""
        stem = os.path.splitext(name)[0]
        for path in (self.photos / name, self.annotations / (stem + ".xml")):
            path.parent.mkdir(parents=True, exist_ok=True)
        (self.photos / name).write_bytes(data or photo(*size, seed=len(list(self.photos.rglob("*")))))
        (self.annotations / (stem + ".xml")).write_bytes(voc_writer.annotation(os.path.basename(name), *size, objects))

    def fill(self, count: int) -> "Dataset":
        """``count`` photos, each with a cone and a ball."""
        for number in range(count):
            self.add("photo-%03d.jpg" % number, (("cone", (20, 10, 120, 80)), ("ball", (130, 40, 190, 90))))
        return self


class Outcome:
    """What a stage left behind and said."""

    def __init__(self, folder: Path, events: List[Dict[str, Any]]) -> None:
        self.folder, self.events = folder, events
        self.metrics: Dict[str, Any] = {}
        for event in events:
            self.metrics.update(event.get("metrics", {}))
        self.warnings = [event["warning"] for event in events if "warning" in event]

    @property
    def dataset(self) -> Dict[str, Any]:
        return json.loads((self.folder / "dataset.json").read_text())

    @property
    def index(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "index.jsonl").read_text().splitlines()]

    @property
    def findings(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "findings.jsonl").read_text().splitlines()]

    @property
    def kinds(self) -> List[Tuple[str, str]]:
        return [(finding["kind"], finding["action"]) for finding in self.findings]

    def line(self, source_id: str) -> Dict[str, Any]:
        return next(line for line in self.index if line["source_id"] == source_id)

    def features(self, source_id: str) -> Dict[str, list]:
        """The features of a record, read through the index."""
        line = self.line(source_id)
        with open(self.folder / line["shard"], "rb") as stream:
            stream.seek(line["offset"])
            (content,) = tfrecord.contents(stream.read(line["length"]))
        feature = tfrecord.Example.FromString(content).features.feature
        return {name: list(getattr(feature[name], feature[name].WhichOneof("kind")).value) for name in feature}

    def bytes(self) -> Dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
