"""An engine against the reference: what is alike, what is excused, what fails; and mAP without COCO's code."""

import numpy as np
import pytest

from stages.detect.description import Description
from stages.jetson import parity, precision
from stages.jetson.parity import DriftLimits, EngineComparison
from stages.jetson.samples import Boxes, ReferenceSample
from stages.job import StageFailed
from stages.train import coco

DESCRIBED = Description(
    path="model.json", classes=["background", "cone", "ball"], height=300, width=300, scale=1.0, offset=0.0,
    swapped=False, outputs=["NMS", "NMS_1"], nms={"nmsThreshold": 0.6, "keepTopK": 100},
)  # fmt: skip
LIMITS = DriftLimits(least_iou=0.9, largest_score_difference=0.05, largest_map_loss=0.02)


def boxes(*rows):
    """Rows of class, score, xmin, ymin, xmax, ymax."""
    held = np.array(rows, float).reshape(-1, 6)
    return Boxes(held[:, 0].astype(np.int64), held[:, 1], held[:, 2:])


def compared(reference, engine, truth=None, most=100):
    described = DESCRIBED._replace(nms=dict(DESCRIBED.nms, keepTopK=most))
    comparison = EngineComparison(described, LIMITS, 0.5)
    comparison.add(ReferenceSample("samples/00.png", "", reference, truth), engine)
    return comparison.report()


A = (1, 0.9, 0.1, 0.1, 0.5, 0.5)


def test_the_same_is_the_same():
    report = compared(boxes(A), boxes(A), truth=boxes(A))
    assert (report["matched"], report["min_iou"], report["max_score_diff"]) == (1, 1.0, 0.0)
    assert report["mAP@0.5"] == {"reference": 1.0, "engine": 1.0} and report["failures"] == []
    parity.check(report)
    assert compared(boxes(A), boxes(A))["mAP@0.5"] is None


def test_figures_of_what_differs_within_the_limits():
    report = compared(
        boxes(A, (2, 0.6, 0.6, 0.6, 0.9, 0.9)), boxes((2, 0.61, 0.6, 0.6, 0.9, 0.9), (1, 0.88, 0.1, 0.1, 0.5, 0.51))
    )
    assert report["matched"] == 2 and report["min_iou"] == pytest.approx(40 / 41, abs=1e-5)
    assert report["max_score_diff"] == pytest.approx(0.02) and report["mean_score_diff"] == pytest.approx(0.015)
    parity.check(report)


@pytest.mark.parametrize(
    "engine, told",
    [
        ([(1, 0.9, 0.1, 0.1, 0.5, 0.56)], "samples/00.png a cone of score 0.90 overlaps the reference's by 0.870 only"),
        ([(1, 0.8, 0.1, 0.1, 0.5, 0.5)], "a cone of score 0.90 has a score that differs by 0.100"),
        ([], "a cone of score 0.90 is not found by the engine"),
        ([(2, 0.9, 0.1, 0.1, 0.5, 0.5)], "a cone of score 0.90 is not found by the engine and 1 more"),
        ([A, (2, 0.7, 0.6, 0.6, 0.9, 0.9)], "a ball of score 0.70 is found by the engine only"),
    ],
)
def test_what_differs_by_more_fails_with_picture_class_and_figures(engine, told):
    with pytest.raises(StageFailed, match=told):
        parity.check(compared(boxes(A), boxes(*engine)))


@pytest.mark.parametrize(
    "reference, engine, reason",
    [
        ([(1, 0.54, 0.1, 0.1, 0.5, 0.5)], [], "score at the threshold"),
        ([], [(1, 0.54, 0.1, 0.1, 0.5, 0.5)], "score at the threshold"),
        # A box that overlaps another by 0.62 is suppressed by the one side and kept by the other.
        ([A, (1, 0.8, 0.1, 0.1, 0.5, 0.348)], [A], "overlap at the suppression threshold"),
        ([(1, 0.9, 0.1, 0.0, 0.5, 0.0)], [], "no area inside the picture"),
        ([(1, 0.9, 0.1, 0.0, 0.5, 0.003)], [(1, 0.9, 0.1, 0.0, 0.5, 0.0015)], "box cut to a sliver"),
    ],
)
def test_what_rounding_alone_can_change_is_excused(reference, engine, reason):
    report = compared(boxes(*reference), boxes(*engine))
    assert report["failures"] == [] and report["excused"] == {reason: 1}
    parity.check(report)


def test_the_end_of_a_full_list_may_be_another():
    last, other = (1, 0.7, 0.6, 0.6, 0.9, 0.9), (2, 0.69, 0.1, 0.6, 0.3, 0.9)
    assert compared(boxes(A, last), boxes(A, other), most=2)["excused"] == {"end of a full list": 2}
    assert compared(boxes(A, last), boxes(A, other), most=3)["failure_count"] == 2


def test_below_the_threshold_nothing_is_looked_for():
    assert compared(boxes((1, 0.3, 0.1, 0.1, 0.5, 0.5)), boxes())["failures"] == []


def test_a_loss_of_precision_fails():
    truth = boxes((1, 1, 0.1, 0.1, 0.5, 0.5), (2, 1, 0.5, 0.5, 0.9, 0.9))
    reference = boxes(A, (2, 0.45, 0.5, 0.5, 0.9, 0.9))
    with pytest.raises(StageFailed, match=r"mAP@0.5 0.500 instead of 1.000.*largest_map_loss"):
        parity.check(compared(reference, boxes(A), truth=truth))


def test_each_box_is_in_one_pair():
    twice = boxes(A, (1, 0.8, 0.1, 0.1, 0.5, 0.48))
    pairs = parity.matched(twice, boxes(A, (1, 0.8, 0.1, 0.1, 0.5, 0.47)))
    assert sorted((one.reference, one.engine) for one in pairs) == [(0, 0), (1, 1)]


@pytest.mark.parametrize("seed", range(6))
def test_precision_is_cocos(seed):
    random = np.random.RandomState(seed)
    known, results = [], []
    for _ in range(5):
        truth, found = (some(random, count) for count in (random.randint(0, 8), random.randint(0, 30)))
        near = min(len(truth.classes), len(found.classes))
        found.edges[:near] = truth.edges[:near] + random.uniform(-0.03, 0.03, (near, 4))
        found.classes[:near] = truth.classes[:near]
        known.append((found, truth))
        swapped = [one[:, [1, 0, 3, 2]] for one in (found.edges, truth.edges)]
        results.append(coco.Result(swapped[0], found.scores, found.classes, swapped[1], truth.classes))
    wanted = coco.metrics(results, ["cone", "ball"])["mAP@0.5"]
    assert precision.mean_average(known) == pytest.approx(wanted, abs=1e-9)


def some(random, count):
    low = random.uniform(0, 0.7, (count, 2))
    edges = np.concatenate([low, low + random.uniform(0.05, 0.3, (count, 2))], axis=1)
    return Boxes(random.randint(1, 3, count), random.permutation(count) / 40 + 0.1, edges)
