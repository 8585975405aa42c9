import hashlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_voc import BLUE, PARAMETERS, RED, photo
from PIL import Image

from stages import pixels
from stages.data import records, tfrecord
from stages.finding_kinds import KINDS
from stages.job import BadInput, StageFailed

ROOT = Path(__file__).resolve().parents[2]
PASCAL_KEYS = {
    "image/" + name
    for name in (
        "height",
        "width",
        "filename",
        "source_id",
        "key/sha256",
        "encoded",
        "format",
        "object/bbox/xmin",
        "object/bbox/xmax",
        "object/bbox/ymin",
        "object/bbox/ymax",
        "object/class/text",
        "object/class/label",
        "object/difficult",
        "object/truncated",
        "object/view",
    )
}


def test_a_record_has_the_keys_and_values_of_create_pascal_tf_record(dataset, make_records):
    dataset.add("sub/a.jpg", (("ball", (50, 10, 150, 60)), ("cone", (0, 0, 200, 100))))
    done = make_records()
    features = done.features("sub/a.jpg")
    assert set(features) == PASCAL_KEYS
    picture = pixels.resize(pixels.decode((dataset.photos / "sub/a.jpg").read_bytes()), 64, 96)
    assert np.array_equal(pixels.decode(features["image/encoded"][0]), picture)
    assert features["image/key/sha256"] == [hashlib.sha256(features["image/encoded"][0]).hexdigest().encode()]
    assert (features["image/height"], features["image/width"], features["image/format"]) == ([64], [96], [b"png"])
    assert (features["image/filename"], features["image/source_id"]) == ([b"a.jpg"], [b"sub/a.jpg"])
    assert features["image/object/class/text"] == [b"ball", b"cone"]
    assert features["image/object/class/label"] == [2, 1]
    assert features["image/object/bbox/xmin"] == [0.25, 0]
    assert features["image/object/bbox/ymin"] == [pytest.approx(0.1), 0]
    assert features["image/object/bbox/xmax"] == [0.75, 1]
    assert features["image/object/bbox/ymax"] == [pytest.approx(0.6), 1]
    assert features["image/object/view"] == [b"Unspecified"] * 2
    assert features["image/object/difficult"] == features["image/object/truncated"] == [0, 0]


def test_the_index_finds_every_record_and_the_files_hold_nothing_else(dataset, make_records):
    dataset.fill(11)
    done = make_records(pictures_per_shard=3)
    shards = [name for split in ("train", "validation") for name in done.dataset["splits"][split]["shards"]]
    assert shards == [name for name in sorted(done.bytes()) if name.endswith(".tfrecord")]
    place = {}
    for line in done.index:
        assert line["shard"].startswith(line["split"])
        assert line["offset"] == place.get(line["shard"], 0)
        place[line["shard"]] = line["offset"] + line["length"]
        assert done.features(line["source_id"])["image/source_id"] == [line["source_id"].encode()]
        assert (line["width"], line["height"], line["classes"]) == (200, 100, [1, 2])
        assert line["boxes"] == [[0.1, 0.1, 0.8, 0.6], [0.4, 0.65, 0.9, 0.95]]
    assert {name: place.get(name, 0) for name in shards} == {
        name: os.path.getsize(done.folder / name) for name in shards
    }
    assert len({line["source_id"] for line in done.index}) == 11


