"""Records made by hand, as small and as sick as a test wants them, and the health page made of them."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from stages import pixels
from stages.check import check
from stages.data import tfrecord
from stages.job import Job

SIDE = 64
WHOLE = {"read": 0, "kept": 0, "dropped": 0, "background": 0}
Box = Tuple[float, float, float, float]


class Shown(NamedTuple):
    """A picture of the records: ``look`` decides its pixels, boxes are ymin, xmin, ymax, xmax."""

    name: str
    boxes: Sequence[Box] = ((0.2, 0.2, 0.6, 0.6),)
    classes: Sequence[int] = (1,)
    split: str = "train"
    look: int = 0
    size: Tuple[int, int] = (640, 480)


def pixels_of(look: int) -> np.ndarray:
    coarse = np.random.RandomState(look).randint(0, 256, (9, 9, 3)).astype(np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def write_records(folder: Path, shown: Sequence[Shown], classes: Sequence[str], **document: Any) -> Path:
    """A records artifact; keys of ``document`` replace those of its dataset.json."""
    folder.mkdir(parents=True)
    lines: List[str] = []
    shards: Dict[str, bytes] = {}
    for one in shown:
        shard = "%s-00000-of-00001.tfrecord" % one.split
        features = {"image/encoded": [pixels.encode_jpeg(pixels_of(one.look), 90)]}
        features["image/source_id"] = [one.name.encode("utf-8", "surrogateescape")]
        frame = tfrecord.framed(tfrecord.example({}, {}, features))
        line = {"source_id": one.name, "split": one.split, "shard": shard, "offset": len(shards.get(shard, b""))}
        line.update(length=len(frame), width=one.size[0], height=one.size[1])
        lines.append(json.dumps({**line, "boxes": [list(box) for box in one.boxes], "classes": list(one.classes)}))
        shards[shard] = shards.get(shard, b"") + frame
    for name, data in shards.items():
        (folder / name).write_bytes(data)
    (folder / "index.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (folder / "findings.jsonl").touch()
    splits = {split: {"pictures": 0, "boxes": 0, "shards": []} for split in ("train", "validation")}
    kept = dict(WHOLE, read=len(shown), kept=len(shown))
    (folder / "dataset.json").write_text(
        json.dumps(
            {
                "classes": [{"id": number, "name": name, "boxes": {}} for number, name in enumerate(classes, 1)],
                "image_size": [SIDE, SIDE],
                "encoding": "jpeg",
                "splits": splits,
                "images": len(shown),
                "boxes": sum(len(one.boxes) for one in shown),
                "dropped": 0,
                "findings": [],
                "finding_counts": {},
                "figures": {"pictures": kept, "boxes": kept},
                "split": "hash",
                **document,
            }
        ),
        encoding="utf-8",
    )
    return folder


def healthy(count: int = 260) -> List[Shown]:
    """Pictures that all differ, with one box of each of two classes, a few empty ones, and every fifth to validate."""
    shown = []
    for number in range(count):
        at, side = 0.05 + 0.4 * ((number * 7) % 10) / 10, 0.3 + 0.02 * (number % 6)
        boxes: List[Box] = [(at, at, at + side, at + side), (0.5, 0.02, 0.5 + side, 0.02 + side)]
        split = "validation" if number % 5 == 0 else "train"
        some = () if number % 26 == 1 else boxes
        shown.append(Shown("photo-%03d.jpg" % number, some, (1, 2)[: len(some)], split, number))
    return shown


def make_page(records: Path, folder: Path, cpus: int = 1, **inputs: str) -> Tuple[Dict[str, Any], str]:
    """The stage's health.json and health.html, made in this process."""
    output = folder / "output"
    output.mkdir(parents=True)
    job = {
        "stage": "check-data",
        "inputs": {"records": str(records), **inputs},
        "output": str(output),
        "scratch": str(folder),
        "parameters": {"architecture": "ssd_mobilenet_v2", "input_size": [300, 300]},
        "cpus": cpus,
    }
    check.main(Job(job))
    assert sorted(path.name for path in output.iterdir()) == ["health.html", "health.json"]
    health = json.loads((output / "health.json").read_text(encoding="utf-8"))
    return health, (output / "health.html").read_text(encoding="utf-8")
