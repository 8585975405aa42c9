"""What a whole dataset shows that no single box does: numbers of another meaning than corners in pixels.

One box cannot tell: 217, 235, 61, 53 is a flipped box, or one of 61 x 53 pixels. So all are judged together, before the
long work, and a dataset that looks otherwise than it is read is refused, with the key that reads it. Refusing wrongly
costs the user a line in detector.toml, reading wrongly costs all boxes in silence: the thresholds lean to refusing.

* **x, y, width, height.** Such boxes lie inside their pictures with x + width and y + height. Corners do so only where
  the box's centre lies in the top left quarter (xmin + xmax <= width, whichever way the box was drawn), about one in
  four. ``FIT`` allows for slips in one box of twenty. How many such boxes prove it hangs on what else speaks for it:

  - most boxes are flipped: no other explanation fits as well, whatever their number;
  - a tenth or more is flipped (``SOME``), as by somebody who draws from bottom right: four places of sixteen
    (``PLACES``), where chance is below one in a hundred, and like boxes of a fixed camera are one place;
  - hardly any is flipped, as with large objects: twelve pictures, sums that differ and come near the right and bottom
    edges but not beyond (``STRONG_*``). Corners have that only if the centres of all objects lie left of and
    above the middle, and some nearly on it.

* **Centre, width, height** likewise, where the box around the centre lies inside. No key reads them.
* **0 to 1.** Pixels are so only for boxes of one pixel; ``RELATIVE`` of all boxes, as some may be strays.
* **Percent**: no number above 100 in large pictures, so many that chance is below one in ten thousand, numbers
  that do reach far towards 100, and fractions in most boxes.
* **Flipped** in a tenth or more, and all are sound as xmin, xmax, ymin, ymax or ymin, ymax, xmin, xmax.
* **Flipped** most of all, and none of the above: corners in another order, which swapping mends.
* **Flipped** in some pictures, most of whose boxes are so, and fit as x, y, width, height: several people or tools
  labelled, each in their own way. No key reads both.
* **Outside** the picture, most of all: measured on another picture than the XML's size says. If they lie inside with x
  and y exchanged, ``SOME`` of all will do, as corners inside their pictures show no such thing.
* **Sizes**: see :func:`_of_sizes`.

On simulated datasets no corners are refused unless some are flipped, and x, y, width, height are recognised in 99 of
100 from five pictures on, but for single large objects; docs/stages/records.md has the figures.
"""

from typing import Iterator, NamedTuple, Optional

from stages.data.annotation.frame import Reading
from stages.data.patterns.pattern_tallies import Examples, Observed, Percents, PixelBoxes, Shape, Sizes
from stages.job import BadInput

MOST = 0.5
SOME = 0.1
FIT = 0.95
PLACES = 4
STRONG_PICTURES, STRONG_SPREAD, STRONG_FIT, STRONG_REACH = 12, 0.15, 0.98, 0.9
RELATIVE = 0.9
EVIDENCE = 4.0  # a decimal logarithm
PERCENT_REACH = (40, 60)  # one side at least the first, the other the second
FEW = 3  # of something that must be more than a slip

IN_FACT = 'if they are xmin, ymin, xmax, ymax in fact, set dataset.boxes = "corners"'


class Suspicion(NamedTuple):
    """``what`` is seen, and the likely cause; ``key`` = ``value`` reads the data so, None where no key does."""

    what: str
    examples: Examples
    remedy: str
    key: Optional[str] = None
    value: Optional[str] = None

    def sentence(self) -> str:
        """What is seen, three examples, what to do."""
        return "%s. For instance %s. %s." % (self.what, "; ".join(self.examples.words), self.remedy)


def check(observed: Observed, reading: Reading) -> None:
    """Refuse a dataset that looks otherwise than it is read.

    Raises:
        BadInput: it does; the likely cause, three examples and the key that reads it so.
    """
    for suspicion in suspicions(observed, reading):
        raise BadInput(suspicion.sentence())


def suspicions(observed: Observed, reading: Reading) -> Iterator[Suspicion]:
    """What speaks against the reading: at most one thing about sizes and one about boxes.

    A key that the user stated is trusted, unless the data plainly contradicts it.
    """
    of_sizes = _of_sizes(observed.sizes) if reading.sizes == "xml" else _against_photo(observed.sizes)
    sizes = of_sizes.value if of_sizes and of_sizes.key else reading.sizes
    boxes = observed.on_photo if sizes == "photo" else observed.as_said
    of_boxes = _of_boxes(observed, boxes) if reading.boxes == "auto" else _against_boxes(observed, boxes, reading.boxes)
    return (suspicion for suspicion in (of_sizes, of_boxes) if suspicion)


