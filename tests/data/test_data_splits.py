"""The split that a dataset brings along: lists and folders."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.findings import Findings, policies
from stages.data.pairing.pairing import Folders, Pair
from stages.data.split.splits import own_split, side_of
from stages.job import BadInput

FOLDERS = Folders("photos", "xml")


def pair(photo):
    return Pair(photo, photo.rsplit(".", 1)[0] + ".xml")


@pytest.fixture
def split(tmp_path):
    """The split of photos by the lists of a folder, a name or the lines of each: the Split and the findings."""

    def start(photos, lists=None, mode="auto", **policy):
        findings = Findings(policies(policy))
        for name, text in (lists or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        found = own_split(mode, [pair(one) for one in photos], FOLDERS, str(tmp_path) if lists else None, findings)
        return found, [(one.kind, one.file, one.action) for one in findings.found]

    return start


def test_lists_place_their_pictures_and_drop_the_rest(split):
    found, findings = split(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], {"train.txt": "a\n", "val.txt": "b", "test.txt": "c"})
    assert (found.source, found.notes) == ("imagesets", [])
    assert found.sides == {"a.jpg": "train", "b.jpg": "validation", "c.jpg": "test"}
    assert [one.photo for one in found.items] == ["a.jpg", "b.jpg", "c.jpg"]
    assert findings == [("not_in_split", "d.jpg", "drop")]


def test_pictures_in_no_list_may_go_by_chance(split):
    found, findings = split(["a.jpg", "b.jpg", "c.jpg"], {"train.txt": "a", "val.txt": "b"}, not_in_split="fix")
    assert [one.photo for one in found.items] == ["a.jpg", "b.jpg", "c.jpg"]
    assert "c.jpg" not in found.sides
    assert findings == [("not_in_split", "c.jpg", "fix")]


@pytest.mark.parametrize(
    "text",
    [
        "a\r\nb c\r\n\r\n",
        "\ufeffa\nb c\n",
        "a.jpg\nb c.JPG\n",
        "./JPEGImages/a.jpg\n/home/me/VOC/JPEGImages/b c.jpg\n",
        "C:\\me\\a.jpg\nC:\\me\\b c.jpg",
        "a  1\nb c -1\n",
        "# by hand\nA\nb_c\n",
        "  a\t\nb%20c\n",
        "a.xml\nb c.xml",
        '"a"\n"b c"\n',
        "a\nb c\n".encode("utf-16"),
        b"\xfe\xff" + "a\nb c\n".encode("utf-16-be"),
    ],
)
def test_lists_as_they_are_written(split, text):
    found, findings = split(["a.jpg", "b c.jpg", "v.jpg"], {"train.txt": text, "val.txt": "v"})
    assert found.sides == {"a.jpg": "train", "b c.jpg": "train", "v.jpg": "validation"}
    assert (findings, found.notes) == ([], [])


@pytest.mark.parametrize("code_page", ["cp949", "gb18030", "cp932", "utf-8"])
def test_lists_in_the_code_page_of_a_windows(split, code_page):
    names = ["\uc0ac\uc9c4 ", "\ubaa8"] if code_page == "cp949" else ["\u56fe\u7247", "\u5c71"]
    names = ["\u5199\u771f", "\u30ab"] if code_page == "cp932" else names
    photos = [name + "%d.jpg" % number for name in names for number in range(3)]
    lists = {
        "train.txt": "\r\n".join(photos[:3] + ["\u5c71"]).encode(code_page, "ignore"),
        "val.txt": "\r\n".join(photos[3:]).encode(code_page),
    }
    assert split(photos, lists)[0].sides == dict(zip(photos, ["train"] * 3 + ["validation"] * 3))


@pytest.mark.parametrize("missing", ["img (3)", "img (3).jpg 1", "img 2\nimg 3", "img 2 -1\nimg 3 1"])
def test_a_number_in_a_name_is_no_column(split, missing):
    found, _ = split(["img.jpg", "v.jpg"], {"train.txt": "img\n", "val.txt": "v\n" + missing})
    assert found.sides == {"img.jpg": "train", "v.jpg": "validation"}
    assert missing.split("\n")[0] in found.notes[0]


@pytest.mark.parametrize("line", ["a 12", "a 1 1 1", "x/a.jpg\t3,4,5,6,0 7,8,9,10,1", "a.jpg mask.png"])
def test_what_follows_a_name_in_columns(split, line):
    assert split(["a.jpg", "b.jpg"], {"train.txt": line, "val.txt": "b"})[0].sides["a.jpg"] == "train"


@pytest.mark.parametrize("name", ["val.txt", "valid.txt", "Validation.txt", "VAL.TXT", "val2017.txt"])
def test_names_of_lists(split, name):
    assert split(["a.jpg", "b.jpg"], {"train.txt": "a", name: "b"})[0].sides["b.jpg"] == "validation"


def test_lists_of_classes_count_where_there_are_no_others(split):
    lists = {
        "cone_train.txt": "a 1\nc -1",
        "cone_val.txt": "b -1",
        "old_post_train.txt": "a -1\nc 1",
        "post_val.txt": "b 1",
    }
    found, _ = split(["a.jpg", "b.jpg", "c.jpg"], lists)
    assert (found.source, found.sides) == ("imagesets", {"a.jpg": "train", "b.jpg": "validation", "c.jpg": "train"})


def test_lists_of_classes_are_passed_over_beside_others(split):
    found, _ = split(
        ["a.jpg", "b.jpg"], {"train.txt": "a", "val.txt": "b", "cone_train.txt": "b 1", "default.txt": "b"}
    )
    assert found.sides == {"a.jpg": "train", "b.jpg": "validation"}


@pytest.mark.parametrize("other", ["val.txt", "test.txt"])
def test_a_picture_on_two_sides_is_bad_input(split, other):
    with pytest.raises(BadInput, match=r"b\.jpg is in .*train\.txt, line 2 and in .*%s, line 3" % other):
        split(["a.jpg", "b.jpg", "c.jpg"], {"train.txt": "a\nb", other: "c\n\nb"})


def test_what_is_tested_with_is_not_between_training_and_validation_either(split):
    with pytest.raises(BadInput, match="test"):
        split(["a.jpg", "b.jpg"], {"trainval.txt": "a\nb", "test.txt": "b"})


def test_trainval_alone_is_divided_by_chance(split):
    found, findings = split(["a.jpg", "b.jpg", "c.jpg"], {"trainval.txt": "a\nb", "test.txt": "c"})
    assert (found.sides, len(found.items), findings) == ({"c.jpg": "test"}, 3, [])


def test_trainval_without_one_of_its_parts_tells_that_part(split):
    lists = {"trainval.txt": "a\nb\nc"}
    sides = {"a.jpg": "train", "b.jpg": "train", "c.jpg": "validation"}
    assert split(list(sides), {**lists, "train.txt": "a\nb"})[0].sides == sides
    assert split(list(sides), {**lists, "train.txt": "", "val.txt": "c"})[0].sides == sides


def test_training_without_validation_gives_some_by_chance(split):
    found, findings = split(["a.jpg", "b.jpg", "c.jpg"], {"train.txt": "a\nb", "test.txt": "c"})
    assert (found.sides, len(found.items), findings) == ({"c.jpg": "test"}, 3, [])


def test_a_list_of_test_pictures_alone_keeps_them_from_training(split):
    found, findings = split(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], {"test.txt": "c"})
    assert (found.source, found.sides, len(found.items), findings) == ("imagesets", {"c.jpg": "test"}, 4, [])
    found, _ = split(["a.jpg", "b.jpg"], {"test.txt": "", "val.txt": "b"})
    assert found.sides == {"a.jpg": "train", "b.jpg": "validation"}


def test_names_without_a_picture_are_told(split):
    found, _ = split(["a.jpg", "b.jpg"], {"train.txt": "a\nlost\n", "val.txt": "b"})
    (note,) = found.notes
    assert "1 of 3 names, such as lost" in note
    assert "train.txt, line 2" in note


def test_lists_of_other_pictures_are_passed_over_or_refused(split):
    photos, lists = ["a.jpg", "b.jpg", "c.jpg"], {"train.txt": "x\ny", "val.txt": "a"}
    found, findings = split(photos, lists)
    assert (found.source, findings) == ("hash", [])
    assert "name 1 of 3 pictures, and not 2 of 3 names, such as x, y" in found.notes[0]
    with pytest.raises(BadInput, match="such as x, y"):
        split(photos, lists, mode="imagesets")


@pytest.mark.parametrize(("mode", "words"), [("imagesets", r"train\.txt.*image_sets"), ("folders", "valid")])
def test_a_split_that_is_asked_for_but_not_there(split, mode, words):
    with pytest.raises(BadInput, match=words):
        split(["a.jpg", "train/b.jpg"], mode=mode)
    assert split(["a.jpg", "train/b.jpg"])[0].source == "hash"


def test_the_pictures_of_one_task_by_its_own_lists(split):
    photos = ["one/img/f.jpg", "one/img/g.jpg", "two/img/f.jpg", "two/img/g.jpg"]
    lists = {"one/ImageSets/Main/train.txt": "f", "one/ImageSets/Main/val.txt": "g"}
    lists.update({"two/ImageSets/Main/train.txt": "g", "two/ImageSets/Main/val.txt": "f"})
    sides = ["train", "validation", "validation", "train"]
    assert split(photos, lists)[0].sides == dict(zip(photos, sides))
    with_folders = {"train.txt": "one/img/f.jpg\ntwo/img/g.jpg", "val.txt": "one/img/g\ntwo/img/f"}
    assert split(photos, with_folders)[0].sides == dict(zip(photos, sides))


def test_a_name_in_another_folder_or_spelling_does_not_overrule_a_better_one(split):
    lists = {"train.txt": "one/f\na b", "val.txt": "two/f\na_b\nc"}
    found, _ = split(["one/f.jpg", "a b.jpg", "c.jpg"], lists)
    assert found.sides == {"one/f.jpg": "train", "a b.jpg": "train", "c.jpg": "validation"}
    assert "2 of 5 names, such as two/f, a_b" in found.notes[0]
    with pytest.raises(BadInput, match="two sides"):
        split(["f.jpg", "c.jpg"], {"train.txt": "f\nc", "val.txt": "/home/me/f.jpg"})


def test_the_folder_image_sets_has_the_lists_in_main(split):
    lists = {"Main/train.txt": "a", "Main/val.txt": "b", "Layout/train.txt": "b", "Layout/val.txt": "a"}
    assert split(["a.jpg", "b.jpg"], lists)[0].sides == {"a.jpg": "train", "b.jpg": "validation"}


def test_folders_place_their_pictures(split):
    photos = ["train/images/a.jpg", "x/Valid/b.jpg", "testing/c.jpg", "other/d.jpg"]
    found, findings = split(photos)
    assert found.source == "folders"
    assert found.sides == dict(zip(photos, ("train", "validation", "test")))
    assert findings == [("not_in_split", "other/d.jpg", "drop")]
    assert split(photos, mode="hash")[0] == ("hash", {}, [pair(one) for one in photos], [])


@pytest.mark.parametrize(
    "train, validation", [("WIDER_train", "WIDER_val"), ("D-train 2019", "D-valid 2019"), ("1 train", "2 val")]
)
def test_a_side_may_be_a_word_of_a_folder_with_siblings(split, train, validation):
    photos = ["x/%s/images/a.jpg" % train, "x/%s/b.jpg" % validation, "x/road_test/c.jpg"]
    found, findings = split(photos)
    assert (found.source, found.sides) == ("folders", dict(zip(photos, ("train", "validation"))))
    assert findings == [("not_in_split", photos[2], "drop")]
    assert split(["steam_train/a.jpg", "crash_test/b.jpg"])[0].source == "hash"


def test_the_outermost_folder_counts():
    assert [
        side_of(path)
        for path in (
            "val/train/a.jpg",
            "a/test2017/val.jpg",
            "Train_Images/a.jpg",
            "training_set/a.jpg",
            "contest/a.jpg",
            "train.jpg",
        )
    ] == [
        "validation",
        "test",
        "train",
        "train",
        "",
        "",
    ]


def test_the_photo_s_folder_wins_over_its_xml_s():
    items = [Pair("train/a.jpg", "val/a.xml"), Pair("images/b.jpg", "val/b.xml")]
    found = own_split("auto", items, FOLDERS, None, Findings(policies({})))
    assert found.sides == {"train/a.jpg": "train", "images/b.jpg": "validation"}


names = (
    st.text("ab_ .1", min_size=1, max_size=4).map(str.strip).filter(lambda name: name.strip(". _") and name[0] != ".")
)
photo_paths = st.builds("{}{}.jpg".format, st.sampled_from(["", "one/", "two/", "train/", "val/"]), names)
listed = st.lists(names, max_size=5)


@settings(max_examples=50, deadline=None)
@given(
    st.sets(photo_paths, min_size=1, max_size=8),
    st.dictionaries(st.sampled_from(["train", "val", "trainval", "test"]), listed),
    st.sampled_from(["auto", "imagesets", "folders", "hash"]),
)
def test_no_picture_is_on_two_sides_or_lost_without_a_finding(photos, lists, mode):
    findings = Findings(policies({}))
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in lists.items():
            (Path(folder) / (name + ".txt")).write_text("\n".join(lines))
        try:
            found = own_split(mode, [pair(one) for one in sorted(photos)], FOLDERS, folder, findings)
        except BadInput:
            return
    kept, dropped = {one.photo for one in found.items}, {one.file for one in findings.found}
    assert kept | dropped == photos
    assert not kept & dropped
    assert set(found.sides) <= kept
    if found.source == "imagesets":
        for photo, side in found.sides.items():
            named = {one for one in lists if photo.rsplit("/", 1)[-1][:-4] in lists[one]}
            assert (
                {"validation": "val"}.get(side, side) in named or not named or (side != "test" and "trainval" in named)
            )
