"""Photos of a wanted size, of every kind and in every state: what is said of them is what a whole decode says."""

import io

import cv2
import numpy as np
import pytest
from data_voc import photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stages import pixels
from stages.data.annotation import boxes
from stages.data.photo import exif
from stages.detect import pictures
from stages.detect.preprocess import Preprocess

SHAPE = (64, 96)
SMOOTH = cv2.resize(np.random.RandomState(5).randint(0, 256, (20, 30, 3)).astype(np.uint8), (480, 320))


def saved(kind, picture=SMOOTH, mode="RGB", **options):
    stream = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


JPEGS = {
    "baseline": saved("JPEG"),
    "progressive": saved("JPEG", progressive=True),
    "restarts": saved("JPEG", restart_marker_blocks=3),
    "grey": saved("JPEG", mode="L"),
    "cmyk": saved("JPEG", mode="CMYK"),
    "4:4:4": saved("JPEG", subsampling=0),
    "4:2:2": saved("JPEG", subsampling=1),
    "4:2:0": saved("JPEG", subsampling=2),
    "rgb": saved("JPEG", keep_rgb=True),
}


def near(one, other):
    return np.abs(one.astype(int) - other).mean() < 2


def grey(picture):
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("shape", [(160, 240), (64, 96), (80, 120), (40, 60), (9, 13)])
def test_every_kind_of_jpeg_looks_as_a_whole_decode_of_it(name, shape):
    small, whole = pixels.shrunk(JPEGS[name], *shape), pixels.resize(pixels.decode(JPEGS[name]), *shape)
    assert near(grey(small), grey(whole))
    assert near(small, whole) or name == "4:2:2"  # which has colours of half the width, at any size


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(JPEGS)), st.data())
def test_a_damaged_jpeg_is_told_as_a_whole_decode_tells_it(name, data):
    """Bytes changed, put in or taken out, anywhere; where a decoder gives it up, both do, in the same words."""
    whole = JPEGS[name]
    place = data.draw(st.integers(2, len(whole) - 3))
    gone = data.draw(st.integers(0, 300))
    changed = whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + gone :]
    scale = data.draw(st.sampled_from([2, 4, 8]))
    told = []
    for target in (None, lambda shape: (max(1, shape[0] // scale), max(1, shape[1] // scale))):
        try:
            found = pixels.decoded(changed, 1, target)
            told.append((found.whole, found.bits, found.missing, found.silent))
        except ValueError as error:
            told.append((type(error), str(error)))
    assert told[0] == told[1]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "TIFF"])
def test_other_formats_are_decoded_as_they_are(kind):
    data = saved(kind)
    np.testing.assert_array_equal(pixels.shrunk(data, *SHAPE), pixels.resize(pixels.decode(data), *SHAPE))


def test_deep_pictures_keep_their_range():
    deep = cv2.imencode(".png", SMOOTH.astype(np.uint16) << 4)[1].tobytes()
    found = pixels.decoded(deep, target=lambda _: SHAPE)
    assert found.bits == pixels.decoded(deep).bits == 12
    np.testing.assert_array_equal(found.picture, pixels.resize(pixels.decode(deep), *SHAPE))


def segment(content):
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def tiff(orientation, kind=3, order="little"):
    values = [(42, 2), (8, 4), (1, 2), (0x0112, 2), (kind, 2), (1, 4), (orientation, 2), (0, 2), (0, 4)]
    return (b"II" if order == "little" else b"MM") + b"".join(value.to_bytes(size, order) for value, size in values)


ORIENTATIONS = {
    "little": segment(b"Exif\0\0" + tiff(6)),
    "big": segment(b"Exif\0\0" + tiff(6, order="big")),
    "of another type": segment(b"Exif\0\0" + tiff(6, kind=9)),
    "xmp only": segment(b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'),
    "behind xmp": segment(b"http://ns.adobe.com/xap/1.0/\0<x/>") + segment(b"Exif\0\0" + tiff(6)),
    "twice": segment(b"Exif\0\0" + tiff(1)) + segment(b"Exif\0\0" + tiff(6)),
    "out of range": segment(b"Exif\0\0" + tiff(9)),
    "cut off": segment(b"Exif\0\0" + tiff(6)[:18]),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_orientation_is_what_the_decoder_heeds(name):
    data = JPEGS["baseline"][:2] + ORIENTATIONS[name] + JPEGS["baseline"][2:]
    whole = pixels.decode(data)
    assert boxes.upright_size((480, 320), exif.orientation(data)) == (whole.shape[1], whole.shape[0])
    assert near(pixels.shrunk(data, 70, 70), pixels.resize(whole, 70, 70))


@pytest.mark.parametrize(
    "name, data", [("a.jpg", JPEGS["baseline"]), ("b.jpg", photo(481, 321)), ("c.png", saved("PNG"))]
)
def test_a_record_holds_what_detection_looks_at(name, data, dataset, make_records):
    dataset.fill(4)
    dataset.add(name, size=Image.open(io.BytesIO(data)).size, data=data)
    recorded = pixels.decode(make_records().features(name)["image/encoded"][0])
    looked_at = pictures.from_files(str(dataset.photos / name), 100, pytest.fail)[0].load(SHAPE)
    np.testing.assert_array_equal(looked_at.picture, recorded)
    assert looked_at.shape == looked_at.whole().shape[:2]
    tensor = np.empty((3,) + SHAPE, np.float32)
    Preprocess(*SHAPE, scale=1.0, offset=0.0, bgr=False).fill(looked_at.picture, tensor)
    np.testing.assert_array_equal(tensor.transpose(1, 2, 0), recorded)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 40))
def test_what_is_decoded_for_a_record_is_told_in_the_index_as_the_whole_photo(number):
    """The photo's own size, not that of the picture it was decoded to."""
    data = saved("JPEG", SMOOTH[: 320 - number, : 480 - 2 * number])
    assert pixels.decoded(data, target=lambda _: (8, 8)).whole == (320 - number, 480 - 2 * number)
