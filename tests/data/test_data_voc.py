"""Reading VOC XML."""

import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data import resize
from stages.data.annotation import voc
from stages.data.annotation.frame import BoxFrame, Reading
from stages.data.annotation.shapes import EDGES
from stages.demo import voc_writer
from stages.finding_kinds import KINDS


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
        voc.VocObject(1, 2, "cone", (1, 2, 3.5, 4), False, True, "Left", (1, 2, 3.5, 4), []),
        voc.VocObject(2, 4, "cone", (1, 2, 3.5, 4), False, True, "Left", (1, 2, 3.5, 4), []),
    ]


@pytest.mark.parametrize(
    "bndbox, kind, words",
    [
        ("", "no_box", "it has no <bndbox>"),
        ("<bndbox/>", "no_box", "its <bndbox> is empty"),
        (BOX.replace("<ymax>4</ymax>", ""), "no_box", "its <bndbox> has no <ymax>"),
        ("<bndbox><left>1</left></bndbox>", "no_box", "has no <xmin>, <ymin>, <xmax> and <ymax>"),
        (BOX.replace("<ymax>4</ymax>", "").replace("<xmin>1</xmin>", ""), "no_box", "has no <xmin> and <ymax>"),
        (BOX.replace("3.5", "\u200b \n"), "no_box", "its <xmax> is empty"),
        (BOX.replace("</bndbox>", "<xmin>5</xmin></bndbox>"), "no_box", "not as many of one edge"),
        (BOX.replace("3.5", "wide"), "unreadable_number", "its <xmax> is 'wide', which is no number"),
        (BOX.replace("3.5", "nan"), "unreadable_number", "'nan', which is no number"),
        (BOX.replace("3.5", "inf"), "unreadable_number", "'inf', which is no number"),
        (BOX.replace("3.5", "1,234"), "unreadable_number", "'1,234', which may be 1.234 or 1234"),
        (BOX.replace("3.5", "1e99"), "unreadable_number", "'1e99', which is larger than any picture"),
        (BOX.replace("3.5", "9" * 99), "unreadable_number", "'%s…', which is larger" % ("9" * 40)),
    ],
)
def test_a_box_that_cannot_be_read_is_none_and_its_cause_is_told(bndbox, kind, words):
    (one,) = voc.parse(xml("<object><name>cone</name>%s</object>" % bndbox)).objects
    assert one.box is None
    (note,) = one.notes
    assert (note.kind, note.fixable) == (kind, False)
    assert words in note.message


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("annotation>", "Annotation>").replace("object>", "OBJECT>"),
        lambda text: text.replace("bndbox>", "BndBox>").replace("xmin>", "XMin>").replace("ymax>", "y_max>"),
        lambda text: text.replace("<annotation>", '<annotation xmlns="http://a.example/voc">'),
        lambda text: text.replace("<annotation>", '<v:annotation xmlns:v="http://a.example/">').replace(
            "</annotation>", "</v:annotation>"
        ),
        lambda text: text.replace("<object>", "<objects><object>").replace("</object>", "</object></objects>"),
        lambda text: text.replace("3.5", "<!-- wide -->3<!-- point -->.5"),
        lambda text: text.replace("3.5", "<![CDATA[3.5]]>").replace("cone", "c&#111;ne"),
        lambda text: text.replace("cone", "\n\ufeffcone\u00a0"),
        lambda text: text.replace("3.5", "\ufeff3\u200b.5\u00a0").replace(">2<", ">+2e0<").replace(">1<", "> 1. <"),
        lambda text: text.replace("</object>", "</object><object><name>b</name><deleted>1</deleted></object>"),
    ],
)
def test_spelling_that_changes_no_meaning_is_read(change):
    plain = xml("<object><name>cone</name>%s</object>" % BOX).decode()
    (one,) = voc.parse(change(plain).encode("utf-8")).objects
    assert (one.name, one.box, one.notes) == ("cone", (1, 2, 3.5, 4), [])
    assert voc.parse(change(plain).encode("utf-8")).size == (200, 100)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp949", "iso-8859-1", "utf-32"])
