"""The demo's places: a backdrop (wall, sky, lights out of focus), a ground in perspective, and the light over both.

All at half the picture's size: a background is out of focus anyway, and it takes a quarter of the time.
"""

from typing import NamedTuple, Tuple

import cv2
import numpy as np

from stages.demo.drawing_tools import Color, Dice, cloud, disc, paint, soften, to_bytes

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


class Place(NamedTuple):
    """An empty scene: ``picture`` uint8 RGB [540, 960, 3]; the ground begins at row ``ground``."""

    picture: np.ndarray
    ground: int


def place(dice: Dice) -> Place:
    """A place to put things: indoors or outdoors, by the dice."""
    ground = dice.between(225, 300)
    indoors = dice.chance(72)
    if indoors:
        back = dice.pick((_plain_wall, _plain_wall, _striped_wall, _brick_wall, _tiled_wall))(dice, ground)
        back = _furnished(dice, back)
        floor = dice.pick((_planks, _planks, _checker, _cloth, _cloth, _concrete))(dice, HEIGHT - ground)
    else:
        back = dice.pick((_sky, _street_lights))(dice, ground)
        floor = dice.pick((_grass, _concrete, _concrete, _sand))(dice, HEIGHT - ground)
    surface = np.concatenate([back, floor.astype(np.float32)])
    if dice.chance(65):
        _skirting(dice, surface, ground)
    surface *= _daylight(dice, windows=indoors)[:, :, np.newaxis]
    return Place(to_bytes(surface), ground)


def _daylight(dice: Dice, windows: bool) -> np.ndarray:
    """A pool of light, and the corners a little darker: a factor for every pixel."""
    pool = disc(
        HEIGHT, WIDTH, (dice.between(100, 860), dice.between(40, 420)), (dice.between(500, 900), dice.between(360, 640))
    )
    corners = disc(HEIGHT, WIDTH, (WIDTH / 2, HEIGHT / 2), (WIDTH * 0.95, HEIGHT * 1.1))
    light = (0.66 + dice.share(0.2, 0.5) * pool) * (0.7 + 0.34 * corners)
    return light * _window(dice) if windows and dice.chance(40) else light


def _window(dice: Dice) -> np.ndarray:
    """Sunlight through a window's four panes, falling aslant."""
    x = np.arange(WIDTH, dtype=np.float32)[np.newaxis, :]
    y = np.arange(HEIGHT, dtype=np.float32)[:, np.newaxis]
    slant = dice.share(-0.7, 0.7)
    u = (x - dice.between(200, 760) - slant * (y - 270)) / dice.between(110, 200)
    v = (y - dice.between(120, 420)) / dice.between(110, 180) + 0 * x
    panes = (np.abs(u) < 1) & (np.abs(v) < 1) & (np.abs(u) > 0.06) & (np.abs(v) > 0.05)
    glow = soften(panes.astype(np.uint8) * 255, 6).astype(np.float32) / 255
    return 1 + dice.share(0.2, 0.45) * glow


def _plain_wall(dice: Dice, height: int) -> np.ndarray:
    wall = paint(height, WIDTH, dice.pick(WALLS))
    plaster = cloud(dice, height, WIDTH, 90) * 6 + cloud(dice, height, WIDTH, 3) * dice.share(0, 5)
    return wall + plaster[:, :, np.newaxis]


def _striped_wall(dice: Dice, height: int) -> np.ndarray:
    wall = _plain_wall(dice, height)
    beat = np.arange(WIDTH, dtype=np.float32) / dice.between(24, 90)
    stripe = (beat - np.floor(beat) < dice.share(0.2, 0.6)).astype(np.float32)
    return wall + (stripe * dice.pick((-26, -14, 14, 22)))[np.newaxis, :, np.newaxis]


def _brick_wall(dice: Dice, height: int) -> np.ndarray:
    tall = dice.between(16, 30)
    return _bonded(dice, height, tall, int(tall * 2.6), dice.pick(BRICKS), 26, 0.5)


def _tiled_wall(dice: Dice, height: int) -> np.ndarray:
    edge = dice.between(36, 70)
    return _bonded(dice, height, edge, edge, dice.pick(((226, 232, 230), (160, 196, 194), (206, 196, 176))), 7, 0.0)


