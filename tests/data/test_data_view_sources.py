"""Where the viewer's pictures come from, and what it says of folders, damage and a training under way."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data_view import asked, client, example, jpeg, shown, write_artifact, write_records
from PIL import Image

from stages import pixels
from stages.data import tfrecord
from stages.job import BadInput
from stages.picture_id import picture_id
from stages.view.exhibits import description
from stages.view.index import Index
from stages.view.sources.opening import sources
from stages.view.sources.records import RecordsSource

CLONE = Path(__file__).resolve().parents[2]
XML = """<annotation><filename>%s</filename><size><width>%d</width><height>%d</height></size>%s</annotation>"""
OBJECT = """<object><name>%s</name><truncated>%d</truncated><difficult>%d</difficult>
<bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>"""


def photo(folder, name, *objects, size=(40, 30), said=None, orientation=0):
    """A photo and its XML; ``size`` is that of its stored pixels, ``said`` that in the XML."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.full((size[1], size[0], 3), 99, np.uint8)).save(str(path), exif=exif if orientation else b"")
    if objects:
        text = XML % (name, *(said or size), "".join(OBJECT % one for one in objects))
        path.with_suffix(".xml").write_text(text)


def test_a_folder_of_photos_is_shown_with_all_that_its_xml_says(tmp_path):
    folder = tmp_path / "photos"
    photo(folder, "train/a.jpg", ("cat", 1, 0, 4, 3, 20, 15), ("wild boar", 0, 1, 0, 0, 40, 30))
    photo(folder, "train/b.jpg", ("cat", 0, 0, 30, 3, 60, 15), said=(40, 30))
    photo(folder, "valid/c.jpg")
    photo(folder, "valid/d.jpg", ("cat", 0, 0, 8, 6, 40, 30), said=(80, 60))
    (folder / "valid" / "e.jpg").write_bytes(b"no picture")
    (folder / "train" / "f.xml").write_text(XML % ("f.jpg", 4, 3, ""))
    made = shown(tmp_path, folder)
    a, b, c, d, e = asked(made, "/api/pictures")["items"]
    assert [one["split"] for one in (a, b, c, d, e)] == ["train", "train", "validation", "validation", "validation"]
    assert [box["class"] for box in a["boxes"]] == ["cat", "wild boar"]
    assert a["boxes"][0]["box"] == pytest.approx([0.1, 0.1, 0.5, 0.5]) and a["boxes"][0]["truncated"]
    assert a["boxes"][1]["difficult"] and a["findings"] == []
    assert b["boxes"][0]["box"] == pytest.approx([0.75, 0.1, 1.5, 0.5]) and b["findings"] == ["outside_box"]
    assert (c["boxes"], c["findings"]) == ([], ["no_xml"])
    assert d["boxes"][0]["box"] == pytest.approx([0.1, 0.1, 0.5, 0.5]) and d["findings"] == ["size_mismatch"]
    assert "unreadable_image" in e["findings"] and e["width"] == 0
    assert {one["kind"]: one["pictures"] for one in asked(made, "/api/dataset")["findings"]}["no_image"] == 0
    assert client(made).get("/image/" + a["id"]).content == (folder / "train" / "a.jpg").read_bytes()
    assert client(made).get("/image/" + e["id"] + "?size=thumb").status_code == 404


def test_a_photo_is_upright_as_browsers_show_it_and_a_record_as_it_is_trained(tmp_path):
    folder = tmp_path / "photos"
    photo(folder, "a.jpg", ("cat", 0, 0, 3, 4, 15, 20), said=(30, 40), orientation=6)
    (item,) = asked(shown(tmp_path, folder), "/api/pictures")["items"]
    assert (item["width"], item["height"]) == (30, 40) and item["boxes"][0]["box"] == pytest.approx(
        [0.1, 0.1, 0.5, 0.5]
    )
    data = (folder / "a.jpg").read_bytes()
    (tmp_path / "x.record").write_bytes(tfrecord.framed(example("a.jpg", picture=data)))
    made = shown(tmp_path, tmp_path / "x.record")
    answer = client(made).get("/image/" + picture_id("a.jpg"))
    assert answer.headers["content-type"] == "image/png" and pixels.decode(answer.content).shape == (30, 40, 3)


