"""What a whole dataset shows: numbers that are no corners, sizes that are not the photos'."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.annotation.frame import Reading
from stages.data.patterns import patterns
from stages.data.patterns.pattern_tallies import Observed, WrittenBox, WrittenPicture
from stages.job import BadInput

AUTO = Reading("auto", "xml")
SIZES = ((640, 480), (480, 640), (1920, 1080), (512, 512))


def corners(box, _size):
    return box


def xywh(box, _size):
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def relative(box, size):
    return tuple(edge / side for edge, side in zip(box, size * 2))


def percent(box, size):
    return tuple(100 * edge for edge in relative(box, size))


def centre(box, _size):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def yolo(box, size):
    return centre(relative(box, size), size)


def maximum_first(box, _size):
    return box[2], box[3], box[0], box[1]


def pairs(box, _size):
    return box[0], box[2], box[1], box[3]


def turned(box, _size):
    return box[1], box[0], box[3], box[2]


def drawn(random, size, largest=0.5):
    """A box of any place and a size up to a share of the picture's."""
    wide, high = random.uniform(0.03, largest, 2) * size
    left, top = random.uniform(0, 1, 2) * (np.array(size) - (wide, high))
    return tuple(float(round(edge)) for edge in (left, top, left + wide, top + high))


def observed(pictures):
    """What is seen of ``pictures``: (the numbers of the boxes, the XML's size, the photo's size, EXIF orientation)."""
    seen = Observed()
    for number, (numbers, said, stored, orientation) in enumerate(pictures):
        written = [WrittenBox(place, 10 * place, four) for place, four in enumerate(numbers, 1)]
        seen.add(WrittenPicture("%d.xml" % number, said, stored, orientation, written))
    return seen


def dataset(seed, pictures, write, said=lambda size: size, boxes_per_picture=3, **limits):
    random = np.random.RandomState(seed)
    size = SIZES[random.randint(len(SIZES))]
    made = []
    for _ in range(pictures):
        numbers = [write(drawn(random, size, **limits), size) for _ in range(random.randint(1, boxes_per_picture + 1))]
        made.append((numbers, said(size), size, 1))
    return observed(made)


def suspected(seen, reading=AUTO):
    return [(one.key, one.value) for one in patterns.suspicions(seen, reading)]


seeds = st.integers(0, 2**31 - 1)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 60), st.floats(0.05, 0.95))
def test_corners_are_taken_as_corners(seed, pictures, largest):
    assert suspected(dataset(seed, pictures, corners, largest=largest)) == []


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(20, 60))
def test_a_few_boxes_drawn_from_bottom_right_are_flips_to_mend(seed, pictures):
    random = np.random.RandomState(seed)
    assert (
        suspected(dataset(seed, pictures, lambda box, _: maximum_first(box, _) if random.rand() < 0.1 else box)) == []
    )


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(12, 40))
@pytest.mark.parametrize(
    "write, key",
    [
        (xywh, ("boxes", "xywh")),
        (relative, ("boxes", "relative")),
        (maximum_first, ("boxes", "corners")),
        (percent, (None, None)),
        (pairs, (None, None)),
        (yolo, (None, None)),
    ],
)
def test_numbers_that_are_no_corners_are_recognised(write, key, seed, pictures):
    assert suspected(dataset(seed, pictures, write)) == [key]


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 40))
def test_width_and_height_exchanged_are_recognised(seed, pictures):
    seen = dataset(seed, pictures, corners, said=lambda size: size[::-1])
    square = seen.sizes.exchanged == 0
    assert suspected(seen) == ([] if square else [("sizes", "photo")])


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(12, 40))
def test_two_patterns_at_once_are_both_told(seed, pictures):
    seen = dataset(seed, pictures, xywh, said=lambda size: size[::-1])
    assert ("boxes", "xywh") in suspected(seen)
    assert seen.sizes.exchanged == 0 or ("sizes", "photo") in suspected(seen)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(30, 60))
def test_boxes_around_a_centre_are_told_and_have_no_key(seed, pictures):
    (found,) = patterns.suspicions(dataset(seed, pictures, centre), AUTO)
    assert found.key is None and "centre x, centre y" in found.sentence()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(40, 80))
@pytest.mark.parametrize("scale, key", [(2, ("sizes", "photo")), (0.85, ("sizes", "photo")), (1, None)])
def test_a_size_that_did_not_shrink_with_photo_and_boxes_is_wrong(scale, key, seed, pictures):
    """As scripts leave it that change photos and boxes only. Boxes on a larger picture, not shrunk, are scaled."""
    seen = dataset(seed, pictures, corners, lambda size: tuple(int(side * scale) for side in size), 3, largest=0.4)
    assert suspected(seen) == ([key] if key else [])
    assert suspected(seen, Reading("auto", "photo")) == []
    random, size = np.random.RandomState(seed), (1280, 960)
    kept = [([drawn(random, size)], size, (640, 480), 1) for _ in range(pictures)]
    assert suspected(observed(kept)) == []


numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 2000).map(float))
sizes = st.one_of(st.none(), st.tuples(st.integers(1, 10**40), st.integers(1, 2000)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.tuples(*[numbers] * 4), max_size=3), sizes, sizes, st.integers(1, 8)), max_size=4),
    st.sampled_from(["auto", "corners", "xywh", "relative"]),
    st.sampled_from(["xml", "photo"]),
)
def test_no_numbers_make_a_traceback(pictures, boxes, size):
    for found in patterns.suspicions(observed(pictures), Reading(boxes, size)):
        assert found.sentence().endswith(".")


