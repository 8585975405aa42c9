"""Writing a picture's objects as PASCAL VOC XML, with all that Nanoforge reads of it.

Corners are edges in pixels, (0, 0, width, height) being the whole picture, with as many digits as it takes to read the
same number again: VOC's own annotations counted pixels from 1, but nearly all tools since write edges, and
object_detection reads them so.
"""

import re
from typing import List, Sequence

from lxml import etree
from lxml.builder import E

from stages import files
from stages.data.annotation.shapes import EDGES, ROTATION, plain_name
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture

NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
POSE = "pose"  # VOC's own attribute
TURNED = ("cx", "cy", "w", "h", "angle")


def annotation(picture: ExchangePicture) -> bytes:
    """The XML of a picture."""
    folder, _, name = picture.photo.rpartition("/")
    root = E.annotation(*([E.folder(_text(folder))] if folder else []), E.filename(_text(name)))
    if picture.size:
        width, height = picture.size
        root.append(E.size(E.width(str(width)), E.height(str(height)), E.depth("3")))
    root.extend(_object(one) for one in picture.objects)
    return _bytes(root)


def extended(data: bytes, objects: Sequence[ExchangeObject]) -> bytes:
    """XML that ``annotation`` made, with more objects."""
    root = etree.fromstring(data)
    root.extend(_object(one) for one in objects)
    return _bytes(root)


def _bytes(root: etree._Element) -> bytes:
    etree.indent(root, "\t")
    return bytes(etree.tostring(root, encoding="utf-8")) + b"\n"


def _object(one: ExchangeObject) -> etree._Element:
    attributes = dict(one.attributes)
    element = E.object(E.name(_text(one.name)), E.pose(_text(attributes.pop(POSE, "") or "Unspecified")))
    for name, flag in (("truncated", one.truncated), ("difficult", one.difficult), ("occluded", one.occluded)):
        element.append(E(name, "1" if flag else "0"))
    if one.box is not None:
        element.append(E.bndbox(*[E(edge, number(value)) for edge, value in zip(EDGES, one.box)]))
    if one.turned is not None:
        element.append(E.robndbox(*[E(name, number(value)) for name, value in zip(TURNED, one.turned)]))
    element.extend(_polygon(outline) for outline in one.polygons)
    if attributes:
        element.append(E.attributes(*[_attribute(name, value) for name, value in attributes.items()]))
    return element


def _attribute(name: str, value: str) -> etree._Element:
    return E.attribute(E.name(_text(name)), E.value(_text(value)))


def can_hold(attribute: str) -> bool:
    """Whether an attribute of that name says nothing to a reader of VOC but itself: CVAT turns boxes by one."""
    return plain_name(attribute) != ROTATION


def _polygon(outline: Sequence[float]) -> etree._Element:
    """As Roboflow writes it: x1, y1, x2, y2, …."""
    numbered: List[etree._Element] = []
    for place, (x, y) in enumerate(zip(outline[0::2], outline[1::2]), 1):
        numbered += [E("x%d" % place, number(x)), E("y%d" % place, number(y))]
    return E.polygon(*numbered)


def number(value: float) -> str:
    """The fewest digits that are read as the same number again."""
    return "%d" % value if value == int(value) else repr(float(value))


def _text(text: str) -> str:
    return NOT_IN_XML.sub("_", files.readable(text))
