"""The EXIF orientation of a picture, and TIFF's, which is the same."""

import io

from PIL import Image

from stages import jpeg_scans, picture_header, tiff_header

ORIENTATION = 0x0112  # EXIF 2.32
UPRIGHT = 1


def orientation(data: bytes) -> int:
    """1 to 8 as EXIF says it, 1 where it says nothing that ``pixels.decode`` would heed."""
    kind = picture_header.format_of(data)
    if kind == "jpeg":
        return jpeg_scans.orientation(data)
    if kind == "tiff":
        found = tiff_header.header(io.BytesIO(data))
        return found.orientation if found else UPRIGHT
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            value = picture.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # Pillow raises a dozen kinds on damaged headers; the decoder is the judge of the picture
        return UPRIGHT
    return value if value in range(1, 9) else UPRIGHT