def test_dataset_json_sums_it_up(dataset, make_records):
    dataset.fill(8)
    dataset.add("odd.jpg", (("crate", (0, 0, 50, 50)), ("cone", (5, 5, 5, 9)), ("cone", (0, 0, 100, 100))))
    done = make_records()
    summary = done.dataset
    assert (summary["images"], summary["boxes"], summary["dropped"]) == (9, 17, 2)
    assert sum(split["pictures"] for split in summary["splits"].values()) == 9
    assert [sum(one["boxes"].values()) for one in summary["classes"]] == [9, 8]
    assert [(one["id"], one["name"]) for one in summary["classes"]] == [(1, "cone"), (2, "ball")]
    assert summary["finding_counts"] == {"unknown_class": 1, "empty_box": 1}
    assert summary["findings"] == done.findings
    assert summary["image_size"] == [64, 96]
    assert (summary["format"], summary["encoding"]) == (1, "png")
    assert sum(summary["box_sizes"]["counts"]) == 17
    sizes = dict(zip(summary["box_sizes"]["edges"], summary["box_sizes"]["counts"]))
    assert {edge: count for edge, count in sizes.items() if count} == {24: 8, 32: 8, 48: 1}  # e.g. sqrt(28.8 x 32) = 30
    assert done.metrics == {"images": 9, "boxes": 17, "dropped_pictures": 0, "dropped": 2, "findings": 2}
    assert 'name: "cone"' in (done.folder / "label_map.pbtxt").read_text()


def test_same_data_same_bytes_whatever_the_processes(dataset, make_records):
    dataset.fill(25)
    dataset.add("broken.jpg", data=b"no photo")
    assert make_records(cpus=1).bytes() == make_records(cpus=3).bytes()


def test_jpeg_records(dataset, make_records):
    dataset.fill(3)
    features = make_records(encoding="jpeg", jpeg_quality=50).features("photo-000.jpg")
    assert features["image/format"] == [b"jpeg"]
    assert pixels.format_of(features["image/encoded"][0]) == "jpeg"
    assert len(features["image/encoded"][0]) < len(make_records().features("photo-000.jpg")["image/encoded"][0])


def split_of(done):
    return {line["source_id"]: line["split"] for line in done.index}


def test_a_new_photo_moves_no_other_and_a_seed_moves_many(dataset, make_records):
    dataset.fill(30)
    before = split_of(make_records())
    for number in range(10):
        dataset.add("new-%d.jpg" % number)
    after = split_of(make_records())
    assert {name: after[name] for name in before} == before
    assert split_of(make_records(seed=1)) != after
    assert 3 <= list(after.values()).count("validation") <= 20


def test_copies_of_a_photo_are_on_one_side(dataset, make_records):
    dataset.fill(12)
    for number in range(12):
        data = (dataset.photos / ("photo-%03d.jpg" % number)).read_bytes()
        dataset.add("copy-%03d.jpg" % number, data=data)
    split = split_of(make_records())
    assert all(split[name] == split[name.replace("photo", "copy")] for name in split)


@pytest.mark.parametrize(
    "fraction, sides", [(0.001, {"train", "validation"}), (0.999, {"train", "validation"}), (0, {"train"})]
)
def test_no_side_is_empty_unless_asked_for(dataset, make_records, fraction, sides):
    dataset.fill(4)
    done = make_records(validation_fraction=fraction)
    assert set(split_of(done).values()) == sides
    assert len(done.index) == 4
    assert not [name for name in done.bytes() if name.endswith(".part")]


def test_one_picture_is_trained_on_and_said_to_be_alone(dataset, make_records):
    dataset.fill(1)
    done = make_records(validation_fraction=0.01)
    assert split_of(done) == {"photo-000.jpg": "train"}
    assert any("no picture for validation" in warning for warning in done.warnings)


def test_a_trial_takes_a_few_and_needs_not_all_classes(dataset, make_records):
    dataset.fill(30)
    done = make_records(limit=12, seed=1, classes=["cone", "ball", "mug"])
    assert done.metrics["images"] == 12
    few, all_of_them = split_of(done), split_of(make_records(seed=1, classes=["cone", "ball"]))
    assert {name: all_of_them[name] for name in few} == few
    assert any("'mug' has no box" in warning for warning in done.warnings)


def colored(kind, orientation):
    """400 x 200 as stored, all blue but the stored box (200, 50, 300, 150), which is red."""
    stored = np.zeros((200, 400, 3), np.uint8) + np.array(BLUE, np.uint8)
    stored[50:150, 200:300] = RED
    tag = Image.Exif()
    tag[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, kind, exif=tag)
    return stream.getvalue()


