"""Records in files by their places, their index, and the figures of dataset.json."""

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
from stages.data.shards import SplitWriter, shards_for


def spooled(boxes=(), written=0, listed=0):
    facts = {"classes": [1] * len(boxes), "boxes": list(boxes)}
    return PictureRecord("", b"", b"", facts, [], written, listed, "78")


PLACES = st.binary(min_size=32, max_size=32)
PICTURES = st.dictionaries(PLACES, st.binary(min_size=1, max_size=40), max_size=12)


def written(folder, pictures, count):
    """The output folder and the lines of the index of pictures: place -> frame."""
    output, scratch = Path(folder, "out"), Path(folder, "scratch")
    output.mkdir()
    scratch.mkdir()
    split = SplitWriter("train", str(output), str(scratch), count)
    told = [split.add(place, frame, {"source_id": place.hex()}) for place, frame in sorted(pictures.items())]
    index = io.BytesIO()
    split.finish(index)
    lines = [json.loads(line) for line in index.getvalue().splitlines()]
    assert [{name: line[name] for name in ("shard", "offset", "length")} for line in lines] == told
    assert sorted(path.name for path in output.iterdir()) == split.shards == sorted(split.shards)
    assert list(scratch.iterdir()) == []
    return output, lines


@settings(max_examples=50, deadline=None)
@given(PICTURES, st.integers(1, 5))
def test_the_index_leads_to_every_frame(pictures, per_shard):
    count = shards_for(len(pictures), per_shard)
    with tempfile.TemporaryDirectory() as folder:
        output, lines = written(folder, pictures, count)
        assert [line["source_id"] for line in lines] == [place.hex() for place in sorted(pictures)]
        for line, place in zip(lines, sorted(pictures)):
            content = (output / line["shard"]).read_bytes()
            assert content[line["offset"] : line["offset"] + line["length"]] == pictures[place]
        assert sum(path.stat().st_size for path in output.iterdir()) == sum(map(len, pictures.values()))


@given(st.integers(0, 10**7), st.integers(1, 10**4))
def test_there_is_the_least_power_of_two_of_shards(pictures, most):
    count = shards_for(pictures, most)
    assert count & (count - 1) == 0 and pictures <= count * most
    assert count <= 1 or pictures > count // 2 * most


@settings(max_examples=50, deadline=None)
@given(PICTURES.filter(bool), PLACES, st.sampled_from([1, 2, 4, 8]))
def test_another_picture_changes_one_shard(pictures, place, count):
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        before, _ = written(one, pictures, count)
        after, _ = written(other, {**pictures, place: b"another frame, the longest of all of them"}, count)
        changed = [path.name for path in before.iterdir() if path.read_bytes() != (after / path.name).read_bytes()]
        assert len(changed) == 1


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
