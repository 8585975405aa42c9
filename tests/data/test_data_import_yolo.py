"""YOLO's labels, in the layouts of Ultralytics, Roboflow, Darknet, CVAT, labelImg and Label Studio."""

import pytest
from exchange_datasets import Source

from stages.job import BadInput


@pytest.fixture
def source(tmp_path, run):
    return Source(tmp_path / "dataset", run)


LINE = "1 0.5 0.5 0.25 0.5\n"
BOX = (75, 25, 125, 75)  # of LINE, on 200 x 100
NAMES = "names: [cone, 'big ball']\n"


def test_ultralytics_layout_with_its_split(source):
    source.photo("images/train/a.jpg", "images/val/b.jpg")
    source.write("labels/train/a.txt", LINE)
    source.write("labels/val/b.txt", "")
    source.write("d.yaml", "path: ../datasets/d\ntrain: images/train\nval: images/val\nnames:\n  0: cone\n  1: ball\n")
    made = source.read()
    assert made.boxes("images/train/a.xml") == [("ball", BOX)] and made.boxes("images/val/b.xml") == []
    assert made.xml("images/train/a.xml").size == (200, 100)
    assert made.lists() == {"train": ["images/train/a"], "val": ["images/val/b"]} and made.notes == []


def test_roboflow_layout_whose_yaml_is_one_folder_off(source):
    for side in ("train", "valid", "test"):
        source.photo("%s/images/a_jpg.rf.0.jpg" % side)
        source.write("%s/labels/a_jpg.rf.0.txt" % side, LINE)
    source.write(
        "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cone', 'ball']\n\n"
        "roboflow:\n  workspace: w\n  project: p\n  version: 1\n",
    )
    made = source.read()
    assert {name: len(made.boxes(name)) for name in made.files} == {
        "%s/images/a_jpg.rf.0.xml" % side: 1 for side in ("train", "valid", "test")
    }
    assert sorted(made.lists()) == ["test", "train", "val"]


def test_darknet_as_cvat_exports_it(source):
    source.photo("obj_train_data/a.jpg", "obj_train_data/sub/a.jpg", "obj_valid_data/b.jpg")
    for name in ("obj_train_data/a", "obj_train_data/sub/a", "obj_valid_data/b"):
        source.write(name + ".txt", LINE)
    source.write("obj.names", "cone\nball\n\n")
    source.write("obj.data", "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n")
    source.write("train.txt", "data/obj_train_data/a.jpg\r\ndata/obj_train_data/sub/a.jpg\r\n")
    source.write("valid.txt", "data/obj_valid_data/b.jpg\ndata/obj_valid_data/gone.jpg\n")
    made = source.read()
    assert made.lists() == {"train": ["obj_train_data/a", "obj_train_data/sub/a"], "val": ["obj_valid_data/b"]}
    assert made.kinds == ["no_photo"] and made.notes[0]["where"].endswith("valid.txt, line 2")
    assert {one for name in made.files for one in made.boxes(name)} == {("ball", BOX)}


def test_labels_beside_their_photos_and_elsewhere(source):
    """labelImg writes beside the photo; Label Studio's export has no photos, which lie where they always did, and its
    labels have names of uploaded files."""
    source.photo("here/a.jpg", "photos/deep/b.jpg")
    source.write("here/a.txt", LINE)
    source.write("here/classes.txt", "cone\nball")
    source.write("export/classes.txt", "cone\nball")
    source.write("export/labels/0123abcd-b.txt", LINE)
    assert source.read("here", photos="here").boxes("a.xml") == [("ball", BOX)]
    assert source.read("export", photos="photos").boxes("deep/b.xml") == [("ball", BOX)]


def test_a_photo_that_stands_on_its_side_is_measured_upright(source):
    source.photo("a.jpg", orientation=6)
    source.write("a.txt", LINE)
    source.write("classes.txt", "cone\nball")
    made = source.read()
    assert made.xml("a.xml").size == (100, 200) and made.boxes("a.xml") == [("ball", (37.5, 50, 62.5, 150))]


