import os

import numpy as np
import pytest
from data_voc import photo
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from stages import pixels
from stages.data import resize
from stages.data.annotation import voc
from stages.data.annotation.frame import BoxFrame, Reading
from stages.data.annotation.shapes import EDGES
from stages.data.pairing.pairing import Pair
from stages.job import BadInput
from stages.parameters import ResizeParameters


@pytest.fixture
def make_smaller(dataset, run):
    def start(cpus=1, long_side=100, jpeg_quality=90, limit=0, boxes="auto", **more):
        inputs = {"photos": str(dataset.photos), "annotations": str(dataset.annotations), **more}
        parameters = ResizeParameters(100, boxes, "xml", long_side, jpeg_quality, limit)
        return run(resize.main, inputs, parameters._asdict(), cpus)

    return start


def annotation(done, name):
    return voc.parse((done.folder / "Annotations" / name).read_bytes())


def picture(done, name):
    return pixels.decode((done.folder / "JPEGImages" / name).read_bytes())


def test_pixels_and_boxes_shrink_together(dataset, make_smaller):
    dataset.add("sub/a.jpg", (("cone", (20, 10, 121, 80)), ("ball", (-4, 0, 300, 50))))
    done = make_smaller()
    assert picture(done, "sub/a.jpg").shape == (50, 100, 3)
    small = annotation(done, "sub/a.xml")
    assert small.size == (100, 50)
    assert [one.box for one in small.objects] == [(10, 5, 60.5, 40), (-2, 0, 150, 25)]
    assert done.metrics == {"images": 1, "dropped": 0, "findings": 0}


def test_all_else_in_the_xml_stays(dataset, make_smaller):
    dataset.add("a.jpg")
    path = dataset.annotations / "a.xml"
    more = "<part><name>tip</name><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>30</ymax></bndbox></part>"
    path.write_text(
        path.read_text()
        .replace("</object>", more + "<occluded>1</occluded></object><!-- note -->")
        .replace("<folder>", "<verified>yes</verified><folder>")
    )
    root = etree.parse(str(make_smaller().folder / "Annotations/a.xml")).getroot()
    assert root.findtext("verified") == "yes"
    assert root.findtext("object/occluded") == "1"
    assert root.xpath("//comment()")[0].text == " note "
    assert [root.findtext("object/part/bndbox/" + edge) for edge in EDGES] == ["10", "5", "30", "15"]


def test_what_is_small_enough_is_copied(dataset, make_smaller):
    dataset.add("a.jpg")
    dataset.add("b.png", data=photo(kind="PNG"))
    done = make_smaller(long_side=200)
    for name in ("a.jpg", "b.png"):
        assert (done.folder / "JPEGImages" / name).read_bytes() == (dataset.photos / name).read_bytes()
    assert annotation(done, "a.xml").objects[0].box == (20, 10, 120, 80)


