"""Lists of a split, as in PASCAL VOC's ImageSets/Main, and the pictures that they mean."""

import os
import re
from collections import Counter
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

from stages import files
from stages.data.annotation.vocabulary import composed
from stages.data.pairing.names import endings_of, folder_of, grouped, last, loosened, own_name
from stages.data.pairing.pairing import Pair
from stages.files import PICTURE_SUFFIXES, UNREAD_SUFFIXES
from stages.job import BadInput
from stages.text_encoding import decoded

TRAIN, VALIDATION, TEST = "train", "validation", "test"
BOTH = "trainval"  # to train on or to validate with
# The names of a side, as a folder or as a list; COCO adds a year, as in train2017.
SIDES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
YEAR = re.compile(r"[_-]?(?:19|20)\d\d$")
COLLECTION = re.compile(r"[_ -]?(?:set|split)$")  # as in training_set
NUMBERS = re.compile(r"[-+0-9.,]+")  # a further column, such as VOC's: whether objects of a class are there
MOST_COLUMNS = 5
MOST_BYTES = 256 << 20  # of a list
CODE_PAGES = ("cp949", "gb18030", "cp932", "big5", "cp1252")  # of Windows, where a list is in none that says its name
SUFFIXES = PICTURE_SUFFIXES + UNREAD_SUFFIXES + (".xml",)
EXAMPLES = 3
# How surely a name means a picture: it is written otherwise; it is in another folder, maybe of another machine; it has
# no folder; it has the picture's. And what of the same picture overrules it.
LOOSE, ELSEWHERE, BARE, IN_FOLDER = range(4)
OVERRULED_BY = {LOOSE: ELSEWHERE, ELSEWHERE: IN_FOLDER, BARE: IN_FOLDER + 1, IN_FOLDER: IN_FOLDER + 1}


def side_named(name: str) -> str:
    """The side that the name of a folder or list means, empty if none."""
    return SIDES.get(COLLECTION.sub("", YEAR.sub("", name.casefold())), "")


class ListedName(NamedTuple):
    """A name in a list: a stem, maybe with folders, a suffix, or further columns.

    ``file`` and ``number`` are the list and the line. ``scope``: the folder, below that of all lists, whose pictures it
    means where several have the name; empty: any. ``shorter``: the name if what follows it is columns.
    """

    name: str
    file: str
    number: int
    scope: str
    shorter: Tuple[str, ...] = ()


class ListFile(NamedTuple):
    """A list as it was read: its side, its path below the folder of all lists, and its bytes."""

    side: str
    path: str
    data: bytes


class SideList(NamedTuple):
    """A list of one side."""

    side: str
    lines: List[ListedName]


def said_of(image_sets: str, items: List[Pair]) -> "Said":
    """What the lists in a folder say of pictures, in the encoding in which most of their names are of pictures."""
    found = _lists_in(image_sets)
    said = Said([_side_list(image_sets, one, "") for one in found], items)
    for code_page in CODE_PAGES if any(max(one.name) > "~" for one in said.unknown) else ():
        other = Said([_side_list(image_sets, one, code_page) for one in found], items)
        said = min(said, other, key=lambda one: len(one.unknown))
    return said


def _lists_in(image_sets: str) -> List[ListFile]:
    """The lists of sides, read once: those in the folder itself, or else in every folder Main below.

    Those of single classes (cone_train.txt), which VOC puts there as well, count only where there are no others: they
    name the same pictures, with a second column that says whether the class is there.
    """
    try:
        names = list(files.names_below(image_sets, (".txt",)))
    except OSError as error:
        raise BadInput("The folder %s of the lists cannot be read: %s." % (image_sets, error.strerror)) from error
    direct = [one for one in names if "/" not in one]
    below = [one for one in names if one.casefold().split("/")[-2:-1] == ["main"]]
    for side in (_list_side, _class_list_side):
        found = [one for one in direct if side(one)] or [one for one in below if side(one)]
        if found:
            return [ListFile(side(one), one, _read(os.path.join(image_sets, one))) for one in found]
    return []


