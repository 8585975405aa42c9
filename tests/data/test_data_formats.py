"""Which pictures are read, and to which pixels: TIFF, 16 bits, several pictures in a file; and which are not."""

import io
import struct
import zlib

import numpy as np
import pytest
from data_tiff import tiff
from data_voc import photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from stages import picture_header, pixels, tiff_header, unread_formats

RNG = np.random.RandomState(0)
COLOURS = RNG.randint(0, 256, (48, 80, 3)).astype(np.uint8)
GREY = COLOURS[..., 0]


def saved(picture, kind, **options):
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, kind, **options)
    return stream.getvalue()


def png(samples, chunks=b""):
    """A PNG of 16 bits a channel, uint16 [h, w, 1 to 4]."""
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    parts = chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def pillows(data):
    """The pixels as Pillow reads them, as an independent witness."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "RGBA"])
def test_a_tiff_is_read_as_pillow_reads_it(compression, mode):
    data = saved(Image.fromarray(COLOURS).convert(mode), "TIFF", compression=compression)
    np.testing.assert_array_equal(pixels.decode(data), pillows(data))


def test_a_tiff_with_jpeg_inside_is_read():
    smooth = np.asarray(Image.fromarray(COLOURS).resize((8, 8)).resize((80, 48), Image.BICUBIC))
    assert np.abs(pixels.decode(saved(smooth, "TIFF", compression="jpeg")).astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layout", [{}, {"tiled": True}, {"planar": 2}, {"rows": 7}])
def test_a_tiff_of_any_layout_is_read(order, layout):
    data = tiff(COLOURS, order, **layout)
    np.testing.assert_array_equal(pixels.decode(data), COLOURS)
    assert picture_header.size(io.BytesIO(data)) == (80, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_a_tiffs_orientation_is_heeded(orientation, deep):
    eight = tiff(COLOURS, orientation=orientation)
    data = tiff(COLOURS.astype(np.uint16) * 257, orientation=orientation) if deep else eight
    np.testing.assert_array_equal(pixels.decode(data), pillows(eight))
    assert tiff_header.header(io.BytesIO(data)).orientation == orientation
    assert picture_header.size(io.BytesIO(data)) == (80, 48)  # as stored


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("form", ["png", "png with alpha", "grey png", "tiff", "big-endian tiff", "grey tiff", "tiled"])
def test_16_bits_are_taken_by_the_range_that_is_used(bits, form):
    deep = (COLOURS.astype(np.uint16) << (bits - 8)) + RNG.randint(0, 1 << (bits - 8), COLOURS.shape).astype(np.uint16)
    deep[0, 0] = (1 << bits) - 1
    want = (deep >> (bits - 8)).astype(np.uint8)
    if "grey" in form:
        deep, want = deep[..., :1], np.repeat(want[..., :1], 3, 2)
    if "alpha" in form:
        deep = np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])
    options = {"order": ">"} if "big" in form else {"tiled": True} if form == "tiled" else {}
    decoded = pixels.decoded(png(deep) if "png" in form else tiff(deep, **options))
    np.testing.assert_array_equal(decoded.picture, want)
    assert (decoded.bits, decoded.missing) == (bits, "")


def test_what_a_png_says_of_its_bits_decides():
    """By the specification, the numbers of a PNG with sBIT are scaled up: this one is dark, and not of 12 bits."""
    dark = (COLOURS.astype(np.uint16) >> 4) << 4
    measured = COLOURS.astype(np.uint16) * 16 + 5
    twelve = chunk(b"sBIT", b"\x0c\x0c\x0c")
    assert pixels.decoded(png(dark, twelve)).bits == 16
    assert pixels.decoded(png(measured, twelve)).bits == 12
    np.testing.assert_array_equal(pixels.decode(png(dark, twelve)), (dark >> 8).astype(np.uint8))
    np.testing.assert_array_equal(pixels.decode(png(measured, twelve)), COLOURS)


def test_a_black_picture_of_16_bits_is_black():
    assert not pixels.decode(png(np.zeros((4, 5, 3), np.uint16))).any()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_pngs_of_few_bits_have_their_colours(mode, bits):
    picture = Image.fromarray(COLOURS).convert(mode)
    if mode == "P":
        picture = picture.quantize(1 << bits)
    data = saved(picture, "PNG", **({"bits": bits} if mode == "P" else {}))
    np.testing.assert_array_equal(pixels.decode(data), pillows(data))
    assert pixels.decoded(data).bits == 8


@pytest.mark.parametrize(
    "data, what",
    [
        (saved(COLOURS, "GIF"), "a GIF"),
        (saved(COLOURS, "WEBP", save_all=True, append_images=[Image.new("RGB", (80, 48))]), "an animated WebP"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "a HEIC picture"),
        (b"\0\0\0\x18ftypmif1" + bytes(99), "a HEIC picture"),
        (b"\0\0\0\x1cftypavif" + bytes(99), "an AVIF picture"),
        (b"\0\0\0\x18ftypisom" + bytes(99), "a video"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), "a JPEG 2000 picture"),
        (b"8BPS\0\1" + bytes(99), "a Photoshop file"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="1">', "an SVG drawing"),
        (b"II+\0\x08\0\0\0\x10" + bytes(99), "a BigTIFF"),
        (tiff(COLOURS.astype(np.float32), fields=[(339, 3, [3] * 3)]), "a TIFF with signed or floating-point numbers"),
        (tiff(COLOURS.astype(np.uint32)), "a TIFF of 32 bits a channel"),
        (tiff(COLOURS.astype(np.uint16), planar=2), "a TIFF of 16 bits a channel with its colours stored apart"),
        (tiff(GREY.astype(np.uint16), photometric=0), "a TIFF of 16 bits a channel"),
        (tiff(COLOURS, fields=[(259, 3, [34925])]), "a TIFF compressed by method 34925"),
        (tiff(COLOURS, photometric=32803), "a TIFF in colours of kind 32803"),
        (tiff(COLOURS, fields=[(254, 4, [1])]), "a camera's raw file"),
    ],
)
def test_a_format_that_is_not_read_is_named(tmp_path, data, what):
    (tmp_path / "a.jpg").write_bytes(data)
    for read in (lambda: pixels.decode(pixels.read(str(tmp_path / "a.jpg"))), lambda: pixels.decode(data)):
        with pytest.raises(pixels.UnreadFormat, match="^it is " + what):
            read()


@pytest.mark.parametrize(
    "data, what",
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS: fetch .* `git lfs pull`"),
        (b"PK\3\4" + bytes(30), "an archive"),
        (b"<annotation>", "an XML file"),
        (b"hello", "a text file"),
        (b"\xff\xd8\xff", "TIFF picture$"),
        (bytes(range(9)), "TIFF picture$"),
    ],
)
def test_what_is_no_picture_is_named(data, what):
    with pytest.raises(ValueError, match="^the file is (not a readable JPEG.*)?" + what) as caught:
        pixels.decode(data)
    assert not isinstance(caught.value, pixels.UnreadFormat)


@pytest.mark.parametrize(
    "data, count",
    [
        (saved(COLOURS, "TIFF"), 1),
        (saved(COLOURS, "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))] * 2), 3),
        (saved(COLOURS, "PNG"), 1),
        (saved(COLOURS, "PNG", save_all=True, append_images=[Image.new("RGB", (80, 48))]), 2),
        (photo(), 1),
    ],
)
def test_the_first_of_several_pictures_is_read(data, count):
    assert picture_header.pictures(data) == count
    np.testing.assert_array_equal(pixels.decode(data), pillows(data))


def test_a_tiff_that_is_cut_off_is_refused():
    whole = tiff(COLOURS, rows=8)
    for length in (len(whole) - 1, len(whole) // 2):
        with pytest.raises(ValueError, match="the TIFF is cut off before its end"):
            pixels.decode(whole[:length])


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"II*\0", b"MM\0*"]))
def test_any_bytes_after_a_tiffs_signature_are_a_header_or_none(data, start):
    found = tiff_header.header(io.BytesIO(start + data))
    assert found is None or len(found.size) == 2


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_tiffs_header_that_is_changed_or_cut_off_is_a_header_or_none(data):
    whole = bytearray(tiff(COLOURS[:4, :4], data.draw(st.sampled_from("<>")), rows=1))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, 200))] = data.draw(st.integers(0, 255))
    changed = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    found = tiff_header.header(io.BytesIO(changed))
    assert found is None or len(found.size) == 2
    try:
        assert pixels.decode(changed, 1).shape[2] == 3
    except ValueError:
        pass


class Counted(io.BytesIO):
    """A stream that counts what is read of it."""

    taken = 0

    def read(self, size=-1):
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize("entries", [4000, 65535])
def test_a_tiffs_header_takes_little_however_it_is_made(entries):
    """Directories that overlap, with fields that claim a million values each, in a chain without an end."""
    entry = struct.pack("<HHII", 273, 4, 1 << 20, 0)
    directory = struct.pack("<H", entries) + entry * entries
    stream = Counted(b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 8))
    assert tiff_header.header(stream) is None
    assert stream.taken < 6 << 20


def test_pages_that_lead_in_circles_end():
    data = bytearray(tiff(COLOURS))
    end = 8 + 2 + 12 * struct.unpack("<H", data[8:10])[0]
    data[end : end + 4] = struct.pack("<I", 8)
    assert tiff_header.header(io.BytesIO(bytes(data))).pages == 1


@given(st.binary(max_size=600))
def test_what_a_file_is_can_be_asked_of_any_bytes(data):
    for words in (unread_formats.unread_format(data), unread_formats.stranger(data)):
        assert words is None or words