@pytest.mark.parametrize("long_side", [50, 1000])
def test_the_result_is_upright_and_its_exif_gone(dataset, make_smaller, long_side):
    dataset.add("a.jpg", (("cone", (20, 10, 120, 80)),), (200, 100), photo(200, 100, orientation=6))
    done = make_smaller(long_side=long_side)
    height = min(long_side, 200)
    assert picture(done, "a.jpg").shape == (height, height // 2, 3)
    assert b"Exif" not in (done.folder / "JPEGImages/a.jpg").read_bytes()
    share = height / 200
    assert annotation(done, "a.xml").objects[0].box == (20 * share, 20 * share, 90 * share, 120 * share)
    assert annotation(done, "a.xml").size == (height // 2, height)


def test_suffixes_tell_the_truth(dataset, make_smaller):
    dataset.add("a.JPEG")
    dataset.add("b.png", data=photo(kind="PNG"))
    dataset.add("c.bmp", data=photo(kind="BMP"))
    dataset.add("d.jpg", data=photo(kind="PNG"))
    done = make_smaller()
    names = sorted(path.name for path in (done.folder / "JPEGImages").iterdir())
    assert names == ["a.JPEG", "b.png", "c.jpg", "d.png"]
    assert annotation(done, "d.xml").filename == "d.png"
    assert done.kinds == [("wrong_suffix", "fix")]
    formats = [pixels.format_of((done.folder / "JPEGImages" / name).read_bytes()) for name in names]
    assert formats == ["jpeg", "png", "jpeg", "png"]


def test_what_cannot_be_used_is_left_out_and_listed(dataset, make_smaller):
    dataset.fill(3)
    dataset.add("bad.jpg", data=b"x")
    dataset.add("lone.jpg")
    (dataset.annotations / "lone.xml").unlink()
    done = make_smaller()
    assert sorted(done.kinds) == [("no_xml", "drop"), ("unreadable_image", "drop")]
    assert done.metrics == {"images": 3, "dropped": 2, "findings": 2}
    assert any("1 no_xml (dropped): lone.jpg: " in warning for warning in done.warnings)
    assert len(list((done.folder / "JPEGImages").iterdir())) == len(list((done.folder / "Annotations").iterdir())) == 3


def test_processes_change_nothing_and_a_limit_takes_a_few(dataset, make_smaller):
    dataset.fill(7)
    assert make_smaller(cpus=1).bytes() == make_smaller(cpus=2).bytes()
    assert make_smaller(limit=2).metrics["images"] == 2


def test_nothing_usable_is_refused(dataset, make_smaller):
    dataset.add("bad.jpg", data=b"x")
    with pytest.raises(BadInput, match="None of the pictures"):
        make_smaller()


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_the_longer_side_is_as_asked_and_the_shape_stays(width, height, long_side):
    small = resize.target_size((width, height), long_side)
    assert min(small) >= 1
    assert max(small) == min(long_side, max(width, height))
    assert abs(small[0] * height - small[1] * width) <= max(width, height)


@given(st.lists(st.floats(0, 200), min_size=4, max_size=4))
def test_boxes_keep_their_share_of_the_picture(edges):
    root = etree.fromstring(
        "<annotation><object><bndbox>%s</bndbox></object></annotation>"
        % "".join("<%s>%r</%s>" % (name, edge, name) for name, edge in zip(EDGES, edges))
    )
    told = resize.rewrite(root, BoxFrame((200, 200), 1, (200, 200)), "a.jpg", (64, 32), Reading("corners", "xml"))
    assert told == []
    box = voc.objects_of(root, "corners")[0].numbers
    shares = [edge / side for edge, side in zip(box, (64, 32, 64, 32))]
    assert np.allclose(shares, [edge / 200 for edge in edges], atol=0.0002)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (501, 1), (3, 1000), (301, 199), (33, 33)])
def test_odd_sizes_keep_pictures_and_xml_in_step(dataset, make_smaller, size):
    width, height = size
    dataset.add("a.png", (("cone", (0, 0, width, height)),), size, photo(width, height, kind="PNG"))
    done = make_smaller(long_side=33)
    small = annotation(done, "a.xml")
    assert picture(done, "a.png").shape[:2] == small.size[::-1]
    assert small.size == resize.target_size(size, 33)
    assert small.objects[0].box == (0, 0, *small.size)


def test_an_xml_without_size_and_name_gets_them(dataset, make_smaller):
    dataset.add("a.jpg", (("cone", (0, 0, 100, 50)),))
    path = dataset.annotations / "a.xml"
    root = etree.parse(str(path)).getroot()
    for name in ("filename", "size"):
        root.remove(root.find(name))
    path.write_bytes(etree.tostring(root))
    done = make_smaller()
    small = annotation(done, "a.xml")
    assert (small.filename, small.size) == ("a.jpg", (100, 50))
    assert [one.box for one in small.objects] == [(0, 0, 50, 25)]
    assert done.kinds == [("size_mismatch", "fix")]


OBJECT = "<object><name>cone</name>%s</object>"
BNDBOX = "<bndbox><xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax></bndbox>"


def with_object(dataset, name, inside):
    dataset.add(name, ())
    path = dataset.annotations / (os.path.splitext(name)[0] + ".xml")
    path.write_text(path.read_text().replace("</annotation>", OBJECT % inside + "</annotation>"))


@pytest.mark.parametrize(
    "inside, kind, words",
    [
        (BNDBOX % ("wide", 1, 2, 3), "unreadable_number", "'wide', which is no number"),
        (BNDBOX % ("1,234", 1, 2, 3), "unreadable_number", "'1,234', which may be"),
        (BNDBOX % (" ", 1, 2, 3), "no_box", "its <xmin> is empty"),
        ("<bndbox><xmin>3</xmin></bndbox>", "no_box", "has no <ymin>, <xmax> and <ymax>"),
        ("<rle>10 20 30 40</rle>", "other_geometry", "its <rle> cannot be scaled and turned"),
        (BNDBOX % (1, 2, 30, 40) + "<angle>3</angle>", "other_geometry", "cannot be scaled and turned"),
    ],
)
def test_what_cannot_be_moved_with_the_pixels_is_left_out_and_told(dataset, make_smaller, inside, kind, words):
    dataset.add("good.jpg")
    with_object(dataset, "a.jpg", inside)
    done = make_smaller()
    assert done.kinds == [(kind, "drop")]
    assert words in done.findings[0]["message"] and done.findings[0]["object"] == 1
    assert [path.name for path in (done.folder / "JPEGImages").iterdir()] == ["good.jpg"]
    assert len(list((done.folder / "Annotations").iterdir())) == 1
    unchanged = make_smaller(long_side=200)
    assert unchanged.metrics["images"] == 2
    assert inside in (unchanged.folder / "Annotations/a.xml").read_text()


