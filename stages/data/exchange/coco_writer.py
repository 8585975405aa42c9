"""Writing COCO's object detection JSON, picture by picture, so that no dataset is too large for the memory."""

import json
import os
from typing import Any, Dict, List, Sequence

from stages import disk
from stages.data.annotation.boxes import area
from stages.data.exchange.coco import FLAGS, ROBNDBOX
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture, Outline
from stages.data.split.split_lists import TEST, TRAIN, VALIDATION

FILES = {TRAIN: "instances_train.json", VALIDATION: "instances_val.json", TEST: "instances_test.json"}
WITHOUT_SIDE = "instances.json"
CROWD = "iscrowd"


class CocoWriter:
    """The files of a dataset: one, or one for each side of its split; ids count from 1 over all of them.

    Attributes:
        categories: name -> id; ``classes`` have the first, others get theirs as they come.
        pictures, objects: how many were written.
    """

    def __init__(self, scratch: str, classes: Sequence[str]) -> None:
        self.categories = {name: number for number, name in enumerate(classes, 1)}
        self.pictures = self.objects = 0
        self._scratch = scratch
        self._files: Dict[str, _CocoParts] = {}

    def add(self, picture: ExchangePicture, side: str) -> None:
        """Write a picture and its objects, which have a class and a box each.

        Raises:
            StageFailed: the disk does not take it.
        """
        name = FILES.get(side, WITHOUT_SIDE)
        if name not in self._files:
            self._files[name] = _CocoParts(os.path.join(self._scratch, name))
        parts = self._files[name]
        self.pictures += 1
        width, height = picture.size or (0, 0)
        parts.images.add({"id": self.pictures, "file_name": picture.photo, "width": width, "height": height})
        for one in picture.objects:
            self.objects += 1
            category = self.categories.setdefault(one.name, len(self.categories) + 1)
            ids = {"id": self.objects, "image_id": self.pictures, "category_id": category}
            parts.annotations.add(dict(ids, **annotation(one)))

    def publish(self, output: str) -> List[str]:
        """Put the files together in the folder ``output``; returns their names.

        Raises:
            StageFailed: the disk does not take it.
        """
        categories = [{"id": number, "name": name} for name, number in self.categories.items()]
        for name, parts in sorted(self._files.items()):
            parts.join(os.path.join(output, name), categories)
        return sorted(self._files)


def annotation(one: ExchangeObject) -> Dict[str, Any]:
    """An entry of ``annotations`` without its ids. ``attributes`` are as CVAT and datumaro write them; a turned box is
    among them, as `import` reads it, and its corners are the segmentation."""
    xmin, ymin, xmax, ymax = one.box or (0.0, 0.0, 0.0, 0.0)
    attributes: Dict[str, Any] = {flag: True for flag in FLAGS if getattr(one, flag)}
    attributes.update((name, value) for name, value in one.attributes if name != CROWD)
    outlines = [list(outline) for outline in one.polygons]
    if one.turned:
        attributes[ROBNDBOX] = list(one.turned)
        outlines = outlines or [one.turned.corners()]
    entry: Dict[str, Any] = {
        "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
        "area": sum(map(_outlined, outlines)) if outlines else area((xmin, ymin, xmax, ymax)),
        "segmentation": outlines,
        "iscrowd": int((CROWD, "1") in one.attributes),
    }
    return dict(entry, attributes=attributes) if attributes else entry


def _outlined(outline: Outline) -> float:
    """The area inside an outline, by Gauss's formula."""
    points = list(zip(outline[0::2], outline[1::2]))
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(points, points[1:] + points[:1]))) / 2


class _CocoParts:
    """The two arrays of a file that grow, beside each other until they are put together."""

    def __init__(self, path: str) -> None:
        self.images, self.annotations = _GrowingArray(path + ".images"), _GrowingArray(path + ".annotations")

    def join(self, path: str, categories: List[Dict[str, Any]]) -> None:
        info = json.dumps({"description": "Written by Nanoforge's to-coco"})
        with disk.writing(path), open(path, "w", encoding="utf-8") as stream:
            stream.write('{"info": %s,\n"licenses": [],\n"categories": %s' % (info, json.dumps(categories)))
            for name, part in (("images", self.images), ("annotations", self.annotations)):
                stream.write(',\n"%s": [\n' % name)
                part.pour(stream)
                stream.write("\n]")
            stream.write("}\n")


class _GrowingArray:
    def __init__(self, path: str) -> None:
        self._path, self._filled = path, False
        with disk.writing(path):
            self._stream = open(path, "w+", encoding="utf-8")  # noqa: SIM115 - closed by pour

    def add(self, entry: Dict[str, Any]) -> None:
        with disk.writing(self._path):
            self._stream.write((",\n" if self._filled else "") + json.dumps(entry))
        self._filled = True

    def pour(self, target: Any) -> None:
        """Copy the entries into a file, and be gone."""
        with self._stream as stream:
            stream.seek(0)
            for line in stream:
                target.write(line)
        os.unlink(self._path)
