"""What the first bytes of a photo tell: its size, and which way up it is."""

import io
from typing import NamedTuple, Optional

from stages import files, picture_header, pixels
from stages.data.annotation.boxes import WholeSize, upright_size
from stages.data.photo import exif

HEAD_BYTES = 1 << 18  # more than nearly all have before their pixels


class PhotoHeader(NamedTuple):
    """(width, height) as stored, and the EXIF orientation."""

    stored: WholeSize
    orientation: int

    @property
    def upright(self) -> WholeSize:
        """(width, height) once it is upright, as labelling tools show it."""
        return upright_size(self.stored, self.orientation)


def header_of(path: str) -> Optional[PhotoHeader]:
    """The header of the photo at ``path``; None if it cannot be read, or tells no size."""
    try:
        with files.opened(path) as stream:
            stored = picture_header.size(stream)
            stream.seek(0)
            head = stream.read(HEAD_BYTES)
            if picture_header.size(io.BytesIO(head)) is None:  # behind large profiles, or at the end, as in TIFF
                head += stream.read(pixels.SPARE_BYTES)
    except OSError:
        return None
    return PhotoHeader(stored, exif.orientation(head)) if stored and min(stored) > 0 else None
