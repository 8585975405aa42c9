"""What the renderer draws with: random choices, soft noise, and blending, all with the same bits on every machine.

Pixels come from integers, from numpy's elementwise + - * / and square root, which IEEE 754 rounds correctly everywhere
(not so sums, powers and sines), and from OpenCV's bit-exact 8-bit operations. Scalars are Python's own, because numpy 1
and 2 promote theirs differently.
"""

from typing import Sequence, Tuple, TypeVar

import cv2
import numpy as np

Color = Tuple[int, int, int]
Choice = TypeVar("Choice")


class Rng:
    """Random choices from numpy's frozen legacy generator (NEP 19): one seed, one stream, for ever."""

    def __init__(self, *seed: int) -> None:
        self._generator = np.random.RandomState(list(seed))

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return int(self._generator.randint(low, high + 1, dtype=np.int64))

    def share(self, low: float, high: float) -> float:
        """A number from ``low`` to ``high`` in 1000 equal steps."""
        return low + (high - low) * (self.between(0, 1000) / 1000)

    def chance(self, percent: int) -> bool:
        return self.between(1, 100) <= percent

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[self.between(0, len(choices) - 1)]

    def grains(self, height: int, width: int) -> np.ndarray:
        """White noise: uint8 [height, width], 0 to 255."""
        return self._generator.randint(0, 256, (height, width), dtype=np.uint8)


def cloud(rng: Rng, height: int, width: int, cell: int) -> np.ndarray:
    """Soft noise whose blobs are about ``cell`` pixels wide: float32 [height, width], -1 to 1."""
    grid = rng.grains(height // cell + 3, width // cell + 3)
    field = cv2.resize(
        grid, ((width // cell + 3) * cell, (height // cell + 3) * cell), interpolation=cv2.INTER_LINEAR_EXACT
    )
    return field[cell : cell + height, cell : cell + width].astype(np.float32) / 127.5 - 1


def paint(height: int, width: int, color: Color) -> np.ndarray:
    """A surface of one colour: float32 [height, width, 3], 0 to 255."""
    return np.zeros((height, width, 3), np.float32) + np.array(color, np.float32)


def to_bytes(surface: np.ndarray) -> np.ndarray:
    """A float32 surface rounded into 0 to 255, uint8."""
    return np.floor(np.clip(surface, 0, 255) + 0.5).astype(np.uint8)


def soften(picture: np.ndarray, radius: int) -> np.ndarray:
    """``picture`` (uint8) blurred by a Gaussian whose kernel reaches ``radius`` pixels to each side."""
    if radius == 0:
        return picture
    return cv2.GaussianBlur(picture, (2 * radius + 1, 2 * radius + 1), 0)


def blend(canvas: np.ndarray, patch: np.ndarray, mask: np.ndarray, left: int, top: int) -> None:
    """Lay ``patch`` (uint8 [h, w, 3]) on ``canvas`` at (left, top), as thick as ``mask`` (uint8 [h, w], 255 hides)."""
    height, width = mask.shape
    area = canvas[top : top + height, left : left + width]
    thick = mask[:, :, np.newaxis].astype(np.uint16)
    area[:] = (area * (255 - thick) + patch * thick + 127) // 255


def disc(height: int, width: int, center: Tuple[float, float], radii: Tuple[float, float]) -> np.ndarray:
    """1 in the middle of an ellipse, falling to 0 at its edge and staying 0 beyond: float32 [height, width].

    ``center`` is (x, y) and ``radii`` (horizontal, vertical), in pixels.
    """
    x = (np.arange(width, dtype=np.float32) - center[0]) / radii[0]
    y = (np.arange(height, dtype=np.float32) - center[1]) / radii[1]
    return np.maximum(1 - (x * x)[np.newaxis, :] - (y * y)[:, np.newaxis], 0)
