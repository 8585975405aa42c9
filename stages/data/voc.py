"""Reading PASCAL VOC XML: what labelImg, CVAT, Label Studio and the VOC challenge itself write."""

import math
from typing import List, NamedTuple, Optional, Tuple

from lxml import etree

from stages.data.boxes import Box

MOST_BYTES = 16 << 20  # tens of thousands of objects
EDGES = ("xmin", "ymin", "xmax", "ymax")


class Damaged(ValueError):
    """Not well-formed XML, or not a VOC annotation. ``line`` counts from 1, where known."""

    def __init__(self, message: str, line: Optional[int] = None) -> None:
        super().__init__(message)
        self.line = line


class VocObject(NamedTuple):
    """An object as written. ``number`` counts from 1; ``box`` is in pixels of the picture that the XML's size tells of,
    None where one of its four numbers is missing, not a number or not finite."""

    number: int
    line: int
    name: str
    box: Optional[Box]
    difficult: bool
    truncated: bool
    view: str


class Annotation(NamedTuple):
    """``filename`` as the XML says it, with any path; ``size`` is (width, height), None if missing or not positive."""

    filename: str
    size: Optional[Tuple[int, int]]
    objects: List[VocObject]


def tree(data: bytes) -> etree._Element:
    """The root ``<annotation>`` of a VOC file. Nothing outside of ``data`` is ever read.

    Raises:
        Damaged: the bytes are not such XML, or they declare entities.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Damaged("the XML is damaged: %s" % (error.msg or "the file is empty"), error.lineno or None) from None
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise Damaged("the XML declares entities, which no VOC annotation needs: remove its <!DOCTYPE ...>")
    if root.tag != "annotation":
        raise Damaged("the XML is not a VOC annotation: its root is <%s>, not <annotation>" % root.tag, root.sourceline)
    return root


def parse(data: bytes) -> Annotation:
    """The annotation in the bytes of a VOC file.

    Raises:
        Damaged: see ``tree``.
    """
    root = tree(data)
    return Annotation(_text(root, "filename"), size_of(root), objects_of(root))


def objects_of(root: etree._Element) -> List[VocObject]:
    """The objects of an annotation, in the order of the file."""
    return [_object(number, element) for number, element in enumerate(root.findall("object"), 1)]


def size_of(root: etree._Element) -> Optional[Tuple[int, int]]:
    """(width, height) in the XML; None if one is missing, not a number or not positive, as some tools write 0."""
    width, height = _number(root, "size/width"), _number(root, "size/height")
    return (int(width), int(height)) if width and height and min(width, height) >= 1 else None


def box_of(element: etree._Element) -> Optional[Box]:
    """The four edges below a ``<bndbox>``; None if one is missing or not finite."""
    xmin, ymin, xmax, ymax = (_number(element, edge) for edge in EDGES)
    if xmin is None or ymin is None or xmax is None or ymax is None:
        return None
    return xmin, ymin, xmax, ymax


def _object(number: int, element: etree._Element) -> VocObject:
    bndbox = element.find("bndbox")
    return VocObject(
        number,
        element.sourceline,
        _text(element, "name"),
        None if bndbox is None else box_of(bndbox),
        _text(element, "difficult") == "1",
        _text(element, "truncated") == "1",
        _text(element, "pose") or "Unspecified",
    )


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: etree._Element, path: str) -> Optional[float]:
    try:
        number = float(_text(element, path))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
