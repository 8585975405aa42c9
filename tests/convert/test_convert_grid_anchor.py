"""GridAnchor_TRT's anchors and NMS_TRT's decoder: golden numbers, and parameters found again from anchors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.convert.graph import grid_anchor
from stages.convert.graph.grid_anchor import GridAnchor
from stages.job import BadInput

USUAL = GridAnchor(0.2, 0.95, [1.0, 2.0, 0.5, 3.0, 1 / 3.0], [19, 10, 5, 3, 2, 1])
# Computed by hand from the plugin's formula (scales .2 .35 .5 .65 .8 .95).
GOLDEN = {
    0: [-0.023684, -0.023684, 0.076316, 0.076316],
    1: [-0.115106, -0.044395, 0.167737, 0.097026],
    2: [-0.044395, -0.115106, 0.097026, 0.167737],
    3: [0.028947, -0.023684, 0.128947, 0.076316],
    1082: [0.902974, 0.832263, 1.044395, 1.115106],
    1083: [-0.125, -0.125, 0.225, 0.225],
    1086: [-0.253109, -0.051036, 0.353109, 0.151036],
    1088: [-0.159165, -0.159165, 0.259165, 0.259165],
    1911: [0.025, 0.025, 0.975, 0.975],
    1916: [0.01266, 0.01266, 0.98734, 0.98734],
}

grids = st.builds(
    GridAnchor,
    st.integers(5, 40).map(lambda n: n / 100.0),
    st.integers(50, 99).map(lambda n: n / 100.0),
    st.lists(st.integers(2, 60).map(lambda n: n / 10.0), max_size=3).map(lambda more: [1.0, 2.0, 0.5, *more]),
    st.lists(st.integers(1, 12), min_size=2, max_size=6),
)


def per_cell(grid):
    return [3] + [len(grid.aspect_ratios) + 1] * (len(grid.maps) - 1)


def test_anchors_have_the_plugins_golden_values():
    made = grid_anchor.anchors(USUAL)
    assert made.shape == (1917, 4) and made.dtype == np.float32
    for index, box in GOLDEN.items():
        np.testing.assert_allclose(made[index], box, atol=2e-6)


@settings(max_examples=100, deadline=None)
@given(grids)
def test_parameters_are_found_again_from_the_anchors(grid):
    solved = grid_anchor.solve(grid_anchor.anchors(grid), grid.maps, per_cell(grid))
    np.testing.assert_allclose(solved.aspect_ratios, grid.aspect_ratios, rtol=3e-6)
    np.testing.assert_allclose([solved.min_size, solved.max_size], [grid.min_size, grid.max_size], rtol=3e-6)


@settings(max_examples=100, deadline=None)
@given(grids, st.data())
def test_one_moved_anchor_is_refused(grid, data):
    boxes = grid_anchor.anchors(grid)
    row, column = data.draw(st.integers(0, len(boxes) - 1)), data.draw(st.integers(0, 3))
    boxes[row, column] += data.draw(st.sampled_from([-0.5, -1e-3, 1e-3, 0.5]))
    with pytest.raises(BadInput):
        grid_anchor.solve(boxes, grid.maps, per_cell(grid))


@pytest.mark.parametrize(
    "counts, says",
    [([6, 6], "always makes 3"), ([3, 6, 4], "same number"), ([3, 3], "at least 4"), ([3], "at least two")],
)
def test_counts_that_the_plugin_cannot_make_are_refused(counts, says):
    with pytest.raises(BadInput, match=says):
        grid_anchor.solve(np.zeros((1, 4), np.float32), [2] * len(counts), counts)


def test_anchors_without_area_are_refused():
    with pytest.raises(BadInput):
        grid_anchor.solve(np.zeros((3 * 4 + 6, 4), np.float32), [2, 1], [3, 6])


def test_decoding_nothing_gives_the_anchors():
    boxes = grid_anchor.anchors(USUAL)
    np.testing.assert_allclose(grid_anchor.decode(np.zeros((1917, 4)), boxes, [0.1, 0.1, 0.2, 0.2]), boxes, atol=1e-6)


def test_decoding_follows_the_box_coder():
    anchor = np.array([[0.2, 0.4, 0.6, 0.6]])  # centre (0.4, 0.5), width 0.4, height 0.2
    encodings = np.array([[1.0, 2.0, 0.0, 5 * np.log(2)]])  # ty, tx, th, tw
    expected = [[0.48 - 0.4, 0.52 - 0.1, 0.48 + 0.4, 0.52 + 0.1]]
    np.testing.assert_allclose(grid_anchor.decode(encodings, anchor, [0.1, 0.1, 0.2, 0.2]), expected)


@given(st.integers(1, 99999))
def test_decimal_numbers_survive_float32(number):
    value = number / 10000.0
    assert grid_anchor.shortest(float(np.float32(value))) == value
