"""CVAT's XML and Label Studio's JSON, as their documentation has them."""

import math

import pytest
from exchange_datasets import Source

from stages.job import BadInput


@pytest.fixture
def source(tmp_path, run):
    source = Source(tmp_path / "dataset", run)
    source.photo("a.jpg")
    return source


HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task/></meta>\n'
IMAGE = '<image id="%d" name="%s" width="200" height="100"%s>%s</image>\n'


def cvat(*shapes, name="a.jpg", more=""):
    return HEAD + IMAGE % (0, name, more, "\n".join(shapes)) + "</annotations>"


def box(edges, more="", inside="", label="cone"):
    names = ("xtl", "ytl", "xbr", "ybr")
    told = " ".join('%s="%s"' % pair for pair in zip(names, edges))
    return '<box label="%s" source="manual" occluded="0" %s z_order="0"%s>%s</box>' % (label, told, more, inside)


def test_cvat_boxes_attributes_and_flags(source):
    inside = '<attribute name="colour">red &amp; blue</attribute><attribute name="truncated">true</attribute>'
    source.write("annotations.xml", cvat(box((1.25, 2, 3.5, 4.75), inside=inside), box((5, 6, 7, 8), label="  ")))
    made = source.read()
    first = next(made.root("a.xml").iter("object"))
    assert made.boxes("a.xml") == [("cone", (1.25, 2, 3.5, 4.75)), ("", (5, 6, 7, 8))]
    assert first.findtext("truncated") == "1" and first.findtext("attributes/attribute/value") == "red & blue"
    assert made.kinds == ["no_class"] and made.notes[0]["where"].endswith("line 6")


def test_cvat_turned_boxes_keep_their_angle(source):
    source.write("annotations.xml", cvat(box((50, 20, 90, 40), more=' rotation="90.00"')))
    made = source.read()
    assert made.boxes("a.xml")[0][1] == pytest.approx((60, 10, 80, 50))
    turned = made.root("a.xml").find("object/robndbox")
    assert [float(one.text) for one in turned] == pytest.approx([70, 30, 40, 20, math.pi / 2])
    assert made.notes == []


def test_cvat_other_shapes(source):
    shapes = [
        '<polygon label="p" occluded="1" points="10.5,10;30,10;30,40" z_order="0"/>',
        '<ellipse label="e" occluded="0" cx="50" cy="50" rx="20" ry="10" rotation="90" z_order="0"/>',
        '<mask label="m" occluded="0" rle="1,2" left="5" top="6" width="7" height="8" z_order="0"/>',
        '<polyline label="l" occluded="0" points="1,2;3,4" z_order="0"/>',
        '<points label="d" occluded="0" points="1,2" z_order="0"/>',
        '<skeleton label="s"><points label="1" points="1,2"/></skeleton>',
        '<cuboid label="c" xtl1="1" ytl1="2"/>',
        '<polygon label="broken" points="1,2;3,x;4,5"/>',
        '<box label="lost" xtl="1" ytl="2" xbr="3"/>',
        '<tag label="sunny"/>',
    ]
    source.write("annotations.xml", cvat(*shapes))
    made = source.read()
    boxes = dict(made.boxes("a.xml"))
    assert boxes["p"] == (10.5, 10, 30, 40) and boxes["m"] == (5, 6, 12, 14)
    assert boxes["e"] == pytest.approx((40, 30, 60, 70))
    assert {name for name, box in boxes.items() if box is None} == {"l", "d", "s", "c", "broken", "lost"}
    assert made.kinds.count("no_box") == 5 and made.kinds.count("shape_boxed") == 2
    assert {"mask", "unreadable_number", "other_label"} < set(made.kinds)


def test_cvat_subsets_are_a_split_and_empty_images_backgrounds(source):
    source.photo("b.jpg")
    images = IMAGE % (0, "images/a.jpg", ' subset="Train"', "") + IMAGE % (1, "b.jpg", ' subset="val"', "")
    source.write("annotations.xml", HEAD + images + "</annotations>")
    made = source.read()
    assert made.lists() == {"train": ["a"], "val": ["b"]} and made.boxes("a.xml") == []


@pytest.mark.parametrize(
    "content, words",
    [
        (cvat()[:-10], "annotations.xml is damaged, line"),
        (cvat().replace("<image", "<track id='0'></track><image"), 'format "CVAT for video"'),
        (cvat().replace("<annotations>", '<!DOCTYPE a [<!ENTITY x "y">]>\n<annotations>'), "declares entities"),
        ("<annotation></annotation>", "its root is <annotation>"),
        ("", "annotations.xml is damaged"),
        (b"\xff\xfe\x00", "annotations.xml is damaged"),
    ],
)
def test_cvat_xml_that_cannot_be_read_is_told(source, content, words):
    source.write("annotations.xml", content)
    with pytest.raises(BadInput, match=words):
        source.read("annotations.xml", source_format="cvat")


