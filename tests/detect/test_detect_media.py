"""What the user names as media: which files are pictures, which are videos, and what is said of the others."""

import cv2
import numpy as np
import pytest
from detect_data import photo
from PIL import Image
from test_detect_stage import write_video

from stages import pixels
from stages.detect import media
from stages.job import BadInput

JPEG = pixels.encode_jpeg(photo(40, 60))


def tiff():
    done, data = cv2.imencode(".tiff", photo(40, 60)[:, :, ::-1])
    assert done
    return data.tobytes()


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.tif", "a.TIFF", "a", "a.jpg_original"])
def test_a_picture_of_any_suffix_is_looked_at(detect, tmp_path, name):
    (tmp_path / name).write_bytes(tiff() if ".t" in name.lower() else JPEG)
    (entry,) = detect(media=tmp_path / name).document["pictures"]
    assert (entry["width"], entry["height"]) == (60, 40)


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(50), "a.heic is a HEIC picture, which is not read; convert"),
        ("a.GIF", b"GIF89a" + bytes(50), "a.GIF is a GIF, which is not read; convert .* JPEG or PNG"),
        ("a.nef", b"MM\0*" + bytes(50), "a.nef is a .nef file, which is not read; convert"),
        ("a.webm2", b"8BPS", "a.webm2 is a Photoshop file"),
        ("notes.txt", b"hello", "neither a picture nor a video that can be read but a text file; name a picture"),
        ("notes", b"", "neither a picture .* but empty"),
        ("clip.mp4", b"<!doctype html><html>", "neither a picture nor a video that can be read but a web page"),
        ("a.zip", b"PK\3\4", "but an archive"),
        ("a.bin", bytes(range(9)), "a.bin is neither a picture nor a video that can be read; name"),
    ],
)
def test_what_is_neither_is_named_and_never_opened_as_a_video(detect, tmp_path, monkeypatch, name, content, told):
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: pytest.fail("it was opened as a video"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=told):
        detect(media=tmp_path / name)


@pytest.mark.parametrize("name", ["clip", "clip.mp4", "clip.bin"])
def test_a_video_is_known_by_its_bytes(tmp_path, name):
    write_video(tmp_path / "a.mp4").rename(tmp_path / name)
    assert media.kind_of(str(tmp_path / name)) == media.VIDEO


def test_a_stream_without_a_header_is_tried_as_a_video(tmp_path):
    for name, data in (("a.h264", b"\0\0\0\1\x67" + bytes(90)), ("a.mjpeg", JPEG)):
        (tmp_path / name).write_bytes(data)
        assert media.kind_of(str(tmp_path / name)) == media.VIDEO


def test_a_folder_says_which_pictures_it_passes_over(detect, tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.jfif").write_bytes(JPEG)
    for name in ("c.heic", "sub/a.HEIC", "z.gif", "sub/d.MP4", "e.mov"):
        (folder / name).write_bytes(b"?")
    outcome = detect(media=folder)
    assert [entry["file"] for entry in outcome.document["pictures"]] == ["b.jfif"]
    warning, of_videos = outcome.of("warning")
    assert "videos are passed over: 1 .mov, 1 .mp4, the first e.mov: name each by itself" in of_videos
    assert "1 .gif, 2 .heic, the first c.heic: these formats are not read; convert them to JPEG or PNG" in warning
    (folder / "b.jfif").unlink()
    with pytest.raises(
        BadInput, match=r"holds no picture that is read .*, but 1 .gif, 2 .heic, the first c.heic.*, but 1 .mov"
    ):
        detect(media=folder, output="output-2")


def test_of_several_pictures_in_a_file_the_first_is_looked_at_and_that_is_told(detect, tmp_path):
    first, *others = [Image.fromarray(np.full((40, 60, 3), value, np.uint8)) for value in (10, 90, 200)]
    first.save(str(tmp_path / "a.tif"), save_all=True, append_images=others)
    outcome = detect(media=tmp_path / "a.tif")
    assert len(outcome.document["pictures"]) == 1
    assert outcome.of("warning") == ["a.tif holds 3 pictures, of which the first is looked at"]


def test_a_picture_with_missing_data_is_looked_at_and_told(detect, tmp_path):
    data = pixels.encode_jpeg(photo(200, 300), 100)
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2] + data[-2:])
    outcome = detect(media=tmp_path / "a.jpg")
    assert len(outcome.document["pictures"]) == 1
    (warning,) = outcome.of("warning")
    assert warning.startswith("a.jpg is damaged") and "premature end of data segment" in warning
