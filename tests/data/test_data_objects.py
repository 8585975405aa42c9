"""Which objects go into the records, whatever their boxes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.data.annotation import boxes
from stages.data.annotation.frame import BoxFrame, Reading, Turned, _guessed_frame, frame_of
from stages.data.annotation.objects import SMALLEST, ObjectFilter
from stages.data.annotation.places import Note
from stages.data.annotation.voc import VocObject, parse
from stages.data.annotation.vocabulary import Vocabulary, folded
from stages.data.findings import Findings, policies
from stages.data.pairing.pairing import Pair
from stages.finding_kinds import DROP, FIX, KINDS

CLASSES = ["cone", "traffic light"]
HEIGHT, WIDTH = 60, 90
edges = st.one_of(st.floats(-100, 500), st.integers(-10, 310))
some_box = st.one_of(st.none(), st.tuples(edges, edges, edges, edges), st.just((10, 20, 100, 120)))
some_objects = st.lists(
    st.tuples(st.sampled_from(["cone", "Cone", "Traffic_Light", "crate", ""]), some_box), max_size=8
)
sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
some_policy = st.fixed_dictionaries(
    {kind: st.sampled_from([DROP, FIX] if KINDS[kind].fix else [DROP]) for kind in KINDS}
)


FRAME, VOCABULARY = BoxFrame((300, 200), 1, (300, 200)), Vocabulary(CLASSES, {})
GOOD = (10, 20, 100, 120)
UNKNOWN_PLACE = [Note("no_box", "it has no <bndbox>", False)]


def voc_object(name="cone", box=GOOD, notes=(), number=1):
    return VocObject(number, 10 * number, name, box, False, False, "", None, notes)


def kept_of(objects, policy, frame=FRAME, vocabulary=VOCABULARY):
    """What the filter keeps, and what it found."""
    findings = Findings(policies(policy))
    return ObjectFilter(vocabulary, (HEIGHT, WIDTH), frame, "a.xml", findings).kept(objects), findings.found


@given(some_objects, sizes, st.integers(1, 8), some_policy)
def test_every_object_is_kept_or_dropped_with_one_reason(given_objects, size, orientation, policy):
    """What is kept lies inside the picture, is large enough to learn from, and stands in the order of the XML."""
    objects = [
        voc_object(name, box, () if box else UNKNOWN_PLACE, number)
        for number, (name, box) in enumerate(given_objects, 1)
    ]
    upright = tuple(int(side) for side in boxes.upright_size(size, orientation))
    kept, found = kept_of(objects, policy, BoxFrame(size, orientation, upright))
    lost = [one for one in found if one.action == DROP and KINDS[one.kind].about == "picture"]
    assert (kept is None) == bool(lost)
    if kept is None or not objects:
        return
    numbers = [one.source.number for one in kept]
    dropped = [finding.object for finding in found if finding.action == DROP]
    assert sorted(numbers + dropped) == list(range(1, len(objects) + 1))
    assert numbers == sorted(numbers)
    assert all(finding.line == 10 * finding.object and finding.file == "a.xml" for finding in found)
    for one in kept:
        xmin, ymin, xmax, ymax = one.box
        assert 0 <= xmin < xmax <= 1 and 0 <= ymin < ymax <= 1
        assert min((xmax - xmin) * WIDTH, (ymax - ymin) * HEIGHT) >= SMALLEST
        assert folded(one.source.name) == folded(CLASSES[one.class_id - 1])
    assert len({(one.class_id, one.box) for one in kept}) == len(kept)


@pytest.mark.parametrize(
    "odd, kind",
    [
        (voc_object(box=None, notes=UNKNOWN_PLACE, number=2), "no_box"),
        (voc_object(box=(400, 20, 500, 90), number=2), "outside_box"),
        (voc_object(name="", number=2), "no_class"),
        (voc_object(box=GOOD, notes=[Note("other_geometry", "odd", True)], number=2), "other_geometry"),
    ],
)
def test_the_picture_goes_where_a_visible_object_would_stay_without_a_label(odd, kind):
    kept, (found,) = kept_of([voc_object(), odd], {})
    assert kept is None
    assert (found.kind, found.object, found.line, found.action) == (kind, 2, 20, DROP)


@pytest.mark.parametrize("kind", ["flipped_box", "outside_box"])
def test_the_picture_goes_where_a_box_is_not_to_be_mended(kind):
    odd = voc_object(box={"flipped_box": (100, 20, 10, 90), "outside_box": (-5, 20, 90, 90)}[kind])
    assert len(kept_of([odd], {kind: FIX})[0]) == 1
    assert kept_of([odd], {kind: DROP})[0] is None


def test_where_an_object_of_an_unlisted_class_is_does_not_matter():
    kept, found = kept_of([voc_object(), voc_object("crate", None, UNKNOWN_PLACE, 2)], {})
    assert len(kept) == 1
    assert [one.kind for one in found] == ["unknown_class"]


def test_notes_are_findings_and_a_fix_keeps_the_object():
    notes = [Note("decimal_comma", "a", True), Note("other_geometry", "b", True)]
    kept, found = kept_of([voc_object(notes=notes)], {"other_geometry": FIX})
    assert [one.box for one in kept] == [pytest.approx((10 / 300, 0.1, 1 / 3, 0.6))]
    assert [(one.kind, one.action) for one in found] == [("decimal_comma", FIX), ("other_geometry", FIX)]


def test_an_alias_and_another_unicode_form_name_a_listed_class():
    objects = [voc_object("Kegel"), voc_object("cafe\u0301", (20, 20, 90, 90), number=2)]
    kept, found = kept_of(objects, {}, vocabulary=Vocabulary(["cone", "caf\u00e9"], {"Kegel": "cone"}))
    assert [one.class_id for one in kept] == [1, 2]
    assert found == []


@pytest.mark.parametrize("policy, result", [(FIX, []), (DROP, None)])
def test_an_annotation_without_objects_is_background_or_not(policy, result):
    kept, (found,) = kept_of([], {"no_objects": policy})
    assert kept == result
    assert (found.kind, found.object, found.action) == ("no_objects", None, policy)


def test_a_shape_outside_of_any_object_is_no_background():
    annotation = parse(b"<annotation>\n<item><bndbox><xmin>1</xmin></bndbox></item></annotation>")
    findings = Findings(policies({}))
    object_filter = ObjectFilter(VOCABULARY, (HEIGHT, WIDTH), FRAME, "a.xml", findings)
    assert object_filter.kept([], annotation.stray) is None
    assert "but a <bndbox> in line 2 outside of any" in findings.found[0].message


@pytest.mark.parametrize(
    "name", ["Traffic_Light", " TRAFFIC  LIGHT", "traffic_light ", "traffic-light", "\uff54raffic light"]
)
def test_folded_names_differ_in_what_matters_only(name):
    assert folded(name) == folded("traffic light")
    assert folded(name + "s") != folded("traffic light")


@given(sizes, st.integers(1, 8), sizes)
def test_the_whole_frame_lies_on_the_whole_picture(size, orientation, upright):
    assert BoxFrame(size, orientation, upright).place((0, 0, *size)) == pytest.approx((0, 0, *upright))


@pytest.mark.parametrize(
    "said, orientation, upright, stored, expected",
    [
        (None, 1, (200, 100), (200, 100), ((200, 100), 1)),
        (None, 6, (100, 200), (200, 100), None),
        ((400, 200), 1, (200, 100), (200, 100), ((400, 200), 1)),
        ((50, 100), 6, (100, 200), (200, 100), ((50, 100), 1)),
        ((400, 200), 6, (100, 200), (200, 100), ((400, 200), 6)),
        ((400, 200), 3, (200, 100), (200, 100), None),
        ((300, 300), 8, (100, 100), (100, 100), None),
        ((400, 300), 1, (200, 100), (200, 100), None),
    ],
)
def test_a_frame_is_guessed_only_where_one_is_possible(said, orientation, upright, stored, expected):
    frame = _guessed_frame(said, orientation, upright, stored)
    assert frame == (BoxFrame(expected[0], expected[1], upright) if expected else None)


@pytest.mark.parametrize(
    "size, orientation, reading, expected, kinds",
    [
        ("640x480", 1, ("auto", "xml"), None, ["size_mismatch"]),
        ("640x480", 1, ("auto", "photo"), ((200, 100), 1), []),
        ("200x100", 3, ("corners", "photo"), ((200, 100), 1), []),
        ("100x200", 6, ("corners", "xml"), ((100, 200), 6), []),
        ("100x200", 6, ("relative", "xml"), ((1, 1), 6), []),
        ("200x100", 6, ("relative", "xml"), ((1, 1), 1), []),
        ("640x480", 1, ("relative", "photo"), ((1, 1), 1), []),
    ],
)
def test_the_user_says_how_sizes_and_boxes_are_to_be_read(size, orientation, reading, expected, kinds):
    words = "<annotation><size><width>%s</width><height>%s</height></size></annotation>" % tuple(size.split("x"))
    findings = Findings(policies({}))
    photo = Turned(orientation, (200, 100))
    frame = frame_of(parse(words.encode()), Pair("a.jpg", "a.xml"), photo, Reading(*reading), findings)
    assert frame == (BoxFrame(*expected, (200, 100)) if expected else None)
    assert [one.kind for one in findings.found] == kinds
