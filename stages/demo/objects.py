"""The demo's objects: a traffic cone, a ball, a mug, each drawn from its geometry and lit from one side.

``cone``, ``ball`` and ``mug`` take random choices, a size in pixels and the direction of the light, and give the
object's colours (uint8 [h, w, 3]) and its silhouette (bool [h, w]).
"""

import math
from typing import Callable, Dict, List, Tuple

import numpy as np

from stages.demo.drawing_tools import Color, Rng, to_bytes

Light = Tuple[float, float, float]
Drawing = Tuple[np.ndarray, np.ndarray]

TILT = 0.24  # how much of a horizontal circle one sees: the camera looks slightly down
WHITE, NIGHT, COFFEE = (244, 243, 238), (28, 29, 34), (66, 38, 22)
CONES = ((247, 98, 24), (255, 120, 20), (238, 78, 30), (250, 136, 32))
BANDS = (((0.3, 0.56),), ((0.22, 0.38), (0.54, 0.72)), ((0.34, 0.6),), ((0.26, 0.42), (0.56, 0.7)))
PLATES = ((38, 38, 42), (60, 56, 54), (226, 88, 28))
BEACH = (
    ((226, 46, 60), (250, 206, 58), (42, 112, 214)),
    ((238, 74, 140), (70, 190, 190), (250, 214, 90)),
    ((36, 160, 92), (246, 196, 50), (222, 52, 52)),
)
RUBBER = ((208, 40, 52), (186, 214, 52), (214, 58, 140), (118, 62, 178))
GLAZES = ((70, 152, 170), (54, 92, 160), (232, 232, 226), (120, 168, 130), (92, 124, 190), (38, 66, 104))
# The corners of an icosahedron, a football's black patches. 1.618 is the golden ratio, 1.902 the corners' length.
CORNERS = tuple(
    tuple(value / 1.902 for value in corner)
    for a in (1.0, -1.0)
    for b in (1.618, -1.618)
    for corner in ((0.0, a, b), (a, b, 0.0), (b, 0.0, a))
)


def plane(height: int, width: int) -> Tuple[np.ndarray, np.ndarray]:
    """Pixel centres' x from the vertical middle line and y from the top, in pixels: float32 [1, w] and [h, 1]."""
    x = np.arange(width, dtype=np.float32)[np.newaxis, :] + (0.5 - width / 2)
    y = np.arange(height, dtype=np.float32)[:, np.newaxis] + 0.5
    return x, y


def lit(
    colors: np.ndarray, normal: Tuple[np.ndarray, np.ndarray, np.ndarray], light: Light, gloss: float
) -> np.ndarray:
    """Surface colours under the lamp: Lambert's diffuse light, some sky from everywhere, Blinn's highlight."""
    facing = np.maximum(normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2], 0)
    halfway = unit((light[0], light[1], light[2] + 1.0))
    shine = np.maximum(normal[0] * halfway[0] + normal[1] * halfway[1] + normal[2] * halfway[2], 0)
    for _ in range(4):
        shine = shine * shine
    bright = 0.42 + 0.7 * facing
    return colors * bright[:, :, np.newaxis] + (gloss * 255 * shine)[:, :, np.newaxis]


def fill(colors: np.ndarray, mask: np.ndarray, color: Color) -> None:
    colors[mask] = np.array(color, np.float32)


def ball(rng: Rng, size: int, light: Light) -> Drawing:
    """A beach ball, a football or a striped rubber ball, turned any way."""
    x, y = plane(size, size)
    x, y = (x / (size / 2)) + 0 * y, ((y - size / 2) / (size / 2)) + 0 * x
    inside = x * x + y * y <= 1
    z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
    pattern = rng.pick((_beach, _beach, _football, _striped))
    colors = pattern(rng, _turned(rng, x, y, z))
    return to_bytes(lit(colors, (x, y, z), light, 0.3)), inside


def _turned(rng: Rng, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> List[np.ndarray]:
    """The points of the ball in a frame turned by a random quaternion of small whole numbers."""
    a, b, c, d = (rng.between(-9, 9) or 1 for _ in range(4))
    length = a * a + b * b + c * c + d * d
    rows = (
        (a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)),
        (2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b)),
        (2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d),
    )
    return [x * (row[0] / length) + y * (row[1] / length) + z * (row[2] / length) for row in rows]


