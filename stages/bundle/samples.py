"""Which pictures travel with the model: few, and of every class and size that there is."""

import heapq
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

import numpy as np

from stages import pixels
from stages.detect.pictures import Picture

# Sides of a box in pixels of the network's input that part small from medium and medium from large, as COCO has them.
SIZES = (32, 96)
Kind = Tuple[int, int]


class ChosenSample(NamedTuple):
    """A picture at the network's size.

    Attributes:
        source: the photo that it was made of, or what else it is.
        pixels: uint8 RGB [height, width, 3].
        truth: ``{"class_id", "box"}``, box [xmin, ymin, xmax, ymax] in its pixels; None where nobody knows.
    """

    source: str
    pixels: np.ndarray
    truth: Optional[List[Dict[str, Any]]]


def chosen(pictures: List[Picture], count: int, height: int, width: int) -> List[Picture]:
    """``count`` of them at most, in their order: one after the other that which shows most of what was shown least.

    What a picture shows is its classes, each small, medium or large at [height, width]; or nothing, which counts as
    well: a detector must find nothing there.
    """
    shows = [_kinds(picture, height, width) for picture in pictures]
    times: Dict[Kind, int] = {}

    def worth(number: int) -> float:
        return sum(1.0 / (1 + times.get(kind, 0)) for kind in shows[number])

    # A picture's worth only sinks, so the best of yesterday that is still worth as much is the best.
    waiting = [(-worth(number), number) for number in range(len(pictures))]
    heapq.heapify(waiting)
    taken: List[int] = []
    while waiting and len(taken) < count:
        before, number = heapq.heappop(waiting)
        now = -worth(number)
        if now > before and waiting and (now, number) > waiting[0]:
            heapq.heappush(waiting, (now, number))
            continue
        taken.append(number)
        for kind in shows[number]:
            times[kind] = times.get(kind, 0) + 1
    return [pictures[number] for number in sorted(taken)]


def _kinds(picture: Picture, height: int, width: int) -> FrozenSet[Kind]:
    if not picture.truth:
        return frozenset([(0, 0)])
    found = set()
    for box in _scaled(picture, height, width):
        xmin, ymin, xmax, ymax = box["box"]
        side = (max(xmax - xmin, 0) * max(ymax - ymin, 0)) ** 0.5
        found.add((int(box["class_id"]), sum(side >= edge for edge in SIZES)))
    return frozenset(found)


def of(picture: Picture, height: int, width: int) -> ChosenSample:
    """The picture at the network's size; a record that was made for it is taken as it is.

    Raises:
        BadInput: the record cannot be read.
    """
    return ChosenSample(picture.name, picture.load((height, width)).picture, _scaled(picture, height, width))


def _scaled(picture: Picture, height: int, width: int) -> List[Dict[str, Any]]:
    """The truth of a record in pixels of [height, width]."""
    down, across = height / (picture.size or [height, width])[0], width / (picture.size or [height, width])[1]
    return [
        dict(box, box=[round(edge * scale, 2) for edge, scale in zip(box["box"], (across, down, across, down))])
        for box in picture.truth or []
    ]


def made(count: int, height: int, width: int) -> List[ChosenSample]:
    """Seeded pictures, for a model that came without records: coarse patches of colour with fine noise on them."""
    found = []
    for seed in range(count):
        random = np.random.RandomState(seed)
        patches = random.randint(0, 256, (2 + seed % 9, 2 + seed % 7, 3)).astype(np.uint8)
        fine = random.randint(-32, 32, (height, width, 3))
        picture = np.clip(pixels.resize(patches, height, width) + fine, 0, 255).astype(np.uint8)
        found.append(ChosenSample("made, seed %d" % seed, picture, None))
    return found
