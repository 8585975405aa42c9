"""What is wrong in people's datasets, one flaw to a picture, each with what must become of it."""

import math
from random import Random
from typing import Callable, Dict, List

import random_pictures as pictures
from random_annotations import DEFAULT, FIXED, Box, Writing, bndbox, centred, comma, tags, turned_extent
from random_draft import Draft
from random_pictures import Kept

Flaw = Callable[[Random, Draft], None]


def no_xml(rng: Random, draft: Draft) -> None:
    draft.has_xml = False
    draft.things = []
    draft.goes("no_xml", DEFAULT)


def no_photo(rng: Random, draft: Draft) -> None:
    draft.has_photo = False
    draft.goes("no_image")


def empty_xml(rng: Random, draft: Draft) -> None:
    draft.xml_data = b""
    draft.things = []
    draft.goes("empty_xml", DEFAULT)


def no_objects(rng: Random, draft: Draft) -> None:
    draft.things = []
    draft.kinds.add("no_objects")


def cut_xml(rng: Random, draft: Draft) -> None:
    whole = b"<annotation><object><name>cone</name><bndbox><xmin>1</xmin><ymin>2</ymin></bndbox></object></annotation>"
    draft.xml_data = whole[: rng.randint(1, len(whole) - 2)]
    draft.things = []
    draft.goes("damaged_xml")


def cut_photo(rng: Random, draft: Draft) -> None:
    draft.data = pictures.cut_off(draft.pixels, rng)
    draft.goes("unreadable_image")


def grey_photo(rng: Random, draft: Draft) -> None:
    draft.data, draft.suffix = pictures.without_middle(draft.pixels, rng), ".jpg"
    draft.goes("damaged_picture", DEFAULT)


def wrong_suffix(rng: Random, draft: Draft) -> None:
    draft.data, draft.suffix = pictures.encoded(draft.pixels, Kept(pictures.PNG, 1)), ".jpg"
    draft.kinds.add("wrong_suffix")


def deep(rng: Random, draft: Draft) -> None:
    bits = rng.choice((10, 12, 14, 16))
    draft.data, draft.suffix = pictures.deep_png(draft.pixels, bits), ".png"
    if bits < 16:
        draft.kinds.add("deep_picture")


def unread_format(rng: Random, draft: Draft) -> None:
    draft.data, draft.suffix = pictures.gif(draft.pixels), rng.choice((".gif", ".GIF", ".heic", ".avif"))
    draft.goes("unread_format")


def other_size(rng: Random, draft: Draft) -> None:
    width, height = draft.size
    draft.writing.size = (width * 3, height * 2)
    draft.goes("size_mismatch")


def no_box(rng: Random, draft: Draft) -> None:
    inside = rng.choice(("", "<bndbox/>", "<bndbox></bndbox>", "<pose>Left</pose>"))
    draft.things[-1].form = lambda writing: inside
    draft.goes("no_box")


def three_numbers(rng: Random, draft: Draft) -> None:
    draft.things[-1].form = lambda writing: "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax></bndbox>"
    draft.goes("no_box|unreadable_number|other_geometry")


def unreadable(rng: Random, draft: Draft) -> None:
    text = rng.choice(("12px", "nan", "inf", "abc", "1e999", "1 2", "0x10", "1.2.3", "12;5"))
    box = draft.things[-1].box
    numbers = {0: text} if rng.random() < 0.5 else {3: text}
    told = [numbers.get(place, "%g" % edge) for place, edge in enumerate(box)]
    form = "<bndbox><xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax></bndbox>" % tuple(told)
    draft.things[-1].form = lambda writing: form
    draft.goes("unreadable_number")


def thousands(rng: Random, draft: Draft) -> None:
    form = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1,234</xmax><ymax>20</ymax></bndbox>"
    draft.things[-1].form = lambda writing: form
    draft.goes("unreadable_number|decimal_comma")


def decimal_comma(rng: Random, draft: Draft) -> None:
    thing = draft.things[-1]
    thing.form = lambda writing: bndbox(writing.corners(thing.box), writing, comma)
    draft.kinds.add("decimal_comma")


