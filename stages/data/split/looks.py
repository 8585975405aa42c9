"""How a picture looks, in 256 bits, and which of many look nearly the same, without comparing all with all.

The bits are the signs of the lowest frequencies of the picture's cosine transform against their median ("pHash"): they
stay where it is compressed anew, made lighter or darker, or an object in it moves. Measured on photos: JPEG of quality
20 changes 2 to 10 of them, another brightness, contrast or gamma up to 32, a crop of 1 % of every side up to 26, a
shift by 2 % of the width about 44; of twenty thousand pairs of different photos none was nearer than 86. In pictures of
little but noise more change: JPEG of quality 60 changes 42 to 60, and others of the same kind were no nearer than 80.
"""

from typing import Iterator, NamedTuple

import cv2
import numpy as np

BITS, BANDS = 256, 16
FLATTEST = 2.0  # grey levels, the standard deviation under which nothing but noise would be compared
FEW = 2000  # rows that are compared all with all, which takes a second
WINDOW = 32


class Closeness(NamedTuple):
    """How many bits may differ between any two pictures, and between two that are near in a numbered sequence."""

    any_two: int
    neighbours: int


TOGETHER = Closeness(56, 64)  # to be kept on one side
SAME = Closeness(32, 40)  # to be called the same, so that one is left out: that takes more


class NearPairs(NamedTuple):
    """int64 [m] each: the places of pictures that look alike."""

    first: np.ndarray
    second: np.ndarray


def look(picture: np.ndarray) -> bytes:
    """32 bytes for ``picture`` (uint8 RGB [h, w, 3]), all 0 if there is nothing on it."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() < FLATTEST:
        return bytes(BITS // 8)
    low = cv2.dct(small)[:16, :16].ravel()
    low[0] = -np.inf  # the mean: how light the picture is
    signs: bytes = np.packbits(low > np.median(low[1:])).tobytes()
    return signs


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How many bits differ, int64 [m], between looks (uint64 [m, 4]) row by row."""
    bits = first ^ second
    # Each step adds neighbouring fields, which are then twice as wide.
    for shift, mask in ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F)):
        bits = (bits & np.uint64(mask)) + ((bits >> np.uint64(shift)) & np.uint64(mask))
    return bits.view(np.uint8).reshape(len(first), BITS // 8).sum(axis=1, dtype=np.int64)


def near_pairs(looks: np.ndarray, most: int) -> Iterator[NearPairs]:
    """Pairs of rows of ``looks`` (uint8 [n, 32]) that differ in at most ``most`` bits; rows of zeros are in none.

    All of them, up to ``FEW`` rows. Of more, rows that have one of the ``BANDS`` bands of 16 bits in common are sorted
    by the bits after it, and each is compared with the ``WINDOW`` next: at most 512 comparisons a row. So every pair
    with fewer than 16 differing bits is found, and of those in random places 99 in 100 with 24 and a third with 56,
    where no more than ``WINDOW`` rows share the band. Where more do, as from a fixed camera, the nearest are found, and
    through them the others.
    """
    rows = np.flatnonzero(looks.any(axis=1))
    words = looks[rows].view(np.uint64)
    if len(rows) <= FEW:
        for pairs in _candidates(np.arange(len(rows)), np.zeros(len(rows)), len(rows)):
            yield _near(rows, words, pairs, most)
        return
    for band in range(BANDS):
        turned = np.roll(looks[rows], -2 * band, axis=1)[:, :8]
        keys = np.ascontiguousarray(turned).view(">u8").ravel().astype(np.uint64)
        order = np.argsort(keys, kind="stable")
        for pairs in _candidates(order, (keys >> np.uint64(48))[order], WINDOW + 1):
            yield _near(rows, words, pairs, most)


def _candidates(order: np.ndarray, key: np.ndarray, end: int) -> Iterator[NearPairs]:
    """The pairs in ``order`` that have the same ``key`` and are less than ``end`` places apart."""
    for step in range(1, min(end, len(order))):
        places = np.flatnonzero(key[:-step] == key[step:])
        if not len(places):
            return
        yield NearPairs(order[places], order[places + step])


def _near(rows: np.ndarray, words: np.ndarray, pairs: NearPairs, most: int) -> NearPairs:
    near = distances(words[pairs.first], words[pairs.second]) <= most
    return NearPairs(rows[pairs.first[near]], rows[pairs.second[near]])
