"""Stage: the demo's dataset, photo-like pictures of cones, balls and mugs with VOC XML.

A picture depends only on the seed and its number, and comes out with the same bytes on every machine.
"""

import os
from functools import partial
from typing import Dict, List, NamedTuple, Tuple

import cv2
import numpy as np

from stages import disk, pixels, workers
from stages.demo import backgrounds, drawing_tools, objects, voc_writer
from stages.demo.drawing_tools import Rng, soften
from stages.job import BadInput, Job, run
from stages.parameters import RenderParameters

HEIGHT, WIDTH = 2 * backgrounds.HEIGHT, 2 * backgrounds.WIDTH
SMALLEST, LARGEST = 250, 600  # an object's longer side in pixels
JPEG_QUALITY = 90
Box = Tuple[int, int, int, int]


class SceneObject(NamedTuple):
    """An object in the scene: ``box`` is (xmin, ymin, xmax, ymax), whole pixels, maximum excluded."""

    name: str
    box: Box
    colors: np.ndarray
    mask: np.ndarray


def picture(seed: int, number: int) -> Tuple[np.ndarray, List[SceneObject]]:
    """Picture ``number`` (from 1) of the demo: uint8 RGB [1080, 1920, 3], and the objects on it, the farthest first."""
    rng = Rng(seed % 2**32, seed // 2**32 % 2**32, number)
    background = backgrounds.random_background(rng)
    side = rng.pick((-1, 1))
    light = objects.unit((side * rng.share(0.3, 0.7), -0.65, rng.share(0.5, 0.8)))
    group = sorted(_arranged(rng, light, 2 * background.ground), key=lambda one: one.box[3])
    for one in group:
        _cast_shadow(background.picture, one.box, side)
    canvas = backgrounds.enlarged(background.picture)
    for one in group:
        left, top, _, _ = one.box
        drawing_tools.blend(canvas, soften(one.colors, 1), soften(one.mask, 1), left, top)
    return _photographed(rng, canvas), group


def _arranged(rng: Rng, light: objects.Light, ground: int) -> List[SceneObject]:
    """One to three objects on the ground, the farther the smaller, with little overlap."""
    group: List[SceneObject] = []
    for _ in range(rng.pick((1, 2, 2, 2, 3, 3))):
        name = rng.pick(tuple(objects.CLASSES))
        near = rng.share(0, 1)
        size = SMALLEST + 10 + int((LARGEST - SMALLEST - 20) * near * rng.share(0.85, 1))
        colors, mask = _cropped(*objects.CLASSES[name](rng, size, light))
        for _ in range(12):  # as many tries to find a free spot
            x = rng.between(10, WIDTH - 10 - mask.shape[1])
            low = min(ground + 90 + int((HEIGHT - 20 - ground - 90) * near) + rng.between(-25, 25), HEIGHT - 10)
            box = (x, low - mask.shape[0], x + mask.shape[1], low)
            if box[1] >= 5 and all(_shared(box, other.box) < 0.06 for other in group):
                group.append(SceneObject(name, box, colors, mask))
                break
    return group


def _cropped(colors: np.ndarray, inside: np.ndarray) -> objects.Drawing:
    """The drawing cut to its silhouette, which becomes a mask of 0 and 255."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    area = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return colors[area], inside[area].astype(np.uint8) * 255


def _shared(a: Box, b: Box) -> float:
    """The common area of two boxes as a share of the smaller one."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(wide, 0) * max(high, 0) / smaller


def _cast_shadow(half_size: np.ndarray, box: Box, side: int) -> None:
    """A wide soft shadow away from the lamp and a dark one where the object touches the ground."""
    left, _, right, low = (value / 2 for value in box)
    wide, middle = right - left, (left + right) / 2
    backgrounds.shadow(half_size, (middle - side * wide * 0.28, low - wide * 0.07), (wide * 0.85, wide * 0.22), 0.42)
    backgrounds.shadow(half_size, (middle - side * wide * 0.05, low - wide * 0.05), (wide * 0.56, wide * 0.13), 0.6)


def _photographed(rng: Rng, canvas: np.ndarray) -> np.ndarray:
    """The scene as a camera gives it: white balance, exposure, a little softness and noise."""
    exposure, warmth = rng.share(0.86, 1.12), rng.share(-0.05, 0.05)
    ramp = np.arange(256, dtype=np.float32)
    curves = np.stack([ramp * exposure * (1 + warmth), ramp * exposure, ramp * exposure * (1 - warmth)], axis=1)
    shot = cv2.LUT(canvas, drawing_tools.to_bytes(curves)[np.newaxis])
    noise = rng.grains(HEIGHT, WIDTH) // rng.between(18, 40)
    shot = cv2.add(shot, cv2.merge([noise] * 3))
    return soften(shot, rng.pick((0, 0, 1, 2)))


def name_of(number: int) -> str:
    return "demo-%04d" % number


def make(output: str, seed: int, number: int) -> Dict[str, int]:
    """Write picture ``number`` and its XML under ``output``; returns how many of each class it shows."""
    shot, group = picture(seed, number)
    photo = os.path.join(output, "JPEGImages", name_of(number) + ".jpg")
    disk.write(photo, pixels.encode_jpeg(shot, JPEG_QUALITY))
    xml = voc_writer.annotation(os.path.basename(photo), WIDTH, HEIGHT, [(one.name, one.box) for one in group])
    disk.write(os.path.join(output, "Annotations", name_of(number) + ".xml"), xml)
    return {name: sum(one.name == name for one in group) for name in objects.CLASSES}


def main(job: Job) -> None:
    """Render ``pictures`` pictures from ``seed``."""
    parameters = job.read(RenderParameters)
    total = parameters.pictures
    if total < 1:
        raise BadInput("dataset.rendered_pictures is %d: ask for at least 1." % total)
    boxes = dict.fromkeys(objects.CLASSES, 0)
    render_one = partial(make, job.output, parameters.seed)
    for done, counts in enumerate(workers.in_order(render_one, range(1, total + 1), job.cpus), 1):
        boxes = {name: boxes[name] + counts[name] for name in boxes}
        job.progress(done, total, name_of(done))
    job.metrics(images=total, boxes=sum(boxes.values()), **boxes)


if __name__ == "__main__":
    run(main)
