"""Suppression in numpy gives the rows of the reference's NMS_TRT, ties, NaN and all, in a small part of a frame."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.detect import nms
from stages.reference import plugins

FIELDS = {
    "shareLocation": 1,
    "varianceEncodedInTarget": 0,
    "backgroundLabelId": 0,
    "confidenceThreshold": 0.3,
    "nmsThreshold": 0.6,
    "topK": 100,
    "keepTopK": 20,
    "numClasses": 4,
    "inputOrder": [0, 2, 1],
    "confSigmoid": 1,
    "isNormalized": 1,
    "codeType": 3,
}


def reference(boxes, scores, fields):
    """What NMS_TRT makes of boxes that are decoded already: corners without variances, from priors of nothing."""
    as_they_are = dict(fields, codeType=0, varianceEncodedInTarget=1, confSigmoid=0, numClasses=scores.shape[1])
    priors = np.zeros((1, 2, boxes.size, 1), np.float32)
    found, count = plugins.nms(as_they_are, boxes.reshape(1, -1, 1, 1), priors, scores.reshape(1, -1, 1, 1))
    return found[0, 0, : count.item()]


def scene(seed, priors, classes, steps):
    """Boxes in heaps, some the wrong way round or not a number; scores of few values, so that many are equal."""
    chance = np.random.RandomState(seed)
    centers, sizes = chance.uniform(-0.2, 1.2, (max(priors // 8, 1), 2)), chance.uniform(0.05, 0.5, (priors, 2))
    middles = centers[chance.randint(0, len(centers), priors)] + chance.normal(0, 0.03, (priors, 2))
    boxes = np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)
    boxes[chance.uniform(size=priors) < 0.1] = boxes[0]
    turned = chance.uniform(size=priors) < 0.1
    boxes[turned] = boxes[turned][:, [2, 1, 0, 3]]
    boxes[chance.uniform(size=(priors, 4)) < 0.02] = np.nan
    scores = chance.randint(0, steps + 1, (priors, classes)) / float(steps)
    return boxes.astype(np.float32), scores.astype(np.float32)


@given(
    seed=st.integers(0, 10**6),
    priors=st.integers(1, 90),
    classes=st.integers(1, 6),
    steps=st.sampled_from([1, 3, 10, 1000]),
    threshold=st.sampled_from([0.0, 1e-8, 0.3, 0.9]),
    overlap=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    top=st.integers(1, 90),
    keep=st.integers(1, 60),
    background=st.integers(-1, 6),
    normalized=st.integers(0, 1),
)
def test_rows_are_those_of_the_plugin(
    seed, priors, classes, steps, threshold, overlap, top, keep, background, normalized
):
    boxes, scores = scene(seed, priors, classes, steps)
    top = min(top, priors)
    changed = {"confidenceThreshold": threshold, "nmsThreshold": overlap, "topK": top, "keepTopK": min(keep, top)}
    fields = dict(FIELDS, backgroundLabelId=background, isNormalized=normalized, **changed)
    found = nms.rows(boxes[np.newaxis], scores[np.newaxis], fields)
    assert found.dtype == np.float32 and found.shape[1:] == (7,)
    np.testing.assert_array_equal(found, reference(boxes, scores, fields))


@pytest.mark.parametrize("portion", [1, 7])
@pytest.mark.parametrize("growth", [2, 8])
def test_how_many_candidates_are_taken_at_a_time_changes_nothing(monkeypatch, portion, growth):
    monkeypatch.setattr(nms, "PORTION", portion)
    monkeypatch.setattr(nms, "GROWTH", growth)
    monkeypatch.setattr(nms, "PRIORS_PER_ROW", 1)
    for seed in range(10):
        boxes, scores = scene(seed, 400, 5, 1000)
        fields = dict(FIELDS, confidenceThreshold=0.01, topK=90, keepTopK=20)
        np.testing.assert_array_equal(nms.rows(boxes, scores, fields), reference(boxes, scores, fields))


@pytest.mark.parametrize("threshold", [0.3, 1e-8])
def test_ninety_classes_take_a_small_part_of_a_frame(threshold):
    """Half of 33 ms, to allow for slow machines; docs/onnx.md has figures."""
    chance = np.random.RandomState(0)
    boxes, _ = scene(0, 1917, 1, 1)
    scores = (1 / (1 + np.exp(-chance.normal(-5, 2, (1917, 91))))).astype(np.float32)
    fields = dict(FIELDS, confidenceThreshold=threshold, topK=439, keepTopK=100)
    np.testing.assert_array_equal(nms.rows(boxes, scores, fields), reference(boxes, scores, fields))
    taken = []
    for _ in range(7):
        begun = time.perf_counter()
        nms.rows(boxes, scores, fields)
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.016, taken


def test_a_score_that_is_not_a_number_is_no_detection():
    boxes, scores = scene(1, 8, 3, 10)
    scores[3] = np.nan
    fields = dict(FIELDS, topK=8, keepTopK=8)
    np.testing.assert_array_equal(nms.rows(boxes, scores, fields), reference(boxes, scores, fields))


def test_nothing_over_the_threshold_is_no_row():
    boxes, scores = scene(1, 8, 3, 10)
    assert nms.rows(boxes, scores * 0, FIELDS).shape == (0, 7)
