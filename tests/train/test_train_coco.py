"""COCO's metrics of known detections."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_detection.core import standard_fields
from object_detection.metrics import coco_evaluation

from stages.train import coco

BOX = [0.1, 0.2, 0.5, 0.7]


def result(detections=(), truth=()):
    """From lists of (box, class id, score) and (box, class id)."""
    return coco.Result(
        np.array([one[0] for one in detections], np.float32).reshape(-1, 4),
        np.array([one[2] for one in detections], np.float32),
        np.array([one[1] for one in detections], np.int64),
        np.array([one[0] for one in truth], np.float32).reshape(-1, 4),
        np.array([one[1] for one in truth], np.int64),
    )


def test_a_perfect_detection_scores_one():
    metrics = coco.metrics([result([(BOX, 1, 0.9)], [(BOX, 1)])], ["cone"])
    figures = [metrics[name] for name in ("mAP", "mAP@0.5", "mAP@0.75", "recall@100")]
    assert figures == pytest.approx([1, 1, 1, 1])
    assert metrics["per_class"]["cone"]["AP"] == pytest.approx(1)


def test_nothing_detected_scores_zero():
    metrics = coco.metrics([result([], [(BOX, 1)])], ["cone"])
    assert metrics["mAP"] == metrics["recall@100"] == 0


def test_a_class_without_truth_has_no_figure_and_does_not_pull_the_mean_down():
    metrics = coco.metrics([result([(BOX, 1, 0.9), (BOX, 2, 0.8)], [(BOX, 1)])], ["cone", "mug"])
    assert metrics["per_class"]["mug"] == {"AP": None, "AP@0.5": None}
    assert metrics["mAP"] == pytest.approx(1)


def test_no_truth_at_all_gives_no_figures():
    metrics = coco.metrics([result([(BOX, 1, 0.9)]), result()], ["cone"])
    assert metrics["mAP"] is None and metrics["recall@100"] is None


def test_a_rather_loose_box_counts_at_half_overlap_only():
    loose = [0.1, 0.2, 0.5, 0.54]  # IoU 0.68
    metrics = coco.metrics([result([(loose, 1, 0.9)], [(BOX, 1)])], ["cone"])
    assert metrics["mAP@0.5"] == pytest.approx(1) and metrics["mAP@0.75"] == 0
    assert metrics["mAP"] == pytest.approx(0.4)  # at 0.50, 0.55, 0.60 and 0.65


edge = st.integers(0, 15)
boxes = st.builds(
    lambda top, left, height, width: [top / 32, left / 32, (top + height) / 32, (left + width) / 32],
    edge,
    edge,
    st.integers(1, 16),
    st.integers(1, 16),
)
pictures = st.lists(
    st.builds(
        result,
        st.lists(
            st.tuples(boxes, st.integers(1, 2), st.integers(1, 1000).map(lambda score: score / 1001)),
            max_size=4,
            unique_by=lambda one: one[2],
        ),
        st.lists(st.tuples(boxes, st.integers(1, 2)), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=30)
@given(pictures)
def test_the_figures_are_those_of_object_detections_own_evaluator(results):
    truth, found = standard_fields.InputDataFields, standard_fields.DetectionResultFields
    theirs = coco_evaluation.CocoDetectionEvaluator([{"id": 1, "name": "cone"}, {"id": 2, "name": "mug"}])
    for number, one in enumerate(results):
        theirs.add_single_ground_truth_image_info(
            str(number), {truth.groundtruth_boxes: 320 * one.truth_boxes, truth.groundtruth_classes: one.truth_classes}
        )
        theirs.add_single_detected_image_info(
            str(number),
            {
                found.detection_boxes: 320 * one.boxes,
                found.detection_scores: one.scores,
                found.detection_classes: one.classes,
            },
        )
    ours = coco.metrics(results, ["cone", "mug"])
    if not sum(len(one.scores) for one in results):
        assert ours["mAP"] == 0  # their evaluator cannot read an empty list of detections
        return
    with contextlib.redirect_stdout(io.StringIO()):
        expected = theirs.evaluate()
    assert ours["mAP"] == pytest.approx(expected["DetectionBoxes_Precision/mAP"], abs=1e-6)
    assert ours["mAP@0.5"] == pytest.approx(expected["DetectionBoxes_Precision/mAP@.50IOU"], abs=1e-6)
    assert ours["recall@100"] == pytest.approx(expected["DetectionBoxes_Recall/AR@100"], abs=1e-6)
