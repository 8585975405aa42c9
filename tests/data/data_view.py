"""What the viewer is asked to show in tests: records, foreign ones and photos, made small and quickly."""

import hashlib
import json
import os

import numpy as np
from starlette.testclient import TestClient

from stages import pixels
from stages.data import tfrecord
from stages.view.app import app
from stages.view.exhibition import Exhibition
from stages.view.exhibits import Exhibits, Named

EDGES = ("xmin", "ymin", "xmax", "ymax")


def jpeg(width=40, height=30, shade=90):
    return pixels.encode_jpeg(np.full((height, width, 3), shade, np.uint8), 90)


def example(name, boxes=(), size=(40, 30), classes=("cat",), **more):
    """A record as object_detection's scripts write it; ``boxes`` are (xmin, ymin, xmax, ymax, class name)."""
    edges = {"image/object/bbox/" + edge: [float(box[place]) for box in boxes] for place, edge in enumerate(EDGES)}
    labels = [classes.index(box[4]) + 1 for box in boxes]
    return tfrecord.example(
        {
            "image/width": [size[0]],
            "image/height": [size[1]],
            "image/object/class/label": labels,
            **{key: value for key, value in more.items() if key.startswith("image/object/")},
        },
        edges,
        {
            "image/encoded": [more.get("picture", jpeg(*size))],
            "image/source_id": [os.fsencode(name)],
            "image/object/class/text": [box[4].encode() for box in boxes],
        },
    )


def write_records(folder, pictures, classes=("cat", "dog"), size=(40, 30), findings=()):
    """A records artifact; ``pictures`` are dicts with name, split, boxes, and difficult and truncated where need be."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = {split: split + "-00000-of-00001.tfrecord" for split in ("train", "validation")}
    lines, data = [], {split: b"" for split in shards}
    for number, one in enumerate(pictures):
        boxes = one["boxes"]
        flags = {"image/object/" + name: [int(flag) for flag in one.get(name, [0] * len(boxes))] for name in FLAGS}
        shade = 20 + number % 200
        frame = tfrecord.framed(example(one["name"], boxes, size, classes, picture=jpeg(*size, shade), **flags))
        lines.append(
            {
                "source_id": one["name"],
                "split": one["split"],
                "shard": shards[one["split"]],
                "offset": len(data[one["split"]]),
                "length": len(frame),
                "width": 10 * size[0],
                "height": 10 * size[1],
                "boxes": [[box[1], box[0], box[3], box[2]] for box in boxes],
                "classes": [classes.index(box[4]) + 1 for box in boxes],
            }
        )
        data[one["split"]] += frame
    for split, name in shards.items():
        (folder / name).write_bytes(data[split])
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "findings.jsonl").write_text("".join(json.dumps(one) + "\n" for one in findings))
    summary = {
        "classes": [{"name": name} for name in classes],
        "image_size": [size[1], size[0]],
        "images": len(lines),
        "splits": {split: {"shards": [name]} for split, name in shards.items()},
    }
    (folder / "dataset.json").write_text(json.dumps(summary))
    return folder


FLAGS = ("difficult", "truncated")


def write_artifact(build, stage, name, files, inputs=None, **record):
    """An artifact in a build folder, as far as the viewer looks at its record; returns its folder."""
    folder = build / "store" / stage / hashlib.sha256(name.encode()).hexdigest()[:20]
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).write_text(text)
    recipe = {"inputs": inputs or {}, "parameters": record.pop("parameters", {})}
    told = {"artifact_digest": name, "recipe": recipe, "started": "2026-01-01T00:00:00", "metrics": {}}
    (folder / "record.json").write_text(json.dumps(dict(told, **record)))
    link = build / stage
    if link.is_symlink():
        link.unlink()
    link.symlink_to(os.path.relpath(str(folder), str(build)))
    return folder


def shown(tmp_path, *paths, build="", title="things"):
    """An exhibition of these paths, its index whole."""
    named = (Named(tuple(map(str, paths)), title),) if paths else ()
    made = Exhibition(Exhibits("test", named, str(build)), str(tmp_path / "cache"))
    made.index.build()
    assert made.index.failed == ""
    made.index.close()
    return made


def client(exhibition, token="", names=(), base="http://127.0.0.1:8000"):
    """Asks the application as a browser on this machine does."""
    return TestClient(app(exhibition, token, names), base_url=base, follow_redirects=False)


def asked(made, path):
    """The JSON that is answered."""
    answer = client(made).get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()
