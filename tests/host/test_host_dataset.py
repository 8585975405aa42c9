"""Where the photos, the XML and the lists of a dataset are found."""

import pytest

from nanoforge.config.dataset import find_annotations, find_image_sets, find_loose_lists, find_voc_folders
from nanoforge.errors import BadInput


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


@pytest.mark.parametrize(
    "layout",
    [
        ("JPEGImages", "Annotations"),
        ("images", "annotations"),
        ("Images", "ANNOTATIONS"),
        ("img", "xml"),
        ("photos", "labels"),
        ("", ""),
    ],
)
def test_the_usual_layouts_are_found(tmp_path, layout):
    make(tmp_path, *("%s/a.%s" % (folder or ".", suffix) for folder, suffix in zip(layout, ("jpg", "xml"))))
    found = find_voc_folders(tmp_path)
    assert (found.photos, found.annotations) == (tmp_path / layout[0], tmp_path / layout[1])
    assert find_voc_folders(tmp_path / layout[0]) == found


@pytest.mark.parametrize(("name", "words"), [("a.xml", "no photo"), ("a.jpg", "no VOC XML")])
def test_half_a_dataset_is_bad_input(tmp_path, name, words):
    (tmp_path / name).write_text("x")
    with pytest.raises(BadInput, match=words):
        find_voc_folders(tmp_path)


VOC = ("JPEGImages/a.jpg", "Annotations/a.xml", "SegmentationClass/a.png", "ImageSets/Main/train.txt")


@pytest.mark.parametrize("base", ["VOCdevkit/VOC2012", "VOC2007", "."])
def test_voc_s_own_tree_is_found_from_above(tmp_path, base):
    make(tmp_path, *("%s/%s" % (base, name) for name in VOC), "readme.txt")
    found = find_voc_folders(tmp_path)
    assert found == (tmp_path / base / "JPEGImages", tmp_path / base / "Annotations")
    assert find_image_sets(found.photos) == tmp_path / base / "ImageSets" / "Main"
    assert find_image_sets(tmp_path) == tmp_path / base / "ImageSets" / "Main"


@pytest.mark.parametrize(
    "names",
    [
        ("task1/JPEGImages/a.jpg", "task1/Annotations/a.xml", "task2/JPEGImages/a.jpg", "task2/Annotations/a.xml"),
        ("train/a.jpg", "train/a.xml", "valid/b.jpg", "valid/b.xml"),
        ("train/images/a.jpg", "train/annotations/a.xml", "test/images/b.jpg", "test/annotations/b.xml"),
        ("VOC2012/JPEGImages/a.jpg", "VOC2012/Annotations/a.xml", "more/b.jpg", "more/b.xml"),
        ("images/a.jpg", "annotations/a.xml", "more/images/b.jpg", "more/annotations/b.xml"),
    ],
)
def test_of_several_places_none_is_left_out(tmp_path, names):
    assert find_voc_folders(make(tmp_path, *names)) == (tmp_path, tmp_path)


def test_a_backup_and_a_preview_are_passed_over(tmp_path):
    make(tmp_path, "images/a.jpg", "annotations/a.xml", "annotations_old/a.xml")
    assert find_voc_folders(tmp_path) == (tmp_path / "images", tmp_path / "annotations")
    (tmp_path / "annotations_old" / "a.xml").rename(tmp_path / "preview.jpg")
    assert find_voc_folders(tmp_path) == (tmp_path / "images", tmp_path / "annotations")


def test_labels_of_another_format_are_no_annotations(tmp_path):
    make(tmp_path, "images/a.jpg", "images/a.xml", "labels/a.txt")
    assert find_annotations(tmp_path / "images") == tmp_path / "images"
    assert find_voc_folders(tmp_path) == (tmp_path, tmp_path)


def test_lists_in_several_folders_and_in_none(tmp_path):
    make(tmp_path, "photos/one/a.jpg")
    assert find_image_sets(tmp_path / "photos") is None
    make(tmp_path, "photos/one/ImageSets/Main/train.txt")
    assert find_image_sets(tmp_path / "photos") == tmp_path / "photos/one/ImageSets/Main"
    make(tmp_path, "photos/two/imagesets/train.txt")
    assert find_image_sets(tmp_path / "photos") == tmp_path / "photos"
    assert find_image_sets(tmp_path / "nowhere" / "photos") is None


def test_lists_outside_of_image_sets(tmp_path):
    make(tmp_path, "photos/a.jpg", "train.txt")
    assert find_loose_lists(tmp_path / "photos") is None
    make(tmp_path, "test.txt")
    assert find_loose_lists(tmp_path / "photos") == tmp_path
    make(tmp_path, "photos/TRAIN.txt", "photos/Valid.txt", "other/photos/train.txt")
    assert find_loose_lists(tmp_path / "other" / "photos") is None
    assert find_loose_lists(tmp_path / "photos" / "photos") == tmp_path / "photos"
    assert find_loose_lists(tmp_path / "nowhere" / "photos") is None
