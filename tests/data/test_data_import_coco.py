"""COCO JSON, as COCO, CVAT, Roboflow and others write it, comes out as VOC with the same objects."""

import math

import pytest
from exchange_datasets import Source, coco, image, labelled

from stages.job import BadInput


@pytest.fixture
def source(tmp_path, run):
    return Source(tmp_path / "dataset", run)


def test_boxes_are_the_sources_to_the_last_digit(source):
    source.photo("images/a.jpg")
    bbox = [10.123456789, 0.1 + 0.2, 33.333333333333336, 1e-7]
    source.write("annotations/instances_default.json", coco([image(1, "a.jpg")], [labelled(1, 1, 1, bbox)], "cone"))
    made = source.read("")
    assert made.files == ["images/a.xml"]
    assert made.boxes("images/a.xml") == [("cone", (bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]))]
    assert made.xml("images/a.xml").size == (200, 100)
    assert made.notes == [] and made.lists() == {}


def test_roboflows_export_keeps_its_split_and_its_folders(source):
    """Category 0 is the name of the project, which no annotation has; names repeat between folders."""
    for side in ("train", "valid", "test"):
        source.photo("%s/a_jpg.rf.1.jpg" % side)
        document = coco([image(0, "a_jpg.rf.1.jpg")], [labelled(0, 0, 1, [1, 2, 3, 4], area=12)])
        document["categories"] = [
            {"id": 0, "name": "cones", "supercategory": "none"},
            {"id": 1, "name": side, "supercategory": "cones"},
        ]
        source.write("%s/_annotations.coco.json" % side, document)
    made = source.read()
    assert {name: made.boxes(name) for name in made.files} == {
        "%s/a_jpg.rf.1.xml" % side: [(side, (1, 2, 4, 6))] for side in ("train", "valid", "test")
    }
    assert made.lists() == {"train": ["train/a_jpg.rf.1"], "val": ["valid/a_jpg.rf.1"], "test": ["test/a_jpg.rf.1"]}
    assert made.kinds == ["supercategory"] * 3
    assert made.metrics["sides"] == {"train": 1, "validation": 1, "test": 1}


def test_a_photo_that_is_missing_beside_its_json_is_not_sought_on_another_side(source):
    source.photo("train/b.jpg", "valid/a.jpg", "a.jpg")
    source.write("train/_annotations.coco.json", coco([image(1, "a.jpg"), image(2, "b.jpg")], []))
    made = source.read()
    assert made.files == ["train/b.xml"] and made.kinds == ["no_photo"]


def test_cocos_own_layout_tells_sides_by_the_names_of_files(source):
    source.photo("train2017/1.jpg", "val2017/2.jpg")
    for year_side, key in (("train2017", 1), ("val2017", 2)):
        document = coco([image(key, "%d.jpg" % key)], [labelled(1, key, 7, [0, 0, 9, 9])])
        document["categories"] = [{"id": 7, "name": "dog", "supercategory": "animal"}]
        source.write("annotations/instances_%s.json" % year_side, document)
        source.write("annotations/person_keypoints_%s.json" % year_side, document)
    made = source.read()
    assert made.lists() == {"train": ["train2017/1"], "val": ["val2017/2"]}
    assert made.boxes("train2017/1.xml") == [("dog", (0, 0, 9, 9))]


def test_pictures_without_objects_are_written_and_those_of_other_ids_found(source):
    source.photo("a.jpg", "b.jpg")
    document = coco([image("x-1", "a.jpg"), image(2, "b.jpg")], [labelled(1, "2", "1", ["1", "2", "3", 4])], "cone")
    source.write("c.json", document)
    made = source.read()
    assert made.boxes("a.xml") == [] and made.boxes("b.xml") == [("cone", (1, 2, 4, 6))]


