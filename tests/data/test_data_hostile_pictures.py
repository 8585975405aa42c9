"""Headers of enormous pictures, lengths of gigabytes, files cut off anywhere: a sentence, in little memory and time."""

import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from data_tiff import tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stages import pixels

COLOURS = np.random.RandomState(0).randint(0, 256, (23, 31, 3)).astype(np.uint8)
LARGE, LONG = 100000, (0x7FFFFFFF, 0xFFFFFFFF)
WIDTH, HEIGHT, STRIPS, ROWS, STRIP_BYTES = 256, 257, 273, 278, 279  # fields of a TIFF


def saved(kind, mode="RGB", **options):
    stream = io.BytesIO()
    Image.fromarray(COLOURS).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def put(data, place, layout, *values):
    """``data`` with other numbers at a place."""
    content = struct.pack(layout, *values)
    return data[:place] + content + data[place + len(content) :]


def png(width, height):
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


def field(data, tag, value, count=1):
    """A TIFF with another value in a field, or another count of values that stand there."""
    start = struct.unpack("<I", data[4:8])[0] + 2
    place = next(at for at in range(start, len(data), 12) if data[at : at + 2] == struct.pack("<H", tag))
    return put(data, place + 2, "<HII", 4, count, value)


PNG, JPEG, BMP, TIFF = saved("PNG"), saved("JPEG"), saved("BMP"), saved("TIFF")
WEBP, LOSSLESS = saved("WEBP"), saved("WEBP", lossless=True)
EXTENDED = saved("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
ENORMOUS = {
    "png": png(LARGE, LARGE),
    "png of a row": png(0x7FFFFFFF, 1),
    "jpeg": put(JPEG, JPEG.index(b"\xff\xc0") + 5, ">HH", 65535, 65535),
    "bmp": put(BMP, 18, "<ii", LARGE, -LARGE),
    "webp": put(EXTENDED, 24, "6s", b"\xff" * 6),
    "lossless webp": put(LOSSLESS, 21, "<I", 0x0FFFFFFF),
    "tiff": field(field(TIFF, WIDTH, LARGE), HEIGHT, LARGE),
}
LENGTHS = {
    "%s, %d bytes" % (name, length): change(length)
    for length in LONG
    for name, change in {
        "pixels of a png": lambda length: put(PNG, PNG.index(b"IDAT") - 4, ">I", length),
        "text of a png": lambda length: PNG[:33] + struct.pack(">I4s", length, b"tEXt") + PNG[33:],
        "header of a png": lambda length: put(PNG, 8, ">I", length),
        "place of a bmp's pixels": lambda length: put(BMP, 10, "<I", length),
        "header of a bmp": lambda length: put(BMP, 14, "<I", length),
        "file of a webp": lambda length: put(WEBP, 4, "<I", length),
        "pixels of a webp": lambda length: put(WEBP, 16, "<I", length),
        "strip of a tiff": lambda length: field(TIFF, STRIP_BYTES, length),
        "place of a tiff's strip": lambda length: field(TIFF, STRIPS, length),
        "strips of a tiff": lambda length: field(TIFF, STRIPS, 8, length),
        "rows of a tiff's strip": lambda length: field(TIFF, ROWS, length),
        "directory of a tiff": lambda length: put(TIFF, 4, "<I", length),
    }.items()
}
WHOLE = [PNG, JPEG, BMP, TIFF, WEBP, LOSSLESS, EXTENDED]
WHOLE += [saved("PNG", "P"), saved("BMP", "P"), saved("JPEG", progressive=True), tiff(COLOURS)]
WHOLE += [saved("TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")]
WHOLE.append(cv2.imencode(".png", COLOURS.astype(np.uint16) * 257)[1].tobytes())


@pytest.mark.parametrize("name", ENORMOUS)
@pytest.mark.parametrize("most", [1, pixels.MAX_MEGAPIXELS])
def test_enormous_pictures_are_refused_by_their_headers(name, most, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    told = r"it has \d+ x \d+ pixels, more than the %d megapixels that it may have \(dataset.max_megapixels\)" % most
    for use in (lambda: pixels.decode(ENORMOUS[name], most), lambda: pixels.shrunk(ENORMOUS[name], 30, 30, most)):
        with pytest.raises(pixels.TooLarge, match=told):
            use()


@pytest.mark.parametrize("name", LENGTHS)
def test_a_length_of_gigabytes_is_refused_or_does_no_harm(name):
    """Some lengths nobody needs, such as that of a RIFF: then the picture is the right one."""
    data = LENGTHS[name]
    whole = {"png": PNG, "bmp": BMP, "webp": WEBP, "tiff": TIFF}[pixels.format_of(data)]
    try:
        found = pixels.shrunk(data, 10, 10)
    except ValueError as error:
        assert len(str(error)) > 20
        return
    np.testing.assert_array_equal(found, pixels.shrunk(whole, 10, 10))


def test_lengths_of_gigabytes_take_no_memory():
    """In a process of its own, for the most that a process ever had is all that the system tells."""
    program = (
        "import resource; import test_data_hostile_pictures as t;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "t.tried(t.WHOLE); before = peak(); t.tried(t.LENGTHS.values()); t.tried(t.ENORMOUS.values());"
        "print(peak() - before)"
    )
    folder = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, stdout=subprocess.PIPE)
    assert done.returncode == 0 and int(done.stdout) < 50000  # kilobytes


def tried(files):
    """Decode what can be decoded."""
    for data in files:
        try:
            pixels.decoded(data, 1)
        except ValueError:
            pass


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_a_picture_cut_off_anywhere_is_refused_or_whole(whole, data):
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = pixels.decoded(part, 1, lambda _: (11, 15))
    except ValueError as error:
        assert len(str(error)) > 15
        return
    np.testing.assert_array_equal(found.picture, pixels.shrunk(whole, 11, 15))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_a_changed_picture_is_refused_or_of_the_wanted_size(whole, data):
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + data.draw(st.binary(min_size=1, max_size=4)) + whole[place + 1 :]
    try:
        found = pixels.decoded(changed, 1, lambda _: (11, 15))
    except ValueError:
        return
    assert found.picture.shape == (11, 15, 3) and found.picture.dtype == np.uint8
    assert found.whole[0] * found.whole[1] <= 1000000
