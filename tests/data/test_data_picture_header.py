"""A picture's size is known before it is decoded, and what is too large is never decoded."""

import io
import os
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
from data_voc import photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stages import picture_header, pixels, workers

SEGMENTS = st.lists(st.tuples(st.sampled_from([0xE1, 0xED, 0xFE]), st.binary(max_size=90)), min_size=1, max_size=4)
SIZES = st.tuples(st.integers(1, 300), st.integers(1, 300))
KINDS = (
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("BMP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"lossless": False}),
    ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
)


def size_of(data):
    return picture_header.size(io.BytesIO(data))


def png_header(width, height):
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg_header(width, height):
    return b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x11\0\x02\x11\0\x03\x11\0"


@settings(deadline=None)
@given(SIZES, st.sampled_from(KINDS))
def test_the_header_tells_the_size_of_every_format(size, kind):
    stream = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(stream, kind[0], **kind[1])
    assert size_of(stream.getvalue()) == size
    assert pixels.decode(stream.getvalue()).shape[1::-1] == size


@given(SEGMENTS, st.binary(max_size=9))
def test_what_stands_before_a_jpegs_size_is_passed_over_as_libjpeg_does(segments, between):
    """Thumbnails in segments have sizes of their own; bytes between segments are none of the picture."""
    whole = photo(61, 83)
    put = b"".join(b"\xff%c%s%s" % (code, struct.pack(">H", len(data) + 2), data) for code, data in segments)
    put += between.replace(b"\xff", b"") + b"\xff\xff"
    assert size_of(whole[:2] + put + whole[2:]) == (61, 83)
    assert pixels.decode(whole[:2] + put + whole[2:]).shape == (83, 61, 3)


def test_a_thumbnails_size_is_not_the_pictures():
    whole, thumbnail = photo(800, 600), photo(16, 16)
    assert size_of(whole[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + whole[2:]) == (
        800,
        600,
    )


@given(st.sampled_from(["JPEG", "PNG", "BMP", "WEBP"]), st.data())
def test_a_header_that_is_cut_off_or_changed_is_none_or_a_size(kind, data):
    whole = bytearray(photo(kind=kind))
    place = data.draw(st.integers(0, min(len(whole) - 1, 700)))
    whole[place] ^= data.draw(st.integers(1, 255))
    found = size_of(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert found is None or len(found) == 2


@pytest.mark.parametrize("data", [b"", b"GIF89a" + b"\0" * 99, b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\0\x02", b"BM"])
def test_what_is_no_picture_has_no_size(data):
    assert size_of(data) is None


@pytest.mark.parametrize("header", [png_header(44000, 44000), jpeg_header(25000, 25000), photo(1001, 1000)])
def test_too_large_a_picture_is_never_decoded(tmp_path, monkeypatch, header):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    (tmp_path / "a.jpg").write_bytes(header + b"\0" * 100)
    for use in (lambda: pixels.read(str(tmp_path / "a.jpg"), 1), lambda: pixels.decode(header, 1)):
        with pytest.raises(pixels.TooLarge, match=r"it has \d+ x \d+ pixels, more than the 1 mega.*max_megapixels"):
            use()


def test_a_picture_may_be_exactly_as_large_as_it_may():
    assert pixels.decode(photo(1000, 1000), 1).shape == (1000, 1000, 3)


def test_a_file_larger_than_its_pixels_could_be_is_not_read(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(photo())
    os.truncate(path, 50 << 30)  # a hole: it takes no room on the disk
    with pytest.raises(pixels.TooLarge, match="larger than a picture of 200 x 100 pixels can be"):
        pixels.read(str(path))


def test_a_large_file_that_is_no_picture_is_not_read(tmp_path):
    path = tmp_path / "a.jpg"
    path.touch()
    os.truncate(path, 50 << 30)
    with pytest.raises(ValueError, match="not a readable JPEG"):
        pixels.read(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path), lambda path: None, os.mkdir])
def test_what_is_no_file_is_not_read(tmp_path, make):
    make(str(tmp_path / "a.jpg"))
    with pytest.raises(ValueError, match="it cannot be read: "):
        pixels.read(str(tmp_path / "a.jpg"))


def test_large_pictures_are_worked_on_one_at_a_time():
    inside, most = [], []

    def work(megapixels):
        with workers.room_for(megapixels):
            inside.append(1)
            most.append(len(inside))
            barrier.wait(5) if megapixels < workers.LARGE_MEGAPIXELS else None
            inside.pop()

    for megapixels, expected in ((1, 3), (workers.LARGE_MEGAPIXELS + 1, 1)):
        barrier = threading.Barrier(3)
        most.clear()
        threads = [threading.Thread(target=work, args=(megapixels,)) for _ in range(3)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        assert max(most) == expected


def hold(path):
    """Whether another process is inside, too."""
    with workers.room_for(workers.LARGE_MEGAPIXELS + 1):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL)
        np.linalg.inv(np.random.rand(300, 300))
        os.close(descriptor)
        os.unlink(path)


@pytest.mark.slow
def test_large_pictures_are_worked_on_one_at_a_time_among_processes(tmp_path):
    assert list(workers.in_order(hold, [str(tmp_path / "held")] * 40, 3)) == [None] * 40