def test_flags_attributes_outlines_and_turned_boxes_are_kept(source):
    source.photo("a.jpg")
    attributes = {"occluded": True, "difficult": False, "truncated": 1, "colour": "red", "speed": 2.5, "new": True}
    outline = [[10, 10, 20.5, 10, 20, 30], [40, 40, 50, 40, 50, 50, 40, 50]]
    source.write(
        "c.json",
        coco(
            [image(1, "a.jpg")],
            [
                labelled(1, 1, 1, [10, 10, 40, 40], attributes=attributes, segmentation=outline),
                labelled(2, 1, 1, [50, 20, 40, 20], attributes={"rotation": 90.0}),
            ],
            "cone",
        ),
    )
    made = source.read()
    first, second = made.root("a.xml").iter("object")
    assert [first.findtext(name) for name in ("occluded", "difficult", "truncated")] == ["1", "0", "1"]
    told = {one.findtext("name"): one.findtext("value") for one in first.iter("attribute")}
    assert told == {"colour": "red", "speed": "2.5", "new": "true"}
    assert [[float(number.text) for number in one] for one in first.findall("polygon")] == outline
    assert [float(one.text) for one in second.find("robndbox")] == pytest.approx([70, 30, 40, 20, math.pi / 2])
    assert made.boxes("a.xml")[1][1] == pytest.approx((60, 10, 80, 50))
    assert made.notes == []


def test_what_voc_cannot_hold_is_told(source):
    source.photo("a.jpg")
    mask = {"counts": "abc", "size": [100, 200]}
    source.write(
        "c.json",
        coco(
            [image(1, "a.jpg")],
            [
                labelled(1, 1, 1, [1, 2, 3, 4], iscrowd=1, segmentation=mask),
                labelled(2, 1, 1, [1, 2, 3, 4], keypoints=[1, 2, 2], num_keypoints=1),
                labelled(3, 1, 1, [1, 2, 3, 4], score=0.5, attributes={"many": [1]}),
                labelled(4, 1, 1, None, segmentation=[[1, 2, 5, 2, 5, 8], [1, 2]]),
            ],
            "cone",
        ),
    )
    made = source.read()
    assert sorted(made.kinds) == sorted(
        ["mask", "crowd", "keypoints", "score", "attribute", "wrong_entry", "shape_boxed"]
    )
    assert [box for _, box in made.boxes("a.xml")] == [(1, 2, 4, 6)] * 3 + [(1, 2, 5, 8)]
    assert made.xml("a.xml").objects[0].difficult
    assert any("2 crowd" in line or "1 crowd: it is written with <difficult>" in line for line in made.warnings)


@pytest.mark.parametrize(
    "bbox, kind",
    [
        (None, "no_box"),
        ([], "no_box"),
        ([1, 2, 3], "unreadable_number"),
        ([1, 2, 3, "x"], "unreadable_number"),
        ([1, 2, 3, float("nan")], "unreadable_number"),
        ([1, 2, float("inf"), 4], "unreadable_number"),
        ([1, 2, 3, 10**30], "unreadable_number"),
        ([1, 2, 3, True], "unreadable_number"),
        ({"x": 1}, "unreadable_number"),
        ("1,2,3,4", "unreadable_number"),
    ],
)
def test_an_object_without_a_box_that_can_be_read_stays_an_object(source, bbox, kind):
    """So that records leaves its picture out, and nothing learns that such a thing is background."""
    source.photo("a.jpg")
    source.write("c.json", coco([image(1, "a.jpg")], [labelled(1, 1, 1, bbox)], "cone"))
    made = source.read()
    assert made.kinds == [kind] and made.boxes("a.xml") == [("cone", None)]


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda document: document["images"].append(7), "wrong_entry"),
        (lambda document: document["images"].append({"file_name": "a.jpg"}), "wrong_entry"),
        (lambda document: document["images"].append(image(1, "a.jpg")), "wrong_entry"),
        (lambda document: document["images"].append(image([3], "other.jpg")), "wrong_entry"),
        (lambda document: document["annotations"].append(None), "wrong_entry"),
        (lambda document: document["annotations"].append(labelled(9, 77, 1, [1, 2, 3, 4])), "wrong_entry"),
        (lambda document: document["annotations"].append(labelled(9, 1, 5, [1, 2, 3, 4])), "no_class"),
        (lambda document: document["categories"].append({"id": 2}), "wrong_entry"),
        (lambda document: document["images"].append(image(3, "gone.jpg")), "no_photo"),
        (lambda document: document["images"].append(image(3, {"a": 1})), "no_photo"),
        (lambda document: document["images"].append(image(3, "../../../etc/passwd")), "no_photo"),
        (lambda document: document["images"].append(image(3, "a.jpg")), "repeated_picture"),
    ],
)
def test_wrong_entries_are_left_out_and_told(source, change, kind):
    source.photo("a.jpg")
    document = coco([image(1, "a.jpg")], [labelled(1, 1, 1, [1, 2, 3, 4])], "cone")
    change(document)
    source.write("c.json", document)
    made = source.read()
    assert made.kinds == [kind] and made.files == ["a.xml"] and made.boxes("a.xml")[0] == ("cone", (1, 2, 4, 6))


