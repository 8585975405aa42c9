"""How often patterns of boxes are recognised, and boxes as they should be refused, on simulated datasets.

Makes the table in docs/stages/records.md, "Patterns". Usage, with the data environment's Python, about two minutes:

PYTHONPATH=. python benchmarks/patterns.py
"""

from typing import Callable, Sequence, Tuple

import numpy as np

from stages.data.annotation.frame import Reading
from stages.data.patterns import patterns
from stages.data.patterns.pattern_tallies import Observed, WrittenBox, WrittenPicture

Box = Tuple[float, float, float, float]  # corners, as shares of the picture
SIZES = ((640, 480), (1920, 1080), (480, 640), (300, 300), (1024, 768))
TRIALS = {1: 600, 3: 600, 5: 600, 12: 250, 30: 100, 100: 50}  # pictures in a dataset -> datasets of each scene
Scene = Callable[[np.random.RandomState, Sequence[float]], Box]


def anywhere(random: np.random.RandomState, _place: Sequence[float]) -> Box:
    wide, high = np.exp(random.uniform(np.log(0.03), np.log(0.9), 2))
    return cornered(random.uniform(0, 1 - wide), random.uniform(0, 1 - high), wide, high)


def small(random: np.random.RandomState, _place: Sequence[float]) -> Box:
    wide, high = random.uniform(0.01, 0.08, 2)
    return cornered(random.uniform(0, 1 - wide), random.uniform(0, 1 - high), wide, high)


def one_large(random: np.random.RandomState, _place: Sequence[float]) -> Box:
    wide, high = random.uniform(0.3, 0.95, 2)
    across, down = np.clip(random.normal(0.5, 0.08, 2), [wide / 2, high / 2], [1 - wide / 2, 1 - high / 2])
    return cornered(across - wide / 2, down - high / 2, wide, high)


def face(random: np.random.RandomState, _place: Sequence[float]) -> Box:
    side = random.uniform(0.1, 0.4)
    across = np.clip(random.normal(0.5, 0.12), side / 2, 1 - side / 2)
    down = np.clip(random.normal(0.35, 0.1), side / 2, 1 - side / 2)
    return cornered(across - side / 2, down - side / 2, side, side)


def driving(random: np.random.RandomState, _place: Sequence[float]) -> Box:
    wide, high = random.uniform(0.02, 0.3, 2)
    return cornered(random.uniform(0, 1 - wide), np.clip(random.normal(0.55, 0.05) - high / 2, 0, 1 - high), wide, high)


def fixed_camera(random: np.random.RandomState, place: Sequence[float]) -> Box:
    across, down, wide, high = place
    left, top = np.clip(random.normal([across - wide / 2, down - high / 2], 0.01), 0, [1 - wide, 1 - high])
    return cornered(left, top, wide, high)


OTHERS: Tuple[Scene, ...] = (anywhere, small, face, driving, fixed_camera)
SCENES = (*OTHERS, one_large)


def cornered(left: float, top: float, wide: float, high: float) -> Box:
    return left, top, left + wide, top + high


def written(box: Box, how: str, size: Tuple[int, int], flips: float, random: np.random.RandomState) -> Box:
    """The four numbers that a tool writes, ``how`` it means them."""
    scale = {"relative": (1.0, 1.0), "percent": (100.0, 100.0)}.get(how, size)
    numbers = [float(edge) * scale[place % 2] for place, edge in enumerate(box)]
    left, top, right, bottom = numbers if how in ("relative", "percent") else map(round, numbers)
    if random.rand() < flips:
        left, right = right, left
    if random.rand() < flips:
        top, bottom = bottom, top
    if how == "xywh":
        return left, top, right - left, bottom - top
    if how == "centre":
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    return left, top, right, bottom


def suspicion(scene: Scene, how: str, pictures: int, flips: float, random: np.random.RandomState) -> str:
    """What a simulated dataset is taken for: the value of the key that would read it, ``other``, or empty."""
    observed, size = Observed(), SIZES[random.randint(len(SIZES))]
    place = [*random.uniform(0.1, 0.9, 2), *random.uniform(0.05, 0.2, 2)]
    for number in range(pictures):
        objects = 1 if scene in (one_large, face) else random.randint(1, 6)
        boxes = [written(scene(random, place), how, size, flips, random) for _ in range(objects)]
        lines = [WrittenBox(1, 10, box) for box in boxes]
        observed.add(WrittenPicture(f"{number}.xml", size, size, 1, lines))
    found = next(iter(patterns.suspicions(observed, Reading("auto", "xml"))), None)
    return (found.value or "other") if found else ""


def row(title: str, how: str, wanted: Sequence[str], flips: float = 0.0, scenes: Sequence[Scene] = SCENES) -> str:
    """A row of the table: how often a dataset of so many pictures is taken for one of ``wanted`` (empty: anything)."""
    random, cells = np.random.RandomState(11), []  # type: np.random.RandomState, List[str]
    for pictures, trials in TRIALS.items():
        seen = [suspicion(scene, how, pictures, flips, random) for scene in scenes for _ in range(trials)]
        hits = sum(one in wanted if wanted else one != "" for one in seen)
        cells.append("%.3g %%" % (100 * hits / len(seen)))
    return "| {} | {} |".format(title, " | ".join(cells))


def main() -> None:
    print("| of so many pictures | {} |".format(" | ".join(map(str, TRIALS))))
    print("|---|%s" % ("---|" * len(TRIALS)))
    print(row("corners, refused", "corners", ()))
    print(row("corners, one edge pair in 200 flipped, refused", "corners", (), 0.005))
    print(row("corners, one edge pair in 20 flipped, refused", "corners", (), 0.05))
    print(row("x, y, width, height of several or small objects, recognised", "xywh", ("xywh",), scenes=OTHERS))
    print(row("of one large object in each picture, recognised", "xywh", ("xywh",), scenes=(one_large,)))
    print(row("shares, recognised", "relative", ("relative",)))
    print(row("centre, width, height, refused", "centre", ()))
    print(row("percent, refused", "percent", ()))


if __name__ == "__main__":
    main()
