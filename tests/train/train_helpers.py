"""A tiny dataset written with TensorFlow itself, and ways to run a stage on it."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import tensorflow as tf

from stages import pixels
from stages.job import EVENT_MARK, Job
from stages.parameters import TrainParameters

SIZE = 96
CLASSES = ("red", "blue")
COLORS = {1: (220, 40, 40), 2: (40, 60, 220)}


class InProcessStage:
    """A stage run in this process: ``output`` is its output folder, ``events`` what it said."""

    def __init__(self, folder, capfd=None):
        self.output = os.path.join(folder, "output")
        self.scratch = os.path.join(folder, "scratch")
        self._capfd = capfd
        self.events = []

    def job(self, inputs, parameters):
        return Job(
            {
                "stage": "test",
                "inputs": inputs,
                "output": self.output,
                "scratch": self.scratch,
                "parameters": parameters._asdict(),
                "cpus": 2,
            }
        )

    def run(self, main, inputs, parameters):
        for path in (self.output, self.scratch):
            os.makedirs(path, exist_ok=True)
        try:
            main(self.job(inputs, parameters))
        finally:
            if self._capfd:
                self.events = events(self._capfd.readouterr().out)
        return self

    def document(self, name):
        with open(os.path.join(self.output, name), encoding="utf-8") as stream:
            return json.load(stream)

    def path(self, *parts):
        return os.path.join(self.output, *parts)

    def warnings(self):
        return [event["warning"] for event in self.events if "warning" in event]

    def metrics(self):
        return {name: value for event in self.events for name, value in event.get("metrics", {}).items()}


def events(text):
    return [json.loads(line.split(EVENT_MARK)[1]) for line in text.splitlines() if EVENT_MARK in line]


def parameters(**changes):
    """Parameters of a training that takes seconds."""
    return TrainParameters(
        architecture="ssd_mobilenet_v1",
        depth_multiplier=0.1,
        input_size=[SIZE, SIZE],
        start_checkpoint=None,
        steps=6,
        batch_size=4,
        learning_rate=0.002,
        warmup_steps=1,
        evaluate_every=4,
        keep_checkpoints=2,
        seed=7,
        augmentation=["random_horizontal_flip"],
    )._replace(**changes)


def draw(number):
    """Picture ``number``: uint8 [96, 96, 3] with one or two coloured rectangles, and its boxes and class ids."""
    rng = np.random.RandomState(number)
    picture = rng.randint(90, 140, (SIZE, SIZE, 3)).astype(np.uint8)
    boxes, classes = [], []
    for half in range(1 + number % 2):
        height, width = rng.randint(24, 44, 2)
        top, left = rng.randint(0, SIZE - height), 48 * half + rng.randint(0, 48 - min(width, 46))
        right = min(left + width, 48 * (half + 1) if number % 2 else SIZE)
        class_id = 1 + rng.randint(2)
        picture[top : top + height, left:right] = COLORS[class_id]
        boxes.append([top / SIZE, left / SIZE, (top + height) / SIZE, right / SIZE])
        classes.append(int(class_id))
    return picture, boxes, classes


def example(name, picture, boxes, classes):
    """The tf.Example of docs/architecture.md's records, with the keys that object_detection's decoder reads."""
    encoded = pixels.encode_png(picture)
    text, whole, real = (
        lambda *values: tf.train.Feature(bytes_list=tf.train.BytesList(value=values)),
        lambda *values: tf.train.Feature(int64_list=tf.train.Int64List(value=values)),
        lambda *values: tf.train.Feature(float_list=tf.train.FloatList(value=values)),
    )
    edges = {
        "image/object/bbox/" + edge: real(*(box[index] for box in boxes))
        for index, edge in enumerate(("ymin", "xmin", "ymax", "xmax"))
    }
    return tf.train.Example(
        features=tf.train.Features(
            feature=dict(
                edges,
                **{
                    "image/height": whole(picture.shape[0]),
                    "image/width": whole(picture.shape[1]),
                    "image/filename": text(name.encode()),
                    "image/source_id": text(name.encode()),
                    "image/key/sha256": text(hashlib.sha256(encoded).hexdigest().encode()),
                    "image/encoded": text(encoded),
                    "image/format": text(b"png"),
                    "image/object/class/label": whole(*classes),
                    "image/object/class/text": text(*(CLASSES[class_id - 1].encode() for class_id in classes)),
                },
            )
        )
    )


def write_records(folder, splits, classes=CLASSES):
    """A records artifact; ``splits``: split -> (picture, boxes, class ids)s. Originals pass for twice as large."""
    os.makedirs(folder)
    lines, number = [], 0
    for split, pictures in splits.items():
        shard, offset = "%s-00000-of-00001.tfrecord" % split, 0
        with tf.python_io.TFRecordWriter(os.path.join(folder, shard)) as writer:
            for picture, boxes, labels in pictures:
                number += 1
                name = "picture-%02d.png" % number
                data = example(name, picture, boxes, labels).SerializeToString()
                writer.write(data)
                lines.append(
                    {
                        "source_id": name,
                        "split": split,
                        "shard": shard,
                        "offset": offset,
                        "length": len(data) + 16,
                        "width": 2 * picture.shape[1],
                        "height": 2 * picture.shape[0],
                        "boxes": boxes,
                        "classes": labels,
                    }
                )
                offset += len(data) + 16
    with open(os.path.join(folder, "index.jsonl"), "w") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    with open(os.path.join(folder, "dataset.json"), "w") as stream:
        json.dump({"classes": [{"id": index, "name": name} for index, name in enumerate(classes, 1)]}, stream)
    with open(os.path.join(folder, "label_map.pbtxt"), "w") as stream:
        stream.writelines("item { id: %d name: '%s' }\n" % pair for pair in enumerate(classes, 1))
    return folder


def start_process(folder, inputs, wanted, **environment):
    """A training in a process of its own, as the runner starts it; its folder may hold an unfinished one."""
    for name in ("output", "scratch"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    job = os.path.join(folder, "job.json")
    with open(job, "w") as stream:
        json.dump(
            {
                "stage": "train",
                "inputs": inputs,
                "output": os.path.join(folder, "output"),
                "scratch": os.path.join(folder, "scratch"),
                "parameters": wanted._asdict(),
                "cpus": 2,
            },
            stream,
        )
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train.train", job],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        env=dict(os.environ, **environment),
    )
