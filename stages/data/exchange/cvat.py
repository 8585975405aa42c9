"""Reading "CVAT for images 1.1" XML: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/.

The file is read as a stream, an <image> at a time.
"""

import math
import re
from typing import Dict, Iterator, List, Optional, Sequence

from lxml import etree

from stages import files
from stages.data.annotation.geometry import enclosing
from stages.data.exchange import voc_xml
from stages.data.exchange.exchange_files import MOST_BYTES, SourceFiles, peek, side_of_file
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture, TurnedBox
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.exchange_values import number, shown, size
from stages.data.exchange.photo_files import PhotoFiles, Written
from stages.data.split.split_lists import side_named
from stages.data.split.splits import side_of
from stages.job import BadInput

ROOT = re.compile(r"<annotations[\s/>]")
EDGES = ("xtl", "ytl", "xbr", "ybr")
ROTATION = "rotation"  # degrees
BOX, POLYGON, ELLIPSE, MASK = "box", "polygon", "ellipse", "mask"
UNBOXED = ("points", "polyline", "cuboid", "skeleton")


def finds(source: SourceFiles) -> List[str]:
    """The files that seem to be CVAT's."""
    return [name for name in source.ending(".xml") if ROOT.search(peek(source.path(name)))]


def read(source: SourceFiles, photos: PhotoFiles, notes: NoteLog) -> Iterator[ExchangePicture]:
    """The pictures of every file, in its order.

    Raises:
        BadInput: a file is no such XML, or declares entities.
    """
    for name in finds(source) or source.ending(".xml"):
        near = name.rpartition("/")[0]
        for image in _images(source.path(name)):
            where = "%s, line %d" % (name, image.sourceline)
            side = side_named(image.get("subset", "")) or side_of_file(name)
            photo = photos.found(Written(image.get("name", ""), near, where, side), notes)
            if photo is None:
                continue
            found = [one for shape in image for one in CvatShape(name, shape, notes).objects()]
            told = size(image.get("width"), image.get("height")) or photos.size(photo)
            yield ExchangePicture(photo, told, found, side or side_of(photo))


def _images(path: str) -> Iterator[etree._Element]:
    """Every <image> of a file; what was before it is let go."""
    seen = 0
    try:
        with files.opened(path) as stream:
            if stream.seek(0, 2) > MOST_BYTES:
                raise BadInput("%s has more than the %d bytes that it may have." % (path, MOST_BYTES))
            stream.seek(0)
            for event, element in etree.iterparse(
                stream,
                events=("start", "end"),
                resolve_entities=False,
                no_network=True,
                load_dtd=False,
                huge_tree=False,
            ):
                if event == "start":
                    seen += 1
                    _check(path, element, first=seen == 1)
                elif element.tag == "image" and element.getparent() is not None:
                    yield element
                    element.clear()
                    while element.getprevious() is not None:
                        del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        why = " ".join((error.msg or "").split())
        raise BadInput("%s is damaged, line %d: %s." % (path, error.lineno or 1, why)) from None
    except OSError as error:
        raise BadInput("%s cannot be read: %s." % (path, error.strerror)) from error


def _check(path: str, element: etree._Element, first: bool) -> None:
    if first:
        dtd = element.getroottree().docinfo.internalDTD
        if dtd is not None and any(True for _ in dtd.iterentities()):
            raise BadInput("%s declares entities, which CVAT never does: remove its <!DOCTYPE ...>." % path)
        if element.tag != "annotations":
            raise BadInput("%s is not of CVAT: its root is <%s>, not <annotations>." % (path, element.tag))
    elif element.tag == "track":
        raise BadInput('%s is in the format "CVAT for video": export "CVAT for images 1.1" from CVAT.' % path)