@pytest.mark.parametrize("kind, name", [("JPEG", "a.jpg"), ("PNG", "a.png")])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
@pytest.mark.parametrize("frame", ["stored", "upright"])
def test_exif_is_applied_once_to_pixels_and_boxes(dataset, make_records, kind, name, orientation, frame):
    """Whichever frame the XML speaks of, the record's box encloses the red and nothing else."""
    upright = {
        1: (200, 50, 300, 150),
        5: (50, 200, 150, 300),
        6: (50, 200, 150, 300),
        7: (50, 100, 150, 200),
        8: (50, 100, 150, 200),
    }[orientation]
    size, box = ((400, 200), (200, 50, 300, 150)) if frame == "stored" else ((200, 400), upright)
    if orientation == 1:
        size, box = (400, 200), upright
    dataset.add(name, (("cone", box),), size, colored(kind, orientation))
    done = make_records(classes=["cone"], image_size=[200, 200])
    assert done.findings == []
    picture = pixels.decode(done.features(name)["image/encoded"][0])
    ymin, xmin, ymax, xmax = [round(edge * 200) for edge in done.line(name)["boxes"][0]]
    red = picture[:, :, 0] > 125
    assert red[ymin + 3 : ymax - 3, xmin + 3 : xmax - 3].all()
    red[max(ymin - 3, 0) : ymax + 3, max(xmin - 3, 0) : xmax + 3] = False
    assert not red.any()


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_an_orientation_that_the_size_does_not_tell_is_taken_as_upright_and_listed(dataset, make_records, orientation):
    dataset.add("a.jpg", (("cone", (0, 0, 100, 100)),), (400, 200), colored("JPEG", orientation))
    done = make_records(classes=["cone"])
    assert done.kinds == [("orientation_unclear", "fix")]
    assert done.line("a.jpg")["boxes"] == [[0, 0, 0.5, 0.25]]
    with pytest.raises(BadInput, match="orientation_unclear"):
        make_records(classes=["cone"], findings={"orientation_unclear": "drop"})


CONE = "<object><name>cone</name>%s</object>"
EDGES = "<xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax>"
BNDBOX = "<bndbox>%s</bndbox>" % EDGES
CORNERS = "".join(
    "<x%d>%d</x%d><y%d>%d</y%d>" % (n, x, n, n, y, n) for n, (x, y) in enumerate([(20, 10), (99, 50)] * 2)
)
ROTATION = "<attributes><attribute><name>rotation</name><value>%s</value></attribute></attributes>"
# An object, the finding, its action, and the boxes that come of it in a photo of 200 x 100; None: the picture goes.
FLAWS = [
    (("crate", (0, 0, 50, 50)), "unknown_class", "drop", []),
    (("Cone ", (0, 0, 50, 50)), "near_class", "drop", None),
    (("", (0, 0, 50, 50)), "no_class", "drop", None),
    (("cone", (60, 50, 20, 10)), "flipped_box", "fix", [[0.1, 0.1, 0.5, 0.3]]),
    (("cone", (60, 10, 20, 50)), "flipped_box", "fix", [[0.1, 0.1, 0.5, 0.3]]),
    (("cone", (20, 10, 20, 50)), "empty_box", "drop", []),
    (("cone", (0, 0, 0, 0)), "empty_box", "drop", []),
    (("cone", (-20, -10, 20, 50)), "outside_box", "fix", [[0, 0, 0.5, 0.1]]),
    (("cone", (150, 50, 250, 101)), "outside_box", "fix", [[0.5, 0.75, 1, 1]]),
    (("cone", (200, 10, 300, 50)), "outside_box", "drop", None),
    (("cone", (20, 10, 26, 90)), "small_box", "drop", []),
    (("cone", (100, 50, 190, 95)), "duplicate_object", "drop", []),
    (("cone", ("x", 10, 26, 90)), "unreadable_number", "drop", None),
    (("cone", ("20,5", 10, 60, 50)), "decimal_comma", "fix", [[0.1, 0.1025, 0.5, 0.3]]),
    (("cone", ("1,234", 10, 60, 50)), "unreadable_number", "drop", None),
    (("cone", (0.1, 0.1, 0.5, 0.3)), "relative_box", "drop", None),
    (CONE % "", "no_box", "drop", None),
    (CONE % "<bndbox/>", "no_box", "drop", None),
    (CONE % BNDBOX % (20, 10, 60, ""), "no_box", "drop", None),
    (CONE % "<bndbox>%s</bndbox>" % CORNERS, "other_geometry", "drop", None),
    (CONE % "<circle><cx>50</cx><cy>50</cy><r>20</r></circle>", "other_geometry", "drop", None),
    (CONE % (BNDBOX % (40, 20, 80, 40) + ROTATION % 90), "rotated_box", "fix", [[0.1, 0.25, 0.5, 0.35]]),
    (
        CONE % (BNDBOX % (0, 10, 40, 60) + BNDBOX % (50, 10, 80, 60)),
        "many_boxes",
        "fix",
        [[0.1, 0, 0.6, 0.2], [0.1, 0.25, 0.6, 0.4]],
    ),
]


