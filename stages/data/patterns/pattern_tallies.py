"""What the numbers of all boxes have in common, counted as they go by: it does not grow with the dataset.

A box is judged on the picture of the size that its XML says, or else on the photo as its header says, upright.
"""

import math
from typing import List, NamedTuple, Optional, Set, Tuple

from stages.data.annotation import boxes
from stages.data.annotation.boxes import WholeSize

Four = Tuple[float, float, float, float]
EXAMPLES = 3
LEAST_PERCENT_SIDE = 300  # pixels; smaller pictures say little about whether numbers up to 100 are percent
GRID = 8  # places of boxes are told apart in so many columns and rows


class WrittenBox(NamedTuple):
    """The four numbers of an object's ``<bndbox>`` as they stand under xmin, ymin, xmax, ymax."""

    number: int
    line: int
    values: Four


class WrittenPicture(NamedTuple):
    """What an XML says of its boxes and its picture's size, and the (width, height) and EXIF orientation of the photo
    as it is stored, from its header; None where one does not say."""

    xml: str
    said: Optional[WholeSize]
    stored: Optional[WholeSize]
    orientation: int
    boxes: List[WrittenBox]


class Examples:
    """The first three of what shows something, in words."""

    def __init__(self) -> None:
        self.words: List[str] = []

    def add(self, xml: str, box: WrittenBox, size: WholeSize) -> None:
        """``a.xml, line 21 (object 1): 217, 235, 61, 53 in 640x480``."""
        if len(self.words) < EXAMPLES:
            where = "%s, line %d (object %d)" % (xml, box.line, box.number)
            of = " in %dx%d" % size if max(size) > 1 else ""
            self.words.append("%s: %s%s" % (where, ", ".join("%.6g" % value for value in box.values), of))

    def add_sizes(self, picture: WrittenPicture, upright: WholeSize, box: Optional[WrittenBox]) -> None:
        """A picture whose two sizes differ, and a box of it, if one shows more."""
        if len(self.words) < EXAMPLES and picture.said:
            told = "%s: the XML says %dx%d, the photo is %dx%d" % ((picture.xml,) + picture.said + upright)
            if box:
                numbers = ", ".join("%.6g" % value for value in box.values)
                told += ", object %d (line %d) is %s" % (box.number, box.line, numbers)
            self.words.append(told)


