"""Which pictures are asked for, and in which order: from the words of an address to conditions in SQL."""

import re
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from starlette.datastructures import QueryParams

from stages.view.index import SIZES, folded

SORTS = {
    "order": "picture.key",
    "name": "picture.folded",
    "boxes": "picture.fewest",
    "smallest": "picture.smallest",
    "worst": "judged.good",
}
MOST_NUMBER = 1 << 40


class Unusable(ValueError):
    """A word of an address that means nothing; a sentence."""


class PictureSelection(NamedTuple):
    """Pictures of these, each where it is not empty; box conditions are about one and the same box of a picture.

    ``sources`` are numbers of sources, ``sizes`` places in ``SIZES``; ``run`` names detections that are shown.
    """

    sources: Tuple[int, ...] = ()
    classes: Tuple[str, ...] = ()
    splits: Tuple[str, ...] = ()
    findings: Tuple[str, ...] = ()
    name: str = ""
    sizes: Tuple[int, ...] = ()
    truncated: bool = False
    difficult: bool = False
    empty: bool = False
    run: str = ""
    boxes_min: Optional[int] = None
    boxes_max: Optional[int] = None
    sort: str = "order"


def selection(words: QueryParams, sources: Sequence[str], runs: Sequence[str]) -> PictureSelection:
    """The selection that the words of an address ask for; ``sources`` and ``runs`` are the ids that there are.

    Raises:
        Unusable: a word is none of those that there are.
    """
    chosen = PictureSelection(
        tuple(sources.index(one) for one in _known(words, "source", sources)),
        tuple(words.getlist("class")),
        tuple(words.getlist("split")),
        tuple(words.getlist("finding")),
        folded(words.get("name", "")),
        tuple(SIZES.index(one) for one in _known(words, "size", SIZES)),
        _flag(words, "truncated"),
        _flag(words, "difficult"),
        _flag(words, "empty"),
        (_known(words, "run", runs) or [""])[0],
        number(words, "boxes_min"),
        number(words, "boxes_max"),
        (_known(words, "sort", list(SORTS)) or ["order"])[0],
    )
    if chosen.sort == "worst" and not chosen.run:
        raise Unusable("sort=worst needs run=, the detections that are to be compared.")
    return chosen


def number(words: QueryParams, name: str) -> Optional[int]:
    """A whole number from 0 on; None where there is none.

    Raises:
        Unusable: it is something else.
    """
    text = words.get(name, "")
    if not text:
        return None
    if not (re.fullmatch("[0-9]{1,20}", text) and int(text) < MOST_NUMBER):
        raise Unusable("%s=%s: expected a whole number from 0." % (name, text[:40]))
    return int(text)


def conditions(chosen: PictureSelection) -> Tuple[str, List[Any]]:
    """What stands behind WHERE, and the values of its question marks."""
    where = _Where()
    where.among("picture.source IN (%s)", chosen.sources)
    where.among("picture.split IN (%s)", chosen.splits)
    _box_conditions(chosen, where)
    if "any" in chosen.findings:
        where.add("picture.findings > 0")
    else:
        where.among("picture.key IN (SELECT picture FROM finding WHERE kind IN (%s))", chosen.findings)
    if chosen.name:
        where.add("instr(picture.folded, ?)", chosen.name)
    if chosen.empty:
        where.add("picture.boxes = 0")
    for text, limit in (("picture.boxes >= ?", chosen.boxes_min), ("picture.boxes <= ?", chosen.boxes_max)):
        if limit is not None:
            where.add(text, limit)
    return where.text(), where.values


class _Where:
    """Conditions, all of which must hold."""

    def __init__(self) -> None:
        self._clauses: List[str] = []
        self.values: List[Any] = []

    def add(self, clause: str, *values: Any) -> None:
        self._clauses.append(clause)
        self.values.extend(values)

    def among(self, clause: str, values: Sequence[Any]) -> None:
        """Add a clause that holds for any of the values; none of them: nothing is asked."""
        if values:
            self.add(clause % ", ".join("?" * len(values)), *values)

    def text(self) -> str:
        return " AND ".join(self._clauses) or "1"


def _box_conditions(chosen: PictureSelection, where: _Where) -> None:
    """What one and the same box of a picture must be."""
    box = _Where()
    box.among("class IN (SELECT number FROM class WHERE name IN (%s))", chosen.classes)
    for name, wanted in (("difficult", chosen.difficult), ("truncated", chosen.truncated)):
        if wanted:
            box.add(name + " = 1")
    if box.text() == "1" and chosen.sizes:  # quicker than a list of most pictures
        where.add("picture.sizes & ?", sum(1 << size for size in set(chosen.sizes)))
        return
    box.among("size IN (%s)", chosen.sizes)
    if box.text() != "1":
        where.add("picture.key IN (SELECT picture FROM facet WHERE %s)" % box.text(), *box.values)


def tables(chosen: PictureSelection) -> str:
    """What stands behind FROM: sorted by a run, there are the pictures that it has looked at."""
    return "run.judged JOIN picture ON picture.key = judged.picture" if chosen.sort == "worst" else "picture"


def _known(words: QueryParams, name: str, known: Sequence[str]) -> List[str]:
    asked = words.getlist(name)
    for one in asked:
        if one not in known:
            raise Unusable("%s=%s: there is none; there are %s." % (name, one[:80], ", ".join(known) or "none"))
    return list(asked)


def _flag(words: QueryParams, name: str) -> bool:
    return words.get(name, "") in ("1", "true")
