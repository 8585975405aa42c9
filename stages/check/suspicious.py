"""Boxes that are probably not what somebody meant to draw, by rules that look at nothing but boxes."""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Set, Tuple

import numpy as np

from stages.check.dataset import CheckedData, Pictures

SHOWN, LISTED = 8, 100  # of a kind: on the page, in health.json
TINY = 8.0  # pixels of the network's input, the root of the area
WHOLE = 0.95  # share of the picture
EDGE = 0.005  # how near to the picture's edge touches it, as a share
DOUBLE, OTHER_CLASS = 0.8, 0.9  # IoU
CROWD = 100  # boxes: object_detection's max_total_detections, and COCO's, is no more
EXTREME_RATIO = 10.0
# An outlier of a class lies so many deviations (1.4826 times the median absolute one, as of a normal distribution) from
# the class's median, and differs from it by so many times; both of the logarithm, of classes of so many boxes.
DEVIATIONS, NORMAL, RATIO_TIMES, AREA_TIMES, LEAST_OF_CLASS = 4.0, 1.4826, 3.0, 16.0, 30


class SuspiciousKind(NamedTuple):
    """A kind of suspicion.

    Attributes:
        kind: its name in health.json.
        title: of its card.
        about: what it may be, and what to do.
        boxes: int64 [k], the most suspicious first; of a pair, the later box.
        partners: int64 [k], the other box of each pair; -1 where there is none.
        words: what is said of each.
    """

    kind: str
    title: str
    about: str
    boxes: np.ndarray
    partners: np.ndarray
    words: Callable[[int], str]


class BoxTable(NamedTuple):
    """What suspicions are about; rows belong to boxes."""

    pictures: Pictures
    sides: np.ndarray  # float64 [m, 2], height and width in pixels of the network's input
    shapes: np.ndarray  # float64 [m], width over height, as on the photo


def boxes_of(data: CheckedData, sides: np.ndarray) -> BoxTable:
    """The boxes of a dataset; ``sides`` are theirs in pixels of the network's input."""
    pictures = data.pictures
    extent = (pictures.boxes[:, 2:] - pictures.boxes[:, :2]) * pictures.sizes[pictures.owner][:, ::-1]
    return BoxTable(pictures, sides, extent[:, 1] / np.maximum(extent[:, 0], 1e-9))


def find(boxes: BoxTable) -> List[SuspiciousKind]:
    """Every kind that some box is of, the gravest first."""
    first, second, ious = overlapping(boxes.pictures, DOUBLE)
    same = boxes.pictures.classes[first] == boxes.pictures.classes[second]
    kinds = (
        _double(first[same], second[same], ious[same]),
        _of_two_classes(first, second, ious, ~same & (ious > OTHER_CLASS)),
        _whole(boxes),
        _odd_area(boxes),
        _odd_shape(boxes),
        _extreme_shape(boxes),
        _tiny(boxes),
        _crowded(boxes),
    )
    return [kind for kind in kinds if len(kind.boxes)]


