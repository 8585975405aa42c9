"""The few sentences at the top: what is wrong with the data, why it matters, what to do. Each rests on figures of
health.json, by the thresholds here, which docs/stages/check-data.md lists."""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from stages.check.anchor_match import MATCHED
from stages.check.suspicious import CROWD, TINY

BAD, WARN, NOTE = "bad", "warn", "note"
ORDER = (BAD, WARN, NOTE)

LOSS_BAD, LOSS_WARN = 0.1, 0.02  # share of pictures, or of boxes, that records left out; the first as records itself
UNLABELLED = 0.05  # share of the photos without XML
LEAK_BAD = 0.01  # share of the pictures to validate or test with; one is worth a warning
FEW_TO_TRAIN, FEW_OF_CLASS = 200, 50  # pictures; boxes of a class to train on
FEW_TO_VALIDATE = 20  # pictures
UNEVEN_BAD, UNEVEN_WARN = 50.0, 10.0  # boxes to train on, the most frequent class over the rarest
UNMATCHED_BAD, UNMATCHED_WARN = 0.25, 0.1  # share of the boxes that no anchor meets
CLASS_UNMATCHED = 0.25  # the same within a class of FEW_OF_CLASS boxes and more
TWICE_BAD, TWICE_WARN = 0.05, 0.005  # share of the boxes
TINY_WARN, WHOLE_WARN, ODD_WARN = 0.05, 0.02, 0.02  # share of the boxes
ENLARGED, STRETCHED_MOST = 0.25, 0.5  # share of the pictures


class Verdict(NamedTuple):
    """``section`` is the part of the page that shows the figures."""

    severity: str
    title: str
    why: str
    remedy: str
    section: str


Health = Dict[str, Any]


def all_of(health: Health) -> List[Dict[str, str]]:
    """The verdicts on the figures of health.json, the worst first."""
    found = [verdict for rule in RULES for verdict in rule(health)]
    return [verdict._asdict() for severity in ORDER for verdict in found if verdict.severity == severity]


def _losses(health: Health) -> Iterator[Verdict]:
    annotations = health["annotations"]
    shares = {what: _share(annotations[what]["dropped"], annotations[what]["read"]) for what in ("pictures", "boxes")}
    what = max(shares, key=lambda one: shares[one])
    severity = _grade(shares[what], LOSS_BAD, LOSS_WARN)
    if not severity:
        return
    reasons = [
        one
        for one in health["findings"]
        if one["action"] == "left out" and (what == "boxes" or one["about"] == "picture")
    ]
    reason = reasons[0] if reasons else {"meaning": "", "remedy": "See the list of what was left out", "kind": ""}
    yield Verdict(
        severity,
        "%s of the %s were left out (%s of %s)"
        % (_percent(shares[what]), what, _number(annotations[what]["dropped"]), _number(annotations[what]["read"])),
        "What is left out is not learned, and what is left may no longer be what the detector will see. The most"
        " frequent reason: %s." % (reason["meaning"] or "not told"),
        reason["remedy"] + ".",
        "annotations",
    )


def _unlabelled(health: Health) -> Iterator[Verdict]:
    annotations = health["annotations"]
    share = _share(annotations["without_xml"], annotations["pictures"]["read"])
    if share >= UNLABELLED:
        yield Verdict(
            WARN,
            "%s no XML (%s)" % (_counted(annotations["without_xml"], "photo has", "photos have"), _percent(share)),
            "Nobody can tell whether they are unlabelled or show nothing; unlabelled things teach the detector to"
            " overlook such things.",
            'Label them; if there is nothing to label in them, set records.findings = { no_xml = "fix" }.',
            "annotations",
        )


def _leaks(health: Health) -> Iterator[Verdict]:
    for split, name in (("validation", "validate"), ("test", "test")):
        count = health["lookalikes"]["across"].get(split, 0)
        pictures = health["splits"].get(split, {}).get("pictures", 0)
        if count:
            yield Verdict(
                BAD if count >= LEAK_BAD * pictures else WARN,
                "%s of %s pictures to %s with %s nearly the same on another side of the split"
                % (_number(count), _number(pictures), name, "is" if count == 1 else "are"),
                "The detector has seen the answers: its figures look better than it is on new pictures.",
                "Remove one of each pair, or put both on one side; records keeps look-alikes of one size together with"
                ' records.split = "hash".',
                "lookalikes",
            )


def _splits(health: Health) -> Iterator[Verdict]:
    splits = health["splits"]
    if not splits.get("validation", {}).get("pictures"):
        yield Verdict(
            BAD,
            "There is no picture to validate with",
            "Nothing tells which checkpoint is the best, and how good it is.",
            "Raise records.validation_fraction, or name pictures in the dataset's own split.",
            "classes",
        )
    elif splits["validation"]["pictures"] < FEW_TO_VALIDATE:
        yield Verdict(
            WARN,
            "Only %s to validate with" % _counted(splits["validation"]["pictures"], "picture"),
            "With so few, mAP jumps by chance from one checkpoint to the next.",
            "Label more, or raise records.validation_fraction.",
            "classes",
        )
    if splits["train"]["pictures"] < FEW_TO_TRAIN:
        yield Verdict(
            WARN,
            "Only %s to train on" % _counted(splits["train"]["pictures"], "picture"),
            "With so few, a detector learns them by heart.",
            "Label more pictures, most of all where the detector is wrong; begin with a checkpoint (model.checkpoint).",
            "classes",
        )


