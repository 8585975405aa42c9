"""A detector in jetson-inference's layouts: what is written, what is kept, what is removed, what is refused."""

import hashlib
import json
import os

import pytest

from stages.jetson import jetson_inference
from stages.jetson.jetson_inference import Detector
from stages.job import BadInput, StageFailed

DETECTOR = Detector(b"uff" * 100, ["BACKGROUND", "cone", "고양이"], "Input", [3, 300, 300], "NMS", "NMS_1")
LISTED = {
    "classification": {"googlenet": {"dir": "Googlenet"}},
    "detection": {"ssd-mobilenet-v2": {"dir": "SSD-Mobilenet-v2", "alias": ["coco", "mobilenet"]}},
}
ENGINES = (
    ".1.1.GPU.FP16.engine",
    ".1.1.7103.GPU.FP16.engine",
    ".1.1.8201.GPU.FP16.engine",
    ".1.tensorcache",
    ".1.1.8201.GPU.INT8.calibration",
    ".sha256sum",
)


@pytest.fixture
def newer(tmp_path):
    """A clone since December 2022."""
    networks = tmp_path / "jetson-inference" / "data" / "networks"
    networks.mkdir(parents=True)
    (networks / "models.json").write_text(json.dumps(LISTED))
    return tmp_path / "jetson-inference"


@pytest.fixture
def older(tmp_path):
    """The folder of networks of a release before."""
    slot = tmp_path / "networks" / "SSD-Mobilenet-v2"
    slot.mkdir(parents=True)
    (slot / "ssd_mobilenet_v2_coco.uff").write_bytes(b"theirs")
    (slot / "ssd_coco_labels.txt").write_text("unlabeled\nperson\n")
    for name in ENGINES:
        (slot / ("ssd_mobilenet_v2_coco.uff" + name)).write_text("of theirs")
    (slot / "notes.engine.txt").write_text("mine")
    return tmp_path / "networks"


def test_a_newer_release_gets_a_folder_and_an_entry(newer):
    place = jetson_inference.find(str(newer), "cones")
    done = jetson_inference.install(place, DETECTOR)
    folder = newer / "data" / "networks" / "cones"
    assert (folder / "model.uff").read_bytes() == DETECTOR.uff
    assert (folder / "labels.txt").read_text(encoding="utf-8") == "BACKGROUND\ncone\n고양이\n"
    assert (folder / "model.uff.sha256sum").read_text() == hashlib.sha256(DETECTOR.uff).hexdigest()
    listed = json.loads((newer / "data" / "networks" / "models.json").read_text(encoding="utf-8"))
    assert listed["detection"]["cones"] == {
        "dir": "cones",
        "model": "model.uff",
        "labels": "labels.txt",
        "input": "Input",
        "input_dims": [3, 300, 300],
        "output": {"bbox": "NMS", "count": "NMS_1"},
        "description": "made by Nanoforge",
    }
    del listed["detection"]["cones"]
    assert listed == LISTED and place.network == "cones" and len(done) == 2
    assert jetson_inference.check(place, DETECTOR) == []


def test_an_older_release_gets_it_in_place_of_its_own(older):
    place = jetson_inference.find(str(older), "cones")
    assert place.network == "ssd-mobilenet-v2"
    done = jetson_inference.install(place, DETECTOR)
    slot = older / "SSD-Mobilenet-v2"
    assert sorted(os.listdir(str(slot))) == [
        "notes.engine.txt",
        "ssd_coco_labels.txt",
        "ssd_coco_labels.txt.original",
        "ssd_mobilenet_v2_coco.uff",
        "ssd_mobilenet_v2_coco.uff.original",
        "ssd_mobilenet_v2_coco.uff.sha256sum",
    ]
    assert (slot / "ssd_mobilenet_v2_coco.uff.original").read_bytes() == b"theirs"
    assert sum("is removed" in sentence for sentence in done) == len(ENGINES)
    again = jetson_inference.install(place, DETECTOR._replace(uff=b"other"))
    assert (slot / "ssd_mobilenet_v2_coco.uff.original").read_bytes() == b"theirs"
    assert not any("kept" in sentence for sentence in again)
    assert any("not what was installed" in sentence for sentence in jetson_inference.check(place, DETECTOR))


def test_installing_again_replaces_it_and_removes_its_engine(newer):
    place = jetson_inference.find(str(newer), "cones")
    jetson_inference.install(place, DETECTOR)
    engine = os.path.join(place.folder, "model.uff.1.1.8201.GPU.FP16.engine")
    open(engine, "w").close()
    jetson_inference.install(place, DETECTOR._replace(uff=b"better"))
    assert not os.path.exists(engine) and jetson_inference.check(place, DETECTOR._replace(uff=b"better")) == []


@pytest.mark.parametrize("name", ["ssd-mobilenet-v2", "coco"])
def test_the_name_of_another_network_is_refused(newer, name):
    with pytest.raises(BadInput, match="give the detector another name"):
        jetson_inference.install(jetson_inference.find(str(newer), name), DETECTOR)
    assert not (newer / "data" / "networks" / name).exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A B", ".x", "x" * 65])
def test_a_name_that_leads_elsewhere_is_refused(newer, name):
    with pytest.raises(BadInput, match="cannot be a detector's name"):
        jetson_inference.find(str(newer), name)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(BadInput, match="neither a clone of jetson-inference"):
        jetson_inference.find(str(tmp_path), "cones")


@pytest.mark.parametrize("text", ["{", "[]", '{"detection": []}'])
def test_a_damaged_list_is_refused_and_stays(newer, text):
    path = newer / "data" / "networks" / "models.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="models.json cannot be read"):
        jetson_inference.install(jetson_inference.find(str(newer), "cones"), DETECTOR)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_says_how_to_make_it_ones_own(newer, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(newer))

    monkeypatch.setattr(jetson_inference.os, "makedirs", refused)
    with pytest.raises(StageFailed, match="Permission denied.*chown"):
        jetson_inference.install(jetson_inference.find(str(newer), "cones"), DETECTOR)


@pytest.mark.parametrize("damage", ["model", "labels", "checksum", "entry"])
def test_check_names_what_is_wrong(newer, damage):
    place = jetson_inference.find(str(newer), "cones")
    jetson_inference.install(place, DETECTOR)
    if damage == "entry":
        (newer / "data" / "networks" / "models.json").write_text(json.dumps(LISTED))
    else:
        name = {"model": "model.uff", "labels": "labels.txt", "checksum": "model.uff.sha256sum"}[damage]
        with open(os.path.join(place.folder, name), "w") as stream:
            stream.write("another")
    assert len(jetson_inference.check(place, DETECTOR)) == 1
