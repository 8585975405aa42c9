"""What a photo's file says before its pixels, and that no more of it is read than that takes."""

import io
import struct
import zlib

import pytest
from data_voc import photo

from stages import pixels
from stages.data.photo import exif, head


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def moved_exif(png):
    """The PNG with its chunk eXIf behind its pixels."""
    start = png.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", png[start : start + 4])[0]
    last = png.index(b"IEND") - 4
    return png[:start] + png[end:last] + png[start:end] + png[last:]


def with_segment(jpeg, code, content):
    """The JPEG with a segment before all others."""
    return jpeg[:2] + bytes((0xFF, code)) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


LARGE = b"".join(struct.pack(">2sH", b"\xff\xe2", 60002) + bytes(60000) for _ in range(20))
PHOTOS = {
    "jpeg": photo(orientation=6),
    "jpeg without": photo(),
    "jpeg with a comment": with_segment(photo(orientation=8), 0xFE, bytes(9)),
    "jpeg behind a megabyte": photo(orientation=6)[:2] + LARGE + photo(orientation=6)[2:],
    "png": photo(kind="PNG", orientation=6),
    "png with exif at its end": moved_exif(photo(kind="PNG", orientation=6)),
    "large png with exif at its end": moved_exif(photo(1500, 1500, kind="PNG", orientation=3)),
    "webp": photo(kind="WEBP", orientation=6),
    "tiff": photo(kind="TIFF", orientation=6),
    "bmp": photo(kind="BMP"),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_the_head_says_of_a_photo_what_the_whole_file_says(tmp_path, name):
    data = PHOTOS[name]
    (tmp_path / "photo").write_bytes(data)
    found = head.read(str(tmp_path / "photo"), 100)
    assert found == (pixels.checked_size(io.BytesIO(data)), exif.orientation(data))
    assert found.orientation == exif.UPRIGHT or name.split()[0] in ("jpeg", "png", "large", "tiff")


def test_of_a_large_photo_a_few_kilobytes_are_read(tmp_path, monkeypatch):
    read = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            data = super().read(size)
            read.append(len(data))
            return data

    for data in (photo(orientation=6) + bytes(1 << 22), moved_exif(photo(1500, 1500, kind="PNG", orientation=3))):
        monkeypatch.setattr(head.files, "opened", lambda _, data=data: Counted(data))
        del read[:]
        head.read("photo", 100)
        assert sum(read) < 20000


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", photo(kind="PNG")[:20], photo()[:40], b"GIF89a" + bytes(40)]
)
def test_what_is_no_photo_is_refused(tmp_path, data):
    (tmp_path / "photo").write_bytes(data)
    with pytest.raises(ValueError):
        head.read(str(tmp_path / "photo"), 100)


def test_a_png_that_is_cut_off_or_lies_of_its_lengths_has_no_orientation(tmp_path):
    whole = photo(kind="PNG", orientation=6)
    start = whole.index(b"eXIf") - 4
    for data in (whole[: start + 10], whole[:start] + b"\xff\xff\xff\xff" + whole[start + 4 :]):
        (tmp_path / "photo").write_bytes(data)
        assert head.read(str(tmp_path / "photo"), 100) == ((200, 100), exif.UPRIGHT)
