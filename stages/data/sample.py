"""One picture with its annotation: decoded, upright, and with a way from the XML's boxes to the upright pixels."""

import os
from typing import NamedTuple, Optional, Tuple

import numpy as np
from lxml import etree

from stages import picture_header, pixels
from stages.data import boxes, exif, voc
from stages.data.findings import Findings
from stages.data.pairing import Folders, Pair

SUFFIXES = {"jpeg": (".jpg", ".jpeg"), "png": (".png",), "bmp": (".bmp",), "webp": (".webp",)}
WholeSize = Tuple[int, int]


class BoxFrame(NamedTuple):
    """What the XML's boxes are measured on: a picture of ``size``, turned by ``orientation``, scaled to ``upright``."""

    size: WholeSize
    orientation: int
    upright: WholeSize

    def place(self, box: boxes.Box) -> boxes.Box:
        """A box of the XML on the upright picture, in pixels."""
        turned = boxes.upright(box, self.size, self.orientation)
        return boxes.scaled(turned, boxes.upright_size(self.size, self.orientation), self.upright)


class Sample(NamedTuple):
    """``data`` is the photo's file, of ``format`` jpeg, png, bmp or webp; ``picture`` its upright pixels, uint8 RGB
    [h, w, 3]; ``root`` the XML's root, None for a picture without XML."""

    data: bytes
    format: str
    orientation: int
    picture: np.ndarray
    root: Optional[etree._Element]
    frame: BoxFrame


def load(folders: Folders, pair: Pair, max_megapixels: int, findings: Findings) -> Optional[Sample]:
    """The sample of a pair, or None if what is wrong with it makes it unusable. Findings are noted on the way."""
    root = None
    try:
        root = voc.tree(folders.xml(pair.xml)) if pair.xml else None
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
    frame: Optional[BoxFrame] = BoxFrame(upright, exif.UPRIGHT, upright)
    if root is not None:
        frame = _frame(root, pair, orientation, upright, findings)
    return frame and Sample(data, kind, orientation, picture, root, frame)


def _named_right(photo: str, kind: str, findings: Findings) -> bool:
    if photo.lower().endswith(SUFFIXES[kind]):
        return True
    return findings.fixes(
        "wrong_suffix",
        photo,
        "the name ends in %s, but the file is a %s picture" % (os.path.splitext(photo)[1], kind.upper()),
    )


def _frame(
    root: etree._Element, pair: Pair, orientation: int, upright: WholeSize, findings: Findings
) -> Optional[BoxFrame]:
    """Which picture the XML's size tells of: the upright one, the stored one, or another version of them."""
    said = voc.size_of(root)
    stored = _whole(boxes.upright_size(upright, orientation))
    size_line = getattr(root.find("size"), "sourceline", None)
    if said == upright:
        unclear = stored == upright and orientation != exif.UPRIGHT
        message = "its EXIF orientation is %d, and the XML does not tell whether its boxes follow it" % orientation
        if unclear and not findings.fixes("orientation_unclear", pair.photo, message):
            return None
        return BoxFrame(upright, exif.UPRIGHT, upright)
    if said == stored:
        return BoxFrame(stored, orientation, upright)
    frame = _guessed_frame(said, orientation, upright, stored)
    says = "the XML says %dx%d" % said if said else "the XML gives no size"
    message = "%s, but the photo %s is %dx%d" % ((says, pair.photo) + upright)
    mended = findings.fixes("size_mismatch", str(pair.xml), message, (None, size_line), fixable=frame is not None)
    return frame if mended else None


def _guessed_frame(
    said: Optional[WholeSize], orientation: int, upright: WholeSize, stored: WholeSize
) -> Optional[BoxFrame]:
    """The frame that the XML must have meant, if only one is possible."""
    if said is None:
        return BoxFrame(upright, exif.UPRIGHT, upright) if orientation == exif.UPRIGHT else None
    as_upright, as_stored = _same_shape(said, upright), _same_shape(said, stored)
    if as_upright and (orientation == exif.UPRIGHT or not as_stored):
        return BoxFrame(said, exif.UPRIGHT, upright)
    return BoxFrame(said, orientation, upright) if as_stored and not as_upright else None


def _same_shape(a: WholeSize, b: WholeSize) -> bool:
    """Whether one size is the other scaled and rounded to whole pixels."""
    (small_width, small_height), (width, height) = sorted((a, b))
    off = min(abs(small_height - small_width * height / width), abs(small_width - small_height * width / height))
    # Under some fifty pixels, rounding alone would make very different shapes the same.
    return off <= 1 and abs(small_width * height / (small_height * width) - 1) <= 0.02


def _whole(size: boxes.Size) -> WholeSize:
    return int(size[0]), int(size[1])
