"""Verdicts: each comes of its figures, from its threshold on and not before, and the worst stands first."""

import copy
from typing import Any, Callable, Dict, List

import pytest

from stages.check import verdicts


def health() -> Dict[str, Any]:
    """Figures that nothing can be said against."""
    counts = {"read": 1000, "kept": 990, "dropped": 0, "background": 10}
    boxes = {"train": 800, "validation": 200}
    anchors = {"boxes": 2000, "below_0.5": 10, "why_below": {}}
    anchors["per_class"] = [{"name": "cone", "boxes": 1000, "below_0.5": 10}]
    anchors["why_below"] = {
        "smaller_than_any_anchor": 8,
        "larger_than_any_anchor": 0,
        "elongated": 2,
        "between_anchors": 0,
    }
    return {
        "images": 1000,
        "boxes": 2000,
        "annotations": {"pictures": counts, "boxes": dict(counts, read=2000, kept=2000), "without_xml": 0},
        "findings": [],
        "splits": {"train": {"pictures": 800, "empty": 8}, "validation": {"pictures": 200, "empty": 2}},
        "classes": [{"name": name, "boxes": dict(boxes)} for name in ("cone", "ball")],
        "lookalikes": {"across": {"train": 0, "validation": 0}},
        "pictures": {"smaller": 0, "stretched": 0, "stretch": 1.0},
        "anchors": anchors,
        "advice": None,
        "suspicious": [],
    }


def change(path: str, value: Any) -> Callable[[Dict[str, Any]], None]:
    def apply(figures: Dict[str, Any]) -> None:
        *keys, last = path.split(".")
        for key in keys:
            figures = figures[int(key) if key.isdigit() else key]
        figures[last] = value

    return apply


def odd(kind: str, count: int) -> Callable[[Dict[str, Any]], None]:
    return change("suspicious", [{"kind": kind, "count": count}])


def judged(*changes: Callable[[Dict[str, Any]], None]) -> List[Any]:
    figures = copy.deepcopy(health())
    for apply in changes:
        apply(figures)
    return [(one["severity"], one["title"]) for one in verdicts.all_of(figures)]


def test_of_good_figures_nothing_is_said() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    "almost, enough, severity, words",
    [
        (
            change("annotations.pictures.dropped", 19),
            change("annotations.pictures.dropped", 20),
            "warn",
            "2% of the pict",
        ),
        (change("annotations.boxes.dropped", 39), change("annotations.boxes.dropped", 200), "bad", "10% of the boxes"),
        (change("annotations.without_xml", 49), change("annotations.without_xml", 50), "warn", "50 photos have no XML"),
        (change("lookalikes.across.train", 9), change("lookalikes.across.validation", 1), "warn", "1 of 200 pictures"),
        (change("lookalikes.across.train", 9), change("lookalikes.across.validation", 2), "bad", "2 of 200 pictures"),
        (
            change("splits.validation.pictures", 20),
            change("splits.validation.pictures", 19),
            "warn",
            "Only 19 pictures to validate",
        ),
        (
            change("splits.validation.pictures", 20),
            change("splits.validation.pictures", 0),
            "bad",
            "There is no picture",
        ),
        (
            change("splits.train.pictures", 200),
            change("splits.train.pictures", 199),
            "warn",
            "Only 199 pictures to train",
        ),
        (change("classes.0.boxes.train", 81), change("classes.0.boxes.train", 80), "warn", "ball has 10 times as many"),
        (change("classes.0.boxes.train", 400), change("classes.0.boxes.train", 0), "bad", "No box to train on: cone"),
        (
            change("classes.0.boxes.validation", 1),
            change("classes.0.boxes.validation", 0),
            "warn",
            "No box to validate",
        ),
        (odd("double", 9), odd("double", 10), "warn", "10 things are labelled twice"),
        (odd("two_classes", 9), odd("two_classes", 100), "bad", "100 things are labelled as two classes"),
        (odd("tiny", 99), odd("tiny", 100), "warn", "100 boxes are under 8 pixels"),
        (odd("whole_picture", 39), odd("whole_picture", 40), "warn", "40 boxes cover the whole picture"),
        (odd("odd_area", 39), odd("odd_area", 40), "warn", "40 boxes differ from their class"),
        (odd("nothing", 1), odd("crowded", 1), "warn", "1 picture with more than 100 boxes"),
        (change("pictures.smaller", 249), change("pictures.smaller", 250), "warn", "250 pictures are smaller"),
        (
            change("pictures.stretched", 499),
            change("pictures.stretched", 500),
            "note",
            "The network sees most pictures",
        ),
    ],
)
def test_a_verdict_comes_at_its_threshold(almost: Any, enough: Any, severity: str, words: str) -> None:
    assert judged(almost) == []
    assert (severity, True) in [(grade, title.startswith(words)) for grade, title in judged(enough)]


@pytest.mark.parametrize("below, severity", [(199, None), (200, "warn"), (500, "bad")])
def test_boxes_that_no_anchor_meets(below: int, severity: Any) -> None:
    figures = health()
    figures["anchors"]["below_0.5"] = below
    assert [one["severity"] for one in verdicts.all_of(figures)] == ([severity] if severity else [])


def test_small_things_are_told_to_be_cut_out_and_not_to_be_enlarged() -> None:
    figures = health()
    figures["anchors"]["below_0.5"] = 600
    figures["anchors"]["why_below"]["smaller_than_any_anchor"] = 500
    (verdict,) = verdicts.all_of(figures)
    assert "tiles" in verdict["remedy"] and "input_size" not in verdict["remedy"]


def test_a_class_that_no_anchor_meets_is_named_where_the_others_are_well() -> None:
    figures = health()
    figures["anchors"]["per_class"].append({"name": "pole", "boxes": 100, "below_0.5": 25})
    assert [one["title"] for one in verdicts.all_of(figures)] == [
        "A quarter and more of their boxes fit no anchor: pole"
    ]


def test_the_worst_stands_first() -> None:
    found = judged(change("pictures.stretched", 900), odd("tiny", 500), change("splits.validation.pictures", 0))
    assert [severity for severity, _ in found] == ["bad", "warn", "note"]


def test_why_pictures_were_lost_is_a_reason_of_pictures() -> None:
    figures = health()
    figures["annotations"]["pictures"]["dropped"] = 500
    many = {
        "action": "left out",
        "count": 9999,
        "kind": "small_box",
        "about": "object",
        "meaning": "small",
        "remedy": "Grow",
    }
    figures["findings"] = [many, dict(many, kind="no_xml", about="picture", meaning="no XML", remedy="Label")]
    (verdict,) = verdicts.all_of(figures)
    assert "no XML" in verdict["why"] and verdict["remedy"] == "Label."
