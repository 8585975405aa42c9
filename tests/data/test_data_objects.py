"""Which objects go into the records, whatever their boxes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.data import boxes
from stages.data.findings import Findings, policies
from stages.data.frame import BoxFrame, _guessed_frame
from stages.data.objects import SMALLEST, ObjectFilter, folded
from stages.data.voc import VocObject
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


@given(some_objects, sizes, st.integers(1, 8), some_policy)
def test_every_object_is_kept_or_dropped_with_one_reason(given_objects, size, orientation, policy):
    """What is kept lies inside the picture, is large enough to learn from, and stands in the order of the XML."""
    objects = [VocObject(n, 10 * n, name, box, False, False, "") for n, (name, box) in enumerate(given_objects, 1)]
    upright = tuple(int(side) for side in boxes.upright_size(size, orientation))
    findings = Findings(policies(policy))
    frame = BoxFrame(size, orientation, upright)
    kept = ObjectFilter(CLASSES, (HEIGHT, WIDTH), frame, "a.xml", findings).kept(objects)
    numbers = [one.source.number for one in kept]
    dropped = [finding.object for finding in findings.found if finding.action == DROP]
    assert sorted(numbers + dropped) == list(range(1, len(objects) + 1))
    assert numbers == sorted(numbers)
    assert all(finding.line == 10 * finding.object and finding.file == "a.xml" for finding in findings.found)
    for one in kept:
        xmin, ymin, xmax, ymax = one.box
        assert 0 <= xmin < xmax <= 1 and 0 <= ymin < ymax <= 1
        assert min((xmax - xmin) * WIDTH, (ymax - ymin) * HEIGHT) >= SMALLEST
        assert folded(one.source.name) == folded(CLASSES[one.class_id - 1])
    assert len({(one.class_id, one.box) for one in kept}) == len(kept)


@pytest.mark.parametrize("name", ["traffic light", "Traffic_Light", " TRAFFIC  LIGHT", "traffic_light "])
def test_folded_names_differ_in_what_matters_only(name):
    assert folded(name) == "traffic light"
    assert folded(name + "s") != "traffic light"


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
