"""What the numbers of an object's shape mean: the box that encloses it, and how the numbers move with the picture.

A form is one meaning of a row of numbers, such as xmin, ymin, xmax, ymax or a centre, two sides and an angle. Angles
turn the x axis towards the y axis, which is clockwise to see, as roLabelImg (radians) and CVAT (degrees) write them.
Pixels and edges as in stages/data/annotation/boxes.py.
"""

import math
from typing import Callable, NamedTuple, Optional, Sequence, Tuple

from stages.data.annotation.boxes import Box, ordered

Values = Sequence[float]
Move = Callable[[Box], Box]  # a box on the XML's picture -> on another; each axis is scaled, mirrored or exchanged
MOST_OFF = 0.5  # pixels that the enclosing box of a turned rectangle may be off once it is moved
ROUND = 1e-6  # radians: what six digits after the point leave of a full turn


class Form(NamedTuple):
    """A meaning of numbers.

    Attributes:
        box: numbers -> the box that encloses the shape; None if it cannot be told.
        moved: numbers and a move -> the numbers of the moved shape; None if no shape of this form is the moved one.
        angle_digits: digits after the point of the last number, an angle; None: there is none.
    """

    box: Callable[[Values], Optional[Box]]
    moved: Callable[[Values, Move], Optional[Values]]
    angle_digits: Optional[int] = None


class TurnedRectangle(NamedTuple):
    """A rectangle with the centre (x, y) whose side ``wide`` lies in the direction (cos, sin) of its angle."""

    x: float
    y: float
    wide: float
    high: float
    cos: float
    sin: float

    def box(self) -> Box:
        """The box that encloses it: each side casts its shadow on each axis. Without sides, a point."""
        if not self.wide or not self.high:
            return self.x, self.y, self.x, self.y
        across = (abs(self.wide * self.cos) + abs(self.high * self.sin)) / 2
        down = (abs(self.wide * self.sin) + abs(self.high * self.cos)) / 2
        return self.x - across, self.y - down, self.x + across, self.y + down

    def moved(self, move: Move) -> Optional["TurnedRectangle"]:
        """The rectangle after a move; None where scaling makes it so oblique that none is near."""
        x, y = moved_point(move, self.x, self.y)
        ends = [
            moved_point(move, self.x + side * along, self.y + side * down)
            for side, along, down in ((self.wide, self.cos, self.sin), (self.high, -self.sin, self.cos))
        ]
        wide, high = (math.hypot(end_x - x, end_y - y) for end_x, end_y in ends)
        if not wide or not high:
            return None
        there = TurnedRectangle(x, y, wide, high, (ends[0][0] - x) / wide, (ends[0][1] - y) / wide)
        off = max(abs(a - b) for a, b in zip(there.box(), ordered(move(self.box()))))
        return there if off <= MOST_OFF else None


def moved_point(move: Move, x: float, y: float) -> Tuple[float, float]:
    """A point after a move: a box without area."""
    there = move((x, y, x, y))
    return there[0], there[1]


def degrees(angle: float) -> Tuple[float, float]:
    """Cosine and sine of an angle in degrees, exact for quarter turns, the same for a rectangle after half a turn."""
    angle %= 180
    if angle in (0, 90):
        return (1.0, 0.0) if angle == 0 else (0.0, 1.0)
    return math.cos(math.radians(angle)), math.sin(math.radians(angle))


def _around(values: Values) -> Optional[Box]:
    """The box around an outline x, y, x, y, …; None for a point or a line."""
    return enclosing(values) if len(values) >= 6 else None


def enclosing(values: Values) -> Box:
    """The box around points x, y, x, y, …."""
    return min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])


def _four(values: Values) -> Box:
    return values[0], values[1], values[2], values[3]


def _sided(values: Values) -> Box:
    return values[0], values[1], values[0] + values[2], values[1] + values[3]


def _sides(box: Box) -> Values:
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def _centred(values: Values) -> Box:
    x, y, across, down = values[0], values[1], values[2] / 2, values[3] / 2
    return x - across, y - down, x + across, y + down