def _beach(rng: Rng, point: List[np.ndarray]) -> np.ndarray:
    p, q, r = point
    one, two, three = rng.pick(BEACH)
    segment = 1 * (p > 0) + 2 * (q * 0.866 > p * 0.5) + 4 * (q * 0.866 > p * -0.5)
    palette = np.array([WHITE, one, WHITE, two, three, WHITE, WHITE, two], np.float32)
    palette[[0, 7, 3, 4, 5, 2, 1, 6]] = np.array([one, WHITE, two, WHITE, three, WHITE, three, two], np.float32)
    colors = palette[segment]
    fill(colors, np.abs(r) > 0.965, WHITE)
    return colors


def _football(rng: Rng, point: List[np.ndarray]) -> np.ndarray:
    nearest = np.zeros_like(point[0])
    for corner in CORNERS:
        nearest = np.maximum(nearest, point[0] * corner[0] + point[1] * corner[1] + point[2] * corner[2])
    colors = np.zeros(nearest.shape + (3,), np.float32) + np.array(WHITE, np.float32)
    fill(colors, nearest > 0.935, rng.pick((NIGHT, (34, 60, 140), (150, 30, 44))))
    return colors


def _striped(rng: Rng, point: List[np.ndarray]) -> np.ndarray:
    color = rng.pick(RUBBER)
    colors = np.zeros(point[0].shape + (3,), np.float32) + np.array(color, np.float32)
    fill(colors, np.abs(point[0]) < rng.share(0.12, 0.3), WHITE)
    if rng.chance(50):
        fill(colors, np.abs(np.abs(point[0]) - 0.62) < 0.06, WHITE)
    return colors


def cone(rng: Rng, size: int, light: Light) -> Drawing:
    """A traffic cone with one to three white bands on a square foot, leaning a little."""
    foot = rng.share(0.31, 0.37) * size
    height, width = size, int(2 * foot) + int(0.1 * size)
    x, y = plane(height, width)
    lean = rng.share(-0.05, 0.05)
    x = x - (y - height) * lean
    plate_y, thick = height - foot * TILT - 0.03 * size, 0.03 * size
    plate, rim = _plate(x, y - plate_y, foot), _plate(x, y - plate_y - thick, foot)
    bottom = rng.share(0.66, 0.76) * foot
    tip = 0.13 * foot
    reach = np.clip(y / plate_y, 0, 1) * (bottom - tip) + tip
    u = np.clip(x / reach, -1, 1)
    depth = np.sqrt(1 - u * u)
    ring = y - reach * TILT * depth  # the height on the axis of the circle that this point lies on
    body = (np.abs(x) <= reach) & (ring <= plate_y - bottom * TILT * 0.6) & (y + tip * TILT * depth >= 2 * tip * TILT)
    orange = rng.pick(CONES)
    colors = np.zeros((height, width, 3), np.float32) + np.array(orange, np.float32)
    for start, end in rng.pick(BANDS):
        fill(colors, (ring > start * plate_y) & (ring < end * plate_y), WHITE)
    colors = lit(colors, (u * 0.97, -0.24 + 0 * u, depth * 0.97), light, 0.12)
    fill(colors, _oval(x, y - tip * TILT, tip * 0.84, tip * 0.84 * TILT), NIGHT)
    stand = np.array(rng.pick(PLATES), np.float32)
    colors[~body & rim] = stand * 0.6
    colors[~body & plate] = stand * 0.95
    return to_bytes(colors), body | plate | rim


def _plate(x: np.ndarray, y: np.ndarray, foot: float) -> np.ndarray:
    """The square foot seen from slightly above: a superellipse of fourth power."""
    a, b = x / foot, y / (foot * TILT)
    return a * a * a * a + b * b * b * b <= 1


