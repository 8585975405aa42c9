"""What a trial says at its end: of the documents that its stages wrote."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence

from nanoforge.commands.survey_words import Line
from nanoforge.pipeline.build import proof_words
from stages.finding_kinds import DROP, KINDS

MOST_KINDS, MOST_CLASSES = 5, 20
MOST_LOST = 0.1  # of pictures or boxes, as stages/data/losses.py has it
FALLEN = 0.7  # of the first loss: what is left of it where something was learned


class TrialFindings(NamedTuple):
    """The documents, as docs/architecture.md has them.

    Attributes:
        dataset: ``dataset.json`` of records.
        history: ``training`` of train's ``history.json``.
        evaluation: ``evaluation.json`` of evaluate.
        detections: ``detections.json`` of detect.
        parity: ``parity.json`` of convert.
    """

    dataset: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    evaluation: Mapping[str, Any]
    detections: Mapping[str, Any]
    parity: Mapping[str, Any]


class TrialWords:
    """The lines for a person, and what they come to."""

    def __init__(self, findings: TrialFindings) -> None:
        self._dataset = findings.dataset
        self._evaluation, self._parity = findings.evaluation, findings.parity
        self._losses = [float(point["loss"]) for point in findings.history]
        self._threshold = float(findings.detections["score_threshold"])
        self._found = [len(picture["detections"]) for picture in findings.detections["pictures"]]

    def lines(self) -> Iterator[Line]:
        """Pictures and what was wrong with them, classes, training, detections, proof."""
        yield Line("")
        yield from self._pictures()
        yield from self._problems()
        yield from self._classes()
        yield Line(f"  training    {self._training()}")
        yield Line(f"  detections  {self._detections()}")
        yield Line(f"  proof       {proof_words(self._parity)}")

    @property
    def is_good(self) -> bool:
        """Whether something was learned and found."""
        return self._has_learned and any(self._found)

    def verdict(self) -> str:
        """What the figures say of the data, and what they do not."""
        if self.is_good:
            return "The data works: its boxes were learned, found again on pictures kept for validation, and proven."
        if self._has_learned:
            return (
                "The chain works on this data and the loss fell, but the boxes found so far score below"
                f" {self._threshold:g}: so short a training of small or rare things need not find them. Look whether"
                " the boxes lie right in the report, and train for longer."
            )
        return (
            "The chain works on this data, but the loss hardly fell: look in the report whether the boxes lie on the"
            " things that they name, before a long training."
        )

    def _pictures(self) -> Iterator[Line]:
        figures: Mapping[str, Mapping[str, int]] = self._dataset["figures"]
        pictures, boxes = figures["pictures"], figures["boxes"]
        background = f", {pictures['background']} of them without a box" if pictures["background"] else ""
        yield Line(
            f"  pictures    {self._dataset['images']} used of {pictures['read']} taken{background};"
            f" {pictures['dropped']} left out; {boxes['kept']} of {boxes['read']} boxes used"
        )
        lost = [what for what in ("pictures", "boxes") if figures[what]["dropped"] > MOST_LOST * figures[what]["read"]]
        if lost:
            yield Line(
                f"More than a tenth of the {' and of the '.join(lost)} is left out: `./run build` will stop there until"
                " they are mended, or the loss is stated or accepted (docs/stages/records.md).",
                warning=True,
            )

    def _problems(self) -> Iterator[Line]:
        counts: Mapping[str, int] = self._dataset["finding_counts"]
        first: Dict[str, Mapping[str, Any]] = {}
        for finding in self._dataset["findings"]:
            first.setdefault(finding["kind"], finding)
        kinds = sorted(first, key=lambda kind: (first[kind]["action"] != DROP, -counts[kind], kind))
        for kind in kinds[:MOST_KINDS]:
            yield Line(f"    {counts[kind]} {kind}, for instance\n      {_sentence(first[kind])}")
        if len(kinds) > MOST_KINDS:
            yield Line("    and " + ", ".join(f"{counts[kind]} {kind}" for kind in kinds[MOST_KINDS:]))

    def _classes(self) -> Iterator[Line]:
        boxes = {one["name"]: sum(one["boxes"].values()) for one in self._dataset["classes"]}
        seen = sorted((name for name in boxes if boxes[name]), key=lambda name: (-boxes[name], name))
        unseen = [name for name in boxes if not boxes[name]]
        yield Line(f"  classes     {_listed([f'{name} ({boxes[name]} boxes)' for name in seen])}")
        if unseen:
            yield Line(f"None of the pictures taken has a box of {_listed(unseen)}.", warning=True)

    def _training(self) -> str:
        first, last = self._first_and_last_loss()
        return f"loss {first:.2f} at first, {last:.2f} at the end of {len(self._losses)} steps"

    @property
    def _has_learned(self) -> bool:
        first, last = self._first_and_last_loss()
        return last < FALLEN * first

    def _first_and_last_loss(self) -> List[float]:
        """Of the first and of the last tenth of the steps: a single one depends on its pictures."""
        part = max(len(self._losses) // 10, 1)
        return [median(self._losses[:part]), median(self._losses[-part:])]

    def _detections(self) -> str:
        precision = self._evaluation["mAP@0.5"]
        figure = "no mAP, as they have no box" if precision is None else f"mAP@0.5 {precision:.2f}"
        return (
            f"{sum(self._found)} boxes with a score of {self._threshold:g} or more on"
            f" {sum(map(bool, self._found))} of {len(self._found)} pictures kept for validation ({figure})"
        )


def _sentence(finding: Mapping[str, Any]) -> str:
    place = f"{finding['file']}, line {finding['line']}" if finding["line"] else finding["file"]
    return f"{place}: {finding['message']}. {KINDS[finding['kind']].remedy}."


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MOST_CLASSES} more" if len(words) > MOST_CLASSES else ""
    return ", ".join(words[:MOST_CLASSES]) + more
