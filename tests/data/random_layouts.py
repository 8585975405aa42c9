"""Where people keep photos and XML, and how they name them: for the random datasets."""

import unicodedata
from random import Random
from typing import Dict, List, NamedTuple
from urllib.parse import quote

import numpy as np
import random_pictures as pictures
from random_annotations import DEFAULT
from random_draft import Draft
from random_pictures import Kept


class Layout(NamedTuple):
    """Where the photos and the XML are, below the dataset's folder; ``source`` of the split; other files there."""

    photos: str
    annotations: str
    source: str
    others: Dict[str, bytes]


def named(rng: Random, draft: Draft) -> None:
    """A name as people give it, and one for the XML that means the same."""
    number = draft.number
    variants = {
        "plain": ("photo-%03d" % number,) * 2,
        "korean": ("사진-%03d" % number,) * 2,
        "apart": (unicodedata.normalize("NFD", "사진-%03d" % number), "사진-%03d" % number),
        "apart too": ("사진-%03d" % number, unicodedata.normalize("NFD", "사진-%03d" % number)),
        "blanks": ("my photo (%d)" % number,) * 2,
        "dots": ("v1.2.cam%d.left" % number,) * 2,
        "percent": ("my photo %d" % number, "my%%20photo%%20%d" % number),
        "capitals": ("IMG_%03d" % number, "img_%03d" % number),
        "suffix": ("photo-%03d" % number, "photo-%03d_%s" % (number, draft.suffix[1:].lower())),
        "percent-encoded": ("사진 %d" % number, quote("사진 %d" % number)),
        "both suffixes": ("photo-%03d" % number, "photo-%03d%s" % (number, draft.suffix)),
        "hard blank": ("my\u00a0photo %d" % number, "my photo %d" % number),
        "inside": ("DSC%04d" % number, "label-%d" % number),
    }
    if draft.xml_data is not None:
        del variants["inside"]  # which cannot be read there
    draft.photo_stem, draft.xml_stem = variants[rng.choice(["plain", "plain", *variants])]
    if draft.xml_stem.startswith("label"):
        machine = rng.choice(("", "C:\\Users\\me\\", "/home/me/"))
        draft.filename = machine + draft.photo_stem + draft.suffix
    else:
        draft.filename = rng.choice((None, None, "", "D:\\old\\DSC_X%d.JPG" % number, draft.photo_stem))


def flat(rng: Random, drafts: List[Draft]) -> Layout:
    """XML beside the photos, as labelImg leaves it."""
    for draft in drafts:
        named(rng, draft)
        draft.photo, draft.xml = draft.photo_stem + draft.suffix, draft.xml_stem + ".xml"
    drafts.extend(namesakes(rng, drafts))
    return Layout("", "", "hash", {"classes.txt": b"cone\n", ".DS_Store": b"x", "__MACOSX/._photo-000.jpg": b"x"})


def apart(rng: Random, drafts: List[Draft]) -> Layout:
    """JPEGImages and Annotations."""
    for draft in drafts:
        named(rng, draft)
        draft.photo, draft.xml = (
            "JPEGImages/" + draft.photo_stem + draft.suffix,
            "Annotations/" + draft.xml_stem + ".xml",
        )
    drafts.extend(namesakes(rng, drafts))
    return Layout("JPEGImages", "Annotations", "hash", {})


