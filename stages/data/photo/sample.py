"""One picture with its annotation: decoded, upright, and with a way from the XML's boxes to the upright pixels."""

import os
from typing import NamedTuple, Optional

import numpy as np
from lxml import etree

from stages import picture_header, pixels
from stages.data.annotation import voc
from stages.data.annotation.frame import BoxFrame, Reading, Turned, frame_of
from stages.data.findings import Findings
from stages.data.pairing.pairing import Folders, Pair
from stages.data.photo import exif
from stages.data.photo.second_look import missing_in_tiff

SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "png": (".png",),
    "bmp": (".bmp",),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}


class Sample(NamedTuple):
    """``data`` is the photo's file, of ``format`` jpeg, png, bmp, webp or tiff; ``picture`` its upright pixels, uint8
    RGB [h, w, 3]; ``root`` the XML's root, None for a picture without XML."""

    data: bytes
    format: str
    orientation: int
    picture: np.ndarray
    root: Optional[etree._Element]
    frame: BoxFrame


def load(folders: Folders, pair: Pair, max_megapixels: int, reading: Reading, findings: Findings) -> Optional[Sample]:
    """The sample of a pair, or None if what is wrong with it makes it unusable. Findings are noted on the way."""
    root = None
    try:
        root = voc.tree(folders.xml(pair.xml)) if pair.xml else None
    except voc.Empty as error:
        if not findings.fixes("empty_xml", str(pair.xml), str(error)):
            return None
    except voc.Damaged as error:
        findings.fixes("damaged_xml", str(pair.xml), str(error), (None, error.line))
        return None
    try:
        data = pixels.read(folders.photo(pair.photo), max_megapixels)
        decoded = pixels.decoded(data, max_megapixels)
    except pixels.TooLarge as error:
        findings.fixes("large_image", pair.photo, str(error))
        return None
    except pixels.UnreadFormat as error:
        findings.fixes("unread_format", pair.photo, str(error))
        return None
    except ValueError as error:
        findings.fixes("unreadable_image", pair.photo, str(error))
        return None
    kind = str(picture_header.format_of(data))
    if not (_named_right(pair.photo, kind, findings) and _usable(pair.photo, data, decoded, findings)):
        return None
    orientation, picture = exif.orientation(data), decoded.picture
    upright = picture.shape[1], picture.shape[0]
    frame = frame_of(root, pair, Turned(orientation, upright), reading, findings)
    return frame and Sample(data, kind, orientation, picture, root, frame)


def _named_right(photo: str, kind: str, findings: Findings) -> bool:
    if photo.lower().endswith(SUFFIXES[kind]):
        return True
    return findings.fixes(
        "wrong_suffix",
        photo,
        "the name ends in %s, but the file is a %s picture" % (os.path.splitext(photo)[1], kind.upper()),
    )


def _usable(photo: str, data: bytes, decoded: pixels.Decoded, findings: Findings) -> bool:
    """Note what is odd about the picture's pixels; False where it goes for that."""
    missing = decoded.missing or missing_in_tiff(data)
    pictures = picture_header.pictures(data)
    odd = [
        ("damaged_picture", bool(missing), "data is missing in it; its decoder says %r" % missing),
        (
            "deep_picture",
            decoded.bits < picture_header.bits(data),
            "no number of its 16 bits a channel needs more than %d of them" % decoded.bits,
        ),
        ("several_pictures", pictures > 1, "it holds %d pictures" % pictures),
    ]
    return all(findings.fixes(kind, photo, message) for kind, found, message in odd if found)
