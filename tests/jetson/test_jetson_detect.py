"""detect by an engine, the reference and TensorFlow: the same JSON; pictures under way; engines that are refused."""

import json
import os
import shutil

import numpy as np
import pytest
from conftest import BUILD, CLONE, building, photo

from stages import pixels
from stages.detect import description, nms
from stages.detect.backends import tensorrt as engine_backend
from stages.detect.backends.tensorrt import TensorrtBackend
from stages.jetson.running import Buffer, Slot
from stages.job import BadInput, StageFailed
from stages.parameters import ConvertParameters, DetectParameters

DETECT = "stages.detect.detect"


def parameters(backend, threshold=0.5, draw=False):
    return DetectParameters(100, threshold, 0, draw, backend)._asdict()


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(4):
        (folder / ("%d.png" % seed)).write_bytes(pixels.encode_png(photo(seed, 100 + 20 * seed)))
    return folder


def detected(stages_of, backend, inputs, media, threshold=0.5, **settings):
    ran = stages_of.run(DETECT, dict(inputs, media=media), parameters(backend, threshold), **settings)
    assert ran.code == 0, ran.log
    assert ran.all("metrics")[-1]["milliseconds_per_picture"] > 0
    return ran.json("detections.json")


EXPORT = """
import sys
sys.path.insert(0, sys.argv[1])
from ssd_graphs import build, pipeline
text = pipeline(size=64, score_threshold="0.3")
with open(sys.argv[2] + "/frozen_inference_graph.pb", "wb") as stream:
    stream.write(build(text, True).SerializeToString(deterministic=True))
"""


@pytest.fixture
def exported(board, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    board(EXPORT, os.path.join(CLONE, "tests", "convert"), folder)
    return folder


@pytest.mark.slow
def test_three_backends_give_the_same_json(exported, stages_of, photos):
    converted = stages_of.run("stages.convert.convert", {"graph": exported}, ConvertParameters("uff", 1)._asdict())
    assert converted.code == 0, converted.log
    engine = stages_of.run(BUILD, {"model": converted.folder}, building(precision="fp32"))
    assert engine.code == 0, engine.log
    inputs = {
        "reference": {"model": converted.folder},
        "tensorrt": {"engine": engine.folder},
        "tensorflow": {"model": converted.folder, "graph": exported},
    }
    found = {name: detected(stages_of, name, given, photos, 0.6) for name, given in inputs.items()}
    wanted = found.pop("reference")
    assert sum(len(entry["detections"]) for entry in wanted["pictures"]) > 10
    for name, document in found.items():
        assert _without_detections(document) == _without_detections(wanted), name
        for entry, expected in zip(document["pictures"], wanted["pictures"]):
            _check_alike(entry["detections"], expected["detections"])


def _without_detections(document):
    return dict(document, pictures=[dict(entry, detections=[]) for entry in document["pictures"]])


def _check_alike(found, wanted):
    """Equal but for rounding, which may let others of nearly the same score come first."""
    assert len(found) == len(wanted)
    for one in wanted:
        assert set(found[0]) == set(one)
        same = [
            other
            for other in found
            if other["class_id"] == one["class_id"] and abs(other["score"] - one["score"]) < 1e-3
            if np.allclose(other["box"], one["box"], atol=0.1)
        ]
        assert same, one


def test_an_engines_folder_is_enough_in_the_oldest_version_too(stages_of, bundle, photos):
    built = stages_of.run(BUILD, {"model": bundle}, building(precision="fp32"), TENSORRT="5.0.6")
    assert built.code == 0, built.log
    found = detected(stages_of, "tensorrt", {"engine": built.folder}, photos, TENSORRT="5.0.6")
    wanted = detected(stages_of, "reference", {"model": bundle}, photos)
    assert [entry["file"] for entry in found["pictures"]] == ["%d.png" % seed for seed in range(4)]
    for entry, expected in zip(found["pictures"], wanted["pictures"]):
        _check_alike(entry["detections"], expected["detections"])


def test_an_unreadable_picture_between_others_is_left_out(stages_of, engine, photos, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(str(photos), str(folder))
    (folder / "1.png").write_bytes(b"no picture")
    whole = detected(stages_of, "tensorrt", {"engine": engine}, photos)["pictures"]
    ran = stages_of.run(DETECT, {"engine": engine, "media": folder}, parameters("tensorrt", draw=True))
    assert ran.code == 0 and "1.png is left out" in ran.all("warning")[0]
    entries = ran.json("detections.json")["pictures"]
    assert [dict(entry, drawing=None) for entry in entries] == [whole[0], *whole[2:]]
    assert sorted(os.listdir(str(ran.folder / "pictures"))) == ["0.png.jpg", "2.png.jpg", "3.png.jpg"]
    assert [(event["done"], event["total"]) for event in ran.all("progress")][-1] == (4, 4)


@pytest.fixture
def spoiled(engine, tmp_path):
    folder = tmp_path / "engine"
    shutil.copytree(engine, str(folder))
    return folder


def refused(stages_of, folder, code=2, **settings):
    ran = stages_of.run(DETECT, {"engine": folder, "media": folder}, parameters("tensorrt"), **settings)
    assert ran.code == code, ran.log
    assert "\n" not in ran.error and "Traceback" not in ran.log and not os.listdir(str(ran.folder))
    return ran.error


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"TENSORRT": "8.0.1"}, "was built for TensorRT 8.2.1"),
        ({"DEVICE": "Xavier"}, "was built for the device NVIDIA Tegra X1, this board has Xavier"),
        ({"CUDA": "10.0.0"}, "was built for CUDA 10.2"),
    ],
)
def test_an_engine_of_another_board_is_refused(stages_of, engine, settings, told):
    error = refused(stages_of, engine, **settings)
    assert told in error and "build-engine" in error


