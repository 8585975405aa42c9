"""The EXIF orientation of a picture."""

import io

from PIL import Image

ORIENTATION = 0x0112  # EXIF 2.32
UPRIGHT = 1


def orientation(data: bytes) -> int:
    """1 to 8 as EXIF says it, 1 where it says nothing that ``pixels.decode`` would heed."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            value = picture.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # Pillow raises a dozen kinds on damaged headers; the decoder is the judge of the picture
        return UPRIGHT
    return value if value in range(1, 9) else UPRIGHT
