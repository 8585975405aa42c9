"""The split that a dataset brings along: lists as in PASCAL VOC's ImageSets/Main, or folders train, valid and test.

What somebody set aside to test with must not be trained on. So a dataset's own split holds, and chance decides only
where it says nothing.
"""

from typing import Dict, Hashable, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from stages.data.findings import Findings
from stages.data.pairing.names import WORDS, folder_of, parted
from stages.data.pairing.pairing import Folders, Pair
from stages.data.split.split_lists import TRAIN, VALIDATION, Said, said_of, side_named
from stages.job import BadInput


class Split(NamedTuple):
    """Which pictures go where.

    Attributes:
        source: ``imagesets``, ``folders``, or ``hash`` where the dataset brings no split along.
        sides: photo -> ``train``, ``validation`` or ``test``. A photo that is not here goes to training or validation
            by chance; so do all that are to train on where the dataset sets none aside for validation.
        items: the pictures without those that no part of the split names.
        notes: sentences to warn with.
    """

    source: str
    sides: Dict[str, str]
    items: List[Pair]
    notes: List[str]


def own_split(mode: str, items: List[Pair], folders: Folders, image_sets: Optional[str], findings: Findings) -> Split:
    """The split of the pictures that the dataset brings along.

    Args:
        mode: ``auto``, ``hash``, ``folders`` or ``imagesets``. auto takes lists that name at least half of the
            pictures, or else folders, or else neither.
        image_sets: the folder of the lists, where there is one.
        findings: where pictures outside of the split are told.

    Raises:
        BadInput: the split that ``mode`` asks for is not there, or a picture is on two sides by the lists.
    """
    notes: List[str] = []
    if mode in ("auto", "imagesets"):
        said = said_of(image_sets, items) if image_sets else Said([], items)
        why_not = _why_no_lists(said, items, image_sets or "ImageSets/Main beside or in %s" % folders.photos)
        if not why_not:
            return _by_lists(said, items, findings)
        if mode == "imagesets":
            raise BadInput("records.split is imagesets, but %s. Mend the lists, or set dataset.image_sets." % why_not)
        if said.lists:
            notes.append("The lists of the dataset's split are passed over, as %s." % why_not)
    if mode in ("auto", "folders"):
        split = _by_folders(items, findings, notes)
        if split:
            return split
        if mode == "folders":
            raise BadInput(
                "records.split is folders, but the photos below %s are not in folders train and valid, val, validation"
                ' or test. Move them there, or set records.split = "auto".' % folders.photos
            )
    return Split("hash", {}, items, notes)


def side_of(path: str) -> str:
    """The side that a folder of the path names, empty if none does.

    The outermost counts: a folder of a class, or of a camera, may be named train as well.
    """
    return next((side for name in path.split("/")[:-1] for side in [side_named(parted(name)[0])] if side), "")


def _why_no_lists(said: Said, items: List[Pair], place: str) -> str:
    """Why the lists do not decide; empty if they do."""
    if not said.names:
        return "no list train.txt, val.txt, trainval.txt or test.txt with a name is in %s" % place
    if said.has_train and 2 * len(said.placed) < len(items):
        return "they name %d of %d pictures%s" % (len(said.placed), len(items), said.unknown_words(", and not "))
    if 2 * len(said.unknown) > said.names and not said.has_train:
        return "most of their names are of pictures that are not there%s" % said.unknown_words(": ")
    return ""


def _by_lists(said: Said, items: List[Pair], findings: Findings) -> Split:
    """What is in no list is not trained on, unless there is only a list of what to keep from training."""
    sides, between = said.sides()
    if not said.has_train:
        sides.update((pair.photo, TRAIN) for pair in items if pair.photo not in sides)
    words = "The lists of the split name pictures that are not there, or have no XML: %s."
    notes = [words % said.unknown_words("")] if said.unknown else []
    return _concluded("imagesets", sides, between, items, findings, notes)


def _by_folders(items: List[Pair], findings: Findings, notes: List[str]) -> Optional[Split]:
    """A photo's own folders count before those of its XML."""
    for side in (side_of, _SideByWord([path for pair in items for path in (pair.photo, pair.xml or "")])):
        sides = {pair.photo: side(pair.photo) or side(pair.xml or "") for pair in items}
        named = {photo: side for photo, side in sides.items() if side}
        if TRAIN in named.values() and len(set(named.values())) > 1:
            return _concluded("folders", named, set(), items, findings, notes)
    return None


class _SideByWord:
    """``side_of`` for folders with a side among their words: ``WIDER_train``, if there is ``WIDER_val`` beside it."""

    def __init__(self, paths: Iterable[str]) -> None:
        there: Dict[Hashable, Set[str]] = {}
        for folder in {folder_of(path) for path in paths}:
            for siblings, side in _sides_by_word(folder):
                there.setdefault(siblings, set()).add(side)
        self._split = {siblings for siblings, sides in there.items() if TRAIN in sides and len(sides) > 1}

    def __call__(self, path: str) -> str:
        return next((side for key, side in _sides_by_word(folder_of(path)) if key in self._split), "")


def _sides_by_word(folder: str) -> Iterator[Tuple[Hashable, str]]:
    """For each name on the way to a folder with a side among its words: where it is with its other words, the side."""
    names = folder.split("/")
    for depth, name in enumerate(names):
        words = [word for word in WORDS.split(name) if not word.isdigit()]
        for place, word in enumerate(words):
            if side_named(word):
                yield (*names[:depth], *words[:place], "", *words[place + 1 :]), side_named(word)


def _concluded(
    source: str, sides: Dict[str, str], by_chance: Set[str], items: List[Pair], findings: Findings, notes: List[str]
) -> Split:
    """Without the pictures that the split does not name, unless chance is to place them."""
    words = "no list of the dataset's split names it" if source == "imagesets" else "it is in no folder of the split"
    kept = [
        pair
        for pair in items
        if pair.photo in sides or pair.photo in by_chance or findings.fixes("not_in_split", pair.photo, words)
    ]
    if VALIDATION not in sides.values():
        sides = {photo: side for photo, side in sides.items() if side != TRAIN}
    return Split(source, sides, kept, notes)