def test_a_picture_that_no_browser_shows_comes_as_png(tmp_path):
    folder = tmp_path / "photos"
    photo(folder, "a.bmp", ("cat", 0, 0, 4, 3, 20, 15))
    made = shown(tmp_path, folder)
    answer = client(made).get("/image/" + picture_id("a.bmp"))
    assert answer.headers["content-type"] == "image/png" and pixels.decode(answer.content).shape == (30, 40, 3)


def test_a_photo_that_changed_since_is_another_index(tmp_path):
    folder = tmp_path / "photos"
    photo(folder, "a.jpg", ("cat", 0, 0, 4, 3, 20, 15))
    first = shown(tmp_path, folder).index.stamp
    assert shown(tmp_path, folder).index.stamp == first
    photo(folder, "a.jpg", ("cat", 0, 0, 4, 3, 20, 25))
    assert shown(tmp_path, folder).index.stamp != first


PICTURES = [{"name": "%d.jpg" % n, "split": "train", "boxes": [(0.1, 0.1, 0.9, 0.9, "cat")]} for n in range(5)]


def change_line(folder, number, **changes):
    lines = (folder / "index.jsonl").read_text().splitlines()
    lines[number] = json.dumps(dict(json.loads(lines[number]), **changes))
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shard": "train-00007-of-00009.tfrecord"}, "are they of other records?"),
        ({"classes": [9]}, "are they of other records?"),
        ({"shard": "../../etc/passwd"}, "line 4: shard is not the name of a file"),
        ({"offset": -1}, "line 4: offset is not a whole number"),
    ],
)
def test_an_index_of_other_records_is_shown_up_to_there(tmp_path, changes, words):
    folder = write_records(tmp_path / "records", PICTURES)
    change_line(folder, 3, **changes)
    made = shown(tmp_path, folder)
    told = asked(made, "/api/dataset")
    assert words in told["warnings"][0] and told["sources"][0]["pictures"] == 3


def test_an_index_that_was_cut_between_its_lines_is_told(tmp_path):
    folder = write_records(tmp_path / "records", PICTURES)
    lines = (folder / "index.jsonl").read_text().splitlines(True)
    (folder / "index.jsonl").write_text("".join(lines[:2]))
    told = asked(shown(tmp_path, folder), "/api/dataset")
    assert "index.jsonl lists 2 pictures, and dataset.json tells of 5" in told["warnings"][0]


@pytest.mark.parametrize(
    "line", ["{}", "[]", "3", '{"kind": "x", "file": 3, "message": ""}', '{"kind": 1', "[" * 100000, "\udcff"]
)
def test_pictures_are_shown_whatever_is_in_the_findings(tmp_path, line):
    finding = {"kind": "no_xml", "file": PICTURES[0]["name"], "message": "none", "action": "fix"}
    folder = write_records(tmp_path / "records", PICTURES, findings=[finding])
    with open(str(folder / "findings.jsonl"), "a", errors="surrogateescape") as stream:
        stream.write(line + "\n")
    told = asked(shown(tmp_path, folder), "/api/dataset")
    assert told["sources"][0]["pictures"] == 5 and [one["count"] for one in told["findings"]] == [1]
    assert "findings.jsonl is damaged in line 2" in told["warnings"][0]


@pytest.mark.parametrize(
    "changes", [{"offset": 7}, {"length": 2 << 30}, {"length": 20}, {"offset": 1 << 40}, {"source_id": "x"}]
)
def test_a_line_that_tells_of_another_place_shows_no_wrong_picture(tmp_path, changes):
    folder = write_records(tmp_path / "records", PICTURES)
    change_line(folder, 3, **changes)
    made = shown(tmp_path, folder)
    item = asked(made, "/api/pictures")["items"][3]
    assert client(made).get("/image/" + item["id"]).status_code == 404
    assert asked(made, "/api/picture/" + item["id"])["problem"]
    assert "make the records again" in asked(made, "/api/dataset")["warnings"][0]
    assert client(made).get("/image/" + picture_id("2.jpg")).content == jpeg(40, 30, 22)


