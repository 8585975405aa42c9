"""Writing PASCAL VOC XML as labelImg does."""

from typing import Sequence, Tuple

from lxml import etree
from lxml.builder import E


def annotation(
    filename: str, width: int, height: int, objects: Sequence[Tuple[str, Tuple[int, int, int, int]]]
) -> bytes:
    """The XML of one picture: ``objects`` are (class name, (xmin, ymin, xmax, ymax)) in pixels of the picture."""
    root = E.annotation(
        E.folder("JPEGImages"),
        E.filename(filename),
        E.source(E.database("Nanoforge demo")),
        E.size(E.width(str(width)), E.height(str(height)), E.depth("3")),
        E.segmented("0"),
        *[_object(name, box) for name, box in objects],
    )
    etree.indent(root, "\t")
    return bytes(etree.tostring(root, encoding="utf-8")) + b"\n"


def _object(name: str, box: Tuple[int, int, int, int]) -> etree._Element:
    edges = [E(tag, str(value)) for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box)]
    return E.object(E.name(name), E.pose("Unspecified"), E.truncated("0"), E.difficult("0"), E.bndbox(*edges))
