"""The one way from a file to pixels, for training and detection alike.

TensorFlow's old bilinear, OpenCV's and Pillow's differ by up to 9 grey levels, and by aliasing; JPEG decoders differ
too. So records, previews, parity and detection all come through here. Needs OpenCV and numpy, Python 3.6 to current.
"""

import io
from typing import BinaryIO, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from stages import decoder_words, files, jpeg_scans, picture_header, tiff_header, unread_formats
from stages.picture_header import format_of

MAX_MEGAPIXELS = 100  # the default of dataset.max_megapixels: more than cameras have, and under a gigabyte to decode
UNREADABLE = "the file is not a readable JPEG, PNG, BMP, WebP or TIFF picture"
EMPTY = "the file is empty"
ANY_SIZE = 1000  # megapixels, the most that dataset.max_megapixels can be
DEEP, RANGES = 16, (10, 12, 14, 16)  # bits a channel
OPENCV = tuple(int(part) for part in cv2.__version__.split(".")[:2])
OLDEST_FOR_TIFF = (3, 4)
SPARE_BYTES = 64 << 20  # of a picture's file, beside its pixels: profiles, thumbnails, the film of a "live" photo


class TooLarge(ValueError):
    """A picture that would take more memory than it may."""


class UnreadFormat(ValueError):
    """A picture in a format, or in a variant of one, that is not read; it may be whole all the same."""


class Decoded(NamedTuple):
    """A picture, uint8 RGB [h, w, 3], and what is odd about its file.

    Attributes:
        bits: how many a channel were taken for its range, before that was made 8.
        missing: the decoder's own words that data is missing, empty where it has none.
    """

    picture: np.ndarray
    bits: int
    missing: str


