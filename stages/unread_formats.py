"""What a file is that is not read as a picture, by its first bytes; its name may say anything.

Standard library only, Python 3.6 to current.
"""

import re
from typing import Optional

HEAD = 512  # bytes that are enough to tell
# Of pictures in formats that are not read: how the file begins. Of ISO's boxes (ISO/IEC 14496-12), the brand follows.
BEGINNINGS = (
    (b"GIF8", "a GIF"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"II+\0", "a BigTIFF"),
    (b"MM\0+", "a BigTIFF"),
    (b"II\x2a\0\x10\0\0\0CR", "a Canon raw file"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
)
BRANDS = (
    (b"avif avis", "an AVIF picture"),
    (b"heic heix heim heis hevc hevx mif1 msf1", "a HEIC picture"),
    (b"crx ", "a Canon raw file"),
)
FILM = "a video, or a picture that is stored like one"
WEBP_ANIMATION = 0x02  # of the flags of VP8X (WebP container specification)
# What stands in the place of a picture and is none.
STRANGERS = (
    (re.compile(rb"\Z"), "empty"),
    (re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE), "a web page, as a download that failed leaves it"),
    (re.compile(rb"\s*<"), "an XML file"),
    (re.compile(rb"PK\x03\x04"), "an archive (.zip) or a document"),
    (re.compile(rb"\x1f\x8b|7z\xbc\xaf|Rar!"), "an archive"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
)
NOT_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b") | {0x7F, 0xFF}


def unread_format(head: bytes) -> Optional[str]:
    """Such as ``a GIF``: the picture format that a file of these first bytes has and that is not read; else None."""
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return "an animated WebP" if head[20:21] and head[20] & WEBP_ANIMATION else None
    if head[4:8] == b"ftyp":
        return next((words for brands, words in BRANDS if head[8:12] in brands), FILM)
    if re.match(rb"\s*(<\?xml.*?)?<svg", head, re.DOTALL):
        return "an SVG drawing"
    return next((words for beginning, words in BEGINNINGS if head.startswith(beginning)), None)


def stranger(head: bytes) -> Optional[str]:
    """What a file of these first bytes is instead of a picture, where that is known."""
    return next((words for pattern, words in STRANGERS if pattern.match(head)), None) or (
        None if set(head) & NOT_IN_TEXT else "a text file"
    )