def test_a_photo_without_label_file_gets_no_xml(source):
    source.photo("a.jpg", "b.jpg")
    source.write("a.txt", "")
    source.write("classes.txt", "cone")
    made = source.read()
    assert made.files == ["a.xml"] and made.kinds == ["not_labelled"]
    assert "records leaves such a photo out (no_xml)" in made.warnings[0]


@pytest.mark.parametrize(
    "line, objects, kinds",
    [
        ("0 0.5 0.5 0.25 0.5", [("cone", BOX)], []),
        ("1.0\t0.5  0.5 2.5e-1 .5 \r", [("ball", BOX)], []),
        ("\ufeff0 0.5 0.5 0.25 0.5\r\n\r\n", [("cone", BOX)], []),
        ("0 0.5 0.5 0.25 0.5 0.93", [("cone", BOX)], ["score"]),
        ("0 0.5 0.5 1.5 0.5", [("cone", (-50, 25, 250, 75))], ["not_normalised"]),
        ("0 -0.5 0.5 0.25 0.5", [("cone", (-125, 25, -75, 75))], ["not_normalised"]),
        ("0 100 50 50 50", [("cone", (15000, 2500, 25000, 7500))], ["not_normalised"]),
        ("2 0.5 0.5 0.25 0.5", [("", BOX)], ["no_class"]),
        ("-1 0.5 0.5 0.25 0.5", [("", BOX)], ["no_class"]),
        ("0.5 0.5 0.5 0.25 0.5", [("", BOX)], ["no_class"]),
        ("cone 0.5 0.5 0.25 0.5", [("", BOX)], ["no_class"]),
        ("0 0.5 nan 0.25 0.5", [("cone", None)], ["unreadable_number"]),
        ("0 0.5 0,5 0.25 x", [("cone", None)], ["unreadable_number"]),
        ("0 0.5 1e999 0.25 0.5", [("cone", None)], ["unreadable_number"]),
        ("0 0.5 0.5", [("cone", None)], ["no_box"]),
        ("0", [("cone", None)], ["no_box"]),
        ("0 .1 .1 .5 .1 .5 .5 .1", [("cone", None)], ["no_box"]),
        ("0 .1 .2 .5 .2 .5 .6", [("cone", (20, 20, 100, 60))], ["shape_boxed"]),
        ("0 .1 .2 .5 .2 .5 .6 .1 .6", [("cone", (20, 20, 100, 60))], ["shape_boxed"]),
        ("\n \n", [], []),
    ],
)
def test_lines_as_tools_and_people_write_them(source, line, objects, kinds):
    source.photo("a.jpg")
    source.write("a.txt", line)
    source.write("classes.txt", "cone\nball\n")
    made = source.read()
    found = [(name, box and pytest.approx(box)) for name, box in made.boxes("a.xml")]
    assert found == objects and made.kinds == kinds


def test_the_outline_is_kept(source):
    source.photo("a.jpg")
    source.write("a.txt", "0 .1 .2 .5 .2 .5 .6 .1 .6")
    source.write("classes.txt", "cone\n")
    polygon = source.read().root("a.xml").find("object/polygon")
    assert [one.tag for one in polygon] == ["x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"]
    assert [float(one.text) for one in polygon] == pytest.approx([20, 20, 100, 20, 100, 60, 20, 60])


def test_keypoints_are_told_and_the_box_is_kept(source):
    source.photo("a.jpg")
    source.write("a.txt", "0 0.5 0.5 0.25 0.5 0.5 0.5 2 0.4 0.4 1")
    source.write("data.yaml", "names: [cone]\nkpt_shape: [2, 3]\n")
    made = source.read()
    assert made.boxes("a.xml") == [("cone", BOX)] and made.kinds == ["keypoints"]


@pytest.mark.parametrize(
    "yaml, words",
    [
        ("names: [a\n", "is not YAML, line 2"),
        ("names: &a [x]\nother: *a\n", "aliases"),
        ("names: {x: cone}\n", "names has x"),
        ("names: {0: [cone]}\n", "names has 0"),
        ("names: {0: cone, 0: ball}\n", "is not YAML, line 1: 0 is there twice"),
        ("names: [cone, '']\n", "names has 1"),
        ("names: [[1]]\n", "names has 0"),
        ("names: !!python/object/apply:os.system [ls]\n", "is not YAML, line 1"),
        ("names: []\n", "tells no names of its classes"),
        (b"names: [\xff]\n", "is not UTF-8, line 1"),
        ("names: [" + "a, " * (1 << 19) + "]", "over 1048576 characters"),
    ],
)
def test_a_yaml_that_cannot_be_used_is_told(source, yaml, words):
    source.photo("a.jpg")
    source.write("a.txt", LINE)
    source.write("data.yaml", yaml)
    with pytest.raises(BadInput, match=words):
        source.read()


