"""The stage on pictures, folders, records and videos, good and bad."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from detect_data import frame_of, framed, photo, write_records

from stages import drawing, pixels
from stages.detect import detectors
from stages.job import BadInput
from stages.parameters import DetectParameters


def write_video(path, count=6, size=(60, 80), fps=10.0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, size[::-1])
    for index in range(count):
        writer.write(np.ascontiguousarray(photo(*size, seed=index)[:, :, ::-1]))
    writer.release()
    return path


def read(path):
    return pixels.decode(path.read_bytes())


def test_a_picture(detect, tmp_path):
    source = tmp_path / "a.jpg"
    source.write_bytes(pixels.encode_jpeg(photo(90, 120)))
    outcome = detect(media=source)
    (entry,) = outcome.document["pictures"]
    assert (entry["file"], entry["width"], entry["height"], entry["truth"]) == ("a.jpg", 120, 90, None)
    assert entry["detections"] and all(one["score"] >= 0.6 for one in entry["detections"])
    expected = pixels.encode_jpeg(drawing.draw(read(source), entry["detections"]))
    assert (outcome.folder / entry["drawing"]).read_bytes() == expected
    (metrics,) = outcome.of("metrics")
    assert (metrics["pictures"], metrics["detections"]) == (1, len(entry["detections"]))
    assert metrics["milliseconds_per_picture"] > 0


def test_a_folder_in_order_of_names_with_drawings_of_their_own(detect, tmp_path):
    folder, content = tmp_path / "photos", pixels.encode_png(photo(40, 60))
    names = ["a.jpg", "a.png", "a.png.jpg", "b/a.jpg", "b/c/a.jpeg", "c.BMP"]
    for name in [*names, ".hidden.jpg", "b/._a.jpg", "notes.txt"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    outcome = detect(media=folder)
    assert [entry["file"] for entry in outcome.document["pictures"]] == names
    drawings = [entry["drawing"] for entry in outcome.document["pictures"]]
    assert len({name.lower() for name in drawings}) == len(names)
    assert sorted(drawings) == sorted(
        path.relative_to(outcome.folder).as_posix()
        for path in outcome.folder.rglob("*")
        if path.is_file() and path.suffix == ".jpg"
    )
    assert outcome.of("progress")[-1]["done"] == len(names)


def test_the_same_again_gives_the_same_bytes(detect, tmp_path):
    source = tmp_path / "a.jpg"
    source.write_bytes(pixels.encode_jpeg(photo(90, 120)))
    one, other = (detect(media=source, output=name).folder for name in ("one", "other"))
    for name in ("detections.json", "pictures/a.jpg"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_at_most_so_many_pictures_and_no_drawing(detect, tmp_path):
    for index in range(4):
        (tmp_path / ("%d.jpg" % index)).write_bytes(pixels.encode_jpeg(photo(30, 30)))
    outcome = detect(media=tmp_path, pictures=2, draw=False)
    assert [(entry["file"], entry["drawing"]) for entry in outcome.document["pictures"]] == [
        ("0.jpg", None),
        ("1.jpg", None),
    ]
    assert [path.name for path in outcome.folder.iterdir()] == ["detections.json"]


def test_a_picture_that_is_none_is_warned_of_and_left_out(detect, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"not a picture")
    (tmp_path / "photos" / "empty.jpg").write_bytes(b"")
    (tmp_path / "photos" / "good.jpg").write_bytes(pixels.encode_jpeg(photo(30, 30)))
    outcome = detect(media=tmp_path / "photos")
    assert [entry["file"] for entry in outcome.document["pictures"]] == ["good.jpg"]
    assert [warning.split(" ")[0] for warning in outcome.of("warning")] == ["bad.jpg", "empty.jpg"]


@pytest.mark.parametrize(
    "names, told",
    [
        (["bad.jpg"], "None of the 1 pictures can be read, among them bad.jpg"),
        (["notes.txt"], "holds no picture"),
        ([], "holds no picture"),
    ],
)
def test_a_folder_without_a_readable_picture_is_refused(detect, tmp_path, names, told):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"not a picture")
    with pytest.raises(BadInput, match=told):
        detect(media=folder)
    assert not list((tmp_path / "output").iterdir())


def test_records_are_drawn_with_truth_in_the_proportions_of_the_photo(detect, tmp_path):
    outcome = detect(records=write_records(tmp_path / "records"))
    entries = outcome.document["pictures"]
    assert [entry["file"] for entry in entries] == ["IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg"]
    assert {(entry["width"], entry["height"]) for entry in entries} == {(400, 200)}
    assert entries[0]["truth"] == [{"class": "ball", "class_id": 2, "box": [200.0, 50.0, 400.0, 150.0]}]
    assert max(box["box"][2] for box in entries[0]["detections"]) > 64
    assert read(outcome.folder / entries[0]["drawing"]).shape == (96, 192, 3)


def test_a_record_of_the_photo_s_own_size_has_its_detections_unscaled(detect, tmp_path, model):
    outcome = detect(records=write_records(tmp_path / "records", count=1, size=(200, 400)))
    expected = [found for found in detectors.reference(model).detect(photo(200, 400, seed=1)) if found["score"] >= 0.6]
    assert outcome.document["pictures"][0]["detections"] == expected


def damage(records, action):
    """Spoil the index or the shard of a records artifact."""
    index, shard = records / "index.jsonl", records / "validation-00000-of-00001.tfrecord"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    if action == "truncated":
        shard.write_bytes(shard.read_bytes()[:-20])
    elif action == "other bytes":
        shard.write_bytes(shard.read_bytes().replace(b"\x89PNG", b"abcd"))
    elif action in ("no picture", "no Example"):
        frame = frame_of(b"no picture") if action == "no picture" else framed(b"\xff" * 9)
        shard.write_bytes(frame)
        index.write_text(json.dumps(dict(lines[1], offset=0, length=len(frame))))
    elif action == "no shard":
        shard.unlink()
    elif action == "no index":
        index.unlink()
    elif action == "no JSON":
        index.write_text("{")
    elif action == "no validation":
        index.write_text(json.dumps(lines[0]))
    elif action == "unknown class":
        index.write_text(json.dumps(dict(lines[1], classes=[9])))
    else:
        index.write_text(json.dumps({key: value for key, value in lines[1].items() if key != "offset"}))


@pytest.mark.parametrize(
    "action, told",
    [
        ("truncated", "cut off"),
        ("other bytes", "damaged"),
        ("no picture", "not a readable"),
        ("no Example", "cannot be read"),
        ("no shard", "No such file"),
        ("no index", "index.jsonl"),
        ("no JSON", "is damaged"),
        ("no validation", "no validation picture"),
        ("unknown class", "Class id 9 is not among"),
        ("no offset", "is damaged"),
    ],
)
def test_damaged_records_are_refused(detect, tmp_path, action, told):
    records = write_records(tmp_path / "records")
    damage(records, action)
    with pytest.raises(BadInput, match=told):
        detect(records=records)


def test_a_video(detect, tmp_path):
    outcome = detect(media=write_video(tmp_path / "clip.avi"))
    (entry,) = outcome.document["videos"]
    assert outcome.document["pictures"] == []
    assert (entry["file"], entry["width"], entry["height"], entry["fps"]) == ("clip.avi", 80, 60, 10.0)
    assert [frame["time"] for frame in entry["frames"]] == pytest.approx([index / 10 for index in range(6)])
    assert sum(len(frame["detections"]) for frame in entry["frames"]) == outcome.of("metrics")[0]["detections"] > 0
    capture = cv2.VideoCapture(str(outcome.folder / entry["drawing"]))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (6, 10)


def test_a_frame_is_looked_at_as_a_picture_is(detect, tmp_path, model):
    source = write_video(tmp_path / "clip.avi", count=1)
    frame = cv2.VideoCapture(str(source)).read()[1][:, :, ::-1]
    expected = [found for found in detectors.reference(model).detect(frame) if found["score"] >= 0.6]
    outcome = detect(media=source)
    assert outcome.document["videos"][0]["frames"][0]["detections"] == expected
    drawn = cv2.VideoCapture(str(outcome.folder / "videos/clip.avi.mp4")).read()[1][:, :, ::-1]
    assert np.abs(drawn.astype(int) - drawing.draw(frame, expected)).mean() < 12


def test_a_video_without_drawing(detect, tmp_path):
    source = write_video(tmp_path / "clip.mp4", count=2)
    outcome = detect(media=source, draw=False)
    assert outcome.document["videos"][0]["drawing"] is None
    assert [path.name for path in outcome.folder.iterdir()] == ["detections.json"]


def test_a_video_that_ends_early_is_warned_of(detect, tmp_path):
    whole = write_video(tmp_path / "whole.avi", count=30, size=(240, 320)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    outcome = detect(media=tmp_path / "cut.avi", draw=False)
    assert 0 < len(outcome.document["videos"][0]["frames"]) < 30
    assert any("only the first" in warning for warning in outcome.of("warning"))


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("clip.mp4", b"not a video" * 50, "neither a picture nor a video"),
        ("clip.mp4", b"", "neither a picture nor a video"),
        ("notes.txt", b"hello", "neither a picture nor a video"),
        ("bad.jpg", b"hello", "None of the 1 pictures"),
    ],
)
def test_a_file_that_is_neither_picture_nor_video_is_refused(detect, tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=told):
        detect(media=tmp_path / name)
    assert not list((tmp_path / "output").iterdir())


def test_a_video_without_a_frame_is_refused(detect, tmp_path):
    whole = write_video(tmp_path / "whole.avi", count=3, size=(240, 320)).read_bytes()
    (tmp_path / "head.avi").write_bytes(whole[: whole.index(b"movi") + 4])
    with pytest.raises(BadInput, match="head.avi"):
        detect(media=tmp_path / "head.avi")


def test_media_that_is_not_there_is_refused(detect, tmp_path):
    with pytest.raises(BadInput, match="There is no .*nowhere"):
        detect(media=tmp_path / "nowhere")


def test_as_a_program_it_reports_and_ends_with_the_contract_s_codes(model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "a.jpg").write_bytes(pixels.encode_jpeg(photo(30, 30)))
    for media, code, event in (("a.jpg", 0, '"metrics"'), ("none.jpg", 2, '"error"')):
        job = {
            "stage": "detect",
            "inputs": {"model": model, "media": str(tmp_path / media)},
            "output": str(tmp_path / "out"),
            "scratch": str(tmp_path),
            "parameters": DetectParameters(100, 0.5, 0, True, "reference")._asdict(),
            "cpus": 1,
        }
        (tmp_path / "job.json").write_text(json.dumps(job))
        done = subprocess.run(
            [sys.executable, "-m", "stages.detect.detect", str(tmp_path / "job.json")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )
        assert done.returncode == code, done.stdout
        assert event in done.stdout
        assert "Traceback" not in done.stdout