class Shape:
    """How boxes lie in their pictures under each meaning that their four numbers could have.

    ``informative`` are those that mean something else as x, y, width, height than as corners: not those that begin at
    the top left corner. ``as_turned`` counts those that lie inside with x and y exchanged, ``as_pairs`` those that are
    sound as xmin, xmax, ymin, ymax or ymin, ymax, xmin, xmax. ``places`` are the different (a + c, b + d), coarsely:
    boxes that are all alike are one piece of evidence, however many they are. ``least`` and ``reach`` are the smallest
    and largest of these sums across and down, as shares of the picture.
    """

    def __init__(self) -> None:
        self.boxes = self.informative = self.pictures = 0
        self.flipped = self.as_xywh = self.as_centre = self.outside = self.as_turned = self.as_pairs = 0
        self.places: Set[Tuple[int, int]] = set()
        self.least, self.reach = (1.0, 1.0), (0.0, 0.0)
        self.first, self.flips, self.outsiders = Examples(), Examples(), Examples()
        self._last = ""

    def add(self, xml: str, box: WrittenBox, sizes: List[WholeSize]) -> None:
        """Count a box; it lies inside if it does so in a picture of one of the ``sizes``, the likeliest first."""
        a, b, c, d = box.values
        self.boxes += 1
        self.first.add(xml, box, sizes[0])
        xmin, ymin, xmax, ymax = boxes.ordered(box.values)
        self.as_turned += any(_inside((ymin, xmin, ymax, xmax), size) for size in sizes)
        self.as_pairs += (
            a <= b and c <= d and any(_inside((a, c, b, d), one) for size in sizes for one in (size, size[::-1]))
        )
        if not any(_inside((xmin, ymin, xmax, ymax), size) for size in sizes):
            self.outside += 1
            self.outsiders.add(xml, box, sizes[0])
        width, height = sizes[0]
        if a <= 0.02 * width and b <= 0.02 * height:
            return
        self.informative += 1
        if xml != self._last:
            self._last = xml
            self.pictures += 1
        if a > c or b > d:
            self.flipped += 1
            self.flips.add(xml, box, sizes[0])
        fits = any(min(c, d) > 0 and _inside((a, b, a + c, b + d), size) for size in sizes)
        self.as_xywh += fits
        across, down = (a + c) / width, (b + d) / height
        if fits:
            self.least = min(self.least[0], across), min(self.least[1], down)
            self.reach = max(self.reach[0], across), max(self.reach[1], down)
        around = (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
        self.as_centre += any(min(c, d) > 0 and _inside(around, size) for size in sizes)
        if len(self.places) < GRID * GRID:
            self.places.add((_cell(across), _cell(down)))


class Percents:
    """Boxes with all numbers within 0 to 100 in pictures much larger than that.

    ``evidence`` sums, over the pictures, the decimal logarithm of how many times 100 x 100 pixels fit into them: a
    picture of 640x480 adds 1.5, as one in 31 such pictures would have a box there by chance. ``fractions`` counts
    boxes with a number that is not whole, as percent nearly always are.
    """

    def __init__(self) -> None:
        self.boxes = self.others = self.fractions = 0
        self.evidence = 0.0
        self.reach = (0.0, 0.0)
        self.first = Examples()

    def add(self, picture: WrittenPicture, size: WholeSize) -> None:
        """Count a picture's boxes."""
        if not picture.boxes:
            return
        within = [box for box in picture.boxes if min(box.values) >= -0.5 and max(box.values) <= 100.5]
        if min(size) < LEAST_PERCENT_SIDE or len(within) < len(picture.boxes):
            self.others += len(picture.boxes)
            return
        self.boxes += len(within)
        self.evidence += math.log10(size[0]) + math.log10(size[1]) - 4
        for box in within:
            self.fractions += any(value != int(value) for value in box.values)
            across, down = max(box.values[0], box.values[2]), max(box.values[1], box.values[3])
            self.reach = max(self.reach[0], across), max(self.reach[1], down)
            self.first.add(picture.xml, box, size)


class Sizes:
    """The sizes that XML files say beside those that their photos have.

    ``told`` counts pictures with both, ``oblong`` those of them that are not square, ``exchanged`` those where they are
    width and height exchanged without an EXIF orientation to explain it, ``other`` those of another size again. In
    these, ``fit_photo`` and ``fit_said`` count boxes that lie inside the one and inside the other, ``only_photo``
    pictures with a box that lies in the photo only.

    ``larger`` counts pictures with boxes whose XML says a larger size, ``larger_boxes`` their boxes, ``larger_fit``
    those that lie inside the photo, ``reach`` is how far these reach across and down in it. ``evidence`` as in
    ``Percents``: the decimal logarithms of how many times the photos fit into the sizes.
    """

    def __init__(self) -> None:
        self.told = self.oblong = self.exchanged = self.other = self.only_photo = 0
        self.boxes = self.fit_photo = self.fit_said = self.larger = self.larger_boxes = self.larger_fit = 0
        self.evidence, self.reach = 0.0, (0.0, 0.0)
        self.larger_first = Examples()
        self.exchanges, self.in_photo, self.in_said = Examples(), Examples(), Examples()

    def add(self, picture: WrittenPicture, upright: WholeSize) -> None:
        """Count a picture whose XML says a size."""
        said = picture.said
        self.told += 1
        self.oblong += upright[0] != upright[1]
        if said is None or said in (upright, picture.stored):
            return
        exchanged = said == upright[::-1]
        self.exchanged += exchanged
        self.other += not exchanged
        if exchanged:
            self.exchanges.add_sizes(picture, upright, None)
        in_photo = [_inside(boxes.ordered(box.values), upright) for box in picture.boxes]
        in_said = [_inside(boxes.ordered(box.values), said) for box in picture.boxes]
        self.boxes += len(picture.boxes)
        self.fit_photo += sum(in_photo)
        self.fit_said += sum(in_said)
        only_photo = [box for box, photo, xml in zip(picture.boxes, in_photo, in_said) if photo and not xml]
        only_said = [box for box, photo, xml in zip(picture.boxes, in_photo, in_said) if xml and not photo]
        if only_photo:
            self.only_photo += not exchanged
            self.in_photo.add_sizes(picture, upright, only_photo[0])
        if only_said:
            self.in_said.add_sizes(picture, upright, only_said[0])
        if picture.boxes and said[0] > upright[0] and said[1] > upright[1]:
            self._add_larger(picture, said, upright, in_photo)

    def _add_larger(self, picture: WrittenPicture, said: WholeSize, upright: WholeSize, in_photo: List[bool]) -> None:
        self.larger += 1
        self.larger_boxes += len(in_photo)
        self.larger_fit += sum(in_photo)
        self.larger_first.add_sizes(picture, upright, picture.boxes[0])
        self.evidence += math.log10(said[0] * said[1] / (upright[0] * upright[1]))
        ends = [boxes.ordered(box.values)[2:] for box, inside in zip(picture.boxes, in_photo) if inside]
        self.reach = (
            max([self.reach[0], *(x / upright[0] for x, _ in ends)]),
            max([self.reach[1], *(y / upright[1] for _, y in ends)]),
        )


class PixelBoxes:
    """Boxes in pixels: ``all`` of them, and those of the pictures that have a ``flipping`` one, as several people or
    tools may have labelled."""

    def __init__(self) -> None:
        self.all, self.flipping = Shape(), Shape()

    def add(self, xml: str, box: WrittenBox, sizes: List[WholeSize], flips: bool) -> None:
        """Count a box of a picture that flips, or not."""
        self.all.add(xml, box, sizes)
        if flips:
            self.flipping.add(xml, box, sizes)


class Observed:
    """What has been seen of a dataset: ``relative`` are its boxes within 0 to 1, the others are in pixels, held against
    the sizes ``as_said`` in the XML or the photo, or against the size ``on_photo`` alone."""

    def __init__(self) -> None:
        self.relative, self.as_said, self.on_photo = Shape(), PixelBoxes(), PixelBoxes()
        self.percents, self.sizes = Percents(), Sizes()

    def add(self, picture: WrittenPicture) -> None:
        """Count a picture."""
        upright = picture.stored and boxes.upright_size(picture.stored, picture.orientation)
        if upright and picture.said:
            self.sizes.add(picture, upright)
        likely = [size for size in (picture.said, upright) if size]
        flips = any(boxes.ordered(box.values) != box.values for box in picture.boxes if not boxes.is_shares(box.values))
        for box in picture.boxes:
            if boxes.is_shares(box.values):
                self.relative.add(picture.xml, box, [(1, 1)])
            elif likely:
                self.as_said.add(picture.xml, box, likely, flips)
                self.on_photo.add(picture.xml, box, likely[-1:], flips)
        if likely:
            self.percents.add(picture, likely[-1])


def _inside(box: Four, size: WholeSize) -> bool:
    """Whether a box lies in a picture, but for the slips that people and rounding make: 1 % and a pixel."""
    slips = [0.01 * side + (1 if side > 1 else 0.01) for side in size]
    return box[0] >= -slips[0] and box[1] >= -slips[1] and box[2] <= size[0] + slips[0] and box[3] <= size[1] + slips[1]


def _cell(share: float) -> int:
    return min(int(min(max(share, 0.0), 2.0) / 2 * GRID), GRID - 1)