@pytest.fixture
def flawed(dataset):
    """A picture with a good object and an odd one, the second, and a picture without flaws."""

    def add(odd):
        good = ("cone", (100, 50, 190, 95))
        dataset.add("good.jpg", (good,))
        dataset.add("a.jpg", (good,) if isinstance(odd, str) else (good, odd))
        if isinstance(odd, str):
            path = dataset.annotations / "a.xml"
            path.write_text(
                path.read_text().replace("</annotation>", odd.replace("<object>", "<object>\n") + "</annotation>")
            )

    return add


@pytest.mark.parametrize("odd, kind, action, boxes", FLAWS)
def test_a_flaw_is_listed_with_file_object_and_line(dataset, make_records, flawed, odd, kind, action, boxes):
    flawed(odd)
    done = make_records(classes=["cone"])
    (finding,) = done.findings
    lines = (dataset.annotations / "a.xml").read_text().splitlines()
    assert (finding["kind"], finding["action"], finding["file"], finding["object"]) == (kind, action, "a.xml", 2)
    assert lines[finding["line"] - 1].strip() == "<object>"
    assert "<object>" in "".join(lines[: finding["line"] - 1])
    if boxes is None:
        assert [line["source_id"] for line in done.index] == ["good.jpg"]
    else:
        assert done.line("a.jpg")["boxes"] == [[0.5, 0.5, 0.95, 0.95]] + [pytest.approx(box) for box in boxes]
    assert any(kind in warning for warning in done.warnings)


@pytest.mark.parametrize("odd, kind, action, boxes", FLAWS)
def test_fail_stops_with_the_place_and_drop_leaves_out(dataset, make_records, flawed, odd, kind, action, boxes):
    flawed(odd)
    with pytest.raises(
        BadInput, match=r"%s.*a\.xml, line \d+ \(object 2\).*%s" % (kind, re.escape(KINDS[kind].remedy))
    ):
        make_records(classes=["cone"], findings={kind: "fail"})
    left = [line["source_id"] for line in make_records(classes=["cone"], findings={kind: "drop"}).index]
    assert sorted(left) == (["good.jpg"] if KINDS[kind].about == "picture" else ["a.jpg", "good.jpg"])


def test_the_enclosing_box_of_another_geometry_is_taken_if_asked(make_records, flawed):
    flawed(CONE % "<bndbox>%s</bndbox>" % CORNERS)
    done = make_records(classes=["cone"], findings={"other_geometry": "fix"})
    assert done.line("a.jpg")["boxes"][1] == pytest.approx([0.1, 0.1, 0.5, 0.495])
    assert "the box (20, 10, 99, 50) encloses it" in done.findings[0]["message"]


@pytest.mark.parametrize("policy, background", [("drop", 0), ("fix", 1)])
def test_an_xml_without_contents_is_background_only_if_asked(dataset, make_records, policy, background):
    dataset.fill(2).add("a.jpg")
    (dataset.annotations / "a.xml").write_bytes(b"")
    done = make_records(findings={"empty_xml": policy})
    assert done.kinds == [("empty_xml", policy)]
    assert [line["boxes"] for line in done.index if line["source_id"] == "a.jpg"] == [[]] * background


