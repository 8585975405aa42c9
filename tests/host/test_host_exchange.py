"""`import` and `to-coco`: what they are given reaches the program, and their result is a dataset that `init` takes."""

import json
import os
from pathlib import Path

import pytest
from host_sources import CLONE

from nanoforge.commands import exchange
from nanoforge.commands.options import StageOptions
from nanoforge.config.dataset import find_image_sets, find_voc_folders
from nanoforge.errors import BadInput, StageFailed
from nanoforge.pipeline.stages import IMPORT, TO_COCO

STAND_IN = """
import json, os
from stages import job
def main(work):
    if os.path.exists(os.path.join(work.inputs["photos"], "broken")):
        raise job.StageFailed("It broke.")
    for name in ("Annotations/a.xml", "ImageSets/Main/train.txt", "instances.json"):
        with open(work.out(*name.split("/")), "w") as stream:
            json.dump({"inputs": work.inputs, "parameters": work.parameters}, stream)
    work.warn("2 crowd: it is written so")
    work.metrics(format="COCO JSON", pictures=3, objects=4, sides={"train": 3, "test": 0}, files=["instances.json"])
job.run(main)
"""


@pytest.fixture
def programs(home, tmp_path, monkeypatch):
    """Stand-ins of both programs; a dataset in the folder `dataset`, and a current folder without a project."""
    for program in (IMPORT, TO_COCO):
        path = home.folder.joinpath(*program.module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    dataset = tmp_path / "work" / "dataset"
    (dataset / "images").mkdir(parents=True)
    (dataset / "annotations").mkdir()
    (dataset / "images" / "a.jpg").write_bytes(b"photo")
    (dataset / "annotations" / "c.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "work")
    return dataset


def start(what, out="voc", photos="", source_format="", with_photos=False):
    exchange.import_dataset(what, out, photos, source_format, with_photos, StageOptions())


def told(file):
    """What the program was given."""
    return json.loads(Path(file).read_text())


def test_the_photos_stay_behind_a_link_that_init_and_other_tools_follow(programs, capfd):
    start("dataset")
    assert os.readlink("voc/JPEGImages") == str(programs)
    folders = find_voc_folders(Path("voc").absolute())
    assert [folder.name for folder in folders] == ["JPEGImages", "Annotations"]
    assert find_image_sets(folders.photos) == Path("voc/ImageSets/Main").absolute()
    assert told("voc/Annotations/a.xml")["parameters"] == {"source_format": "", "with_photos": False}
    said = capfd.readouterr()
    assert "voc: 3 pictures (3 train) and 4 objects from COCO JSON" in said.err + said.out
    assert "2 crowd" in said.err and "./run init voc" in said.err + said.out
    assert (programs / "images" / "a.jpg").read_bytes() == b"photo"


def test_copies_are_asked_of_the_program_and_no_link_is_made(programs):
    start("dataset", with_photos=True, source_format="coco")
    assert not os.path.lexists("voc/JPEGImages")
    assert told("voc/Annotations/a.xml")["parameters"] == {"source_format": "coco", "with_photos": True}


@pytest.mark.parametrize(
    "what, photos, meant",
    [
        ("dataset", "", ("dataset", "dataset")),
        ("dataset/annotations/c.json", "", ("dataset/annotations/c.json", "dataset")),
        ("dataset/annotations/c.json", "dataset/images", ("dataset/annotations/c.json", "dataset/images")),
        ("dataset/data.yaml", "", ("dataset", "dataset")),
        ("dataset/export.json", "", ("dataset/export.json", "dataset")),
    ],
)
def test_the_dataset_and_its_photos_are_found(programs, what, photos, meant):
    for name in ("data.yaml", "export.json"):
        (programs / name).write_text("")
    start(what, photos=photos)
    inputs = told("voc/Annotations/a.xml")["inputs"]
    assert (inputs["what"], inputs["photos"]) == tuple(str(programs.parent / name) for name in meant)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"what": "dataset", "out": ""}, "import needs --out FOLDER"),
        ({"what": "nowhere"}, "there is no .*nowhere"),
        ({"what": "dataset", "photos": "nowhere"}, "--photos: there is no folder .*nowhere"),
        ({"what": "dataset", "out": "dataset/voc"}, "lies inside .*dataset, which is read"),
        ({"what": "dataset", "out": "full"}, "exists already and is not empty"),
        ({"what": "dataset", "out": "file"}, "is a file"),
        ({"what": "dataset", "out": "link"}, "is a link"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(programs, arguments, words):
    work = programs.parent
    (work / "full").mkdir()
    (work / "full" / "mine.txt").write_text("mine")
    (work / "file").write_text("mine")
    (work / "link").symlink_to("full")
    before = sorted(os.listdir(work))
    with pytest.raises(BadInput, match=words):
        start(**arguments)
    assert sorted(os.listdir(work)) == before and os.listdir(work / "full") == ["mine.txt"]


def test_of_a_failure_nothing_is_left(programs):
    (programs / "broken").write_text("")
    with pytest.raises(StageFailed, match="It broke"):
        start("dataset")
    assert sorted(os.listdir(programs.parent)) == ["dataset"]


def test_to_coco_takes_the_projects_dataset_and_how_it_is_read(programs, photos, monkeypatch, capfd):
    photos.write("photos/ImageSets/Main/train.txt", "a\n")
    photos.write(
        "detector.toml", '[dataset]\nphotos = "photos/JPEGImages"\nclasses = ["cat"]\naliases = { Cat = "cat" }\n'
    )
    monkeypatch.chdir(photos.folder)
    exchange.to_coco("coco", StageOptions())
    found = told("coco/instances.json")
    base = photos.folder / "photos"
    assert found["inputs"] == {
        "photos": str(base / "JPEGImages"),
        "annotations": str(base / "Annotations"),
        "image_sets": str(base / "ImageSets" / "Main"),
    }
    assert found["parameters"] == {
        "classes": ["cat"],
        "aliases": {"Cat": "cat"},
        "boxes": "auto",
        "sizes": "xml",
        "split": "auto",
        "findings": {},
    }
    said = capfd.readouterr()
    assert "coco/instances.json: 3 pictures and 4 objects" in said.err + said.out


def test_to_coco_without_a_place_or_photos_is_refused(programs, photos, monkeypatch):
    monkeypatch.chdir(photos.folder)
    with pytest.raises(BadInput, match="to-coco needs --out FOLDER"):
        exchange.to_coco("", StageOptions())
    photos.write("detector.toml", "[dataset]\nrendered_pictures = 9\nclasses = ['cat']\n")
    with pytest.raises(BadInput, match="this project renders its own"):
        exchange.to_coco("coco", StageOptions())


def test_both_programs_are_there():
    for program in (IMPORT, TO_COCO):
        assert CLONE.joinpath(*program.module.split(".")).with_suffix(".py").is_file()
