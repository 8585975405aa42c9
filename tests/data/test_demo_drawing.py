"""What the demo's pictures are drawn with: random choices, blending, objects and backgrounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.demo import backgrounds, objects
from stages.demo.drawing_tools import Rng, blend, cloud, disc, paint, soften, to_bytes

LIGHT = objects.unit((0.5, -0.65, 0.6))


@given(st.integers(0, 2**32 - 1), st.integers(-50, 50), st.integers(0, 50))
def test_choices_stay_inside_their_bounds_and_come_again(seed, low, span):
    rng, again = Rng(seed), Rng(seed)
    numbers = [rng.between(low, low + span) for _ in range(20)]
    assert numbers == [again.between(low, low + span) for _ in range(20)]
    assert low <= min(numbers) and max(numbers) <= low + span
    assert 0.25 <= rng.share(0.25, 0.75) <= 0.75
    assert rng.chance(100) and not rng.chance(0)
    assert rng.pick("abc") in "abc"


def test_both_ends_are_drawn():
    rng = Rng(0)
    assert {rng.between(1, 3) for _ in range(100)} == {1, 2, 3}


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_a_mask_blends_between_canvas_and_patch(below, above, thick):
    canvas = np.full((4, 5, 3), below, np.uint8)
    blend(canvas, np.full((2, 2, 3), above, np.uint8), np.full((2, 2), thick, np.uint8), 1, 1)
    inside = canvas[1:3, 1:3]
    assert np.all(np.abs(inside - (below + (above - below) * thick / 255)) <= 0.5)
    canvas[1:3, 1:3] = below
    assert np.all(canvas == below)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 20))
def test_surfaces_have_the_size_and_range_they_promise(height, width, cell):
    noise = cloud(Rng(1), height, width, cell)
    light = disc(height, width, (width / 2, height / 2), (cell, cell))
    for surface, lowest in ((noise, -1), (light, 0)):
        assert (surface.shape, surface.dtype) == ((height, width), np.float32)
        assert lowest <= surface.min() and surface.max() <= 1
    assert np.array_equal(to_bytes(paint(height, width, (300, -5, 7.5))), np.full((height, width, 3), (255, 0, 8)))


def test_a_blur_of_no_radius_changes_nothing():
    picture = Rng(2).grains(9, 9)
    assert soften(picture, 0) is picture
    assert soften(picture, 2).std() < picture.std()


@pytest.mark.parametrize("name", objects.CLASSES)
@pytest.mark.parametrize("seed", range(6))
def test_an_object_fills_its_drawing_and_is_lit(name, seed):
    colors, inside = objects.CLASSES[name](Rng(seed), 120, LIGHT)
    assert colors.dtype == np.uint8 and inside.dtype == bool
    assert colors.shape == inside.shape + (3,)
    assert max(inside.shape) == 120
    assert 0.25 < inside.mean() < 1
    assert colors[inside].std() > 10


@pytest.mark.parametrize("seed", range(4))
def test_a_background_is_whole_and_has_a_ground(seed):
    background = backgrounds.random_background(Rng(seed))
    assert background.picture.shape == (backgrounds.HEIGHT, backgrounds.WIDTH, 3)
    assert background.picture.dtype == np.uint8
    assert 225 <= background.ground <= 300
    assert backgrounds.enlarged(background.picture).shape == (1080, 1920, 3)


def test_a_shadow_darkens_its_ellipse_only_even_at_the_edge():
    picture = np.full((40, 60, 3), 200, np.uint8)
    backgrounds.shadow(picture, (2, 20), (10, 5), 0.5)
    darker = picture[:, :, 0] < 200
    assert picture[20, 2, 0] == 100
    assert darker[20, :12].all() and not darker[:, 13:].any() and not darker[26:].any() and not darker[:15].any()
