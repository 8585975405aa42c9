"""Which XML belongs to which photo, and the order of the pictures."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.findings import Findings, policies
from stages.data.pairing import Folders, Pair, files_below, pairs, shuffled
from stages.job import BadInput


def pair_up(folder, photos, annotations, policy):
    """Make photos (empty files) and XML files (name -> its <filename>), and pair them: the pairs and the findings."""
    for name in photos:
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, said in annotations.items():
        path = folder / "xml" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<annotation><filename>%s</filename></annotation>" % said)
    findings = Findings(policies(policy))
    found = pairs(Folders(str(folder / "photos"), str(folder / "xml")), findings)
    return [tuple(pair) for pair in found], findings.found


@pytest.fixture
def paired(tmp_path):
    def start(photos, annotations, **policy):
        found, findings = pair_up(tmp_path, photos, annotations, policy)
        return found, [(one.kind, one.file, one.action) for one in findings]

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


def test_the_folders_of_a_mac_s_archive_and_hidden_ones_are_passed_over(tmp_path):
    for name in ("a.jpg", "__MACOSX/b.jpg", ".thumbnails/c.jpg", "deep/er/d.JPG", "deep/e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_below(str(tmp_path), (".jpg",)) == ["a.jpg", "deep/er/d.JPG"]


paths = st.builds("{}{}".format, st.sampled_from(["", "one/", "two/"]), st.sampled_from(["a", "b", "c"]))
photo_names = st.sets(st.builds("{}{}".format, paths, st.sampled_from([".jpg", ".png"])), min_size=1, max_size=8)
xml_names = st.dictionaries(
    st.builds("{}.xml".format, paths), st.sampled_from(["a.jpg", "b.png", "c", ""]), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(photo_names, xml_names)
def test_every_file_is_in_one_pair_or_in_a_finding(photos, annotations):
    with tempfile.TemporaryDirectory() as folder:
        found, findings = pair_up(Path(folder), photos, annotations, {})
    told = {(one.kind, one.file) for one in findings if one.action == "drop"}
    unclear = {
        name for one in findings if one.kind == "same_name" for name in re.findall(r"\S+\.(?:jpg|png)", one.message)
    }
    assert len({photo for photo, _ in found}) == len({xml for _, xml in found}) == len(found)
    for xml in annotations:
        assert (xml in {one for _, one in found}) != bool({("no_image", xml), ("same_name", xml)} & told)
    for photo in photos - unclear:
        assert (photo in {one for one, _ in found}) != (("no_xml", photo) in told)