def test_records_that_cannot_be_opened_are_a_sentence_or_a_warning_beside_what_was_built(tmp_path):
    folder = write_artifact(tmp_path / "build", "records", "r1", {})
    write_records(folder, PICTURES)
    for damage in ("{", "[]", '{"classes": [], "image_size": [1, 1], "images": 1, "splits": []}', "[" * 100000):
        (folder / "dataset.json").write_text(damage)
        with pytest.raises(BadInput, match="dataset.json is damaged"):
            sources([str(folder)], "x")
    made = shown(tmp_path, folder, build=tmp_path / "build")
    assert "dataset.json is damaged" in asked(made, "/api/dataset")["warnings"][0]


class Slow(RecordsSource):
    """Stops after the first pictures until it is let go on."""

    waits = True

    def entries(self):
        for number, entry in enumerate(super().entries()):
            while number == 250 and self.waits:
                time.sleep(0.01)
            yield entry


def test_what_is_known_so_far_is_answered_while_the_index_is_made(tmp_path):
    pictures = [{"name": "%d.jpg" % n, "split": "train", "boxes": []} for n in range(300)]
    source = Slow(str(write_records(tmp_path / "records", pictures)), "x")
    index = Index([source], str(tmp_path / "cache"))
    index.start()
    for _ in range(500):
        with index.open() as connection:
            (count,) = connection.execute("SELECT count(*) FROM picture").fetchone()
        if count:
            break
        time.sleep(0.01)
    assert count == 200 and index.progress.done > 200 and index.progress.total == 300
    source.waits = False
    for _ in range(500):
        if index.progress is None:
            break
        time.sleep(0.01)
    with index.open() as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT id) FROM picture").fetchone() == (300, 300)
    index.close()
    assert os.listdir(str(tmp_path / "cache")) == [index.stamp + ".sqlite"]


def test_what_a_killed_viewer_left_is_removed_and_a_damaged_index_made_anew(tmp_path):
    folder = write_records(tmp_path / "records", PICTURES)
    made = shown(tmp_path, folder)
    whole = tmp_path / "cache" / (made.index.stamp + ".sqlite")
    for damage in (b"", b"x" * 5000, whole.read_bytes()[:8192]):
        whole.write_bytes(damage)
        (tmp_path / "cache" / "01234567-4194305.part").write_bytes(b"")
        (tmp_path / "cache" / "01234567-4194305.part-wal").write_bytes(b"")
        (tmp_path / "cache" / ("run-%s.sqlite.4194305.part" % ("0" * 32))).write_bytes(b"")
        assert asked(shown(tmp_path, folder), "/api/pictures")["total"] == 5
        assert os.listdir(str(tmp_path / "cache")) == [whole.name]


def test_many_runs_of_one_index_do_not_make_it_go(tmp_path):
    folder = write_records(tmp_path / "records", PICTURES)
    made = shown(tmp_path, folder)
    for number in range(60):
        (tmp_path / "cache" / ("run-%032x.sqlite" % number)).write_bytes(b"")
        (tmp_path / "cache" / ("%032x.sqlite" % number)).write_bytes(b"")
    os.utime(str(tmp_path / "cache" / ("%032x.sqlite" % 7)), (0, 0))
    os.utime(str(tmp_path / "cache" / (made.index.stamp + ".sqlite")))
    shown(tmp_path, folder)
    left = os.listdir(str(tmp_path / "cache"))
    assert sum(name.startswith("run-") for name in left) == 60 and len(left) == 100
    assert made.index.stamp + ".sqlite" in left and "%032x.sqlite" % 7 not in left


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError(), MemoryError(), OverflowError("too large")])
def test_nobody_waits_for_an_index_that_has_failed(tmp_path, monkeypatch, error):
    index = Index([RecordsSource(str(write_records(tmp_path / "records", PICTURES)), "x")], str(tmp_path / "cache"))
    monkeypatch.setattr(RecordsSource, "entries", lambda _self: (_ for _ in ()).throw(error))
    index.build()
    assert "could not be finished: " in index.failed and index.progress is None


