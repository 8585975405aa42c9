"""Whether data is missing in a TIFF: OpenCV gives what it has of it, and no word.

Pillow decodes it once more, and says where it is damaged.
"""

import io
import warnings

from PIL import Image

from stages import decoder_words, picture_header


def missing_in_tiff(data: bytes) -> str:
    """What Pillow's decoder says of the damage in a TIFF; empty for a whole one, for one that it cannot read, and for
    every other format."""
    if picture_header.format_of(data) != "tiff":
        return ""
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
