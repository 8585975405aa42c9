"""A JPEG's segments and scans (ITU-T T.81, annex B), as far as it takes to see whether its picture is all there.

Standard library only, Python 3.6 to current.
"""

import re
import struct
from typing import Iterator, NamedTuple

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN, END_OF_IMAGE, APP1 = 0xDA, 0xD9, 0xE1
EXIF_TIFF = 10  # where in the segment the TIFF is that EXIF is: behind marker, length and "Exif" (EXIF 2.32, 4.7.2)
ORIENTATION, UPRIGHT = 0x0112, 1
SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC9))
ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length
# Tables, frames and restart intervals; not APPn and COM, of whose contents no pixel is made.
KEPT = frozenset(range(0xC0, 0xD0)) | {0xDB, 0xDD}
# Within a scan, 0xFF is followed by 0 or is a restart marker.
END_OF_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
MARKER = re.compile(rb"\xff([\x01-\xfe])")


class Segment(NamedTuple):
    """A segment from its marker ``code`` on, of a scan with what is coded in it: bytes ``start`` to ``end``."""

    code: int
    start: int
    end: int


def heads(data: bytes) -> Iterator[Segment]:
    """The segments before the first scan, in order."""
    place = len(SOI)
    while True:
        found = MARKER.search(data, place)
        if not found or found.group(1)[0] in (START_OF_SCAN, END_OF_IMAGE):
            return
        code, place = found.group(1)[0], found.end()
        if code not in ALONE:
            end = place + int.from_bytes(data[place : place + 2], "big")
            yield Segment(code, found.start(), end)
            place = max(place, end)


def orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, as OpenCV heeds it: of the first segment APP1, which must be EXIF; else 1."""
    first = next((one for one in heads(data) if one.code == APP1), None)
    tiff = data[first.start + EXIF_TIFF : first.end] if first else b""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    try:
        told = _field(tiff, order, ORIENTATION) if order else UPRIGHT
    except struct.error:  # cut off
        return UPRIGHT
    return told if told in range(1, 9) else UPRIGHT


def _field(tiff: bytes, order: str, tag: int) -> int:
    """The first two bytes of a field's value (TIFF 6.0, section 2), whatever its type, as OpenCV reads them; else 0.

    Raises:
        struct.error: the directory ends before that field.
    """
    place = struct.unpack_from(order + "I", tiff, 4)[0]
    count = struct.unpack_from(order + "H", tiff, place)[0]
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", tiff, entry)[0] == tag:
            value: int = struct.unpack_from(order + "H", tiff, entry + 8)[0]
            return value
    return 0


def segments(data: bytes) -> Iterator[Segment]:
    """The segments in order, found as libjpeg finds them: what stands between two is passed over."""
    place = len(SOI)
    while True:
        found = MARKER.search(data, place)
        if not found:
            return
        code, start = found.group(1)[0], found.start()
        place = found.end()
        if code == END_OF_IMAGE:
            yield Segment(code, start, place)
            return
        if code in ALONE:
            continue
        end = place + int.from_bytes(data[place : place + 2], "big")
        if code == START_OF_SCAN:
            after = END_OF_SCAN.search(data, end)
            end = after.start() if after else len(data)
        yield Segment(code, start, end)
        place = max(place, end)


def is_cut_off(data: bytes) -> bool:
    """Whether a scan starts but the end-of-image marker is missing: OpenCV 4.5 would give a half-grey picture.

    Segments are skipped by their length, because a thumbnail in one holds markers of its own.
    """
    place = len(SOI)
    while place + 4 <= len(data) and data[place] == 0xFF:
        code, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if code == START_OF_SCAN:
            return data.rfind(EOI, place) < 0  # it is near the end where it is at all
        place += 1 if code == 0xFF else 2 + length
    return False


def bare(data: bytes) -> bytes:
    """The JPEG with nothing in it but what its pixels are made of, in order.

    What libjpeg says of it is about its pixels, whereas of a whole file it says the first thing only, which may be
    harmless: bytes between segments, an unknown version of JFIF, the parameters of a sequential scan.
    """
    parts, sequential = [SOI], False
    for code, start, end in segments(data):
        part = data[start:end]
        sequential = sequential or code in SEQUENTIAL
        if code == START_OF_SCAN and sequential:
            head = 2 + int.from_bytes(part[2:4], "big")
            part = part[: head - 3] + b"\0\x3f\0" + part[head:]  # T.81, B.2.3: Ss 0, Se 63, Ah and Al 0
        if code == START_OF_SCAN or code in KEPT:
            parts.append(part)
    return b"".join(parts) + EOI