def test_of_a_folder_that_is_on_two_sides_nothing_is_known(source):
    source.photo("images/a.jpg")
    source.write("labels/a.txt", LINE)
    source.write("data.yaml", NAMES + "train: images\nval: images\n")
    made = source.read()
    assert made.lists() == {} and made.boxes("images/a.xml") == [("big ball", BOX)]


def test_labels_without_a_photo_and_with_several_are_told(source):
    source.photo("p/one/a.jpg", "p/two/a.jpg")
    source.write("l/a.txt", LINE)
    source.write("l/b.txt", LINE)
    source.write("l/classes.txt", "cone\nball")
    with pytest.raises(BadInput, match="tells of no photo"):
        source.read("l", photos="p")
    source.photo("p/c.jpg")
    source.write("l/c.txt", LINE)
    assert sorted(source.read("l", photos="p").kinds) == ["ambiguous_photo", "no_photo", "not_labelled", "not_labelled"]


def test_a_photo_without_a_size_gives_no_boxes(source):
    source.photo("a.jpg")
    source.write("b.jpg", b"no picture")
    source.write("a.txt", LINE)
    source.write("b.txt", LINE)
    source.write("classes.txt", "cone\nball")
    made = source.read()
    assert made.kinds == ["no_size"] and made.boxes("b.xml") == [("ball", None)]


def test_names_of_classes_are_the_words_that_are_written(source):
    """YAML takes no for false, 010 for 8 and null for nothing."""
    source.photo("a.jpg")
    source.write("data.yaml", "names: [no, 010, null, 1_000]\n")
    source.write("a.txt", "".join("%d .5 .5 .2 .2\n" % number for number in range(4)))
    assert [name for name, _ in source.read().boxes("a.xml")] == ["no", "010", "null", "1_000"]


@pytest.mark.parametrize("file, text", [("data.yaml", "names: [%s]\n"), ("classes.txt", "%s\n"), ("my.names", "%s\n")])
def test_two_datasets_that_number_classes_differently_are_not_mixed(source, file, text):
    for folder, names in (("one", ("cone", "ball")), ("two", ("ball", "cone"))):
        source.photo(folder + "/%s.jpg" % folder)
        source.write("%s/%s.txt" % (folder, folder), LINE)
        source.write("%s/%s" % (folder, file), text % (", " if "[" in text else "\n").join(names))
    with pytest.raises(BadInput, match="one/%s and two/%s in .* number classes differently" % (file, file)):
        source.read()


def test_a_photo_that_two_label_files_tell_different_things_of_goes_to_neither(source):
    source.photo("images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg")
    source.write("data.yaml", "names: [cone, ball]\n")
    for name in ("images/a.txt", "labels/b.txt", "images/b.txt", "labels/c.txt", "x/d.txt", "y/d.txt"):
        source.write(name, LINE)
    source.write("labels/a.txt", "0 .1 .1 .1 .1\n")
    source.write("y/d.txt", "")
    made = source.read()
    assert made.files == ["images/b.xml", "images/c.xml"]
    assert sorted((note["kind"], note["where"]) for note in made.notes) == [
        ("several_label_files", "images/a.jpg"),
        ("several_label_files", "images/d.jpg"),
    ]


def test_a_name_of_several_lines_is_in_no_list(source):
    """Each of them would be another picture's."""
    source.photo("images/a\nb.jpg", "images/b.jpg")
    source.write("data.yaml", "names: [cone, ball]\ntrain: images\n")
    source.write("labels/a\nb.txt", LINE)
    source.write("labels/b.txt", LINE)
    assert source.read().lists() == {"train": ["images/b"]}
