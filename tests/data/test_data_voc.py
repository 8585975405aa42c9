"""Reading VOC XML, and finding out which XML belongs to which photo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.data import voc
from stages.data.findings import KINDS, Findings, policies
from stages.data.pairing import Folders, Pair, pairs, shuffled
from stages.demo import voc_writer
from stages.job import BadInput


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
    "frame",
    [
        "",
        "<bndbox/>",
        BOX.replace("3.5", "wide"),
        BOX.replace("3.5", "nan"),
        BOX.replace("3.5", "inf"),
        BOX.replace("<ymax>4</ymax>", ""),
    ],
)
def test_a_box_without_four_numbers_is_none(frame):
    assert voc.parse(xml("<object><name>cone</name>%s</object>" % frame)).objects[0].box is None


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
def test_what_is_no_annotation_is_damaged(data):
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


@pytest.fixture
def paired(tmp_path):
    """Make photos (empty files) and XML files (name -> its <filename>), and pair them."""

    def start(photos, annotations, **policy):
        for name in photos:
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, said in annotations.items():
            path = tmp_path / "xml" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("<annotation><filename>%s</filename></annotation>" % said)
        findings = Findings(policies(policy))
        found = pairs(Folders(str(tmp_path / "photos"), str(tmp_path / "xml")), findings)
        return [tuple(pair) for pair in found], [(one.kind, one.file, one.action) for one in findings.found]

    return start


def test_names_pair_whatever_the_xml_says(paired):
    photos = ["a.jpg", "b.PNG", ".DS_Store", "._a.jpg", "notes.txt"]
    annotations = {"a.xml": "x.jpg", "b.xml": "", ".c.xml": ""}
    assert paired(photos, annotations) == ([("a.jpg", "a.xml"), ("b.PNG", "b.xml")], [])


def test_the_same_place_wins_over_the_same_name(paired):
    assert paired(["one/a.jpg", "two/a.jpg"], {"one/a.xml": "", "two/a.xml": ""}) == (
        [("one/a.jpg", "one/a.xml"), ("two/a.jpg", "two/a.xml")],
        [],
    )


def test_a_name_that_is_there_once_pairs_across_folders(paired):
    found, _ = paired(["one/a.jpg", "two/b.jpg"], {"a.xml": "", "b.xml": ""})
    assert found == [("one/a.jpg", "a.xml"), ("two/b.jpg", "b.xml")]


@pytest.mark.parametrize("said", ["photo.jpg", "photo", "C:\\Users\\me\\photo.jpg", "/home/me/data/photo.jpg"])
def test_what_is_left_pairs_by_the_xml_s_filename(paired, said):
    assert paired(["photo.jpg"], {"annotation-1.xml": said}) == ([("photo.jpg", "annotation-1.xml")], [])


def test_two_xml_files_that_want_one_photo_get_none(paired):
    found, findings = paired(["photo.jpg", "b.jpg"], {"x.xml": "photo.jpg", "y.xml": "photo.jpg", "b.xml": ""})
    assert found == [("b.jpg", "b.xml")]
    assert findings == [("no_image", "x.xml", "drop"), ("no_image", "y.xml", "drop"), ("no_xml", "photo.jpg", "drop")]


def test_the_lonely_are_found_and_a_photo_may_be_background(paired):
    photos, annotations = ["a.jpg", "lone.jpg"], {"a.xml": "", "lost.xml": ""}
    assert paired(photos, annotations) == (
        [("a.jpg", "a.xml")],
        [("no_image", "lost.xml", "drop"), ("no_xml", "lone.jpg", "drop")],
    )
    assert paired(photos, annotations, no_xml="fix")[0] == [("a.jpg", "a.xml"), ("lone.jpg", None)]
    with pytest.raises(BadInput, match="lost.xml.*no_image"):
        paired(photos, annotations, no_image="fail")


def test_of_two_photos_the_one_that_the_xml_names(paired):
    found, findings = paired(["a.jpg", "a.png"], {"a.xml": "/somewhere/a.png"})
    assert found == [("a.png", "a.xml")]
    assert findings == [("same_name", "a.xml", "fix"), ("no_xml", "a.jpg", "drop")]
    assert paired(["a.jpg", "a.png"], {"a.xml": "/somewhere/a.png"}, same_name="drop")[0] == []


def test_two_photos_and_no_hint_are_dropped(paired):
    assert paired(["a.jpg", "a.png"], {"a.xml": "a.gif"}) == ([], [("same_name", "a.xml", "drop")])


def test_composed_and_decomposed_accents_are_one_name(paired):
    assert paired(["e\u0301te\u0301.jpg"], {"\u00e9t\u00e9.xml": ""})[1] == []


def test_missing_and_empty_folders_are_bad_input(tmp_path, paired):
    with pytest.raises(BadInput, match="no folder"):
        pairs(Folders(str(tmp_path / "nowhere"), str(tmp_path)), Findings(policies({})))
    with pytest.raises(BadInput, match="no photo"):
        pairs(Folders(str(tmp_path), str(tmp_path)), Findings(policies({})))
    (tmp_path / "a.jpg").touch()
    with pytest.raises(BadInput, match="no VOC XML"):
        pairs(Folders(str(tmp_path), str(tmp_path)), Findings(policies({})))


names = st.lists(st.text("abcdefgh", min_size=1, max_size=6), unique=True, min_size=1, max_size=30)


@given(names, st.integers(0, 2**70), st.data())
def test_a_new_photo_changes_no_two_others_order(photos, seed, data):
    items = [Pair(name + ".jpg", None) for name in photos]
    fewer = data.draw(st.lists(st.sampled_from(items), unique=True))
    order = shuffled(items, seed, 0)
    assert shuffled(fewer, seed, 0) == [pair for pair in order if pair in fewer]
    assert sorted(order) == sorted(items)
    assert shuffled(items, seed, 3) == order[:3]


def test_policies_refuse_unknown_kinds_and_fixes_that_are_none():
    assert policies({"small_box": "fail"})["small_box"] == "fail"
    with pytest.raises(BadInput, match="did you mean 'small_box'"):
        policies({"smal_box": "drop"})
    with pytest.raises(BadInput, match="expected fail or drop"):
        policies({"small_box": "fix"})
    with pytest.raises(BadInput, match="expected fail or drop or fix"):
        policies({"flipped_box": "ignore"})


def test_every_kind_has_a_default_that_it_allows():
    for name, kind in KINDS.items():
        assert policies({name: kind.default})
        assert kind.about in ("picture", "object")
