"""What ``init`` says of a dataset, and what it leaves to the user to decide: of the stage survey's document."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple

from nanoforge.config.template import toml_text

MOST_CLASSES, MOST_PROBLEMS, MOST_VARIANTS = 20, 10, 8
"""Lines that a person reads before the first minute is over; detector.toml, and records' findings, have the rest."""

SIDES = ("train", "validation", "test", "by chance")
SOURCES = {"folders": "by its folders", "imagesets": "by its lists (ImageSets/Main)"}


class Line(NamedTuple):
    """A line for the console; a ``warning`` is something that the user should decide or mend."""

    text: str
    warning: bool = False


class SurveyWords:
    """``survey``: the document of stages/data/survey.py."""

    def __init__(self, survey: Mapping[str, Any]) -> None:
        self.survey = survey
        self.objects: Dict[str, int] = survey["objects"]
        self.kept: Dict[str, int] = survey["classes"]

    def classes(self) -> List[str]:
        """The classes for ``dataset.classes``: those with a box that records keep, or all, if none has one."""
        return sorted(name for name in self.objects if self.kept[name]) or sorted(self.objects)

    def lines(self) -> Iterator[Line]:
        """All of it: how boxes are read, the classes, the split, names that are alike, problems."""
        yield from self._patterns()
        yield from self._classes()
        yield self._split()
        yield from self._names()
        yield from self._problems()

    def worst_problem(self) -> str:
        """The first example of what leaves out most, empty where there is no problem."""
        worst = self._by_loss()[:1]
        return str(self.survey["problems"][worst[0]]["first"]) if worst else ""

    def settings(self) -> Dict[Tuple[str, str], Any]:
        """What init sets in detector.toml because of the dataset."""
        return {("dataset", "classes"): self.classes(), ("records", "split"): self.survey["split"]["source"]}

    def advice(self) -> Dict[Tuple[str, str], str]:
        """What the user is to decide, as comments in detector.toml."""
        found = {
            (
                "dataset",
                pattern["key"],
            ): f"{pattern['what']}. To read them so:\n{pattern['key']} = {toml_text(pattern['value'])}"
            for pattern in self.survey["patterns"]
            if pattern["key"]
        }
        if self.survey["variants"]:
            others = [name for names in self.survey["variants"] for name in names[1:]]
            found["dataset", "aliases"] = (
                "Some names differ only in capitals, blanks, underscores or hyphens. If they mean the same, take"
                f" {_listed(others)}\nout of `classes`, and set:\naliases = {toml_text(self._aliases())}"
            )
        return found

    def _aliases(self) -> Dict[str, str]:
        return {name: names[0] for names in self.survey["variants"] for name in names[1:]}

    def _patterns(self) -> Iterator[Line]:
        for pattern in self.survey["patterns"]:
            yield Line(f"{pattern['what']}:", warning=True)
            for example in pattern["examples"]:
                yield Line(f"    {example}")
            counted = "What follows is counted as if that were set." if pattern["key"] else ""
            yield Line(f"  {pattern['remedy']}. {counted or '`./run records` refuses them until then.'}")

    def _classes(self) -> Iterator[Line]:
        from rich.cells import cell_len, set_cell_size

        names = sorted(self.objects, key=lambda name: (-self.kept[name], -self.objects[name], name))
        shown = names[:MOST_CLASSES]
        width = min(max(map(cell_len, shown)), 40)
        for name in shown:
            lost = self.objects[name] - self.kept[name]
            told = set_cell_size(name, width) if cell_len(name) < width else name
            yield Line(
                f"  {told}  {self.kept[name]:>6} {'box' if self.kept[name] == 1 else 'boxes'}"
                + (f", {lost} more left out" if lost else "")
            )
        if len(names) > len(shown):
            more = sum(self.kept[name] for name in names[MOST_CLASSES:])
            yield Line(f"  and {len(names) - MOST_CLASSES} more classes with {more} boxes")
        lost_names = [name for name in names if not self.kept[name]]
        if lost_names and len(lost_names) < len(names):
            yield Line(f"No box of {_listed(lost_names)} can be used: not in dataset.classes.", warning=True)

    def _split(self) -> Line:
        split = self.survey["split"]
        if split["source"] not in SOURCES:
            return Line("It brings no split of its own: chance picks the photos for validation.")
        sides = ", ".join(f"{side} {split['pictures'][side]}" for side in SIDES if split["pictures"].get(side))
        return Line(f"The split that it brings {SOURCES[split['source']]} is kept: {sides} pictures.")

    def _names(self) -> Iterator[Line]:
        for name, forms in list(self.survey["forms"].items())[:MOST_VARIANTS]:
            yield Line(f"  {name} is written in {forms} Unicode forms: the same text, so one class.")
        variants = self.survey["variants"]
        if variants:
            groups = [", ".join(f"{name} ({self.objects[name]})" for name in names) for names in variants]
            yield Line(
                f"Names that differ only in capitals, blanks, underscores or hyphens: {_listed(groups, '; ')}. If they"
                " mean the same, take the rarer ones out of dataset.classes and map them, as detector.toml proposes:"
                f" aliases = {toml_text(dict(list(self._aliases().items())[:MOST_VARIANTS]))}",
                warning=True,
            )

    def _problems(self) -> Iterator[Line]:
        problems: Mapping[str, Any] = self.survey["problems"]
        order = self._by_loss()
        if order:
            labelled = self.survey["labelled"]
            lost = labelled["pictures"] - labelled["kept"]
            told = f"; {lost} of {labelled['pictures']} labelled photos would be left out" if lost else ""
            yield Line(f"Problems, as `./run records` will treat them, which looks at pixels too{told}:", warning=True)
        for kind in order[:MOST_PROBLEMS]:
            one = problems[kind]
            yield Line(f"  {one['count']} {kind}, for instance\n      {one['first']}")
        if len(order) > MOST_PROBLEMS:
            yield Line("  and " + ", ".join(f"{problems[kind]['count']} {kind}" for kind in order[MOST_PROBLEMS:]))

    def _by_loss(self) -> List[str]:
        """The kinds of problems, what leaves out most first."""
        problems: Mapping[str, Any] = self.survey["problems"]
        return sorted(problems, key=lambda kind: (-problems[kind]["dropped"], -problems[kind]["count"], kind))


def _listed(words: List[str], between: str = ", ") -> str:
    more = f"{between}and {len(words) - MOST_VARIANTS} more" if len(words) > MOST_VARIANTS else ""
    return between.join(words[:MOST_VARIANTS]) + more
