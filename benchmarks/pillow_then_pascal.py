"""What people do without this project: shrink photos and boxes with Pillow, then make one TFRecord of them.

First a script that resizes: every photo decoded, resized by Lanczos, saved as JPEG, the numbers of its XML scaled. Then
the steps of object_detection's `create_pascal_tf_record`: every small photo's bytes and XML read, the picture opened by
Pillow to see that it is a JPEG, its SHA-256 taken, a tf.train.Example serialised and appended. Both are one process.
Usage, with the data environment's Python:

PYTHONPATH=. python benchmarks/pillow_then_pascal.py PHOTOS ANNOTATIONS OUT WIDTH HEIGHT CLASS...
"""

import hashlib
import io
import sys
from pathlib import Path
from typing import Any, Dict, List

from lxml import etree
from PIL import Image

from stages.data import tfrecord

QUALITY = 90


def shrink(photos: Path, annotations: Path, out: Path, width: int, height: int) -> None:
    """Write every photo and its XML at ``width`` x ``height`` into ``out``."""
    for path in sorted(photos.iterdir()):
        picture = Image.open(path)
        across, down = width / picture.width, height / picture.height
        picture.convert("RGB").resize((width, height), Image.LANCZOS).save(out / (path.stem + ".jpg"), quality=QUALITY)
        tree = etree.parse(str(annotations / (path.stem + ".xml")))
        tree.find("size/width").text, tree.find("size/height").text = str(width), str(height)
        for box in tree.iter("bndbox"):
            for edge in box:
                edge.text = str(round(float(edge.text) * (across if edge.tag[0] == "x" else down)))
        tree.write(str(out / (path.stem + ".xml")))


def as_dict(element: Any) -> Any:
    """An XML element as nested dictionaries of texts, its objects in a list."""
    if not len(element):
        return element.text
    found: Dict[str, Any] = {}
    for child in element:
        if child.tag == "object":
            found.setdefault("object", []).append(as_dict(child))
        else:
            found[child.tag] = as_dict(child)
    return found


def example_of(said: Dict[str, Any], encoded: bytes, classes: List[str]) -> bytes:
    """A serialised tf.train.Example of a picture with what its XML said, in shares of its size."""
    if Image.open(io.BytesIO(encoded)).format != "JPEG":
        raise ValueError("it is not a JPEG")
    width, height = int(said["size"]["width"]), int(said["size"]["height"])
    objects, name = said.get("object", []), said["filename"].encode()
    edges = (("xmin", width), ("ymin", height), ("xmax", width), ("ymax", height))
    return tfrecord.example(
        {
            "image/height": [height],
            "image/width": [width],
            "image/object/class/label": [1 + classes.index(one["name"]) for one in objects],
            "image/object/difficult": [int(one["difficult"]) for one in objects],
            "image/object/truncated": [int(one["truncated"]) for one in objects],
        },
        {"image/object/bbox/" + edge: [float(one["bndbox"][edge]) / side for one in objects] for edge, side in edges},
        {
            "image/filename": [name],
            "image/source_id": [name],
            "image/key/sha256": [hashlib.sha256(encoded).hexdigest().encode()],
            "image/encoded": [encoded],
            "image/format": [b"jpeg"],
            "image/object/class/text": [one["name"].encode() for one in objects],
            "image/object/view": [one["pose"].encode() for one in objects],
        },
    )


def record(folder: Path, out: Path, classes: List[str]) -> None:
    """Write one TFRecord of all pictures in ``folder``."""
    with open(out, "wb") as stream:
        for path in sorted(folder.glob("*.xml")):
            with open(path, "rb") as text, open(path.with_suffix(".jpg"), "rb") as photo:
                said, encoded = as_dict(etree.fromstring(text.read())), photo.read()
            stream.write(tfrecord.framed(example_of(said, encoded, classes)))


def main(photos: str, annotations: str, out: str, width: str, height: str, *classes: str) -> None:
    """Both steps, one after the other."""
    small = Path(out, "small")
    small.mkdir(parents=True)
    shrink(Path(photos), Path(annotations), small, int(width), int(height))
    record(small, Path(out, "train.record"), list(classes))


if __name__ == "__main__":
    main(*sys.argv[1:])