def _classes(health: Health) -> Iterator[Verdict]:
    to_train = {one["name"]: one["boxes"]["train"] for one in health["classes"]}
    none = [name for name, boxes in to_train.items() if not boxes]
    few = ["%s (%d)" % one for one in sorted(to_train.items(), key=lambda one: one[1]) if 0 < one[1] < FEW_OF_CLASS]
    if none:
        yield Verdict(
            BAD,
            "No box to train on: %s" % _listed(none),
            "What was never shown is never found.",
            "Label some, or take the class out of dataset.classes.",
            "classes",
        )
    if few:
        yield Verdict(
            WARN,
            "Few boxes to train on: %s" % _listed(few),
            "Under %d boxes a class is found by luck." % FEW_OF_CLASS,
            "Label more of them, or make one class of classes that look alike (dataset.aliases).",
            "classes",
        )
    unseen = [
        one["name"] for one in health["classes"] if one["boxes"]["train"] and not one["boxes"].get("validation", 0)
    ]
    if unseen and health["splits"].get("validation", {}).get("pictures"):
        yield Verdict(
            WARN,
            "No box to validate with: %s" % _listed(unseen),
            "mAP says nothing of %s." % ("that class" if len(unseen) == 1 else "those classes"),
            "Raise records.validation_fraction, label more, or move pictures in the dataset's own split.",
            "classes",
        )


def _uneven(health: Health) -> Iterator[Verdict]:
    boxes = sorted((one["boxes"]["train"], one["name"]) for one in health["classes"] if one["boxes"]["train"])
    severity = _grade(boxes[-1][0] / boxes[0][0], UNEVEN_BAD, UNEVEN_WARN) if len(boxes) > 1 else None
    if severity:
        yield Verdict(
            severity,
            "%s has %.0f times as many boxes as %s" % (boxes[-1][1], boxes[-1][0] / boxes[0][0], boxes[0][1]),
            "The detector leans to what it sees most, and the rare class is found late or never.",
            "Label more of the rare classes, or leave out pictures that show nothing but the frequent one.",
            "classes",
        )


def _anchors(health: Health) -> Iterator[Verdict]:
    anchors = health["anchors"]
    if not anchors or not anchors["boxes"]:
        return
    share = anchors["below_0.5"] / anchors["boxes"]
    severity = _grade(share, UNMATCHED_BAD, UNMATCHED_WARN)
    if severity:
        yield Verdict(
            severity,
            "%s of the boxes fit no anchor (best IoU under %.1f)" % (_percent(share), MATCHED),
            "Such a box is learned from one badly fitting anchor, so it is found late and placed badly. %s."
            % _why_unmatched(anchors),
            _unmatched_remedy(health),
            "anchors",
        )
    else:
        weak = [
            one["name"]
            for one in anchors["per_class"]
            if one["boxes"] >= FEW_OF_CLASS and one["below_0.5"] >= CLASS_UNMATCHED * one["boxes"]
        ]
        if weak:
            yield Verdict(
                WARN,
                "A quarter and more of their boxes fit no anchor: %s" % _listed(weak),
                "Such a box is learned from one badly fitting anchor, so it is found late and placed badly.",
                _unmatched_remedy(health),
                "anchors",
            )


def _why_unmatched(anchors: Health) -> str:
    words = {
        "smaller_than_any_anchor": "Most of them are smaller than any anchor",
        "larger_than_any_anchor": "Most of them are larger than any anchor",
        "elongated": "Most of them are too long or too thin for the anchors",
        "between_anchors": "Most of them lie between the anchors in size or shape",
    }
    return words[max(words, key=lambda one: int(anchors["why_below"][one]))]


def _unmatched_remedy(health: Health) -> str:
    advice, why = health["advice"], health["anchors"]["why_below"]
    fitted = "Use the anchors below, fitted to these boxes. " if advice and advice["worth"] else ""
    small = why["smaller_than_any_anchor"] * 2 > health["anchors"]["below_0.5"]
    rest = "Cut the photos into tiles: anchors have a share of the picture, whatever its size is." if small else ""
    return (fitted + rest).strip() or "See which boxes they are; other anchors would change little."