def test_a_class_that_differs_in_capitals_is_renamed_if_asked(dataset, make_records):
    dataset.add("a.jpg", (("CONE", (0, 0, 50, 50)), ("Traffic_Light", (50, 0, 90, 90))))
    done = make_records(classes=["cone", "traffic light"], findings={"near_class": "fix"})
    assert done.line("a.jpg")["classes"] == [1, 2]
    assert done.kinds == [("near_class", "fix")] * 2


def test_an_unlisted_class_names_the_nearest_spelling(dataset, make_records):
    dataset.fill(2)
    dataset.add("a.jpg", (("balll", (0, 0, 50, 50)),))
    assert "did you mean 'ball'" in make_records().findings[0]["message"]


BAD_PICTURES = [
    (b"", "unreadable_image", "empty"),
    (b"version https://git-lfs.github.com/spec/v1\n", "unreadable_image", "not a readable"),
    (photo(kind="GIF"), "unread_format", "it is a GIF"),
    (photo()[:-900], "unreadable_image", "cut off"),
]


@pytest.mark.parametrize("data, kind, words", BAD_PICTURES)
def test_an_unreadable_photo_is_dropped_and_said(dataset, make_records, data, kind, words):
    dataset.fill(2)
    dataset.add("bad.jpg")
    (dataset.photos / "bad.jpg").write_bytes(data)
    done = make_records()
    assert (done.findings[0]["kind"], done.findings[0]["file"]) == (kind, "bad.jpg")
    assert words in done.findings[0]["message"]
    assert done.metrics["images"] == 2
    assert done.dataset["dropped_pictures"] == 1


def test_a_png_named_jpg_is_read_as_what_it_is(dataset, make_records):
    dataset.fill(2)
    dataset.add("a.jpg", data=photo(kind="PNG"))
    assert make_records().kinds == [("wrong_suffix", "fix")]
    assert len(make_records(findings={"wrong_suffix": "drop"}).index) == 2


def test_damaged_xml_is_dropped_with_its_line(dataset, make_records):
    dataset.fill(2)
    dataset.add("a.jpg")
    (dataset.annotations / "a.xml").write_text("<annotation>\n<object></annotation>")
    (finding,) = make_records().findings
    assert (finding["kind"], finding["file"], finding["line"]) == ("damaged_xml", "a.xml", 2)


def test_boxes_are_scaled_when_the_photo_was_shrunk_after_labelling(dataset, make_records):
    dataset.add("a.jpg", (("cone", (800, 400, 1600, 800)),), (1600, 800), photo(200, 100))
    done = make_records(classes=["cone"])
    assert done.kinds == [("size_mismatch", "fix")]
    assert "1600x800" in done.findings[0]["message"]
    assert done.findings[0]["line"] == 7
    assert done.line("a.jpg")["boxes"] == [[0.5, 0.5, 1, 1]]


def test_a_size_of_another_shape_is_not_guessed(dataset, make_records):
    dataset.fill(2)
    dataset.add("a.jpg", size=(640, 480), data=photo(200, 100))
    assert make_records().kinds == [("size_mismatch", "drop")]
    assert make_records().metrics["images"] == 2


def test_a_size_of_zero_is_the_photo_s(dataset, make_records):
    dataset.add("a.jpg", (("cone", (50, 50, 100, 100)),), (0, 0), photo(200, 100))
    done = make_records(classes=["cone"])
    assert done.kinds == [("size_mismatch", "fix")]
    assert done.line("a.jpg")["boxes"] == [[0.5, 0.25, 1, 0.5]]


