"""The stage check-data on records: what it finds, what it says of damaged ones, and that its page can be trusted."""

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
from check_records import Shown, healthy, make_page, write_records

from stages.job import BadInput
from stages.picture_id import picture_id

CLASSES = ["cone", "ball"]


def titles(health: Dict[str, Any], severity: str = "") -> List[str]:
    return [one["title"] for one in health["verdicts"] if severity in ("", one["severity"])]


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Records without a fault, and their page."""
    folder = tmp_path_factory.mktemp("well")
    records = write_records(folder / "records", healthy(), CLASSES)
    return (records, *make_page(records, folder / "page"))


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Records with a fault of each kind, and their page."""
    folder = tmp_path_factory.mktemp("sick")
    shown = healthy()
    twice = (0.3, 0.3, 0.8, 0.8)
    shown += [Shown("twice-%d.jpg" % number, (twice, twice), (1, 1), look=900 + number) for number in range(30)]
    shown += [Shown("both.jpg", (twice, twice), (1, 2), look=1000)]
    shown += [Shown("whole.jpg", ((0.0, 0.0, 1.0, 1.0),), (2,), look=1001)]
    shown += [Shown("thin.jpg", ((0.5, 0.01, 0.52, 0.9),), (2,), look=1002)]
    shown += [Shown("tiny.jpg", ((0.5, 0.5, 0.51, 0.51),), (1,), look=1003)]
    crowd = [
        (row / 12, column / 10, (row + 0.9) / 12, (column + 0.9) / 10) for row in range(12) for column in range(10)
    ]
    shown += [Shown("crowd.jpg", crowd, [1] * 120, look=1004)]
    shown += [Shown("a/<b>preview&.jpg", split="validation", look=7, size=(320, 240))]  # of photo-007.jpg
    figures = {"pictures": {"read": 400, "kept": 296, "dropped": 104, "background": 0}}
    figures["boxes"] = {"read": 500, "kept": 490, "dropped": 10, "background": 0}
    records = write_records(folder / "records", shown, ["<script>alert(1)</script>", "ball"], figures=figures)
    finding = {
        "kind": "no_xml",
        "file": "<img src=x>.jpg",
        "object": None,
        "line": None,
        "message": "none",
        "action": "drop",
    }
    (records / "findings.jsonl").write_text(104 * (json.dumps(finding) + "\n"), encoding="utf-8")
    return (records, *make_page(records, folder / "page"))


def test_nothing_is_said_against_data_without_a_fault(well: Any) -> None:
    _, health, html = well
    assert titles(health) == [] and health["suspicious"] == [] and health["lookalikes"]["pairs"] == []
    assert "Nothing here speaks against training" in html
    assert health["splits"]["train"] == {"pictures": 208, "boxes": 400, "empty": 8}
    assert [one["boxes"] for one in health["classes"]] == [{"train": 200, "validation": 50}] * 2
    assert sum(map(sum, health["objects_per_picture"]["counts"].values())) == health["images"] == 260


def test_every_fault_is_found_and_shown(sick: Any) -> None:
    _, health, html = sick
    found = {one["kind"]: one for one in health["suspicious"]}
    assert {"double", "two_classes", "whole_picture", "extreme_shape", "tiny", "crowded"} <= set(found)
    for kind, name in (("two_classes", "both.jpg"), ("tiny", "tiny.jpg"), ("crowded", "crowd.jpg")):
        assert [one["picture"]["name"] for one in found[kind]["boxes"]] == [name]
    assert titles(health, "bad")[0] == "26% of the pictures were left out (104 of 400)"
    assert "1 of 53 pictures to validate with is nearly the same on another side of the split" in titles(health, "bad")
    assert any(title.endswith("things are labelled twice") for title in titles(health))
    for section in {one["section"] for one in health["verdicts"]}:
        assert 'id="%s"' % section in html


def test_a_smaller_copy_on_the_other_side_comes_first(sick: Any) -> None:
    _, health, _ = sick
    pair = health["lookalikes"]["pairs"][0]
    assert {pair["first"]["name"], pair["second"]["name"]} == {"photo-007.jpg", "a/<b>preview&.jpg"}
    assert pair["across"] and pair["sizes_differ"]
    assert health["lookalikes"]["across"] == {"train": 1, "validation": 1}


def test_names_are_text_on_the_page_and_nothing_is_loaded(sick: Any) -> None:
    html = sick[2]
    assert "<script>alert" not in html and "<img src=x>" not in html and "&lt;script&gt;alert(1)" in html
    assert html.count("<script") == 1 and "default-src 'none'" in html
    loaded = re.findall(r'(?:src|href|action|data|poster)="([^"]*)"', html)
    others = {one for one in loaded if not one.startswith(("data:", "#"))}
    assert others and all(one.startswith("http://127.0.0.1:8000/") for one in others)
    assert "url(" not in re.sub(r"url\(#[^)]*\)", "", html)


def test_pictures_lead_into_the_viewer(sick: Any) -> None:
    html = sick[2]
    for name in ("both.jpg", "a/<b>preview&.jpg"):
        assert 'href="http://127.0.0.1:8000/picture/%s"' % picture_id(name) in html


def test_the_same_records_make_the_same_bytes_by_any_number_of_processes(sick: Any, tmp_path: Path) -> None:
    records, health, html = sick
    assert make_page(records, tmp_path / "again", cpus=2) == (health, html)


@pytest.mark.parametrize(
    "shown, words",
    [
        ([Shown("one.jpg")], "Only 1 picture to train on"),
        ([Shown("one.jpg", (), ()), Shown("two.jpg", (), (), "validation", 1)], "No box to train on: cone, ball"),
        (
            [Shown("one.jpg", ((0.3, 0.3, 0.3, 0.3), (1.0, 1.0, 1.0, 1.0)), (1, 2))],
            "There is no picture to validate with",
        ),
    ],
)
def test_records_of_next_to_nothing_have_a_page(tmp_path: Path, shown: List[Shown], words: str) -> None:
    health, html = make_page(write_records(tmp_path / "records", shown, CLASSES), tmp_path / "page")
    assert words in titles(health) and words in html


@pytest.mark.parametrize(
    "file, data, words",
    [
        ("index.jsonl", b'{"source_id": 1}\n', "index.jsonl of the records artifact cannot be read: line 1: source_id"),
        ("index.jsonl", b"", "lists no picture"),
        ("findings.jsonl", b'{"kind": "nonsense"}\n', "findings.jsonl of the records artifact is damaged in line 1"),
        ("findings.jsonl", b"[" * 100000 + b"\n", "is damaged in line 1: it is not JSON"),
        ("dataset.json", b"{}", "dataset.json of the records artifact lacks classes"),
        ("train-00000-of-00001.tfrecord", b"cut", "The record of one.jpg in train-00000-of-00001.tfrecord cannot be"),
    ],
)
def test_damaged_records_are_one_sentence(tmp_path: Path, file: str, data: bytes, words: str) -> None:
    records = write_records(tmp_path / "records", [Shown("one.jpg")], CLASSES)
    (records / file).write_bytes(data)
    with pytest.raises(BadInput) as refused:
        make_page(records, tmp_path / "page")
    assert words in str(refused.value) and "./run records" in str(refused.value)
    assert not list((tmp_path / "page" / "output").iterdir())


def test_a_class_that_the_dataset_does_not_have_is_named_by_its_line(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records", [Shown("one.jpg"), Shown("two.jpg", classes=(3,), look=1)], CLASSES)
    with pytest.raises(BadInput, match="line 2: its split or class"):
        make_page(records, tmp_path / "page")
