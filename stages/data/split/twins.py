"""The same photo several times with other objects each time, as OIDv4's toolkit downloads it once for each class."""

from collections import Counter
from typing import Any, Dict, List, Tuple

import numpy as np

from stages.data.split.groups import Gallery
from stages.overlap import iou

SAME_OBJECT = 0.3  # IoU: two people draw the box of one object so much alike, or more


class Twins:
    """Pairs of photos with equal bytes of which one has an object that the other has not: ``differing``.

    Each photo is held against the first of those with its bytes.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        times = Counter(gallery.digest(place) for place in range(len(gallery.photos)))
        self._repeated = {digest for digest, count in times.items() if count > 1}
        self._first: Dict[bytes, Tuple[str, Dict[str, Any]]] = {}
        self.differing: List[Tuple[str, str]] = []

    def add(self, place: int, facts: Dict[str, Any]) -> None:
        """A record that is kept, the picture at ``place`` of the gallery, with its ``facts``."""
        digest = self._gallery.digest(place)
        if digest not in self._repeated:
            return
        photo = self._gallery.photos[place]
        first, its_facts = self._first.setdefault(digest, (photo, facts))
        if not _have_the_same_objects(facts, its_facts):
            self.differing.append((first, photo))

    def words(self) -> str:
        """A sentence to warn with."""
        return (
            "%d photos are there once more with other objects, for instance %s and %s: what the XML of only one of them"
            " labels is background in the other. Write all objects into one XML, and remove the other photo."
            % ((len(self.differing),) + self.differing[0])
        )


def _have_the_same_objects(one: Dict[str, Any], other: Dict[str, Any]) -> bool:
    """Whether every object of each has one of its class at its place in the other, labelled twice or not."""
    classes = np.array(one["classes"])[:, np.newaxis] == np.array(other["classes"])
    same = classes & (iou(_boxes(one), _boxes(other)) >= SAME_OBJECT)
    return bool(same.any(axis=0).all() and same.any(axis=1).all())


def _boxes(facts: Dict[str, Any]) -> np.ndarray:
    return np.array(facts["boxes"], np.float64).reshape(-1, 4)
