"""From a picture to the network's input tensor: one resize, then planes, then two passes over the tensor in place.

The tensor is written where it is needed, for instance into page-locked memory, in whatever order the channels come. Its
values are those of the plain way, ``small.astype(float32) * scale + offset``, to the last bit.
"""

from typing import Optional

import cv2
import numpy as np

from stages import pixels


class Preprocess:
    """Fills input tensors.

    Args:
        height, width: of the network's input.
        scale, offset: of ``pixel * scale + offset``, float32.
        bgr: the network takes blue first.
    """

    def __init__(self, height: int, width: int, scale: float, offset: float, bgr: bool) -> None:
        self.height, self.width, self._bgr = height, width, bgr
        self._scale, self._offset = np.float32(scale), np.float32(offset)
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]

    def fill(self, picture: np.ndarray, tensor: np.ndarray, bgr: bool = False) -> None:
        """Fill ``tensor``, float32 [3, height, width], from ``picture``, uint8 [H, W, 3] of any size.

        Args:
            bgr: the picture has blue first, as OpenCV's cameras and videos have it.
        """
        small = pixels.resize(picture, self.height, self.width)
        cv2.split(small, self._planes)
        for place, channel in enumerate((0, 1, 2) if bgr == self._bgr else (2, 1, 0)):
            tensor[place] = self._planes[channel]
        np.multiply(tensor, self._scale, out=tensor)
        np.add(tensor, self._offset, out=tensor)

    def tensor(self, picture: np.ndarray, bgr: bool = False, out: Optional[np.ndarray] = None) -> np.ndarray:
        """The same in a new array, float32 [1, 3, height, width]."""
        made = np.empty((1, 3, self.height, self.width), np.float32) if out is None else out
        self.fill(picture, made[0], bgr)
        return made
