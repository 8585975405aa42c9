"""A detector in jetson-inference's layouts, one for each release: what is written, kept, removed, and refused.

If NANOFORGE_JETSON_INFERENCE names a git repository of it, the releases' features are looked for in its branches.
"""

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest
from jetson_bundle import make_bundle

from stages.jetson import install, jetson_inference, jetson_inference_release
from stages.jetson.jetson_inference import DetectNetModel, labels_file
from stages.jetson.jetson_inference_release import InferenceRelease
from stages.jetson.swap_channels import swapped
from stages.job import BadInput, Job, StageFailed
from tests.fakes import description

MODEL = DetectNetModel(
    b"uff" * 100, labels_file(["background", "cone", "고양이"]), "Input", [3, 300, 300], "NMS", "NMS_1"
)
LISTED = {
    "classification": {"googlenet": {"dir": "Googlenet"}},
    "detection": {
        "ssd-mobilenet-v2": {"dir": "SSD-Mobilenet-v2", "alias": ["coco", "SSD_Mobilenet"]},
        "PeopleNet": {"dir": "peoplenet_v2", "alias": "people"},
    },
}
ENGINES = (
    ".1.1.GPU.FP16.engine",
    ".1.1.7103.GPU.FP16.engine",
    ".1.1.8201.GPU.FP32.engine",
    ".1.tensorcache",
    ".1.1.8201.GPU.INT8.calibration",
    ".sha256sum",
)
# Branch: (loads .uff, models.json, TensorRT's version in the engine's name, checksum, one program).
BRANCHES = {
    "L4T-R32.1": (False, False, False, False, False),
    "L4T-R32.2": (True, False, False, False, False),
    "L4T-R32.3": (True, False, False, False, False),
    "L4T-R32.4.2": (True, False, True, False, False),
    "L4T-R32.4.3": (True, False, True, False, True),
    "L4T-R32.4.4": (True, False, True, False, True),
    "L4T-R32.5.0": (True, False, True, False, True),
    "L4T-R32.7.1": (True, False, True, False, True),
    "L4T-R35.1.0": (True, False, True, True, True),
    "master": (True, True, True, True, True),
}
LOADING = [name for name, features in BRANCHES.items() if features[0]]
BUILT_IN = [name for name in LOADING if not BRANCHES[name][1]]


def clone(tmp_path, branch):
    """The parts of a clone that tell its release, in our own words around the words that count."""
    uff, listed, versioned, checked, single = BRANCHES[branch]
    root = tmp_path / "jetson-inference"
    networks, sources = root / "data" / "networks", root / "c" if uff else root
    networks.mkdir(parents=True)
    sources.mkdir(exist_ok=True)
    (root / "examples" / ("detectnet" if single else "detectnet-console")).mkdir(parents=True)
    detect = 'model["input_dims"]' if listed else '"networks/SSD-Mobilenet-v2/ssd_mobilenet_v2_coco.uff"' if uff else ""
    name = '"%s.%u.%u.%i.%s.%s"' if versioned else '"%s.%u.%u.%s.%s"'
    (sources / "detectNet.cpp").write_text("// %s\n" % detect)
    (sources / "tensorNet.cpp").write_text("// %s %s\n" % (name, "sha256sum" if checked else ""))
    (networks / "ilsvrc12_synset_words.txt").write_text("")
    if listed:
        (networks / "models.json").write_text(json.dumps(LISTED))
    elif uff:
        slot = networks / "SSD-Mobilenet-v2"
        slot.mkdir()
        (slot / "ssd_mobilenet_v2_coco.uff").write_bytes(b"theirs")
        (slot / "ssd_coco_labels.txt").write_text("unlabeled\nperson\n")
        for engine in ENGINES:
            (slot / ("ssd_mobilenet_v2_coco.uff" + engine)).write_text("of theirs")
        (slot / "notes.engine.txt").write_text("mine")
    return root


@pytest.fixture
def newer(tmp_path):
    return clone(tmp_path, "master")


def place(folder, name="cones", model=MODEL):
    return jetson_inference.place(jetson_inference_release.find(str(folder)), name, model)