def _advice(health: Health) -> Iterator[Verdict]:
    advice = health["advice"]
    if not advice or not advice["worth"]:
        return
    now, then = (advice[when][advice["measured_on"]] for when in ("now", "then"))
    yield Verdict(
        NOTE,
        "Other anchors would fit better: %s of the boxes instead of %s, mean IoU %.2f instead of %.2f"
        % (_percent(then["recall"]), _percent(now["recall"]), then["mean"], now["mean"]),
        "Anchors near to the boxes are learned faster and place them better; the network stays as fast as it is.",
        "Paste them into a pipeline.config, as told below.",
        "advice",
    )


def _double(health: Health) -> Iterator[Verdict]:
    for kind, title in (("double", "labelled twice"), ("two_classes", "labelled as two classes")):
        count = _suspicious(health, kind)
        severity = _grade(_share(count, health["boxes"]), TWICE_BAD, TWICE_WARN)
        if severity:
            yield Verdict(
                severity,
                "%s %s" % (_counted(count, "thing is", "things are"), title),
                "What is labelled twice is counted as two: one of them is missed in every evaluation, and where the"
                " classes differ the detector learns both.",
                "Remove one box of each pair.",
                "suspicious",
            )


def _odd(health: Health) -> Iterator[Verdict]:
    rules: Tuple[Tuple[Tuple[str, ...], float, Tuple[str, str, str], str, str], ...] = (
        (
            ("tiny",),
            TINY_WARN,
            ("box is", "boxes are", "under %.0f pixels for the network" % TINY),
            "There is little left to recognise.",
            "Raise model.input_size, or cut the photos into tiles.",
        ),
        (
            ("whole_picture",),
            WHOLE_WARN,
            ("box covers", "boxes cover", "the whole picture"),
            "A detector that learns that draws boxes around everything.",
            "Look whether they are labels of pictures instead of boxes around things.",
        ),
        (
            ("odd_area", "odd_shape", "extreme_shape"),
            ODD_WARN,
            ("box differs from its class", "boxes differ from their class", "in size or shape"),
            "Some are slips of the mouse, and each costs as much as a right one teaches.",
            "Look through them, the oddest first.",
        ),
    )
    for kinds, limit, (one, more, what), why, remedy in rules:
        count = max(_suspicious(health, kind) for kind in kinds)
        if _share(count, health["boxes"]) >= limit:
            yield Verdict(WARN, "%s %s" % (_counted(count, one, more), what), why, remedy, "suspicious")
    crowded = _suspicious(health, "crowded")
    if crowded:
        yield Verdict(
            WARN,
            "%s with more than %d boxes" % (_counted(crowded, "picture"), CROWD),
            "A detection lists no more than export.max_detections boxes, so the rest cannot be found.",
            "Cut such photos into tiles, or raise export.max_detections.",
            "suspicious",
        )


def _pictures(health: Health) -> Iterator[Verdict]:
    pictures, total = health["pictures"], health["images"]
    if _share(pictures["smaller"], total) >= ENLARGED:
        yield Verdict(
            WARN,
            "%s pictures are smaller than the network's input" % _number(pictures["smaller"]),
            "They are enlarged, which costs time on the board and shows nothing more.",
            "Lower model.input_size, or use larger photos.",
            "pictures",
        )
    if _share(pictures["stretched"], total) >= STRETCHED_MOST:
        yield Verdict(
            NOTE,
            "The network sees most pictures stretched, by %.2f times in the median" % pictures["stretch"],
            "Training and detection do the same to a picture, so little is lost; but detail is, in one direction.",
            "If small things matter, give model.input_size the photos' proportions, as [height, width].",
            "pictures",
        )
    if health["boxes"] and not sum(one["empty"] for one in health["splits"].values()):
        yield Verdict(
            NOTE,
            "No picture is without a box",
            "A detector that never saw an empty scene tends to find things in it.",
            "Add some photos of places without any of the things, each with an XML without <object>.",
            "annotations",
        )


RULES: Tuple[Callable[[Health], Iterator[Verdict]], ...] = (
    _losses,
    _leaks,
    _splits,
    _classes,
    _uneven,
    _anchors,
    _double,
    _unlabelled,
    _odd,
    _pictures,
    _advice,
)


def _grade(value: float, bad: float, warn: float) -> Optional[str]:
    return BAD if value >= bad else WARN if value >= warn else None


def _suspicious(health: Health, kind: str) -> int:
    return sum(one["count"] for one in health["suspicious"] if one["kind"] == kind)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _percent(share: float) -> str:
    """``12%``; one digit more where that would be 0 or 100 and it is neither."""
    return "%.0f%%" % (100 * share) if 0.01 <= share <= 0.99 or share in (0, 1) else "%.1f%%" % (100 * share)


def _number(count: int) -> str:
    return "{:,}".format(count)


def _counted(count: int, one: str, more: str = "") -> str:
    """A count with its words: ``one`` of one, else ``more``, which is ``one`` and an s where it is not given."""
    return "%s %s" % (_number(count), one if count == 1 else more or one + "s")


def _listed(names: List[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = " and %d more" % (len(names) - most) if len(names) > most else ""
    return ", ".join(names[:most]) + more