def test_encodings_that_a_file_declares_are_read(encoding):
    name = "cone" if encoding == "iso-8859-1" else "고양이"
    mark = {"utf-16-le": "\ufeff", "utf-8-sig": ""}.get(encoding, "")
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    text = '%s<?xml version="1.0" encoding="%s"?>%s' % (
        mark,
        declared,
        xml("<object><name>%s</name></object>").decode(),
    )
    assert voc.parse((text % name).encode(encoding)).objects[0].name == name


def test_names_of_an_object_and_its_boxes():
    def names(inside):
        return [one.name for one in voc.parse(xml("<object>%s</object>" % inside)).objects]

    assert names(BOX) == [""]
    assert names("<name>a</name>%s%s" % (BOX, BOX)) == ["a", "a"]
    assert names("<name>a</name>%s<name>b</name>%s" % (BOX, BOX)) == ["a", "b"]
    assert names("<name>a</name><name>b</name>%s" % BOX) == [""]
    assert names("<name>a</name><name>a</name>%s" % BOX) == ["a"]


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


@pytest.mark.parametrize("data", [b"", b"\n  \n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_file_without_contents_is_told_from_a_damaged_one(data):
    with pytest.raises(voc.Empty, match="the file is empty"):
        voc.parse(data)


def test_a_name_that_is_broken_into_lines_is_one():
    (one,) = voc.parse(xml("<object><name>\n  traffic\n\t light\x85</name>%s</object>" % BOX)).objects
    assert one.name == "traffic light"


@pytest.mark.parametrize(
    "declared, encoding",
    [
        ('<?xml version="1.0" encoding="utf-16"?>', "utf-8"),
        ('<?xml version="1.0" encoding="unicode"?>', "utf-8"),
        ('<?xml version="1.0" encoding="ascii"?>', "utf-8"),
        ('\n <?xml version="1.0"?>', "utf-8"),
        ('<?xml version="1.0" encoding="ks_c_5601-1987"?>', "cp949"),
        ("<?xml version='1.0' encoding='euc-kr'?>", "cp949"),
        ("", "utf-16-le"),
    ],
)
def test_an_encoding_that_is_not_the_declared_one_is_seen(declared, encoding):
    text = (
        declared
        + "\n<annotation><folder>some folder</folder><object><name>\ub620 \uace0\uae54</name>%s</object></annotation>"
        % BOX
    )
    (one,) = voc.parse(text.encode(encoding)).objects
    assert (one.name, one.box, one.line) == ("\ub620 \uace0\uae54", (1, 2, 3.5, 4), 2 + declared.count("\n"))


@pytest.mark.parametrize(
    "declared, words",
    [("", "not UTF-8, and it declares no other"), ('<?xml version="1.0" encoding="utf-8"?>', "not the utf-8 that it")],
)
def test_an_encoding_that_nobody_can_tell_is_told(declared, words):
    with pytest.raises(voc.Damaged, match=words + ".*: save it as UTF-8"):
        voc.parse((declared + "<annotation><folder>\u65b0\u5efa</folder></annotation>").encode("gbk"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("<annotations><annotation/><annotation/></annotations>", "holds 2 annotations below <annotations>"),
        ('<annotations><image name="a.jpg"/></annotations>', "CVAT for images"),
        ("<html/>", "its root is <html>"),
    ],
)
def test_another_root_is_told(text, words):
    with pytest.raises(voc.Damaged, match=words) as caught:
        voc.parse(text.encode())
    assert not isinstance(caught.value, voc.Empty)


@pytest.mark.parametrize(
    "data", [b"\0\0\0", b"not xml", b"<annotation>", b"<html></html>", b"\xff\xfe\x00", b"<annotation/><x/>"]
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
    st.text(st.characters(min_codepoint=32, blacklist_categories=["Cs", "Cn", "Co", "Cc", "Zl", "Zp"]), min_size=1),
    st.lists(st.integers(-5, 5000), min_size=4, max_size=4),
)
def test_what_is_written_is_read(name, box):
    if name != name.strip():
        return
    annotation = voc.parse(voc_writer.annotation("a.jpg", 10, 20, [(name, tuple(box))]))
    assert (annotation.filename, annotation.size) == ("a.jpg", (10, 20))
    assert (annotation.objects[0].name, annotation.objects[0].box) == (name, tuple(box))


NAMES = [
    "object",
    "name",
    "bndbox",
    *EDGES,
    "robndbox",
    "cx",
    "cy",
    "w",
    "h",
    "angle",
    "x1",
    "y1",
    "x2",
    "y2",
    "x3",
    "y3",
]
NAMES += [
    "polygon",
    "pt",
    "points",
    "x",
    "y",
    "part",
    "attribute",
    "attributes",
    "value",
    "deleted",
    "XMin",
    "keypoints",
]
TEXTS = [
    "",
    "12",
    "-3.5",
    "1e9",
    "nan",
    "12,5",
    "1,234",
    "rotation",
    "45",
    "1,2;3,4;5,6",
    "[[1,2,3,4,5,6],[1,2,3,4,5,6]]",
]
TEXTS += [" \ufeff", "<!-- 9 -->", "<?pi 9?>", "<![CDATA[9]]>", "&#57;", "１２", "[,;", "9" * 400]
leaves = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(TEXTS)), max_size=6)
children = st.lists(st.tuples(st.sampled_from(NAMES), leaves), max_size=4)


