"""What a photo's file says before its pixels: no more of it is read than that takes."""

import struct
from typing import BinaryIO, NamedTuple, Optional

from stages import files, jpeg_scans, picture_header, pixels, tiff_header
from stages.data.annotation.boxes import WholeSize, upright_size
from stages.data.photo import exif

HEAD_BYTES = 1 << 14  # what most photos have before their pixels, read at once
MOST_BYTES = pixels.SPARE_BYTES
PNG_START, PNG_CHUNK, PNG_CHECKSUM = 8, struct.Struct(">I4s"), 4  # PNG specification, 5.2 and 5.3
PNG_PIXELS = (b"IDAT", b"fdAT")


class PhotoHead(NamedTuple):
    """(width, height) as stored, and the EXIF orientation."""

    stored: WholeSize
    orientation: int

    @property
    def upright(self) -> WholeSize:
        """(width, height) once it is upright, as labelling tools show it."""
        return upright_size(self.stored, self.orientation)


def read(path: str, max_megapixels: int) -> PhotoHead:
    """The head of the photo at ``path``.

    Raises:
        OSError: it cannot be read.
        pixels.TooLarge, pixels.UnreadFormat, ValueError: as ``pixels.checked_size``.
    """
    with files.opened(path) as stream:
        size = pixels.checked_size(stream, max_megapixels)
        stream.seek(0)
        return PhotoHead(size, _orientation(stream))


def found(path: str) -> Optional[PhotoHead]:
    """The head of the photo at ``path``, of any size that is read at all; None where there is none."""
    try:
        return read(path, pixels.ANY_SIZE)
    except (OSError, ValueError):
        return None


def _orientation(stream: BinaryIO) -> int:
    """As ``exif.orientation`` says it of the whole file."""
    head = stream.read(HEAD_BYTES)
    kind = picture_header.format_of(head)
    if kind == "tiff":
        header = tiff_header.header(stream)
        return header.orientation if header else exif.UPRIGHT
    if kind == "png":
        return exif.orientation(_without_pixels(stream))
    if kind != "jpeg":
        return exif.UPRIGHT
    more = head
    while more and not _reaches_a_scan(head) and len(head) < MOST_BYTES:
        more = stream.read(3 * len(head))
        head += more
    return exif.orientation(head)


def _reaches_a_scan(head: bytes) -> bool:
    return any(segment.code == jpeg_scans.START_OF_SCAN for segment in jpeg_scans.segments(head))


def _without_pixels(stream: BinaryIO) -> bytes:
    """The PNG that ``stream`` is without what its pixels are coded in: EXIF may stand behind them."""
    stream.seek(0)
    parts = [stream.read(PNG_START)]
    for start in iter(lambda: stream.read(PNG_CHUNK.size), b""):
        length, name = PNG_CHUNK.unpack(start.ljust(PNG_CHUNK.size, b"\0"))
        if name == b"IEND" or length > MOST_BYTES:
            break
        if name in PNG_PIXELS:
            stream.seek(length + PNG_CHECKSUM, 1)
        else:
            parts.append(start + stream.read(length + PNG_CHECKSUM))
    return b"".join(parts) + PNG_CHUNK.pack(0, b"IDAT")  # where Pillow stops
