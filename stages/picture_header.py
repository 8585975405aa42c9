"""Width and height of a picture from the first bytes of its file, before anything is decoded.

What a file of a few kilobytes unpacks to stands in its header only: 25000 x 25000 pixels are 2 GB of memory.
Standard library only, Python 3.6 to current.
"""

import io
import struct
from typing import BinaryIO, Iterator, Optional, Tuple

from stages import tiff_header
from stages.jpeg_scans import ALONE, END_OF_IMAGE, START_OF_SCAN

SIGNATURES = (
    ("jpeg", b"\xff\xd8\xff"),
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("bmp", b"BM"),
    ("tiff", b"II*\0"),
    ("tiff", b"MM\0*"),
)
HEAD = 32  # bytes that tell the format, and all but JPEG's and TIFF's size
# ITU-T T.81, table B.1: the frame headers are SOF0 to SOF15 but for DHT, JPG and DAC.
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def format_of(data: bytes) -> Optional[str]:
    """``jpeg``, ``png``, ``bmp``, ``webp`` or ``tiff`` by the first bytes, whatever the file's name says; else None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((name for name, start in SIGNATURES if data.startswith(start)), None)


def size(stream: BinaryIO) -> Optional[Tuple[int, int]]:
    """(width, height) as stored, of the picture that ``stream`` begins with; None where its header does not tell."""
    head = stream.read(HEAD)
    kind = format_of(head)
    try:
        if kind == "jpeg":
            return _jpeg(stream)
        if kind == "tiff":
            found = tiff_header.header(stream)
            return found and found.size
        return {"png": _png, "bmp": _bmp, "webp": _webp}[kind](head) if kind else None
    except (struct.error, IndexError):  # cut off
        return None


def bits(data: bytes) -> int:
    """How many bits a channel of the picture in ``data`` has as stored: 8 where only PNG and TIFF may have others."""
    kind = format_of(data)
    if kind == "png":
        return data[24] if len(data) > 24 else 8
    found = tiff_header.header(io.BytesIO(data)) if kind == "tiff" else None
    return found.bits if found else 8


def pictures(data: bytes) -> int:
    """How many pictures ``data`` holds: pages of a TIFF, frames of an animated PNG; else 1."""
    kind = format_of(data)
    if kind == "png":
        frames = next((content[:4] for name, content in _chunks_before_pixels(data) if name == b"acTL"), b"\0\0\0\1")
        return max(1, int.from_bytes(frames, "big"))
    found = tiff_header.header(io.BytesIO(data)) if kind == "tiff" else None
    return found.pages if found else 1


def significant_bits(data: bytes) -> Optional[int]:
    """The most bits of a channel that the chunk sBIT of the PNG in ``data`` calls significant, None without one."""
    found = next((content for name, content in _chunks_before_pixels(data) if name == b"sBIT"), b"")
    return max(found) if found else None


def chunks(data: bytes) -> Iterator[Tuple[bytes, int, bytes]]:
    """Of each chunk of a PNG its name, the length that it says, and how its content begins (specification, 5.3)."""
    place = 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], length, data[place + 8 : place + 8 + min(length, HEAD)]
        place += 12 + length


def _chunks_before_pixels(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    for name, _, content in chunks(data):
        if name == b"IDAT":
            return
        yield name, content


def _jpeg(stream: BinaryIO) -> Optional[Tuple[int, int]]:
    """From the first frame header, found as libjpeg finds it: what stands between two segments is passed over."""
    stream.seek(2)
    while True:
        marker = _next_marker(stream)
        if marker is None or marker in (START_OF_SCAN, END_OF_IMAGE):
            return None
        if marker in ALONE:
            continue
        length = struct.unpack(">H", stream.read(2))[0]
        if marker in FRAME_HEADERS:
            height, width = struct.unpack(">xHH", stream.read(5))
            return width, height
        stream.seek(max(0, length - 2), 1)


def _next_marker(stream: BinaryIO) -> Optional[int]:
    byte = stream.read(1)
    while byte:
        if byte == b"\xff":
            while byte == b"\xff":
                byte = stream.read(1)
            if byte and byte != b"\0":
                return byte[0]
        byte = stream.read(1)
    return None


def _png(head: bytes) -> Optional[Tuple[int, int]]:
    if head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _bmp(head: bytes) -> Tuple[int, int]:
    if struct.unpack("<I", head[14:18])[0] == 12:  # OS/2's header
        width, height = struct.unpack("<HH", head[18:22])
    else:
        width, height = struct.unpack("<ii", head[18:26])
    return abs(width), abs(height)  # a negative height: rows from the top


def _webp(head: bytes) -> Optional[Tuple[int, int]]:
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack("<I", head[21:25])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