def filled(name, inside):
    return "<%s>%s</%s>" % (name, inside, name)


# What fuzzing went through: names and numbers everywhere but where they belong.
CORPUS = [
    "<object><bndbox><xmin>1</xmin></bndbox><bndbox/><robndbox/><polygon/></object>",
    "<object xmin='1' ymin='2' xmax='3' ymax='4'><name/><name>b</name></object>",
    "<object><bndbox>%s</bndbox></object>" % "".join("<x%d>1</x%d><y%d>2</y%d>" % ((n,) * 4) for n in (1, 2, 9999)),
    "<object><points>%s</points></object>" % ("1,2;" * 70000),
    "<object>%s<bndbox/>%s</object>" % ("<a>" * 240, "</a>" * 240),
    "<object><attribute name='rotation'/><attribute><value/></attribute><bndbox><bndbox/></bndbox></object>",
    "<object><pt><x>1</x></pt><pt>1,2</pt><pt><x>1</x><y>2</y></pt><x>1</x><x>2</x></object>",
    "<object><robndbox><cx>1</cx><cy>1</cy><w>1e9</w><h>0</h><angle>6.28</angle></robndbox><angle>x</angle></object>",
    "<part><object><object/></object></part><bndbox/>",
]


def read_and_move(inside):
    """Every object has a box, or the reason why it has none; what can be moved is."""
    data = ("<annotation>%s</annotation>" % inside).encode()
    for reading in ("auto", "xywh", "relative"):
        for one in voc.parse(data, reading).objects:
            assert one.box is not None or any(not note.fixable for note in one.notes)
            assert one.box is None or all(math.isfinite(edge) for edge in one.box)
            assert all(KINDS[note.kind].fix or not note.fixable for note in one.notes)
        resize.rewrite(voc.tree(data), BoxFrame((200, 100), 6, (100, 200)), "a.jpg", (50, 100), Reading(reading, "xml"))


@pytest.mark.parametrize("inside", CORPUS)
def test_what_fuzzing_went_through(inside):
    read_and_move(inside)


@settings(max_examples=50)
@given(st.lists(children, min_size=1, max_size=2))
def test_whatever_stands_in_an_xml_each_object_has_a_box_or_the_reason_why_not(objects):
    for content in objects:
        read_and_move(
            filled("object", "".join(filled(name, "".join(filled(*leaf) for leaf in inner)) for name, inner in content))
        )


@pytest.mark.parametrize(
    "unit, words", [("<object/>", "over 20000 objects"), ("<<<<<<<<<<<<<<<<<<<<", "over 400000 marks")]
)
def test_more_than_a_photo_can_hold_is_not_read(unit, words):
    with pytest.raises(voc.Damaged, match=words):
        voc.parse(("<annotation>%s</annotation>" % (unit * 20001)).encode())


def test_what_is_wrong_with_a_file_is_said_as_plain_data():
    assert voc.said(b" \n") == ("empty_xml", "the file is empty", None)
    kind, message, line = voc.said(b"<annotation>\n<object></annotation>")
    assert (kind, line) == ("damaged_xml", 2) and "damaged" in message
    found = voc.said(xml("<object><name>cone</name>%s</object>" % BOX))
    assert found == voc.parse(xml("<object><name>cone</name>%s</object>" % BOX)) and found.size_line
    assert pickle.loads(pickle.dumps(found)) == found
