"""The one way from a file to pixels, for training and detection alike.

TensorFlow's old bilinear, OpenCV's and Pillow's differ by up to 9 grey levels, and by aliasing; JPEG decoders differ
too. So records, previews, parity and detection all come through here. Needs OpenCV and numpy, Python 3.6 to current.
"""

import io
from contextlib import ExitStack
from typing import BinaryIO, Callable, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from stages import decoder_words, files, jpeg_scans, picture_header, reduction, tiff_header, unread_formats
from stages.picture_header import format_of

MAX_MEGAPIXELS = 100  # the default of dataset.max_megapixels: more than cameras have, and under a gigabyte to decode
UNREADABLE = "the file is not a readable JPEG, PNG, BMP, WebP or TIFF picture"
EMPTY = "the file is empty"
ANY_SIZE = 1000  # megapixels, the most that dataset.max_megapixels can be
DEEP, RANGES = 16, (10, 12, 14, 16)  # bits a channel
OPENCV = tuple(int(part) for part in cv2.__version__.split(".")[:2])
OLDEST_FOR_TIFF = (3, 4)
SPARE_BYTES = 64 << 20  # of a picture's file, beside its pixels: profiles, thumbnails, the film of a "live" photo


Shape = Tuple[int, int]
"""(height, width) in pixels."""
Target = Callable[[Shape], Shape]
"""From the shape of a whole upright picture to the shape that is wanted of it."""


class TooLarge(ValueError):
    """A picture that would take more memory than it may."""


class UnreadFormat(ValueError):
    """A picture in a format, or in a variant of one, that is not read; it may be whole all the same."""


class Decoded(NamedTuple):
    """A picture, uint8 RGB [h, w, 3], and what is odd about its file.

    Attributes:
        whole: the (height, width) of the upright picture in the file; ``picture`` may be a smaller version of it.
        bits: how many a channel were taken for its range, before that was made 8.
        missing: the decoder's own words that data is missing, empty where it has none.
        silent: its decoder said nothing at all.
    """

    picture: np.ndarray
    whole: Shape
    bits: int
    missing: str
    silent: bool


class _Raw(NamedTuple):
    """A picture as OpenCV gives it, BGR, 8 or 16 bits a channel; ``plan`` says how it was reduced, if it was."""

    picture: np.ndarray
    plan: Optional[reduction.Reduction] = None

    def whole(self) -> Shape:
        """The (height, width) of the picture that this one may be a smaller version of."""
        return self.plan.whole if self.plan else (self.picture.shape[0], self.picture.shape[1])


