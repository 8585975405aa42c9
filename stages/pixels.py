"""The one way from a file to pixels, for training and detection alike.

TensorFlow's old bilinear, OpenCV's and Pillow's differ by up to 9 grey levels, and by aliasing; JPEG decoders differ
too. So records, previews, parity and detection all come through here. Needs OpenCV and numpy, Python 3.6 to current.
"""

import io
from typing import BinaryIO, List, Optional, Tuple

import cv2
import numpy as np

from stages import files, picture_header
from stages.picture_header import format_of

MAX_MEGAPIXELS = 100  # the default of dataset.max_megapixels: more than cameras have, and under a gigabyte to decode
UNREADABLE = "the file is not a readable JPEG, PNG, BMP or WebP picture"
ANY_SIZE = 1000  # megapixels, the most that dataset.max_megapixels can be
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
SPARE_BYTES = 64 << 20  # of a picture's file, beside its pixels: profiles, thumbnails, the film of a "live" photo


class TooLarge(ValueError):
    """A picture that would take more memory than it may."""


def read(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> bytes:
    """The file of a picture, for :func:`decode`; its header is read before the rest.

    Raises:
        TooLarge: it has more pixels than it may have, or more bytes than any picture of its size.
        ValueError: it cannot be read, or is not a picture.
    """
    try:
        with files.opened(path) as stream:
            size = _checked_size(stream, max_megapixels)
            stream.seek(0)
            data = stream.read(8 * size[0] * size[1] + SPARE_BYTES + 1)  # 16 bits of red, green, blue and alpha
    except OSError as error:
        raise ValueError("it cannot be read: %s" % error.strerror) from error
    if len(data) > 8 * size[0] * size[1] + SPARE_BYTES:
        raise TooLarge("its file is larger than a picture of %d x %d pixels can be" % size)
    return data


def megapixels(path: str) -> float:
    """How many the file's header says, 0 where it says nothing."""
    try:
        with files.opened(path) as stream:
            width, height = picture_header.size(stream) or (0, 0)
    except OSError:
        return 0.0
    return width * height / 1e6


def _checked_size(stream: BinaryIO, max_megapixels: int) -> Tuple[int, int]:
    size = picture_header.size(stream)
    if size is None:
        stream.seek(0)
        raise ValueError(UNREADABLE if stream.read(1) else "the file is empty")
    if size[0] * size[1] > max_megapixels * 1000000:
        raise TooLarge(
            "it has %d x %d pixels, more than the %d megapixels that it may have (dataset.max_megapixels)"
            % (size + (max_megapixels,))
        )
    return size


def decode(data: bytes, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """The picture in ``data`` (JPEG, PNG, BMP or WebP) as uint8 RGB [height, width, 3], upright.

    OpenCV heeds the EXIF orientation of JPEG and PNG; a WebP is taken as it is.

    Raises:
        TooLarge: it has more pixels than it may have.
        ValueError: the bytes are not a picture that OpenCV can read, or a JPEG cut off before its end.
    """
    _checked_size(io.BytesIO(data), max_megapixels)
    if format_of(data) == "jpeg" and _is_cut_off(data):
        raise ValueError("the JPEG is cut off before its end")
    picture = _decoded(data)
    if picture is None:
        raise ValueError(UNREADABLE)
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


def resize(picture: np.ndarray, height: int, width: int, out: Optional[np.ndarray] = None) -> np.ndarray:
    """``picture`` (uint8 [H, W, 3]) stretched to [height, width, 3]: area averaging down, bilinear up.

    ``out`` may be given to be filled and returned; a picture of that size already is returned as it is.
    """
    if picture.shape[:2] == (height, width):
        return picture
    smaller = height <= picture.shape[0] and width <= picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), dst=out, interpolation=way)


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