@pytest.mark.parametrize(
    "name, told",
    [
        ("model.engine", "is not what its engine.json says"),
        ("model.json", "is not the one that the engine was built with"),
        ("engine.json", "does not describe an engine"),
    ],
)
def test_an_engine_that_is_not_whole_is_refused(stages_of, spoiled, name, told):
    path = spoiled / name
    path.write_bytes(path.read_bytes().rstrip()[:-1] + (b"  }" if name == "model.json" else b""))
    error = refused(stages_of, spoiled)
    assert told in error and "build-engine" in error


def test_an_engine_of_another_model_is_refused(stages_of, spoiled):
    """One whose sidecar knows nothing of what lies beside it, as someone may have put together."""
    sidecar, model = (json.loads((spoiled / name).read_text()) for name in ("engine.json", "model.json"))
    model["input"]["shape"] = [3, 32, 32]
    (spoiled / "engine.json").write_text(json.dumps(dict(sidecar, files={})))
    (spoiled / "model.json").write_text(json.dumps(model))
    assert "takes [[3, 64, 64]] and gives ['NMS', 'NMS_1']" in refused(stages_of, spoiled)


def test_a_board_without_memory_or_libraries_says_so(stages_of, engine, tmp_path):
    assert "no memory for the engine's buffers" in refused(stages_of, engine, 1, FREE_MB=0)
    assert "TensorRT cannot be imported" in refused(stages_of, engine, 1, fakes=[tmp_path])


OVERLAPPED = """
import sys, time
import numpy as np
from pycuda import driver
from stages.detect import detectors
made = []
for name in ("mem_alloc", "pagelocked_empty", "Event", "Stream"):
    def counted(*arguments, name=name, real=getattr(driver, name), **options):
        made.append(name)
        return real(*arguments, **options)
    setattr(driver, name, counted)
picture = np.zeros((720, 1280, 3), np.uint8)
with detectors.opened({"engine": sys.argv[1]}, "tensorrt") as detector:
    opened, begun, started = len(made), time.perf_counter(), 0
    for number in range(16):
        time.sleep(0.02)  # the next frame comes
        slot = number % detector.slots
        detector.prepare(picture, slot, bgr=True, quick=True)
        detector.start(slot)
        if number:
            detector.finish((number - 1) % detector.slots, (720, 1280))
    detector.finish(15 % detector.slots, (720, 1280))
    print("RESULT", detector.slots, opened, len(made), time.perf_counter() - begun)
"""