def test_large_objects_are_recognised_without_a_flip():
    """As x, y, width, height of one object that fills most of each picture; as corners it would be a small one."""
    random = np.random.RandomState(1)
    made = []
    for _ in range(30):
        left, top = random.uniform(10, 120), random.uniform(10, 90)
        right, bottom = random.uniform(520, 640), random.uniform(390, 480)
        made.append(([xywh((left, top, right, bottom), None)], (640, 480), (640, 480), 1))
    assert suspected(observed(made)) == [("boxes", "xywh")]


@pytest.mark.parametrize("pictures", [1, 3, 50])
def test_objects_of_a_fixed_camera_at_the_top_left_are_corners(pictures):
    seen = observed([([(60 + n % 7, 40, 200, 150 + n % 5)], (640, 480), (640, 480), 1) for n in range(pictures)])
    assert suspected(seen) == []


@pytest.mark.parametrize("box", [(0, 0, 640, 480), (1, 1, 640, 480), (0, 0, 639, 479)])
def test_boxes_of_whole_pictures_mean_the_same_either_way(box):
    assert suspected(observed([([box], (640, 480), (640, 480), 1)] * 30)) == []


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(16, 60), st.integers(2, 4))
def test_x_y_width_height_in_some_of_the_files_is_told_and_has_no_key(seed, pictures, every):
    """As where a second person labelled with another tool: swapping would make wrong boxes of theirs."""
    random, size = np.random.RandomState(seed), (640, 480)
    made = [[drawn(random, size, 0.4) for _ in range(3)] for _ in range(pictures)]
    numbers = [[xywh(box, size) if not number % every else box for box in one] for number, one in enumerate(made)]
    seen = observed([(one, size, size, 1) for one in numbers])
    (found,) = patterns.suspicions(seen, AUTO)
    assert found.key is None and "some x, y, width, height" in found.sentence()
    assert suspected(seen, Reading("corners", "xml")) == []


def test_what_is_told_has_cause_examples_and_key():
    boxes = ((217, 235, 61, 53), (300, 200, 120, 100), (120, 300, 80, 60), (50, 40, 200, 180), (400, 100, 90, 150))
    seen = observed([([box], (640, 480), (640, 480), 1) for box in boxes])
    with pytest.raises(BadInput) as refused:
        patterns.check(seen, AUTO)
    said = str(refused.value)
    assert said.startswith("4 of 5 boxes have xmin > xmax or ymin > ymax, and as x, y, width, height all lie inside")
    assert len(re.findall(r"\d\.xml, line 10 \(object 1\): [\d, ]+ in 640x480", said)) == 3
    assert 'dataset.boxes = "xywh"' in said and 'dataset.boxes = "corners"' in said
    patterns.check(seen, Reading("xywh", "xml"))
    patterns.check(seen, Reading("corners", "xml"))


@pytest.mark.parametrize(
    "write, stated, words",
    [
        (corners, "relative", "numbers above 1"),
        (xywh, "relative", "numbers above 1"),
        (corners, "xywh", "reach outside"),
        (relative, "xywh", "within 0 to 1"),
        (relative, "corners", "within 0 to 1"),
    ],
)
def test_a_stated_key_that_is_plainly_wrong_is_refused(write, stated, words):
    with pytest.raises(BadInput, match=words):
        patterns.check(dataset(5, 20, write), Reading(stated, "xml"))


@pytest.mark.parametrize("write, stated", [(corners, "corners"), (xywh, "xywh"), (relative, "relative")])
def test_a_stated_key_is_trusted(write, stated):
    patterns.check(dataset(5, 20, write), Reading(stated, "xml"))
    patterns.check(dataset(5, 1, write), Reading(stated, "xml"))


@pytest.mark.parametrize("orientation, key", [(1, [("sizes", "photo")]), (3, [("sizes", "photo")]), (6, []), (8, [])])
def test_exif_explains_width_and_height_exchanged(orientation, key):
    seen = observed([([(10, 10, 90, 90)], (480, 640), (640, 480), orientation)] * 3)
    assert suspected(seen) == key


def test_half_of_the_sizes_exchanged_is_no_pattern():
    right, exchanged = (([(10, 10, 90, 90)], said, (640, 480), 1) for said in ((640, 480), (480, 640)))
    assert suspected(observed([right, exchanged] * 5)) == []
    assert suspected(observed([right, exchanged, exchanged])) == [("sizes", "photo")]


def test_photos_turned_after_labelling_have_no_key():
    seen = observed([([(10, 400, 90, 630)], (480, 640), (640, 480), 1)] * 3)
    found = next(patterns.suspicions(seen, AUTO))
    assert found.key is None and "turned after they were labelled" in found.sentence()


def test_a_stale_size_is_told_from_photos_that_were_scaled():
    stale = [([(300, 200, 600, 450)], (320, 240), (640, 480), 1)] * 3
    assert suspected(observed(stale)) == [("sizes", "photo")]
    assert suspected(observed(stale), Reading("auto", "photo")) == []
    shrunk = [([(300, 200, 600, 450)], (640, 480), (320, 240), 1)] * 3
    assert suspected(observed(shrunk)) == []
    assert suspected(observed(shrunk), Reading("auto", "photo")) == [("sizes", "xml")]


def test_boxes_far_outside_are_refused_and_slips_are_not():
    outside = [([(700, 500, 1200, 900)], (640, 480), (640, 480), 1)] * 4
    inside = [([(100, 100, 641, 481)], (640, 480), (640, 480), 1)] * 5
    assert suspected(observed(outside)) == [(None, None)]
    assert suspected(observed(outside + inside)) == []
    assert suspected(observed(outside), Reading("corners", "xml")) == []


def test_x_and_y_exchanged_are_told():
    seen = dataset(3, 20, turned)
    (found,) = patterns.suspicions(seen, AUTO)
    assert found.key is None and "x and y are exchanged" in found.sentence()
