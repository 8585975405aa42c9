"""Records in files of a fixed number, their index, and the figures of dataset.json."""

import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.dataset_summary import MOST_FINDINGS, SIZE_EDGES, DatasetSummary
from stages.data.findings import DataFinding
from stages.data.picture_record import PictureRecord
from stages.data.shards import SplitWriter


def record(boxes=(), written=0):
    return PictureRecord(b"frame", b"", {"classes": [1] * len(boxes), "boxes": list(boxes)}, [], written)


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
        assert len(names) == -(-len(frames) // per_shard)
        assert [line["source_id"] for line in lines] == [str(number) for number in range(len(frames))]
        for line, frame in zip(lines, frames):
            content = (output / line["shard"]).read_bytes()
            assert content[line["offset"] : line["offset"] + line["length"]] == frame
        assert sum(path.stat().st_size for path in output.iterdir()) == sum(map(len, frames))


def test_a_discarded_split_leaves_nothing(tmp_path):
    split = SplitWriter("train", str(tmp_path), str(tmp_path), 2)
    for _ in range(5):
        split.add(b"frame", {})
    assert len(list(tmp_path.glob("*.part"))) == 3
    split.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["train.index"]


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 31))
def test_a_balanced_threshold_leaves_no_side_empty(shares, threshold):
    summary = DatasetSummary(["cone"], (10, 10))
    for share in shares:
        summary.add("validation" if share < threshold else "train", share, record())
    better = summary.balanced(threshold)
    if threshold == 0 or len(set(shares)) < 2:
        assert better == threshold
    else:
        assert min(shares) < better <= max(shares)
        assert better == threshold or not min(shares) < threshold <= max(shares)


@pytest.mark.parametrize("place, side", enumerate(SIZE_EDGES[1:], 1))
def test_a_box_as_large_as_an_edge_belongs_above_it(place, side):
    summary = DatasetSummary(["cone"], (1024, 1024))
    summary.add("train", 0, record([(0, 0, side / 1024, side / 1024), (0, 0, (side - 1) / 1024, (side - 1) / 1024)]))
    assert summary.sizes[place - 1] == summary.sizes[place] == 1
    assert summary.boxes == 2


def test_dropped_objects_are_those_written_but_not_recorded():
    summary = DatasetSummary(["cone"], (100, 100))
    summary.add("train", 0, record([(0, 0, 1, 1)], written=3))
    summary.drop_picture(record(written=4))
    assert (summary.dropped, summary.dropped_pictures, summary.images) == (6, 1, 1)


def test_the_document_holds_the_first_findings_and_the_log_all():
    summary, log = DatasetSummary(["cone"], (100, 100)), io.StringIO()
    findings = [
        DataFinding("no_xml", "%d.jpg" % number, None, None, "m", "drop") for number in range(MOST_FINDINGS + 5)
    ]
    summary.note(findings, log)
    document = summary.document({"train": [], "validation": []})
    assert [one["file"] for one in document["findings"]] == [one.file for one in findings[:MOST_FINDINGS]]
    assert document["finding_counts"] == {"no_xml": MOST_FINDINGS + 5}
    assert [json.loads(line) for line in log.getvalue().splitlines()] == [one._asdict() for one in findings]
