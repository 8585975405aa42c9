"""Boxes on pictures, the same look in every stage: previews, detections, the report.

Needs OpenCV and numpy, Python 3.6 to current.
"""

import os
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

import cv2
import numpy as np

from stages import files, pixels

Color = Tuple[int, int, int]
Rectangle = Tuple[int, int, int, int]

# Okabe and Ito's colours, which stay apart for colour-blind eyes (jfly.uni-koeln.de/color), without black.
PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
GUTTER = 8
LONGEST_NAME = 240  # bytes; file systems have 255


def color_of(class_id: int) -> Color:
    """The colour (RGB) of a class id from 1; after seven classes the colours come again, lighter and then darker."""
    tint, index = divmod(class_id - 1, len(PALETTE))
    target, weight = ((0, 0.0), (255, 0.5), (0, 0.45))[tint % 3]
    red, green, blue = (int(round(channel + (target - channel) * weight)) for channel in PALETTE[index])
    return red, green, blue


def draw(
    picture: np.ndarray,
    detections: Iterable[Dict[str, Any]],
    truth: Optional[Iterable[Dict[str, Any]]] = None,
    threshold: float = 0.0,
    bgr: bool = False,
) -> np.ndarray:
    """A copy of ``picture`` with the detections as labelled boxes and the truth as white dashed boxes.

    Args:
        picture: uint8 RGB, or ``bgr``, [height, width, 3].
        detections: ``{"class", "class_id", "score", "box"}``: name, number from 1, 0 to 1, [xmin, ymin, xmax, ymax] in
            pixels.
        truth: the same; only ``box`` is needed.
        threshold: detections with a lower score are left out.
    """
    canvas = np.array(picture, np.uint8, order="C")
    width = line_width(canvas)
    shown = sorted((d for d in detections if d["score"] >= threshold), key=lambda detection: detection["score"])
    for detection in shown:
        _outline(canvas, _inside(canvas, detection["box"]), _ink(detection, bgr), width)
    for item in truth or ():
        _dashed(canvas, _inside(canvas, item["box"]), width)
    taken: List[Rectangle] = []
    for detection in reversed(shown):
        taken.append(_tab(canvas, detection, taken, _ink(detection, bgr)))
    return canvas


def outlined(picture: np.ndarray, box: Sequence[float], color: int) -> np.ndarray:
    """A copy of ``picture`` (uint8 RGB) with one box [xmin, ymin, xmax, ymax] in pixels, in a class id's colour."""
    canvas = np.array(picture, np.uint8, order="C")
    _outline(canvas, _inside(canvas, box), color_of(color), line_width(canvas))
    return canvas


def free_name(path: str, taken: Set[str]) -> str:
    """``path`` for a drawing, with underscores before its suffix if there is one of that name; notes it in ``taken``.

    Names that are not UTF-8 are made readable, and long ones shorter: a source's name fits its folder without what was
    added to it here.
    """
    folder, name = os.path.split(files.readable(path))
    stem, suffix = os.path.splitext(name)
    if len(name.encode("utf-8")) > LONGEST_NAME:
        stem = stem.encode("utf-8")[: LONGEST_NAME - len(suffix)].decode("utf-8", "ignore")
    path = os.path.join(folder, stem + suffix)
    while path.lower() in taken:  # lower: some file systems take A.jpg for a.jpg
        stem += "_"
        path = os.path.join(folder, stem + suffix)
    taken.add(path.lower())
    return path


def line_width(picture: np.ndarray) -> int:
    """The width in pixels of a box's line: 2 up to 1024x768, 4 at 1920x1080."""
    return max(2, int(round(sum(picture.shape[:2]) / 700.0)))


