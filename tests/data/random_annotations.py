"""VOC XML as different tools write it, of objects whose place is known: for the random datasets."""

import math
from random import Random
from typing import Callable, Dict, List, Optional, Sequence, Tuple
from xml.sax.saxutils import escape

Box = Tuple[float, float, float, float]
Size = Tuple[int, int]
Place = Callable[[float, float], Tuple[float, float]]
DEFAULT, FIXED = POLICIES = ("default", "fixed")
EDGES = ("xmin", "ymin", "xmax", "ymax")


BESIDE = (
    "<attributes><attribute><name>rotation</name><value>0.0</value></attribute></attributes>",
    "<attributes><attribute><name>colour</name><value>45</value></attribute></attributes>",
    "<occluded>0</occluded><score>0.5</score>",
    "<polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>5</x3><y3>9</y3></polygon>",
    "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part>",
)
"""What stands in an object beside its box and changes nothing."""


def upright_place(x: float, y: float) -> Tuple[float, float]:
    """Where a point of the upright picture lies on the picture that the XML tells of: here, the same."""
    return x, y


class Thing:
    """An object of a picture: what its XML says, and what must come of it.

    Attributes:
        name: its class as the XML writes it; ``meaning`` is the class.
        box: where it is, in pixels of the upright picture.
        form: gives the XML in its ``<object>``, all but the name.
        written: how many boxes that are.
        fates: by policy, the classes and boxes that must be in the records.
    """

    def __init__(self, meaning: str, box: Box) -> None:
        self.name = self.meaning = meaning
        self.box = box
        self.written = 1
        self.form: Callable[["Writing"], str] = lambda writing: (
            bndbox(writing.corners(self.box), writing) + writing.beside
        )
        self.becomes(box)

    def again(self) -> "Thing":
        """Another one, word by word the same."""
        other = Thing(self.meaning, self.box)
        other.name, other.form = self.name, self.form
        return other

    def becomes(self, *boxes: Box) -> None:
        """Under all policies these boxes come of it."""
        self.fates: Dict[str, List[Tuple[str, Box]]] = {
            policy: [(self.meaning, box) for box in boxes] for policy in POLICIES
        }


class Writing:
    """One tool's way to write an XML file, drawn by chance: numbers, order, encoding, ends of lines.

    Attributes:
        place: from the upright picture to the one that the XML tells of.
        size: (width, height) that the XML tells, None for none; ``measure`` is that of the picture that it means.
        boxes: what the four numbers are: corners, xywh or relative.
    """

    def __init__(self, rng: Random, size: Size) -> None:
        self.place: Place = upright_place
        self.size: Optional[Size] = size
        self.measure = size
        self.boxes = "corners"
        self.number = rng.choice((_plain,) * 4 + NUMBERS)
        self.order = rng.choice((EDGES, ("xmin", "xmax", "ymin", "ymax"), ("ymax", "xmax", "ymin", "xmin")))
        self.encode = rng.choice((_utf8,) * 4 + ENCODINGS)
        self.ends = rng.choice(("\n", "\n", "\r\n", "", "\n<!-- <object><name>cone</name></object> -->\n"))
        self.beside = rng.choice(("",) * 4 + BESIDE)
        self.root = rng.choice(("<annotation>", "<annotation>", '<annotation verified="yes">'))
        # What an encoding has not got stands as &#…;, which means nothing in CDATA.
        self.name = rng.choice((escape, escape, _lined, _cdata if self.encode in UNICODE else escape))
        self.extra = rng.choice(("", "<pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"))

    def corners(self, box: Box) -> Box:
        """The edges of ``box`` on the picture that the XML tells of."""
        (x1, y1), (x2, y2) = self.place(box[0], box[1]), self.place(box[2], box[3])
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)

    def four(self, box: Box) -> Tuple[float, ...]:
        """The numbers of a box as this dataset writes them."""
        xmin, ymin, xmax, ymax = box
        if self.boxes == "xywh":
            return xmin, ymin, xmax - xmin, ymax - ymin
        if self.boxes == "relative":
            width, height = self.measure
            return xmin / width, ymin / height, xmax / width, ymax / height
        return box


def _plain(number: float) -> str:
    return repr(int(number)) if number == int(number) else repr(number)


def _float(number: float) -> str:
    return repr(float(number))