def _of_boxes(observed: Observed, boxes: PixelBoxes) -> Optional[Suspicion]:
    relative, pixels = observed.relative, boxes.all
    if relative.boxes and relative.boxes >= RELATIVE * (relative.boxes + pixels.boxes):
        return _of_relative(relative, pixels)
    if _is_percent(observed.percents):
        return Suspicion(
            "No number of the %d boxes is above 100, in pictures much larger: they look like percent of width and"
            " height" % observed.percents.boxes,
            observed.percents.first,
            'Write them in pixels (x * width / 100); if they are, set dataset.boxes = "corners"',
        )
    return (
        _of_meanings(pixels)
        or _of_some(boxes.flipping, pixels)
        or _of_order(pixels)
        or _of_outside(pixels)
        or _of_pairs(pixels)
    )


def _of_meanings(shape: Shape) -> Optional[Suspicion]:
    if _is_centre(shape):
        return Suspicion(
            "%s, and as centre x, centre y, width, height %s lie inside their pictures"
            % (_flips(shape), _all_or(shape.as_centre, shape.informative)),
            shape.flips,
            "No key reads such boxes: write their corners into the XML; " + IN_FACT,
        )
    if _is_xywh(shape):
        return _xywh(shape)
    return None


def _of_order(shape: Shape) -> Optional[Suspicion]:
    if shape.flipped >= 2 and shape.flipped > MOST * shape.boxes:
        return _of_pairs(shape) or Suspicion(
            "%s, but they are not x, y, width, height, as these would reach outside: their corners stand in another"
            " order" % _flips(shape),
            shape.flips,
            'If these are xmax, ymax, xmin, ymin, set dataset.boxes = "corners" in detector.toml, and the smaller'
            " number is the minimum; else write xmin, ymin, xmax, ymax into the XML",
            "boxes",
            "corners",
        )
    return None


def _of_pairs(shape: Shape) -> Optional[Suspicion]:
    """xmin, xmax, ymin, ymax, as in tables of Open Images: corners are not flipped, and of such only some."""
    fit = shape.as_pairs >= FIT * shape.boxes
    if not fit or len(shape.places) < PLACES or shape.flipped < max(2.0, SOME * shape.boxes):
        return None
    return Suspicion(
        "%s, and as xmin, xmax, ymin, ymax (or ymin, ymax, xmin, xmax) %s lie inside their pictures"
        % (_flips(shape), _all_or(shape.as_pairs, shape.boxes)),
        shape.flips,
        "No key reads such boxes: write each number under its own name; %s, and the smaller is the minimum" % IN_FACT,
    )


def _xywh(shape: Shape) -> Suspicion:
    what = "%s, and as x, y, width, height %s lie inside their pictures, as corners hardly ever do"
    other = "if x and y are of the centre, write corners into the XML; " if shape.as_centre >= FIT * shape.boxes else ""
    return Suspicion(
        what % (_flips(shape), _all_or(shape.as_xywh, shape.informative)),
        shape.flips if shape.flipped else shape.first,
        'Set dataset.boxes = "xywh" in detector.toml to read them so; %s%s' % (other, IN_FACT),
        "boxes",
        "xywh",
    )


def _of_some(shape: Shape, all_pixels: Shape) -> Optional[Suspicion]:
    """x, y, width, height in some of the pictures only: all that have a flipped box have mostly such, and all fit."""
    enough = shape.pictures >= FEW and len(shape.places) >= PLACES and shape.flipped > MOST * shape.informative
    if not enough or shape.as_xywh < FIT * shape.informative:
        return None
    return Suspicion(
        "%d of %d boxes have xmin > xmax or ymin > ymax, all in %d of the pictures, and as x, y, width, height %s boxes"
        " of these pictures lie inside: some of the XML has corners, and some x, y, width, height"
        % (shape.flipped, all_pixels.boxes, shape.pictures, _all_or(shape.as_xywh, shape.informative)),
        shape.flips,
        "No key reads both: write corners into the XML that has none; %s, and the smaller number is the minimum"
        % IN_FACT,
    )


