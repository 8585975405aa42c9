"""Reading COCO's object detection JSON, as COCO, CVAT, datumaro, Roboflow, supervision and others write it.

https://cocodataset.org/#format-data; what tools add, such as ``attributes``, is kept.
"""

from array import array
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from stages.data.annotation.boxes import Box
from stages.data.annotation.geometry import enclosing
from stages.data.exchange import voc_xml
from stages.data.exchange.exchange_files import SourceFiles, json_entries, peek, side_of_file
from stages.data.exchange.exchange_model import Attributes, ExchangeObject, ExchangePicture, Outline, TurnedBox
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.exchange_values import degrees, identity, listing, mapping, number, numbers, shown, size, text
from stages.data.exchange.photo_files import PhotoFiles, Written
from stages.data.split.splits import side_of
from stages.job import BadInput

FLAGS = ("difficult", "truncated", "occluded")
ROBNDBOX = "robndbox"  # the attribute in which `to-coco` keeps a turned box: centre, sides, radians
CVAT_ROTATION = "rotation"
FEWEST_NUMBERS = 6  # of an outline
INSTANCES = "instances_"


class CocoImage(NamedTuple):
    """An entry of ``images``, with its place in the file."""

    place: str
    name: str
    width: Any
    height: Any


class CocoFile:
    """What one file, called ``name``, holds; objects wait for the names of their categories, which may come later."""

    def __init__(self, path: str, name: str, notes: NoteLog) -> None:
        self.name, self.notes = name, notes
        self.images: Dict[str, CocoImage] = {}
        self._several: Set[str] = set()
        self.names: Dict[str, str] = {}
        self.objects: Dict[str, List[Tuple[str, ExchangeObject]]] = {}
        takers = {"images": self._image, "annotations": self._annotation, "categories": self._category}
        missing = list(takers)
        for entry in json_entries(path):
            if entry.key not in takers:
                continue
            if entry.place == entry.key:
                missing = [key for key in missing if key != entry.key or not isinstance(entry.value, list)]
            elif isinstance(entry.value, dict):
                takers[entry.key](entry.place, entry.value)
            else:
                notes.add("wrong_entry", self._at(entry.place), "it is %s, not an object" % shown(entry.value))
        if missing:
            raise BadInput("%s is no dataset in COCO's format: it has no %s." % (path, " and no ".join(missing)))

    def _at(self, place: str) -> str:
        return "%s, %s" % (self.name, place)

    def _image(self, place: str, entry: Dict[str, Any]) -> None:
        key, name = identity(entry.get("id")), text(entry.get("file_name"))
        if not key or key in self.images:
            why = "its id %s is that of %s" % (key, self.images[key].place) if key else "it has no id"
            self.notes.add("wrong_entry", self._at(place), why)
            if key and name != self.images[key].name:
                self._several.add(key)  # nobody knows whose objects are whose
            return
        self.images[key] = CocoImage(place, name, entry.get("width"), entry.get("height"))

    def _category(self, place: str, entry: Dict[str, Any]) -> None:
        key, name = identity(entry.get("id")), text(entry.get("name"))
        if not key or not name or self.names.get(key, name) != name:
            self.notes.add("wrong_entry", self._at(place), "it has no id, no name, or the id of another")
            if key and name:
                self.names[key] = ""  # nobody knows which of the two an object is
            return
        self.names[key] = name
        parent = text(entry.get("supercategory"))
        if parent and parent not in ("none", name):
            self.notes.add("supercategory", self._at(place), "%s is of the supercategory %s" % (name, parent))

    def _annotation(self, place: str, entry: Dict[str, Any]) -> None:
        found = self.objects.setdefault(identity(entry.get("image_id")), [])
        found.append((identity(entry.get("category_id")), self._object(self._at(place), entry)))

    def _object(self, where: str, entry: Dict[str, Any]) -> ExchangeObject:
        said = mapping(entry.get("attributes"))
        parts = self._parts(where, entry.get("segmentation"))
        polygons = [part for part in parts or [] if len(part) >= FEWEST_NUMBERS]
        box = self._box(where, entry, parts)
        turned = _turned(said, box)
        if degrees(said.get(CVAT_ROTATION)) is None:
            self.notes.add("unreadable_number", where, "its rotation is %s" % shown(said[CVAT_ROTATION]))
            box = turned = None
        if turned and [list(outline) for outline in polygons] == [turned.corners()]:
            polygons = []  # `to-coco` writes them for readers that know no turned boxes
        flags = {flag: _is_set(said.get(flag)) for flag in FLAGS}
        attributes = self._attributes(where, said)
        if number(entry.get("iscrowd")):
            self.notes.add("crowd", where, "it is a crowd")
            flags["difficult"] = True
            attributes += (("iscrowd", "1"),)
        if any(number(one) for one in listing(entry.get("keypoints"))):
            self.notes.add("keypoints", where, "it has keypoints")
        if "score" in entry:
            self.notes.add("score", where, "it has a score, as detections have")
        box = turned.enclosing() if turned else box
        if box is None:
            polygons = []  # of an outline alone, `records` would make a box
        return ExchangeObject("", box, polygons, turned, **flags, attributes=attributes)

    def _parts(self, where: str, segmentation: Any) -> Optional[List[Outline]]:
        """The parts of an outline, also those of too few points; None, with a note, where one cannot be read."""
        if isinstance(segmentation, dict):
            self.notes.add("mask", where, "its segmentation is a mask (RLE)")
            return []
        parts: List[Outline] = []
        readable = True
        for outline in listing(segmentation):
            values = numbers(outline)
            if values is None or len(values) < FEWEST_NUMBERS or len(values) % 2:
                self.notes.add("wrong_entry", where, "a polygon of its segmentation is %s" % shown(outline))
            if values is None or len(values) % 2:
                readable = False
            else:
                parts.append(array("d", values))
        return parts if readable else None

    def _box(self, where: str, entry: Dict[str, Any], parts: Optional[List[Outline]]) -> Optional[Box]:
        """From ``bbox``, which is x, y, width, height, or else around all of the outline."""
        written = entry.get("bbox")
        if not written:
            edges = [edge for outline in parts or [] for edge in outline]
            if edges:
                self.notes.add("shape_boxed", where, "it has a segmentation and no bbox")
                return enclosing(edges)
            self.notes.add("no_box", where, "it has no bbox")
            return None
        values = numbers(written)
        if values is None or len(values) != 4:
            self.notes.add("unreadable_number", where, "its bbox is %s" % shown(written))
            return None
        return values[0], values[1], values[0] + values[2], values[1] + values[3]

    def _attributes(self, where: str, said: Dict[str, Any]) -> Attributes:
        kept: Attributes = ()
        for name, value in said.items():
            if name in FLAGS or name in (ROBNDBOX, CVAT_ROTATION, "iscrowd", "is_crowd"):
                continue
            if not isinstance(value, (str, int, float)) or not voc_xml.can_hold(name):
                self.notes.add("attribute", where, "its attribute %s is %s" % (name, shown(value)))
            else:
                kept += ((name, str(value).lower() if isinstance(value, bool) else text(value)),)
        return kept

    def is_one(self, key: str) -> bool:
        """Whether the id is of one image only; what several images share is left out, with a note."""
        if key not in self._several:
            return True
        for _ in self.objects.pop(key, ()):
            self.notes.add("wrong_entry", self.name, "an annotation is of the image %s, and several have that id" % key)
        self.notes.add("wrong_entry", self._at(self.images[key].place), "its id %s is that of another, too" % key)
        return False

    def of_image(self, key: str) -> List[ExchangeObject]:
        """The objects of an image, by their names; those of an unknown category have none."""
        found = []
        for category, one in self.objects.pop(key, ()):
            name = self.names.get(category, "")
            if not name:
                where = self._at(self.images[key].place)
                self.notes.add("no_class", where, "an object of it has the category %s, which is none" % category)
            found.append(one._replace(name=name))
        return found

    def tell_homeless(self) -> None:
        """Note the objects of images that are not there."""
        for key, found in self.objects.items():
            for _ in found:
                self.notes.add("wrong_entry", self.name, "an annotation is of the image %s, which is not there" % key)


