"""Boxes under EXIF orientation, scaling and clipping.

A box is (xmin, ymin, xmax, ymax) in pixels, edges and not pixel numbers: the whole picture is (0, 0, width, height). So
``object_detection``'s ``create_pascal_tf_record`` takes VOC's numbers, too.
"""

from typing import Tuple, TypeVar

Box = Tuple[float, float, float, float]
Size = Tuple[float, float]
WholeSize = Tuple[int, int]
SLIP = 0.02  # by how much shares of a picture reach outside of it
Side = TypeVar("Side", int, float)

# EXIF 2.32, tag 0x0112: what must be done to the stored pixels to see them upright, as (transpose first, then mirror
# left-right, mirror top-bottom).
ORIENTATIONS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def upright_size(size: Tuple[Side, Side], orientation: int) -> Tuple[Side, Side]:
    """Width and height of a picture of stored ``size`` (width, height) once it is upright."""
    return (size[1], size[0]) if ORIENTATIONS[orientation][0] else size


def upright(box: Box, size: Size, orientation: int) -> Box:
    """``box`` on a stored picture of ``size`` (width, height) as it lies on the upright picture.

    A box whose minimum exceeds its maximum stays such a box.
    """
    transpose, across, down = ORIENTATIONS[orientation]
    width, height = upright_size(size, orientation)
    xmin, ymin, xmax, ymax = (box[1], box[0], box[3], box[2]) if transpose else box
    if across:
        xmin, xmax = width - xmax, width - xmin
    if down:
        ymin, ymax = height - ymax, height - ymin
    return xmin, ymin, xmax, ymax


def scaled(box: Box, old: Size, new: Size) -> Box:
    """``box`` on a picture of size ``old`` (width, height) as it lies on the picture stretched to ``new``."""
    (old_width, old_height), (width, height) = old, new
    return (
        box[0] * width / old_width,
        box[1] * height / old_height,
        box[2] * width / old_width,
        box[3] * height / old_height,
    )


def clipped(box: Box, size: Size) -> Box:
    """The part of ``box`` inside a picture of ``size`` (width, height); without area if there is none."""
    (xmin, xmax), (ymin, ymax) = (
        [min(max(edge, 0.0), limit) for edge in pair] for pair, limit in zip(((box[0], box[2]), (box[1], box[3])), size)
    )
    return xmin, ymin, xmax, ymax


def ordered(box: Box) -> Box:
    """``box`` with each minimum at most its maximum."""
    return min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])


def is_shares(box: Box) -> bool:
    """Whether all numbers of a box are within 0 to 1, but for what rounding adds: it is none in pixels, if it has an
    area, as none is within the first of them."""
    return min(box) >= -SLIP and max(box) <= 1 + SLIP


def area(box: Box) -> float:
    """Square pixels; 0 or less for a box without inside."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
