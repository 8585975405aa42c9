"""Where an object is, whatever geometry a tool has written: the enclosing box, and how it moves with the picture."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.data import resize
from stages.data.annotation import boxes
from stages.data.annotation.frame import BoxFrame, Reading
from stages.data.annotation.numerals import decimal, numeral
from stages.data.annotation.shapes import EDGES
from stages.data.annotation.voc import objects_of, tree


def named(names, values):
    return "".join("<%s>%s</%s>" % (name, value, name) for name, value in zip(names.split(), values))


def corners(box):
    xmin, ymin, xmax, ymax = box
    return [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)]


def sides(box):
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def centred(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def flat(box):
    return [edge for corner in corners(box) for edge in corner]


# XML of a box, as it stands in an <object>; the first three are plain boxes.
WRITERS = {
    "bndbox": lambda box: "<bndbox>%s</bndbox>" % named("xmin ymin xmax ymax", box),
    "capitals": lambda box: "<BndBox>%s</BndBox>" % named("XMin Y_min xMax Y-MAX", box),
    "no turn": lambda box: "<bndbox>%s</bndbox><rotation>180</rotation>" % named("xmin ymin xmax ymax", box),
    "edges": lambda box: "<bndbox>%s</bndbox>" % named("left top right bottom", box),
    "opposite": lambda box: "<bndbox>%s</bndbox>" % named("x1 y1 x2 y2", (box[2], box[1], box[0], box[3])),
    "sides": lambda box: "<bndbox>%s</bndbox>" % named("x y width height", sides(box)),
    "mixed": lambda box: "<bndbox>%s</bndbox>" % named("xmin ymin w h", sides(box)),
    "centred": lambda box: "<bbox>%s</bbox>" % named("cx cy w h", centred(box)),
    "attributes": lambda box: '<box xtl="%r" ytl="%r" xbr="%r" ybr="%r"/>' % tuple(box),
    "from 0": lambda box: "<bndbox>%s</bndbox>" % named("x0 y0 x1 y1 x2 y2 x3 y3", flat(box)),
    "from 1": lambda box: "<polygon>%s</polygon>" % named("x1 y1 x2 y2 x3 y3 x4 y4", flat(box)),
    "in the object": lambda box: named("x1 y1 x2 y2 x3 y3 x4 y4", flat(box)),
    "points in the object": lambda box: "".join("<pt>%s</pt>" % named("x y", corner) for corner in corners(box)),
    "with a point": lambda box: (
        "<point><x>1</x><y>2</y></point><robndbox>%s</robndbox>" % named("cx cy w h angle", [*centred(box), "0"])
    ),
    "edges in the object": lambda box: named("xmin ymin xmax ymax", box),
    "LabelMe": lambda box: (
        "<polygon><username>me</username>%s</polygon>"
        % "".join("<pt>%s</pt>" % named("x y", corner) for corner in corners(box))
    ),
    "repeated": lambda box: "<segmentation>%s</segmentation>" % named("x y x y x y x y", flat(box)),
    "point texts": lambda box: (
        "<points>%s</points>" % "".join("<point>%s,%s</point>" % corner for corner in corners(box))
    ),
    "list": lambda box: "<points>%s</points>" % ";".join("%s,%s" % corner for corner in corners(box)),
    "nested": lambda box: "<segmentation><polygon>%s</polygon></segmentation>" % [list(one) for one in corners(box)],
    "list in an attribute": lambda box: '<polygon points="%s"/>' % ";".join("%s,%s" % one for one in corners(box)),
    "roLabelImg": lambda box: "<robndbox>%s</robndbox>" % named("cx cy w h angle", [*centred(box), "0.0"]),
    "roLabelImg, a quarter": lambda box: (
        "<robndbox>%s</robndbox>" % named("cx cy h w angle", [*centred(box), math.pi / 2])
    ),
}
PLAIN = list(WRITERS)[:3]
pixels = st.integers(-50, 40000).map(lambda hundredths: hundredths / 100)
rectangles = st.tuples(pixels, pixels, pixels, pixels).map(boxes.ordered)
solid = rectangles.filter(lambda box: min(box[2] - box[0], box[3] - box[1]) > 2)
photo_sizes = st.tuples(st.integers(1, 500), st.integers(1, 500))
orientations = st.integers(1, 8)
writers = st.sampled_from(list(WRITERS))


def annotation(inside):
    return tree(("<annotation><object><name>cone</name>%s</object></annotation>" % inside).encode())


def read(inside, reading="corners"):
    (one,) = objects_of(annotation(inside), reading)
    return one


@given(solid, writers)
def test_every_geometry_gives_the_box_that_it_was_made_of(box, writer):
    one = read(WRITERS[writer](box))
    assert one.box == pytest.approx(box, abs=1e-9)
    assert [(note.kind, note.fixable) for note in one.notes] == ([] if writer in PLAIN else [("other_geometry", True)])
    assert one.numbers == (box if writer in PLAIN else None)


def turned_corners(box, angle):
    """The corners of a box turned around its centre, an angle in radians, by a matrix."""
    x, y, wide, high = centred(box)
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]) / 2 @ matrix.T + (x, y)


@given(solid, st.floats(-360, 360).filter(lambda angle: abs(angle) > 1e-3))
def test_a_turned_box_is_enclosed(box, angle):
    points = turned_corners(box, math.radians(angle))
    expected = pytest.approx([*points.min(0), *points.max(0)], abs=1e-6)
    attribute = "<attributes><attribute><name>rotation</name><value> %r </value></attribute></attributes>" % angle
    cvat = read(WRITERS["bndbox"](box) + attribute)
    assert cvat.box == expected
    assert [note.kind for note in cvat.notes] == ([] if angle % 180 == 0 else ["rotated_box"])
    names = "cx cy w h angle"
    label_img = read("<robndbox>%s</robndbox>" % named(names, [*centred(box), repr(math.radians(angle))]))
    assert label_img.box == expected


@pytest.mark.parametrize(
    "angle, turned",
    [("0", False), ("360", False), ("-180.0", False), ("90", True), ("270,0", True), ("-90", True), ("450", True)],
)
def test_quarter_turns_are_exact(angle, turned):
    inside = WRITERS["bndbox"]((10, 20, 41, 101)) + "<attribute name='Rotation'>%s</attribute>" % angle
    assert read(inside).box == ((-15, 45, 66, 76) if turned else (10, 20, 41, 101))


@pytest.mark.parametrize(
    "inside, kind, words",
    [
        ("<attribute name='rotation'>some</attribute>", "unreadable_number", "'some', which is no number"),
        ("<angle>0.3</angle>", "rotated_box", "turned by 0.3, which may be degrees or not"),
    ],
)
def test_a_turn_that_is_not_clear_is_not_guessed(inside, kind, words):
    one = read(WRITERS["bndbox"]((10, 20, 40, 100)) + inside)
    assert one.box is None
    assert (one.notes[0].kind, one.notes[0].fixable) == (kind, False)
    assert words in one.notes[0].message


@pytest.mark.parametrize(
    "inside",
    [
        "<robndbox>%s</robndbox>" % named("cx cy w h", (50, 50, 20, 30)),
        "<robndbox>%s</robndbox>" % named("cx cy w h angle", (50, 50, 20, 30, 45)),
        "<rbox>%s</rbox>" % named("cx cy w h angle", (50, 50, 20, 30, 0.5)),
        "<bndbox>%s</bndbox>" % named("x y width height rotation", (50, 50, 20, 30, 45)),
        "<bndbox>10 20 30 40</bndbox>",
        "<bbox>[10, 20, 30, 40]</bbox>",
        "<ellipse>%s</ellipse>" % named("cx cy rx ry", (50, 50, 20, 30)),
        "<keypoints>%s</keypoints>" % named("x1 y1 x2 y2 x3 y3", range(6)),
        "<mask><rle>12 5 7 8</rle></mask>",
        "<point><x>1</x><y>2</y></point>",
        "<points>1,2;30,40</points>",
        "<polygon>%s</polygon><polygon>%s</polygon>" % ((named("x1 y1 x2 y2 x3 y3", range(6)),) * 2),
        "<segmentation>[[1,2,3,4,5,6],[11,12,13,14,15,16]]</segmentation>",
        "<polygon>%s</polygon>" % named("x1 y1 x2 y2 x4 y4", range(6)),
    ],
)
def test_a_geometry_without_a_box_that_is_sure_is_told_and_not_guessed(inside):
    one = read(inside)
    assert one.box is None
    assert [(note.kind, note.fixable) for note in one.notes] == [("other_geometry", False)]
    assert "no box is sure" in one.notes[0].message


@given(solid, solid, writers)
def test_a_sound_box_counts_before_another_geometry(box, other, writer):
    if writer in PLAIN or "in the object" in writer or WRITERS[writer](other).startswith("<bndbox>"):
        return
    for inside in (
        WRITERS["bndbox"](box) + WRITERS[writer](other),
        WRITERS[writer](other) + "\n" + WRITERS["bndbox"](box),
    ):
        assert (read(inside).box, read(inside).notes) == (box, [])
    for unsound in ("<bndbox/>", WRITERS["bndbox"](("wide", 1, 2, 3)), WRITERS["bndbox"]((0, 0, 0, 0))):
        one = read(unsound + WRITERS[writer](other))
        assert one.box == pytest.approx(other, abs=1e-9)
        assert one.notes[0].kind == "other_geometry"


@given(st.lists(solid, min_size=2, max_size=5), st.booleans())
def test_several_boxes_of_an_object_are_several_objects(given_boxes, in_one):
    inside = "".join(WRITERS["bndbox"](box) for box in given_boxes)
    objects = objects_of(annotation(inside.replace("</bndbox><bndbox>", "") if in_one else inside), "corners")
    assert [one.box for one in objects] == given_boxes
    assert [one.number for one in objects] == [1] * len(given_boxes)
    assert [[note.kind for note in one.notes] for one in objects] == [["many_boxes"]] + [[]] * (len(given_boxes) - 1)


def test_parts_and_nested_objects_are_no_boxes_of_the_object():
    box, other = (10, 20, 30, 40), (1, 2, 3, 4)
    inside = "%s<part><name>tip</name>%s</part><object><name>in</name>%s</object>" % (
        WRITERS["bndbox"](box),
        WRITERS["bndbox"](other),
        WRITERS["bndbox"]((5, 6, 7, 8)),
    )
    found = objects_of(annotation(inside))
    assert [(one.number, one.name, one.box) for one in found] == [(1, "cone", box), (2, "in", (5, 6, 7, 8))]


def test_how_boxes_are_to_be_read():
    inside = WRITERS["bndbox"]((0.1, 0.2, 0.5, 0.75))
    assert [note.kind for note in read(inside, "auto").notes] == ["relative_box"]
    for reading, box in (
        ("corners", (0.1, 0.2, 0.5, 0.75)),
        ("relative", (0.1, 0.2, 0.5, 0.75)),
        ("xywh", (0.1, 0.2, 0.6, 0.95)),
    ):
        assert read(inside, reading).box == pytest.approx(box)
        assert read(inside, reading).notes == []
        assert read(inside, reading).numbers == (0.1, 0.2, 0.5, 0.75)
    assert read(WRITERS["bndbox"]((0, 0, 0, 1)), "auto").notes == []
    assert [note.kind for note in read(WRITERS["bndbox"]((0.5, 0.2, 1.004, 0.9)), "auto").notes] == ["relative_box"]
    turned = read(inside + "<rotation>90</rotation>", "relative")
    assert (turned.box, turned.notes[0].kind, turned.notes[0].fixable) == (None, "rotated_box", False)
    assert read(WRITERS["bndbox"]((10, 20, 30, 40)) + "<rotation>90</rotation>", "xywh").box == (5, 25, 45, 55)


def moved(inside, frame, target, reading="corners"):
    """What is read of an annotation that was made smaller, and what was told."""
    root = annotation(inside)
    told = resize.rewrite(root, frame, "a.jpg", target, Reading(reading, "xml"))
    return objects_of(root, reading)[0], told


@given(solid, writers, photo_sizes, orientations, photo_sizes)
def test_to_read_and_to_make_smaller_can_change_places(box, writer, size, orientation, target):
    """However the picture is turned and each of its axes scaled, to the last of the digits that are written."""
    upright = tuple(int(side) for side in boxes.upright_size(size, orientation))
    frame = BoxFrame(size, orientation, upright)
    one, told = moved(WRITERS[writer](box), frame, target)
    assert told == []
    expected = boxes.scaled(frame.place(box), upright, target)
    if not writer.startswith("roLabelImg") or min(expected[2] - expected[0], expected[3] - expected[1]) > 1:
        assert one.box == pytest.approx(expected, abs=0.03)


@given(solid, st.floats(-180, 180), st.booleans(), st.integers(50, 500), st.floats(0.1, 1), orientations)
def test_turned_boxes_are_made_smaller_with_their_angle(box, angle, cvat, side, share, orientation):
    size = (side, side)
    target = (round(side * share), round(side * share))
    frame = BoxFrame(size, orientation, size)
    if cvat:
        inside = WRITERS["bndbox"](box) + "<attribute name='rotation'>%r</attribute>" % angle
    else:
        inside = "<robndbox>%s</robndbox>" % named("cx cy w h angle", [*centred(box), repr(math.radians(angle))])
    one, told = moved(inside, frame, target)
    assert told == []
    points = turned_corners(box, math.radians(angle))
    enclosing = (*points.min(0), *points.max(0))
    assert one.box == pytest.approx(boxes.scaled(frame.place(enclosing), size, target), abs=0.05)


def test_a_turned_box_follows_the_corners_and_not_only_its_shadow():
    """Clockwise by 30 degrees; mirrored left to right, it is turned by as much the other way."""
    inside = "<robndbox>%s</robndbox>" % named("cx cy w h angle", (60, 40, 30, 10, repr(math.radians(30))))
    root = annotation(inside)
    assert resize.rewrite(root, BoxFrame((100, 100), 2, (100, 100)), "a.jpg", (50, 50), Reading("auto", "xml")) == []
    values = [float(element.text) for element in root.find("object/robndbox")]
    assert values == pytest.approx([20, 20, 15, 5, math.radians(150)], abs=1e-5)


def test_a_turned_box_that_scaling_would_make_oblique_is_refused():
    inside = WRITERS["bndbox"]((20, 20, 80, 40)) + "<rotation>30</rotation>"
    one, ((note, at),) = moved(inside, BoxFrame((100, 100), 1, (100, 100)), (100, 50))
    assert (note.kind, note.fixable, at) == ("other_geometry", False, (1, 1))
    assert one.numbers == (20, 20, 80, 40)


@pytest.mark.parametrize("reading", ["xywh", "relative"])
@given(solid, orientations, photo_sizes)
def test_other_readings_are_made_smaller_as_they_are(reading, box, orientation, target):
    size = (1, 1) if reading == "relative" else (400, 300)
    shares = [edge / 401 for edge in box]
    box = tuple(shares) if reading == "relative" else box
    upright = tuple(int(side) for side in boxes.upright_size(size, orientation))
    inside = "<bndbox>%s</bndbox>" % named(" ".join(EDGES), sides(box) if reading == "xywh" else box)
    one, told = moved(inside, BoxFrame(size, orientation, upright), target, reading)
    whole = (1, 1) if reading == "relative" else target
    expected = boxes.scaled(BoxFrame(size, orientation, upright).place(box), upright, whole)
    assert told == []
    assert one.box == pytest.approx(expected, abs=0.03 if reading == "xywh" else 1e-5)


def test_what_stands_between_the_numbers_of_a_list_stays():
    root = annotation("<polygon>[[10, 20], [30, 40], [50, 60]]</polygon>")
    resize.rewrite(root, BoxFrame((100, 100), 1, (100, 100)), "a.jpg", (50, 50), Reading("auto", "xml"))
    assert root.findtext("object/polygon") == "[[5, 10], [15, 20], [25, 30]]"


@pytest.mark.parametrize(
    "text, value, comma",
    [
        ("12", 12, False),
        (" \ufeff12.50\u00a0\u3000", 12.5, False),
        ("1\u200b2", 12, False),
        ("+.5e1", 5, False),
        ("-3.", -3, False),
        ("1E+2", 100, False),
        ("12,5", 12.5, True),
        ("-0,125", -0.125, True),
        ("1234,567", 1234.567, True),
        ("1,234", None, True),
        ("-12,345", None, True),
    ]
    + [(text, None, False) for text in ("", "x", "1_0", "１２", "٣", "nan", "-inf", "0x10", "1e", "1e1000", "2e9")]
    + [(text, None, False) for text in ("1 2", "1.2.3", "1,2,3", "1.234,5", "12px", "--1", "1e5,5", "\u221212")],
)
def test_what_is_a_number(text, value, comma):
    assert numeral(text) == (value, comma)


@given(st.floats(-1e9, 1e9))
def test_every_number_is_read_as_it_was_written(value):
    assert numeral(repr(value)) == (value, False)
    assert numeral(decimal(value, 2)).value == pytest.approx(value, abs=0.005001)
    assert not decimal(value, 2).endswith((".", ".0", "-0"))


@pytest.mark.parametrize(
    "inside, box, kinds",
    [
        (WRITERS["bndbox"]((40, 20, 10, 30)) + "<rotation>90</rotation>", (30, 10, 20, 40), ["rotated_box"]),
        (WRITERS["bndbox"]((10, 20, 10, 30)) + "<rotation>45</rotation>", (10, 20, 10, 30), ["rotated_box"]),
        ("<robndbox>%s</robndbox>" % named("cx cy w h angle", (5, 6, 0, 9, 1)), (5, 6, 5, 6), ["other_geometry"]),
        ("<robndbox>%s</robndbox>" % named("cx cy w h angle", (5, 6, -2, 9, 1)), None, ["other_geometry"]),
        ("<bndbox>%s</bndbox>" % named("x y w h", (5, 6, -2, 9)), (5, 6, 3, 15), ["other_geometry"]),
    ],
)
def test_what_is_wrong_with_a_box_is_not_hidden_by_its_geometry(inside, box, kinds):
    """A minimum above the maximum stays so, and what has no area gets none: other findings tell of these."""
    one = read(inside)
    assert one.box == pytest.approx(box) if box else one.box is None
    assert [note.kind for note in one.notes] == kinds


def test_what_else_voc_has_in_an_object_moves_or_stays():
    """VOC 2012 has a point and actions of 0 and 1 beside the box of an object."""
    actions = "<actions>%s</actions>" % named("a b c d e", (0, 1, 0, 0, 1))
    root = annotation(WRITERS["bndbox"]((10, 20, 30, 40)) + actions + "<point><x>20</x><y>31</y></point>")
    assert resize.rewrite(root, BoxFrame((100, 100), 1, (100, 100)), "a.jpg", (50, 50), Reading("auto", "xml")) == []
    assert [root.findtext("object/point/" + name) for name in "xy"] == ["10", "15.5"]
    assert [element.text for element in root.find("object/actions")] == ["0", "1", "0", "0", "1"]
