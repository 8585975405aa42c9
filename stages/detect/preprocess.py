"""From a picture to the network's input tensor in two passes: one resize, and a table look-up into the tensor.

A pixel has 256 values, so ``pixel * scale + offset`` is a table of 256 float32; what it holds is computed as the plain
way computes it, so the tensor is equal to the last bit. It is written where it is needed, for instance into page-locked
memory, plane by plane, in whatever order the channels come.
"""

from typing import Optional

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
        self._table = np.arange(256, dtype=np.float32) * np.float32(scale) + np.float32(offset)

    def into(self, tensor: np.ndarray, picture: np.ndarray, bgr: bool = False) -> None:
        """Fill ``tensor``, float32 [3, height, width], from ``picture``, uint8 [H, W, 3] of any size.

        Args:
            bgr: the picture has blue first, as OpenCV's cameras and videos have it.
        """
        small = pixels.resize(picture, self.height, self.width)
        order = (0, 1, 2) if bgr == self._bgr else (2, 1, 0)
        for plane, channel in enumerate(order):
            np.take(self._table, small[:, :, channel], out=tensor[plane], mode="clip")

    def tensor(self, picture: np.ndarray, bgr: bool = False, out: Optional[np.ndarray] = None) -> np.ndarray:
        """The same in a new array, float32 [1, 3, height, width]."""
        made = np.empty((1, 3, self.height, self.width), np.float32) if out is None else out
        self.into(made[0], picture, bgr)
        return made