def task(*results, data=None, **more):
    annotation = {"id": 1, "created_at": "2024-01-01", "was_cancelled": False, "result": list(results)}
    return dict(
        {"id": 1, "data": data or {"image": "/data/upload/1/01234567-a.jpg"}, "annotations": [annotation]}, **more
    )


def rectangle(x, y, width, height, rotation=0, labels=("cone",), key="r1", **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}
    if labels:
        value["rectanglelabels"] = list(labels)
    told = {"id": key, "type": "rectanglelabels", "from_name": "label", "to_name": "image", "image_rotation": 0}
    return dict(told, value=value, original_width=200, original_height=100, **more)


def test_label_studio_per_cents_are_pixels(source):
    source.write("p.json", [task(rectangle(12.5, 10, 25, 33.25))])
    made = source.read()
    assert made.boxes("a.xml") == [("cone", (25, 10, 75, 43.25))]
    assert made.xml("a.xml").size == (200, 100) and made.notes == []


def test_label_studio_turns_boxes_around_their_upper_left_corner(source):
    """A box of 40 x 20 pixels at (100, 50), turned by a quarter: it hangs to the left of its corner."""
    source.write("p.json", [task(rectangle(50, 50, 20, 20, rotation=90))])
    made = source.read()
    assert made.boxes("a.xml")[0][1] == pytest.approx((80, 50, 100, 90))
    turned = made.root("a.xml").find("object/robndbox")
    assert [float(one.text) for one in turned] == pytest.approx([90, 70, 40, 20, math.pi / 2])


def test_label_studio_regions_with_labels_and_answers_of_their_own(source):
    shape = dict(rectangle(0, 0, 50, 50, labels=()), type="rectangle", from_name="box")
    named = dict(rectangle(0, 0, 50, 50, labels=()), type="labels")
    named["value"]["labels"] = ["cone", "wet"]
    answers = [
        {"id": "r1", "type": "choices", "from_name": "colour", "value": {"choices": ["red", "blue"]}},
        {"id": "r1", "type": "textarea", "from_name": "words", "value": {"text": ["so so"]}},
        {"id": "r1", "type": "rating", "from_name": "stars", "value": {"rating": 4}},
        {"id": "q", "type": "choices", "from_name": "weather", "value": {"choices": ["sunny"]}},
        {"type": "relation", "from_id": "r1", "to_id": "r2"},
        dict(rectangle(0, 0, 10, 10, labels=(), key="r2"), type="rectangle"),
    ]
    source.write("p.json", [task(shape, named, *answers)])
    made = source.read()
    assert made.boxes("a.xml") == [("cone", (0, 0, 100, 50)), ("wet", (0, 0, 100, 50)), ("", (0, 0, 20, 10))]
    told = {one.findtext("name"): one.findtext("value") for one in next(made.root("a.xml").iter("attributes"))}
    assert told == {"colour": "red, blue", "words": "so so", "stars": "4"}
    assert sorted(made.kinds) == ["no_class", "other_label", "relation", "several_labels"]


def test_label_studio_other_shapes(source):
    def region(kind, key, **value):
        return dict(rectangle(0, 0, 0, 0, key=key), type=kind, value=dict(value, **{kind: [key]}))

    source.write(
        "p.json",
        [
            task(
                region("polygonlabels", "p", points=[[10, 10], [20, 10], [20, 40]], closed=True),
                region("ellipselabels", "e", x=50, y=50, radiusX=10, radiusY=10, rotation=0),
                region("brushlabels", "b", format="rle", rle=[1, 2, 3]),
                region("keypointlabels", "k", x=5, y=5, width=0.3),
                region("rectanglelabels", "r", x="?", y=5, width=1, height=1, rotation=0),
                region("polygonlabels", "q", points=[[10, 10], [20]]),
            )
        ],
    )
    made = source.read()
    boxes = dict(made.boxes("a.xml"))
    assert boxes["p"] == (20, 10, 40, 40) and boxes["e"] == (80, 40, 120, 60)
    assert {name for name, box in boxes.items() if box is None} == {"b", "k", "r", "q"}
    assert made.root("a.xml").find("object/polygon") is not None