def overlapping(pictures: Pictures, least: float) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of boxes of one picture with an IoU above ``least``: int64 [k], int64 [k], float64 [k].

    Every box is compared with the next one of its picture, then with the one after that, and so on, all pictures at a
    time: as many steps as the fullest picture has boxes, and memory for no more than one comparison a box.
    """
    end = pictures.first[pictures.owner + 1]
    places, step = np.arange(len(pictures.boxes)), 0
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    while True:
        step += 1
        places = places[places + step < end[places]]
        if not len(places):
            break
        ious = _iou(pictures.boxes[places], pictures.boxes[places + step])
        chosen = ious > least
        found.append((places[chosen], places[chosen] + step, ious[chosen]))
    first, second, ious = (np.concatenate(column) for column in zip(*found))
    order = np.lexsort((first, -ious))
    return first[order], second[order], ious[order]


def _iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    common = np.maximum(np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2]), 0).prod(axis=1)
    union = (one[:, 2:] - one[:, :2]).prod(axis=1) + (other[:, 2:] - other[:, :2]).prod(axis=1) - common
    return np.asarray(common / np.where(union > 0, union, 1))


def _double(first: np.ndarray, second: np.ndarray, ious: np.ndarray) -> SuspiciousKind:
    return SuspiciousKind(
        "double",
        "Labelled twice",
        "Two boxes of one class on the same thing (IoU above %.1f). Remove one of each pair." % DOUBLE,
        second,
        first,
        lambda place: "IoU %.2f with another box of its class" % ious[place],
    )


def _of_two_classes(first: np.ndarray, second: np.ndarray, ious: np.ndarray, chosen: np.ndarray) -> SuspiciousKind:
    ious = ious[chosen]
    return SuspiciousKind(
        "two_classes",
        "One thing, two classes",
        "Boxes of two classes on the same thing (IoU above %.1f): the detector is told that it is both."
        " Decide for one class." % OTHER_CLASS,
        second[chosen],
        first[chosen],
        lambda place: "IoU %.2f with a box of another class" % ious[place],
    )


def _single(
    kind: str, title: str, about: str, chosen: np.ndarray, badness: np.ndarray, words: Callable[[float], str]
) -> SuspiciousKind:
    """The boxes where ``chosen`` (bool [m]) holds, those of the greatest ``badness`` (float64 [m], of any sign) first;
    ``words`` tell it."""
    places = np.flatnonzero(chosen)
    places = places[np.lexsort((places, -np.abs(badness[places])))]
    return SuspiciousKind(
        kind, title, about, places, np.full(len(places), -1), lambda place: words(float(badness[places[place]]))
    )


def _whole(boxes: BoxTable) -> SuspiciousKind:
    shape = boxes.pictures.boxes
    area = (shape[:, 2:] - shape[:, :2]).prod(axis=1)
    touches = (shape[:, :2] <= EDGE).all(axis=1) & (shape[:, 2:] >= 1 - EDGE).all(axis=1)
    return _single(
        "whole_picture",
        "The whole picture",
        "The box covers the picture, or touches all of its edges: a label for the picture, not for a thing in it?"
        " Draw the box around the thing, or leave it if it is that near.",
        touches | (area > WHOLE),
        100 * area,
        lambda share: "covers %.0f%% of the picture" % share,
    )


def _odd_area(boxes: BoxTable) -> SuspiciousKind:
    area = (boxes.pictures.boxes[:, 2:] - boxes.pictures.boxes[:, :2]).prod(axis=1)
    away, odd = _outliers(boxes, area, AREA_TIMES)
    return _single(
        "odd_area",
        "Far larger or smaller than others of their class",
        "A slip of the mouse, or another class? Look whether box and class are right.",
        odd,
        away,
        lambda log: "%.0f times %s in area than its class" % (np.exp(abs(log)), "larger" if log > 0 else "smaller"),
    )


def _odd_shape(boxes: BoxTable) -> SuspiciousKind:
    away, odd = _outliers(boxes, boxes.shapes, RATIO_TIMES)
    return _single(
        "odd_shape",
        "Another shape than others of their class",
        "A slip of the mouse, a group in one box, or a thing cut off? Look whether the box is right.",
        odd,
        away,
        lambda log: "%.1f times %s than its class" % (np.exp(abs(log)), "wider" if log > 0 else "narrower"),
    )


def _extreme_shape(boxes: BoxTable) -> SuspiciousKind:
    times = np.maximum(boxes.shapes, 1 / np.maximum(boxes.shapes, 1e-9))
    return _single(
        "extreme_shape",
        "Extremely long or thin",
        "More than %.0f times as long as wide: no anchor has that shape, so it is hardly learned."
        " Split it into several boxes, or leave such things out." % EXTREME_RATIO,
        times > EXTREME_RATIO,
        times,
        lambda times: "%.0f times as long as wide" % times,
    )


def _tiny(boxes: BoxTable) -> SuspiciousKind:
    extent = np.sqrt(boxes.sides.prod(axis=1))
    return _single(
        "tiny",
        "Tiny for the network",
        "Under %.0f pixels at the size that the network sees: there is little left to recognise."
        " Raise model.input_size, cut the photos into tiles, or leave such boxes out." % TINY,
        extent < TINY,
        TINY - extent,
        lambda less: "%.1f pixels wide and high for the network" % (TINY - less),
    )


def _crowded(boxes: BoxTable) -> SuspiciousKind:
    counts = boxes.pictures.counts()
    first = np.minimum(boxes.pictures.first[:-1], max(0, len(boxes.pictures.boxes) - 1))
    crowded = np.zeros(len(boxes.pictures.boxes), bool)
    crowded[first[counts > CROWD]] = True
    return _single(
        "crowded",
        "More boxes than can be found",
        "A picture with more than %d boxes: a detection lists no more (export.max_detections), so the rest cannot be"
        " found. Cut such photos into tiles, or raise it." % CROWD,
        crowded,
        counts[boxes.pictures.owner].astype(np.float64),
        lambda count: "one of %.0f boxes of its picture" % count,
    )


def _outliers(boxes: BoxTable, values: np.ndarray, least_times: float) -> Tuple[np.ndarray, np.ndarray]:
    """The logarithm of each value over its class's median, and whether that is odd for the class."""
    logarithms = np.log(np.maximum(values, 1e-12))
    away, odd = np.zeros(len(values)), np.zeros(len(values), bool)
    for class_id in np.unique(boxes.pictures.classes):
        mine = np.flatnonzero(boxes.pictures.classes == class_id)
        away[mine] = logarithms[mine] - np.median(logarithms[mine])
        limit = max(DEVIATIONS * NORMAL * float(np.median(np.abs(away[mine]))), np.log(least_times))
        odd[mine] = (np.abs(away[mine]) > limit) & (len(mine) >= LEAST_OF_CLASS)
    return away, odd


def figures(data: CheckedData, found: List[SuspiciousKind]) -> List[Dict[str, Any]]:
    """What the page and health.json say: per kind ``count`` and the first ``boxes``, each with its picture."""
    return [
        {
            "kind": kind.kind,
            "title": kind.title,
            "about": kind.about,
            "count": len(kind.boxes),
            "boxes": [_told(data, kind, place) for place in range(min(LISTED, len(kind.boxes)))],
        }
        for kind in found
    ]


def _told(data: CheckedData, kind: SuspiciousKind, place: int) -> Dict[str, Any]:
    box = int(kind.boxes[place])
    return {**told(data, box), "why": kind.words(place)}


def told(data: CheckedData, box: int) -> Dict[str, Any]:
    """A box: its ``picture``, ``number`` in it, from 1, ``class``, and ``box`` [ymin, xmin, ymax, xmax] as shares."""
    pictures = data.pictures
    owner = int(pictures.owner[box])
    return {
        "picture": data.told(owner),
        "number": int(box - pictures.first[owner]) + 1,
        "class": data.classes[pictures.classes[box] - 1],
        "box": [round(edge, 5) for edge in pictures.boxes[box].tolist()],
    }


def to_show(kind: SuspiciousKind, pictures: Pictures) -> Iterator[int]:
    """Places in ``kind.boxes`` of those that the page shows: the most suspicious, one of a picture."""
    seen: Set[int] = set()
    for place, box in enumerate(kind.boxes[:LISTED].tolist()):
        if pictures.owner[box] not in seen and len(seen) < SHOWN:
            seen.add(pictures.owner[box])
            yield place
