"""Which side each picture goes to: as the dataset's own split says, or by chance; groups stay together.

Chance hangs on the seed and the SHA-256 of the photo's file alone, for a group on the smallest of its photos'. So a new
photo moves no other unless it belongs to its group, a renamed one stays, and two copies never end up on both sides.
"""

import hashlib
from typing import Dict, Iterable, List, NamedTuple, Optional, Set

from stages.data.findings import Findings
from stages.data.split.groups import Gallery
from stages.data.split.split_lists import TEST, TRAIN, VALIDATION
from stages.data.split.splits import Split

SIDES = (TRAIN, VALIDATION, TEST)  # a picture of a group on several sides is one too many on all but the last
SHARES = 2**64  # a group's share is a whole number below this, evenly distributed
LARGEST = 0.5  # share of the pictures placed by chance: a larger group is trained on, the others can validate


class Chance(NamedTuple):
    """``fraction`` of the pictures that chance places are to be for validation."""

    seed: int
    fraction: float


class Sides(NamedTuple):
    """The side of each picture, None for one that is left out as a leak.

    ``moved``: a group changed over so that no side is empty; ``drawn``: the dataset's own split has no validation, and
    chance took one out of what is trained on.
    """

    of: List[Optional[str]]
    moved: bool
    drawn: bool


class Groups(NamedTuple):
    """The same label for pictures of one group: ``together`` stay on one side where chance decides, ``same`` must not
    be on two sides of the dataset's own split, which takes more likeness, since pictures go for it."""

    together: List[int]
    same: List[int]


def is_completed_by_chance(gallery: Gallery, split: Split) -> bool:
    """Whether the dataset's own split leaves pictures to chance, or has none for validation."""
    named = [split.sides.get(photo) for photo in gallery.photos]
    return split.source != "hash" and (None in named or VALIDATION not in named)


def placed(gallery: Gallery, groups: Groups, split: Split, chance: Chance, findings: Findings) -> Sides:
    """The side of every picture of ``gallery``.

    Raises:
        BadInput: a leak, if the policy is to fail.
    """
    own = [split.sides.get(photo) for photo in gallery.photos]
    drawn = split.source != "hash" and VALIDATION not in own and chance.fraction > 0
    if drawn:
        own = [None if side == TRAIN else side for side in own]
    labels = groups.together
    sides = _with_their_groups(own, labels)
    free = [place for place, side in enumerate(sides) if side is None]
    shares = _shares(gallery, labels, free, chance.seed)
    threshold = int(chance.fraction * SHARES)
    wanted = balanced(shares.values(), threshold) if VALIDATION not in sides else threshold
    chosen: List[Optional[str]] = list(sides)
    for place in free:
        chosen[place] = VALIDATION if shares[labels[place]] < wanted else TRAIN
    return Sides(_without_leaks(gallery, groups.same, chosen, findings), wanted != threshold, drawn)


def balanced(shares: Iterable[int], threshold: int) -> int:
    """The threshold that leaves no side empty: ``threshold`` itself, or the nearest that moves a group over."""
    different = set(shares)
    if threshold == 0 or len(different) < 2:
        return threshold
    return min(max(threshold, min(different) + 1), max(different))


def _with_their_groups(own: List[Optional[str]], labels: List[int]) -> List[Optional[str]]:
    """Pictures that the dataset's own split does not name go where others of their group are, but never to test."""
    of_group: Dict[int, str] = {}
    for label, side in zip(labels, own):
        if side in (TRAIN, VALIDATION):
            of_group[label] = max(side, of_group.get(label, TRAIN), key=SIDES.index)
    return [side or of_group.get(label) for label, side in zip(labels, own)]


def _shares(gallery: Gallery, labels: List[int], free: List[int], seed: int) -> Dict[int, int]:
    """The share of each group of the pictures at the places ``free``."""
    digests: Dict[int, bytes] = {}
    members: Dict[int, int] = {}
    for place in free:
        label, digest = labels[place], gallery.digest(place)
        digests[label] = min(digest, digests.get(label, digest))
        members[label] = members.get(label, 0) + 1
    return {
        label: SHARES - 1
        if members[label] > LARGEST * len(free)
        else int.from_bytes(hashlib.sha256(b"%d:%s" % (seed, digest)).digest()[:8], "big")
        for label, digest in digests.items()
    }


def _without_leaks(
    gallery: Gallery, labels: List[int], sides: List[Optional[str]], findings: Findings
) -> List[Optional[str]]:
    """Of a group on several sides, only those on the last stay, unless the policy is to leave them."""
    others: Dict[int, int] = {}
    on: Dict[int, Set[Optional[str]]] = {}
    for place, (label, side) in enumerate(zip(labels, sides)):
        on.setdefault(label, set()).add(side)
        if label not in others or SIDES.index(str(side)) > SIDES.index(str(sides[others[label]])):
            others[label] = place
    kept: List[Optional[str]] = list(sides)
    for place, (label, side) in enumerate(zip(labels, sides)):
        other = others[label]
        if len(on[label]) > 1 and side != sides[other]:
            message = "it is for %s and nearly the same picture as %s, which is for %s"
            told = message % (side, gallery.photos[other], sides[other])
            if not findings.fixes("leak", gallery.photos[place], told):
                kept[place] = None
    return kept
