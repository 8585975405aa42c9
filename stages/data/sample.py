"""One picture with its annotation: decoded, upright, and with a way from the XML's boxes to the upright pixels."""

import os
from typing import NamedTuple, Optional

import numpy as np
from lxml import etree

from stages import picture_header, pixels
from stages.data import exif, voc
from stages.data.findings import Findings
from stages.data.frame import BoxFrame, Reading, Turned, frame_of
from stages.data.pairing import Folders, Pair

SUFFIXES = {"jpeg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",), "webp": (".webp",)}


class Sample(NamedTuple):
    """``data`` is the photo's file, of ``format`` jpeg, png, bmp or webp; ``picture`` its upright pixels, uint8 RGB
    [h, w, 3]; ``root`` the XML's root, None for a picture without XML."""

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
        picture = pixels.decode(data, max_megapixels)
    except pixels.TooLarge as error:
        findings.fixes("large_image", pair.photo, str(error))
        return None
    except ValueError as error:
        findings.fixes("unreadable_image", pair.photo, str(error))
        return None
    kind = str(picture_header.format_of(data))
    if not _named_right(pair.photo, kind, findings):
        return None
    orientation = exif.orientation(data)
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
