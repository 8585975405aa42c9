"""The detector: from any picture to boxes in its pixels."""

import json
import subprocess
import sys

import numpy as np
import pytest
from detect_data import photo, write_model

from stages import pixels
from stages.detect import detectors
from stages.detect.backend import Backend
from stages.detect.description import Description
from stages.detect.detector import Detector
from stages.job import BadInput
from stages.reference.interpreter import UffInterpreter


def test_boxes_are_in_pixels_of_the_picture(model):
    detector = detectors.reference(model)
    small, large = (
        detector.detect(picture) for picture in (photo(64, 64), np.repeat(np.repeat(photo(64, 64), 3, 0), 5, 1))
    )
    assert len(small) > 5
    for one, other in zip(small, large):
        assert one["class_id"] == other["class_id"]
        assert other["box"] == pytest.approx([edge * scale for edge, scale in zip(one["box"], (5, 3, 5, 3))], abs=0.1)


def test_the_network_sees_scaled_planar_pixels(model):
    picture = photo(100, 150)
    seen = pixels.resize(picture, 64, 64).transpose(2, 0, 1)[np.newaxis] * np.float32(2 / 255) - np.float32(1)
    results = UffInterpreter(model + "/model.uff").run(seen.astype(np.float32))
    first, row = detectors.reference(model).detect(picture)[0], results["NMS"][0, 0, 0]
    assert first["score"] == pytest.approx(row[2], abs=1e-4)
    assert first["box"] == pytest.approx((row[3:] * [150, 100, 150, 100]).tolist(), abs=0.05)
    assert (first["class"], first["class_id"]) == (["background", "cone", "ball", "box"][int(row[1])], int(row[1]))


def test_a_bgr_model_gets_its_channels_swapped(model, tmp_path):
    picture = photo(64, 64)
    swapped = detectors.reference(write_model(tmp_path / "bgr", "BGR")).detect(
        np.ascontiguousarray(picture[:, :, ::-1])
    )
    assert swapped == detectors.reference(model).detect(picture)


def test_detections_are_sorted_and_plain_json(model):
    detections = detectors.reference(model).detect(photo(48, 80))
    scores = [detection["score"] for detection in detections]
    assert scores == sorted(scores, reverse=True)
    assert json.loads(json.dumps(detections)) == detections
    for detection in detections:
        xmin, ymin, xmax, ymax = detection["box"]
        assert 0 <= xmin <= xmax <= 80 and 0 <= ymin <= ymax <= 48


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda folder: (folder / "model.json").unlink(), "model.json cannot be read"),
        (lambda folder: (folder / "model.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "model.json").write_text("{}"), "does not describe a model"),
        (lambda folder: (folder / "model.json").write_text("[]"), "does not describe a model"),
        (lambda folder: (folder / "model.uff").unlink(), "model.uff cannot be read"),
        (lambda folder: (folder / "model.uff").write_text("not a model"), "not a UFF file"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(tmp_path, spoil, told):
    write_model(tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(BadInput, match=told):
        detectors.reference(str(tmp_path / "m"))


@pytest.mark.parametrize(
    "change",
    [
        {"input": {"shape": [3, 32, 32], "channels": "RGB", "scale": 1, "offset": 0}},
        {"outputs": {"detections": "Postprocessor", "count": "Postprocessor_1"}},
    ],
)
def test_a_description_of_another_model_is_refused(tmp_path, change):
    with pytest.raises(BadInput, match="convert again"):
        detectors.reference(write_model(tmp_path / "m", **change))


def test_a_model_with_more_classes_than_names_is_refused(tmp_path):
    detector = detectors.reference(write_model(tmp_path / "m", classes=["background"]))
    with pytest.raises(BadInput, match="is not among the model's 0 classes"):
        detector.detect(photo(64, 64))


def test_the_reference_needs_numpy_and_opencv_only():
    """What the environment has beside, and what other backends need, is not even imported."""
    program = (
        "import sys; before = set(sys.modules); import stages.detect.detect;"
        " print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, universal_newlines=True, check=True)
    others = {
        "google",
        "google_crc32c",
        "jinja2",
        "lxml",
        "matplotlib",
        "PIL",
        "pycuda",
        "scipy",
        "tensorflow",
        "tensorrt",
    }
    assert {"cv2", "numpy"} <= set(done.stdout.split()) and not others & set(done.stdout.split())


@pytest.mark.parametrize("backend, named", [("tensorrt", "engine"), ("tensorflow", "graph")])
def test_a_backend_says_which_input_it_lacks(model, backend, named):
    with pytest.raises(BadInput, match="The backend %s needs the input %s" % (backend, named)):
        detectors.opened({"model": model}, backend)


class EmptyBackend(Backend):
    """Gives the rows that it is told to."""

    def __init__(self, rows, slots=2):
        self.slots = [np.zeros((3, 8, 8), np.float32) for _ in range(slots)]
        self.rows, self.done = np.array(rows, np.float32).reshape(-1, 7), []

    def start(self, slot):
        self.done.append(("start", slot))

    def finish(self, slot):
        self.done.append(("finish", slot))
        return self.rows

    def close(self):
        self.done.append("close")


DESCRIPTION = Description("model.json", ["background", "cone"], 8, 8, 2 / 255, -1.0, False, ["NMS", "NMS_1"], {})


def test_detections_are_rounded_as_python_rounds():
    random = np.random.RandomState(0)
    rows = random.uniform(0, 1, (2000, 7)).astype(np.float32)
    rows[:, 1] = 1
    rows[::3, 2:] = (random.randint(0, 200001, (667, 5)) / 200000).astype(np.float32)  # near and on halves
    for height, width in ((720, 1280), (333, 1001), (1, 1)):
        found = Detector(DESCRIPTION, EmptyBackend(rows)).finish(0, (height, width))
        for row, one in zip(rows.astype(float), found):
            assert one["score"] == round(row[2], 5)
            assert one["box"] == [round(edge, 2) for edge in row[3:] * (width, height, width, height)]


def test_a_threshold_counts_for_the_score_that_is_told():
    rows = [[0, 1, score, 0, 0, 1, 1] for score in (0.9, 0.5, 0.499996, 0.499994, 0.1)]
    found = Detector(DESCRIPTION, EmptyBackend(rows)).finish(0, (10, 10), 0.5)
    assert [one["score"] for one in found] == [0.9, 0.5, 0.5]
    assert Detector(DESCRIPTION, EmptyBackend(rows)).finish(0, (10, 10), 0.91) == []


def test_an_id_that_no_class_has_is_never_shown():
    rows = [[0, class_id, 0.9, 0, 0, 1, 1] for class_id in (1, 2, 3, 2)]
    gaps = DESCRIPTION._replace(classes=["background", "cone", "void", "void"], unused=(2,))
    found = Detector(gaps, EmptyBackend(rows)).finish(0, (10, 10))
    assert [(one["class_id"], one["class"]) for one in found] == [
        (1, "cone"),
        (3, "void"),
    ]  # a class of that name is one
    assert gaps.named == ["background", "cone", "void"]


def test_a_detector_gives_back_what_it_took():
    backend = EmptyBackend([])
    with Detector(DESCRIPTION, backend) as detector:
        detector.prepare(photo(20, 30), 1, bgr=True, quick=True)
        detector.start(1)
        assert detector.finish(1, (20, 30)) == []
    assert backend.done == [("start", 1), ("finish", 1), "close"] and backend.slots[1].any()
