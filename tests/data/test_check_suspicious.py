"""Suspicious boxes: pairs are those of brute force, and odd ones of a class are found among many."""

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from check_records import Shown, write_records
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import overlap
from stages.check import dataset, suspicious
from stages.check.dataset import Pictures

shares = st.floats(0, 1, width=32)


def pictures_of(groups: List[List[Any]]) -> Pictures:
    """Pictures with these boxes, all of class 1."""
    counts = np.array([len(group) for group in groups], np.int64)
    rows = np.array([box for group in groups for box in group], np.float64).reshape(-1, 2, 2)
    boxes = np.concatenate([rows.min(axis=1), rows.max(axis=1)], axis=1)
    first = np.concatenate([[0], np.cumsum(counts)])
    owner, zeros = np.repeat(np.arange(len(groups)), counts), np.zeros(len(groups), np.int64)
    sizes = np.full((len(groups), 2), 100)
    ids = np.ones(len(boxes), np.int64)
    return Pictures([""] * len(groups), zeros, sizes, [], zeros, np.zeros((len(groups), 2)), first, boxes, ids, owner)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.tuples(*[shares] * 4), max_size=7), min_size=1, max_size=6), st.floats(0.05, 0.9))
def test_overlapping_boxes_are_those_of_brute_force(groups: List[List[Any]], least: float) -> None:
    pictures = pictures_of(groups)
    expected = {}
    for start, end in zip(pictures.first, pictures.first[1:]):
        ious = overlap.iou(pictures.boxes[start:end], pictures.boxes[start:end])
        for one, other in zip(*np.nonzero(np.triu(ious, 1) > least)):
            expected[start + one, start + other] = ious[one, other]
    first, second, found = suspicious.overlapping(pictures, least)
    assert list(zip(first, second)) == sorted(expected, key=lambda pair: (-expected[pair], pair[0]))
    np.testing.assert_allclose(found, sorted(expected.values(), reverse=True))


def kinds_of(folder: Path, shown: List[Shown]) -> Dict[str, Any]:
    data = dataset.read(str(write_records(folder / "records", shown, ["cone", "ball"])))
    sides = (data.pictures.boxes[:, 2:] - data.pictures.boxes[:, :2]) * 300
    found = suspicious.find(suspicious.boxes_of(data, sides))
    return {one["kind"]: one for one in suspicious.figures(data, found)}


def many(odd: List[Shown]) -> List[Shown]:
    """Forty usual boxes of about 0.2 x 0.1, and odd ones."""
    usual = [Shown("usual-%d.jpg" % n, ((0.3, 0.3, 0.5 + n / 1000, 0.4 + n / 2000),)) for n in range(40)]
    return usual + odd


def test_outliers_of_a_class_are_named_with_what_is_odd(tmp_path: Path) -> None:
    odd = [Shown("huge.jpg", ((0.0, 0.0, 0.9, 0.45),)), Shown("wide.jpg", ((0.4, 0.1, 0.5, 0.9),))]
    kinds = kinds_of(tmp_path, many(odd))
    assert [(one["picture"]["name"], one["why"]) for one in kinds["odd_area"]["boxes"]] == [
        ("huge.jpg", "17 times larger in area than its class")
    ]
    (wide,) = kinds["odd_shape"]["boxes"]
    assert wide["picture"]["name"] == "wide.jpg" and wide["why"].endswith("times wider than its class")
    assert "whole_picture" not in kinds and "double" not in kinds


def test_a_class_of_a_few_boxes_has_no_outliers(tmp_path: Path) -> None:
    odd = [Shown("ball-%d.jpg" % n, ((0.1, 0.1, 0.1 + n / 40, 0.9),), (2,)) for n in range(3, 20)]
    assert not {"odd_area", "odd_shape"} & set(kinds_of(tmp_path, many(odd)))


def test_the_most_suspicious_come_first_and_their_number_is_bounded(tmp_path: Path) -> None:
    shown = [Shown("tiny-%03d.jpg" % n, ((0.5, 0.5, 0.501 + n / 10000, 0.51),)) for n in range(150)]
    tiny = kinds_of(tmp_path, shown)["tiny"]
    assert tiny["count"] == 150 and len(tiny["boxes"]) == suspicious.LISTED
    assert [one["picture"]["name"] for one in tiny["boxes"]][:2] == ["tiny-000.jpg", "tiny-001.jpg"]