def read(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> bytes:
    """The file of a picture, for :func:`decode`; its header is read before the rest.

    Raises:
        TooLarge: it has more pixels than it may have, or more bytes than any picture of its size.
        UnreadFormat: it is a picture in a format that is not read.
        ValueError: it cannot be read, or is not a picture.
    """
    try:
        with files.opened(path) as stream:
            return rest_of(stream, checked_size(stream, max_megapixels))
    except OSError as error:
        raise ValueError("it cannot be read: %s" % error.strerror) from error


def rest_of(stream: BinaryIO, size: Tuple[int, int]) -> bytes:
    """The whole file that ``stream`` is, of a picture of that size as :func:`checked_size` gives it.

    Raises:
        TooLarge: it has more bytes than any picture of its size.
    """
    most = 8 * size[0] * size[1] + SPARE_BYTES  # 16 bits of red, green, blue and alpha
    stream.seek(0)
    data = stream.read(most + 1)
    if len(data) > most:
        raise TooLarge("its file is larger than a picture of %d x %d pixels can be" % size)
    return data


def checked_size(stream: BinaryIO, max_megapixels: int = MAX_MEGAPIXELS) -> Tuple[int, int]:
    """(width, height) as stored, from the header of the picture that ``stream`` is.

    Raises:
        TooLarge, UnreadFormat, ValueError: as :func:`read`.
    """
    head = stream.read(unread_formats.HEAD)
    unread = unread_formats.unread_format(head)
    if unread:
        raise UnreadFormat("it is %s" % unread)
    stream.seek(0)
    size = picture_header.size(stream)
    if size is None:
        stranger = unread_formats.stranger(head)
        raise ValueError("%s, but %s" % (UNREADABLE, stranger) if head and stranger else UNREADABLE if head else EMPTY)
    if size[0] * size[1] > max_megapixels * 1000000:
        raise TooLarge(
            "it has %d x %d pixels, more than the %d megapixels that it may have (dataset.max_megapixels)"
            % (size + (max_megapixels,))
        )
    return size


def decode(data: bytes, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """The picture in ``data`` (JPEG, PNG, BMP, WebP or TIFF) as uint8 RGB [height, width, 3], upright.

    OpenCV heeds the EXIF orientation of JPEG and PNG, and TIFF's; a WebP is taken as it is. Of several pictures in one
    file it is the first. Of 16 bits a channel, 8 are taken as :func:`_range` says.

    Raises:
        TooLarge: it has more pixels than it may have.
        UnreadFormat: it is a picture in a format that is not read.
        ValueError: the bytes are not a picture that OpenCV can read, or a file cut off before its end.
    """
    _check(data, max_megapixels)
    picture = _imdecoded(data)
    if picture is None:
        raise ValueError(UNREADABLE)
    return _finished(picture, data)[0]


def decoded(data: bytes, max_megapixels: int = MAX_MEGAPIXELS) -> Decoded:
    """As :func:`decode`, with what its decoder says of it; not for processes in which several threads decode.

    Raises:
        TooLarge, UnreadFormat, ValueError: as :func:`decode`.
    """
    _check(data, max_megapixels)
    with decoder_words.captured() as words:
        picture = _imdecoded(data)
    if picture is None:
        why = words.why_not()
        raise ValueError("%s: its decoder says %r" % (UNREADABLE, why) if why else UNREADABLE)
    missing = words.missing()
    if missing is None and words.lines and format_of(data) == "jpeg":
        missing = _missing_after_all(data)
    return Decoded(*_finished(picture, data), missing or "")


def _check(data: bytes, max_megapixels: int) -> None:
    checked_size(io.BytesIO(data), max_megapixels)
    kind = format_of(data)
    if kind == "jpeg" and jpeg_scans.is_cut_off(data):
        raise ValueError("the JPEG is cut off before its end")
    if kind == "tiff":
        _check_tiff(data)


def _check_tiff(data: bytes) -> None:
    header = tiff_header.header(io.BytesIO(data))
    if header is None:
        raise ValueError(UNREADABLE)
    if header.unread:
        raise UnreadFormat("it is %s" % header.unread)
    if any(end > len(data) for _, end in header.strips):
        raise ValueError("the TIFF is cut off before its end")
    if OPENCV < OLDEST_FOR_TIFF:
        raise UnreadFormat("it is a TIFF, which OpenCV %s does not read as later ones do" % cv2.__version__)


def _imdecoded(data: bytes) -> Optional[np.ndarray]:
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if picture_header.bits(data) == DEEP else 0)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # for instance more pixels than OpenCV's limit
        return None


def _missing_after_all(data: bytes) -> Optional[str]:
    """Whether data is missing in a JPEG of which libjpeg said something else: it says the first thing only."""
    bare = jpeg_scans.bare(data)
    with decoder_words.captured() as words:
        _imdecoded(bare)
    return words.missing() or words.left_over(bare[: -len(jpeg_scans.EOI)])


def _finished(picture: np.ndarray, data: bytes) -> Tuple[np.ndarray, int]:
    """From OpenCV's picture to uint8 RGB, and of how many bits its range was taken to be."""
    bits = 8
    if picture.dtype == np.uint16:
        bits = _range(picture, data)
        picture = np.right_shift(picture, bits - 8).astype(np.uint8)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), bits


def _range(picture: np.ndarray, data: bytes) -> int:
    """Of how many bits the range of a picture of 16 bits a channel is: the least of 10, 12, 14 and 16 that holds it.

    Cameras of 10 to 14 bits store what they measure as it is. A PNG with the chunk sBIT of n bits has them scaled up
    to all 16 (PNG specification, 11.3.2.7), unless numbers that n bits hold have lower bits that no scaling gives.
    """
    most = int(picture.max())
    significant = picture_header.significant_bits(data) if format_of(data) == "png" else None
    if significant is not None:
        as_measured = 8 <= significant < DEEP and most < 1 << significant
        return significant if as_measured and np.any(picture & ((1 << DEEP - significant) - 1)) else DEEP
    return next(bits for bits in RANGES if most < 1 << bits)


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
