"""How much of a dataset may vanish on the way to its records before the user is asked.

Lost are labelled pictures and boxes of listed classes that were left out by a default that nobody chose. A kind of
finding whose policy is stated in records.findings loses nothing, and neither do objects of classes that are not listed
and repeated objects. More than a tenth of the pictures or of the boxes is too much, if at least two pictures are
concerned: one bad picture among a few is no pattern, and a dataset or trial of a few need not fail for it.
"""

from collections import Counter
from typing import Collection, List, NamedTuple
from typing import Counter as CounterOf

from stages.data.finding_log import FindingLog
from stages.data.picture_record import PictureRecord
from stages.finding_kinds import DROP, KINDS
from stages.job import BadInput

NO_LOSS = ("unknown_class", "duplicate_object")
TOO_MUCH = 0.1
LEAST = 2  # pictures


class Whole(NamedTuple):
    """Of what it is to be a tenth; ``boxes`` are those of listed classes, 0 where they are not counted yet."""

    pictures: int
    boxes: int


class Losses:
    """What was lost, by kind of finding. ``meant`` are the kinds with a stated policy."""

    def __init__(self, meant: Collection[str]) -> None:
        self._none = set(meant) | set(NO_LOSS)
        self._pictures: CounterOf[str] = Counter()
        self._boxes: CounterOf[str] = Counter()
        self._concerned = 0

    def picture(self, kind: str, boxes: int) -> None:
        """Count a picture with so many boxes of listed classes that was left out."""
        if kind not in self._none:
            self._concerned += 1
            self._pictures[kind] += 1
            self._boxes[kind] += boxes

    def boxes(self, kind: str, count: int) -> None:
        """Count boxes of listed classes in a file that is no picture, or whose picture is counted already."""
        if kind not in self._none:
            self._boxes[kind] += count

    def record(self, made: PictureRecord) -> None:
        """Count what was lost in what was made of a picture."""
        dropped = [one.kind for one in made.findings if one.action == DROP and one.kind not in self._none]
        if not made.facts:
            self.picture(left_out_by(made), made.listed)
            return
        self._boxes.update(dropped)
        self._concerned += bool(dropped)

    def judge(self, whole: Whole, log: FindingLog) -> None:
        """Refuse to go on without so much.

        Raises:
            BadInput: too much is lost; the counts, the first example of each kind with its remedy, and the ways out.
        """
        pictures, boxes = sum(self._pictures.values()), sum(self._boxes.values())
        too_much = pictures > TOO_MUCH * whole.pictures or boxes > TOO_MUCH * whole.boxes > 0
        if self._concerned < LEAST or not too_much:
            return
        kinds = sorted(set(self._pictures) | {kind for kind, count in self._boxes.items() if count})
        of_boxes = " and %d of %d boxes" % (boxes, whole.boxes) if whole.boxes else ""
        raise BadInput(
            "%d of %d pictures%s would be lost, more than a tenth:\n%s\nMend them; or state what is meant, as in"
            " records.findings = { %s }, and it is no loss; or accept it by --accept-losses"
            " (records.accept_losses = true)."
            % (pictures, whole.pictures, of_boxes, _indented(log.lines(kinds)), ", ".join(map(_policy, kinds)))
        )


def left_out_by(made: PictureRecord) -> str:
    """The kind of finding for which a picture was left out."""
    return [one.kind for one in made.findings if one.action == DROP and KINDS[one.kind].about == "picture"][-1]


def _policy(kind: str) -> str:
    return '%s = "%s"' % (kind, DROP)


def _indented(lines: List[str]) -> str:
    return "\n".join("  " + line for line in lines)