def test_what_an_id_of_two_images_or_categories_means_nobody_guesses(source):
    source.photo("a.jpg", "b.jpg", "c.jpg")
    document = coco(
        [image(1, "a.jpg"), image(2, "b.jpg"), image(1, "c.jpg")],
        [labelled(1, 1, 1, [1, 2, 3, 4]), labelled(2, 2, 1, [1, 2, 3, 4]), labelled(3, 2, 2, [1, 2, 3, 4])],
        "cone",
        "ball",
    )
    document["categories"].append({"id": 2, "name": "bell"})
    source.write("c.json", document)
    made = source.read()
    assert made.files == ["b.xml"] and made.boxes("b.xml") == [("cone", (1, 2, 4, 6)), ("", (1, 2, 4, 6))]
    assert sorted(made.kinds) == ["no_class"] + 4 * ["wrong_entry"]


def test_ids_are_the_same_however_they_are_written(source):
    """pandas makes 1.0 of 1 where a column has gaps."""
    source.photo("a.jpg", "b.jpg")
    images = [image(1, "a.jpg"), image("2", "b.jpg")]
    found = [labelled(1, 1.0, 1.0, [1, 2, 3, 4]), labelled(2, "1", "1", [5, 6, 3, 4]), labelled(3, 2, 1, [1, 2, 3, 4])]
    source.write("c.json", coco(images, found, "cone"))
    made = source.read()
    assert made.boxes("a.xml") == [("cone", (1, 2, 4, 6)), ("cone", (5, 6, 8, 10))] and made.notes == []
    assert made.boxes("b.xml") == [("cone", (1, 2, 4, 6))]


@pytest.mark.parametrize(
    "more, kinds",
    [
        ({"bbox": None, "segmentation": [[1, 2, 5, 2, 5, 8], [50, 60, "x", 1, 90, 80]]}, {"wrong_entry", "no_box"}),
        ({"bbox": None, "segmentation": [[1, 2, 5, 2, 5, 8], [50, 60, 7]]}, {"wrong_entry", "no_box"}),
        ({"bbox": [1, 2, "x", 4], "segmentation": [[1, 2, 5, 2, 5, 8]]}, {"unreadable_number"}),
        ({"bbox": [1, 2, 3, 4], "attributes": {"rotation": "nan"}}, {"unreadable_number"}),
    ],
)
def test_what_is_read_in_part_only_is_no_place(source, more, kinds):
    """A box around some parts of an object would cut off the rest, one that is not turned would lie beside it."""
    source.photo("a.jpg")
    source.write("c.json", coco([image(1, "a.jpg")], [labelled(1, 1, 1, **more)], "cone"))
    made = source.read()
    assert made.boxes("a.xml") == [("cone", None)] and set(made.kinds) == kinds


@pytest.mark.parametrize(
    "written, found",
    [
        ("a.jpg", "one/a.jpg"),
        ("C:\\data\\one\\a.jpg", "one/a.jpg"),
        ("/home/me/one/a.jpg", "one/a.jpg"),
        ("../../one/./a.jpg", "one/a.jpg"),
        ("https://host/x/one/a.jpg?sig=b.png", "one/a.jpg"),
        ("https://host/%ED%95%9C%20%EA%B8%80.jpg", "두/한 글.jpg"),
        ("/data/local-files/?d=x/one/a.jpg", "one/a.jpg"),
        ("/data/upload/3/0123abcd-a.jpg", "one/a.jpg"),
        ("s3://bucket/두/한 글.jpg", "두/한 글.jpg"),
        ("한 글.jpg", "두/한 글.jpg"),
        ("A.JPG", "one/a.jpg"),
        ("images\\%ED%95%9C%20%EA%B8%80.jpg", "두/한 글.jpg"),
        ("100%25.jpg", "100%25.jpg"),
        ("b.jpg", None),
        ("two/b.jpg", "two/b.jpg"),
        ("http://[bad/a.jpg", None),
        ("one/", None),
        ("", None),
    ],
)
def test_photos_are_found_by_what_any_machine_calls_them(source, written, found):
    source.photo("one/a.jpg", "one/b.jpg", "two/b.jpg", "두/한 글.jpg", "100%25.jpg", "other.jpg")
    source.write("c.json", coco([image(1, written), image(2, "other.jpg")], []))
    made = source.read()
    assert made.files == sorted(["other.xml"] + ([found[:-4] + ".xml"] if found else []))
    assert made.kinds == ([] if found else ["ambiguous_photo" if written == "b.jpg" else "no_photo"])