def _centre(box: Box) -> Values:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def _points_moved(values: Values, move: Move) -> Values:
    return [edge for x, y in zip(values[0::2], values[1::2]) for edge in moved_point(move, x, y)]


def _radians(values: Values) -> TurnedRectangle:
    return TurnedRectangle(values[0], values[1], values[2], values[3], math.cos(values[4]), math.sin(values[4]))


def _radians_box(values: Values) -> Optional[Box]:
    return _radians(values).box() if _sound(values) else None


def _sound(values: Values) -> bool:
    """Whether these can be a rectangle and an angle in radians: roLabelImg writes none beyond a full turn."""
    return min(values[2:4]) >= 0 and abs(values[4]) <= 2 * math.pi + ROUND


def _radians_moved(values: Values, move: Move) -> Optional[Values]:
    there = _radians(values).moved(move) if _sound(values) else None
    return there and (there.x, there.y, there.wide, there.high, math.atan2(there.sin, there.cos) % math.pi)


def _turned_edges(values: Values) -> TurnedRectangle:
    xmin, ymin, xmax, ymax, angle = values
    return TurnedRectangle((xmin + xmax) / 2, (ymin + ymax) / 2, abs(xmax - xmin), abs(ymax - ymin), *degrees(angle))


def _turned_edges_box(values: Values) -> Box:
    """The enclosing box, with a minimum above its maximum where the box has that."""
    if _stays(values):
        return _four(values)
    xmin, ymin, xmax, ymax = _turned_edges(values).box()
    (xmin, xmax), (ymin, ymax) = (
        (high, low) if values[at] > values[at + 2] else (low, high)
        for at, low, high in ((0, xmin, xmax), (1, ymin, ymax))
    )
    return xmin, ymin, xmax, ymax


def _stays(values: Values) -> bool:
    """Whether the turn changes nothing: none, half a turn, or one of nothing."""
    return not values[4] % 180 or values[0] == values[2] or values[1] == values[3]


def _turned_edges_moved(values: Values, move: Move) -> Optional[Values]:
    if _stays(values):
        return (*move(_four(values)), values[4])
    there = _turned_edges(values).moved(move)
    if there is None:
        return None
    angle = math.degrees(math.atan2(there.sin, there.cos)) % 180
    return (*_centred((there.x, there.y, there.wide, there.high)), angle)


def _with_sides(form: Form) -> Form:
    """A form of edges whose third and fourth number are width and height."""

    def moved(values: Values, move: Move) -> Optional[Values]:
        there = form.moved((*_sided(values), *values[4:]), move)
        return there and (*_sides(_four(there)), *there[4:])

    return Form(lambda values: form.box((*_sided(values), *values[4:])), moved, form.angle_digits)


def unless_turned(form: Form) -> Form:
    """A form with an angle behind it, in an unknown unit or around an unknown point: only an angle of 0 is clear."""

    def moved(values: Values, move: Move) -> Optional[Values]:
        there = None if values[-1] else form.moved(values[:-1], move)
        return there and (*there, 0.0)

    return Form(lambda values: None if values[-1] else form.box(values[:-1]), moved, 6)


EDGES = Form(_four, lambda values, move: move(_four(values)))  # xmin, ymin, xmax, ymax, even with a minimum above
OPPOSITE = Form(enclosing, lambda values, move: move(_four(values)))  # any two opposite corners
CENTRED = Form(_centred, lambda values, move: _centre(move(_centred(values))))  # centre, width, height
POINTS = Form(_around, _points_moved)  # x, y, x, y, …
RADIANS = Form(_radians_box, _radians_moved, 6)  # centre, width, height, angle, as roLabelImg writes it
TURNED_EDGES = Form(_turned_edges_box, _turned_edges_moved, 4)  # EDGES, then degrees around the centre, as in CVAT
SIDES, TURNED_SIDES = _with_sides(EDGES), _with_sides(TURNED_EDGES)  # the same with xmin, ymin, width, height
