"""Where the demo's objects stand: a backdrop (wall, sky, blurred lights), a ground in perspective, and light over both.

All at half the picture's size: a background is out of focus anyway, and it takes a quarter of the time.
"""

from typing import NamedTuple, Tuple

import cv2
import numpy as np

from stages.demo.drawing_tools import Color, Rng, cloud, disc, paint, soften, to_bytes

HEIGHT, WIDTH = 540, 960
FOCAL_LENGTH = 600.0  # in pixels of these
WALLS = (
    (226, 214, 196),
    (196, 208, 206),
    (178, 190, 176),
    (214, 190, 178),
    (150, 166, 178),
    (232, 228, 220),
    (118, 136, 142),
    (206, 178, 128),
    (168, 128, 116),
    (92, 108, 122),
)
BRICKS = ((156, 88, 70), (178, 160, 144), (196, 186, 178), (126, 74, 66))
WOODS = ((168, 122, 80), (120, 82, 54), (196, 158, 112), (142, 126, 108), (92, 66, 50))
TILES = (
    ((222, 218, 210), (160, 158, 152)),
    ((230, 224, 212), (120, 82, 70)),
    ((206, 214, 216), (92, 110, 124)),
    ((214, 196, 166), (176, 150, 116)),
)
CLOTHS = ((120, 62, 66), (86, 104, 134), (170, 160, 142), (108, 122, 92), (70, 70, 82), (192, 176, 150))
BOOKS = ((150, 54, 50), (48, 82, 118), (198, 162, 84), (66, 108, 84), (214, 204, 188), (92, 66, 100), (60, 60, 64))


class Background(NamedTuple):
    """An empty scene: ``picture`` uint8 RGB [540, 960, 3]; the ground begins at row ``ground``."""

    picture: np.ndarray
    ground: int


class Bond(NamedTuple):
    """How bricks or tiles lie: their height and length in pixels, their color, by how many grey levels it differs from
    one to the next, and by which share of one every other row is shifted."""

    tall: int
    long: int
    color: Color
    spread: int
    shift: float


def random_background(rng: Rng) -> Background:
    """A place to put objects: indoors or outdoors, as chance has it."""
    ground = rng.between(225, 300)
    indoors = rng.chance(72)
    if indoors:
        back = rng.pick((_plain_wall, _plain_wall, _striped_wall, _brick_wall, _tiled_wall))(rng, ground)
        back = _furnished(rng, back)
        floor = rng.pick((_planks, _planks, _checker, _cloth, _cloth, _concrete))(rng, HEIGHT - ground)
    else:
        back = rng.pick((_sky, _street_lights))(rng, ground)
        floor = rng.pick((_grass, _concrete, _concrete, _sand))(rng, HEIGHT - ground)
    surface = np.concatenate([back, floor.astype(np.float32)])
    if rng.chance(65):
        _skirting(rng, surface, ground)
    surface *= _daylight(rng, windows=indoors)[:, :, np.newaxis]
    return Background(to_bytes(surface), ground)


def _daylight(rng: Rng, windows: bool) -> np.ndarray:
    """A pool of light, and the corners a little darker: a factor for every pixel."""
    center = rng.between(100, 860), rng.between(40, 420)
    radii = rng.between(500, 900), rng.between(360, 640)
    pool = disc(HEIGHT, WIDTH, center, radii)
    corners = disc(HEIGHT, WIDTH, (WIDTH / 2, HEIGHT / 2), (WIDTH * 0.95, HEIGHT * 1.1))
    light = (0.66 + rng.share(0.2, 0.5) * pool) * (0.7 + 0.34 * corners)
    return light * _window(rng) if windows and rng.chance(40) else light