def test_pictures_overlap_and_nothing_is_made_for_each(board, engine):
    said = board(OVERLAPPED, engine, INFERENCE_MS=30, FLATTEN_CONCAT="built in")
    slots, opened, made, seconds = said.split("RESULT ")[1].split()
    assert int(slots) == 2 and int(opened) == int(made) > 0
    one_after_the_other = 16 * (0.02 + 0.03)
    assert 16 * 0.03 <= float(seconds) < 0.9 * one_after_the_other


FAILING = """
import sys
import numpy as np
from pycuda import driver
from stages.detect import detectors
from stages.job import StageFailed
def fails(*_):
    raise driver.LogicError("an illegal memory access was encountered")
with detectors.opened({"engine": sys.argv[1]}, "tensorrt") as detector:
    for name, slot in (("Event.synchronize", 0), ("memcpy_htod_async", 1)):
        detector.prepare(np.zeros((64, 64, 3), np.uint8), slot)
        where = driver.Event if "." in name else driver
        setattr(where, name.split(".")[-1], fails)
        try:
            detector.start(slot)
            detector.finish(slot, (64, 64))
        except StageFailed as error:
            print("SENTENCE", error)
"""


def test_an_error_of_cudas_is_a_sentence(board, engine):
    said = board(FAILING, engine, FLATTEN_CONCAT="built in")
    assert said.count("SENTENCE The engine ended with an error of CUDA's: an illegal memory access") == 2


class BoxesRunner:
    """What stages.jetson.running has of an engine that ends in boxes and scores."""

    def __init__(self, engine, cuda, slots):
        random = np.random.RandomState(0)
        corners = random.uniform(0, 0.5, (1, 40, 2))
        boxes = np.concatenate([corners, corners + random.uniform(0.1, 0.5, (1, 40, 2))], 2)
        self.outputs = {
            "boxes": boxes.astype(np.float32),
            "scores": random.uniform(0, 1, (1, 40, 4)).astype(np.float32),
        }
        self.inputs = {"Input": Buffer("Input", True, (1, 3, 64, 64), np.zeros(3 * 64 * 64, np.float32), None)}
        self.slots = [Slot(self.inputs, {}, {}, None)] * slots

    def start(self, slot):
        pass

    def finish(self, slot):
        return self.outputs

    def rest(self):
        pass


SUPPRESSION = {
    "confidenceThreshold": 0.3, "nmsThreshold": 0.6, "topK": 100, "keepTopK": 20, "backgroundLabelId": 0,
    "isNormalized": 1,
}  # fmt: skip


def test_boxes_and_scores_are_suppressed_here(engine, monkeypatch):
    monkeypatch.setattr(engine_backend, "EngineRunner", BoxesRunner)
    monkeypatch.setattr(engine_backend, "loaded", lambda *_: None)
    monkeypatch.setattr(engine_backend.plugin_libraries, "load", lambda *_: None)
    described = description.read(engine)._replace(nms=SUPPRESSION)
    backend = TensorrtBackend(engine, described)
    assert [slot.shape for slot in backend.slots] == [(3, 64, 64)] * 2
    backend.start(1)
    outputs = BoxesRunner(None, None, 1).outputs
    found = backend.finish(1)
    np.testing.assert_array_equal(found, nms.rows(outputs["boxes"], outputs["scores"], SUPPRESSION))
    assert found.shape == (20, 7)
    backend.close()
    with pytest.raises(BadInput, match="does not say how boxes are suppressed.*isNormalized"):
        TensorrtBackend(engine, described._replace(nms=dict(list(SUPPRESSION.items())[:-1])))


class WildRunner(BoxesRunner):
    """An engine whose number of rows is none."""

    def __init__(self, engine, cuda, slots):
        super().__init__(engine, cuda, slots)
        count = np.array([-1], np.int32).view(np.float32)
        self.outputs = {"NMS": np.zeros((1, 100, 7), np.float32), "NMS_1": count}


def test_a_number_of_rows_that_cannot_be_is_no_result(engine, monkeypatch):
    monkeypatch.setattr(engine_backend, "EngineRunner", WildRunner)
    monkeypatch.setattr(engine_backend, "loaded", lambda *_: None)
    monkeypatch.setattr(engine_backend.plugin_libraries, "load", lambda *_: None)
    backend = TensorrtBackend(engine, description.read(engine))
    with pytest.raises(StageFailed, match="counts -1 detections in 100 rows"):
        backend.finish(0)
    backend.close()
