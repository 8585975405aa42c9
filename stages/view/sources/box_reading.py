"""What the four numbers of a box mean, from the numbers of many: pixels or shares, and which of them is which edge.

Records that come from other tools have edges exchanged. Read as they are named, such boxes end before they begin, or
lie outside of their pictures; read the right way, they do not. That is what decides here, and it is always told.
"""

import math
from typing import Callable, Dict, NamedTuple, Sequence, Tuple

import numpy as np

from stages.view.sources.source import Edges

Four = Tuple[float, float, float, float]
Size = Tuple[int, int]
"""(width, height) in pixels."""

SHARES = 2.0  # no share of a picture is larger, but for a box that reaches far outside
SLACK = 0.02  # of the picture: how far a sound box may reach over an edge
MANY, FEW = 0.05, 0.2  # of the boxes; and how many bad ones of the first reading another one may leave
FEWEST, VARIED, STEEP = 20, 0.15, 1.4  # boxes, spread of pictures' shapes and slope that tell of x and y exchanged


class Order(NamedTuple):
    """A way to read four numbers a, b, c, d.

    Attributes:
        words: for people; of an order in which nothing is exchanged, the names of the four.
        edges: (a, b, c, d, height / width or 1) to (xmin, ymin, xmax, ymax).
    """

    words: str
    edges: Callable[[float, float, float, float, float], Four]


NAMED = Order("xmin, ymin, xmax, ymax", lambda a, b, c, d, _: (a, b, c, d))
TRANSPOSED = Order("x and y are exchanged", lambda a, b, c, d, _: (b, a, d, c))
ORDERS_OF_FOUR = (
    NAMED,
    TRANSPOSED,
    Order("xmin and ymin are exchanged", lambda a, b, c, d, _: (b, a, c, d)),
    Order("xmax and ymax are exchanged", lambda a, b, c, d, _: (a, b, d, c)),
    Order("minimum and maximum are exchanged", lambda a, b, c, d, _: (c, d, a, b)),
    Order("ymin and xmax are exchanged", lambda a, b, c, d, _: (a, c, b, d)),
    Order("xmax and ymax hold width and height", lambda a, b, c, d, _: (a, b, a + c, b + d)),
    Order("x is divided by the height and y by the width", lambda a, b, c, d, s: (a * s, b / s, c * s, d / s)),
)
WITH_SIDES = (Order("x, y, width, height", lambda a, b, c, d, _: (a, b, a + c, b + d)),)
CENTRED = Order(
    "x and y of the centre, width, height", lambda a, b, c, d, _: (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
)
BY_Y = Order("ymin, xmin, ymax, xmax", lambda a, b, c, d, _: (b, a, d, c))
# In shares, TensorFlow's order is the usual one; in pixels, PASCAL VOC's.
LISTED: Dict[bool, Sequence[Order]] = {
    True: (BY_Y, NAMED, *WITH_SIDES, CENTRED),
    False: (NAMED, BY_Y, *WITH_SIDES, CENTRED),
}


class BoxReading(NamedTuple):
    """How boxes are read; ``bad`` of ``seen`` are no boxes of their pictures even so.

    Attributes:
        first, bad_at_first: the usual order, and how many are bad by it.
        others: further orders that leave as few bad ones as the one that is taken, where that is not the usual one.
    """

    order: Order
    shares: bool
    bad: int
    seen: int
    first: Order
    bad_at_first: int
    others: Tuple[Order, ...] = ()

    def edges(self, four: Four, size: Size) -> Edges:
        """Four numbers of a record as shares of a picture of that size."""
        return _edges(self.order, four, size, self.shares)

    @property
    def is_exchanged(self) -> bool:
        return self.order is not self.first


def orders(named: bool, sided: bool) -> Dict[bool, Sequence[Order]]:
    """The orders that are thought of, in shares and in pixels, the usual one first.

    Args:
        named: each edge has a feature of its own.
        sided: these are named width and height.
    """
    if not named:
        return LISTED
    if sided:
        return {True: (*WITH_SIDES, CENTRED), False: (*WITH_SIDES, CENTRED)}
    return {True: ORDERS_OF_FOUR, False: ORDERS_OF_FOUR[:-1]}


def reading(boxes: Sequence[Tuple[Four, Size]], orders: Dict[bool, Sequence[Order]]) -> BoxReading:
    """The reading of these boxes, each with the size of its picture; ``orders`` in shares and in pixels, the usual one
    first, which another one replaces only where it leaves far fewer bad boxes."""
    known = [(four, size) for four, size in boxes if all(map(math.isfinite, four))]
    small = sum(max(map(abs, four)) <= SHARES for four, _ in known)
    shares = not known or small >= (1 - MANY) * len(known)
    sized = [(four, size) for four, size in known if shares or min(size) > 0]
    first = orders[shares][0]
    bad = {order: sum(_is_bad(_edges(order, *one, shares)) for one in sized) for order in orders[shares]}
    best = min(orders[shares], key=lambda order: bad[order])
    if bad[first] <= MANY * len(sized) or bad[best] > FEW * bad[first]:
        best = TRANSPOSED if shares and TRANSPOSED in orders[shares] and _lies_across(sized) else first
    others = tuple(one for one in orders[shares] if one not in (best, first) and bad[one] == bad[best])
    return BoxReading(best, shares, bad[best], len(sized), first, bad[first], others if best is not first else ())


def _edges(order: Order, four: Four, size: Size, shares: bool) -> Edges:
    width, height = size
    across = height / width if width and height else 1.0
    xmin, ymin, xmax, ymax = order.edges(*four, across)
    return (xmin, ymin, xmax, ymax) if shares else (xmin / width, ymin / height, xmax / width, ymax / height)


def _is_bad(edges: Edges) -> bool:
    xmin, ymin, xmax, ymax = edges
    return xmin >= xmax or ymin >= ymax or min(edges) < -SLACK or max(edges) > 1 + SLACK


def _lies_across(boxes: Sequence[Tuple[Four, Size]]) -> bool:
    """Whether shares of boxes that are sound either way have x and y exchanged, by pictures of several shapes.

    How wide objects are for their height hangs little on the picture's shape: its logarithm grows with that of the
    picture's by a slope from 0 (objects of one shape) to 1 (boxes as large as pictures). Exchanged, it is 2 less that.
    """
    shapes = [
        (math.log(width / height), math.log((c - a) * width / ((d - b) * height)))
        for (a, b, c, d), (width, height) in boxes
        if c > a and d > b and width and height
    ]
    if len(shapes) < FEWEST:
        return False
    of_pictures, of_boxes = np.array(shapes).T
    if of_pictures.std() < VARIED:
        return False
    return bool(np.polyfit(of_pictures, of_boxes, 1)[0] > STEEP)
