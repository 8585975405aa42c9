"""Boxes under EXIF orientation, scaling and clipping, against what happens to pixels."""

import io

import numpy as np
import pytest
from data_voc import photo
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from stages import pixels
from stages.data.annotation import boxes
from stages.data.annotation.frame import _same_shape
from stages.data.photo import exif

edges = st.floats(-50, 350, allow_nan=False)
any_box = st.tuples(edges, edges, edges, edges)
sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
orientations = st.integers(1, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_follows_the_pixels_it_encloses(orientation):
    """Paint a box, let Pillow turn the picture upright, and find the paint."""
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[5:12, 20:50] = 255
    stream = io.BytesIO()
    tag = Image.Exif()
    tag[0x0112] = orientation
    Image.fromarray(stored).save(stream, "PNG", exif=tag)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(stream)))
    rows, columns = np.nonzero(upright[:, :, 0])
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert boxes.upright((20, 5, 50, 12), (60, 40), orientation) == found
    assert np.array_equal(pixels.decode(stream.getvalue()), upright)
    assert exif.orientation(stream.getvalue()) == orientation


@given(any_box, sizes, orientations)
def test_turning_keeps_the_area_inside_and_its_sign(box, size, orientation):
    turned = boxes.upright(box, size, orientation)
    wide, high = box[2] - box[0], box[3] - box[1]
    if orientation >= 5:
        wide, high = high, wide
    assert turned[2] - turned[0] == pytest.approx(wide, abs=1e-9)
    assert turned[3] - turned[1] == pytest.approx(high, abs=1e-9)


@given(any_box, sizes, orientations)
def test_eight_and_six_undo_each_other_and_the_others_themselves(box, size, orientation):
    back = {6: 8, 8: 6}.get(orientation, orientation)
    turned = boxes.upright(box, size, orientation)
    assert boxes.upright(turned, boxes.upright_size(size, orientation), back) == pytest.approx(box, abs=1e-9)


@given(any_box, sizes, sizes)
def test_scaling_there_and_back(box, old, new):
    there = boxes.scaled(box, old, new)
    assert boxes.scaled(there, new, old) == pytest.approx(box, rel=1e-9, abs=1e-9)
    assert boxes.scaled((0, 0, *old), old, new) == pytest.approx((0, 0, *new))


@given(any_box, sizes, sizes, orientations)
def test_turning_and_scaling_can_change_places(box, size, target, orientation):
    turned_first = boxes.scaled(
        boxes.upright(box, size, orientation),
        boxes.upright_size(size, orientation),
        boxes.upright_size(target, orientation),
    )
    scaled_first = boxes.upright(boxes.scaled(box, size, target), target, orientation)
    assert turned_first == pytest.approx(scaled_first, rel=1e-9, abs=1e-6)


@given(any_box, sizes)
def test_a_clipped_box_is_inside_and_clipping_again_changes_nothing(box, size):
    inside = boxes.clipped(boxes.ordered(box), size)
    assert 0 <= inside[0] <= inside[2] <= size[0]
    assert 0 <= inside[1] <= inside[3] <= size[1]
    assert boxes.clipped(inside, size) == inside


@given(st.integers(100, 4000), st.integers(100, 4000), st.integers(50, 4000))
def test_a_shrunk_picture_has_the_same_shape(width, height, longer):
    longer = min(longer, max(width, height))
    small = max(1, round(width * longer / max(width, height))), max(1, round(height * longer / max(width, height)))
    if min(small) >= 50:
        assert _same_shape(small, (width, height))
        assert _same_shape((width, height), small)


def test_another_shape_is_another_shape():
    assert not _same_shape((1000, 750), (1000, 760))
    assert not _same_shape((640, 480), (1920, 1080))
    assert not _same_shape((1, 1), (200, 100))


def test_a_cut_off_jpeg_is_refused_although_opencv_would_fill_it_with_grey():
    whole = photo()
    assert pixels.decode(whole).shape == (100, 200, 3)
    for length in (3, 30, len(whole) // 2, len(whole) - 2):
        with pytest.raises(ValueError):
            pixels.decode(whole[:length])


def test_a_thumbnail_s_end_marker_does_not_hide_a_cut_off_picture():
    whole = photo(800, 600)
    thumbnail = photo(16, 16)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    assert pixels.decode(whole[:2] + segment + whole[2:]).shape == (600, 800, 3)
    with pytest.raises(ValueError, match="cut off"):
        pixels.decode((whole[:2] + segment + whole[2:])[:-500])


def test_bytes_after_the_picture_do_no_harm():
    """Phones append videos to photos."""
    assert np.array_equal(pixels.decode(photo() + b"\xff\xda some video"), pixels.decode(photo()))


@given(st.binary(max_size=300))
def test_random_bytes_are_a_value_error_and_nothing_else(data):
    with pytest.raises(ValueError):
        pixels.decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_the_format_is_told_by_the_bytes(kind):
    assert pixels.format_of(photo(kind=kind)) == kind.lower()
    assert pixels.decode(photo(kind=kind)).shape == (100, 200, 3)
    assert pixels.format_of(photo(kind="GIF")) is None


@given(st.binary(max_size=300))
def test_what_tells_no_orientation_is_upright(data):
    assert exif.orientation(data) == exif.UPRIGHT
    assert exif.orientation(photo()[:40] + data) == exif.UPRIGHT


@pytest.mark.parametrize("kind, tag, told", [("JPEG", 0, 1), ("JPEG", 9, 1), ("PNG", 6, 6), ("WEBP", 6, 1)])
def test_an_orientation_counts_where_the_decoder_heeds_it(kind, tag, told):
    data = photo(200, 100, kind=kind, orientation=tag)
    assert exif.orientation(data) == told
    assert pixels.decode(data).shape == ((200, 100, 3) if told >= 5 else (100, 200, 3))
