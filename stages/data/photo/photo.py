"""One photo: its file read once, judged, upright, and shrunk to the size that is wanted of it. No XML is needed."""

import os
from typing import NamedTuple, Optional, Tuple

import numpy as np

from stages import files, picture_header, pixels, workers
from stages.data.findings import Findings
from stages.data.photo import exif
from stages.data.photo.second_look import missing_in_tiff

SUFFIXES = {
    "jpeg": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "png": (".png",),
    "bmp": (".bmp",),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
}


class Photo(NamedTuple):
    """A photo that can be used.

    Attributes:
        data: its file.
        format: jpeg, png, bmp, webp or tiff.
        orientation: 1 to 8, as EXIF has it.
        upright: (width, height) of the whole photo, upright.
        picture: its pixels, upright and of the size that was wanted, uint8 RGB [h, w, 3].
        silent: its decoder said nothing at all, not even what does no harm.
    """

    data: bytes
    format: str
    orientation: int
    upright: Tuple[int, int]
    picture: np.ndarray
    silent: bool


def load(path: str, name: str, max_megapixels: int, target: pixels.Target, findings: Findings) -> Optional[Photo]:
    """The photo at ``path``, called ``name`` in findings; None if what is wrong with it makes it unusable.

    ``target`` gives from its (height, width) that of the picture that is wanted. A large photo is decoded while no
    other process decodes one, see ``workers.room_for``.

    Raises:
        BadInput: a finding whose policy is to fail.
    """
    try:
        with files.opened(path) as opened:
            stream = pixels.in_memory(opened)
            size = pixels.checked_size(stream, max_megapixels)
            with workers.room_for(size[0] * size[1] / 1e6):
                data = pixels.rest_of(stream, size)
                decoded = pixels.decoded(data, max_megapixels, target)
                return _judged(data, name, decoded, findings)
    except OSError as error:
        findings.fixes("unreadable_image", name, "it cannot be read: %s" % error.strerror)
    except pixels.TooLarge as error:
        findings.fixes("large_image", name, str(error))
    except pixels.UnreadFormat as error:
        findings.fixes("unread_format", name, str(error))
    except ValueError as error:
        findings.fixes("unreadable_image", name, str(error))
    return None


def _judged(data: bytes, name: str, decoded: pixels.Decoded, findings: Findings) -> Optional[Photo]:
    kind = str(picture_header.format_of(data))
    if not (_named_right(name, kind, findings) and _usable(name, data, decoded, findings)):
        return None
    upright = decoded.whole[1], decoded.whole[0]
    return Photo(data, kind, exif.orientation(data), upright, decoded.picture, decoded.silent)


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
