"""TIFFs written by hand, for what Pillow does not write."""

import struct

import numpy as np

SIZES = {3: "H", 4: "I"}
TILE = 32


def tiff(picture, order="<", tiled=False, planar=1, photometric=None, orientation=None, fields=(), rows=None):
    """An uncompressed TIFF of ``picture``, [h, w] or [h, w, channels]: its pixels last, so that a cut loses some.

    ``rows`` a strip; ``fields`` are more, each (tag, type 3 or 4, values), or others than usual.
    """
    height, width = picture.shape[:2]
    pixels = picture.reshape(height, width, -1).astype(picture.dtype.newbyteorder(order))
    channels = pixels.shape[2]
    if tiled:
        parts = [_tile(pixels, y, x) for y in range(0, height, TILE) for x in range(0, width, TILE)]
    elif planar == 2:
        parts = [np.ascontiguousarray(pixels[..., one]).tobytes() for one in range(channels)]
    else:
        rows = rows or height
        parts = [pixels[start : start + rows].tobytes() for start in range(0, height, rows)]
    kind = 2 if channels >= 3 else 1
    entries = {256: (4, [width]), 257: (4, [height]), 258: (3, [8 * picture.itemsize] * channels), 259: (3, [1])}
    entries.update({262: (3, [kind if photometric is None else photometric]), 277: (3, [channels]), 284: (3, [planar])})
    if channels == 4 and photometric is None:
        entries[338] = (3, [2])
    if orientation:
        entries[274] = (3, [orientation])
    sizes = [len(part) for part in parts]
    entries.update({322: (4, [TILE]), 323: (4, [TILE]), 325: (4, sizes)} if tiled else {278: (4, [rows or height])})
    entries[325 if tiled else 279] = (4, sizes)
    entries[324 if tiled else 273] = (4, sizes)  # a place holder of the right length
    entries.update({tag: (type_, values) for tag, type_, values in fields})
    first = 8 + len(_directory(entries, order))
    entries[324 if tiled else 273] = (4, [first + sum(sizes[:number]) for number in range(len(sizes))])
    return _beginning(order) + _directory(entries, order) + b"".join(parts)


def _beginning(order):
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)


def _tile(pixels, y, x):
    tile = np.zeros((TILE, TILE, pixels.shape[2]), pixels.dtype)
    part = pixels[y : y + TILE, x : x + TILE]
    tile[: part.shape[0], : part.shape[1]] = part
    return tile.tobytes()


def _directory(entries, order):
    """The directory at byte 8, and after it the values that do not fit in it."""
    place = 8 + 2 + 12 * len(entries) + 4
    packed, more = struct.pack(order + "H", len(entries)), b""
    for tag in sorted(entries):
        kind, values = entries[tag]
        data = struct.pack("%s%d%s" % (order, len(values), SIZES[kind]), *values)
        if len(data) > 4:
            data, more = struct.pack(order + "I", place + len(more)), more + data
        packed += struct.pack(order + "HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    return packed + b"\0\0\0\0" + more
