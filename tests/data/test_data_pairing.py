"""Which XML belongs to which photo, and the order of the pictures."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.annotation import voc
from stages.data.findings import Findings, policies
from stages.data.pairing.matching import Matching
from stages.data.pairing.pairing import Folders, Pair, files_below, files_of, pairs, shuffled
from stages.job import BadInput


def pair_up(folder, photos, annotations, policy):
    """Make photos (empty) and XML files (name -> its <filename>, or all of it): their pairs, and the findings."""
    for name in photos:
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, said in annotations.items():
        path = folder / "xml" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<annotation>%s</annotation>" % (said if "<" in said else "<filename>%s</filename>" % said))
    findings = Findings(policies(policy))
    folders = Folders(str(folder / "photos"), str(folder / "xml"))
    found = pairs(folders, files_of(folders), findings)
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


def an_object(number):
    return (
        "<object><name>cone</name><bndbox><xmin>%d</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        % number
    )


@pytest.mark.parametrize(
    "second, torn", [(an_object(2), True), (an_object(1) + an_object(2), True), (an_object(1), False), ("", False)]
)
def test_two_files_that_say_they_label_a_photo_are_ambiguous_unless_one_has_it_all(paired, second, torn):
    named = "<filename>a.jpg</filename>"
    annotations = {"a.xml": named + an_object(1), "a (2).xml": named + second, "b.xml": ""}
    found, findings = paired(["a.jpg", "b.jpg"], annotations)
    assert found == [("b.jpg", "b.xml")] if torn else [("a.jpg", "a.xml"), ("b.jpg", "b.xml")]
    expected = [("ambiguous_name", one, "drop") for one in ("a (2).xml", "a.xml", "a.jpg")]
    assert findings == (expected if torn else [("no_image", "a (2).xml", "drop")])
    template = {name: named + objects for name, objects in (("a.xml", an_object(1)), ("b.xml", ""), ("c.xml", second))}
    assert paired(["a.jpg", "b.jpg"], {**template, "a (2).xml": ""})[0] == [("a.jpg", "a.xml"), ("b.jpg", "b.xml")]


def test_a_mask_nearer_by_what_folders_hold_is_not_the_photo_that_the_xml_names(paired):
    photos = ["images/a.jpg", "annotations/trimaps/a.png"]
    found, findings = paired(photos, {"annotations/xmls/a.xml": "a.jpg"})
    assert found == [("images/a.jpg", "annotations/xmls/a.xml")]
    assert findings == [("no_xml", "annotations/trimaps/a.png", "drop")]


def test_a_name_from_before_conversion_takes_no_photo_out_of_another_folder(paired):
    found, _ = paired(["old/a.jpg", "new/a.png"], {"new/xml/a.xml": "a.jpg"})
    assert found == [("new/a.png", "new/xml/a.xml")]


@pytest.mark.parametrize("said", ["photo.jpg", "photo", "C:\\Users\\me\\photo.jpg", "/home/me/data/photo.jpg"])
def test_what_is_left_pairs_by_the_xml_s_filename(paired, said):
    assert paired(["photo.jpg"], {"annotation-1.xml": said}) == ([("photo.jpg", "annotation-1.xml")], [])


def test_two_xml_files_that_want_one_photo_get_none(paired):
    found, findings = paired(["photo.jpg", "b.jpg"], {"x.xml": "photo.jpg", "y.xml": "photo.jpg", "b.xml": ""})
    assert found == [("b.jpg", "b.xml")]
    assert findings == [("ambiguous_name", name, "drop") for name in ("x.xml", "y.xml", "photo.jpg")]


def test_the_lonely_are_found_and_a_photo_may_be_background(paired):
    photos, annotations = ["a.jpg", "lone.jpg"], {"a.xml": "", "lost.xml": ""}
    assert paired(photos, annotations) == (
        [("a.jpg", "a.xml")],
        [("no_image", "lost.xml", "drop"), ("no_xml", "lone.jpg", "drop")],
    )
    assert paired(photos, annotations, no_xml="fix")[0] == [("a.jpg", "a.xml"), ("lone.jpg", None)]
    with pytest.raises(BadInput, match="no_image.*lost.xml"):
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


frames = ["f1", "f2"]


@pytest.mark.parametrize(
    ("photo", "xml"),
    [
        ("%s/JPEGImages/%s.jpg", "%s/Annotations/%s.xml"),
        ("images/%s/%s.jpg", "annotations/%s/default/%s.xml"),
        ("%s/obj_train_data/%s.jpg", "Annotations/%s/%s.xml"),
        ("%s_images/%s.jpg", "annotations-%s/%s.xml"),
        ("deep/er/%s/a/%s.jpg", "x/%s/%s.xml"),
        ("%s/one/two/three/four/five/six/%s.jpg", "%s/%s.xml"),
    ],
)
def test_the_same_names_in_sibling_trees_pair_by_the_nearest_folder(paired, photo, xml):
    trees = [(tree, frame) for tree in ("task1", "task2") for frame in frames]
    found, findings = paired([photo % one for one in trees], {xml % one: "%s.jpg" % one[1] for one in trees})
    assert (found, findings) == ([(photo % one, xml % one) for one in trees], [])


def test_a_name_that_only_one_of_the_sibling_trees_has_pairs_there(paired):
    photos = ["a/b/task%d/c/f%d.jpg" % one for one in ((1, 1), (1, 2), (2, 1))]
    xmls = ["x/task%d/f%d.xml" % one for one in ((1, 1), (1, 2), (2, 1))]
    assert paired(photos, dict.fromkeys(xmls, "")) == (list(zip(photos, xmls)), [])


def test_a_photo_missing_in_one_tree_and_an_xml_in_another_are_no_pair(paired):
    photos = ["task%d/img/f%d.jpg" % one for one in ((1, 1), (1, 2), (2, 1), (3, 4))]
    xmls = ["task%d/xml/f%d.xml" % one for one in ((1, 1), (2, 1), (2, 2), (4, 4))]
    found, findings = paired(
        photos + ["task3/img/f1.jpg"], {one: "f%s.jpg" % one[-5] for one in xmls + ["task4/xml/f1.xml"]}
    )
    assert found == [(photos[0], xmls[0]), (photos[2], xmls[1])]
    assert {kind for kind, _, _ in findings} == {"ambiguous_name"}


@pytest.mark.parametrize(
    "inside",
    [
        "<path>C:\\me\\two\\a.jpg</path><filename>a.jpg</filename>",
        "<folder>two</folder><filename>a</filename>",
        "<filename>/home/me/x/two/a.jpg</filename>",
        "<filename/><path>x/two/a.jpg</path>",
    ],
)
def test_of_several_folders_the_one_that_the_xml_names(tmp_path, inside):
    found, findings = pair_up(tmp_path, ["x/one/a.jpg", "x/two/a.jpg"], {"y/a.xml": inside}, {})
    assert found == [("x/two/a.jpg", "y/a.xml")]
    assert [(one.kind, one.file) for one in findings] == [("no_xml", "x/one/a.jpg")]


def test_what_stays_ambiguous_names_the_candidates(tmp_path):
    found, findings = pair_up(tmp_path, ["x/1/a.jpg", "x/2/a.jpg"], {"y/a.xml": "a.jpg"}, {})
    assert found == []
    assert [(one.kind, one.file, one.message) for one in findings] == [
        ("ambiguous_name", "y/a.xml", "it could mean x/1/a.jpg or x/2/a.jpg"),
        ("ambiguous_name", "x/1/a.jpg", "it could belong to y/a.xml"),
        ("ambiguous_name", "x/2/a.jpg", "it could belong to y/a.xml"),
    ]


def test_two_folders_of_xml_for_one_photo_are_ambiguous(paired):
    found, findings = paired(["images/a.jpg"], {"Annotations/a.xml": "", "Annotations_backup/a.xml": ""})
    assert found == []
    assert [kind for kind, _, _ in findings] == ["ambiguous_name"] * 3


def test_a_photo_that_belongs_to_another_is_said_to(tmp_path):
    _, findings = pair_up(tmp_path, ["one/a.jpg"], {"one/a.xml": "", "two/a.xml": ""}, {})
    ((kind, message),) = [(one.kind, one.message) for one in findings]
    assert (kind, message) == ("no_image", "its photo is missing: one/a.jpg has the name, but belongs to one/a.xml")


@pytest.mark.parametrize(
    ("photo", "xml"),
    [
        ("one.jpg", "one_jpg.xml"),
        ("one.jpg", "one.jpg.xml"),
        ("One.JPG", "one.XML"),
        ("my photo.png", "my%20photo.xml"),
        ("my photo.png", "my_photo.xml"),
        ("e\u0301te\u0301.jpg", "\u00c9t\u00e9.xml"),
        ("100%.jpg", "100%25.xml"),
    ],
)
def test_names_that_are_only_written_otherwise_pair(paired, photo, xml):
    assert paired([photo, "x.jpg"], {xml: "", "x.xml": ""}) == ([(photo, xml), ("x.jpg", "x.xml")], [])
    # The XML may have another name, and say the photo's.
    assert paired([photo, "x.jpg"], {xml: "0", "x.xml": ""})[1] == []


def test_a_name_with_its_suffix_tells_two_photos_apart(paired):
    found, findings = paired(["a.jpg", "a.png"], {"a.jpg.xml": "", "a.png.xml": ""})
    assert (found, findings) == ([("a.jpg", "a.jpg.xml"), ("a.png", "a.png.xml")], [])


def test_two_ways_to_write_one_photo_s_name_are_ambiguous(paired):
    found, findings = paired(["a b.jpg"], {"a_b.xml": "", "A b.xml": ""})
    assert found == []
    assert [kind for kind, _, _ in findings] == ["ambiguous_name"] * 3


def test_a_near_name_is_a_hint_but_the_next_frame_is_none(tmp_path):
    _, findings = pair_up(tmp_path, ["kone_17.jpg", "frame_018.jpg"], {"cone_17.xml": "", "frame_019.xml": ""}, {})
    hints = {one.file: one.message.partition("; ")[2] for one in findings}
    assert hints["cone_17.xml"] == "did you mean kone_17.jpg?"
    assert hints["kone_17.jpg"] == "did you mean cone_17.xml?"
    assert hints["frame_019.xml"] == hints["frame_018.jpg"] == ""


def test_photos_in_formats_that_are_not_read(paired):
    photos = ["one/a.jpg", "two/a.heic", "b.heic", "b.jpg", "lone.gif"]
    found, findings = paired(photos, {"one/a.xml": "", "two/a.xml": "", "b.xml": ""})
    assert found == [("b.jpg", "b.xml"), ("one/a.jpg", "one/a.xml")]
    assert findings == [("unread_format", "two/a.heic", "drop")]


def test_a_photo_converted_into_another_folder_is_taken(paired):
    assert paired(["heic/a.heic", "jpg/a.jpg"], {"x/a.xml": ""}) == ([("jpg/a.jpg", "x/a.xml")], [])


def test_a_folder_of_nothing_but_unread_formats_says_so(paired):
    with pytest.raises(BadInput, match=r"no photo .* 1 \.heic, the first a\.heic: these formats are not read"):
        paired(["a.heic"], {"a.xml": ""})


def test_masks_are_no_photos(paired):
    photos = ["VOC/JPEGImages/a.jpg", "VOC/SegmentationClass/a.png", "VOC/SegmentationObject/b.png"]
    assert paired(photos, {"VOC/Annotations/a.xml": ""}) == ([("VOC/JPEGImages/a.jpg", "VOC/Annotations/a.xml")], [])


def test_missing_and_empty_folders_are_bad_input(tmp_path, paired):
    with pytest.raises(BadInput, match="no folder"):
        files_of(Folders(str(tmp_path / "nowhere"), str(tmp_path)))
    with pytest.raises(BadInput, match="no photo"):
        files_of(Folders(str(tmp_path), str(tmp_path)))
    (tmp_path / "a.jpg").touch()
    with pytest.raises(BadInput, match="no VOC XML"):
        files_of(Folders(str(tmp_path), str(tmp_path)))


names = st.lists(st.text("abcdefgh", min_size=1, max_size=6), unique=True, min_size=1, max_size=30)


@given(names, st.integers(0, 2**70), st.data())
def test_a_new_photo_changes_no_two_others_order(photos, seed, data):
    items = [Pair(name + ".jpg", None) for name in photos]
    fewer = data.draw(st.lists(st.sampled_from(items), unique=True))
    order = shuffled(items, seed, 0)
    assert shuffled(fewer, seed, 0) == [pair for pair in order if pair in fewer]
    assert sorted(order) == sorted(items)
    trial = shuffled(items, seed, 3)
    assert len(trial) == min(3, len(items)) and trial == [pair for pair in order if pair in trial]
    assert set(trial) <= set(shuffled(items, seed, 5))


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
        kinds = {kind for kind, name in told if name == xml} & {"no_image", "same_name", "ambiguous_name"}
        assert (xml in {one for _, one in found}) != bool(kinds)
    for photo in photos - unclear:
        kinds = {kind for kind, name in told if name == photo} & {"no_xml", "ambiguous_name"}
        assert (photo in {one for one, _ in found}) != bool(kinds)


folder_names = st.lists(st.sampled_from(["u", "v", "w", "images", "xml"]), max_size=4).map("/".join)
unique_stems = st.lists(st.text("abcxyz", min_size=1, max_size=5), unique=True, min_size=1, max_size=8)


def paths_of(folder, stem, suffix):
    return "%s%s%s" % (folder + "/" if folder else "", stem, suffix)


def match(photos, xmls):
    """The pairs of these names, each XML saying nothing of use."""
    said = voc.parse(b"<annotation><filename>0.jpg</filename></annotation>")
    matching = Matching(lambda _: said, sorted(photos), [], sorted(xmls))
    return {(photo, xml) for xml, found in matching.run().photos_of.items() for photo in found}


@settings(max_examples=100, deadline=None)
@given(unique_stems, st.data())
def test_unique_names_pair_whatever_the_tree(stems, data):
    places = [(stem, data.draw(folder_names), data.draw(folder_names)) for stem in stems]
    photos = {paths_of(there, stem, ".jpg"): paths_of(here, stem, ".xml") for stem, here, there in places}
    assert match(photos, photos.values()) == set(photos.items())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_folders_by_other_names_change_nothing(data):
    places = st.tuples(st.lists(st.sampled_from("uvw"), max_size=3), st.sampled_from("ab"))
    photos = data.draw(st.lists(places, min_size=1, max_size=6, unique_by=str))
    xmls = data.draw(st.lists(places, min_size=1, max_size=6, unique_by=str))
    renamed = dict(zip("uvw", data.draw(st.permutations(["t1", "uv", "w"]))))

    def match_by(names):
        def paths(items, suffix):
            return [paths_of("/".join(names[one] for one in folders), stem, suffix) for folders, stem in items]

        photo_paths, xml_paths = paths(photos, ".jpg"), paths(xmls, ".xml")
        found = match(photo_paths, xml_paths)
        assert len(found) == len({photo for photo, _ in found}) == len({xml for _, xml in found})
        return {(photo_paths.index(photo), xml_paths.index(xml)) for photo, xml in found}

    assert match_by(dict(zip("uvw", "uvw"))) == match_by(renamed)


def test_of_an_xml_that_is_no_annotation_it_is_said_what_it_is(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "annotations.xml").write_text("<annotations><version>1.1</version><image><box/></image></annotations>")
    findings = Findings(policies({}))
    folders = Folders(str(tmp_path), str(tmp_path))
    pairs(folders, files_of(folders), findings)
    assert any('"CVAT for images"' in one.message for one in findings.found if one.kind == "no_image")