def _of_outside(shape: Shape) -> Optional[Suspicion]:
    """Boxes beyond their pictures: cutting them at the edge would mend a few slips, not these."""
    if shape.outside < FEW:
        return None
    told = "%d of %d boxes reach outside their pictures" % (shape.outside, shape.boxes)
    some = shape.outside >= SOME * shape.boxes and shape.as_turned >= FIT * shape.boxes
    if some and shape.as_turned > shape.boxes - shape.outside:
        return Suspicion(
            "%s, and with x and y exchanged %s lie inside: x and y are exchanged, or the photos were turned after they"
            " were labelled" % (told, _all_or(shape.as_turned, shape.boxes)),
            shape.outsiders,
            "No key reads such boxes: correct the XML or turn the photos back; to cut them at the edge instead, set"
            ' dataset.boxes = "corners"',
        )
    if shape.outside > MOST * shape.boxes:
        return Suspicion(
            told + ": they were measured on another picture than the XML's <size> tells of",
            shape.outsiders,
            "Write the size of that picture into <size>, and the boxes are scaled; to cut them at the edge instead,"
            ' set dataset.boxes = "corners"',
        )
    return None


def _of_relative(shape: Shape, pixels: Shape) -> Suspicion:
    who = "nearly all boxes" if pixels.boxes else "all boxes"
    what = "The numbers of %s are within 0 to 1: shares of width and height, not pixels" % who
    if _is_xywh(shape) or _is_centre(shape) or shape.flipped > MOST * shape.boxes:
        return Suspicion(
            "%s, and no corners: in %d of %d xmin > xmax or ymin > ymax; x, y, width, height are likely, with the"
            " centre for x and y, as YOLO has it, or the corner" % (what, shape.flipped, shape.boxes),
            shape.flips if shape.flipped else shape.first,
            "No key reads such boxes: write xmin, ymin, xmax, ymax in pixels into the XML",
        )
    remedy = 'Set dataset.boxes = "relative" in detector.toml to read them as corners'
    if shape.informative in (shape.as_xywh, shape.as_centre):
        remedy += "; if they are x, y, width, height, write corners in pixels into the XML instead"
    return Suspicion(what, shape.first, remedy, "boxes", "relative")


def _is_xywh(shape: Shape) -> bool:
    if not shape.informative or shape.as_xywh < FIT * shape.informative:
        return False
    many = shape.flipped >= SOME * shape.boxes
    if many and (shape.flipped > MOST * shape.informative or len(shape.places) >= PLACES):
        return True
    return (
        shape.pictures >= STRONG_PICTURES
        and min(reach - least for reach, least in zip(shape.reach, shape.least)) >= STRONG_SPREAD
        and shape.as_xywh >= STRONG_FIT * shape.informative
        and min(shape.reach) >= STRONG_REACH
    )


def _is_centre(shape: Shape) -> bool:
    """Whether boxes around a centre explain the flips, and boxes from the top left corner do not as well."""
    many = shape.flipped and shape.flipped >= SOME * shape.boxes
    enough = shape.flipped > MOST * shape.informative or len(shape.places) >= PLACES
    return bool(many and enough and shape.as_centre >= FIT * shape.informative and shape.as_centre > shape.as_xywh)


def _is_percent(percents: Percents) -> bool:
    near, far = sorted(percents.reach)
    large = percents.boxes >= RELATIVE * (percents.boxes + percents.others) and percents.evidence >= EVIDENCE
    fractions = percents.fractions > MOST * percents.boxes
    return large and fractions and near >= PERCENT_REACH[0] and far >= PERCENT_REACH[1]


def _flips(shape: Shape) -> str:
    if not shape.flipped:
        return "None of %d boxes reaches beyond the middle of its picture as corners would" % shape.boxes
    return "%d of %d boxes have xmin > xmax or ymin > ymax" % (shape.flipped, shape.boxes)


def _all_or(some: int, whole: int) -> str:
    return "all" if some == whole else "%d of %d" % (some, whole)


