"""What a dataset of any tool holds, as plain values: what readers make, and the VOC writer takes.

Boxes are edges in pixels of the picture as labelling tools show it, as in stages/data/annotation/boxes.py. Nothing is
judged or mended here: an object whose place cannot be read has no box, and `records` decides what becomes of it.
"""

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

from stages.data.annotation.boxes import Box, WholeSize
from stages.data.annotation.geometry import TurnedRectangle

Attributes = Tuple[Tuple[str, str], ...]
CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
Outline = Sequence[float]  # x, y, x, y, … in pixels


class TurnedBox(NamedTuple):
    """A box turned around its centre (x, y): sides in pixels, radians clockwise to see, as roLabelImg has them."""

    x: float
    y: float
    width: float
    height: float
    radians: float

    @classmethod
    def of_edges(cls, box: Box, degrees: float) -> "TurnedBox":
        """A box that is turned by degrees around its centre, as CVAT writes it."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return cls(x, y, abs(box[2] - box[0]), abs(box[3] - box[1]), math.radians(degrees % 360))

    def enclosing(self) -> Box:
        """The box around it."""
        return self._rectangle().box()

    def corners(self) -> List[float]:
        """x, y of its four corners, the first being the upper left one before the turn."""
        cos, sin = math.cos(self.radians), math.sin(self.radians)
        sides = [(across * self.width / 2, down * self.height / 2) for across, down in CORNERS]
        return [edge for a, b in sides for edge in (self.x + a * cos - b * sin, self.y + a * sin + b * cos)]

    def _rectangle(self) -> TurnedRectangle:
        return TurnedRectangle(self.x, self.y, self.width, self.height, math.cos(self.radians), math.sin(self.radians))


class ExchangeObject(NamedTuple):
    """An object: ``name`` is empty where its class is not told, ``box`` None where its place is not known.

    Attributes:
        polygons: its outline, which may have several parts.
        turned: the box that ``box`` encloses.
        attributes: name and value of what else is told of it.
    """

    name: str
    box: Optional[Box]
    polygons: Sequence[Outline] = ()
    turned: Optional[TurnedBox] = None
    difficult: bool = False
    truncated: bool = False
    occluded: bool = False
    attributes: Attributes = ()


class ExchangePicture(NamedTuple):
    """A picture: the path of its photo below the folder of photos; ``side`` is train, validation, test or empty.

    ``size`` is (width, height) as the tool tells it, or else the upright photo's; None where neither is known.
    """

    photo: str
    size: Optional[WholeSize]
    objects: Sequence[ExchangeObject]
    side: str = ""