def _whole_numbers(draft: Draft) -> List[int]:
    """Centre, half width and half height of something that stays inside whatever way it is turned."""
    width, height = draft.size
    return [width // 2, height // 2, min(draft.size) // 3, min(draft.size) // 4]


def rotated(rng: Random, draft: Draft) -> None:
    thing, (x, y, w, h) = draft.things[-1], _whole_numbers(draft)
    degrees = rng.choice((90.0, 45.0, 270.0, -30.0, 12.5, 180.0, 359.5))
    plain = centred(x, y, (w / 2, h / 2))
    thing.form = lambda writing: (
        bndbox(writing.corners(plain), writing)
        + "<attributes><attribute><name>rotation</name><value>%r</value></attribute></attributes>" % degrees
    )
    thing.becomes(centred(x, y, turned_extent(w, h, math.radians(degrees))))
    if degrees % 180:
        draft.kinds.add("rotated_box")


def _other_geometry(draft: Draft, box: Box, form: Callable[[Writing], str]) -> None:
    thing = draft.things[-1]
    thing.form = form
    thing.becomes(box)
    draft.goes("other_geometry", DEFAULT)


def robndbox(rng: Random, draft: Draft) -> None:
    x, y, w, h = _whole_numbers(draft)
    angle = rng.choice((0.0, 0.3, math.pi / 2, 3.0, -1.2))
    plain = centred(x, y, (w / 2, h / 2))

    def form(writing: Writing) -> str:
        xmin, ymin, xmax, ymax = writing.corners(plain)
        told = tags(cx=(xmin + xmax) / 2, cy=(ymin + ymax) / 2, w=xmax - xmin, h=ymax - ymin, angle=angle)
        return "<type>robndbox</type><robndbox>%s</robndbox>" % told

    _other_geometry(draft, centred(x, y, turned_extent(w, h, angle)), form)


def _points(rng: Random, draft: Draft, count: int) -> List[List[int]]:
    """Points of a polygon that covers something."""
    width, height = draft.size
    spots = [[2, 3], [width - 3, 5], [width // 2, height - 2]]
    return spots + [[rng.randint(2, width - 3), rng.randint(3, height - 2)] for _ in range(count - 3)]


def corners(rng: Random, draft: Draft) -> None:
    points, first = _points(rng, draft, 4), rng.choice((0, 1))
    around = rng.choice(("<bndbox>%s</bndbox>", "%s"))

    def form(writing: Writing) -> str:
        spots = [writing.place(*point) for point in points]
        return around % tags(
            **{"%s%d" % (axis, at): spot[n] for at, spot in enumerate(spots, first) for n, axis in enumerate("xy")}
        )

    _other_geometry(draft, _extent(points), form)


def polygon(rng: Random, draft: Draft) -> None:
    points = _points(rng, draft, rng.randint(3, 8))
    each = rng.choice(
        ("<x{n}>{x!r}</x{n}><y{n}>{y!r}</y{n}>", "<pt><x>{x}</x><y>{y}</y></pt>", "<point><x>{x}</x><y>{y}</y></point>")
    )

    def form(writing: Writing) -> str:
        spots = [writing.place(*point) for point in points]
        return "<polygon>%s</polygon>" % "".join(each.format(n=n, x=x, y=y) for n, (x, y) in enumerate(spots, 1))

    _other_geometry(draft, _extent(points), form)


def _extent(points: List[List[int]]) -> Box:
    across, down = zip(*points)
    return min(across), min(down), max(across), max(down)


def many_boxes(rng: Random, draft: Draft) -> None:
    thing = draft.things[-1]
    boxes = [thing.box, *(draft.thing(rng, thing.name).box for _ in range(rng.randint(1, 3)))]
    boxes = sorted(set(boxes), key=boxes.index)
    thing.form = lambda writing: "".join(bndbox(writing.corners(box), writing) for box in boxes)
    thing.becomes(*boxes)
    thing.written = len(boxes)
    if len(boxes) > 1:
        draft.kinds.add("many_boxes")


def relative_box(rng: Random, draft: Draft) -> None:
    thing, (width, height) = draft.things[-1], draft.size
    numbers = thing.box[0] / width, thing.box[1] / height, thing.box[2] / width, thing.box[3] / height
    thing.form = lambda writing: bndbox(numbers, writing)
    draft.goes("relative_box")


def flipped(rng: Random, draft: Draft) -> None:
    thing = draft.things[-1]
    x1, y1, x2, y2 = thing.box
    thing.form = lambda writing: bndbox((x2, y1, x1, y2), writing)
    draft.kinds.add("flipped_box")


def outside(rng: Random, draft: Draft) -> None:
    thing, width = draft.things[-1], draft.size[0]
    beyond = width + rng.randint(2, 40)
    thing.form = lambda writing: bndbox((width - 12, -2, beyond, 15), writing)
    thing.becomes((width - 12, 0, width, 15))
    draft.kinds.add("outside_box")


def far_outside(rng: Random, draft: Draft) -> None:
    width = draft.size[0]
    draft.things[-1].form = lambda writing: bndbox((width + 5, 2, width + 25, 20), writing)
    draft.goes("outside_box")


def without_area(rng: Random, draft: Draft) -> None:
    box = rng.choice(((10, 5, 10, 20), (3, 9, 20, 9), (7, 7, 7, 7)))
    draft.things[-1].form = lambda writing: bndbox(box, writing)
    draft.things[-1].becomes()
    draft.kinds.add("empty_box")


def small(rng: Random, draft: Draft) -> None:
    draft.things[-1].form = lambda writing: bndbox((10, 5, 11, 6), writing)
    draft.things[-1].becomes()
    draft.kinds.add("small_box")


def repeated(rng: Random, draft: Draft) -> None:
    again = draft.things[-1].again()
    again.becomes()
    draft.things.append(again)
    draft.kinds.add("duplicate_object")


def unknown(rng: Random, draft: Draft) -> None:
    draft.things[-1].name = rng.choice(("tree", "con", "신호등"))
    draft.things[-1].becomes()
    draft.kinds.add("unknown_class")


def nameless(rng: Random, draft: Draft) -> None:
    draft.things[-1].name = rng.choice(("", " "))
    draft.goes("no_class")


def nearly_known(rng: Random, draft: Draft) -> None:
    thing = draft.things[-1]
    thing.name = rng.choice(("CONE", "Cone", "traffic_light", "Traffic Light"))
    meant = "cone" if thing.name.lower() == "cone" else "traffic light"
    thing.meaning, thing.fates = meant, {DEFAULT: [], FIXED: [(meant, thing.box)]}
    draft.goes("near_class", DEFAULT)


FLAWS: Dict[str, Flaw] = {
    flaw.__name__: flaw
    for flaw in (
        no_xml, no_photo, empty_xml, no_objects, cut_xml, cut_photo, grey_photo, wrong_suffix, deep, unread_format,
        other_size, no_box, three_numbers, unreadable, thousands, decimal_comma, rotated, robndbox, corners, polygon,
        many_boxes, relative_box, flipped, outside, far_outside, without_area, small, repeated, unknown, nameless,
        nearly_known,
    )
}  # fmt: skip


# Flaws of objects, whose pictures may be framed as any.
FRAMED = (
    "decimal_comma",
    "rotated",
    "robndbox",
    "corners",
    "polygon",
    "many_boxes",
    "repeated",
    "unknown",
    "nameless",
    "nearly_known",
    "no_box",
)


def framed(rng: Random, draft: Draft) -> None:
    """A picture of a rare kind, or XML that tells of another picture than the file: turned, or before it was shrunk."""
    choice = rng.choice(
        ("as it is",) * 3 + ("special", "turned, sized upright", "turned, sized as stored", "shrunk", "unsized")
    )
    width, height = draft.size
    if choice == "special":
        kind = rng.choice(pictures.SPECIAL)
        draft.data, draft.suffix, draft.pixels = pictures.special(draft.pixels, kind)
        if kind in pictures.SEVERAL:
            draft.kinds.add("several_pictures")
    elif choice.startswith("turned"):
        orientation = rng.randint(2, 8)
        draft.kept = Kept(rng.choice((pictures.JPEG, pictures.JPEG, pictures.PNG, pictures.TIFF)), orientation)
        draft.suffix = rng.choice(pictures.SUFFIXES[draft.kept.format])
        if orientation not in pictures.TURNED_SIZES or width == height:
            draft.kinds.add("orientation_unclear")
        elif choice.endswith("stored"):
            draft.writing.size = draft.writing.measure = (height, width)
            draft.writing.place = pictures.stored_place(draft.size, orientation)
    elif choice == "shrunk":
        factor = rng.choice((2, 3, 10, 0.5))
        draft.writing.size = draft.writing.measure = (int(width * factor), int(height * factor))
        draft.writing.place = lambda x, y: (x * factor, y * factor)
        draft.kinds.add("size_mismatch")
    elif choice == "unsized":
        draft.writing.size = rng.choice((None, (0, 0)))
        draft.kinds.add("size_mismatch")
