"""Whether data is missing in a TIFF: OpenCV gives what it has of it, and no word.

Deflated strips end in a checksum that libtiff does not look at; the others Pillow decodes, which says where it fails.
"""

import io
import warnings
import zlib
from typing import List, Tuple

from PIL import Image

from stages import decoder_words, picture_header, tiff_header

DEFLATE = (8, 32946)  # of TIFF's field Compression: Adobe's number and the one before

CHUNK, MOST_INFLATED = 1 << 20, 1 << 30


def missing_in_tiff(data: bytes) -> str:
    """What is said of the damage in a TIFF; empty for a whole one, for one that Pillow cannot read, and for every other
    format."""
    if picture_header.format_of(data) != "tiff":
        return ""
    header = tiff_header.header(io.BytesIO(data))
    if header and header.compression in DEFLATE:
        return _inflated(data, header.strips)
    return _said_by_pillow(data)


def _inflated(data: bytes, strips: List[Tuple[int, int]]) -> str:
    try:
        for start, end in strips:
            _inflate(data[start:end], MOST_INFLATED)
    except zlib.error as error:
        return str(error)
    return ""


def _inflate(strip: bytes, most: int) -> None:
    """Inflate and forget at most ``most`` bytes.

    Raises:
        zlib.error: the strip is damaged, or ends too early.
    """
    inflater = zlib.decompressobj()
    while most > 0 and not inflater.eof:
        part = inflater.decompress(strip, CHUNK)
        strip, most = inflater.unconsumed_tail, most - len(part)
        if not part and not strip and not inflater.eof:
            raise zlib.error("the strip ends before its data does")


def _said_by_pillow(data: bytes) -> str:
    said = ""
    with decoder_words.captured() as words, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of many pixels: who may have how many was asked before
        try:
            picture = Image.open(io.BytesIO(data), formats=("TIFF",))
        except Exception:  # Pillow does not know all that OpenCV reads
            return ""
        try:
            picture.load()
        except OSError as error:
            said = str(error)
        except Exception:  # as above
            pass
    return next(iter(words.lines), said) if said else ""