def test_a_full_disk_is_told_and_what_is_there_is_shown(tmp_path, monkeypatch):
    index = Index([RecordsSource(str(write_records(tmp_path / "records", PICTURES)), "x")], str(tmp_path / "cache"))
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    index.build()
    assert "could not be finished: " in index.failed and "No space left" in index.failed and index.progress is None
    with index.open() as connection:
        assert connection.execute("SELECT count(*) FROM picture").fetchone() == (5,)


def test_a_training_under_way_is_seen_anew_each_time(tmp_path):
    build = tmp_path / "build"
    scratch = build / "store" / "train" / ("work-" + "0" * 20) / "scratch"
    scratch.mkdir(parents=True)
    (scratch / "pipeline.config").write_text("train_config {\n  num_steps: 400\n}\n")
    made = shown(tmp_path, build=build)
    assert asked(made, "/api/live")["running"] is False
    (build / "holder.json").write_text(json.dumps({"stages": ["train"]}))
    with open(str(build / "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for step in (100, 200):
            history = {
                "training": [{"step": step, "loss": 2.5, "learning_rate": 0.1}],
                "evaluation": [{"step": step, "loss": 3.0, "mAP": 0.25, "mAP@0.5": 0.5}],
            }
            (scratch / "history.json").write_text(json.dumps(history))
            assert asked(made, "/api/live") == {
                "running": True,
                "step": step,
                "steps": 400,
                "points": [{"step": step, "loss": 2.5}],
                "evaluations": [{"step": step, "mAP": 0.25, "mAP50": 0.5}],
                "runs": [],
            }
        assert asked(made, "/api/dataset")["live"] is True
    assert asked(made, "/api/live")["running"] is False
    diverged = {"training": [{"step": 1, "loss": float("nan")}, {"step": 2}], "evaluation": [{"step": 2, "mAP": None}]}
    (scratch / "history.json").write_text(json.dumps(diverged))
    assert asked(made, "/api/live")["points"] == [{"step": 1, "loss": None}, {"step": 2, "loss": None}]
    for damage in ("", "[]", "[" * 100000, '{"training": 3}', '{"training": [{"step": "x"}, 4]}', "\0"):
        (scratch / "history.json").write_text(damage)
        assert asked(made, "/api/live")["points"] == []


def test_a_folder_is_a_build_folder_or_holds_pictures_itself(tmp_path):
    records = write_artifact(tmp_path / "build", "records", "r1", {})
    write_records(records, PICTURES)
    told = description(str(tmp_path / "build"))
    assert told.build == str(tmp_path / "build") and told.sources[0].paths == (str(tmp_path / "build" / "records"),)
    assert description(str(records)).sources[0].paths == (str(records),) and description(str(records)).build == ""


@pytest.mark.parametrize("what", ["nothing", "notes.txt"])
def test_the_server_says_why_it_cannot_show_something(tmp_path, what):
    (tmp_path / "notes.txt").write_text("{}")
    told = {
        "title": "x",
        "sources": [{"paths": [str(tmp_path / what)], "title": "x"}],
        "build": "",
        "cache": "",
        "names": [],
    }
    (tmp_path / "view.json").write_text(json.dumps(told))
    command = [sys.executable, "-I", str(CLONE / "stages" / "start.py"), "stages.view.server"]
    words = [str(tmp_path / "view.json"), "127.0.0.1", "0"]
    done = subprocess.run([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    said = done.stdout.decode()
    assert done.returncode == 2 and what in said and "listening" not in said and done.stderr == b""