def finds(source: SourceFiles) -> List[str]:
    """The files that seem to be COCO's. Of COCO's own, keypoints and captions are of the same pictures."""
    named = [name for name in source.ending(".json") if _looks_like_it(peek(source.path(name)))]
    instances = [name for name in named if name.rpartition("/")[2].startswith(INSTANCES)]
    return instances or named


def _looks_like_it(ends: str) -> bool:
    return ends.lstrip()[:1] == "{" and '"images"' in ends and ('"annotations"' in ends or '"categories"' in ends)


def read(source: SourceFiles, photos: PhotoFiles, notes: NoteLog) -> Iterator[ExchangePicture]:
    """The pictures of every file, in its order.

    Raises:
        BadInput: a file is no JSON, or not in COCO's format.
    """
    for name in finds(source) or source.ending(".json"):
        file = CocoFile(source.path(name), name, notes)
        near, side = name.rpartition("/")[0], side_of_file(name)
        for key, image in file.images.items():
            where = "%s, %s" % (name, image.place)
            if not file.is_one(key):
                continue
            photo = photos.found(Written(image.name, near, where, side), notes)
            objects = file.of_image(key)
            if photo is not None:
                told = size(image.width, image.height) or photos.size(photo)
                yield ExchangePicture(photo, told, objects, side or side_of(photo))
        file.tell_homeless()


def _is_set(value: Any) -> bool:
    return value is True or text(value).lower() in ("1", "1.0", "true", "yes")


def _turned(said: Dict[str, Any], box: Optional[Box]) -> Optional[TurnedBox]:
    """The turned box of an object: as `to-coco` keeps it, or as CVAT turns the bbox by degrees."""
    own = numbers(said.get(ROBNDBOX))
    if own and len(own) == 5:
        return TurnedBox(*own)
    angle = degrees(said.get(CVAT_ROTATION))
    return TurnedBox.of_edges(box, angle) if box and angle else None
