"""Pictures as browsers show them: as they are stored where that is possible, else as PNG; and small ones."""

import hashlib
import io
from typing import Any, Dict, NamedTuple, Optional, Tuple

import cv2
import numpy as np
from PIL import Image

from stages import picture_header, pixels
from stages.data.photo import exif

THUMB, QUALITY = 256, 80  # pixels of the longer side
MIME = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
# Decoded at an eighth, a quarter or a half, a JPEG takes less time.
REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


class Shown(NamedTuple):
    """An encoded picture and its media type."""

    data: bytes
    mime: str


def format_of(data: bytes) -> Optional[str]:
    """As ``picture_header.format_of``, and ``gif``."""
    return "gif" if data[:6] in (b"GIF87a", b"GIF89a") else picture_header.format_of(data)


def full(data: bytes, upright: bool) -> Shown:
    """The whole picture. ``upright``: its EXIF orientation counts, as browsers have it; else the pixels are as stored.

    Raises:
        ValueError: it cannot be decoded.
    """
    kind = format_of(data)
    if kind in MIME and (upright or exif.orientation(data) == exif.UPRIGHT):
        return Shown(data, MIME[kind])
    return Shown(pixels.encode_png(_decoded(data, upright, 0)), MIME["png"])


def thumb(data: bytes, upright: bool) -> Shown:
    """The picture with its longer side shrunk to ``THUMB`` pixels, as JPEG.

    Raises:
        ValueError: it cannot be decoded.
    """
    picture = _decoded(data, upright, THUMB)
    height, width = picture.shape[:2]
    scale = min(1.0, THUMB / max(height, width))
    small = pixels.resize(picture, max(1, round(height * scale)), max(1, round(width * scale)))
    return Shown(pixels.encode_jpeg(small, QUALITY), MIME["jpeg"])


def facts(data: bytes) -> Dict[str, Any]:
    """What can be said of a picture's bytes: how many, their format and SHA-256."""
    return {"bytes": len(data), "format": format_of(data), "sha256": hashlib.sha256(data).hexdigest()}


def _decoded(data: bytes, upright: bool, least: int) -> np.ndarray:
    """RGB, as far as its data goes; the longer side may be smaller, but not under ``least``, unless that is 0."""
    if format_of(data) == "gif":
        return _gif(data)
    size = pixels.checked_size(io.BytesIO(data))
    if upright and (not least or picture_header.format_of(data) != "jpeg"):
        return pixels.decode(data)
    flags = _reduced(size, least) if picture_header.format_of(data) == "jpeg" else cv2.IMREAD_COLOR
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION))
    except cv2.error:
        picture = None
    if picture is None:
        raise ValueError(pixels.UNREADABLE)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _reduced(size: Tuple[int, int], least: int) -> int:
    return int(next((flag for factor, flag in REDUCED if least and max(size) >= factor * least), cv2.IMREAD_COLOR))


def _gif(data: bytes) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=("GIF",)) as picture:
            if picture.width * picture.height > pixels.MAX_MEGAPIXELS * 1e6:
                raise ValueError("it has %d x %d pixels, too many to be shown" % picture.size)
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("the GIF cannot be read: %s" % error) from error
