"""What stands in an <object> to say where it is: the shapes, and where in the XML their numbers stand.

Names count in any capitals, with or without - and _: <XMin> and <x_min> are <xmin>.
"""

import itertools
import re
from functools import lru_cache
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from lxml import etree

from stages.data.annotation import geometry
from stages.data.annotation.geometry import Form
from stages.data.annotation.numerals import numeral, visible

EDGES = ("xmin", "ymin", "xmax", "ymax")
# What is no place of the object itself.
NOT_PLACES = frozenset(
    ("object", "part", "parts", "name", "pose", "truncated", "difficult", "occluded", "attributes", "attribute")
    + ("actions", "type", "deleted", "verified", "date", "id", "username", "user")
)
# Places of something that has no box, or not the object's.
WITHOUT_BOX = frozenset(
    ("keypoint", "keypoints", "landmark", "landmarks", "skeleton")
    + ("line", "polyline", "cuboid", "mask", "rle", "circle")
)
SHAPE_NAMES = frozenset(("bndbox", "robndbox", "bbox", "boundingbox", "polygon", "segmentation"))
POINT_NAMES = frozenset(("pt", "point", "vertex", "coordinate", "corner"))
LIST_NAMES = frozenset(("points", "polygon", "segmentation"))
ROTATION = "rotation"
ANGLES = (ROTATION, "angle", "theta")
LAYOUTS: Sequence[Tuple[Form, Tuple[str, ...]]] = [
    (form, tuple(names.split()))
    for form, names in (
        (geometry.EDGES, "left top right bottom"),
        (geometry.EDGES, "xtl ytl xbr ybr"),
        (geometry.POINTS, "xlefttop ylefttop xrighttop yrighttop xrightbottom yrightbottom xleftbottom yleftbottom"),
        (geometry.SIDES, "xmin ymin width height"),
        (geometry.SIDES, "xmin ymin w h"),
        (geometry.SIDES, "left top width height"),
        (geometry.SIDES, "x y width height"),
        (geometry.SIDES, "x y w h"),
        (geometry.CENTRED, "cx cy w h"),
        (geometry.CENTRED, "cx cy width height"),
        (geometry.CENTRED, "xcenter ycenter width height"),
    )
]
WHOLE_BOXES = frozenset((geometry.EDGES, geometry.OPPOSITE, geometry.SIDES, geometry.CENTRED))
MOST_NAMES = 8  # in a sentence
FEWEST_POINTS, LONGEST_LIST = 3, 1 << 18  # points; characters: more than any outline has
_ATTRIBUTES = etree.XPath("attribute|attributes/attribute")  # compiling it takes far longer than using it
_NUMBERED = re.compile(r"([xy])(0|[1-9]\d{0,3})", re.ASCII)
_LISTED = re.compile(r"[^\s,;\[\](){}]+")
_INNERMOST = re.compile(r"[\[({]([^\[\](){}]*)")
_DIGITS = re.compile(r"\d+")


class NumberSlot(NamedTuple):
    """Where one number stands: in the text of an element, or in its attribute."""

    element: etree._Element
    attribute: Optional[str] = None

    @property
    def told(self) -> str:
        own = "<%s>" % self.element.tag
        return own if self.attribute is None else "attribute %s of %s" % (self.attribute, own)

    def texts(self) -> List[str]:
        return [text_of(self.element) if self.attribute is None else self.element.get(self.attribute, "")]

    def write(self, texts: Sequence[str]) -> None:
        if self.attribute is not None:
            self.element.set(self.attribute, texts[0])
            return
        del self.element[:]
        self.element.text = texts[0]


class NumberList(NamedTuple):
    """Where numbers stand one after the other, as in ``<points>1,2;30,4</points>``; what is between them stays."""

    slot: NumberSlot

    @property
    def told(self) -> str:
        return self.slot.told

    def texts(self) -> List[str]:
        return _LISTED.findall(self.slot.texts()[0])

    def write(self, texts: Sequence[str]) -> None:
        rest = iter(texts)
        self.slot.write([_LISTED.sub(lambda _: next(rest), self.slot.texts()[0])])


class WrittenShape(NamedTuple):
    """A shape: how a sentence names it, what its numbers mean, and where they stand."""

    told: str
    form: Form
    places: Sequence[Union[NumberSlot, NumberList]]

    def texts(self) -> List[Tuple[str, str]]:
        """Every number as it is written, with where it stands."""
        return [(text, place.told) for place in self.places for text in place.texts()]

    def write(self, texts: Sequence[str]) -> None:
        """Put other numbers where they stand."""
        done = 0
        for place in self.places:
            count = len(place.texts())
            place.write(texts[done : done + count])
            done += count


