"""Build folders for the viewer's page. Usage, with the data environment's Python:

PYTHONPATH=. python tests/browser/view_project.py small|large FOLDER

``small``: 60 photos of coloured squares made into records by the stage, and an evaluation of them. ``large``: records
of 100,000 pictures.
"""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Tuple

import cv2
import numpy as np

from stages.data import tfrecord

HOSTILE = "<img src=x onerror=window.pwned=1>"
CLASSES = ("cone", "traffic light", HOSTILE)
HEIGHT, WIDTH = 240, 320
SMALL, LARGE = 60, 100000
Box = Tuple[str, int, int, int, int]

XML = "<annotation><size><width>320</width><height>240</height><depth>3</depth></size>%s</annotation>"
OBJECT = (
    "<object><name>%s</name><truncated>%d</truncated><difficult>%d</difficult>"
    "<bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>"
)


def name_of(number: int) -> str:
    return "%s-07" % HOSTILE if number == 7 else "photo-%02d" % number


def boxes_of(number: int) -> List[Box]:
    """None on each tenth picture; else a cone, a small traffic light on the odd ones, the third class on the fifth."""
    if number % 10 == 9:
        return []
    left = 20 + 2 * number
    found = [("cone", left, 60, left + 120, 200)]
    if number % 2:
        found.append(("traffic light", left + 30, 100, left + 44, 120))
    if number % 5 == 2:
        found.append((HOSTILE, 10, 30, 60, 230))
    if number == 3:
        found.append(("cone", 200, 10, 330, 50))  # reaches outside
    return found


def photo(number: int) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), (90 + number, 120, 200 - 2 * number), np.uint8)
    noise = np.random.RandomState(number).randint(0, 60, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    picture = cv2.add(picture, cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST))
    for place, (_, xmin, ymin, xmax, ymax) in enumerate(boxes_of(number)):
        cv2.rectangle(picture, (xmin, ymin), (xmax, ymax), ((0, 130, 240), (60, 200, 60), (200, 60, 60))[place % 3], -1)
    return picture


def small(build: str) -> None:
    source = tempfile.mkdtemp()
    for number in range(SMALL):
        cv2.imwrite(os.path.join(source, "photo.jpg"), photo(number))
        os.rename(os.path.join(source, "photo.jpg"), os.path.join(source, name_of(number) + ".jpg"))
        objects = "".join(
            OBJECT % ((name.replace("<", "&lt;"), number % 4 == 1, number % 6 == 4) + tuple(box))
            for name, *box in boxes_of(number)
        )
        with open(os.path.join(source, name_of(number) + ".xml"), "w", encoding="utf-8") as stream:
            stream.write(XML % objects)
    folder = artifact(build, "records", {"artifact_digest": "these records"})
    made(source, folder)
    with open(os.path.join(folder, "index.jsonl"), encoding="utf-8") as stream:
        evaluation(build, [json.loads(line) for line in stream])


def artifact(build: str, stage: str, record: Dict[str, Any]) -> str:
    folder = os.path.join(build, "store", stage, "0123456789abcdef0123")
    os.makedirs(folder)
    os.symlink(os.path.join("store", stage, os.path.basename(folder)), os.path.join(build, stage))
    with open(os.path.join(folder, "record.json"), "w", encoding="utf-8") as stream:
        json.dump(record, stream)
    return folder


