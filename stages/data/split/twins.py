"""The same photo several times with other objects each time, as OIDv4's toolkit downloads it once for each class."""

from collections import Counter
from typing import Any, Dict, Hashable, List, Tuple

from stages.data.split.groups import Gallery

DIGITS = 4  # of shares of the picture, to which boxes are compared


class Twins:
    """Pairs of photos with equal bytes whose records differ in their objects: ``differing``, the first such of each."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        times = Counter(gallery.digest(place) for place in range(len(gallery.photos)))
        self._repeated = {digest for digest, count in times.items() if count > 1}
        self._first: Dict[bytes, Tuple[str, Hashable]] = {}
        self.differing: List[Tuple[str, str]] = []

    def add(self, place: int, facts: Dict[str, Any]) -> None:
        """A record that is kept, the picture at ``place`` of the gallery, with its ``facts``."""
        digest = self._gallery.digest(place)
        if digest not in self._repeated:
            return
        boxes = [tuple(round(edge, DIGITS) for edge in box) for box in facts["boxes"]]
        objects = frozenset(zip(facts["classes"], boxes))
        photo = self._gallery.photos[place]
        first, its_objects = self._first.setdefault(digest, (photo, objects))
        if objects != its_objects:
            self.differing.append((first, photo))

    def words(self) -> str:
        """A sentence to warn with."""
        return (
            "%d photos are there once more with other objects, for instance %s and %s: what the XML of only one of them"
            " labels is background in the other. Write all objects into one XML, and remove the other photo."
            % ((len(self.differing),) + self.differing[0])
        )
