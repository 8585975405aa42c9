"""A picture of a VOC dataset with all that its XML says of its objects, on the upright photo."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from lxml import etree

from stages.data.annotation import boxes, geometry, voc
from stages.data.annotation.frame import BoxFrame, Reading, Turned, frame_of
from stages.data.annotation.geometry import Form, Values
from stages.data.annotation.places import read_shape, told_box
from stages.data.annotation.shapes import found_in, text_of
from stages.data.annotation.voc import VocObject
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.exchange.exchange_model import Attributes, ExchangeObject, ExchangePicture, Outline, TurnedBox
from stages.data.exchange.voc_xml import POSE
from stages.data.findings import DataFinding, Findings
from stages.data.pairing.pairing import Folders, Pair
from stages.data.photo import head

UNSPECIFIED = "Unspecified"


class VocReading(NamedTuple):
    """How a dataset is read: ``policy`` has every kind of finding, ``vocabulary`` the project's classes and aliases."""

    folders: Folders
    reading: Reading
    policy: Dict[str, str]
    vocabulary: Vocabulary


class ReadPicture(NamedTuple):
    """A picture, None if it is left out, and what was found wrong."""

    picture: Optional[ExchangePicture]
    findings: List[DataFinding]


def read_picture(how: VocReading, pair: Pair) -> ReadPicture:
    """A pair of photo and XML; left out where the place or class of an object is not known, as `records` does it.

    Raises:
        BadInput: the policy of what is found is to fail.
    """
    findings = Findings(how.policy)
    return ReadPicture(_Picture(how, pair, findings).read(), findings.found)


class _Picture:
    def __init__(self, how: VocReading, pair: Pair, findings: Findings) -> None:
        self._how, self._pair, self._findings = how, pair, findings
        self._usable = True

    def read(self) -> Optional[ExchangePicture]:
        header = head.found(self._how.folders.photo(self._pair.photo))
        if header is None:
            self._findings.fixes("unreadable_image", self._pair.photo, "its header tells no size", fixable=False)
            return None
        root = self._root()
        if root is None:
            return ExchangePicture(self._pair.photo, header.upright, []) if self._usable else None
        turned = Turned(header.orientation, header.upright)
        annotation = voc.annotation_of(root, self._how.reading.boxes)
        frame = frame_of(annotation, self._pair, turned, self._how.reading, self._findings)
        if frame is None:
            return None
        if not annotation.objects:
            stray = annotation.stray
            self._fixes("no_objects", None, "it has no <object>" + (", but %s" % stray if stray else ""), stray is None)
        elements = dict(enumerate(root.iter("object"), 1))
        objects = [self._object(one, elements[one.number], frame) for one in annotation.objects]
        kept = [one for one in objects if one is not None]
        return ExchangePicture(self._pair.photo, header.upright, kept) if self._usable else None

    def _root(self) -> Optional[etree._Element]:
        """The XML; None for a picture without objects, or one that cannot be used."""
        xml = self._pair.xml
        if xml is None:
            return None
        try:
            return voc.tree(self._how.folders.xml(xml))
        except voc.Empty as error:
            self._fixes("empty_xml", None, str(error))
        except voc.Damaged as error:
            self._findings.fixes("damaged_xml", xml, str(error), (None, error.line))
            self._usable = False
        return None

    def _object(self, one: VocObject, element: etree._Element, frame: BoxFrame) -> Optional[ExchangeObject]:
        sound = all([self._fixes(note.kind, one, note.message, note.fixable) for note in one.notes])
        if not one.name:
            sound = self._fixes("no_class", one, "it has no <name>, or several that differ")
        box = one.box
        if not sound or box is None:
            self._usable = False
            return None
        if box[0] > box[2] or box[1] > box[3]:
            message = "its box %s has a minimum above its maximum" % told_box(box)
            if not self._fixes("flipped_box", one, message):
                return None
        class_id = self._how.vocabulary.id_of(one.name)
        return ExchangeObject(
            one.name if class_id is None else self._how.vocabulary.classes[class_id - 1],
            frame.place(boxes.ordered(box)),
            self._polygons(element, frame),
            self._turned(element, frame),
            one.difficult,
            one.truncated,
            _text(element, "occluded") == "1",
            _attributes(element, one.view),
        )

    def _polygons(self, element: etree._Element, frame: BoxFrame) -> List[Outline]:
        return [list(values) for form, values in self._moved(element, frame) if form is geometry.POINTS]

    def _turned(self, element: etree._Element, frame: BoxFrame) -> Optional[TurnedBox]:
        """The turned box of roLabelImg or CVAT; None if there is none, or the photo makes it oblique."""
        for form, values in self._moved(element, frame):
            if form is geometry.RADIANS:
                return TurnedBox(*values)
            if form is geometry.TURNED_EDGES and values[4] % 180:
                return TurnedBox.of_edges(boxes.ordered((values[0], values[1], values[2], values[3])), values[4])
        return None

    def _moved(self, element: etree._Element, frame: BoxFrame) -> List[Tuple[Form, Values]]:
        """The shapes of an object as they lie on the upright photo."""
        found = found_in(element, sided=self._how.reading.boxes == "xywh")
        moved = []
        for shape in found.boxes + found.others:
            values = read_shape(shape).values
            there = shape.form.moved(values, frame.place) if values else None
            if there is not None:
                moved.append((shape.form, there))
        return moved

    def _fixes(self, kind: str, one: Optional[VocObject], message: str, fixable: bool = True) -> bool:
        place = (one.number, one.line) if one else (None, None)
        fixed = self._findings.fixes(kind, str(self._pair.xml), message, place, fixable)
        self._usable = self._usable and fixed
        return fixed


def _attributes(element: etree._Element, view: str) -> Attributes:
    """What CVAT asks about objects, by name, and VOC's pose."""
    pose = ((POSE, view),) if view != UNSPECIFIED else ()
    named = [(_text(one, "name"), _text(one, "value")) for one in element.findall("attributes/attribute")]
    return pose + tuple(dict(one for one in named if one[0]).items())


def _text(element: etree._Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else text_of(found).strip()