def read(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> bytes:
    """The file of a picture, for :func:`decode`; its header is read before the rest.

    Raises:
        TooLarge: it has more pixels than it may have, or more bytes than any picture of its size.
        UnreadFormat: it is a picture in a format that is not read.
        ValueError: it cannot be read, or is not a picture.
    """
    try:
        with files.opened(path) as opened:
            stream = in_memory(opened)
            return rest_of(stream, checked_size(stream, max_megapixels))
    except OSError as error:
        raise ValueError("it cannot be read: %s" % error.strerror) from error


def in_memory(stream: BinaryIO) -> BinaryIO:
    """The same file, read at once where it is of a usual size: its header is then read from memory, too."""
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return io.BytesIO(stream.read(length)) if length <= SPARE_BYTES else stream


def rest_of(stream: BinaryIO, size: Tuple[int, int]) -> bytes:
    """The whole file that ``stream`` is, of a picture of that size as :func:`checked_size` gives it.

    Raises:
        TooLarge: it has more bytes than any picture of its size.
    """
    most = 8 * size[0] * size[1] + SPARE_BYTES  # 16 bits of red, green, blue and alpha
    length = stream.seek(0, io.SEEK_END)
    if length > most:
        raise TooLarge("its file is larger than a picture of %d x %d pixels can be" % size)
    stream.seek(0)
    return stream.read(length)


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
    return decoded(data, max_megapixels, heard=False).picture


def shrunk(data: bytes, height: int, width: int, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """The picture in ``data`` stretched to [height, width, 3], uint8 RGB, upright.

    These are the pixels that the records of a dataset hold, and that a detector of that input size looks at. A JPEG is
    decoded at 1/2, 1/4 or 1/8 of its size if that leaves it as large as is wanted, see :mod:`stages.reduction`; what
    is left to do is :func:`resize`. Of all else it is as :func:`decode`.

    Raises:
        TooLarge, UnreadFormat, ValueError: as :func:`decode`.
    """
    return decoded(data, max_megapixels, lambda _: (height, width), heard=False).picture


def decoded(
    data: bytes, max_megapixels: int = MAX_MEGAPIXELS, target: Optional[Target] = None, heard: bool = True
) -> Decoded:
    """As :func:`decode`, or :func:`shrunk` to ``target``, with what its decoder says of it.

    Args:
        heard: False in processes in which several threads decode, where nobody can tell of whose picture something is
            said: then nothing counts as missing.

    Raises:
        TooLarge, UnreadFormat, ValueError: as :func:`decode`.
    """
    size = _check(data, max_megapixels)
    target = target or _as_it_is
    with ExitStack() as stack:
        words = stack.enter_context(decoder_words.captured()) if heard else decoder_words.Words()
        raw = _imdecoded(data, size, target)
    if raw is None:
        why = words.why_not()
        raise ValueError("%s: its decoder says %r" % (UNREADABLE, why) if why else UNREADABLE)
    missing = words.missing()
    if missing is None and words.lines and format_of(data) == "jpeg":
        missing = _missing_after_all(data)
    picture, bits = _finished(raw, data, target)
    return Decoded(picture, raw.whole(), bits, missing or "", not words.lines)


def _as_it_is(whole: Shape) -> Shape:
    return whole


def _check(data: bytes, max_megapixels: int) -> Tuple[int, int]:
    """(width, height) of the picture as stored."""
    size = checked_size(io.BytesIO(data), max_megapixels)
    kind = format_of(data)
    if kind == "jpeg" and jpeg_scans.is_cut_off(data):
        raise ValueError("the JPEG is cut off before its end")
    if kind == "tiff":
        _check_tiff(data)
    return size


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


def _imdecoded(data: bytes, size: Tuple[int, int], target: Target) -> Optional[_Raw]:
    """The picture, reduced as far as ``target`` allows; None where OpenCV cannot read it."""
    plan = reduction.planned(data, size, target) if format_of(data) == "jpeg" else None
    if plan:
        picture = _opencv(data, plan.flags)
        # Nobody knows how it lies if it has not the shape that its header foretells: then it is decoded as it is.
        if picture is None or picture.shape[:2] == plan.shape:
            return None if picture is None else _Raw(picture, plan)
    picture = _opencv(data, cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if picture_header.bits(data) == DEEP else 0))
    return None if picture is None else _Raw(picture)


def _opencv(data: bytes, flags: int) -> Optional[np.ndarray]:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # for instance more pixels than OpenCV's limit
        return None


def _missing_after_all(data: bytes) -> Optional[str]:
    """Whether data is missing in a JPEG of which libjpeg said something else: it says the first thing only."""
    bare = jpeg_scans.bare(data)
    with decoder_words.captured() as words:
        _opencv(bare, cv2.IMREAD_COLOR)
    return words.missing() or words.left_over(bare[: -len(jpeg_scans.EOI)])


def _finished(raw: _Raw, data: bytes, target: Target) -> Tuple[np.ndarray, int]:
    """From OpenCV's picture to uint8 RGB of the wanted shape, and of how many bits its range was taken to be."""
    bits, picture = 8, raw.picture
    if picture.dtype == np.uint16:
        bits = _range(picture, data)
        picture = np.right_shift(picture, bits - 8).astype(np.uint8)
    wanted = target(raw.whole())
    picture = reduction.finished(picture, raw.plan, wanted) if raw.plan else resize(picture, *wanted)
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