def _list_side(path: str) -> str:
    name = os.path.splitext(last(path))[0]
    return BOTH if name.casefold() == BOTH else side_named(name) or ""


def _class_list_side(path: str) -> str:
    """The side of ``cone_train.txt``; empty if there is none."""
    before, _, side = os.path.splitext(last(path))[0].rpartition("_")
    return _list_side(side) if before else ""


def _read(path: str) -> bytes:
    try:
        return files.read(path, MOST_BYTES)
    except OSError as error:
        raise BadInput("The list %s cannot be read: %s." % (path, error.strerror)) from error


def _side_list(image_sets: str, found: ListFile, code_page: str) -> SideList:
    """The names in a list, whose text is in ``code_page``; empty: it says by itself what it is in."""
    path = os.path.join(image_sets, found.path)
    text = found.data.decode(code_page, "replace") if code_page else decoded(found.data)
    scope = re.sub(r"(?i)(?:^|/)(?:imagesets/)?main$", "", found.path.rpartition("/")[0])
    lines = [composed(line.strip()) for line in re.split("\r\n|\r|\n", text)]
    times = Counter(name for line in lines for name in [line, *_without_columns(line)])
    names = [
        ListedName(line, path, number, scope, tuple(one for one in _without_columns(line) if times[one] == 1))
        for number, line in enumerate(lines, 1)
        if line
    ]
    return SideList(found.side, names)


def _without_columns(line: str) -> List[str]:
    """What a line names if numbers at its end, or all that follows a file's name, are columns.

    They may be part of the name: ``img 2`` beside ``img 3``. So only what no other line has counts.
    """
    found = []
    words = line.split(None, 1)[:1]
    if words and words[0] != line and os.path.splitext(words[0])[1].lower() in SUFFIXES:
        found = words
    for _ in range(MOST_COLUMNS):
        name, _, last_word = line.replace("\t", " ").rpartition(" ")
        if not name.strip() or not NUMBERS.fullmatch(last_word):
            break
        line = line[: len(name)].rstrip()
        found.append(line)
    return list(dict.fromkeys(found))


class Said:
    """What lists say of pictures.

    Attributes:
        placed: photo -> side -> where a list says so.
        unknown: names that mean no picture.
        lists: how many lists there are, and ``names`` how many names in them.
        has_train: whether a list says what to train on, and not only what to keep from it.
    """

    def __init__(self, lists: List[SideList], items: List[Pair]) -> None:
        self.placed: Dict[str, Dict[str, ListedName]] = {}
        self.unknown: List[ListedName] = []
        self.lists = len(lists)
        self.names = sum(len(one.lines) for one in lists)
        self.has_train = any(one.side in (TRAIN, BOTH) and one.lines for one in lists)
        names = _Names(items)
        meant: Dict[str, List[Tuple[int, str, ListedName]]] = {}
        for side, lines in lists:
            for line in lines:
                photos, strength = names.meant(line)
                if not photos and not line.name.startswith("#"):
                    self.unknown.append(line)
                for photo in photos:
                    meant.setdefault(photo, []).append((strength, side, line))
        for photo, found in meant.items():
            best = max(strength for strength, _, _ in found)
            for strength, side, line in found:
                if best >= OVERRULED_BY[strength]:
                    self.unknown.append(line)
                else:
                    self.placed.setdefault(photo, {}).setdefault(side, line)

    def sides(self) -> Tuple[Dict[str, str], Set[str]]:
        """photo -> its side, and the photos between training and validation.

        Raises:
            BadInput: a picture is on two sides.
        """
        clashes = [photo for photo, said in sorted(self.placed.items()) if _clash(set(said))]
        if clashes:
            first = clashes[0]
            said = self.placed[first]
            lines = [said[side] for side in (TRAIN, BOTH, VALIDATION, TEST) if side in said]
            places = " and in ".join("%s, line %d" % (one.file, one.number) for one in lines)
            raise BadInput(
                "%s is in %s%s: no picture may be on two sides of a split. Leave its name in one of"
                ' the lists, or let chance decide by records.split = "hash".'
                % (first, places, " (and %d more pictures are)" % (len(clashes) - 1) if clashes[1:] else "")
            )
        there = {side for said in self.placed.values() for side in said}
        rest = BOTH  # What trainval has and train has not is val, if only one of the two is there.
        if TRAIN in there and VALIDATION not in there:
            rest = VALIDATION
        elif VALIDATION in there and TRAIN not in there:
            rest = TRAIN
        sides = {
            photo: next((side for side in (TRAIN, VALIDATION, TEST) if side in said), rest)
            for photo, said in self.placed.items()
        }
        between = {photo for photo, side in sides.items() if side == BOTH}
        return {photo: side for photo, side in sides.items() if side != BOTH}, between

    def unknown_words(self, joint: str) -> str:
        """Names that mean no picture, with where the first is; empty if there are none."""
        if not self.unknown:
            return ""
        first = self.unknown[0]
        examples = ", ".join(one.name for one in self.unknown[:EXAMPLES])
        return "%s%d of %d names, such as %s (%s, line %d)" % (
            joint,
            len(self.unknown),
            self.names,
            examples,
            first.file,
            first.number,
        )