def test_label_studio_tasks_that_are_not_labelled_get_no_xml(source):
    source.photo("b.jpg", "c.jpg", "d.jpg")
    cancelled = task(rectangle(0, 0, 9, 9), data={"image": "b.jpg"})
    cancelled["annotations"][0]["was_cancelled"] = True
    twice = task(rectangle(0, 0, 50, 50, labels=["old"]), data={"id": "7", "img": "s3://x/d.jpg"})
    newer = dict(twice["annotations"][0], created_at="2024-02-01", result=[rectangle(0, 0, 50, 50, labels=["new"])])
    twice["annotations"].append(newer)
    guessed = {"id": 3, "data": {"image": "c.jpg"}, "annotations": [], "predictions": [{"result": []}]}
    source.write("p.json", [task(), cancelled, guessed, twice])
    made = source.read()
    assert made.files == ["a.xml", "d.xml"] and made.boxes("a.xml") == []
    assert made.boxes("d.xml") == [("new", (0, 0, 100, 50))]
    assert made.kinds == ["not_labelled", "not_labelled", "other_label"]


def test_label_studio_view_that_was_turned_is_left_out(source):
    source.photo("b.jpg")
    results = [rectangle(0, 0, 9, 9), dict(rectangle(0, 0, 9, 9), image_rotation=90)]
    source.write("p.json", [task(results[1]), task(results[0], data={"image": "b.jpg"})])
    made = source.read()
    assert made.files == ["b.xml"] and made.kinds == ["turned_view"]


@pytest.mark.parametrize(
    "content", [[{"image": "a.jpg", "label": [], "original_width": 1}], [1, 2], {"data": {}}, [[{"data": {}}]]]
)
def test_label_studio_other_exports_are_refused(source, content):
    source.write("p.json", content)
    with pytest.raises(BadInput, match="not in Label Studio's own format: .*Export JSON, not JSON-MIN"):
        source.read("p.json", source_format="label-studio")


@pytest.mark.parametrize(
    "shape",
    [
        '<box label="c" xtl="1" ytl="2" xbr="30" ybr="40" rotation="nan"/>',
        '<box label="c" xtl="1" ytl="2" xbr="30" ybr="40" rotation=""/>',
        '<ellipse label="c" cx="50" cy="50" rx="3" ry="4" rotation="1e999"/>',
    ],
)
def test_cvat_an_angle_that_is_no_number_leaves_no_box(source, shape):
    source.write("annotations.xml", cvat(shape))
    made = source.read()
    assert made.boxes("a.xml") == [("c", None)] and made.kinds == ["unreadable_number"]
    assert "its rotation is" in made.notes[0]["message"]


def test_cvat_damage_is_told_in_one_line(source):
    source.write("annotations.xml", cvat("\0"))
    with pytest.raises(BadInput, match="is damaged, line 5: [^\n]*$"):
        source.read(source_format="cvat")


def region(on="image", key="r", **value):
    place = {"x": 10, "y": 10, "width": 10, "height": 20, "rectanglelabels": ["cone"], **value}
    size = {"original_width": 200, "original_height": 100}
    return {"id": key, "type": "rectanglelabels", "from_name": "label", "to_name": on, "value": place, **size}


def task_of(data, *results):
    return {"id": 1, "data": data, "annotations": [{"result": list(results)}]}


@pytest.mark.parametrize("more", [{}, {"radiusX": 1, "radiusY": 1}])
@pytest.mark.parametrize("angle", ["x", True])
def test_label_studio_an_angle_that_is_no_number_leaves_no_box(source, more, angle):
    source.write("x.json", [task_of({"image": "a.jpg"}, region(rotation=angle, **more))])
    made = source.read()
    assert made.boxes("a.xml") == [("cone", None)] and made.kinds == ["unreadable_number"]


@pytest.mark.parametrize(
    "data, results, found",
    [
        ({"left": "a.jpg", "right": "b.jpg"}, [region("right")], ["b.xml"]),
        ({"image": "a.jpg", "preview": "b.jpg"}, [region("image")], ["a.xml"]),
        ({"image": "a.jpg", "preview": "b.jpg"}, [], ["a.xml"]),
        ({"image": "a.jpg", "name": "cone"}, [region("img")], ["a.xml"]),
        ({"image": "a.jpg", "again": "b.jpg"}, [region("img")], []),
        ({"left": "a.jpg", "right": "b.jpg"}, [region("left"), region("right", "s")], []),
        ({"images": ["a.jpg", "b.jpg"]}, [region(), dict(region(key="s"), item_index=1)], []),
    ],
)
def test_label_studio_regions_go_to_the_photo_that_they_are_on(source, data, results, found):
    """Or to none, where a task has several and does not tell."""
    source.photo("b.jpg", "c.jpg")
    source.write("x.json", [task_of({"image": "c.jpg"}), task_of(data, *results)])
    made = source.read()
    assert made.files == [*found, "c.xml"] and made.kinds == ([] if found else ["several_photos"])
