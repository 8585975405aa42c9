"""From a picture to the network's input tensor: one resize, planes, and two passes of arithmetic into each of them.

The tensor is written where it is needed, for instance into page-locked memory, in whatever order the channels come. Its
values are those of the plain way, ``small.astype(float32) * scale + offset``, to the last bit.
"""

from typing import Dict, Optional, Tuple

import cv2
import numpy as np

from stages import pixels

# A side so many times too long is halved first: bilinear sampling reads two pixels of a line, and would miss the rest.
HALVED_FROM = 2.4

Held = Dict[Tuple[int, int], np.ndarray]


class Preprocess:
    """Fills input tensors, one at a time.

    Args:
        height, width: of the network's input.
        scale, offset: of ``pixel * scale + offset``, float32.
        bgr: the network takes blue first.
    """

    def __init__(self, height: int, width: int, scale: float, offset: float, bgr: bool) -> None:
        self.height, self.width, self._bgr = height, width, bgr
        self._scale, self._offset = np.float32(scale), np.float32(offset)
        self._small = np.empty((height, width, 3), np.uint8)
        self._held: Held = {}
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]

    def fill(self, picture: np.ndarray, tensor: np.ndarray, bgr: bool = False, quick: bool = False) -> None:
        """Fill ``tensor``, float32 [3, height, width], from ``picture``, uint8 [H, W, 3] of any size.

        Args:
            bgr: the picture has blue first, as OpenCV's cameras and videos have it.
            quick: shrink by :func:`quickly_resized`, not by the area averaging that made the training's pictures.
        """
        if quick:
            small = quickly_resized(picture, self.height, self.width, self._held)
        else:
            small = pixels.resize(picture, self.height, self.width, self._small)
        planes = cv2.split(small, self._planes)
        for plane, part in zip(planes if bgr == self._bgr else planes[::-1], tensor):
            np.multiply(plane, self._scale, out=part, dtype=np.float32)
            np.add(part, self._offset, out=part)  # while it is in the processor's cache


def quickly_resized(picture: np.ndarray, height: int, width: int, held: Optional[Held] = None) -> np.ndarray:
    """``picture`` (uint8 [H, W, 3]) as [height, width, 3]: halved while that is far too large, then bilinear.

    A frame of 1280x720 becomes 300x300 in a fraction of the time that area averaging takes; what that does to
    detections is told in docs/stages/detect.md.

    Args:
        held: arrays from earlier calls, to be used again: the result is one of them.
    """
    held = {} if held is None else held
    while True:
        rows, columns = (
            side // 2 if side >= HALVED_FROM * wanted else wanted
            for side, wanted in zip(picture.shape[:2], (height, width))
        )
        if (rows, columns) not in held:
            held[rows, columns] = np.empty((rows, columns, 3), np.uint8)
        picture = cv2.resize(picture, (columns, rows), dst=held[rows, columns], interpolation=cv2.INTER_LINEAR)
        if (rows, columns) == (height, width):
            return picture