def mirrored(rng: Random, drafts: List[Draft]) -> Layout:
    """The same subfolders below both, with names that come again in each."""
    for draft in drafts:
        place = "day %d/%s" % (draft.number % 3, draft.number // 3)
        draft.photo, draft.xml = "photos/%s%s" % (place, draft.suffix), "labels/%s.xml" % place
    return Layout("photos", "labels", "hash", {})


def scattered(rng: Random, drafts: List[Draft]) -> Layout:
    """Photos in many folders, all XML in one."""
    for draft in drafts:
        named(rng, draft)
        draft.photo = "data/%s/%s%s" % (rng.choice(("a", "b/c", "가")), draft.photo_stem, draft.suffix)
        draft.xml = "data/xml/%s.xml" % draft.xml_stem
    drafts.extend(strangers(rng, drafts))
    return Layout("data", "data", "hash", {})


def tasks_apart(rng: Random, drafts: List[Draft]) -> Layout:
    """All photos below one folder and all XML below another, by task: the same names in each, at other depths."""
    photos, xmls = rng.choice((("data/", "xml/"), ("images/train/", ""), ("", "Annotations/default/")))
    for draft in drafts:
        task, name = "task %d/" % (draft.number % 3 + 1), "frame_%06d" % (draft.number // 3)
        draft.photo = "photos/%s%s%s%s" % (task, photos, name, draft.suffix)
        draft.xml = "labels/%s%s%s.xml" % (task, xmls, name)
    return Layout("photos", "labels", "hash", {})


def tasks(rng: Random, drafts: List[Draft]) -> Layout:
    """Exports of several CVAT tasks side by side: the same names in each."""
    deep = rng.choice(("", "job/"))
    for draft in drafts:
        task, name = "task%d/%s" % (draft.number % 3 + 1, deep), "frame_%06d" % (draft.number // 3)
        draft.photo = "%sJPEGImages/%s%s" % (task, name, draft.suffix)
        draft.xml = "%sAnnotations/%s.xml" % (task, name)
    return Layout("", "", "hash", {"task1/labelmap.txt": b"# label:color_rgb:parts:actions\n"})


def vocdevkit(rng: Random, drafts: List[Draft]) -> Layout:
    """The VOC challenge's own folders, with lists of what is to train on and what to validate with."""
    root = "VOCdevkit/VOC2012/"
    sides = rng.choice((("train", "val"), ("train", "val", "test")))
    lists: Dict[str, List[str]] = {side: [] for side in sides}
    for draft in drafts:
        stem = rng.choice(("2012_%06d", "사진_%d")) % draft.number
        draft.photo = root + "JPEGImages/" + stem + draft.suffix
        draft.xml = root + "Annotations/" + stem + ".xml"
        if draft.flaw == "not_in_split":
            draft.goes("not_in_split", DEFAULT)
            continue
        side = ("train", "val")[draft.number] if draft.number < 2 else rng.choice(sides)
        draft.side = {"val": "validation"}.get(side, side)
        lists[side].append(unicodedata.normalize("NFD", stem) if rng.random() < 0.2 else stem)
    lists["trainval"] = lists["train"] + lists["val"]
    others = {root + "SegmentationClass/2012_000000.png": pictures.encoded(drafts[0].pixels, Kept(pictures.PNG, 1))}
    for side, stems in lists.items():
        others[root + "ImageSets/Main/%s.txt" % side] = _list(rng, stems)
        others[root + "ImageSets/Main/cone_%s.txt" % side] = "".join("%s -1\n" % stem for stem in stems).encode()
    return Layout(root + "JPEGImages", root + "Annotations", "imagesets", others)


def _list(rng: Random, stems: List[str]) -> bytes:
    """A list of pictures as the challenge, a script or Windows' editor writes it."""
    line = rng.choice(("%s", "%s", "%s.jpg", "%s ", "JPEGImages/%s.jpg"))
    text = rng.choice(("\n", "\r\n", "\n\n")).join([line % stem for stem in stems] + [""])
    return text.encode(rng.choice(("utf-8", "utf-8-sig")))


def roboflow(rng: Random, drafts: List[Draft]) -> Layout:
    """train, valid and test, with several copies of each photo to train on."""
    folders = {"train": "train", rng.choice(("valid", "valid", "val", "validation")): "validation", "test": "test"}
    if rng.random() < 0.3:
        del folders["test"]
    photos, xmls = rng.choice(
        (("%s/%s",) * 2, ("%s/%s",) * 2, ("%s/images/%s", "%s/labels/%s"), ("images/%s/%s", "annotations/%s/%s"))
    )
    for draft in drafts:
        folder = ("train", *list(folders)[1:])[draft.number] if draft.number < len(folders) else rng.choice([*folders])
        draft.side = folders[folder]
        if draft.flaw == "not_in_split":
            draft.goes("not_in_split", DEFAULT)
            draft.side, folder = "", "more"
        copies = [
            one for one in drafts[: draft.number] if one.side == "train" and one.group and "leak" not in one.kinds
        ]
        if copies and draft.has_photo and draft.side == "train" and rng.random() < 0.5:
            copy_of(rng, draft, rng.choice(copies))
        elif draft.flaw == "leak" and draft.side != "train":
            leak(rng, draft, copies)
        name = "img%d_jpg.rf.%032x" % (draft.group, rng.randrange(16**32))
        draft.photo = photos % (folder, name + draft.suffix)
        draft.xml = xmls % (folder, name + ".xml")
    return Layout("", "", "folders", {"README.roboflow.txt": b"Exported\n"})


def copy_of(rng: Random, draft: Draft, other: Draft) -> None:
    """Make ``draft`` a copy of the photo of another, brighter or darker, with labels of its own."""
    if draft.data is None and draft.size == other.size:
        draft.pixels = np.clip(other.pixels * 0.9 + rng.randint(0, 20), 0, 255).astype(np.uint8)
    draft.group = other.group


def leak(rng: Random, draft: Draft, trained: List[Draft]) -> None:
    """``draft``, to validate or test with, is a copy of a photo to train on: that and its copies must go."""
    flawed = {one.group for one in trained if one.kinds}
    sound = [one for one in trained if one.group not in flawed]
    if sound:
        copy_of(rng, draft, rng.choice(sound))
        for one in sound:
            if one.group == draft.group:
                one.goes("leak", DEFAULT)


def namesakes(rng: Random, drafts: List[Draft]) -> List[Draft]:
    """Photos of the same name in another format, which nobody labelled."""
    found = []
    for draft in drafts:
        if draft.flaw == "same_name":
            other = Draft(rng, draft.number, [])
            other.kept, other.suffix = Kept(pictures.BMP, 1), ".bmp" if draft.suffix != ".bmp" else ".png"
            other.group, other.photo = 1000 + draft.number, draft.photo[: -len(draft.suffix)] + other.suffix
            other.data = pictures.encoded(other.pixels, Kept(other.suffix, 1))
            other.has_xml = False
            other.goes("no_xml")
            draft.filename = draft.photo.rsplit("/", 1)[-1]
            draft.xml = draft.xml.replace(draft.xml_stem, draft.photo_stem)
            draft.kinds.add("same_name")
            found.append(other)
    return found


def strangers(rng: Random, drafts: List[Draft]) -> List[Draft]:
    """Photos of the same name elsewhere: nothing tells which of them the one XML is about."""
    found = []
    for draft in drafts:
        if draft.flaw == "ambiguous_name":
            other = Draft(rng, draft.number, [])
            other.kept, other.suffix, other.group = draft.kept, draft.suffix, 1000 + draft.number
            draft.photo_stem = draft.xml_stem = "IMG_%d" % draft.number
            draft.photo, other.photo = ("data/%s/%s%s" % (place, draft.photo_stem, draft.suffix) for place in "ab")
            draft.xml, draft.filename = "data/xml/%s.xml" % draft.xml_stem, None
            other.has_xml = False
            other.goes("ambiguous_name|no_xml")
            draft.goes("ambiguous_name")
            found.append(other)
    return found


LAYOUTS = (flat, apart, mirrored, scattered, tasks, tasks_apart, vocdevkit, roboflow)
