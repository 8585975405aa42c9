"""Which picture an XML's boxes are measured on: the photo upright, as stored, or another version of it."""

from typing import NamedTuple, Optional

from stages.data.annotation import boxes
from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.voc import Annotation
from stages.data.findings import Findings
from stages.data.pairing.pairing import Pair
from stages.data.photo import exif


class Reading(NamedTuple):
    """How the user says that boxes are to be read: ``dataset.boxes`` and ``dataset.sizes`` (stages/parameters.py)."""

    boxes: str
    sizes: str


class Turned(NamedTuple):
    """A photo's EXIF orientation, and its (width, height) once it is upright."""

    orientation: int
    upright: WholeSize


class BoxFrame(NamedTuple):
    """What the XML's boxes are measured on: a picture of ``size``, turned by ``orientation``, scaled to ``upright``."""

    size: WholeSize
    orientation: int
    upright: WholeSize

    def place(self, box: boxes.Box) -> boxes.Box:
        """A box of the XML on the upright picture, in pixels."""
        turned = boxes.upright(box, self.size, self.orientation)
        return boxes.scaled(turned, boxes.upright_size(self.size, self.orientation), self.upright)


def frame_of(
    annotation: Optional[Annotation], pair: Pair, photo: Turned, reading: Reading, findings: Findings
) -> Optional[BoxFrame]:
    """Which picture the XML's boxes are measured on, or None if nobody can tell and the policy is to leave it out.

    Boxes in shares of the picture are measured on one of size (1, 1). What the XML says about the photo's size is not
    heeded where the user says so, and the boxes then lie on the upright photo.
    """
    if annotation is None or reading.sizes == "photo":
        frame: Optional[BoxFrame] = BoxFrame(photo.upright, exif.UPRIGHT, photo.upright)
    else:
        frame = _said_frame(annotation, pair, photo, findings)
    return frame._replace(size=(1, 1)) if frame and reading.boxes == "relative" else frame


def _said_frame(annotation: Annotation, pair: Pair, photo: Turned, findings: Findings) -> Optional[BoxFrame]:
    """The picture that the XML's size tells of: the upright one, the stored one, or another version of them."""
    orientation, upright = photo
    said = annotation.size
    stored = boxes.upright_size(upright, orientation)
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
    mended = findings.fixes(
        "size_mismatch", str(pair.xml), message, (None, annotation.size_line), fixable=frame is not None
    )
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
