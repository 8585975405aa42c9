"""ONNX on TensorRT 7.1 to 11: the form without plugin gives NMS_TRT's rows everywhere, the other where it exists."""

import json
import shutil

import boxes_model
import numpy as np
import pytest
from conftest import BUILD as BUILD_ENGINE
from conftest import DESCRIPTION, building, photo, write_samples

from stages import pixels
from stages.convert.onnx.runtime import BoxesRuntime, OnnxRuntime
from stages.convert.parity import measure
from stages.detect import description, detectors
from stages.detect.backend import Backend
from stages.detect.detector import Detector
from stages.job import BadInput

BUILD = """
import sys
import tensorrt as trt
from stages.jetson import generations, plugin_libraries
from stages.job import BadInput, StageFailed
model, kind, precision, plan = sys.argv[1:]
logger = trt.Logger(trt.Logger.WARNING)
try:
    plugin_libraries.load(trt, logger, plugin_libraries.PLUGINS[kind], [])
    source = generations.Source(kind, model, ("Input", [3, 64, 64]), ["MarkOutput_0"])
    built = generations.build(trt, logger, source, generations.Settings(precision, 16))
except (BadInput, StageFailed) as error:
    sys.exit("SENTENCE " + str(error))
with open(plan, "wb") as stream:
    stream.write(built)
"""
RUN = """
import atexit
import json, sys
import numpy as np
import tensorrt as trt
from pycuda import driver as cuda
from stages.detect import nms
from stages.jetson import plugin_libraries, running
plan, kind, fields, pictures, out = sys.argv[1:]
cuda.init()
atexit.register(cuda.Device(0).make_context().pop)
logger = trt.Logger(trt.Logger.WARNING)
plugin_libraries.load(trt, logger, plugin_libraries.PLUGINS[kind], [])
with open(plan, "rb") as stream:
    runner = running.EngineRunner(running.loaded(trt, logger, stream.read(), plan), cuda)
rows = []
for picture in np.load(pictures):
    runner.inputs["Input"].host[:] = picture.reshape(-1)
    runner.start()
    found = runner.finish()
    if kind == "boxes":
        rows.append(nms.rows(found["boxes"], found["scores"], json.loads(fields)))
    else:
        rows.append(found["NMS"].reshape(-1, 7)[: found["NMS_1"].view(np.int32).item()].copy())
np.savez(out, *rows)
"""
NEWER = ("8.6.1", "10.3.0", "11.4.0")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """The folder of the models, NMS_TRT's fields, and two pictures."""
    folder = tmp_path_factory.mktemp("boxes")
    fields = boxes_model.write(folder)
    pictures = np.random.RandomState(0).uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32)
    np.save(str(folder / "pictures.npy"), pictures)
    return folder, fields, pictures


def rows(board, detector, folder, kind, version, precision="fp32"):
    """What an engine of that version finds on the pictures."""
    models, fields, _ = detector
    name = {"boxes": "model.boxes.onnx", "onnx": "model.onnx"}[kind]
    board(BUILD, models / name, kind, precision, folder / "engine", TENSORRT=version)
    arguments = [folder / "engine", kind, json.dumps(fields), models / "pictures.npy", folder / "rows.npz"]
    board(RUN, *arguments, TENSORRT=version)
    with np.load(str(folder / "rows.npz")) as found:
        return [found["arr_%d" % number] for number in range(len(found.files))]


def wanted(detector):
    """The reference's plugin behind onnxruntime."""
    models, _, pictures = detector
    runtime = OnnxRuntime(str(models / "model.onnx"))
    found = [runtime.run(picture[np.newaxis], []) for picture in pictures]
    return [one["NMS"].reshape(-1, 7)[: one["NMS_1"].item()] for one in found]


@pytest.mark.parametrize("version", ["6.0.1", "7.1.3", "8.2.1", *NEWER])
def test_every_version_runs_the_form_without_plugin(board, detector, tmp_path, version):
    found = rows(board, detector, tmp_path, "boxes", version)
    for mine, reference in zip(found, wanted(detector)):
        assert len(reference) > 10
        np.testing.assert_array_equal(mine[:, :2], reference[:, :2])
        np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-6)


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
def test_a_version_that_has_the_plugin_runs_the_other_form_too(board, detector, tmp_path, version):
    for mine, reference in zip(rows(board, detector, tmp_path, "onnx", version), wanted(detector)):
        np.testing.assert_array_equal(mine, reference)


def test_a_version_without_the_plugin_says_which_form_to_take(board, detector, tmp_path):
    said = board(BUILD, detector[0] / "model.onnx", "onnx", "fp32", tmp_path / "engine", code=1, TENSORRT="11.4.0")
    assert "SENTENCE TensorRT 11.4.0.6 has no plugin NMS_TRT" in said and "source boxes" in said


def test_a_version_without_precision_flags_says_so(board, detector, tmp_path):
    arguments = [detector[0] / "model.boxes.onnx", "boxes", "fp16", tmp_path / "engine"]
    assert "build with fp32" in board(BUILD, *arguments, code=1, TENSORRT="11.4.0")
    board(BUILD, *arguments, TENSORRT="10.3.0")


def test_before_6_there_is_no_explicit_batch(board, detector, tmp_path):
    arguments = [detector[0] / "model.boxes.onnx", "boxes", "fp32", tmp_path / "engine"]
    assert "whose batch is explicit" in board(BUILD, *arguments, code=1, TENSORRT="5.1.6")


