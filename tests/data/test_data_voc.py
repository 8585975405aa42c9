"""Reading VOC XML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.data import voc
from stages.demo import voc_writer


def xml(objects="", head="<size><width>200</width><height>100</height></size>"):
    return ("<annotation>%s\n%s</annotation>" % (head, objects)).encode()


BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3.5</xmax><ymax>4</ymax></bndbox>"


def test_an_object_is_read_with_its_number_and_line():
    one = (
        "<object><name> cone </name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>%s</object>\n"
        % BOX
    )
    annotation = voc.parse(xml(one + "\n" + one))
    assert annotation.size == (200, 100)
    assert annotation.objects == [
        voc.VocObject(1, 2, "cone", (1, 2, 3.5, 4), False, True, "Left"),
        voc.VocObject(2, 4, "cone", (1, 2, 3.5, 4), False, True, "Left"),
    ]


@pytest.mark.parametrize(
    "bndbox",
    [
        "",
        "<bndbox/>",
        BOX.replace("3.5", "wide"),
        BOX.replace("3.5", "nan"),
        BOX.replace("3.5", "inf"),
        BOX.replace("<ymax>4</ymax>", ""),
    ],
)
def test_a_box_without_four_numbers_is_none(bndbox):
    assert voc.parse(xml("<object><name>cone</name>%s</object>" % bndbox)).objects[0].box is None


@pytest.mark.parametrize(
    "head",
    [
        "",
        "<size/>",
        "<size><width>0</width><height>0</height></size>",
        "<size><width>x</width><height>5</height></size>",
        "<size><width>-3</width><height>5</height></size>",
    ],
)
def test_a_useless_size_is_none(head):
    assert voc.parse(xml(head=head)).size is None


@pytest.mark.parametrize(
    "data", [b"", b"not xml", b"<annotation>", b"<html></html>", b"\xff\xfe\x00", b"<annotation/><x/>"]
)
def test_what_is_not_an_annotation_is_damaged(data):
    with pytest.raises(voc.Damaged):
        voc.parse(data)


def test_the_line_of_the_damage_is_told():
    with pytest.raises(voc.Damaged) as caught:
        voc.parse(b"<annotation>\n<object>\n</annotation>")
    assert caught.value.line == 3


def test_entities_read_no_file(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    attack = '<!DOCTYPE annotation [<!ENTITY x SYSTEM "%s">]><annotation><filename>&x;</filename></annotation>'
    with pytest.raises(voc.Damaged, match="entities"):
        voc.parse((attack % secret.as_uri()).encode())


def test_an_external_dtd_is_not_fetched_and_entities_do_not_grow():
    assert voc.parse(b'<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/voc.dtd"><annotation/>').objects == []
    bomb = "".join('<!ENTITY %s "%s">' % (new, ("&%s;" % old) * 20) for old, new in zip("abcdefgh", "bcdefghi"))
    with pytest.raises(voc.Damaged):
        voc.parse(('<!DOCTYPE annotation [<!ENTITY a "lol">%s]><annotation>&i;</annotation>' % bomb).encode())


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data):
    try:
        voc.parse(data)
    except voc.Damaged as error:
        assert str(error)


@given(
    st.text(st.characters(min_codepoint=32, blacklist_categories=["Cs", "Cn", "Co"]), min_size=1, max_size=20),
    st.lists(st.integers(-5, 5000), min_size=4, max_size=4),
)
def test_what_is_written_is_read(name, box):
    if name != name.strip():
        return
    annotation = voc.parse(voc_writer.annotation("a.jpg", 10, 20, [(name, tuple(box))]))
    assert (annotation.filename, annotation.size) == ("a.jpg", (10, 20))
    assert (annotation.objects[0].name, annotation.objects[0].box) == (name, tuple(box))