def test_a_shape_outside_of_any_object_is_not_left_behind(dataset, make_smaller):
    dataset.add("good.jpg")
    dataset.add("a.jpg")
    path = dataset.annotations / "a.xml"
    path.write_text(path.read_text().replace("</annotation>", "<item><polygon/></item></annotation>"))
    done = make_smaller()
    assert done.kinds == [("other_geometry", "drop")]
    assert "its <polygon> outside of any <object> cannot be scaled" in done.findings[0]["message"]


@pytest.mark.parametrize("inside", ["", "<bndbox/>", BNDBOX % ("", "", "", "")])
def test_an_object_without_numbers_stays_as_it_is(dataset, make_smaller, inside):
    with_object(dataset, "a.jpg", inside)
    done = make_smaller()
    assert done.findings == []
    assert annotation(done, "a.xml").objects[0].notes[0].kind == "no_box"


def test_a_decimal_comma_becomes_a_point(dataset, make_smaller):
    with_object(dataset, "a.jpg", BNDBOX % ("20,5", 10, 60, 50))
    done = make_smaller()
    assert done.kinds == [("decimal_comma", "fix")]
    assert annotation(done, "a.xml").objects[0].box == (10.25, 5, 30, 25)
    assert annotation(done, "a.xml").objects[0].notes == []


@pytest.mark.parametrize(
    "reading, numbers, expected",
    [
        ("corners", (20, 10, 60, 50), ("25", "10", "45", "30")),
        ("xywh", (20, 10, 40, 40), ("25", "10", "20", "20")),
        ("relative", (0.1, 0.1, 0.3, 0.5), ("0.5", "0.1", "0.9", "0.3")),
    ],
)
def test_boxes_stay_what_the_user_says_that_they_are(dataset, make_smaller, reading, numbers, expected):
    """A photo whose stored pixels must be turned by 90 degrees clockwise to be seen upright, and are halved."""
    with_object(dataset, "a.jpg", BNDBOX % numbers)
    (dataset.photos / "a.jpg").write_bytes(photo(200, 100, orientation=6))
    done = make_smaller(boxes=reading)
    root = etree.parse(str(done.folder / "Annotations/a.xml")).getroot()
    assert tuple(root.findtext("object/bndbox/" + edge) for edge in EDGES) == expected


def test_pictures_that_would_come_out_alike_get_names_of_their_own():
    pairs = [Pair(photo, f"{photo}.xml") for photo in ("b/x.jpg", "a.png", "a.jpg", "A.bmp", "b/a.jpg")]
    stems = {item.pair.photo: item.stem for item in resize.named(pairs)}
    assert [item.pair for item in resize.named(pairs)] == pairs
    assert len({stem.lower() for stem in stems.values()}) == len(pairs)
    assert stems["b/x.jpg"] == "b/x" and stems["b/a.jpg"] == "b/a"
    assert {stems["A.bmp"], stems["a.jpg"], stems["a.png"]} == {"A", "a_", "a__"}


def test_a_name_that_xml_cannot_hold_is_written_with_underscores(dataset, make_smaller):
    dataset.add("c.jpg")
    (dataset.photos / "c.jpg").rename(dataset.photos / "a\x01b.jpg")
    (dataset.annotations / "c.xml").rename(dataset.annotations / "a\x01b.xml")
    assert etree.parse(str(make_smaller().folder / "Annotations" / "a\x01b.xml")).findtext("filename") == "a_b.jpg"


def test_lists_of_a_split_come_along_with_the_new_names(dataset, make_smaller, tmp_path):
    for name in ("a.jpg", "sub/b.bmp", "c.jpg", "d.jpg"):
        dataset.add(name)
    for side, names in (("train", ("a", "b")), ("val", ("c.jpg",)), ("test", ("d",))):
        (tmp_path / (side + ".txt")).write_text("\n".join(names))
    made = make_smaller(image_sets=str(tmp_path)).bytes()
    lists = {name: text.decode().split() for name, text in made.items() if name.startswith("ImageSets/")}
    assert lists == {
        "ImageSets/Main/train.txt": ["a", "sub/b"],
        "ImageSets/Main/val.txt": ["c"],
        "ImageSets/Main/test.txt": ["d"],
    }