def _bonded(dice: Dice, height: int, tall: int, long: int, color: Color, spread: int, shift: float) -> np.ndarray:
    """Bricks or tiles with joints, every other row shifted by a share of one; ``spread``: how their shades differ."""
    y = np.arange(height)[:, np.newaxis]
    x = np.arange(WIDTH)[np.newaxis, :] + (y // tall % 2) * int(long * shift)
    shades = dice.grains(64, 64).astype(np.float32) / 127.5 - 1
    shade = shades[y // tall % 64, x // long % 64] * spread + cloud(dice, height, WIDTH, 4) * 6
    joint = (x % long < 2) | (y % tall < 2)
    wall = paint(height, WIDTH, color) + shade[:, :, np.newaxis]
    wall[joint] = np.array(dice.pick(((188, 182, 172), (120, 112, 106))), np.float32)
    return wall


def _furnished(dice: Dice, wall: np.ndarray) -> np.ndarray:
    """The wall with a few things out of focus: framed pictures, shelves of books, a plant."""
    canvas = to_bytes(wall)
    for _ in range(dice.between(0, 3)):
        dice.pick((_frame, _shelf, _shelf, _plant))(dice, canvas)
    return soften(canvas, dice.between(2, 7)).astype(np.float32)


def _frame(dice: Dice, canvas: np.ndarray) -> None:
    x, y = dice.between(0, WIDTH - 120), dice.between(0, 60)
    w, h = dice.between(60, 170), dice.between(60, 130)
    canvas[y : y + h, x : x + w] = dice.pick(WOODS)
    canvas[y + 6 : y + h - 6, x + 6 : x + w - 6] = dice.pick(WALLS)
    canvas[y + h // 2 : y + h - 18, x + 18 : x + w - 18] = dice.pick(CLOTHS)


def _shelf(dice: Dice, canvas: np.ndarray) -> None:
    x, y, end = dice.between(-40, WIDTH - 160), dice.between(90, 190), 0
    end = x + dice.between(160, 380)
    canvas[y : y + 9, max(x, 0) : end] = dice.pick(WOODS)
    while x < end - 30:
        thick, tall = dice.between(9, 26), dice.between(40, 82)
        if dice.chance(80):
            canvas[y - tall : y, max(x, 0) : max(x + thick - 1, 0)] = dice.pick(BOOKS)
        x += thick


def _plant(dice: Dice, canvas: np.ndarray) -> None:
    x, y = dice.between(60, WIDTH - 60), canvas.shape[0] - dice.between(10, 60)
    canvas[y:, x - 26 : x + 26] = dice.pick(CLOTHS)
    for _ in range(26):
        leaf = (
            disc(
                *canvas.shape[:2],
                (x + dice.between(-60, 60), y - dice.between(0, 120)),
                (dice.between(8, 22), dice.between(8, 26)),
            )
            > 0
        )
        canvas[leaf] = (dice.between(30, 80), dice.between(84, 136), dice.between(40, 70))


def _sky(dice: Dice, height: int) -> np.ndarray:
    """Sky with clouds over hills and trees out of focus."""
    fall = np.arange(height, dtype=np.float32)[:, np.newaxis, np.newaxis] / height
    high, low = dice.pick(
        (((92, 146, 206), (206, 222, 232)), ((150, 164, 180), (222, 220, 212)), ((120, 130, 180), (244, 200, 160)))
    )
    sky = paint(height, WIDTH, high) * (1 - fall) + paint(height, WIDTH, low) * fall
    clouds = np.maximum(cloud(dice, height, WIDTH, 110) + 0.5 * cloud(dice, height, WIDTH, 40) - 0.2, 0)
    canvas = to_bytes(sky + (clouds * 60)[:, :, np.newaxis])
    for step, color in enumerate(((128, 148, 156), (96, 124, 106), (58, 90, 60))):
        ridge = height - 90 + 26 * step + cloud(dice, 4, WIDTH, 60 - 14 * step)[0] * 30
        canvas[np.arange(height)[:, np.newaxis] > ridge[np.newaxis, :]] = color
    return soften(canvas, dice.between(4, 8)).astype(np.float32)


def _street_lights(dice: Dice, height: int) -> np.ndarray:
    """Dusk in a town: round lights far out of focus."""
    canvas = soften(
        to_bytes(
            paint(height, WIDTH, dice.pick(((44, 52, 72), (70, 64, 80), (84, 92, 104))))
            + (cloud(dice, height, WIDTH, 120) * 22)[:, :, np.newaxis]
        ),
        9,
    ).astype(np.float32)
    for _ in range(dice.between(14, 34)):
        radius = dice.between(8, 34)
        light = disc(height, WIDTH, (dice.between(0, WIDTH), dice.between(0, height)), (radius, radius)) > 0
        canvas[light] += np.array(dice.pick(((90, 70, 36), (84, 44, 30), (50, 70, 90), (70, 80, 60))), np.float32)
    return soften(to_bytes(canvas), 2).astype(np.float32)


def _skirting(dice: Dice, surface: np.ndarray, ground: int) -> None:
    tall = dice.between(5, 16)
    surface[ground - tall : ground] = np.array(dice.pick(((236, 232, 224), (120, 92, 70), (90, 88, 86))), np.float32)
    surface[ground : ground + 3] *= 0.6


def _perspective(dice: Dice, height: int) -> Tuple[np.ndarray, np.ndarray]:
    """Where on the ground each pixel looks, right and away, in heights of the camera: float32 [h, w] and [h, 1]."""
    horizon = dice.between(90, 180)
    away = FOCAL_LENGTH / (np.arange(height, dtype=np.float32)[:, np.newaxis] + horizon)
    right = (np.arange(WIDTH, dtype=np.float32)[np.newaxis, :] - dice.between(250, 710)) * away / FOCAL_LENGTH
    return right, away


def _grain(dice: Dice, right: np.ndarray, away: np.ndarray, fine: int, long: int) -> np.ndarray:
    """Noise that lies on the ground, ``fine`` grains per unit right, ``long`` away: float32 [h, w], -1 to 1."""
    noise = soften(dice.grains(512, 512), 1).astype(np.float32) / 127.5 - 1
    across = np.floor(right * fine).astype(np.int32) % 512
    along = np.floor(away * long).astype(np.int32) % 512
    return noise[along + 0 * across, across]


def _planks(dice: Dice, height: int) -> np.ndarray:
    right, away = _perspective(dice, height)
    board = right / dice.share(0.14, 0.3)
    number = np.floor(board).astype(np.int32)
    tones = dice.grains(64, 64).astype(np.float32) / 127.5 - 1
    lengths = np.floor(away * 0.8 + (number % 7) * 0.37).astype(np.int32)
    tone = tones[number % 64, lengths % 64] * 16 + _grain(dice, right, away, 260, 16) * 10
    seam = (board - number < 0.035) | (board - number > 0.985)
    floor = paint(height, WIDTH, dice.pick(WOODS)) + tone[:, :, np.newaxis]
    floor[seam] *= 0.62
    return floor


def _checker(dice: Dice, height: int) -> np.ndarray:
    right, away = _perspective(dice, height)
    edge = dice.share(0.25, 0.6)
    odd = (np.floor(right / edge) + np.floor(away / edge)).astype(np.int32) % 2
    light, dark = dice.pick(TILES)
    floor = np.array([light, dark], np.float32)[odd]
    return floor + (_grain(dice, right, away, 200, 140) * 5 + cloud(dice, height, WIDTH, 70) * 8)[:, :, np.newaxis]


def _cloth(dice: Dice, height: int) -> np.ndarray:
    right, away = _perspective(dice, height)
    color = dice.pick(CLOTHS)
    weave = _grain(dice, right, away, 300, 200) * dice.between(6, 16) + cloud(dice, height, WIDTH, 120) * 10
    cloth = paint(height, WIDTH, color) + weave[:, :, np.newaxis]
    if dice.chance(50):
        band = right / dice.share(0.3, 0.8)
        cloth[band - np.floor(band) < 0.3] += dice.pick((-24, 26))
    return cloth


def _concrete(dice: Dice, height: int) -> np.ndarray:
    right, away = _perspective(dice, height)
    floor = paint(height, WIDTH, dice.pick(((142, 140, 136), (98, 98, 100), (176, 170, 162), (74, 76, 82))))
    speckle = _grain(dice, right, away, 320, 220) * 15 + cloud(dice, height, WIDTH, 60) * 9
    return floor + speckle[:, :, np.newaxis]


def _grass(dice: Dice, height: int) -> np.ndarray:
    right, away = _perspective(dice, height)
    blades = _grain(dice, right, away, 320, 110) * 30 + cloud(dice, height, WIDTH, 70) * 14
    return paint(height, WIDTH, dice.pick(((88, 126, 58), (112, 132, 66), (70, 110, 64)))) + blades[:, :, np.newaxis]


def _sand(dice: Dice, height: int) -> np.ndarray:
    right, away = _perspective(dice, height)
    ripple = _grain(dice, right, away, 14, 60) * 9 + _grain(dice, right, away, 320, 220) * 9
    return paint(height, WIDTH, dice.pick(((214, 192, 152), (196, 174, 140)))) + ripple[:, :, np.newaxis]


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
