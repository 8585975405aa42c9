"""A VOC dataset as COCO JSON, and back: the same objects."""

import json
import math
import os

import pytest
from data_voc import Dataset, photo
from exchange_datasets import Imported
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.data.annotation.frame import Reading
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.exchange import import_dataset, to_coco, voc_xml
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture, TurnedBox
from stages.data.exchange.voc_reading import VocReading, read_picture
from stages.data.findings import policies
from stages.data.pairing.pairing import Folders, Pair
from stages.job import BadInput

OPTIONS = {"classes": ["cone"], "aliases": {}, "boxes": "auto", "sizes": "xml", "split": "auto", "findings": {}}


@pytest.fixture
def export(dataset, run):
    """Run to-coco on the test's dataset; the documents by their files' names, and what it said."""

    def start(**changes):
        inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
        lists = dataset.photos.parent / "ImageSets" / "Main"
        if lists.is_dir():
            inputs["image_sets"] = str(lists)
        outcome = run(to_coco.main, inputs, dict(OPTIONS, **changes))
        found = {path.name: json.loads(path.read_text()) for path in outcome.folder.glob("*.json")}
        return found, outcome

    return start


def xml(dataset, name, text, orientation=1, size=(200, 100)):
    """A photo of 200 x 100 stored pixels with this XML inside its <annotation>."""
    (dataset.photos / (name + ".jpg")).write_bytes(photo(seed=len(name), orientation=orientation))
    told = "<size><width>%d</width><height>%d</height></size>" % size
    (dataset.annotations / (name + ".xml")).write_text("<annotation>%s%s</annotation>" % (told, text), encoding="utf-8")


def voc_object(name, box, more=""):
    edges = "".join("<%s>%s</%s>" % (edge, value, edge) for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box))
    return "<object><name>%s</name>%s<bndbox>%s</bndbox></object>" % (name, more, edges)


def test_what_pycocotools_needs_is_there(dataset, export):
    dataset.add("a.jpg", (("ball", (20, 10, 120.5, 80)), ("cone", (1, 2, 3, 4))))
    dataset.add("sub/b.jpg", ())
    found, outcome = export()
    assert list(found) == ["instances.json"]
    document = found["instances.json"]
    assert document["categories"] == [{"id": 1, "name": "cone"}, {"id": 2, "name": "ball"}]
    assert document["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 200, "height": 100},
        {"id": 2, "file_name": "sub/b.jpg", "width": 200, "height": 100},
    ]
    first = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [20, 10, 100.5, 70], "area": 7035, "iscrowd": 0}
    assert document["annotations"][0] == dict(first, segmentation=[])
    assert outcome.metrics == {"files": ["instances.json"], "pictures": 2, "objects": 2}


def test_each_side_of_a_split_has_its_file_and_ids_are_of_all(dataset, export):
    dataset.fill(4)
    lists = dataset.photos.parent / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("photo-000\nphoto-001\n")
    (lists / "test.txt").write_text("photo-002\n")
    (lists / "val.txt").write_text("photo-003\n")
    found, _ = export()
    assert sorted(found) == ["instances_test.json", "instances_train.json", "instances_val.json"]
    ids = [one["id"] for document in found.values() for one in document["annotations"]]
    assert sorted(ids) == list(range(1, 9))
    assert len({json.dumps(document["categories"]) for document in found.values()}) == 1


def test_boxes_and_outlines_lie_on_the_upright_photo(dataset, export):
    """Turned by EXIF 6, the stored picture's left edge is the upright one's top."""
    polygon = "<polygon><x1>0</x1><y1>0</y1><x2>50</x2><y2>0</y2><x3>50</x3><y3>20</y3></polygon>"
    xml(dataset, "a", voc_object("cone", (0, 0, 50, 20), polygon), orientation=6)
    document = export()[0]["instances.json"]
    assert [(one["width"], one["height"]) for one in document["images"]] == [(100, 200)]
    (made,) = document["annotations"]
    assert made["bbox"] == [80, 0, 20, 50] and made["segmentation"] == [[100, 0, 100, 50, 80, 50]]
    assert made["area"] == 500


def test_turned_boxes_have_their_corners_as_outline(dataset, export):
    rotation = "<attributes><attribute><name>rotation</name><value>90</value></attribute></attributes>"
    xml(dataset, "a", voc_object("cone", (50, 20, 90, 40), rotation))
    (made,) = export()[0]["instances.json"]["annotations"]
    assert made["bbox"] == pytest.approx([60, 10, 20, 40]) and made["area"] == pytest.approx(800)
    assert made["attributes"]["robndbox"] == pytest.approx([70, 30, 40, 20, math.pi / 2])
    assert made["segmentation"][0] == pytest.approx([80, 10, 80, 50, 60, 50, 60, 10])