class FoundShapes(NamedTuple):
    """What stands in an object: ``boxes`` by xmin, ymin, xmax, ymax in a <bndbox>; ``unsound`` are <bndbox> without
    them; ``unknown`` tells of what seems to be a place, but is none that has a box."""

    boxes: List[WrittenShape]
    others: List[WrittenShape]
    unsound: List[etree._Element]
    unknown: List[str]


def found_in(element: etree._Element, sided: bool) -> FoundShapes:
    """The shapes of an <object> or <part>, its parts' not among them.

    Args:
        sided: the third and fourth number of a <bndbox> are its width and height, whatever they are called.
    """
    found = FoundShapes([], [], [], [])
    points = False
    for child in _places(element):
        if plain_name(child.tag) in POINT_NAMES:
            points = True
            continue
        shapes, edges = _shapes_in(child), set(EDGES) & set(_slots(child))
        if child.tag == "bndbox" and len(edges) == len(EDGES) and shapes:
            found.boxes.extend(_turned(shapes, child, element, sided))
        elif shapes:
            found.others.extend(shapes)
        elif child.tag == "bndbox" and (edges or not _tells_a_place(child)):
            found.unsound.append(child)
        elif _tells_a_place(child):
            found.unknown.append("<%s>" % child.tag)
    if points:
        found.others.extend(_points(element, _slots(element)))
    if not any(found):
        found.others.extend(_own_shapes(element))
    if found.boxes:  # numbers that may mean anything, such as VOC's <actions>, are no place if there is one
        found.unknown[:] = [told for told in found.unknown if plain_name(told.strip("<>")) in WITHOUT_BOX | SHAPE_NAMES]
    return found


def stray_in(root: etree._Element) -> Optional[etree._Element]:
    """The first shape that stands outside of every <object> and <part>, if there is one."""
    for element in root.iter("*"):
        if plain_name(element.tag) in SHAPE_NAMES and next(element.iterancestors("object", "part"), None) is None:
            return element
    return None


def text_of(element: etree._Element) -> str:
    """An element's text, whatever comments and elements stand within."""
    return str(element.xpath("string()")) if len(element) else element.text or ""


@lru_cache(maxsize=1000)
def plain_name(name: str) -> str:
    """The name of an element or attribute without what people write differently."""
    return name.lower().replace("_", "").replace("-", "")


def _places(element: etree._Element) -> List[etree._Element]:
    return [child for child in element if isinstance(child.tag, str) and plain_name(child.tag) not in NOT_PLACES]


def _tells_a_place(element: etree._Element) -> bool:
    """Whether something is placed by the element: its name says so, or it holds as many numbers as a box has."""
    if plain_name(element.tag) in WITHOUT_BOX:
        return True
    text = " ".join([*element.xpath(".//text()"), *element.xpath(".//@*")])
    return len(list(itertools.islice(_DIGITS.finditer(text), len(EDGES)))) == len(EDGES)


def _turned(
    shapes: List[WrittenShape], bndbox: etree._Element, element: etree._Element, sided: bool
) -> List[WrittenShape]:
    """The shapes of a <bndbox> with what says that they are turned: CVAT's rotation, or an angle of unknown unit."""
    form = geometry.SIDES if sided else geometry.EDGES
    slots, outside = _slots(bndbox), _slots(element)
    named = [name for name in ANGLES if name in slots or name in outside]
    rotation = _rotation_attribute(element)
    if rotation is None and not named:
        return [shape._replace(form=form) for shape in shapes]
    if rotation is None:
        rotation = (slots.get(named[0]) or outside[named[0]])[0]
    known = not named or named[0] == ROTATION
    form = (geometry.TURNED_SIDES if sided else geometry.TURNED_EDGES) if known else geometry.unless_turned(form)
    return [shape._replace(form=form, places=[*shape.places, rotation]) for shape in shapes]


def _rotation_attribute(element: etree._Element) -> Optional[NumberSlot]:
    """Where CVAT says by how many degrees a box is turned around its centre."""
    for attribute in _ATTRIBUTES(element):
        name, value = attribute.find("name"), attribute.find("value")
        if value is not None and name is not None and plain_name(visible(text_of(name))) == ROTATION:
            return NumberSlot(value)
        if plain_name(attribute.get("name", "").strip()) == ROTATION:
            return NumberSlot(attribute, "value") if "value" in attribute.attrib else NumberSlot(attribute)
    return None


def _slots(element: etree._Element) -> Dict[str, List[NumberSlot]]:
    """Plain name -> where it stands: the children's, and the attributes' that no child has."""
    slots: Dict[str, List[NumberSlot]] = {}
    for child in element:
        if isinstance(child.tag, str):
            slots.setdefault(plain_name(child.tag), []).append(NumberSlot(child))
    for name in element.attrib:
        slots.setdefault(plain_name(name), [NumberSlot(element, name)])
    return slots


