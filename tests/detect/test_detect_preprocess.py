"""The quick way to an input tensor gives what the plain one gives, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import pixels
from stages.detect.preprocess import Preprocess, quickly_resized


def plainly(picture, height, width, scale, offset, swapped):
    small = pixels.resize(picture, height, width)
    small = small[:, :, ::-1] if swapped else small
    return (small.astype(np.float32) * np.float32(scale) + np.float32(offset)).transpose(2, 0, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 24),
    st.integers(1, 24),
    st.floats(-4, 4, width=32),
    st.floats(-300, 300, width=32),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**31 - 1),
)
def test_the_tensor_is_the_plain_one(height, width, rows, columns, scale, offset, network_bgr, picture_bgr, seed):
    picture = np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)
    made = np.full((3, rows, columns), np.nan, np.float32)
    Preprocess(rows, columns, scale, offset, network_bgr).fill(picture, made, picture_bgr)
    wanted = plainly(picture, rows, columns, scale, offset, network_bgr != picture_bgr)
    np.testing.assert_array_equal(made, wanted)


def test_a_tensor_is_filled_again_and_again_in_its_place():
    preprocess, memory = Preprocess(8, 8, 2 / 255, -1, False), np.zeros(2 * 3 * 8 * 8, np.float32)
    tensors = list(memory.reshape(2, 3, 8, 8))  # slots of one memory
    for number in range(4):
        picture = np.full((16, 16, 3), number * 60, np.uint8)
        preprocess.fill(picture, tensors[number % 2])
    for tensor, value in zip(memory.reshape(2, 3, 8, 8), (120, 180)):
        np.testing.assert_array_equal(tensor, np.float32(value) * np.float32(2 / 255) - 1)


@settings(max_examples=40, deadline=None)
@given(*[st.integers(1, 90)] * 4, st.integers(0, 2**31 - 1))
def test_the_quick_resize_gives_every_size(height, width, rows, columns, seed):
    picture = np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)
    made = quickly_resized(picture, rows, columns)
    assert made.shape == (rows, columns, 3) and made.dtype == np.uint8
    if rows >= height and columns >= width:
        np.testing.assert_array_equal(made, pixels.resize(picture, rows, columns))


def test_frames_are_shrunk_in_memory_that_is_held():
    preprocess, tensor = Preprocess(30, 30, 1.0, 0.0, False), np.zeros((3, 30, 30), np.float32)
    for quick in (True, False, True):
        for seed in range(2):
            picture = np.random.RandomState(seed).randint(0, 256, (100, 300, 3)).astype(np.uint8)
            preprocess.fill(picture, tensor, quick=quick)
            wanted = (quickly_resized if quick else pixels.resize)(picture, 30, 30)
            np.testing.assert_array_equal(tensor, wanted.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (480, 640)])
def test_the_quick_resize_skips_no_line(size):
    """Stripes of one pixel are grey from afar; bilinear sampling alone would see black, white or any grey."""
    for picture in (np.zeros(size, np.uint8), np.zeros(size, np.uint8)[::-1].copy()):
        picture[::2] = 255
        made = quickly_resized(np.dstack([picture] * 3), 150, 150)
        assert abs(made.astype(float).mean() - 127.5) < 2 and made.std() < 40


def test_the_quick_resize_is_close_to_area_averaging():
    random = np.random.RandomState(0)
    for size in ((720, 1280), (1080, 1920), (480, 640)):
        picture = pixels.resize(random.randint(0, 256, (90, 160, 3)).astype(np.uint8), *size)
        for wanted in (300, 160):
            difference = quickly_resized(picture, wanted, wanted) - pixels.resize(picture, wanted, wanted).astype(float)
            assert np.abs(difference).mean() < 4