def _window(rng: Rng) -> np.ndarray:
    """Sunlight through a window's four panes, falling aslant."""
    x = np.arange(WIDTH, dtype=np.float32)[np.newaxis, :]
    y = np.arange(HEIGHT, dtype=np.float32)[:, np.newaxis]
    slant = rng.share(-0.7, 0.7)
    u = (x - rng.between(200, 760) - slant * (y - 270)) / rng.between(110, 200)
    v = (y - rng.between(120, 420)) / rng.between(110, 180) + 0 * x
    panes = (np.abs(u) < 1) & (np.abs(v) < 1) & (np.abs(u) > 0.06) & (np.abs(v) > 0.05)
    glow = soften(panes.astype(np.uint8) * 255, 6).astype(np.float32) / 255
    return 1 + rng.share(0.2, 0.45) * glow


def _plain_wall(rng: Rng, height: int) -> np.ndarray:
    wall = paint(height, WIDTH, rng.pick(WALLS))
    plaster = cloud(rng, height, WIDTH, 90) * 6 + cloud(rng, height, WIDTH, 3) * rng.share(0, 5)
    return wall + plaster[:, :, np.newaxis]


def _striped_wall(rng: Rng, height: int) -> np.ndarray:
    wall = _plain_wall(rng, height)
    beat = np.arange(WIDTH, dtype=np.float32) / rng.between(24, 90)
    stripe = (beat - np.floor(beat) < rng.share(0.2, 0.6)).astype(np.float32)
    return wall + (stripe * rng.pick((-26, -14, 14, 22)))[np.newaxis, :, np.newaxis]


def _brick_wall(rng: Rng, height: int) -> np.ndarray:
    tall = rng.between(16, 30)
    return _bonded(rng, height, Bond(tall, int(tall * 2.6), rng.pick(BRICKS), 26, 0.5))


def _tiled_wall(rng: Rng, height: int) -> np.ndarray:
    edge = rng.between(36, 70)
    color = rng.pick(((226, 232, 230), (160, 196, 194), (206, 196, 176)))
    return _bonded(rng, height, Bond(edge, edge, color, 7, 0.0))