def test_a_picture_without_size_gets_that_of_the_upright_photo(source):
    source.photo("a.jpg", orientation=6)
    source.write("c.json", coco([image(1, "a.jpg", width=0, height=None)], []))
    assert source.read().xml("a.xml").size == (100, 200)


def test_photos_that_differ_in_their_suffix_only_keep_it(source):
    source.photo("train/a.jpg", "train/a.png")
    source.write("train/_annotations.coco.json", coco([image(1, "a.jpg"), image(2, "a.png")], []))
    made = source.read()
    assert made.files == ["train/a.jpg.xml", "train/a.png.xml"]
    assert made.lists() == {"train": ["train/a.jpg", "train/a.png"]}


def test_no_two_photos_share_an_xml(source):
    names = ["a.jpg", "a.png", "a.jpg.png"]
    source.photo(*names)
    source.write("c.json", coco([image(number, name) for number, name in enumerate(names)], []))
    assert source.read().files == ["a.jpg.png.xml", "a.jpg.xml", "a.png.xml"]


def test_a_photo_on_two_sides_is_not_trained_on(source):
    source.photo("a.jpg")
    for side, bbox in (("test", [1, 2, 3, 4]), ("train", [5, 6, 7, 8])):
        source.write("instances_%s.json" % side, coco([image(1, "a.jpg")], [labelled(1, 1, 1, bbox)], "cone"))
    made = source.read()
    assert made.kinds == ["repeated_picture"] and made.lists() == {"test": ["a"]}
    assert made.boxes("a.xml") == [("cone", (1, 2, 4, 6)), ("cone", (5, 6, 12, 14))]


def test_photos_are_copied_byte_for_byte_where_that_is_asked_for(source):
    source.photo("a.jpg", "b.jpg")
    source.write("c.json", coco([image(1, "a.jpg")], []))
    made = source.read(with_photos=True)
    copies = [path for path in (made.folder / "JPEGImages").rglob("*") if path.is_file()]
    assert [path.name for path in copies] == ["a.jpg"]
    assert copies[0].read_bytes() == (source.folder / "a.jpg").read_bytes()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "it is empty"),
        (b'{"images": [', "line 1, column 13: Expecting value"),
        (b'{"images": [],\n "annotations": [}', "line 2, column 18"),
        (b'{"images": [] "annotations": []}', "a comma and a value, or }"),
        (b'{"images": [1,], "annotations": []}', "a comma and a value, or ]"),
        (b'{"images": [], "annotations": []} x', "something stands behind its end"),
        (b'{"images": [], "annotations": []', "it ends in the middle"),
        (b'{"images": [], "annotations": []}', "no categories"),
        (b'{"images": {}, "annotations": []}', "no categories"),
        (b'{"images": [], "annotations"', "a name and a colon"),
        (b'{"images": [' + b"[" * 200000, "nested too deeply"),
        ('{"images": [],\n "annotations": ["é"]}'.encode("latin-1"), "is not UTF-8, line 2"),
    ],
)
def test_json_that_cannot_be_read_is_told_with_its_place(source, content, words):
    source.photo("a.jpg")
    source.write("c.json", content)
    with pytest.raises(BadInput) as raised:
        source.read("c.json", source_format="coco")
    assert words in str(raised.value) and "c.json" in str(raised.value)


def test_a_byte_order_mark_and_utf_16_do_no_harm(source):
    source.photo("a.jpg")
    text = '{"images": [{"id": 1, "file_name": "a.jpg"}],\r\n "annotations": [], "categories": []}'
    for data in (b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")):
        source.write("c.json", data)
        assert source.read().files == ["a.xml"]


def test_a_file_beyond_the_limit_is_refused(source, monkeypatch):
    source.photo("a.jpg")
    source.write("c.json", coco([image(1, "a.jpg")], []))
    monkeypatch.setattr("stages.data.exchange.exchange_files.MOST_BYTES", 20)
    with pytest.raises(BadInput, match="more than the 20 it may have"):
        source.read()


def test_a_dataset_of_other_photos_is_refused(source):
    source.photo("a.jpg")
    source.write("c.json", coco([image(1, "x.jpg")], []))
    with pytest.raises(BadInput, match=r"tells of no photo in .*: its photo x.jpg is not there"):
        source.read()
