"""The one way from a file to pixels, for training and detection alike.

TensorFlow's old bilinear, OpenCV's and Pillow's differ by up to 9 grey levels, and by aliasing; JPEG decoders differ
too. So records, previews, parity and detection all come through here. Needs OpenCV and numpy, Python 3.6 to current.
"""

from typing import List, Optional

import cv2
import numpy as np

SIGNATURES = (("jpeg", b"\xff\xd8\xff"), ("png", b"\x89PNG\r\n\x1a\n"), ("bmp", b"BM"))
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"


def format_of(data: bytes) -> Optional[str]:
    """``jpeg``, ``png``, ``bmp`` or ``webp`` by the first bytes, whatever the file's name says; else None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((name for name, start in SIGNATURES if data.startswith(start)), None)


def decode(data: bytes) -> np.ndarray:
    """The picture in ``data`` (JPEG, PNG, BMP or WebP) as uint8 RGB [height, width, 3], upright.

    OpenCV heeds the EXIF orientation of JPEG and PNG; a WebP is taken as it is.

    Raises:
        ValueError: the bytes are not a picture that OpenCV can read, or a JPEG cut off before its end.
    """
    if not data:
        raise ValueError("the file is empty")
    kind = format_of(data)
    if kind == "jpeg" and _is_cut_off(data):
        raise ValueError("the JPEG is cut off before its end")
    picture = _decoded(data) if kind else None
    if picture is None:
        raise ValueError("the file is not a readable JPEG, PNG, BMP or WebP picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _decoded(data: bytes) -> Optional[np.ndarray]:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # for instance more pixels than OpenCV's limit
        return None


def _is_cut_off(data: bytes) -> bool:
    """Whether the JPEG's scan starts but the end-of-image marker is missing: OpenCV 4.5 would give a half-grey picture.

    Segments are skipped by their length (ITU-T T.81, annex B), because a thumbnail in one holds markers of its own.
    """
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == START_OF_SCAN:
            return data.find(END_OF_IMAGE, place) < 0
        place += 1 if marker == 0xFF else 2 + length
    return False


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """``picture`` (uint8 [H, W, 3]) stretched to [height, width, 3]: area averaging down, bilinear up."""
    if picture.shape[:2] == (height, width):
        return picture
    smaller = height <= picture.shape[0] and width <= picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def encode_jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    """``picture`` (uint8 RGB [H, W, 3]) as JPEG; ``quality`` 1 to 100."""
    return _encode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(picture: np.ndarray) -> bytes:
    """``picture`` (uint8 RGB [H, W, 3]) as PNG, without loss."""
    return _encode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _encode(suffix: str, picture: np.ndarray, options: List[int]) -> bytes:
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError("OpenCV could not encode a picture of shape %s" % (picture.shape,))
    data: bytes = encoded.tobytes()
    return data