def _bonded(rng: Rng, height: int, bond: Bond) -> np.ndarray:
    """A wall of bricks or tiles with joints between them."""
    y = np.arange(height)[:, np.newaxis]
    x = np.arange(WIDTH)[np.newaxis, :] + (y // bond.tall % 2) * int(bond.long * bond.shift)
    shades = rng.grains(64, 64).astype(np.float32) / 127.5 - 1
    shade = shades[y // bond.tall % 64, x // bond.long % 64] * bond.spread + cloud(rng, height, WIDTH, 4) * 6
    joint = (x % bond.long < 2) | (y % bond.tall < 2)
    wall = paint(height, WIDTH, bond.color) + shade[:, :, np.newaxis]
    wall[joint] = np.array(rng.pick(((188, 182, 172), (120, 112, 106))), np.float32)
    return wall


def _furnished(rng: Rng, wall: np.ndarray) -> np.ndarray:
    """The wall with a few pieces out of focus: framed pictures, shelves of books, a plant."""
    canvas = to_bytes(wall)
    for _ in range(rng.between(0, 3)):
        rng.pick((_picture_frame, _shelf, _shelf, _plant))(rng, canvas)
    return soften(canvas, rng.between(2, 7)).astype(np.float32)


def _picture_frame(rng: Rng, canvas: np.ndarray) -> None:
    x, y = rng.between(0, WIDTH - 120), rng.between(0, 60)
    w, h = rng.between(60, 170), rng.between(60, 130)
    canvas[y : y + h, x : x + w] = rng.pick(WOODS)
    canvas[y + 6 : y + h - 6, x + 6 : x + w - 6] = rng.pick(WALLS)
    canvas[y + h // 2 : y + h - 18, x + 18 : x + w - 18] = rng.pick(CLOTHS)


def _shelf(rng: Rng, canvas: np.ndarray) -> None:
    x, y, end = rng.between(-40, WIDTH - 160), rng.between(90, 190), 0
    end = x + rng.between(160, 380)
    canvas[y : y + 9, max(x, 0) : end] = rng.pick(WOODS)
    while x < end - 30:
        thick, tall = rng.between(9, 26), rng.between(40, 82)
        if rng.chance(80):
            canvas[y - tall : y, max(x, 0) : max(x + thick - 1, 0)] = rng.pick(BOOKS)
        x += thick


def _plant(rng: Rng, canvas: np.ndarray) -> None:
    x, y = rng.between(60, WIDTH - 60), canvas.shape[0] - rng.between(10, 60)
    canvas[y:, x - 26 : x + 26] = rng.pick(CLOTHS)
    for _ in range(26):
        center = x + rng.between(-60, 60), y - rng.between(0, 120)
        radii = rng.between(8, 22), rng.between(8, 26)
        leaf = disc(canvas.shape[0], canvas.shape[1], center, radii) > 0
        canvas[leaf] = (rng.between(30, 80), rng.between(84, 136), rng.between(40, 70))


def _sky(rng: Rng, height: int) -> np.ndarray:
    """Sky with clouds over hills and trees out of focus."""
    fall = np.arange(height, dtype=np.float32)[:, np.newaxis, np.newaxis] / height
    high, low = rng.pick(
        (((92, 146, 206), (206, 222, 232)), ((150, 164, 180), (222, 220, 212)), ((120, 130, 180), (244, 200, 160)))
    )
    sky = paint(height, WIDTH, high) * (1 - fall) + paint(height, WIDTH, low) * fall
    clouds = np.maximum(cloud(rng, height, WIDTH, 110) + 0.5 * cloud(rng, height, WIDTH, 40) - 0.2, 0)
    canvas = to_bytes(sky + (clouds * 60)[:, :, np.newaxis])
    for step, color in enumerate(((128, 148, 156), (96, 124, 106), (58, 90, 60))):
        ridge = height - 90 + 26 * step + cloud(rng, 4, WIDTH, 60 - 14 * step)[0] * 30
        canvas[np.arange(height)[:, np.newaxis] > ridge[np.newaxis, :]] = color
    return soften(canvas, rng.between(4, 8)).astype(np.float32)


def _street_lights(rng: Rng, height: int) -> np.ndarray:
    """Dusk in a town: round lights far out of focus."""
    dusk = paint(height, WIDTH, rng.pick(((44, 52, 72), (70, 64, 80), (84, 92, 104))))
    haze = cloud(rng, height, WIDTH, 120) * 22
    canvas = soften(to_bytes(dusk + haze[:, :, np.newaxis]), 9).astype(np.float32)
    for _ in range(rng.between(14, 34)):
        radius = rng.between(8, 34)
        light = disc(height, WIDTH, (rng.between(0, WIDTH), rng.between(0, height)), (radius, radius)) > 0
        canvas[light] += np.array(rng.pick(((90, 70, 36), (84, 44, 30), (50, 70, 90), (70, 80, 60))), np.float32)
    return soften(to_bytes(canvas), 2).astype(np.float32)


def _skirting(rng: Rng, surface: np.ndarray, ground: int) -> None:
    tall = rng.between(5, 16)
    surface[ground - tall : ground] = np.array(rng.pick(((236, 232, 224), (120, 92, 70), (90, 88, 86))), np.float32)
    surface[ground : ground + 3] *= 0.6


def _perspective(rng: Rng, height: int) -> Tuple[np.ndarray, np.ndarray]:
    """Where on the ground each pixel looks, right and away, in heights of the camera: float32 [h, w] and [h, 1]."""
    horizon = rng.between(90, 180)
    away = FOCAL_LENGTH / (np.arange(height, dtype=np.float32)[:, np.newaxis] + horizon)
    right = (np.arange(WIDTH, dtype=np.float32)[np.newaxis, :] - rng.between(250, 710)) * away / FOCAL_LENGTH
    return right, away


def _grain(rng: Rng, right: np.ndarray, away: np.ndarray, fine: int, long: int) -> np.ndarray:
    """Noise that lies on the ground, ``fine`` grains per unit right, ``long`` away: float32 [h, w], -1 to 1."""
    noise = soften(rng.grains(512, 512), 1).astype(np.float32) / 127.5 - 1
    across = np.floor(right * fine).astype(np.int32) % 512
    along = np.floor(away * long).astype(np.int32) % 512
    return noise[along + 0 * across, across]


def _planks(rng: Rng, height: int) -> np.ndarray:
    right, away = _perspective(rng, height)
    board = right / rng.share(0.14, 0.3)
    number = np.floor(board).astype(np.int32)
    tones = rng.grains(64, 64).astype(np.float32) / 127.5 - 1
    lengths = np.floor(away * 0.8 + (number % 7) * 0.37).astype(np.int32)
    tone = tones[number % 64, lengths % 64] * 16 + _grain(rng, right, away, 260, 16) * 10
    seam = (board - number < 0.035) | (board - number > 0.985)
    floor = paint(height, WIDTH, rng.pick(WOODS)) + tone[:, :, np.newaxis]
    floor[seam] *= 0.62
    return floor


def _checker(rng: Rng, height: int) -> np.ndarray:
    right, away = _perspective(rng, height)
    edge = rng.share(0.25, 0.6)
    odd = (np.floor(right / edge) + np.floor(away / edge)).astype(np.int32) % 2
    light, dark = rng.pick(TILES)
    floor = np.array([light, dark], np.float32)[odd]
    return floor + (_grain(rng, right, away, 200, 140) * 5 + cloud(rng, height, WIDTH, 70) * 8)[:, :, np.newaxis]


def _cloth(rng: Rng, height: int) -> np.ndarray:
    right, away = _perspective(rng, height)
    color = rng.pick(CLOTHS)
    weave = _grain(rng, right, away, 300, 200) * rng.between(6, 16) + cloud(rng, height, WIDTH, 120) * 10
    cloth = paint(height, WIDTH, color) + weave[:, :, np.newaxis]
    if rng.chance(50):
        band = right / rng.share(0.3, 0.8)
        cloth[band - np.floor(band) < 0.3] += rng.pick((-24, 26))
    return cloth


def _concrete(rng: Rng, height: int) -> np.ndarray:
    right, away = _perspective(rng, height)
    floor = paint(height, WIDTH, rng.pick(((142, 140, 136), (98, 98, 100), (176, 170, 162), (74, 76, 82))))
    speckle = _grain(rng, right, away, 320, 220) * 15 + cloud(rng, height, WIDTH, 60) * 9
    return floor + speckle[:, :, np.newaxis]


def _grass(rng: Rng, height: int) -> np.ndarray:
    right, away = _perspective(rng, height)
    blades = _grain(rng, right, away, 320, 110) * 30 + cloud(rng, height, WIDTH, 70) * 14
    return paint(height, WIDTH, rng.pick(((88, 126, 58), (112, 132, 66), (70, 110, 64)))) + blades[:, :, np.newaxis]


def _sand(rng: Rng, height: int) -> np.ndarray:
    right, away = _perspective(rng, height)
    ripple = _grain(rng, right, away, 14, 60) * 9 + _grain(rng, right, away, 320, 220) * 9
    return paint(height, WIDTH, rng.pick(((214, 192, 152), (196, 174, 140)))) + ripple[:, :, np.newaxis]


def shadow(picture: np.ndarray, center: Tuple[float, float], radii: Tuple[float, float], deep: float) -> None:
    """Darken ``picture`` softly by an ellipse, ``deep`` 0 to 1 in its middle; center and radii in its pixels."""
    wide, high = radii
    left, right = max(int(center[0] - wide), 0), min(int(center[0] + wide) + 1, picture.shape[1])
    top, low = max(int(center[1] - high), 0), min(int(center[1] + high) + 1, picture.shape[0])
    fade = disc(low - top, right - left, (center[0] - left, center[1] - top), radii)
    area = picture[top:low, left:right]
    area[:] = to_bytes(area * (1 - deep * fade * fade * (3 - 2 * fade))[:, :, np.newaxis])


def enlarged(picture: np.ndarray) -> np.ndarray:
    """``picture`` at twice its width and height, bilinear and bit exact."""
    return cv2.resize(picture, (picture.shape[1] * 2, picture.shape[0] * 2), interpolation=cv2.INTER_LINEAR_EXACT)