def _of_sizes(sizes: Sizes) -> Optional[Suspicion]:
    """XML whose sizes are not those of the photos that its boxes were drawn on.

    Width and height exchanged in most: a slip of the tool that wrote them (OpenCV's shape is height, width), as long
    as the boxes lie inside the photos; where they lie inside the XML's size only, the photos were turned afterwards.
    Any other size: photos may have been scaled after labelling, then the boxes lie inside the XML's size, and records
    scale them. Where they lie inside the photo only, and in some such pictures so, that size is wrong. So is a larger
    size if all boxes lie inside the photo and near its edges: a script has shrunk photos and boxes, and left the size.
    """
    if sizes.exchanged and sizes.exchanged > MOST * sizes.oblong:  # of a square photo nobody can tell
        what = "In %d of %d XML files width and height are those of the photo exchanged" % (sizes.exchanged, sizes.told)
        if sizes.fit_photo < FIT * sizes.boxes and sizes.fit_said > sizes.fit_photo:
            return Suspicion(
                "%s, and boxes lie outside the photo: the photos were turned after they were labelled" % what,
                sizes.in_said,
                "Turn the photos back, or turn the boxes and correct <size> in the XML",
            )
        remedy = 'Set dataset.sizes = "photo" in detector.toml to take the boxes as drawn on the photos as they are'
        return Suspicion(what, sizes.exchanges, remedy, "sizes", "photo")
    if sizes.only_photo >= FEW and sizes.only_photo >= SOME * sizes.other and sizes.fit_photo >= FIT * sizes.boxes:
        return Suspicion(
            "%d of %d XML files say a size unlike the photo's, and their boxes lie inside the photo but not inside"
            " that size: it is wrong" % (sizes.only_photo, sizes.told),
            sizes.in_photo,
            'Set dataset.sizes = "photo" in detector.toml to take the boxes as drawn on the photos as they are',
            "sizes",
            "photo",
        )
    within = sizes.larger_fit >= STRONG_FIT * sizes.larger_boxes
    if sizes.evidence >= EVIDENCE and within and min(sizes.reach) >= STRONG_REACH:
        return Suspicion(
            "%d of %d XML files say a size larger than the photo's, and %s of their boxes reach to the photo's edges"
            " and not beyond: the boxes were shrunk with the photos, and <size> was not"
            % (sizes.larger, sizes.told, _all_or(sizes.larger_fit, sizes.larger_boxes)),
            sizes.larger_first,
            'Set dataset.sizes = "photo" in detector.toml to take the boxes as drawn on the photos as they are',
            "sizes",
            "photo",
        )
    return None


def _against_photo(sizes: Sizes) -> Optional[Suspicion]:
    """``dataset.sizes`` = photo, but most of the boxes that it concerns lie inside the XML's size only."""
    beyond = sizes.boxes - sizes.fit_photo
    if beyond < FEW or beyond <= MOST * sizes.boxes or sizes.fit_said <= sizes.fit_photo:
        return None
    return Suspicion(
        'dataset.sizes = "photo", but where the XML says another size, %d of %d boxes lie outside the photo, and'
        " inside that size" % (beyond, sizes.boxes),
        sizes.in_said,
        'Set dataset.sizes = "xml" in detector.toml',
        "sizes",
        "xml",
    )


def _against_boxes(observed: Observed, boxes: PixelBoxes, stated: str) -> Optional[Suspicion]:
    """What contradicts a stated ``dataset.boxes`` plainly: pixels where shares are stated, and the other way round."""
    relative, pixels = observed.relative, boxes.all
    wrong = 'dataset.boxes = "%s", but ' % stated
    if stated == "relative" and pixels.boxes > MOST * (pixels.boxes + relative.boxes):
        what = "%d of %d boxes have numbers above 1" % (pixels.boxes, pixels.boxes + relative.boxes)
        remedy = 'Set dataset.boxes = "corners" or "xywh" in detector.toml, whichever they are'
        return Suspicion(wrong + what, pixels.first, remedy)
    if stated != "relative" and relative.boxes and relative.boxes >= RELATIVE * (relative.boxes + pixels.boxes):
        found = _of_relative(relative, pixels)
        return found._replace(what=wrong + found.what[0].lower() + found.what[1:])
    misfits = pixels.informative - pixels.as_xywh
    if stated == "xywh" and misfits >= FEW and misfits > MOST * pixels.informative:
        what = "as such %d of %d boxes would reach outside their pictures" % (misfits, pixels.informative)
        remedy = 'Set dataset.boxes = "corners" in detector.toml'
        return Suspicion(wrong + what, pixels.first, remedy, "boxes", "corners")
    return None