def _shapes_in(element: etree._Element) -> List[WrittenShape]:
    """The shapes in an element that is no object: its own, or else those of the elements in it."""
    if plain_name(element.tag) in WITHOUT_BOX:
        return []
    return _own_shapes(element) or [shape for child in _places(element) for shape in _shapes_in(child)]


def _own_shapes(element: etree._Element) -> List[WrittenShape]:
    slots = _slots(element)
    return _edges(element, slots) or _layout(element, slots) or _points(element, slots) or _listing(element)


def _edges(element: etree._Element, slots: Dict[str, List[NumberSlot]]) -> List[WrittenShape]:
    """xmin, ymin, xmax, ymax; several of each are several boxes, in their order."""
    counts = {len(slots.get(name, ())) for name in EDGES}
    if len(counts) != 1 or 0 in counts:
        return []
    return [WrittenShape(_told(element, EDGES), geometry.EDGES, row) for row in zip(*[slots[name] for name in EDGES])]


def _layout(element: etree._Element, slots: Dict[str, List[NumberSlot]]) -> List[WrittenShape]:
    """A form that is told by the names of its numbers."""
    once = {name: own[0] for name, own in slots.items() if len(own) == 1}
    numbered = _numbered(once)
    corners = geometry.OPPOSITE if len(numbered) == len(EDGES) else geometry.POINTS
    for form, names in [(corners, numbered)] if numbered else LAYOUTS:
        if not all(name in once for name in names):
            continue
        angle = tuple(name for name in ANGLES if name in once)[:1] if form in WHOLE_BOXES else ()
        if element.tag == "robndbox" and form is geometry.CENTRED:
            if not angle:
                return []
            form = geometry.RADIANS
        elif angle:
            form = geometry.unless_turned(form)
        return [WrittenShape(_told(element, names + angle), form, [once[name] for name in names + angle])]
    return []


def _numbered(once: Dict[str, NumberSlot]) -> Tuple[str, ...]:
    """x0, y0, x1, y1, … or x1, y1, …, at least two points and none left out, else nothing."""
    named = {(match.group(1), int(match.group(2))): name for name, match in _matched(once)}
    first = 0 if ("x", 0) in named else 1
    numbers = range(first, first + (len(named) + 1) // 2)
    wanted = [(axis, number) for number in numbers for axis in "xy"]
    gapless = len(wanted) >= len(EDGES) and set(wanted) == set(named)
    return tuple(named[one] for one in wanted) if gapless else ()


def _matched(once: Dict[str, NumberSlot]) -> List[Tuple[str, "re.Match[str]"]]:
    found = ((name, _NUMBERED.fullmatch(name)) for name in once)
    return [(name, match) for name, match in found if match]


def _points(element: etree._Element, slots: Dict[str, List[NumberSlot]]) -> List[WrittenShape]:
    """x, y, x, y, … one after the other, or points with x and y each, as LabelMe has them, or as a text each."""
    across, down = slots.get("x", []), slots.get("y", [])
    row: List[Union[NumberSlot, NumberList]] = []
    if len(across) == len(down) > 0:
        row = [slot for pair in zip(across, down) for slot in pair]
    else:
        points = [child for child in element if isinstance(child.tag, str) and plain_name(child.tag) in POINT_NAMES]
        for point in points:
            own = _slots(point)
            if len(own.get("x", ())) == len(own.get("y", ())) == 1:
                row += [own["x"][0], own["y"][0]]
            elif len(NumberList(NumberSlot(point)).texts()) == 2:
                row.append(NumberList(NumberSlot(point)))
            else:
                return []
    return [WrittenShape("<%s>" % element.tag, geometry.POINTS, row)] if row else []


def _listing(element: etree._Element) -> List[WrittenShape]:
    """x, y, x, y, … in one text, of one polygon and not of several."""
    slots = [NumberSlot(element, name) for name in element.attrib if plain_name(name) in LIST_NAMES]
    for slot in slots + ([] if len(element) else [NumberSlot(element)]):
        listing = NumberList(slot)
        texts = listing.texts() if len(slot.texts()[0]) <= LONGEST_LIST else []
        several = [inner for inner in _INNERMOST.findall(slot.texts()[0]) if len(_LISTED.findall(inner)) > 2]
        readable = all(numeral(text).value is not None for text in texts)
        fewest = 2 if plain_name(element.tag) in LIST_NAMES else 2 * FEWEST_POINTS
        if len(texts) >= fewest and not len(texts) % 2 and readable and len(several) < 2:
            return [WrittenShape(slot.told, geometry.POINTS, [listing])]
    return []


def _told(element: etree._Element, names: Sequence[str]) -> str:
    shown = names if len(names) <= MOST_NAMES else (*names[:4], "…", *names[-2:])
    return "<%s> with %s" % (element.tag, ", ".join(shown))
