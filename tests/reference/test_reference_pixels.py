"""Pixels: the same in every environment, and no half picture taken for a whole one."""

import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import pixels

OPENCV = tuple(map(int, cv2.__version__.split(".")[:2]))
DIGESTS = ["d4bbe1ac0b7ad921", "39665c1a064c69ed", "eff66cca563aedba", "a0a26525e6c3d5db"]


def photo(height=90, width=160):
    """A smooth picture that differs in every pixel, computed without random numbers or floats."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(3 * x + y) % 256, (2 * y + 5 * x) % 256, (x * y) % 256], axis=-1).astype(np.uint8)


def digest(picture):
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()[:16]


@pytest.mark.skipif(OPENCV < (4, 5), reason="a Jetson's own OpenCV 4.1 may round elsewhere")
def test_decoding_and_resizing_give_the_same_bytes_in_every_environment():
    """This suite runs in the environments data and train; both have to come to these figures."""
    decoded = pixels.decode(pixels.encode_jpeg(photo()))
    assert DIGESTS == [
        digest(np.frombuffer(pixels.encode_jpeg(photo()), np.uint8)),
        digest(decoded),
        digest(pixels.resize(decoded, 30, 40)),
        digest(pixels.resize(decoded, 300, 300)),
    ]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_png_loses_nothing(height, width, seed):
    picture = np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)
    np.testing.assert_array_equal(pixels.decode(pixels.encode_png(picture)), picture)


def test_a_jpeg_of_higher_quality_is_larger_and_nearer():
    coarse, fine = (pixels.encode_jpeg(photo(), quality) for quality in (20, 95))
    assert len(coarse) < len(fine)
    far, near = (np.abs(pixels.decode(data).astype(int) - photo()).mean() for data in (coarse, fine))
    assert near < far


def test_the_first_bytes_tell_the_format():
    assert pixels.format_of(pixels.encode_jpeg(photo())) == "jpeg"
    assert pixels.format_of(pixels.encode_png(photo())) == "png"
    assert pixels.format_of(b"RIFF\0\0\0\0WEBPVP8 ") == "webp"
    assert pixels.format_of(b"BM\0\0") == "bmp"
    assert pixels.format_of(b"GIF89a") is pixels.format_of(b"") is None


@pytest.mark.parametrize(
    "data, told",
    [
        (b"", "empty"),
        (b"GIF89a" + bytes(100), "it is a GIF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a readable"),
        (b"not a picture", "not a readable"),
        (b"BM" + bytes(100), "not a readable"),
    ],
)
def test_what_opencv_cannot_read_is_a_value_error(data, told):
    with pytest.raises(ValueError, match=told):
        pixels.decode(data)


@settings(max_examples=40)
@given(st.data())
def test_a_jpeg_cut_off_anywhere_is_refused(data):
    whole = pixels.encode_jpeg(photo())
    with pytest.raises(ValueError, match="cut off|not a readable|empty"):
        pixels.decode(whole[: data.draw(st.integers(0, len(whole) - 2))])


def test_a_thumbnail_s_end_is_not_the_picture_s():
    whole, thumbnail = pixels.encode_jpeg(photo()), pixels.encode_jpeg(photo(9, 16))
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    np.testing.assert_array_equal(pixels.decode(whole[:2] + segment + whole[2:]), pixels.decode(whole))
    with pytest.raises(ValueError, match="cut off"):
        pixels.decode((whole[:2] + segment + whole[2:])[:-500])


def test_a_picture_of_the_right_size_is_left_alone():
    picture = photo()
    assert pixels.resize(picture, 90, 160) is picture


def test_shrinking_averages_areas():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2], picture[2, 2] = 200, 100
    small = pixels.resize(picture, 2, 2)
    assert small[..., 0].tolist() == [[200, 0], [0, 25]]


@pytest.mark.parametrize("height, width", [(200, 300), (45, 320), (180, 80)])
def test_enlarging_in_any_direction_is_smooth(height, width):
    """Bilinear: what lies between two grey levels stays between them."""
    picture = np.repeat(np.array([[[0] * 3, [200] * 3]], np.uint8), 90, axis=0)
    large = pixels.resize(picture, height, width)
    assert large.shape == (height, width, 3)
    assert (np.diff(large[0, :, 0].astype(int)) >= 0).all() and len(np.unique(large)) > 10


def test_what_cannot_be_encoded_is_a_value_error(monkeypatch):
    monkeypatch.setattr("cv2.imencode", lambda *_: (False, None))
    with pytest.raises(ValueError, match=r"shape \(90, 160, 3\)"):
        pixels.encode_png(photo())