def contact_sheet(pictures: Sequence[np.ndarray], columns: int, cell_width: int = 480) -> np.ndarray:
    """Pictures (uint8 RGB, any sizes, at least one) fitted into the white cells of a grid, row by row: uint8 RGB.

    A cell is ``cell_width`` pixels wide and has the median of the pictures' proportions.
    """
    proportion = sorted(picture.shape[0] / picture.shape[1] for picture in pictures)[len(pictures) // 2]
    cell_height = max(1, int(round(cell_width * proportion)))
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    shape = (GUTTER + rows * (cell_height + GUTTER), GUTTER + columns * (cell_width + GUTTER), 3)
    sheet = np.full(shape, 255, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = GUTTER + row * (cell_height + GUTTER), GUTTER + column * (cell_width + GUTTER)
        _paste(sheet[top : top + cell_height, left : left + cell_width], picture)
    return sheet


def _paste(cell: np.ndarray, picture: np.ndarray) -> None:
    scale = min(cell.shape[0] / picture.shape[0], cell.shape[1] / picture.shape[1])
    height, width = (max(1, int(round(size * scale))) for size in picture.shape[:2])
    top, left = (cell.shape[0] - height) // 2, (cell.shape[1] - width) // 2
    cell[top : top + height, left : left + width] = pixels.resize(picture, height, width)


def _inside(canvas: np.ndarray, box: Sequence[float]) -> Rectangle:
    """The box in whole pixels, clipped to the canvas."""
    height, width = canvas.shape[:2]
    xmin, ymin, xmax, ymax = (int(round(edge)) for edge in box)
    return (
        min(max(xmin, 0), width - 1),
        min(max(ymin, 0), height - 1),
        min(max(xmax, 0), width - 1),
        min(max(ymax, 0), height - 1),
    )


def _ink(detection: Dict[str, Any], bgr: bool) -> Color:
    red, green, blue = color_of(detection["class_id"])
    return (blue, green, red) if bgr else (red, green, blue)


def _outline(canvas: np.ndarray, box: Rectangle, color: Color, width: int) -> None:
    """A box that shows on any background: a dark rim around the coloured line."""
    cv2.rectangle(canvas, box[:2], box[2:], BLACK, width + 2)
    cv2.rectangle(canvas, box[:2], box[2:], color, width)


def _dashed(canvas: np.ndarray, box: Rectangle, width: int) -> None:
    left, top, right, bottom = box
    dash = 6 * width
    for start in range(left, right + 1, 2 * dash):
        for y in (top, bottom):
            _stroke(canvas, (start, y), (min(start + dash, right), y), width)
    for start in range(top, bottom + 1, 2 * dash):
        for x in (left, right):
            _stroke(canvas, (x, start), (x, min(start + dash, bottom)), width)


def _stroke(canvas: np.ndarray, start: Tuple[int, int], end: Tuple[int, int], width: int) -> None:
    cv2.line(canvas, start, end, BLACK, width + 2)
    cv2.line(canvas, start, end, WHITE, width)


def _tab(canvas: np.ndarray, detection: Dict[str, Any], taken: List[Rectangle], color: Color) -> Rectangle:
    """Write the label on a filled tab beside its box, inside the picture and off the other tabs where possible."""
    name = detection["class"]
    if not all(" " <= letter <= "~" for letter in name):  # OpenCV's fonts hold ASCII only and would write "???"
        name = "#%d" % detection["class_id"]
    text = "%s %.2f" % (name, detection["score"])
    width = line_width(canvas)
    scale, stroke, (text_width, text_height), descent = _fit(canvas, text)
    pad = max(2, text_height // 4)
    size = text_width + 2 * pad, text_height + descent // 2 + 2 * pad
    tab = _place(canvas, _inside(canvas, detection["box"]), size, width, taken)
    cv2.rectangle(canvas, tab[:2], (tab[2] - 1, tab[3] - 1), color, cv2.FILLED)
    ink = BLACK if np.dot(color_of(detection["class_id"]), (0.299, 0.587, 0.114)) > 110 else WHITE
    cv2.putText(canvas, text, (tab[0] + pad, tab[1] + pad + text_height), FONT, scale, ink, stroke, cv2.LINE_AA)
    return tab


def _fit(canvas: np.ndarray, text: str) -> Tuple[float, int, Tuple[int, int], int]:
    """Font scale, stroke, (width, height) and descent of a text that suits the canvas and is no wider than it."""
    height = max(9.0, sum(canvas.shape[:2]) / 100.0)
    stroke = max(1, int(round(height / 14)))
    scale = height / 22.0  # a Hershey capital is 22 units high at scale 1
    widest = cv2.getTextSize(text, FONT, scale, stroke)[0][0] + height
    scale *= min(1.0, canvas.shape[1] / widest)
    size, descent = cv2.getTextSize(text, FONT, scale, stroke)
    return scale, stroke, size, descent


def _place(canvas: np.ndarray, box: Rectangle, size: Tuple[int, int], width: int, taken: List[Rectangle]) -> Rectangle:
    left, top, _, bottom = box
    limit = canvas.shape[0] - size[1]
    left = max(0, min(left - width // 2, canvas.shape[1] - size[0]))
    places = [max(0, min(y, limit)) for y in (top - size[1], bottom, top, bottom - size[1])]
    tabs = [(left, y, min(left + size[0], canvas.shape[1]), min(y + size[1], canvas.shape[0])) for y in places]
    free = [tab for tab in tabs if not any(_overlap(tab, other) for other in taken)]
    return (free or tabs)[0]


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
