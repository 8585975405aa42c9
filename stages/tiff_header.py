"""What a TIFF's header says: the size of its first page, how its pixels are stored, and how many pages there are.

Sections 2 (structure), 8 (baseline fields) and 15 (tiles) of TIFF 6.0 (Adobe, 1992). Nothing is read but the fields of
each page, and the few of their values that are asked for. Standard library only, Python 3.6 to current.
"""

import struct
from typing import BinaryIO, Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
NEW_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, STRIP_BYTES, PLANAR, TILES, TILE_BYTES = 273, 274, 277, 279, 284, 324, 325
SAMPLE_FORMAT, DNG_VERSION = 339, 50706
ASKED = frozenset(
    (NEW_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION, SAMPLES, STRIP_BYTES, PLANAR)
    + (TILES, TILE_BYTES, SAMPLE_FORMAT, DNG_VERSION)
)
TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG: what numbers of these fields may be
LISTS = frozenset((STRIPS, STRIP_BYTES, TILES, TILE_BYTES))
MOST_LISTED, MOST_VALUES, MOST_FIELDS, MOST_PAGES = 1 << 20, 16, 4096, 1000
REDUCED = 1  # a bit of NewSubfileType: a smaller version of another page
RGB, UNSIGNED, SEPARATE_PLANES, UPRIGHT = 2, 1, 2, 1
# What libtiff takes as OpenCV's wheels and JetPack's packages have it: none, CCITT (3), LZW, JPEG, deflate, PackBits.
COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946))
# White is 0, black is 0, RGB, palette, CMYK, YCbCr.
PHOTOMETRICS = frozenset((0, 1, 2, 3, 5, 6))

Fields = Dict[int, List[int]]


class TiffHeader(NamedTuple):
    """What stands there of the first page.

    Attributes:
        size: (width, height) as stored.
        bits: a channel.
        orientation: 1 to 8, as EXIF has them.
        pages: how many there are, without smaller versions of others.
        unread: why its pixels are not read, empty where they are.
        compression: by what method, as the field of that name has it.
        strips: where in the file the strips or tiles of its pixels start and end.
    """

    size: Tuple[int, int]
    bits: int
    orientation: int
    pages: int
    unread: str
    compression: int
    strips: List[Tuple[int, int]]


def header(stream: BinaryIO) -> Optional[TiffHeader]:
    """The header of the TIFF that ``stream`` is, from its start; None where there is none."""
    stream.seek(0)
    order = BYTE_ORDERS.get(stream.read(4))
    if order is None:
        return None
    try:
        place = struct.unpack(order + "I", stream.read(4))[0]
        first, following = _page(stream, place, order, LISTS)
        width, height = first[WIDTH][0], first[HEIGHT][0]
    except (struct.error, KeyError, IndexError):  # cut off, or not a picture's fields
        return None
    bits, orientation = max(first.get(BITS) or [1]), (first.get(ORIENTATION) or [UPRIGHT])[0]
    return TiffHeader(
        (width, height),
        bits,
        orientation if orientation in range(1, 9) else UPRIGHT,
        1 + _more_pages(stream, {place}, following, order),
        _unread(first, bits),
        (first.get(COMPRESSION) or [1])[0],
        _strips(first),
    )


def _page(stream: BinaryIO, place: int, order: str, lists: FrozenSet[int] = frozenset()) -> Tuple[Fields, int]:
    """The fields of the page whose directory is at ``place``, and where the next page's is, 0 after the last.

    ``lists`` are the fields that may have a value for each strip or tile.

    Raises:
        struct.error: the file ends before the directory, or there is none.
    """
    stream.seek(place)
    count = struct.unpack(order + "H", stream.read(2))[0]
    if count > MOST_FIELDS:
        raise struct.error("no directory has so many fields")
    directory = stream.read(12 * count + 4)
    following = struct.unpack(order + "I", directory[12 * count :] or b"\0\0\0\0")[0]
    fields: Fields = {}
    for entry in struct.iter_unpack(order + "HHI4s", directory[: 12 * count]):
        most = MOST_LISTED if entry[0] in lists else MOST_VALUES
        if entry[0] in ASKED and entry[0] not in fields and entry[1] in TYPES and 0 < entry[2] <= most:
            fields[entry[0]] = _values(stream, entry, order)
    return fields, following


def _values(stream: BinaryIO, entry: Tuple[int, int, int, bytes], order: str) -> List[int]:
    _, kind, count, data = entry
    layout = struct.Struct("%s%d%s" % (order, count, TYPES[kind]))
    if layout.size > len(data):
        stream.seek(struct.unpack(order + "I", data)[0])
        data = stream.read(layout.size)
    return list(layout.unpack(data[: layout.size]))


def _more_pages(stream: BinaryIO, seen: Set[int], place: int, order: str) -> int:
    """How many pages of full size follow; a chain that leads in circles or out of the file ends there."""
    found = 0
    while place and place not in seen and len(seen) < MOST_PAGES:
        seen.add(place)
        try:
            fields, place = _page(stream, place, order)
        except struct.error:
            break
        found += WIDTH in fields and not _is_reduced(fields)
    return found


def _is_reduced(fields: Fields) -> bool:
    return bool((fields.get(NEW_SUBFILE) or [0])[0] & REDUCED)


def _strips(fields: Fields) -> List[Tuple[int, int]]:
    starts = fields.get(STRIPS) or fields.get(TILES) or []
    sizes = fields.get(STRIP_BYTES) or fields.get(TILE_BYTES) or []
    return [(start, start + size) for start, size in zip(starts, sizes)]


def _unread(fields: Fields, bits: int) -> str:
    """Why the page is not read; empty if all of OpenCV's versions since 3.4 read it, and alike."""
    compression, photometric = (fields.get(COMPRESSION) or [1])[0], (fields.get(PHOTOMETRIC) or [RGB])[0]
    if DNG_VERSION in fields or _is_reduced(fields):
        return "a camera's raw file, whose first picture is a thumbnail"
    if set(fields.get(SAMPLE_FORMAT) or [UNSIGNED]) != {UNSIGNED}:
        return "a TIFF with signed or floating-point numbers"
    if bits not in (1, 2, 4, 8, 16):
        return "a TIFF of %d bits a channel" % bits
    if compression not in COMPRESSIONS:
        return "a TIFF compressed by method %d" % compression
    if photometric not in PHOTOMETRICS:
        return "a TIFF in colours of kind %d" % photometric
    if bits == 16 and ((fields.get(PLANAR) or [1])[0] == SEPARATE_PLANES or photometric not in (1, RGB)):
        return "a TIFF of 16 bits a channel with its colours stored apart, or neither grey nor RGB"
    return ""
