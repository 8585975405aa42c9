"""Records without protobuf: what is read, and that no damaged byte gets past the checksums."""

import pytest
from detect_data import frame_of, framed
from hypothesis import given
from hypothesis import strategies as st

from stages.detect import tfrecord


@given(st.binary(max_size=60))
def test_a_record_gives_its_picture_s_bytes(encoded):
    example = tfrecord.content(frame_of(encoded))
    assert tfrecord.feature(example, "image/encoded") == encoded
    assert (tfrecord.feature(example, "image/format"), tfrecord.feature(example, "image/source")) == (b"png", b"")


@given(st.binary(max_size=60), st.data())
def test_a_damaged_byte_is_found(content, data):
    frame = bytearray(framed(content))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        tfrecord.content(bytes(frame))


@given(st.binary(max_size=60), st.data())
def test_a_frame_that_is_cut_off_or_followed_by_more_is_refused(content, data):
    frame = framed(content)
    for wrong in (frame[: data.draw(st.integers(0, len(frame) - 1))], frame + b"\0"):
        with pytest.raises(ValueError):
            tfrecord.content(wrong)


@given(st.binary(max_size=60))
def test_what_is_no_example_is_a_value_error_or_has_no_such_feature(content):
    try:
        assert isinstance(tfrecord.feature(content, "image/encoded"), bytes)
    except ValueError:
        pass