def test_background_pictures_stay(dataset, make_records):
    dataset.fill(2)
    dataset.add("empty.jpg", ())
    dataset.add("unlabelled.jpg")
    (dataset.annotations / "unlabelled.xml").unlink()
    done = make_records(findings={"no_xml": "fix"})
    for name in ("empty.jpg", "unlabelled.jpg"):
        assert set(done.features(name)) == PASCAL_KEYS
        assert done.features(name)["image/object/bbox/xmin"] == []
        assert done.line(name)["boxes"] == []


def test_a_class_without_a_box_is_refused_before_the_work(dataset, make_records):
    dataset.fill(2)
    with pytest.raises(BadInput, match=r"class 'bal': did you mean 'ball'\? They name: 2 ball, 2 cone"):
        make_records(classes=["cone", "bal"])


def test_a_folder_that_is_not_there_is_refused(run, dataset):
    with pytest.raises(BadInput, match="no folder"):
        run(records.main, {"photos": str(dataset.photos / "x"), "annotations": str(dataset.annotations)}, PARAMETERS)


def as_program(tmp_path, dataset, cpus=1, limits=(), **parameters):
    """Run the stage as its own process; returns the process with its output."""
    (tmp_path / "out").mkdir()
    (tmp_path / "scratch").mkdir()
    job = {
        "stage": "records",
        "inputs": {"photos": str(dataset.photos), "annotations": str(dataset.annotations)},
        "output": str(tmp_path / "out"),
        "scratch": str(tmp_path / "scratch"),
        "cpus": cpus,
        "parameters": dict(PARAMETERS, **parameters),
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    return subprocess.Popen(
        [sys.executable, "-m", "stages.data.records", str(tmp_path / "job.json")],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        preexec_fn=lambda: [resource.setrlimit(*limit) for limit in limits],
    )


def test_a_full_disk_is_one_sentence(tmp_path, dataset):
    """A limit on the size of files gives the write error that a full disk gives."""
    dataset.fill(6)
    process = as_program(tmp_path, dataset, limits=[(resource.RLIMIT_FSIZE, (20000, 20000))])
    output, errors = process.communicate()
    assert process.returncode == 1
    assert "cannot be written: A file became larger than it may be" in output and "records.folder" in output
    assert "Traceback" not in output + errors
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_bad_input_ends_with_two_and_no_traceback(tmp_path, dataset):
    dataset.fill(2)
    process = as_program(tmp_path, dataset, classes=["cane"])
    output, errors = process.communicate()
    assert process.returncode == 2
    assert "did you mean 'cone'" in output
    assert "Traceback" not in output + errors


def peak_memory(tmp_path, dataset):
    """The stage's largest resident size in bytes, its workers not counted (cpus is 1, so it has none)."""
    process = as_program(tmp_path, dataset, image_size=[128, 128])
    _, _, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    process.stderr.close()
    return usage.ru_maxrss * 1024


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_dataset(tmp_path, dataset):
    """350 more pictures make 15 MB of records and 3500 findings; the peak may grow by a fraction of that."""
    noise = pixels.encode_jpeg(np.random.RandomState(0).randint(0, 256, (100, 200, 3)).astype(np.uint8))
    objects = (("cone", (0, 0, 50, 50)), ("ball", (0, 0, 60, 60))) + (("cone", (5, 0, 5, 5)),) * 10
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    for number in range(50):
        dataset.add("few-%03d.jpg" % number, objects, data=noise)
    few = peak_memory(tmp_path / "few", dataset)
    for number in range(350):
        dataset.add("many-%03d.jpg" % number, objects, data=noise)
    assert peak_memory(tmp_path / "many", dataset) - few < 6 * 1024 * 1024


def test_every_record_passes_its_checksums(dataset, make_records):
    dataset.fill(5)
    done = make_records()
    contents = [
        content
        for name, data in done.bytes().items()
        if name.endswith(".tfrecord")
        for content in tfrecord.contents(data)
    ]
    assert len(contents) == 5


def test_a_shard_that_cannot_be_made_is_said(dataset, make_records, monkeypatch):
    dataset.fill(2)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stages.data.shards.SplitWriter._begin", full)
    with pytest.raises(StageFailed, match="disk is full.*free some space.*another disk"):
        make_records()
