"""Records in files of a fixed number, their index, the spool before them, and the figures of dataset.json."""

import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.dataset_summary import SIZE_EDGES, DatasetSummary
from stages.data.finding_log import MOST_FINDINGS, FindingLog
from stages.data.findings import DataFinding, policies
from stages.data.picture_record import PictureRecord
from stages.data.shards import SplitWriter
from stages.data.spool import Spool, Spooled


def spooled(boxes=(), written=0, listed=0):
    return Spooled(b"frame", {"classes": [1] * len(boxes), "boxes": list(boxes)}, written, listed)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.integers(1, 5))
def test_the_index_leads_to_every_frame(frames, per_shard):
    with tempfile.TemporaryDirectory() as folder:
        output, scratch = Path(folder, "out"), Path(folder, "scratch")
        output.mkdir()
        scratch.mkdir()
        split = SplitWriter("train", str(output), str(scratch), per_shard)
        for number, frame in enumerate(frames):
            split.add(frame, {"source_id": str(number)})
        index = io.StringIO()
        names = split.finish(index)
        lines = [json.loads(line) for line in index.getvalue().splitlines()]
        assert sorted(path.name for path in output.iterdir()) == names == sorted(names)
        assert list(scratch.iterdir()) == []
        assert len(names) == -(-len(frames) // per_shard)
        assert [line["source_id"] for line in lines] == [str(number) for number in range(len(frames))]
        for line, frame in zip(lines, frames):
            content = (output / line["shard"]).read_bytes()
            assert content[line["offset"] : line["offset"] + line["length"]] == frame
        assert sum(path.stat().st_size for path in output.iterdir()) == sum(map(len, frames))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.text(max_size=5), st.integers(0, 9)), max_size=12))
def test_a_spool_gives_back_what_went_in_and_leaves_nothing(pictures):
    with tempfile.TemporaryDirectory() as scratch:
        with Spool(scratch) as spool:
            for framed, name, written in pictures:
                spool.add(PictureRecord(framed, b"", b"", {"source_id": name}, [], written, 0))
            assert list(spool.records()) == [
                Spooled(framed, {"source_id": name}, written, 0) for framed, name, written in pictures
            ]
        assert list(Path(scratch).iterdir()) == []


@pytest.mark.parametrize("place, side", enumerate(SIZE_EDGES[1:], 1))
def test_a_box_as_large_as_an_edge_belongs_above_it(place, side):
    summary = DatasetSummary(["cone"], (1024, 1024))
    summary.add("train", spooled([(0, 0, side / 1024, side / 1024), (0, 0, (side - 1) / 1024, (side - 1) / 1024)]))
    assert summary.sizes[place - 1] == summary.sizes[place] == 1
    assert summary.boxes == 2


def test_what_is_read_is_kept_dropped_or_background(tmp_path):
    summary = DatasetSummary(["cone"], (100, 100))
    summary.add("train", spooled([(0, 0, 1, 1)], written=5, listed=3))
    summary.add("train", spooled(written=2, listed=0))
    summary.drop(1, 4, 2)
    assert summary.tally_pictures.document() == {"read": 3, "kept": 1, "dropped": 1, "background": 1}
    assert summary.tally_boxes.document() == {"read": 11, "kept": 1, "dropped": 6, "background": 4}
    assert (summary.missing, summary.listed, summary.images) == (10, 5, 2)
    with FindingLog(str(tmp_path), policies({})) as log:
        log.note([DataFinding("no_xml", "a.jpg", None, None, "none", "drop")])
        log.note([DataFinding("flipped_box", "b.xml", 1, 3, "it is flipped", "fix")] * 2)
        log.note(
            [DataFinding("unknown_class", "b.xml", 1, 3, "'tree' is not listed", "drop")] * 4
        )  # not of the dropped
        assert summary.sentence(log) == (
            "2 of 3 pictures (1 of 11 boxes) are in the records, 1 of them as background without a box;"
            " 1 dropped (6 boxes): 1 no_xml; 4 boxes of classes that are not listed; mended: 2 flipped_box"
        )


def test_a_split_of_no_picture_is_in_the_document_unless_it_is_test():
    summary = DatasetSummary(["cone"], (100, 100))
    assert summary.splits() == ["train", "validation"]
    summary.add("test", spooled())
    assert summary.splits() == ["train", "validation", "test"]


def test_the_document_holds_the_first_findings_and_the_log_all(tmp_path):
    findings = [
        DataFinding("no_xml", "%d.jpg" % number, None, None, "m", "drop") for number in range(MOST_FINDINGS + 5)
    ]
    with FindingLog(str(tmp_path), policies({})) as log:
        log.note(findings)
        document = DatasetSummary(["cone"], (100, 100)).document({"train": [], "validation": []}, log)
        log.publish(str(tmp_path / "published.jsonl"))
    assert [one["file"] for one in document["findings"]] == [one.file for one in findings[:MOST_FINDINGS]]
    assert document["finding_counts"] == {"no_xml": MOST_FINDINGS + 5}
    lines = (tmp_path / "published.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [one._asdict() for one in findings]
    assert [path.name for path in tmp_path.iterdir()] == ["published.jsonl"]


def test_what_was_found_before_an_error_is_in_the_file(tmp_path):
    with pytest.raises(KeyError), FindingLog(str(tmp_path), policies({})) as log, log.noting() as findings:
        findings.fixes("no_xml", "a.jpg", "it has none")
        raise KeyError
    assert json.loads((tmp_path / "findings.jsonl").read_text())["file"] == "a.jpg"


def test_the_log_names_the_first_of_each_kind_the_most_frequent_first(tmp_path):
    with FindingLog(str(tmp_path), policies({})) as log:
        log.note([DataFinding("small_box", "a.xml", 2, 9, "it is tiny", "drop")])
        log.note([DataFinding("no_xml", "%d.jpg" % number, None, None, "none", "drop") for number in range(3)])
        log.note([DataFinding("flipped_box", "b.xml", 1, 3, "it is flipped", "fix")])
        lines = log.lines()
        assert [line.split(":")[0] for line in lines] == [
            "3 no_xml (dropped)",
            "1 flipped_box (mended)",
            "1 small_box (dropped)",
        ]
        assert "0.jpg" in lines[0] and "Label it" in lines[0]
        assert log.lines(["flipped_box", "small_box"]) == [lines[2]]
