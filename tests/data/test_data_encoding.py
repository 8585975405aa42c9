"""What goes into a record of a photo's picture: its own file where that holds the picture, else it encoded."""

import io

import cv2
import numpy as np
import pytest
from data_voc import photo
from PIL import Image, PngImagePlugin

from stages import pixels
from stages.data.findings import Findings, policies
from stages.data.photo import encoding
from stages.data.photo import photo as photos

SIZE = 96, 64
COLOURS = np.random.RandomState(0).randint(0, 256, (64, 96, 3)).astype(np.uint8)


def saved(kind, picture=COLOURS, mode="RGB", **options):
    """A picture of SIZE, as a file."""
    stream = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation, size=0):
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = "x" * size
    return made.tobytes()


def text(size):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * size)
    return info


COPIED = {
    "jpeg": saved("JPEG"),
    "progressive": saved("JPEG", progressive=True, quality=97, subsampling=0),
    "restarts": saved("JPEG", restart_marker_rows=1),
    "upright exif": saved("JPEG", exif=exif(1, 1000)),
    "comment": saved("JPEG", comment=b"made by hand"),
    "rgb jpeg": saved("JPEG", keep_rgb=True),
    "png": saved("PNG"),
    "png with text": saved("PNG", pnginfo=text(100)),
}
ENCODED = {
    "another size": photo(97, 64),
    "smaller": photo(48, 32),
    "grey": saved("JPEG", mode="L"),
    "cmyk": saved("JPEG", mode="CMYK"),
    "turned around": saved("JPEG", exif=exif(3)),
    "turned": saved("JPEG", COLOURS.transpose(1, 0, 2), exif=exif(6)),
    "megabytes of exif": saved("JPEG") + bytes(1 << 17),
    "two segments of exif": saved("JPEG", exif=exif(1, 60000), icc_profile=bytes(20000)),
    "damaged": COPIED["jpeg"][: len(COPIED["jpeg"]) * 2 // 3] + b"\xff\xd9",
    "odd before its end": COPIED["jpeg"][:-2] + b"\1\2\3\4\5" + COPIED["jpeg"][-2:],
    "a png where jpeg is wanted": (saved("PNG"), "jpeg"),
    "a jpeg where png is wanted": (saved("JPEG"), "png"),
    "bmp": saved("BMP"),
    "grey png": saved("PNG", mode="L"),
    "palette": saved("PNG", mode="P"),
    "alpha": saved("PNG", mode="RGBA"),
    "transparent colour": saved("PNG", transparency=(1, 2, 3)),
    "turned png": saved("PNG", COLOURS.transpose(1, 0, 2), exif=exif(6)),
    "png with much text": saved("PNG", pnginfo=text(1 << 17)),
    "png with something behind it": saved("PNG") + b"more",
    "several pictures": saved("PNG", save_all=True, append_images=[Image.new("RGB", SIZE)]),
    "deep": cv2.imencode(".png", COLOURS.astype(np.uint16) << 8)[1].tobytes(),
}


def encoded(tmp_path, data, kind):
    """What a record of 96x64 gets of the photo ``data``."""
    name = "a." + {"jpeg": "jpg"}.get(pixels.format_of(data), pixels.format_of(data))
    (tmp_path / name).write_bytes(data)
    findings = Findings(policies({"damaged_picture": "fix"}))
    loaded = photos.load(str(tmp_path / name), name, 100, lambda _: (64, 96), findings)
    return encoding.encoded(loaded, kind, 95)


@pytest.mark.parametrize("name", COPIED)
def test_a_photo_of_the_wanted_size_is_copied_byte_for_byte(name, tmp_path):
    assert encoded(tmp_path, COPIED[name], pixels.format_of(COPIED[name])) == COPIED[name]


@pytest.mark.parametrize("name", ENCODED)
def test_what_others_may_see_otherwise_is_encoded(name, tmp_path):
    data, kind = ENCODED[name] if isinstance(ENCODED[name], tuple) else (ENCODED[name], None)
    kind = kind or ("jpeg" if pixels.format_of(data) == "jpeg" else "png")
    found = encoded(tmp_path, data, kind)
    assert found != data
    made = pixels.encode_png if kind == "png" else pixels.encode_jpeg
    assert found == made(pixels.shrunk(data, 64, 96))


def test_the_copy_is_in_the_record(dataset, make_records):
    dataset.fill(3)
    dataset.add("small.jpg", size=SIZE, data=COPIED["jpeg"])
    features = make_records(encoding="jpeg").features("small.jpg")
    assert features["image/encoded"] == [COPIED["jpeg"]]
    assert (features["image/format"], features["image/height"], features["image/width"]) == ([b"jpeg"], [64], [96])
