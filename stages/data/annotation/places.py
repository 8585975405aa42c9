"""Where an object of a VOC annotation is: its box, and what was found on the way to it."""

import re
from typing import List, NamedTuple, Optional, Sequence

from lxml import etree

from stages.data.annotation import geometry
from stages.data.annotation.boxes import Box, area, is_shares, ordered
from stages.data.annotation.numerals import decimal, numeral, visible, why_unreadable
from stages.data.annotation.shapes import EDGES, FoundShapes, WrittenShape, found_in, plain_name

NUMBER_DIGITS = 4  # of a number in a sentence


class Note(NamedTuple):
    """What was found while a box was read: a kind of stages/finding_kinds.py, in words, and whether a fix is clear."""

    kind: str
    message: str
    fixable: bool


class ObjectPlace(NamedTuple):
    """A box as it is once all ``notes`` are fixed, None if that is not possible; ``numbers`` are the four of its
    <bndbox> as written, None where it has not got four."""

    box: Optional[Box]
    numbers: Optional[Box]
    notes: List[Note]


class _Values(NamedTuple):
    """The numbers of a shape, None if one cannot be read, and what was noted."""

    values: Optional[List[float]]
    notes: List[Note]


def places_of(element: etree._Element, reading: str) -> List[ObjectPlace]:
    """Where an <object> is: one place, or one for each of its boxes. A sound <bndbox> counts before all else, but not
    one without area, as tools write it for what they placed otherwise.

    Args:
        reading: what the four numbers of a <bndbox> are (``dataset.boxes``): auto, corners, xywh or relative.
    """
    found = found_in(element, sided=reading == "xywh")
    boxes = [_box_place(shape, read_shape(shape), reading) for shape in found.boxes]
    if (found.others or found.unknown) and not any(map(_is_sound, boxes)):
        return [_other_place(found, reading)]
    places = boxes + [ObjectPlace(None, None, [Note("no_box", lacking(bndbox), False)]) for bndbox in found.unsound]
    if not places:
        return [ObjectPlace(None, None, [Note("no_box", "it has no <bndbox>", False)])]
    if len(places) > 1:
        message = "it has %d boxes" % len(places)
        places[0].notes.insert(0, Note("many_boxes", message, True))
    return places


def _is_sound(place: ObjectPlace) -> bool:
    return place.numbers is not None and (place.box is None or area(ordered(place.box)) > 0)


def read_shape(shape: WrittenShape) -> _Values:
    """The numbers of a shape, and a note for what makes one of them hard or impossible to read."""
    values: List[float] = []
    notes: List[Note] = []
    for text, told in shape.texts():
        number = numeral(text)
        if number.value is None:
            empty = not visible(text)
            message = "its %s %s" % (told, "is empty" if empty else "is " + why_unreadable(text))
            return _Values(None, [Note("no_box" if empty else "unreadable_number", message, False)])
        if number.comma and not notes:
            message = "its %s %s has a decimal comma: %s" % (told, visible(text), decimal(number.value, NUMBER_DIGITS))
            notes.append(Note("decimal_comma", message, True))
        values.append(number.value)
    return _Values(values, notes)


def told_box(box: Sequence[float]) -> str:
    """A box in a sentence."""
    return "(%s)" % ", ".join(decimal(edge, NUMBER_DIGITS) for edge in box)


def _box_place(shape: WrittenShape, read: _Values, reading: str) -> ObjectPlace:
    """Where a <bndbox> with xmin, ymin, xmax, ymax says that its object is."""
    if read.values is None:
        return ObjectPlace(None, None, read.notes)
    box, notes = shape.form.box(read.values), list(read.notes)
    numbers = (read.values[0], read.values[1], read.values[2], read.values[3])
    angle = read.values[4] if len(read.values) > 4 else 0.0
    if not angle % 180 and box is not None:
        return ObjectPlace(box, numbers, notes + _shares(box, reading))
    message = "its box %s is turned by %s" % (told_box(numbers), decimal(angle, NUMBER_DIGITS))
    if box is None or reading == "relative":
        why = "which may be degrees or not" if box is None else "and a box in shares of the picture cannot be turned"
        return ObjectPlace(None, numbers, [*notes, Note("rotated_box", "%s, %s" % (message, why), False)])
    message = "%s degrees; the box %s encloses it" % (message, told_box(box))
    return ObjectPlace(box, numbers, [*notes, Note("rotated_box", message, True), *_shares(box, reading)])


def _other_place(found: FoundShapes, reading: str) -> ObjectPlace:
    """The box around another geometry, if there is one and no doubt about it."""
    told = " and ".join(sorted({*(shape.told for shape in found.others), *found.unknown}))
    message, box = "it is placed by %s" % told, None
    outlines = [shape for shape in found.others if shape.form is not geometry.POINTS or len(shape.texts()) > 4]
    if len(outlines) == 1 and not found.unknown:
        shape = outlines[0]
        read = read_shape(shape)
        if read.values is None:
            return ObjectPlace(None, None, read.notes)
        box = shape.form.box(read.values)
        turned = shape.form is geometry.RADIANS and read.values[-1] != 0
        if box is not None and not (turned and reading == "relative"):
            note = Note("other_geometry", "%s; the box %s encloses it" % (message, told_box(box)), True)
            return ObjectPlace(box, None, [*read.notes, note, *_shares(box, reading)])
    return ObjectPlace(
        None, None, [Note("other_geometry", message + ", and no box is sure to be the one around it", False)]
    )


def _shares(box: Box, reading: str) -> List[Note]:
    """A note where a box can only be meant in shares of the picture: no box in pixels is within the first of them."""
    if reading != "auto" or not is_shares(box) or not area(ordered(box)):
        return []
    return [Note("relative_box", "its box %s is in shares, 0 to 1, and not in pixels" % told_box(box), False)]


def lacking(bndbox: etree._Element) -> str:
    """What a <bndbox> that is none has not got."""
    names = [plain_name(child.tag) for child in bndbox if isinstance(child.tag, str)]
    missing = ["<%s>" % edge for edge in EDGES if edge not in names]
    if len(missing) == len(EDGES):
        return "its <bndbox> is empty" if not names else "its <bndbox> has no <xmin>, <ymin>, <xmax> and <ymax>"
    if not missing:
        return "its <bndbox> has not as many of one edge as of the others"
    return "its <bndbox> has no %s" % re.sub(", (?=[^,]*$)", " and ", ", ".join(missing))