def made(source: str, folder: str) -> None:
    """Records by the stage itself."""
    scratch = tempfile.mkdtemp()
    parameters = {
        "classes": CLASSES,
        "aliases": {},
        "boxes": "auto",
        "sizes": "xml",
        "max_megapixels": 100,
        "image_size": [HEIGHT, WIDTH],
        "encoding": "jpeg",
        "jpeg_quality": 90,
        "split": "auto",
        "validation_fraction": 0.3,
        "seed": 1,
        "limit": 0,
        "pictures_per_shard": 1000,
        "findings": {},
        "accept_losses": True,
    }
    inputs = {"photos": source, "annotations": source}
    output = os.path.join(scratch, "output")
    os.mkdir(output)
    job = {"stage": "records", "inputs": inputs, "output": output, "scratch": scratch, "cpus": 1}
    with open(os.path.join(scratch, "job.json"), "w", encoding="utf-8") as stream:
        json.dump(dict(job, parameters=parameters), stream)
    command = [sys.executable, "-m", "stages.data.records", os.path.join(scratch, "job.json")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(output):
        os.rename(os.path.join(output, name), os.path.join(folder, name))


def evaluation(build: str, lines: List[Dict[str, Any]]) -> None:
    """Cones are found with 0.9, all else is missed; photo-12 has a false detection with 0.6, photo-14 one with 0.2."""
    pictures = []
    for line in lines:
        cones = [box for box, class_id in zip(line["boxes"], line["classes"]) if class_id == 1]
        found = [(box, 0.9) for box in cones]
        found += [
            ([0.05, 0.05, 0.2, 0.2], score) for part, score in (("-12", 0.6), ("-14", 0.2)) if part in line["source_id"]
        ]
        detections = [
            {
                "class": "cone",
                "class_id": 1,
                "score": score,
                "box": [xmin * WIDTH, ymin * HEIGHT, xmax * WIDTH, ymax * HEIGHT],
            }
            for (ymin, xmin, ymax, xmax), score in found
        ]
        entry = {"file": line["source_id"], "width": WIDTH, "height": HEIGHT, "detections": detections, "truth": []}
        pictures.append(dict(entry, drawing=None))
    recipe = {"inputs": {"records": "these records"}, "parameters": {"checkpoint": "best", "score_threshold": 0.3}}
    record = {"recipe": recipe, "metrics": {"step": 900, "mAP": 0.61}, "started": "2026-01-01T00:00:00Z"}
    folder = artifact(build, "evaluate", record)
    with open(os.path.join(folder, "detections.json"), "w", encoding="utf-8") as stream:
        json.dump({"model": "step 900", "score_threshold": 0.3, "pictures": pictures, "split": "validation"}, stream)


def large(build: str) -> None:
    """Records of 100,000 pictures of one look, each with one box, without any photo."""
    folder = artifact(build, "records", {"artifact_digest": "these records"})
    _, encoded = cv2.imencode(".jpg", cv2.resize(photo(1), (64, 48)), [cv2.IMWRITE_JPEG_QUALITY, 5])
    shard, place, lines = "train-00000-of-00001.tfrecord", 0, []
    box = {"xmin": 0.25, "ymin": 0.25, "xmax": 0.5, "ymax": 0.75}
    with open(os.path.join(folder, shard), "wb") as stream:
        for number in range(LARGE):
            name = "photo-%06d.jpg" % number
            texts = {
                "image/encoded": [encoded.tobytes()],
                "image/format": [b"jpeg"],
                "image/source_id": [name.encode()],
            }
            floats = {"image/object/bbox/" + edge: [share] for edge, share in box.items()}
            frame = tfrecord.framed(tfrecord.example({"image/height": [48], "image/width": [64]}, floats, texts))
            stream.write(frame)
            line = {"shard": shard, "offset": place, "length": len(frame), "source_id": name, "split": "train"}
            line.update(width=64, height=48, boxes=[[0.25, 0.25, 0.75, 0.5]], classes=[1])
            lines.append(json.dumps(line))
            place += len(frame)
    summary = {
        "images": LARGE,
        "classes": [{"id": 1, "name": "cone"}],
        "image_size": [48, 64],
        "splits": {"train": {"images": LARGE, "shards": [shard]}},
    }
    for name, text in (
        ("index.jsonl", "\n".join(lines) + "\n"),
        ("dataset.json", json.dumps(summary)),
        ("findings.jsonl", ""),
    ):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    {"small": small, "large": large}[sys.argv[1]](sys.argv[2])
