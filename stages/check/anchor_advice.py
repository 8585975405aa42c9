"""Anchors fitted to the boxes, that `convert` can still turn into GridAnchor_TRT's parameters.

What that plugin makes (stages/convert/graph/grid_anchor.py): evenly spaced scales, one list of aspect ratios for all
layers that begins 1, 2, 0.5, and the reduced lowest layer. So what can be fitted are min_scale, max_scale and the
further ratios. Their number stays, so that the network has as many anchors, and is as fast, as before.
"""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from stages import anchor_grids
from stages.anchor_grids import AnchorGrid, Size, SsdAnchors
from stages.check import anchor_match
from stages.check.model_anchors import ModelAnchors

FIRST_RATIOS = (1.0, 2.0, 0.5)
MOST_FURTHER = 5
SAMPLE = 20000  # boxes that the search looks at
LEAST_BOXES = 20  # to train on, under which a fit means nothing
LEAST_UNSEEN = 50  # boxes that the search has not seen, under which those that it has are the measure
WORTH_RECALL, WORTH_MEAN = 0.02, 0.03  # gains from which the advice is given
MIN_SCALES = tuple(round(0.025 * step, 3) for step in range(1, 25))
MAX_SCALES = tuple(round(0.05 * step, 2) for step in range(5, 21))
RATIOS = (0.1, 0.125, 0.15, 0.2, 0.25, 0.3333, 0.4, 0.6667, 0.75, 1.3333, 1.5, 2.5, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0)
ROUNDS = 6
CLUSTER_STEPS = 30


class Fitted(NamedTuple):
    """Anchors, and the grids that they make of a model."""

    anchors: SsdAnchors
    grids: List[AnchorGrid]


def advise(model: ModelAnchors, boxes: np.ndarray, training: np.ndarray, now: np.ndarray) -> Optional[Dict[str, Any]]:
    """The anchors that meet the boxes to train on best, and what they would change; None where there is nothing to fit.

    Args:
        boxes: float64 [m, 4].
        training: bool [m], which of them are trained on; the search sees no other.
        now: float64 [m], the best IoU of each box with the present anchors.

    Returns:
        ``worth``: whether it changes enough; ``text``, for a pipeline.config; ``sizes`` of its anchors in
        pixels, layer by layer; ``now`` and ``then``: figures of the boxes in ``train`` and of the ``unseen`` ones, as
        ``anchor_match.summary`` has them; ``measured_on``: which of the two decide.
    """
    if not isinstance(model.anchors, SsdAnchors) or training.sum() < LEAST_BOXES or len(model.maps) < 2:
        return None
    fitted = _fit(model, boxes[training])
    then = anchor_grids.best_iou(fitted.grids, boxes)
    figures = {
        when: {"train": anchor_match.summary(ious[training]), "unseen": anchor_match.summary(ious[~training])}
        for when, ious in (("now", now), ("then", then))
    }
    measured_on = "unseen" if (~training).sum() >= LEAST_UNSEEN else "train"
    before, after = figures["now"][measured_on], figures["then"][measured_on]
    recall, mean = round(after["recall"] - before["recall"], 4), round(after["mean"] - before["mean"], 4)
    return {
        "worth": recall >= WORTH_RECALL or (mean >= WORTH_MEAN and recall >= 0),
        "gain": {"recall": recall, "mean": mean},
        "measured_on": measured_on,
        "text": fitted.anchors.text(),
        "min_scale": fitted.anchors.min_scale,
        "max_scale": fitted.anchors.max_scale,
        "aspect_ratios": list(fitted.anchors.aspect_ratios),
        "sizes": [anchor_match.sizes_in_pixels(grid, model) for grid in fitted.grids],
        "histogram": np.histogram(then, anchor_match.EDGES, (0, 1))[0].tolist(),
        **figures,
    }


def _fit(model: ModelAnchors, boxes: np.ndarray) -> Fitted:
    """The best that coordinate descent finds from two beginnings: the present anchors, and the data's own clusters."""
    sample = boxes[np.unique(np.linspace(0, len(boxes) - 1, SAMPLE).astype(np.int64))]
    assert isinstance(model.anchors, SsdAnchors)  # noqa: S101 - advise has looked
    further = max(0, min(len(model.anchors.aspect_ratios) - len(FIRST_RATIOS), MOST_FURTHER))
    layers = len(model.maps)
    search = _AnchorSearch(model.maps, model.input_size, sample)
    present = [ratio for ratio in model.anchors.aspect_ratios if ratio not in FIRST_RATIOS][:further]
    present += [ratio for ratio in (3.0, 0.3333, *RATIOS) if ratio not in present][: further - len(present)]
    scales = (model.anchors.min_scale, model.anchors.max_scale)
    beginnings = [SsdAnchors(layers, *scales, FIRST_RATIOS + tuple(present))]
    beginnings.append(_clustered(model.input_size, sample, layers, further))
    found = [search.descend(anchors) for anchors in beginnings if anchors.min_scale < anchors.max_scale]
    return max(found, key=lambda fitted: search.worth(fitted.anchors))


