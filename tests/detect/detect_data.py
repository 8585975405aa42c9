"""Pictures, models and records that the tests of detect make themselves."""

import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "reference"))

from ssd_graph import ssd
from uff_bytes import chunk

from stages import pixels

CLASSES = ["background", "cone", "ball", "box"]


def photo(height, width, seed=0):
    """A smooth random picture."""
    small = np.random.RandomState(seed).randint(0, 256, (6, 8, 3)).astype(np.uint8)
    return pixels.resize(small, height, width)


def write_model(folder, channels="RGB", **changes):
    """A convert artifact with random weights, 64x64, three classes."""
    folder.mkdir()
    ssd(size=64, multiplier=0.25, classes=4, confidenceThreshold_u_float=0.3).write(folder / "model.uff")
    model = {
        "format": 1,
        "input": {"name": "Input", "shape": [3, 64, 64], "channels": channels, "scale": 2 / 255, "offset": -1.0},
        "outputs": {"detections": "NMS", "count": "NMS_1"},
        "classes": CLASSES,
    }
    model.update(changes)
    (folder / "model.json").write_text(json.dumps(model))
    return str(folder)


def frame_of(encoded):
    """A TFRecord frame that holds a tf.train.Example with two features."""

    def feature(name, value):
        return chunk(1, chunk(1, name) + chunk(2, chunk(1, chunk(1, value))))

    return framed(chunk(1, feature("image/format", b"png") + feature("image/encoded", encoded)))


def framed(content):
    """A TFRecord frame."""
    length = len(content).to_bytes(8, "little")
    return length + checksum(length) + content + checksum(content)


def checksum(content):
    """TFRecord's masked CRC-32C, bit by bit (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


def write_records(folder, count=3, size=(64, 64)):
    """A records artifact: ``count`` validation pictures, and one for training before them."""
    folder.mkdir()
    lines, shards = [], {"train": b"", "validation": b""}
    for index in range(-1, count):
        split = "train" if index < 0 else "validation"
        shard, frame = "%s-00000-of-00001.tfrecord" % split, frame_of(pixels.encode_png(photo(*size, seed=index + 1)))
        lines.append(
            {
                "source_id": "IMG_%d.jpg" % index,
                "split": split,
                "shard": shard,
                "offset": len(shards[split]),
                "length": len(frame),
                "width": 400,
                "height": 200,
                "boxes": [[0.25, 0.5, 0.75, 1.0]],
                "classes": [2],
            }
        )
        shards[split] += frame
    for split, content in shards.items():
        (folder / ("%s-00000-of-00001.tfrecord" % split)).write_bytes(content)
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
