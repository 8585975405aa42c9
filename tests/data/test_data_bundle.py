"""The stage bundle: what it makes, and of which pictures."""

import json
import os
import sys

import numpy as np
import pytest

from stages import pixels
from stages.bundle import bundle, samples
from stages.detect import detectors
from stages.detect.pictures import Picture
from stages.job import BadInput

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "detect"))

import detect_data  # noqa: E402

PARAMETERS = {"name": "cones", "samples": 3, "calibration_pictures": 0, "score_threshold": 0.5}


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "convert"
    detect_data.write_model(folder, tensorflow="1.12.0")
    (folder / "labels.txt").write_text("BACKGROUND\ncone\nball\nbox\n")
    return folder


@pytest.fixture
def own(converted, tmp_path):
    """A copy of the convert artifact, to be damaged."""
    folder = tmp_path / "convert"
    folder.mkdir()
    for path in converted.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def records(tmp_path):
    return detect_data.write_records(tmp_path / "records", count=4)


@pytest.fixture
def make(run, converted):
    def start(model=converted, records=None, **parameters):
        inputs = dict({"model": str(model)}, **({"records": str(records)} if records else {}))
        return run(bundle.main, inputs, dict(PARAMETERS, **parameters))

    return start


def files_of(outcome):
    return {name: data for name, data in outcome.bytes().items() if name.startswith("model/")}


def test_all_that_the_board_needs_and_twice_the_same(make, converted, records):
    first, second = make(records=records), make(records=records)
    assert first.bytes() == second.bytes()
    held = files_of(first)
    assert sorted(held) == [
        "model/NOTICE.txt", "model/checksums.json", "model/labels.txt", "model/model.json", "model/model.uff",
        "model/samples.json", "model/samples/00.png", "model/samples/01.png", "model/samples/02.png",
    ]  # fmt: skip
    assert held["model/model.uff"] == (converted / "model.uff").read_bytes()
    listed = json.loads(held["model/checksums.json"])
    assert listed["name"] == "cones" and listed["format"] == 1
    assert sorted("model/" + name for name in listed["files"]) == sorted(set(held) - {"model/checksums.json"})
    assert first.metrics["samples"] == 3 and first.metrics["megabytes"] > 1 and not first.warnings


def test_samples_are_the_records_own_pixels_with_what_the_reference_finds(make, converted, records):
    outcome = make(records=records)
    document = json.loads((outcome.folder / "model" / "samples.json").read_text())
    assert document["score_threshold"] == 0.5
    detector = detectors.reference(str(converted))
    for entry in document["pictures"]:
        number = int(entry["source"][4:-4])
        picture = pixels.decode((outcome.folder / "model" / entry["file"]).read_bytes())
        assert np.array_equal(picture, detect_data.photo(64, 64, seed=number + 1))
        assert entry["detections"] == detector.detect(picture) != []
        assert entry["truth"] == [{"class_id": 2, "class": "ball", "box": [32.0, 16.0, 64.0, 48.0]}]


def test_records_of_another_size_are_resized(make, tmp_path):
    records = detect_data.write_records(tmp_path / "large", count=1, size=(96, 128))
    outcome = make(records=records)
    picture = pixels.decode((outcome.folder / "model" / "samples" / "00.png").read_bytes())
    assert np.array_equal(picture, pixels.resize(detect_data.photo(96, 128, seed=1), 64, 64))


def test_without_records_the_samples_are_made_and_it_says_so(make):
    outcome = make()
    document = json.loads((outcome.folder / "model" / "samples.json").read_text())
    assert len(document["pictures"]) == 3 and all(one["truth"] is None for one in document["pictures"])
    assert (
        "made pictures" in outcome.warnings[0] and "made pictures" in (outcome.folder / "model/NOTICE.txt").read_text()
    )


def test_calibration_pictures_are_those_of_the_training(make, records):
    outcome = make(records=records, calibration_pictures=5)
    names = sorted(os.listdir(str(outcome.folder / "model" / "calibration")))
    assert names == ["00.png"] and outcome.metrics["calibration_pictures"] == 1
    picture = pixels.decode((outcome.folder / "model" / "calibration" / "00.png").read_bytes())
    assert np.array_equal(picture, detect_data.photo(64, 64, seed=0))


