"""Reading PASCAL VOC XML: what labelImg, CVAT, Label Studio and the VOC challenge itself write."""

import codecs
import re
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

from lxml import etree

from stages import text_encoding
from stages.data.annotation.boxes import Box
from stages.data.annotation.numerals import numeral
from stages.data.annotation.places import Note, places_of
from stages.data.annotation.shapes import EDGES, plain_name, stray_in, text_of

__all__ = [
    "EDGES",
    "Annotation",
    "Damaged",
    "Empty",
    "XmlFault",
    "Note",
    "Said",
    "VocObject",
    "annotation_of",
    "objects_of",
    "parse",
    "said",
    "size_of",
    "tree",
]

BLANKS = b"\xef\xbb\xbf\xff\xfe \t\r\n"  # with the byte order marks of UTF-8 and UTF-16
BROKEN = re.compile(r"\s*[\x00-\x1f\x7f-\x9f\u2028\u2029]\s*")  # what a class name cannot hold
DECLARATION = re.compile(r"<\?xml\s[^>]*\?>")
DECLARED = re.compile(rb"\s*<\?xml\s[^>]*encoding\s*=\s*[\"']([\w.:-]+)", re.ASCII)
CODE_PAGES = re.compile(r"cp|ms|windows|ks|euc|uhc|gb|big5|shift|sjis")  # not of Python's odder codecs
WIDER = {"euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}  # as Windows means them
MOST_BYTES = 16 << 20
MOST_MARKS, MOST_OBJECTS = 400000, 20000  # opening and closing marks; objects: no photo has so many
# The elements of VOC by their plain name: read in any capitals, in any namespace, with or without underscores.
VOC_NAMES = {
    plain_name(name): name
    for name in ("annotation", "folder", "filename", "size", "width", "height", "object", "part", "name")
    + ("pose", "truncated", "difficult", "bndbox", "robndbox")
    + EDGES
}


class Damaged(ValueError):
    """Not well-formed XML, or not a VOC annotation. ``line`` counts from 1, where known; ``kind`` is the finding."""

    kind = "damaged_xml"

    def __init__(self, message: str, line: Optional[int] = None) -> None:
        super().__init__(message)
        self.line = line


class Empty(Damaged):
    """A file of 0 bytes, or of nothing but blanks."""

    kind = "empty_xml"


class VocObject(NamedTuple):
    """An object as written; one with several boxes is several, of the same number and line.

    Attributes:
        number: counts from 1.
        name: its class, empty if it has none, or several.
        box: where it is once all ``notes`` are fixed, on the picture that the XML's size tells of, in pixels (or shares
            of it, if that is how boxes are read); None if nobody can tell.
        numbers: the four of its <bndbox> as written, whatever they mean; None where it has not got four.
        notes: what was found while its name and place were read.
    """

    number: int
    line: int
    name: str
    box: Optional[Box]
    difficult: bool
    truncated: bool
    view: str
    numbers: Optional[Box] = None
    notes: Sequence[Note] = ()


class Annotation(NamedTuple):
    """What an annotation says, as plain data.

    Attributes:
        filename, folder, path: of its photo, as the XML says them; empty where it does not.
        size: (width, height), None if missing or not positive.
        size_line: where its <size> stands, None if it has none.
        objects: in the order of the file.
        stray: what places something outside of every <object>, with its line; None if nothing does.
    """

    filename: str
    folder: str
    path: str
    size: Optional[Tuple[int, int]]
    size_line: Optional[int]
    objects: List[VocObject]
    stray: Optional[str]


class XmlFault(NamedTuple):
    """Why a file holds no annotation: the kind of finding (empty_xml or damaged_xml), in words, and the line where
    known."""

    kind: str
    message: str
    line: Optional[int]


Said = Union[Annotation, XmlFault]


def tree(data: bytes) -> etree._Element:
    """The root ``<annotation>`` of a VOC file, elements named as VOC does. Nothing outside of ``data`` is ever read.

    Raises:
        Empty: there is nothing in the file.
        Damaged: the bytes are not such XML, or they declare entities.
    """
    if not data.strip(BLANKS):
        raise Empty("the file is empty")
    if data.count(b"<") > MOST_MARKS:
        raise Damaged("the XML has over %d marks, more than an annotation of one photo may have" % MOST_MARKS)
    root = _parsed(data)
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise Damaged("the XML declares entities, which no VOC annotation needs: remove its <!DOCTYPE ...>")
    _name_as_voc_does(root)
    if sum(1 for _ in root.iter("object")) > MOST_OBJECTS:
        raise Damaged("the XML has over %d objects, more than one photo may have" % MOST_OBJECTS)
    if root.tag != "annotation":
        raise Damaged(_what_else(root), root.sourceline)
    return root


def _parsed(data: bytes) -> etree._Element:
    try:
        return etree.fromstring(data, _parser())
    except etree.XMLSyntaxError:
        text = _undeclared(data)
    if text is None:
        told = _declared(data)
        why = "not %s: save it as UTF-8" % (
            "the %s that it declares" % told if told else "UTF-8, and it declares no other"
        )
        raise Damaged("its encoding is " + why)
    try:
        return etree.fromstring(text, _parser())
    except etree.XMLSyntaxError as error:
        raise Damaged("the XML is damaged: %s" % (error.msg or "there is no element"), error.lineno or None) from None
    except ValueError as error:  # a second declaration
        raise Damaged("the XML is damaged: %s" % error) from None


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def _undeclared(data: bytes) -> Optional[str]:
    """The text of XML that is in another encoding than it declares, or declares behind a blank; None: it has no text.

    Such are UTF-8 that says UTF-16, as .NET's strings do, and encodings by names that only Python knows.
    """
    try:
        text = text_encoding.decoded(data)
        text.encode()
    except UnicodeError:
        name = _declared(data).lower()
        try:
            codec = codecs.lookup(name).name if CODE_PAGES.match(name) else "utf-8"
            text = data.decode(WIDER.get(codec, codec))
        except (LookupError, UnicodeError):
            return None
    return DECLARATION.sub("", text, 1)


def _declared(data: bytes) -> str:
    """The encoding that XML says it has, empty if it says none."""
    found = DECLARED.match(data)
    return found.group(1).decode() if found else ""


def parse(data: bytes, boxes: str = "auto") -> Annotation:
    """The annotation in the bytes of a VOC file; ``boxes`` as in ``objects_of``.

    Raises:
        Damaged: see ``tree``.
    """
    return annotation_of(tree(data), boxes)


def said(data: bytes, boxes: str = "auto") -> Said:
    """As ``parse``, but what is wrong with the file is returned as well."""
    try:
        return parse(data, boxes)
    except Damaged as error:
        return XmlFault(error.kind, str(error), error.line)


def annotation_of(root: etree._Element, boxes: str = "auto") -> Annotation:
    """What the tree of an annotation says; ``boxes`` as in ``objects_of``."""
    size, stray = root.find("size"), stray_in(root)
    return Annotation(
        _text(root, "filename"),
        _text(root, "folder"),
        _text(root, "path"),
        size_of(root),
        None if size is None else size.sourceline,
        objects_of(root, boxes),
        None if stray is None else "a <%s> in line %d" % (stray.tag, stray.sourceline),
    )


def objects_of(root: etree._Element, boxes: str = "auto") -> List[VocObject]:
    """The objects of an annotation, in the order of the file, also those within another element such as <objects>.

    Those that LabelMe marks as deleted are none.

    Args:
        boxes: what the four numbers of a <bndbox> are (``dataset.boxes``): auto, corners, xywh or relative.
    """
    return [
        one
        for number, element in enumerate(root.iter("object"), 1)
        if _text(element, "deleted") != "1"
        for one in _objects(number, element, boxes)
    ]


def size_of(root: etree._Element) -> Optional[Tuple[int, int]]:
    """(width, height) in the XML; None if one is missing, not a number or not positive, as some tools write 0."""
    width, height = (numeral(_text(root, path)).value for path in ("size/width", "size/height"))
    return (int(width), int(height)) if width and height and min(width, height) >= 1 else None


def _objects(number: int, element: etree._Element, boxes: str) -> List[VocObject]:
    """The objects of an element: one for each of its boxes."""
    names = [_trimmed(BROKEN.sub(" ", text_of(name))) for name in element.findall("name")]
    places = places_of(element, boxes)
    if len(names) != len(places):
        names = (names if len(set(names)) == 1 else [""]) * len(places)
    flags: List[Any] = [_text(element, "difficult") == "1", _text(element, "truncated") == "1"]
    view = _text(element, "pose") or "Unspecified"
    return [
        VocObject(number, element.sourceline, name, place.box, flags[0], flags[1], view, place.numbers, place.notes)
        for name, place in zip(names, places)
    ]


def _name_as_voc_does(root: etree._Element) -> None:
    """Take the namespace off every element, and give those of VOC its spelling."""
    for element in root.iter("*"):
        plain = etree.QName(element).localname
        named = VOC_NAMES.get(plain_name(plain), plain)
        if element.tag != named:
            element.tag = named
    etree.cleanup_namespaces(root)


def _what_else(root: etree._Element) -> str:
    """What a file is whose root is no <annotation>."""
    several = sum(1 for child in root if child.tag == "annotation")
    if several:
        return "it holds %d annotations below <%s>: write one XML file for each photo" % (several, root.tag)
    if root.tag == "annotations" and root.find("image") is not None:
        return 'it is in the format "CVAT for images": export "Pascal VOC" from CVAT'
    return "the XML is not a VOC annotation: its root is <%s>, not <annotation>" % root.tag


def _text(element: etree._Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else _trimmed(text_of(found))


def _trimmed(text: str) -> str:
    """A text without blanks and byte order marks at its ends; within a name, some scripts need marks nobody sees."""
    return text.strip().strip("\ufeff\u200b").strip()