def test_a_picture_with_an_object_of_unknown_place_is_left_out_as_records_does(dataset, export):
    xml(dataset, "a", "<object><name>cone</name></object>" + voc_object("cone", (1, 2, 3, 4)))
    xml(dataset, "b", voc_object("", (1, 2, 3, 4)))
    xml(dataset, "c", voc_object("cone", (30, 2, 3, 4)))
    (dataset.annotations / "d.xml").write_text("<annotation>")
    (dataset.photos / "d.jpg").write_bytes(photo())
    (dataset.photos / "e.jpg").write_bytes(b"nothing")
    (dataset.annotations / "e.xml").write_text("<annotation/>")
    found, outcome = export()
    assert [one["file_name"] for one in found["instances.json"]["images"]] == ["c.jpg"]
    assert found["instances.json"]["annotations"][0]["bbox"] == [3, 2, 27, 2]
    assert sorted(kind for kind, _ in outcome.kinds) == [
        "damaged_xml",
        "flipped_box",
        "no_box",
        "no_class",
        "unreadable_image",
    ]


def test_aliases_and_policies_of_the_project_hold(dataset, export):
    xml(dataset, "a", voc_object("Cone", (1, 2, 3, 4)))
    xml(dataset, "b", "")
    found, _ = export(aliases={"Cone": "cone"}, findings={"no_objects": "drop"})
    assert found["instances.json"]["categories"] == [{"id": 1, "name": "cone"}]
    assert len(found["instances.json"]["images"]) == 1
    with pytest.raises(BadInput, match='records.findings.no_objects = "fail"'):
        export(findings={"no_objects": "fail"})


def test_nothing_that_can_be_used_is_told(dataset, export):
    xml(dataset, "a", "<object><name>cone</name></object>")
    with pytest.raises(BadInput, match="None of the pictures can be used. For instance a.xml"):
        export()


numbers = st.floats(-50, 400, allow_nan=False).map(lambda value: round(value, 3))
sides = st.floats(2, 300).map(lambda value: round(value, 3))
words = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=12)
attributes = st.dictionaries(st.sampled_from(["colour", "pose", "이름"]), words, max_size=3)
outlines = st.lists(st.lists(numbers, min_size=6, max_size=11).map(lambda one: one[: len(one) // 2 * 2]), max_size=2)
boxes = st.builds(lambda x, y, width, height: (x, y, x + width, y + height), numbers, numbers, sides, sides)
turned_boxes = st.none() | st.builds(TurnedBox, numbers, numbers, sides, sides, st.floats(0.01, 3.1))


@st.composite
def exchange_objects(draw):
    box, turned = draw(boxes), draw(turned_boxes)
    flags = [draw(st.booleans()) for _ in range(3)]
    told = tuple(draw(attributes).items())
    return ExchangeObject(draw(words), turned.enclosing() if turned else box, draw(outlines), turned, *flags, told)


def plain(one):
    """An object so that its numbers are compared with a tolerance."""
    edges = [*one.box, *(edge for outline in one.polygons for edge in outline), *(one.turned or ())]
    shape = [len(outline) for outline in one.polygons]
    flags = (one.difficult, one.truncated, one.occluded)
    return one.name, flags, shape, dict(one.attributes), pytest.approx(edges, rel=1e-6, abs=1e-6)


def exactly(one):
    return (*plain(one)[:4], plain(one)[4].expected)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(exchange_objects(), max_size=4), st.sampled_from(["", "train", "val", "test"]))
def test_voc_to_coco_and_back_gives_equal_objects(tmp_path_factory, run, objects, side):
    dataset = Dataset(tmp_path_factory.mktemp("round"))
    (dataset.photos / "é b.jpg").write_bytes(photo())
    (dataset.photos / "c.jpg").write_bytes(photo())
    for name, held in (("é b", objects), ("c", [])):
        written = voc_xml.annotation(ExchangePicture(name + ".jpg", (200, 100), held))
        (dataset.annotations / (name + ".xml")).write_bytes(written)
    inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations)}
    if side:
        inputs["image_sets"] = str(tmp_path_factory.mktemp("lists"))
        for name, line in ((side, "é b"), ("val" if side == "train" else "train", "c")):
            with open(os.path.join(inputs["image_sets"], name + ".txt"), "w", encoding="utf-8") as stream:
                stream.write(line)
    exported = run(to_coco.main, inputs, dict(OPTIONS, split="imagesets" if side else "hash"))
    back = {"what": str(exported.folder), "photos": str(dataset.photos)}
    outcome = run(import_dataset.main, back, {"source_format": "coco", "with_photos": False})
    made = Imported(outcome, outcome.folder)
    assert made.files == ["c.xml", "é b.xml"]
    assert not side or made.lists()[side] == ["é b"]
    how = VocReading(
        Folders(str(dataset.photos), str(made.annotations)), Reading("auto", "xml"), policies({}), Vocabulary([], {})
    )
    there, found = read_picture(how, Pair("é b.jpg", "é b.xml"))
    assert found == [] or {one.kind for one in found} == {"no_objects"}
    assert [exactly(one) for one in there.objects] == [plain(one) for one in objects]


def test_a_crowd_stays_one(dataset, export):
    crowd = ExchangeObject("cone", (1, 2, 3, 4), difficult=True, attributes=(("iscrowd", "1"),))
    dataset.add("a.jpg")
    (dataset.annotations / "a.xml").write_bytes(voc_xml.annotation(ExchangePicture("a.jpg", (200, 100), [crowd])))
    (made,) = export()[0]["instances.json"]["annotations"]
    assert made["iscrowd"] == 1 and made["attributes"] == {"difficult": True}
