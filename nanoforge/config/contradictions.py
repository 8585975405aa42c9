"""Values that are right each for itself but not together, and what no project can do without."""

from __future__ import annotations

import unicodedata
from typing import Dict, Iterator, Mapping

from nanoforge.config.entries import Entries, Fault, shown
from nanoforge.config.schema import HOSTS, RUNNERS, Config, HostSection, Size
from nanoforge.config.spelling import did_you_mean

SMALLEST_INPUT = 33  # pixels on a side; object_detection's feature extractors refuse less


def contradictions(config: Config, stated: Entries, right: Entries) -> Iterator[Fault]:
    """Every contradiction in a config that was made of the ``right`` ones of the ``stated`` entries.

    What was stated wrongly has its own fault already and is not complained about a second time.
    """
    yield from _of_classes(config, stated, right)
    yield from _of_aliases(config, right)
    yield from _of_input_size(config.model.input_size, right)
    if config.build_engine.source != "uff" and config.convert.to != "onnx":
        what = (
            f"build_engine.source = {shown(config.build_engine.source)} needs the ONNX model: set"
            ' convert.to = "onnx" too'
        )
        yield Fault(_where(right, "build_engine", "source"), what)
    yield from _of_hosts(config.hosts, stated)
    yield from _of_places(config, right)


def _where(entries: Entries, section: str, name: str) -> str:
    entry = entries.get((section, name))
    return entry.where if entry else f"[{section}]"


def _of_classes(config: Config, stated: Entries, right: Entries) -> Iterator[Fault]:
    if ("dataset", "classes") not in stated:
        what = 'dataset.classes is missing: name the classes to detect, for instance classes = ["raccoon"]'
        yield Fault("[dataset]", what)
    if ("dataset", "classes") not in right:
        return
    classes, where = config.dataset.classes, _where(right, "dataset", "classes")
    doubled = sorted({name for name in classes if classes.count(name) > 1})
    if not classes:
        yield Fault(where, "dataset.classes is empty: name at least one class")
    if doubled:
        yield Fault(where, f"dataset.classes names {', '.join(doubled)} more than once")
    forms = sorted({_composed(name) for name in classes if len({one for one in classes if _same(one, name)}) > 1})
    if forms:
        what = f"dataset.classes names {', '.join(forms)} in two Unicode forms, which are the same text: keep one"
        yield Fault(where, what)
    if not all(name.strip() for name in classes):
        yield Fault(where, "dataset.classes holds an empty name")
    broken = [name for name in classes if any(unicodedata.category(letter) == "Cc" for letter in name)]
    if broken:
        yield Fault(where, f"dataset.classes: {shown(broken[0])} holds a line break or another control character")


def _of_aliases(config: Config, right: Entries) -> Iterator[Fault]:
    """Aliases that name no class, or what is a class itself; whatever Unicode form either is written in."""
    if ("dataset", "aliases") not in right or ("dataset", "classes") not in right:
        return
    where = _where(right, "dataset", "aliases")
    classes = {_composed(name): name for name in config.dataset.classes}
    goals: Dict[str, str] = {}
    for alias, goal in config.dataset.aliases.items():
        told = f"dataset.aliases: {shown(alias)} = {shown(goal)}"
        first = goals.setdefault(_composed(alias), goal)
        if not alias.strip() or not goal.strip():
            yield Fault(where, f"{told}: expected two names, another one in the XML and a class")
        elif _same(alias, goal):
            yield Fault(where, f"{told}: a name needs no alias to itself, in whatever Unicode form: remove it")
        elif _composed(alias) in classes:
            yield Fault(where, f"{told}: {alias} is itself in dataset.classes: take it out there, or remove the alias")
        elif _composed(goal) not in classes:
            meant = did_you_mean(goal, config.dataset.classes)
            yield Fault(where, f"{told}: there is no class {goal} in dataset.classes{meant}")
        elif not _same(first, goal):
            yield Fault(where, f"{told}: the same name in another Unicode form is an alias for {first}")


def _same(name: str, other: str) -> bool:
    return _composed(name) == _composed(other)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _of_input_size(size: Size, right: Entries) -> Iterator[Fault]:
    """Pictures of the records may be smaller than what any network takes."""
    if min(size if isinstance(size, list) else [size]) < SMALLEST_INPUT:
        what = f"model.input_size = {shown(size)}: expected at least {SMALLEST_INPUT}"
        yield Fault(_where(right, "model", "input_size"), what)


def _of_hosts(hosts: Mapping[str, HostSection], stated: Entries) -> Iterator[Fault]:
    for name, host in hosts.items():
        section = f"{HOSTS}.{name}"
        if name in RUNNERS:
            yield Fault(f"[{section}]", f"a host cannot be called {name}, which is a runner")
        if not host.docker and ((section, "docker") not in stated or stated[section, "docker"].value == ""):
            what = f'{section}.docker is missing: where its Docker daemon is, such as "ssh://user@{name}"'
            yield Fault(f"[{section}]", what)


def _of_places(config: Config, right: Entries) -> Iterator[Fault]:
    places = (*RUNNERS, *config.hosts)
    for stage, place in config.runner.stages.items():
        if place not in places:
            meant = did_you_mean(place, places)
            what = f"runner.stages.{stage} = {shown(place)}: expected one of {', '.join(places)}{meant}"
            yield Fault(_where(right, "runner", "stages"), what)
