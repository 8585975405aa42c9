"""Decoding a JPEG at a part of its size: of an 8x8 block only the lowest frequencies are turned into pixels.

libjpeg's inverse cosine transforms of 4x4, 2x2 and 1x1 pixels do so (``scale_num`` and ``scale_denom`` in its
libjpeg.txt), in half the time of a whole one, and without aliasing, for what they leave out is what aliases. Colours
that are stored at half the size come at the whole smaller size; those of 4:2:2, of half the width, stay at half of it.
A picture of odd size becomes ceil(size / scale) pixels, of which the last lies partly outside of the picture.
Needs OpenCV and numpy, Python 3.6 to current.
"""

from typing import Callable, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from stages import jpeg_scans

SCALES = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
TURNED = (5, 6, 7, 8)  # EXIF orientations of pictures that are stored on their side
UPRIGHT = 1
NEAR = 1.5


class Reduction(NamedTuple):
    """How to decode a picture to 1/``scale``: OpenCV's ``flags``, the (height, width) it gets, and ``whole``'s."""

    scale: int
    flags: int
    shape: Tuple[int, int]
    whole: Tuple[int, int]


def planned(
    data: bytes, size: Tuple[int, int], target: Callable[[Tuple[int, int]], Tuple[int, int]]
) -> Optional[Reduction]:
    """The smallest way to decode a JPEG that is not smaller than ``target`` on either side; None: only as it is.

    Args:
        size: (width, height) as stored.
        target: from the (height, width) of the whole upright picture to that of the one that is wanted.
    """
    orientation = jpeg_scans.orientation(data)
    whole = size if orientation in TURNED else (size[1], size[0])
    wanted = target(whole)
    for scale, flags in SCALES:
        shape = -(-whole[0] // scale), -(-whole[1] // scale)
        large_enough = whole[0] >= scale * wanted[0] and whole[1] >= scale * wanted[1]
        # The last row and column lie partly outside; turned, they may be the first, which nobody can see.
        fits = orientation == UPRIGHT or (whole[0] % scale == 0 and whole[1] % scale == 0)
        told_apart = (shape[0] == shape[1]) == (whole[0] == whole[1])  # standing from lying
        if large_enough and fits and told_apart:
            return Reduction(scale, flags, shape, whole)
    return None


def finished(picture: np.ndarray, plan: Reduction, wanted: Tuple[int, int]) -> np.ndarray:
    """A picture that was decoded by ``plan``, uint8 [h, w, 3], as [*wanted, 3].

    Area averaging; bilinear where neither side has more than ``NEAR`` times what is wanted, which reads all pixels then
    and takes a third of the time. The picture's pixels are taken for the parts of the whole one that they are, so that
    nothing moves: where 1001 columns became 501, the picture is 500.5 of them wide.
    """
    if picture.shape[:2] == wanted:
        return picture
    near = all(side <= NEAR * plan.scale * part for part, side in zip(wanted, plan.whole))
    down, across = (plan.scale * part / side for part, side in zip(wanted, plan.whole))
    # OpenCV rounds the shape to the nearest, which is never less than what is wanted.
    small = cv2.resize(picture, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)
    return small[: wanted[0], : wanted[1]]