class _AnchorSearch:
    """Coordinate descent over scales and ratios, on boxes whose distances to the grids' centres are known."""

    def __init__(self, maps: List[Size], input_size: Size, boxes: np.ndarray) -> None:
        self._maps, self._input_size, self._boxes = maps, input_size, boxes
        self._away = anchor_grids.distances(self._grids(SsdAnchors(len(maps))), boxes)
        self._known: Dict[SsdAnchors, float] = {}

    def worth(self, anchors: SsdAnchors) -> float:
        """What is made as great as can be: the share of boxes at 0.5 and above, plus the mean best IoU."""
        if anchors not in self._known:
            ious = anchor_grids.best_at(self._grids(anchors), self._away, self._boxes)
            self._known[anchors] = round(float((ious >= anchor_match.MATCHED).mean() + ious.mean()), 6)
        return self._known[anchors]

    def descend(self, anchors: SsdAnchors) -> Fitted:
        """Change one number at a time to the best of its values, until none gets better."""
        for _ in range(ROUNDS):
            before = anchors
            for key in range(2 + len(anchors.aspect_ratios) - len(FIRST_RATIOS)):
                anchors = max([anchors, *_neighbours(anchors, key)], key=self.worth)
            if anchors == before:
                break
        return Fitted(anchors, self._grids(anchors))

    def _grids(self, anchors: SsdAnchors) -> List[AnchorGrid]:
        return anchors.grids(self._maps, self._input_size)


def _neighbours(anchors: SsdAnchors, key: int) -> Iterator[SsdAnchors]:
    """``anchors`` with another value of one number: 0 the smallest scale, 1 the largest, from 2 the further ratios."""
    if key == 0:
        yield from (anchors._replace(min_scale=scale) for scale in MIN_SCALES if scale < anchors.max_scale)
    elif key == 1:
        yield from (anchors._replace(max_scale=scale) for scale in MAX_SCALES if scale > anchors.min_scale)
    else:
        place = len(FIRST_RATIOS) + key - 2
        for ratio in RATIOS:
            if ratio not in anchors.aspect_ratios:
                ratios = anchors.aspect_ratios[:place] + (ratio,) + anchors.aspect_ratios[place + 1 :]
                yield anchors._replace(aspect_ratios=ratios)


def _clustered(input_size: Size, boxes: np.ndarray, layers: int, further: int) -> SsdAnchors:
    """Where the data's own sizes and shapes would begin: their 5th and 95th percentile, and clusters of shapes."""
    sides = (boxes[:, 2:] - boxes[:, :2]) * np.array(input_size)
    extents = np.sqrt(sides.prod(axis=1)) / min(input_size)
    low, high = np.percentile(extents, (5, 95))
    shapes = [_nearest(RATIOS, width / height) for height, width in cluster_shapes(sides, further + len(FIRST_RATIOS))]
    chosen: List[float] = []
    for ratio in [*shapes, 3.0, 0.3333, *RATIOS]:
        if ratio not in chosen and len(chosen) < further:
            chosen.append(ratio)
    scales = (_nearest(MIN_SCALES, low), _nearest(MAX_SCALES, high))
    return SsdAnchors(layers, *scales, FIRST_RATIOS + tuple(chosen))


def cluster_shapes(sides: np.ndarray, clusters: int) -> np.ndarray:
    """float64 [clusters, 2]: typical heights and widths of the boxes, the most elongated first.

    k-means with 1 - IoU of boxes on one centre as the distance (Redmon and Farhadi, "YOLO9000", 2017, section 2). It
    begins with boxes that are evenly spaced by their ratios, so it needs no chance.

    Args:
        sides: float64 [n, 2], heights and widths, at least one row.
    """
    sides = np.maximum(sides, 1e-6)
    order = np.argsort(sides[:, 1] / sides[:, 0], kind="stable")
    centres = sides[order[np.linspace(0, len(order) - 1, clusters).astype(np.int64)]]
    for _ in range(CLUSTER_STEPS):
        nearest = _shape_iou(sides, centres).argmax(axis=1)
        members = [sides[nearest == one] for one in range(clusters)]
        moved = np.array([np.median(mine, axis=0) if len(mine) else old for mine, old in zip(members, centres)])
        if np.allclose(moved, centres):
            break
        centres = moved
    return np.asarray(centres[np.argsort(-np.abs(np.log(centres[:, 1] / centres[:, 0])), kind="stable")])


def _shape_iou(sides: np.ndarray, centres: np.ndarray) -> np.ndarray:
    common = np.minimum(sides[:, np.newaxis], centres[np.newaxis]).prod(axis=-1)
    return np.asarray(common / (sides.prod(axis=1)[:, np.newaxis] + centres.prod(axis=1) - common))


def _nearest(values: Tuple[float, ...], value: float) -> float:
    """The one of ``values`` whose ratio to ``value`` is nearest to 1."""
    return min(values, key=lambda one: abs(np.log(one / max(value, 1e-9))))
