"""detections.json: from shares of the network's picture to pixels of the photo."""

import json

import numpy as np

from stages.train import detections
from stages.train.coco import Result

LINE = {"source_id": "sub/IMG_1.jpg", "width": 200, "height": 100}
RESULT = Result(
    boxes=np.array([[0.1, 0.2, 0.5, 0.7], [0.0, 0.0, 1.0, 1.0], [0.3, 0.3, 0.4, 0.4]], np.float32),
    scores=np.array([0.9, 0.5, 0.4], np.float32),
    classes=np.array([2, 1, 1], np.int64),
    truth_boxes=np.array([[0.25, 0.5, 0.75, 1.0]], np.float32),
    truth_classes=np.array([2], np.int64),
)


def test_an_entry_holds_what_reaches_the_threshold_in_pixels():
    entry = detections.entry(LINE, RESULT, ["cone", "너구리"], 0.5)
    assert (entry["file"], entry["width"], entry["height"], entry["drawing"]) == ("sub/IMG_1.jpg", 200, 100, None)
    assert [(one["class"], one["class_id"]) for one in entry["detections"]] == [("너구리", 2), ("cone", 1)]
    np.testing.assert_allclose(entry["detections"][0]["box"], [40, 10, 140, 50], atol=1e-4)
    assert entry["detections"][1]["score"] == 0.5  # the threshold itself is reached
    assert entry["truth"] == [{"class": "너구리", "class_id": 2, "box": [100.0, 25.0, 200.0, 75.0]}]


def test_nothing_found_and_nothing_there_are_empty_lists():
    empty = Result(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, int))
    entry = detections.entry(LINE, empty, ["cone"], 0.0)
    assert entry["detections"] == entry["truth"] == []


def test_the_file_is_plain_json_with_names_as_they_are(tmp_path):
    entry = detections.entry(LINE, RESULT, ["cone", "너구리"], 0.0)
    detections.write(str(tmp_path / "detections.json"), "checkpoints/model.ckpt-6", 0.0, [entry], "test")
    text = (tmp_path / "detections.json").read_text(encoding="utf-8")
    assert "너구리" in text
    assert json.loads(text) == {
        "model": "checkpoints/model.ckpt-6",
        "split": "test",
        "score_threshold": 0.0,
        "pictures": [entry],
    }
