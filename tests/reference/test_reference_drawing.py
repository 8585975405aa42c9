"""Drawings: where labels and boxes end up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import drawing

GREY = 90
SIDES = st.integers(40, 400)
EDGES = st.floats(-600, 1000, allow_nan=False)


def tab_of(canvas, detection, taken):
    """The label's place, written in its class's color."""
    return drawing._tab(canvas, detection, taken, drawing.color_of(detection["class_id"]))


def blank(height=200, width=300):
    return np.full((height, width, 3), GREY, np.uint8)


def box(*edges, **more):
    return dict({"class": "cone", "class_id": 1, "score": 0.9, "box": list(edges)}, **more)


def painted(drawn):
    """Rows and columns that differ from the blank picture."""
    changed = (drawn != GREY).any(axis=2)
    return np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))


@settings(max_examples=100)
@given(SIDES, SIDES, st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES), max_size=6), st.text(max_size=40))
def test_any_boxes_can_be_drawn_on_any_picture(height, width, boxes, name):
    picture = blank(height, width)
    detections = [box(*edges, **{"class": name}) for edges in boxes]
    drawn = drawing.draw(picture, detections, detections)
    assert (drawn.shape, drawn.dtype) == (picture.shape, np.uint8)
    assert (picture == GREY).all()
    np.testing.assert_array_equal(drawn, drawing.draw(picture, detections, detections))


@pytest.mark.parametrize(
    "edges",
    [
        (5, 0, 60, 30),
        (240, 0, 299, 199),
        (0, 0, 299, 199),
        (280, 190, 299, 199),
        (0, 150, 20, 199),
        (-50, -50, 400, 400),
    ],
)
def test_the_whole_label_is_inside_the_picture(edges):
    """Its tab is as large as that of a box in the middle, wherever the box is."""

    def tab_pixels(edges):
        drawn = drawing.draw(blank(), [box(*edges)])
        color, black = np.array(drawing.color_of(1)), drawing.BLACK
        return (drawn == color).all(axis=2).sum(), (drawn == black).all(axis=2).sum()

    whole = tab_of(blank(), box(100, 100, 200, 150), [])
    tab = tab_of(blank(), box(*edges), [])
    assert (tab[2] - tab[0], tab[3] - tab[1]) == (whole[2] - whole[0], whole[3] - whole[1])
    assert tab[0] >= 0 and tab[1] >= 0 and tab[2] <= 300 and tab[3] <= 200
    assert min(tab_pixels(edges)) > 0


def test_a_long_label_shrinks_to_the_picture():
    tab = tab_of(blank(60, 60), box(10, 10, 50, 50, **{"class": "a very long name of a class"}), [])
    assert 0 <= tab[0] < tab[2] <= 60


def test_the_box_is_where_it_should_be():
    rows, columns = painted(drawing.draw(blank(), [], [{"box": [50, 40, 249, 159]}]))
    reach = drawing.line_width(blank()) + 1
    assert abs(rows[0] - 40) <= reach and abs(rows[-1] - 159) <= reach
    assert abs(columns[0] - 50) <= reach and abs(columns[-1] - 249) <= reach
    assert (drawing.draw(blank(), [], [{"box": [50, 40, 249, 159]}])[60:140, 70:230] == GREY).all()


def test_detections_below_the_threshold_are_left_out():
    picture = blank()
    both = drawing.draw(picture, [box(10, 50, 60, 90), box(150, 50, 200, 90, score=0.2)], threshold=0.5)
    np.testing.assert_array_equal(both, drawing.draw(picture, [box(10, 50, 60, 90)]))
    np.testing.assert_array_equal(drawing.draw(picture, [box(10, 50, 60, 90)], threshold=0.95), picture)


def test_labels_of_boxes_on_top_of_each_other_stay_apart():
    one, other = box(50, 80, 200, 150), box(50, 80, 200, 150, class_id=2, score=0.8)
    first = tab_of(blank(), one, [])
    second = tab_of(blank(), other, [first])
    assert second[1] >= first[3] or second[3] <= first[1]


def test_classes_have_colours_of_their_own():
    colors = [drawing.color_of(class_id) for class_id in range(1, 22)]
    assert len(set(colors)) == 21
    assert all(0 <= channel <= 255 for color in colors for channel in color)


def test_lines_grow_with_the_picture():
    assert drawing.line_width(blank(300, 300)) == 2
    assert drawing.line_width(blank(1080, 1920)) == 4


def test_a_name_outside_ascii_becomes_its_number():
    named = drawing.draw(blank(), [box(50, 80, 200, 150, **{"class": "너구리"})])
    numbered = drawing.draw(blank(), [box(50, 80, 200, 150, **{"class": "#1"})])
    np.testing.assert_array_equal(named, numbered)


@pytest.mark.parametrize("count, columns, rows_and_columns", [(1, 3, (1, 1)), (5, 3, (2, 3)), (6, 3, (2, 3))])
def test_a_contact_sheet_is_a_grid(count, columns, rows_and_columns):
    sheet = drawing.contact_sheet([np.full((30, 40, 3), 10 * index, np.uint8) for index in range(count)], columns, 80)
    rows, across = rows_and_columns
    assert sheet.shape == (8 + rows * 68, 8 + across * 88, 3)
    for index in range(count):
        row, column = divmod(index, columns)
        assert (sheet[8 + row * 68 + 30, 8 + column * 88 + 40] == 10 * index).all()
    assert (sheet[:8] == 255).all()


def test_a_contact_sheet_keeps_proportions():
    tall, wide = np.zeros((80, 40, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)
    sheet = drawing.contact_sheet([wide, tall, wide], 3, 100)
    _, columns = np.nonzero((sheet[:, 116:216] == 0).all(axis=2))
    assert columns.max() - columns.min() + 1 == 50
