"""Media as people have them: names that are not UTF-8, pipes, too large, gone."""

import os
import shutil

import pytest
from detect_data import photo
from hypothesis import given
from hypothesis import strategies as st
from test_detect_stage import write_video

from stages import drawing, pixels
from stages.job import BadInput

NAME = os.fsdecode(b"\xb0\xed\xbe\xe7")
SHOWN = "\\xb0\\xed\\xbe\\xe7"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    made.mkdir()
    (made / "a.png").write_bytes(pixels.encode_png(photo(40, 60)))
    return made


def test_pictures_whose_names_are_not_utf8(detect, folder):
    shutil.copy(folder / "a.png", folder / f"{NAME}.png")
    outcome = detect(media=folder)
    assert [entry["file"] for entry in outcome.document["pictures"]] == ["a.png", f"{NAME}.png"]
    drawing = outcome.document["pictures"][1]["drawing"]
    assert drawing == f"pictures/{SHOWN}.png.jpg" and (outcome.folder / drawing).is_file()
    (outcome.folder / "detections.json").read_bytes().decode("utf-8")


def test_a_video_whose_name_is_not_utf8(detect, tmp_path):
    write_video(tmp_path / "clip.mp4").rename(tmp_path / f"{NAME}.mp4")
    (entry,) = detect(media=tmp_path / f"{NAME}.mp4").document["videos"]
    assert (entry["file"], entry["drawing"], len(entry["frames"])) == (f"{NAME}.mp4", f"videos/{SHOWN}.mp4", 6)


def test_names_as_long_as_a_file_system_takes_have_drawings(detect, folder):
    for last in "ab":
        shutil.copy(folder / "a.png", folder / ("고" * 83 + last + ".png"))
    drawings = [entry["drawing"] for entry in detect(media=folder).document["pictures"]]
    assert len(set(drawings)) == 3


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_media_that_is_no_file_is_refused_unopened(detect, tmp_path, make):
    for name in ("a.jpg", "a.mp4", "a"):
        make(tmp_path / name)
        with pytest.raises(
            BadInput, match=rf"{name} cannot be read: it is a (named pipe|device), not a file or folder"
        ):
            detect(media=tmp_path / name, output=f"output-{name}")


def test_what_is_no_file_among_pictures_is_passed_over(detect, folder):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop").symlink_to(".")
    (folder / ".thumbnails").mkdir()
    shutil.copy(folder / "a.png", folder / ".thumbnails" / "a.png")
    assert [entry["file"] for entry in detect(media=folder).document["pictures"]] == ["a.png"]


def test_too_large_a_picture_is_left_out_with_a_warning(detect, folder):
    (folder / "large.png").write_bytes(pixels.encode_png(photo(1001, 1000)))
    outcome = detect(media=folder, max_megapixels=1)
    assert [entry["file"] for entry in outcome.document["pictures"]] == ["a.png"]
    (warning,) = outcome.of("warning")
    assert (
        warning.startswith("large.png is left out: it has 1000 x 1001 pixels") and "dataset.max_megapixels" in warning
    )


def test_a_video_of_too_large_frames_is_refused(detect, tmp_path):
    write_video(tmp_path / "large.mp4", count=1, size=(1002, 1000))
    with pytest.raises(BadInput, match=r"frames of 1000 x 1002 pixels.*dataset.max_megapixels"):
        detect(media=tmp_path / "large.mp4", max_megapixels=1)


@given(st.lists(st.text("aA\u00e9\udcb0._", min_size=1, max_size=300).filter(lambda name: name[0] != "."), max_size=8))
def test_no_two_drawings_have_one_name(names):
    """Not even where capitals do not count, and none is too long for a folder."""
    taken = set()
    made = [drawing.free_name(f"pictures/{name}.jpg", taken) for name in names]
    assert len({name.lower() for name in made}) == len(names)
    assert all(name.startswith("pictures/") and name.endswith(".jpg") and len(name.encode()) < 265 for name in made)


def test_photos_that_differ_in_their_suffix_have_drawings_of_their_own():
    taken = set()
    assert [drawing.free_name("pictures/a.jpg", taken) for _ in ("a.jpg", "a.png")] == [
        "pictures/a.jpg",
        "pictures/a_.jpg",
    ]
