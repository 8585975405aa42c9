"""The quick way to an input tensor gives what the plain one gives, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import pixels
from stages.detect.preprocess import Preprocess


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
    made = Preprocess(rows, columns, scale, offset, network_bgr).tensor(picture, picture_bgr)
    wanted = plainly(picture, rows, columns, scale, offset, network_bgr != picture_bgr)
    np.testing.assert_array_equal(made[0], wanted)
    assert made.dtype == np.float32 and made.shape == (1, 3, rows, columns)


@pytest.mark.parametrize("times", [1, 3])
def test_a_buffer_is_filled_again_and_again(times):
    preprocess, buffer = Preprocess(8, 8, 2 / 255, -1, False), np.full((1, 3, 8, 8), np.nan, np.float32)
    for number in range(times):
        picture = np.full((16, 16, 3), number * 7, np.uint8)
        assert preprocess.tensor(picture, out=buffer) is buffer
    np.testing.assert_array_equal(buffer, preprocess.tensor(picture))