def test_softmax_scores_go_this_way(board, detector, tmp_path):
    fields = boxes_model.write(tmp_path, measure.SOFTMAX)
    this = tmp_path, fields, detector[2]
    np.save(str(tmp_path / "pictures.npy"), this[2])
    runtime = BoxesRuntime(str(tmp_path / "model.boxes.onnx"), fields)
    for mine, picture in zip(rows(board, this, tmp_path, "boxes", "11.4.0"), this[2]):
        reference = runtime.run(picture[np.newaxis])
        np.testing.assert_allclose(reference["scores"].sum(axis=2), 1, atol=1e-6)
        np.testing.assert_array_equal(mine, reference["rows"])
        assert len(mine) > 10


class OnnxBackend(Backend):
    """The form without plugin by onnxruntime, as the reference of a bundle's samples."""

    def __init__(self, path, described):
        self._runtime, self.slots = BoxesRuntime(path, described.nms), [np.empty(described.shape, np.float32)]

    def start(self, slot):
        self._rows = self._runtime.run(self.slots[slot][np.newaxis])["rows"]

    def finish(self, slot):
        return self._rows

    def close(self):
        pass


@pytest.fixture(scope="module")
def model(detector, tmp_path_factory):
    """A bundle's folder with this form alone, as a softmax gives it, and what it detects on its samples."""
    folder = tmp_path_factory.mktemp("model")
    fields = boxes_model.write(folder, measure.SOFTMAX)
    outputs = dict(DESCRIPTION["outputs"], boxes="boxes", scores="scores")
    described = dict(DESCRIPTION, outputs=outputs, plugin={"NMS_TRT": fields})
    (folder / "model.json").write_text(json.dumps(described))
    (folder / "labels.txt").write_text("\n".join(DESCRIPTION["classes"]) + "\n")
    (folder / "samples").mkdir()
    this, entries = description.read(str(folder)), []
    reference = Detector(this, OnnxBackend(str(folder / "model.boxes.onnx"), this))
    for seed in range(2):
        name = "samples/%02d.png" % seed
        (folder / name).write_bytes(pixels.encode_png(photo(seed)))
        found = reference.detect(photo(seed))
        assert len(found) > 5
        entries.append({"file": name, "source": name, "detections": found, "truth": None})
    write_samples(folder, entries)
    return folder, entries


def test_a_bundle_without_uff_travels_without_samples(model, stages_of, tmp_path):
    converted = tmp_path / "converted"
    converted.mkdir()
    for name in ("model.boxes.onnx", "model.json", "labels.txt"):
        shutil.copy(str(model[0] / name), str(converted))
    parameters = {"name": "cones", "samples": 2, "calibration_pictures": 0, "score_threshold": 0.5}
    made = stages_of.run("stages.bundle.bundle", {"model": converted}, parameters)
    assert made.code == 0 and "come from a softmax" in made.all("warning")[0], made.log
    files = {path.name for path in (made.folder / "model").iterdir()}
    assert files == {"NOTICE.txt", "checksums.json", "labels.txt", "model.boxes.onnx", "model.json"}
    built = building(source="boxes", precision="fp32")
    ran = stages_of.run(BUILD_ENGINE, {"model": made.folder / "model"}, built, TENSORRT="11.4.0")
    assert ran.code == 0 and ran.json("parity.json")["reason"] == "the model came without samples", ran.log
    with pytest.raises(BadInput, match="come from a softmax.*build an engine of model.boxes.onnx"):
        detectors.reference(str(converted))
    (converted / "model.boxes.onnx").unlink()
    refused = stages_of.run("stages.bundle.bundle", {"model": converted}, parameters)
    assert refused.code == 2 and "model.uff; is this the folder that convert made?" in refused.error


DETECT = """
import json, sys
from stages import pixels
from stages.detect import detectors
with detectors.opened({"engine": sys.argv[1]}, "tensorrt") as detector:
    print("FOUND " + json.dumps([detector.detect(pixels.decode(open(path, "rb").read())) for path in sys.argv[2:]]))
"""


@pytest.mark.parametrize("version, precision", [("8.6.1", "fp16"), ("10.3.0", "fp16"), ("11.4.0", "fp32")])
def test_stages_build_prove_and_run_it(board, model, stages_of, version, precision):
    folder, entries = model
    parameters = building(source="boxes", precision=precision)
    ran = stages_of.run(BUILD_ENGINE, {"model": folder}, parameters, TENSORRT=version)
    assert ran.code == 0, ran.log
    parity = ran.json("parity.json")
    assert parity["samples"] == 2 and parity["matched"] > 10 and parity["failures"] == []
    said = board(DETECT, ran.folder, *[folder / one["file"] for one in entries], TENSORRT=version)
    found = json.loads(said[said.index("FOUND ") + len("FOUND ") :].splitlines()[0])
    assert found == [one["detections"] for one in entries]


def test_the_selftest_takes_this_form_where_no_other_is_there(model, stages_of, nano):
    root = nano({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n"})
    ran = stages_of.run("stages.jetson.selftest", {"model": model[0]}, {}, root=root, TENSORRT="10.3.0")
    assert ran.code == 0, ran.log
    found = {one["name"]: one for one in ran.json("selftest.json")["checks"]}
    assert "needs none" in found["plugins"]["words"] and found["system"]["verdict"] == "left out"
    assert {one["verdict"] for name, one in found.items() if name != "system"} == {"passed"}