def _blanks(number: float) -> str:
    return " \n\t%s " % _plain(number)


def _no_break(number: float) -> str:
    return "&#160;%s&#xA0;" % _plain(number)


def _mark(number: float) -> str:
    return "&#xFEFF;%s" % _plain(number)


def _thin(number: float) -> str:
    return "&#8239;%s&#8203;" % _plain(number)


def _signed(number: float) -> str:
    return "%+.3f" % number if number == round(number, 3) else _plain(number)


def _exponent(number: float) -> str:
    return "%.17e" % number


def _comment(number: float) -> str:
    return "%s<!-- pixels -->" % _plain(number)


NUMBERS = (_float, _blanks, _no_break, _mark, _thin, _signed, _exponent, _comment)


def comma(number: float) -> str:
    """With a decimal comma, as a German or French spreadsheet writes it."""
    return ("%.2f" % number).replace(".", ",")


def _utf8(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="utf-8"?>' + text).encode("utf-8")


def _undeclared(text: str) -> bytes:
    return text.encode("utf-8")


def _with_mark(text: str) -> bytes:
    return ('<?xml version="1.0"?>' + text).encode("utf-8-sig")


def _utf16(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16")


def _korean(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="EUC-KR"?>' + text).encode("euc-kr", "xmlcharrefreplace")


def _utf16_big(text: str) -> bytes:
    return b"\xfe\xff" + ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16-be")


def _windows(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="windows-1252"?>' + text).encode("cp1252", "xmlcharrefreplace")


def _latin(text: str) -> bytes:
    return ("<?xml version='1.0' encoding='ISO-8859-1' standalone='yes'?>\n" + text).encode(
        "latin-1", "xmlcharrefreplace"
    )


def _chinese(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="GB2312"?>' + text).encode("gb2312", "xmlcharrefreplace")


def _typed(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE annotation>\n<?tool x?>' + text).encode("utf-8")


UNICODE = (_utf8, _with_mark, _utf16, _utf16_big, _undeclared, _typed)
ENCODINGS = (_with_mark, _utf16, _utf16_big, _korean, _windows, _latin, _chinese, _undeclared, _typed)


def _cdata(text: str) -> str:
    return "<![CDATA[%s]]>" % text


def _lined(text: str) -> str:
    return "\n    %s\n  " % escape(text)


def bndbox(box: Sequence[float], writing: Writing, number: Optional[Callable[[float], str]] = None) -> str:
    """``<bndbox>`` with four numbers."""
    told = dict(zip(EDGES, writing.four((box[0], box[1], box[2], box[3]))))
    number = number or writing.number
    return "<bndbox>%s</bndbox>" % "".join("<%s>%s</%s>" % (edge, number(told[edge]), edge) for edge in writing.order)


def tags(**numbers: float) -> str:
    return "".join("<%s>%r</%s>" % (name, number, name) for name, number in numbers.items())


def turned_extent(width: float, height: float, radians: float) -> Tuple[float, float]:
    """Half the width and height of what encloses a rectangle turned about its centre."""
    across = [
        (a * width * math.cos(radians) - b * height * math.sin(radians)) / 2 for a, b in ((1, 1), (1, -1), (-1, 1))
    ]
    down = [(a * width * math.sin(radians) + b * height * math.cos(radians)) / 2 for a, b in ((1, 1), (1, -1), (-1, 1))]
    return max(map(abs, across)), max(map(abs, down))


def centred(x: float, y: float, half: Tuple[float, float]) -> Box:
    return x - half[0], y - half[1], x + half[0], y + half[1]


def annotation(filename: str, things: Sequence[Thing], writing: Writing) -> bytes:
    """The XML file."""
    size = ""
    if writing.size:
        sides = writing.number(writing.size[0]), writing.number(writing.size[1])
        size = "<size><width>%s</width><height>%s</height><depth>3</depth></size>" % sides
    objects = [
        "<object><name>%s</name>%s%s</object>" % (writing.name(thing.name), writing.extra, thing.form(writing))
        for thing in things
    ]
    told = "<filename>%s</filename>" % escape(filename) if filename else ""
    text = writing.ends.join([writing.root, "<folder>photos</folder>", told, size, *objects, "</annotation>", ""])
    return writing.encode(text)