@pytest.mark.parametrize("branch", LOADING)
def test_each_release_is_known_by_its_sources(tmp_path, branch):
    root = clone(tmp_path, branch)
    networks = str(root / "data" / "networks")
    _, listed, versioned, checked, single = BRANCHES[branch]
    wanted = InferenceRelease(networks, listed, versioned, checked, single)
    assert jetson_inference_release.find(str(root)) == jetson_inference_release.find(networks) == wanted
    link = tmp_path / "bin"
    link.mkdir()
    (link / "networks").symlink_to(networks)
    assert jetson_inference_release.find(str(link / "networks")) == wanted


def _write_from_git(folder, branch, path):
    repository = os.environ["NANOFORGE_JETSON_INFERENCE"]
    shown = subprocess.run(
        ["git", "-C", repository, "show", "%s:%s" % (branch, path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    if shown.returncode == 0:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(shown.stdout)


@pytest.mark.skipif("NANOFORGE_JETSON_INFERENCE" not in os.environ, reason="NANOFORGE_JETSON_INFERENCE names nothing")
@pytest.mark.parametrize("branch", BRANCHES)
def test_real_branches_have_these_features(tmp_path, branch):
    for path in ("c/%s", "%s", "data/networks/models.json", "examples/detectnet/detectnet.cpp"):
        for name in ("detectNet.cpp", "tensorNet.cpp") if "%" in path else ("",):
            _write_from_git(tmp_path, branch, path % name if name else path)
    uff, listed, versioned, checked, single = BRANCHES[branch]
    if uff:
        (tmp_path / "data" / "networks").mkdir(parents=True, exist_ok=True)
        found = jetson_inference_release.find(str(tmp_path))
        assert found[1:] == (listed, versioned, checked, single)
    else:
        (tmp_path / "data" / "networks").mkdir(parents=True)
        with pytest.raises(BadInput, match="loads no .uff"):
            jetson_inference_release.find(str(tmp_path))


def test_a_release_without_uff_is_refused(tmp_path):
    with pytest.raises(BadInput, match="older than July 2019, or unknown.*branch master"):
        place(clone(tmp_path, "L4T-R32.1"))


def test_a_clone_that_lacks_its_list_is_refused(newer):
    (newer / "data" / "networks" / "models.json").unlink()
    with pytest.raises(BadInput, match="lacks models.json"):
        place(newer)


@pytest.mark.parametrize(
    "held, wanted",
    [
        ("models.json", (True, True, True, True)),
        ("SSD-Mobilenet-v2", (False, None, False, True)),
        ("ssd_coco_labels.txt", (False, None, False, True)),
    ],
)
def test_without_sources_the_files_tell(tmp_path, held, wanted):
    networks = tmp_path / "networks"
    networks.mkdir()
    (networks / held).mkdir() if "." not in held else (networks / held).write_text("{}")
    assert jetson_inference_release.find(str(networks))[1:] == wanted
    (tmp_path / "detectnet-console").write_text("")
    assert jetson_inference_release.find(str(networks)).single == (held == "models.json")


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_of_something_else_is_refused(tmp_path, there):
    with pytest.raises(BadInput, match="neither a clone of" if there else "There is no jetson-inference"):
        place(tmp_path if there else tmp_path / "nowhere")


def test_a_newer_release_gets_a_folder_and_an_entry(newer):
    where = place(newer)
    done = jetson_inference.install(where, MODEL)
    networks = newer / "data" / "networks"
    assert sorted(os.listdir(str(networks / "cones"))) == ["cones_labels.txt", "model.uff", "model.uff.sha256sum"]
    assert (networks / "cones" / "model.uff").read_bytes() == MODEL.uff
    assert (networks / "cones" / "cones_labels.txt").read_text(encoding="utf-8") == "BACKGROUND\ncone\n고양이\n"
    assert (networks / "cones" / "model.uff.sha256sum").read_text() == hashlib.sha256(MODEL.uff).hexdigest()
    listed = json.loads((networks / "models.json").read_text(encoding="utf-8"))
    assert listed["detection"].pop("cones") == {
        "dir": "cones",
        "model": "model.uff",
        "labels": "cones_labels.txt",
        "input": "Input",
        "input_dims": [3, 300, 300],
        "output": {"bbox": "NMS", "count": "NMS_1"},
        "description": "made by Nanoforge",
    }
    assert listed == LISTED and len(done) == 3
    assert jetson_inference.check(where, MODEL) == [] == jetson_inference.install(where, MODEL)
    assert jetson_inference.commands(where)[0] == "detectnet --network=cones photo.jpg found.jpg"


@pytest.mark.parametrize("branch", BUILT_IN)
def test_an_older_release_gets_it_in_place_of_its_own(tmp_path, branch):
    where = place(clone(tmp_path, branch))
    done = jetson_inference.install(where, MODEL)
    slot = tmp_path / "jetson-inference" / "data" / "networks" / "SSD-Mobilenet-v2"
    assert sorted(os.listdir(str(slot))) == [
        "nanoforge.json",
        "notes.engine.txt",
        "ssd_coco_labels.txt",
        "ssd_coco_labels.txt.original",
        "ssd_mobilenet_v2_coco.uff",
        "ssd_mobilenet_v2_coco.uff.original",
        *(["ssd_mobilenet_v2_coco.uff.sha256sum"] if where.release.checked else []),
    ]
    assert sum("is removed" in sentence for sentence in done) == len(ENGINES)
    program = "detectnet" if where.release.single else "detectnet-console"
    assert jetson_inference.commands(where)[0].startswith(program + " ")
    assert all("--network=ssd-mobilenet-v2" in line for line in jetson_inference.commands(where))
    assert jetson_inference.check(where, MODEL) == []
    again = jetson_inference.install(where, MODEL._replace(uff=b"other"))
    assert (slot / "ssd_mobilenet_v2_coco.uff.original").read_bytes() == b"theirs"
    assert not any("kept" in sentence for sentence in again)
    assert any("not what was installed" in sentence for sentence in jetson_inference.check(where, MODEL))


def test_a_slot_that_was_empty_keeps_nothing_of_ours_as_theirs(tmp_path):
    root = clone(tmp_path, "L4T-R32.7.1")
    slot = root / "data" / "networks" / "SSD-Mobilenet-v2"
    for path in slot.iterdir():
        path.unlink()
    for uff in (b"first", b"second"):
        jetson_inference.install(place(root), MODEL._replace(uff=uff))
    assert not [name for name in os.listdir(str(slot)) if name.endswith(".original")]


@pytest.mark.parametrize(
    "change",
    [{"shape": [3, 160, 160]}, {"shape": [3, 300, 400]}, {"input": "image"}, {"boxes_output": "Postprocessor"}],
)
def test_what_is_built_into_an_older_release_cannot_be_otherwise(tmp_path, change):
    root = clone(tmp_path, "L4T-R32.7.1")
    with pytest.raises(BadInput, match=r"Input \[3, 300, 300\] and the outputs NMS and NMS_1 built in"):
        place(root, model=MODEL._replace(**change))


@pytest.mark.parametrize(
    "branch, version, wanted",
    [
        ("L4T-R32.2", "5.1.6.1", ["ssd_mobilenet_v2_coco.uff.1.1.GPU.FP16.engine"]),
        ("L4T-R32.4.2", "7.1.0.16", ["ssd_mobilenet_v2_coco.uff.1.1.7100.GPU.FP16.engine"]),
        ("L4T-R32.7.1", "8.2.1.8", ["ssd_mobilenet_v2_coco.uff.1.1.8201.GPU.FP16.engine"]),
        ("master", "8.2.1.8", ["model.uff.1.1.8201.GPU.FP16.engine"]),
        ("master", None, ["model.uff.1.1.*.GPU.FP16.engine"]),
    ],
)
def test_the_name_of_the_engine_is_known(tmp_path, branch, version, wanted):
    assert jetson_inference.engine_names(place(clone(tmp_path, branch)), version) == wanted


@pytest.mark.parametrize("precision", ["FP16", "FP32"])
def test_installing_another_model_removes_the_engine(newer, precision):
    where = place(newer)
    jetson_inference.install(where, MODEL)
    engine = os.path.join(where.folder, "model.uff.1.1.8201.GPU.%s.engine" % precision)
    open(engine, "w").close()
    assert jetson_inference.install(where, MODEL) == [] and os.path.exists(engine)
    jetson_inference.install(where, MODEL._replace(uff=b"better"))
    assert not os.path.exists(engine) and jetson_inference.check(where, MODEL._replace(uff=b"better")) == []


def test_an_engine_older_than_the_model_is_of_another(tmp_path):
    where = place(clone(tmp_path, "L4T-R32.7.1"))
    jetson_inference.install(where, MODEL)
    engine = os.path.join(where.folder, where.model + ".1.1.8201.GPU.FP16.engine")
    open(engine, "w").close()
    os.utime(engine, (1, 1))
    assert re.search("engine .* older", " ".join(jetson_inference.check(where, MODEL)))
    assert jetson_inference.install(where, MODEL) == [engine + " is removed"]
    assert jetson_inference.check(where, MODEL) == []


@pytest.mark.parametrize("name", ["ssd-mobilenet-v2", "coco", "ssd_mobilenet", "people", "PEOPLENET", "peoplenet_v2"])
def test_the_name_of_another_network_is_refused_whatever_its_case(newer, name):
    with pytest.raises(BadInput, match="give the detector another name"):
        place(newer, name)
    assert not (newer / "data" / "networks" / name).exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A B", ".x", "x" * 65, "고양이"])
def test_a_name_that_leads_elsewhere_is_refused(newer, name):
    with pytest.raises(BadInput, match="cannot be a detector's name"):
        place(newer, name)


def test_two_detectors_whose_names_differ_by_case_alone_are_refused(newer):
    jetson_inference.install(place(newer, "Cones"), MODEL)
    with pytest.raises(BadInput, match="knows cones as"):
        place(newer, "cones")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"detection": []}', "[" * 100000])
def test_a_damaged_list_is_refused_and_stays(newer, text):
    path = newer / "data" / "networks" / "models.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="models.json cannot be read"):
        place(newer)
    assert path.read_text() == text


@pytest.mark.parametrize("number, words", [(13, "Permission denied"), (30, "Read-only file system")])
def test_a_folder_that_cannot_be_written_says_how_to_make_it_ones_own(newer, monkeypatch, number, words):
    def refused(*_, **__):
        raise OSError(number, words, str(newer))

    monkeypatch.setattr(jetson_inference.os, "makedirs", refused)
    before = (newer / "data" / "networks" / "models.json").read_bytes()
    with pytest.raises(StageFailed, match=words + ".*chown"):
        jetson_inference.install(place(newer), MODEL)
    assert (newer / "data" / "networks" / "models.json").read_bytes() == before


@pytest.mark.parametrize("branch", ["L4T-R32.7.1", "master"])
def test_a_full_disk_leaves_what_was_there(tmp_path, branch, monkeypatch):
    where = place(clone(tmp_path, branch))
    before = {path: path.read_bytes() for path in (tmp_path / "jetson-inference").rglob("*.*") if path.is_file()}

    def full(_stream):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jetson_inference.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        jetson_inference.install(where, MODEL)
    monkeypatch.undo()
    kept = {path: data for path, data in before.items() if not jetson_inference.CACHES.search(path.name)}
    assert {path: path.read_bytes() for path in kept} == kept
    jetson_inference.install(where, MODEL)
    assert jetson_inference.check(where, MODEL) == []


@pytest.mark.parametrize("damage", ["model", "labels", "checksum", "entry", "gone"])
def test_check_names_what_is_wrong(newer, damage):
    where = place(newer)
    jetson_inference.install(where, MODEL)
    if damage == "entry":
        (newer / "data" / "networks" / "models.json").write_text(json.dumps(LISTED))
    elif damage == "gone":
        os.remove(where.model_path)
    else:
        name = {"model": where.model, "labels": where.labels, "checksum": "model.uff.sha256sum"}[damage]
        with open(os.path.join(where.folder, name), "w") as stream:
            stream.write("another")
    assert len(jetson_inference.check(where, MODEL)) == 1


def as_detectnet_reads(data):
    """Class names by number, as detectNet makes them of a labels file: lines of 511 bytes at most, synsets cut off."""
    names = []
    for line in data.splitlines(True):
        for start in range(0, len(line), 511):
            part = line[start : start + 511]
            synset = len(part) > 9 and part[:1] == b"n" and part[9:10] == b" "
            names.append((part[10:-1] if synset else part.rstrip(b"\n")).decode("utf-8", "replace"))
    return names


@pytest.mark.parametrize(
    "name",
    ["traffic cone", "고양이 두 마리", "newspaper stand", "n00000001 fish", "note12345", "n", "void", "", "가" * 160],
)
def test_detectnet_reads_the_names_back(name):
    assert as_detectnet_reads(labels_file(["background", name, "last"])) == ["BACKGROUND", name, "last"]


def test_a_name_that_is_no_line_is_one_or_is_refused():
    assert labels_file(["background", "a\nb\tc"]) == b"BACKGROUND\na b c\n"
    with pytest.raises(BadInput, match="has a name of 600 bytes"):
        labels_file(["background", "가" * 200])


DESCRIPTION = dict(description.DESCRIPTION, classes=["background", "cone", "ball", "고양이"])


@pytest.fixture
def stage(tmp_path, detector, newer, monkeypatch, capfd):
    """Runs the stage on a convert artifact with this description; returns install.json and what was said."""
    monkeypatch.setattr(install, "LINK", str(newer / "data" / "networks"))

    def ran(folder=newer, name="cones", check=False, **change):
        for part in ("model", "output", "scratch"):
            (tmp_path / part).mkdir(exist_ok=True)
        described = dict(DESCRIPTION, input=dict(DESCRIPTION["input"], **change))
        (tmp_path / "model" / "model.json").write_text(json.dumps(described))
        (tmp_path / "model" / "model.uff").write_bytes(bytes_of(detector))
        install.main(
            Job(
                {
                    "stage": "install",
                    "inputs": {"model": str(tmp_path / "model")},
                    "output": str(tmp_path / "output"),
                    "scratch": str(tmp_path / "scratch"),
                    "parameters": {"folder": str(folder), "name": name, "check": check},
                    "cpus": 1,
                }
            )
        )
        return json.loads((tmp_path / "output" / "install.json").read_text(encoding="utf-8")), capfd.readouterr().out

    return ran


def bytes_of(path):
    with open(str(path), "rb") as stream:
        return stream.read()


def test_the_stage_installs_the_detector_for_blue_first_pictures(stage, newer, detector):
    found, said = stage()
    held = newer / "data" / "networks" / "cones"
    assert bytes_of(held / "model.uff") == swapped(bytes_of(detector), "it") != bytes_of(detector)
    assert found["network"] == "cones" and found["commands"][0] in said and len(found["done"]) == 3
    assert (
        re.match(r"model.uff.1.1.\d{4}.GPU.FP16.engine$", found["engine"]["names"][0]) and not found["engine"]["there"]
    )
    assert "detectNet's font has ASCII only: 고양이" in json.loads(
        '"%s"' % said.split('"warning": "')[1].split('"}')[0]
    )
    assert stage(check=True)[0]["done"] == []


def test_a_detector_for_blue_first_pictures_is_installed_as_it_is(stage, newer, detector):
    stage(channels="BGR")
    assert bytes_of(newer / "data" / "networks" / "cones" / "model.uff") == bytes_of(detector)


def test_the_stage_refuses_what_detectnet_would_feed_otherwise(stage):
    with pytest.raises(BadInput, match="detectNet feeds numbers from -1 to 1"):
        stage(scale=1 / 255, offset=0.0)


def test_the_stage_says_what_a_check_finds(stage):
    with pytest.raises(StageFailed, match="not as it was installed: there is no .*model.uff.*; install it again"):
        stage(check=True)


def test_the_stage_warns_where_another_clone_is_the_one_that_counts(stage, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(install, "LINK", str(tmp_path / "other"))
    assert "leads to %s" % (tmp_path / "other") in stage()[1]


def test_a_tensorrt_without_uff_parser_has_no_use_for_it(stage, monkeypatch):
    class New:
        __version__ = "10.3.0"

    monkeypatch.setattr(install.libraries, "tensorrt", New)
    with pytest.raises(BadInput, match="TensorRT 10.3.0 has no UFF parser"):
        stage()


def test_without_tensorrt_the_engines_name_is_left_open(stage, monkeypatch):
    def missing():
        raise StageFailed("no TensorRT")

    monkeypatch.setattr(install.libraries, "tensorrt", missing)
    assert stage()[0]["engine"]["names"] == ["model.uff.1.1.*.GPU.FP16.engine"]


def test_a_bundle_installs_itself_with_nothing_but_python(detector, newer, tmp_path):
    (tmp_path / "made").mkdir()
    archive = str(make_bundle(detector, tmp_path / "made") / "detector.pyz")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(command):
        done = subprocess.run(
            [sys.executable, archive, command, str(newer)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        )  # fmt: skip
        return done.returncode, done.stdout

    code, said = run("install")
    assert code == 0 and "detectnet --network=cones photo.jpg found.jpg" in said, said
    assert bytes_of(newer / "data" / "networks" / "cones" / "model.uff") == swapped(bytes_of(detector), "it")
    assert run("check")[0] == 0