def test_models_for_newer_boards_go_along(make, own):
    for name in ("model.onnx", "model.boxes.onnx"):
        (own / name).write_bytes(b"onnx")
    assert {"model/model.onnx", "model/model.boxes.onnx"} <= set(make(model=own).bytes())


def test_the_notice_says_what_it_was_made_of(make, records):
    text = (make(records=records).folder / "model" / "NOTICE.txt").read_text()
    for words in ("cone, ball, box", "64 x 64", "1.12.0", "Apache License 2.0", "3 validation pictures", "photos"):
        assert words in text


@pytest.mark.parametrize("name", ["model.uff", "model.json", "labels.txt"])
def test_a_folder_that_lacks_something_is_bad_input(make, own, name):
    (own / name).unlink()
    with pytest.raises(BadInput, match=name + ".*convert"):
        make(model=own)


def test_calibration_without_records_is_bad_input(make):
    with pytest.raises(BadInput, match="bundle.calibration_pictures to 0"):
        make(calibration_pictures=5)


def test_records_without_a_picture_of_the_split_are_bad_input(make, records):
    path = records / "index.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(dict(line, split="train")) + "\n" for line in lines))
    with pytest.raises(BadInput, match="no validation picture; raise"):
        make(records=records)
    path.write_text("".join(json.dumps(dict(line, split="validation")) + "\n" for line in lines))
    with pytest.raises(BadInput, match="no train picture; lower"):
        make(records=records, calibration_pictures=1)


def test_records_of_other_classes_are_bad_input(make, records):
    path = records / "index.jsonl"
    path.write_text(path.read_text().replace('"classes": [2]', '"classes": [7]'))
    with pytest.raises(BadInput, match="Class id 7"):
        make(records=records)


@pytest.mark.parametrize("damage", ["shard", "index", "no size"])
def test_damaged_records_are_bad_input(make, records, damage):
    if damage == "shard":
        path = records / "validation-00000-of-00001.tfrecord"
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    else:
        path = records / "index.jsonl"
        path.write_text("{" if damage == "index" else path.read_text().replace('"width": 400', '"width": 0'))
    with pytest.raises(BadInput, match="make the records again"):
        make(records=records, samples=4)


def picture(name, *boxes):
    """A record's picture of 100 x 100 with boxes of (class id, side)."""
    truth = [{"class_id": class_id, "box": [0, 0, side, side]} for class_id, side in boxes]
    return Picture(name, lambda: None, [100, 100], truth)


def names(chosen):
    return [one.name for one in chosen]


def test_every_class_and_size_and_an_empty_picture_is_chosen_before_more_of_the_same():
    same = [picture("many %d" % number, (1, 50)) for number in range(50)]
    rare = [picture("other class", (2, 50)), picture("small", (1, 5)), picture("large", (1, 99)), picture("nothing")]
    chosen = samples.chosen(same[:25] + rare + same[25:], 6, 100, 100)
    assert names(chosen) == ["many 0", "many 1", "other class", "small", "large", "nothing"]


def test_they_are_spread_evenly_and_in_order():
    pictures = [picture("%d of %d" % (number, kind), (kind, 50)) for kind in (1, 2, 3) for number in range(10)]
    assert names(samples.chosen(pictures, 6, 100, 100)) == [
        "%d of %d" % (number, kind) for kind in (1, 2, 3) for number in (0, 1)
    ]


def test_all_are_chosen_where_there_are_few():
    pictures = [picture("a", (1, 50)), picture("b", (1, 50))]
    assert names(samples.chosen(pictures, 20, 100, 100)) == ["a", "b"]


def test_sizes_count_at_the_networks_size_not_the_photos():
    pictures = [picture("a", (1, 50)), picture("b", (1, 50)), picture("c", (1, 99))]
    assert names(samples.chosen(pictures, 2, 100, 100)) == ["a", "c"]
    assert names(samples.chosen(pictures, 2, 20, 20)) == ["a", "b"]


def test_made_pictures_are_of_many_colours_and_always_the_same():
    first, second = samples.made(3, 40, 60), samples.made(3, 40, 60)
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(first, second))
    assert all(one.pixels.shape == (40, 60, 3) and one.pixels.std() > 30 for one in first)