class CvatShape:
    """A shape of an <image> in the file called ``name``."""

    def __init__(self, name: str, element: etree._Element, notes: NoteLog) -> None:
        self._element, self._notes = element, notes
        self._where = "%s, line %d" % (name, element.sourceline or 0)

    def objects(self) -> List[ExchangeObject]:
        """The object that it is; none if it is a tag of the picture, or anything else."""
        kind = self._element.tag
        placed = {BOX: self._box, POLYGON: self._polygon, ELLIPSE: self._ellipse, MASK: self._mask}
        if kind in placed:
            found = placed[kind]()
        elif kind in UNBOXED:
            self._notes.add("no_box", self._where, "it is a <%s>" % kind)
            found = ExchangeObject("", None)
        else:
            if isinstance(kind, str):
                self._notes.add("other_label", self._where, "it is a <%s>" % kind)
            return []
        name = self._element.get("label", "").strip()
        if not name:
            self._notes.add("no_class", self._where, "it has no label")
        attributes = self._attributes()
        return [
            found._replace(
                name=name,
                difficult=_is_set(attributes.pop("difficult", "")),
                truncated=_is_set(attributes.pop("truncated", "")),
                occluded=_is_set(self._element.get("occluded", "")),
                attributes=tuple(attributes.items()),
            )
        ]

    def _box(self) -> ExchangeObject:
        values = self._numbers(EDGES, ROTATION)
        if values is None:
            return ExchangeObject("", None)
        *box, angle = values
        edges = (box[0], box[1], box[2], box[3])
        turned = TurnedBox.of_edges(edges, angle) if angle % 360 else None
        return ExchangeObject("", turned.enclosing() if turned else edges, turned=turned)

    def _polygon(self) -> ExchangeObject:
        points = self._points()
        if len(points) < 6:
            self._notes.add("no_box", self._where, "its points are %s" % shown(self._element.get("points", "")))
            return ExchangeObject("", None)
        self._notes.add("shape_boxed", self._where, "it is a <polygon>")
        return ExchangeObject("", enclosing(points), [points])

    def _ellipse(self) -> ExchangeObject:
        values = self._numbers(("cx", "cy", "rx", "ry"), ROTATION)
        if values is None:
            return ExchangeObject("", None)
        self._notes.add("shape_boxed", self._where, "it is an <ellipse>")
        x, y, across, down, degrees = values
        angle = math.radians(degrees)
        # The farthest point of an ellipse along an axis: each half-axis casts its shadow, and they add as squares.
        wide = math.hypot(across * math.cos(angle), down * math.sin(angle))
        high = math.hypot(across * math.sin(angle), down * math.cos(angle))
        return ExchangeObject("", (x - wide, y - high, x + wide, y + high))

    def _mask(self) -> ExchangeObject:
        values = self._numbers(("left", "top", "width", "height"))
        if values is None:
            return ExchangeObject("", None)
        self._notes.add("mask", self._where, "it is a <mask>; the box that it tells is written")
        return ExchangeObject("", (values[0], values[1], values[0] + values[2], values[1] + values[3]))

    def _numbers(self, names: Sequence[str], *zero_if_untold: str) -> Optional[List[float]]:
        """The numbers of these attributes; None, with a note, if one of them is none."""
        told = {name: self._element.get(name, "") for name in names}
        told.update((name, self._element.get(name, "0")) for name in zero_if_untold)
        values = {name: number(word) for name, word in told.items()}
        found = [value for value in values.values() if value is not None]
        if len(found) == len(values):
            return found
        wrong = next(name for name, value in values.items() if value is None)
        self._notes.add("unreadable_number", self._where, "its %s is %s" % (wrong, shown(told[wrong])))
        return None

    def _points(self) -> List[float]:
        """x, y, x, y, … of ``points="1.0,2.0;3.0,4.0"``; none if one is no number."""
        texts = [word for pair in self._element.get("points", "").split(";") for word in pair.split(",")]
        values = [number(word) for word in texts]
        found = [value for value in values if value is not None]
        return found if len(found) == len(values) and len(found) % 2 == 0 else []

    def _attributes(self) -> Dict[str, str]:
        """What was asked about it, by name; CVAT's own VOC export makes flags of two of them."""
        kept: Dict[str, str] = {}
        for one in self._element.iter("attribute"):
            name, value = one.get("name", "").strip(), (one.text or "").strip()
            if voc_xml.can_hold(name):
                kept[name] = value
            else:
                self._notes.add("attribute", self._where, "its attribute %s is %s" % (name, shown(value)))
        return kept


def _is_set(value: str) -> bool:
    return value.lower() in ("1", "true", "yes")
