"""Judging detections against truth, and choosing which pictures to show."""

from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.report.pictures import choose, iou, judge


@st.composite
def boxes(draw: Any) -> List[int]:
    left, top = draw(st.integers(0, 18)), draw(st.integers(0, 18))
    return [left, top, draw(st.integers(left + 1, 20)), draw(st.integers(top + 1, 20))]


def cells(box: List[int]) -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@given(boxes(), boxes())
def test_iou_is_the_share_of_common_pixels(a: List[int], b: List[int]) -> None:
    expected = (cells(a) & cells(b)).sum() / (cells(a) | cells(b)).sum()
    assert iou(a, b) == pytest.approx(expected)
    assert iou(b, a) == iou(a, b)


def test_iou_of_empty_boxes_is_zero() -> None:
    assert iou([3, 3, 3, 3], [3, 3, 3, 3]) == 0.0


def entry(truth: Any, detections: List[Any], name: str = "a.jpg") -> Dict[str, Any]:
    return {
        "file": name,
        "truth": None if truth is None else [{"class": kind, "box": box} for kind, box in truth],
        "detections": [{"class": kind, "score": score, "box": box} for kind, score, box in detections],
    }


kinds = st.sampled_from(["cone", "mug"])


@given(
    st.lists(st.tuples(kinds, boxes()), max_size=6), st.lists(st.tuples(kinds, st.floats(0, 1), boxes()), max_size=6)
)
def test_every_right_detection_finds_one_box_of_its_own(truth: List[Any], detections: List[Any]) -> None:
    judged = judge(entry(truth, detections))
    right = [one for one in judged["detections"] if one["right"]]
    found = [box for box in judged["truth"] if box["found"]]
    assert sorted(one["class"] for one in right) == sorted(box["class"] for box in found)
    assert judged["mistakes"] == len(truth) + len(detections) - 2 * len(right)
    for one in right:
        assert max(iou(one["box"], box["box"]) for box in found if box["class"] == one["class"]) >= 0.5


def test_of_two_detections_of_one_box_the_better_is_right() -> None:
    box = [0, 0, 10, 10]
    judged = judge(entry([("cone", box)], [("cone", 0.4, box), ("cone", 0.9, [0, 0, 10, 9])]))
    assert [(one["score"], one["right"]) for one in judged["detections"]] == [(0.9, True), (0.4, False)]


def test_box_of_another_class_does_not_count() -> None:
    judged = judge(entry([("mug", [0, 0, 10, 10])], [("cone", 0.9, [0, 0, 10, 10])]))
    assert judged["mistakes"] == 2


def test_without_truth_nothing_is_judged() -> None:
    judged = judge(entry(None, [("cone", 0.9, [0, 0, 10, 10])]))
    assert judged["mistakes"] == 0 and judged["detections"][0]["right"] is None


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 20))
def test_choice_holds_the_worst_and_no_picture_twice(mistakes: List[int], most: int) -> None:
    entries = [{"file": "%02d" % number, "mistakes": count} for number, count in enumerate(mistakes)]
    chosen = choose(entries, most)
    files = [one["file"] for one in chosen]
    assert len(files) == min(most, len(entries)) == len(set(files))
    worst = sorted(mistakes, reverse=True)[: most // 2]
    assert [one["mistakes"] for one in chosen][: len(worst)] == worst
