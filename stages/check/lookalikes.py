"""Pictures that look alike: copies of a photo, other sizes of it, frames of a video; and where the split parts them.

A picture that is trained on and tested with makes the figures of `evaluate` better than the detector is.
"""

from typing import Any, Dict, List, NamedTuple, Set, Tuple

import numpy as np

from stages.check.dataset import SPLITS, CheckedData
from stages.data.split import looks

MOST_PAIRS = 24
KEPT = 4096  # pairs that may be shown, the nearest first; memory does not grow with the others
ALIKE, SAME = looks.TOGETHER.any_two, looks.SAME.any_two


class Pairs(NamedTuple):
    """int64 [k] each: two pictures and how many of their bits differ."""

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray

    def key(self) -> np.ndarray:
        """int64 [k]: what makes a pair the same pair; there are fewer than 2^31 pictures."""
        return np.asarray(self.first << 32 | self.second)


class Alike(NamedTuple):
    """What looks alike.

    Attributes:
        pictures: bool [n], those with a look-alike (at most ``ALIKE`` bits).
        same: bool [n], those with one that is nearly the same (at most ``SAME`` bits).
        across: bool [n], those with one that is nearly the same and trained on while they are not, or the reverse.
        pairs: the pairs to show: those on two sides of the split first, then the nearest; each picture once.
    """

    pictures: np.ndarray
    same: np.ndarray
    across: np.ndarray
    pairs: List[Tuple[int, int, int]]


def find(data: CheckedData, rows: np.ndarray) -> Alike:
    """Compare the pictures by their looks (uint8 [n, 32])."""
    split, count = data.pictures.split, len(rows)
    alike, same, across = (np.zeros(count, bool) for _ in range(3))
    empty = np.zeros(0, np.int64)
    kept = {True: Pairs(empty, empty, empty), False: Pairs(empty, empty, empty)}
    words = rows.view(np.uint64)
    for near in looks.near_pairs(rows, ALIKE):
        first, second = np.minimum(near.first, near.second), np.maximum(near.first, near.second)
        pairs = Pairs(first, second, looks.distances(words[first], words[second]))
        alike[first] = alike[second] = True
        close = pairs.bits <= SAME
        same[first[close]] = same[second[close]] = True
        parted = split[first] != split[second]
        across[first[close & parted]] = across[second[close & parted]] = True
        for side in (True, False):
            kept[side] = _nearest(kept[side], Pairs(*(column[parted == side] for column in pairs)))
    return Alike(alike, same, across, _shown(kept[True], kept[False]))


def _nearest(some: Pairs, more: Pairs) -> Pairs:
    """The ``KEPT`` nearest of both, each once; which they are does not hang on the order in which they come."""
    joined = Pairs(*(np.concatenate(columns) for columns in zip(some, more)))
    order = np.lexsort((joined.second, joined.first, joined.bits))
    joined = Pairs(*(column[order] for column in joined))
    _, first = np.unique(joined.key(), return_index=True)
    chosen = np.sort(first)[:KEPT]
    return Pairs(*(column[chosen] for column in joined))


def _shown(parted: Pairs, together: Pairs) -> List[Tuple[int, int, int]]:
    seen: Set[int] = set()
    shown: List[Tuple[int, int, int]] = []
    for pairs in (parted, together):
        for first, second, bits in zip(*(column.tolist() for column in pairs)):
            if first not in seen and second not in seen and len(shown) < MOST_PAIRS:
                seen.update((first, second))
                shown.append((first, second, bits))
    return shown


def figures(data: CheckedData, alike: Alike) -> Dict[str, Any]:
    """What the page says of them; ``across`` counts the pictures of each split that have one on another side."""
    pictures = data.pictures
    across = np.bincount(pictures.split[alike.across], minlength=len(SPLITS))
    return {
        "alike": int(alike.pictures.sum()),
        "same": int(alike.same.sum()),
        "across": {split: int(across[SPLITS.index(split)]) for split in data.splits},
        "pairs": [
            {
                "first": data.told(first),
                "second": data.told(second),
                "bits": bits,
                "across": bool(pictures.split[first] != pictures.split[second]),
                "sizes_differ": bool((pictures.sizes[first] != pictures.sizes[second]).any()),
            }
            for first, second, bits in alike.pairs
        ],
    }
