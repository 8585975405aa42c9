"""A picture of a random dataset in the making, with what must come of it."""

from random import Random
from typing import Dict, List, Optional, Set, Tuple

import numpy as np
import random_pictures as pictures
from random_annotations import POLICIES, Box, Thing, Writing, annotation
from random_pictures import Kept

ASTRAY = ("same_name", "ambiguous_name", "not_in_split", "leak")
SIZES = ((48, 32), (48, 32), (32, 48), (40, 40))
# What becomes of a picture: with boxes, without, or not in the records at all.
KEPT, BACKGROUND, DROPPED = "kept", "background", "dropped"


class Draft:
    """A picture in the making, and its truth.

    Attributes:
        pixels: the upright picture, uint8 RGB [height, width, 3].
        photo, xml: paths below the dataset's folder; empty where there is no such file.
        data, xml_data: the files, where they are not simply the picture and its annotation.
        lost: under which policies the picture must go.
        kinds: what must be found, and nothing else; ``a|b``: either.
        flaw: what is wrong with it, empty where nothing is. Those of ASTRAY are for the layout to make true.
        side: train, validation or test by the dataset's own split, empty where it says nothing.
        group: pictures of one group are copies of one photo.
    """

    def __init__(self, rng: Random, number: int, names: List[str]) -> None:
        self.number = self.group = number
        self.size = rng.choice(SIZES)
        self.pixels: np.ndarray = pictures.picture(rng.randrange(2**31), self.size)
        self.kept = Kept(
            rng.choice((pictures.JPEG,) * 4 + (pictures.PNG, pictures.BMP, pictures.WEBP, pictures.TIFF)), 1
        )
        self.suffix = rng.choice(pictures.SUFFIXES[self.kept.format])
        self.photo_stem = self.xml_stem = "photo-%03d" % number
        self.filename: Optional[str] = None
        self.photo = self.xml = ""
        self.has_photo = self.has_xml = True
        self.data: Optional[bytes] = None
        self.xml_data: Optional[bytes] = None
        self.writing = Writing(rng, self.size)
        self.things: List[Thing] = []
        self.things.extend(self.thing(rng, name) for name in names)
        self.lost: Set[str] = set()
        self.kinds: Set[str] = set()
        self.side = self.flaw = ""

    def thing(self, rng: Random, name: str) -> Thing:
        """One more object, of whole pixels or half ones, unlike those that are there."""
        width, height = self.size
        step, most = rng.choice((1, 1, 2)), rng.choice((12, min(self.size) - 2))
        while True:
            w, h = (rng.randint(8 * step, most * step) / step for _ in self.size)
            x, y = rng.randint(0, int((width - w) * step)) / step, rng.randint(0, int((height - h) * step)) / step
            box: Box = (x, y, x + w, y + h)
            if box not in [one.box for one in self.things]:
                return Thing(name, box)

    def goes(self, kind: str, *policies: str) -> None:
        """It has the finding ``kind``, for which it is left out under these policies, or all."""
        self.lost |= set(policies or POLICIES)
        self.kinds.add(kind)

    def boxes(self, policy: str) -> List[Tuple[str, Box]]:
        """What must be in the records of it, in the order of the XML."""
        if self.state(policy) != KEPT:
            return []
        return [truth for thing in self.things for truth in thing.fates[policy]]

    def state(self, policy: str) -> str:
        """kept (with boxes), background (without) or dropped."""
        if policy in self.lost or not self.has_photo:
            return DROPPED
        return KEPT if any(thing.fates[policy] for thing in self.things) else BACKGROUND

    def files(self) -> Dict[str, bytes]:
        """Path and content of its files."""
        found = {}
        if self.has_photo:
            found[self.photo] = pictures.encoded(self.pixels, self.kept) if self.data is None else self.data
        if self.has_xml:
            name = self.photo.rsplit("/", 1)[-1] if self.filename is None else self.filename
            told = annotation(name, self.things, self.writing)
            found[self.xml] = told if self.xml_data is None else self.xml_data
        return found