def _clash(sides: Set[str]) -> bool:
    return len(sides - {BOTH}) > 1 or {BOTH, TEST} <= sides


class _Names:
    """Pictures by the names that lists may have for them."""

    def __init__(self, items: List[Pair]) -> None:
        self._items = items
        self._exact = grouped((pair.photo for pair in items), own_name)
        self._loose: Dict[str, List[str]] = {}
        self._groups: Dict[str, _Group] = {}

    def meant(self, line: ListedName) -> Tuple[List[str], int]:
        """The pictures of a name, and how surely it means them."""
        paths = [one.strip("'\"").replace("\\", "/") for one in (line.name, *line.shorter)]
        for path in paths:
            name = last(path)
            for exact in (name, _bare(name)):
                if exact in self._exact:
                    return self._group("=" + exact, self._exact[exact]).meant(folder_of(path), line.scope)
        for path in paths:
            name = loosened(_bare(last(path)))
            photos = self._loosely(name)
            if photos:
                return self._group("~" + name, photos).meant(folder_of(path), line.scope)[0], LOOSE
        return [], LOOSE

    def _loosely(self, name: str) -> List[str]:
        """The pictures of nearly this name, or with an XML of it."""
        if not self._loose:
            for pair in self._items:
                for path in (pair.photo, pair.xml):
                    found = self._loose.setdefault(loosened(own_name(path)), []) if path else []
                    if pair.photo not in found[-1:]:
                        found.append(pair.photo)
        return self._loose.get(name, [])

    def _group(self, key: str, photos: List[str]) -> "_Group":
        if key not in self._groups:
            self._groups[key] = _Group(photos)
        return self._groups[key]


class _Group:
    """Pictures of one name, by the beginnings and the endings of their folders."""

    def __init__(self, photos: List[str]) -> None:
        self._photos = photos
        self._below: Dict[str, List[str]] = {}
        self._ending: Dict[str, List[str]] = {}
        for photo in photos:
            folder = folder_of(photo)
            for ending in endings_of(folder):
                self._ending.setdefault(ending, []).append(photo)
            for beginning in _beginnings(folder) if len(photos) > 1 else []:
                self._below.setdefault(beginning, []).append(photo)

    def meant(self, folder: str, scope: str) -> Tuple[List[str], int]:
        for ending in endings_of(folder):
            if ending in self._ending:
                return self._ending[ending], IN_FOLDER
        return self._below.get(scope, self._photos), ELSEWHERE if folder else BARE


def _bare(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def _beginnings(folder: str) -> Iterator[str]:
    names = folder.split("/") if folder else []
    return ("/".join(names[:count]) for count in range(1, len(names) + 1))
