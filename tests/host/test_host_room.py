"""Free space is checked before a stage begins: what is sure not to fit is refused, and nothing else is."""

import re

import pytest

from nanoforge.errors import EnvironmentNotReady
from nanoforge.files.disks import Disk, disk_of
from nanoforge.pipeline import room
from nanoforge.pipeline.build import build

JPEG = ('records.encoding="jpeg"', "records.image_size=[360, 640]")
A_MB = "x" * 1_000_000


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free, on every disk."""
    return lambda count: monkeypatch.setattr(room, "disk_of", lambda path: Disk(disk_of(path).mount, count))


@pytest.fixture
def large(photos):
    for name in "abc":
        photos.write(f"photos/JPEGImages/{name}.jpg", name + A_MB)
    return photos


def needs(project, free, stage="records"):
    """The bytes that a stage is said to need, as the sentence has them."""
    free(0)
    with pytest.raises(EnvironmentNotReady) as caught:
        build(project, stage)
    return str(caught.value)


def test_what_does_not_fit_is_refused_before_anything_is_done(home, large, free):
    words = needs(large.project(*JPEG), free)
    place = large.project().store.folders.of("records")
    assert words.startswith("records: there is no space for it: 3 photos need about 345.6 kB at")
    assert f"at {place}, and the disk at {disk_of(place).mount} has 0 bytes free" in words
    assert "`./run gc`" in words and words.endswith("name a folder on another disk with records.folder.")
    assert home.ran() == [] and not list(place.glob("*"))


@pytest.mark.parametrize(("bytes_free", "fits"), [(345_599, False), (345_600, True)])
def test_what_fits_exactly_is_made(home, large, free, bytes_free, fits):
    free(bytes_free)
    if fits:
        build(large.project(*JPEG), "records")
    else:
        with pytest.raises(EnvironmentNotReady):
            build(large.project(*JPEG), "records")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((*JPEG, "records.jpeg_quality=75"), "3 photos need about 138.2 kB"),
        (("records.image_size=[300, 300]",), "3 photos need about 540.0 kB"),
        ((*JPEG, "records.limit=2"), "2 photos need about 230.4 kB"),
    ],
)
def test_the_need_is_that_of_size_encoding_and_number(home, large, free, overrides, said):
    assert said in needs(large.project(*overrides), free)


def test_no_picture_takes_more_than_its_photo(home, photos, free):
    assert "3 photos need about 66 bytes" in needs(photos.project(*JPEG), free)


def test_the_room_is_that_of_the_disk_that_the_records_go_to(home, large, free, tmp_path):
    project = large.project(*JPEG, f'records.folder="{tmp_path / "disk"}"')
    assert f" at {tmp_path / 'disk'}/nanoforge-detector-" in needs(project, free)


def test_after_an_artifact_the_need_is_as_that_was(home, large, free):
    size = sum(entry["size"] for entry in build(large.project(*JPEG), "records").record["files"].values())
    large.write("photos/JPEGImages/a.jpg", "changed" + A_MB)
    assert f"3 photos need about {room.decimal(size)} at" in needs(large.project(*JPEG), free)
    large.write("photos/JPEGImages/d.jpg", "d" + A_MB)
    assert f"4 photos need about {room.decimal(size * 5 // 3)} at" in needs(large.project(*JPEG), free)
    assert "4 photos need about 720.0 kB" in needs(large.project("records.image_size=300"), free)


def test_what_an_interrupted_run_left_needs_no_more_room(home, large, free):
    project = large.project(*JPEG)
    home.behave(records={"findings": "x" * 10_000, "fail": "no more"})
    with pytest.raises(Exception, match="no more"):
        build(project, "records")
    assert re.search(r"3 photos need about 33[45]\.\d kB", needs(large.project(*JPEG), free))


def test_smaller_photos_are_made_where_there_is_room(home, large, free):
    words = needs(large.project(), free, "resize")
    assert "resize: there is no space for it: 3 photos need about 165.9 kB" in words
    assert words.endswith("or make `build` a link to a folder on another disk.")


def test_other_stages_and_rendered_pictures_are_not_asked(home, photos, free):
    photos.write("detector.toml", '[dataset]\nrendered_pictures = 20\nclasses = ["cat"]\n')
    free(0)
    build(photos.project(), "train")