def mug(rng: Rng, size: int, light: Light) -> Drawing:
    """A mug of coffee with its handle to the left or right; plain, striped, dotted or with a heart."""
    half = size * rng.share(0.34, 0.37)
    height, width = int(size * rng.share(0.84, 0.96)), size
    x, y = plane(height, width)
    side = rng.pick((-1.0, 1.0))
    x = (x + side * (size / 2 - half)) * side  # the handle is now at x > 0
    top, low = half * TILT, height - half * TILT
    reach = half * (1 - rng.share(0.02, 0.14) * np.clip((y - top) / (low - top), 0, 1))
    u = np.clip(x / reach, -1, 1)
    depth = np.sqrt(1 - u * u)
    ring = (y - reach * TILT * depth - top + half * TILT) / (low - top)
    mouth = _oval(x, y - top, half, half * TILT)
    body = ((np.abs(x) <= reach) & (y >= top) & (y - low <= reach * TILT * depth)) | mouth
    glaze = rng.pick(GLAZES)
    colors = np.zeros((height, width, 3), np.float32) + np.array(glaze, np.float32)
    rng.pick((_plain, _stripes, _dots, _heart))(rng, colors, u * (1 + 0.2 * u * u), ring, glaze)
    colors = lit(colors, (u * side, -0.05 + 0 * u, depth), light, 0.25)
    handle = _handle(colors, x - half * 0.98, y - height * 0.53, (size - 2 * half, height * 0.27), glaze) & ~body
    _inside(colors, x, y - top, half, glaze)
    return to_bytes(colors), body | handle


def _oval(x: np.ndarray, y: np.ndarray, wide: float, high: float) -> np.ndarray:
    return (x / wide) * (x / wide) + (y / high) * (y / high) <= 1


def _inside(colors: np.ndarray, x: np.ndarray, y: np.ndarray, half: float, glaze: Color) -> None:
    rim, inner = _oval(x, y, half, half * TILT), _oval(x, y, half * 0.91, half * 0.9 * TILT)
    colors[rim] = np.array(glaze, np.float32) * 0.6 + 95
    colors[inner] = np.array(WHITE, np.float32) * 0.72
    coffee = inner & _oval(x, y - half * 0.07, half * 0.86, half * 0.8 * TILT)
    fill(colors, coffee, COFFEE)
    fill(colors, coffee & ~_oval(x, y - half * 0.085, half * 0.84, half * 0.78 * TILT), (120, 78, 48))


def _handle(colors: np.ndarray, x: np.ndarray, y: np.ndarray, radii: Tuple[float, float], glaze: Color) -> np.ndarray:
    """Paint the handle, half a ring at x > 0, and give its silhouette."""
    wide, high = radii
    distance = np.sqrt((x / wide) * (x / wide) + (y / high) * (y / high))
    ring = (distance <= 1) & (distance >= 0.6) & (x > -2)
    edge = (distance - 0.8) * 5
    bright = 0.62 + 0.42 * np.sqrt(np.maximum(1 - edge * edge, 0)) - 0.12 * np.clip(y / high, -1, 1)
    colors[ring] = (np.array(glaze, np.float32) * bright[:, :, np.newaxis])[ring]
    return ring


def _plain(rng: Rng, colors: np.ndarray, u: np.ndarray, ring: np.ndarray, glaze: Color) -> None:
    red, green, blue = glaze
    fill(colors, ring > rng.share(0.72, 0.9), (int(red * 0.7), int(green * 0.7), int(blue * 0.7)))


def _stripes(rng: Rng, colors: np.ndarray, u: np.ndarray, ring: np.ndarray, glaze: Color) -> None:
    count = rng.between(3, 5)
    beat = ring * count
    fill(colors, (beat - np.floor(beat) < 0.42) & (ring > 0.1) & (ring < 0.95), _other(glaze))


def _dots(rng: Rng, colors: np.ndarray, u: np.ndarray, ring: np.ndarray, glaze: Color) -> None:
    row = np.floor(ring * 4)
    a = u * 2.4 + 0.5 * (row - 2 * np.floor(row / 2))
    a, b = a - np.floor(a) - 0.5, (ring * 4 - row - 0.5) * 0.9
    fill(colors, (a * a + b * b < 0.075) & (ring > 0) & (ring < 1), _other(glaze))


def _heart(rng: Rng, colors: np.ndarray, u: np.ndarray, ring: np.ndarray, glaze: Color) -> None:
    """The sextic heart curve (x^2 + y^2 - 1)^3 = x^2 y^3 (Beutel)."""
    a, b = (u + 0.1) * 2.3, (0.52 - ring) * 3.4
    bulge = a * a + b * b - 1
    fill(colors, bulge * bulge * bulge - a * a * b * b * b <= 0, (206, 44, 62))


def _other(glaze: Color) -> Color:
    return (56, 84, 140) if sum(glaze) > 500 else WHITE


def unit(vector: Light) -> Light:
    length = math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
    return vector[0] / length, vector[1] / length, vector[2] / length


CLASSES: Dict[str, Callable[[Rng, int, Light], Drawing]] = {"cone": cone, "ball": ball, "mug": mug}
