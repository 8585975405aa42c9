"""Which pictures belong together, so that none of them is trained on while another one tests the training.

Copies of one photo (by name, as Roboflow makes them, or by content) and pictures of one size that look alike: frames of
a video, bursts, copies saved anew. Of another size, such as a photo's preview, they are told but not kept together.
"""

import re
from array import array
from typing import Dict, Hashable, Iterator, List, NamedTuple, Tuple

import numpy as np

from stages.data.pairing.names import own_name
from stages.data.split import augmented, looks

# roboflow.com: the photo's own name and suffix, then what tells its copies apart.
COPY = re.compile(r"(.+)\.rf\.[0-9A-Za-z]{16,64}$")
NUMBERED = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)$", re.DOTALL)
STEPS = 3  # how many of the next pictures of a numbered sequence each is compared with
ALL_ALIKE = 0.9  # share of the pictures: a group of more leaves too few for the other side
FIXED_CAMERA = 0.1  # share of the pictures, and at least so many:
LEAST_FIXED_CAMERA = 100


class Gallery:
    """What must be known of every picture to group them: its name and about 100 bytes."""

    def __init__(self) -> None:
        self.photos: List[str] = []
        self._digests, self._looks = bytearray(), bytearray()
        self._sizes = array("L")

    def add(self, photo: str, digest: bytes, look: bytes, size: Tuple[int, int]) -> None:
        """A picture: the SHA-256 of its file, its ``looks.look`` and its (width, height)."""
        self.photos.append(photo)
        self._digests += digest
        self._looks += look
        self._sizes.extend(size)

    def digest(self, place: int) -> bytes:
        """The SHA-256 of a picture's file."""
        return bytes(self._digests[32 * place : 32 * place + 32])

    def looks(self) -> np.ndarray:
        """uint8 [n, 32]."""
        return np.frombuffer(bytes(self._looks), np.uint8).reshape(-1, looks.BITS // 8)

    def sizes(self) -> np.ndarray:
        """int64 [n, 2]: width, height."""
        return np.array(self._sizes, np.int64).reshape(-1, 2)


class AllAlike(NamedTuple):
    """So many pictures that look alike that they are not kept together; two for instance."""

    pictures: int
    first: str
    second: str


class Grouping(NamedTuple):
    """int64 [n] ``labels``: pictures of one group have the same; ``resized``: pairs that look alike at another size."""

    labels: np.ndarray
    all_alike: List[AllAlike]
    resized: List[Tuple[int, int]]


def grouped(gallery: Gallery, closeness: looks.Closeness) -> Grouping:
    """The groups of a gallery, of pictures that look so close. They do not hang on the order of the pictures."""
    copies = np.arange(len(gallery.photos))
    of_roboflow = [_photo_of(*one) for one in enumerate(gallery.photos)]
    digests: List[Hashable] = [gallery.digest(place) for place in range(len(gallery.photos))]
    for keys in (of_roboflow, augmented.photos_of(gallery.photos), digests):
        first: Dict[Hashable, int] = {}
        places = [first.setdefault(key, place) for place, key in enumerate(keys)]
        copies = _joined(copies, np.arange(len(places)), np.array(places, np.int64))
    labels, resized = copies, []  # type: np.ndarray, List[Tuple[int, int]]
    sizes = gallery.sizes()
    for pairs in _alike(gallery, closeness):
        same = (sizes[pairs.first] == sizes[pairs.second]).all(axis=1)
        labels = _joined(labels, pairs.first[same], pairs.second[same])
        if not same.all() and len(resized) < len(labels):
            resized += [(int(one), int(other)) for one, other in zip(pairs.first[~same], pairs.second[~same])]
    labels, all_alike = _without_all_alike(gallery, copies, labels, closeness)
    apart = {(min(pair), max(pair)) for pair in resized if labels[pair[0]] != labels[pair[1]]}
    return Grouping(labels, all_alike, sorted(apart))


def _photo_of(place: int, photo: str) -> Hashable:
    """The photo that a picture is a copy of, by its name; the picture's own place if it is none."""
    copy = COPY.match(own_name(photo))
    return copy.group(1) if copy else place


def _alike(gallery: Gallery, closeness: looks.Closeness) -> Iterator[looks.NearPairs]:
    rows = gallery.looks()
    yield from looks.near_pairs(rows, closeness.any_two)
    words, seen = rows.view(np.uint64), rows.any(axis=1)
    for order, sequence in _sequences(gallery.photos):
        for step in range(1, min(STEPS + 1, len(order))):
            one = sequence[:-step] == sequence[step:]
            first, second = order[:-step][one], order[step:][one]
            near = looks.distances(words[first], words[second]) <= closeness.neighbours
            near &= seen[first] & seen[second]
            yield looks.NearPairs(first[near], second[near])


def _sequences(photos: List[str]) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """The places of numbered names in the order of their numbers, and the number of each one's sequence, int64 [n].

    Twice: within a folder, and whatever the folder, as where the frames of a video were dealt out to train and valid.
    """
    for within_folder in (True, False):
        named: List[Tuple[str, int, int]] = []
        for place, photo in enumerate(photos):
            copy = COPY.match(own_name(photo))
            parts = NUMBERED.match(copy.group(1) if copy else own_name(photo))
            if parts:
                folder = photo.rpartition("/")[0] if within_folder else ""
                named.append(("%s/%s\0%s" % (folder, parts.group(1), parts.group(3)), int(parts.group(2)), place))
        named.sort()
        begins = [one[0] != other[0] for one, other in zip(named, named[1:])]
        yield np.array([place for _, _, place in named], np.int64), np.cumsum([False][: len(named)] + begins)


def _joined(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``labels`` (each the smallest place of its group) once every ``first`` belongs to the same group as its
    ``second``."""
    labels = labels.copy()
    while True:
        one, other = labels[first], labels[second]
        differ = one != other
        if not differ.any():
            return labels
        first, second = first[differ], second[differ]
        np.minimum.at(labels, np.maximum(one, other)[differ], np.minimum(one, other)[differ])
        while (labels[labels] != labels).any():
            labels = labels[labels]


def _without_all_alike(
    gallery: Gallery, copies: np.ndarray, labels: np.ndarray, closeness: looks.Closeness
) -> Tuple[np.ndarray, List[AllAlike]]:
    """Groups of so many look-alikes that keeping them together would do more harm than good: taken apart to copies."""
    labels, told = labels.copy(), []
    counts = np.bincount(labels, minlength=1)
    for label in np.flatnonzero(counts > FIXED_CAMERA * len(labels)):
        members = np.flatnonzero(labels == label)
        different = members[np.unique(copies[members], return_index=True)[1]]
        if len(different) > 1 and _harmful(gallery.looks()[members], len(labels), closeness.any_two):
            labels[members] = copies[members]
            told.append(AllAlike(len(members), gallery.photos[different[0]], gallery.photos[different[1]]))
    return labels, told


def _harmful(members: np.ndarray, pictures: int, most: int) -> bool:
    """Whether these are nearly all pictures, or those of a fixed camera: most look like their average."""
    if len(members) > ALL_ALIKE * pictures:
        return True
    average = np.packbits(np.unpackbits(members, axis=1).mean(axis=0) > 0.5).reshape(1, -1)
    near = looks.distances(members.view(np.uint64), average.view(np.uint64)) <= most
    return len(members) >= LEAST_FIXED_CAMERA and bool(near.mean() >= 0.5)
