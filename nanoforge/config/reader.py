"""Reading ``detector.toml``: every fault of the file and the overrides in one message, each with its line."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple, Union

import msgspec

from nanoforge.config.schema import ANY_HOST, HOSTS, POLICIES, RUNNERS, Config, Key, Size, keys, sections
from nanoforge.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read ``detector.toml`` at ``path``, then ``overrides`` such as ``train.steps=4000``.

    Raises:
        BadInput: with every fault of the file and the overrides in one message, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise BadInput(
            f"There is no {path.name} in {path.parent}: make one with `init PHOTOS`, or name one with --config FILE."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is not valid TOML: {error}.") from None
    entries, faults = _entries_of_document(document, text)
    entries_set, faults_set = _entries_of_overrides(overrides)
    values, value_faults = _checked_values({**entries, **entries_set})
    config = msgspec.convert(values, Config)
    problems = [
        f"{where}: {what}"
        for where, what in (*faults, *faults_set, *value_faults, *_contradictions(config, {**entries, **entries_set}))
    ]
    if problems:
        raise BadInput("\n".join([f"{path} cannot be used:", *(f"  {problem}" for problem in problems)]))
    return config


class Entry(NamedTuple):
    value: Any
    where: str


Entries = Dict[Tuple[str, str], Entry]
Fault = Tuple[str, str]


def _entries_of_document(document: Mapping[str, Any], text: str) -> Tuple[Entries, List[Fault]]:
    entries: Entries = {}
    faults: List[Fault] = []
    for section, content in _sections_of(document):
        where = f"line {_line_of(text, section, None)}"
        if not isinstance(content, dict):
            faults.append((where, f"{section} = {content!r} stands outside of a section; {_section_advice(section)}"))
        elif _general(section) not in sections():
            faults.append((where, f"[{section}] is no section; {_section_advice(section)}"))
        else:
            for name, value in content.items():
                entries[section, name] = Entry(value, f"line {_line_of(text, section, name)}")
    return entries, faults


def _sections_of(document: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """The document's tables; those of single hosts as ``hosts.nano``."""
    for section, content in document.items():
        if section == HOSTS and isinstance(content, dict) and all(isinstance(host, dict) for host in content.values()):
            yield from ((f"{HOSTS}.{name}", host) for name, host in content.items())
        else:
            yield section, content


def _general(section: str) -> str:
    return ANY_HOST if section.startswith(f"{HOSTS}.") else section


def _entries_of_overrides(overrides: Sequence[str]) -> Tuple[Entries, List[Fault]]:
    entries: Entries = {}
    faults: List[Fault] = []
    for override in overrides:
        match = re.fullmatch(r"\s*(hosts\.[\w-]+|\w+)\.(\w+)\s*=(.*)", override, re.DOTALL)
        if match:
            section, name, value = match.groups()
            entries[section, name] = Entry(_toml_value(value.strip()), f"--set {override}")
        else:
            faults.append((f"--set {override}", "must look like section.key=value, for instance train.steps=4000"))
    return entries, faults


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked_values(entries: Entries) -> Tuple[Dict[str, Dict[str, Any]], List[Fault]]:
    """The entries that are right, as nested values, and what is wrong with the others."""
    known = {(key.section, key.name): key for key in keys()}
    values: Dict[str, Dict[str, Any]] = {}
    faults: List[Fault] = []
    for (section, name), entry in entries.items():
        key = known.get((_general(section), name))
        problem = _unknown_key(section, name, known) if key is None else _problem_of_value(key, entry.value)
        if problem:
            faults.append((entry.where, problem))
        else:
            top, _, host = section.partition(".")
            table = values.setdefault(top, {})
            (table.setdefault(host, {}) if host else table)[name] = entry.value
    return values, faults


def _problem_of_value(key: Key, value: Any) -> str:
    shown = f"{key.section}.{key.name} = {value!r}"
    if isinstance(value, bool) and key.type.__origin__ is not bool:
        return f"{shown}: expected {_type_words(key)}, got a boolean"
    try:
        msgspec.convert(value, key.type)
    except msgspec.ValidationError as error:
        return f"{shown}: {str(error).replace('`', '').replace('Expected', 'expected')} ({key.meaning})"
    if key.choices and value not in key.choices:
        return f"{shown}: expected one of {', '.join(key.choices)}{_nearest(str(value), key.choices)}"
    if key.type.__origin__ is Size and not _is_size(value):
        return f"{shown}: expected one number, or two as [height, width], each at least 32 (0: take the default)"
    return ""


def _is_size(value: Size) -> bool:
    numbers = value if isinstance(value, list) else [value]
    return value == 0 or (all(32 <= number <= 4096 for number in numbers) and len(numbers) in (1, 2))


def _type_words(key: Key) -> str:
    return "a number" if isinstance(key.default, (int, float)) else "a " + type(key.default).__name__


def _contradictions(config: Config, entries: Entries) -> Iterator[Fault]:
    """Values that are right each for itself but not together."""

    def where(section: str, name: str) -> str:
        entry = entries.get((section, name))
        return entry.where if entry else f"[{section}]"

    yield from _contradictions_of_classes(config.dataset.classes, where("dataset", "classes"), entries)
    for kind, policy in config.records.findings.items():
        if policy not in POLICIES:
            yield where("records", "findings"), f"records.findings.{kind} = {policy!r}: expected fail, drop or fix"
    if config.train.warmup_steps >= config.train.steps and ("train", "warmup_steps") in entries:
        yield where("train", "warmup_steps"), "train.warmup_steps must be smaller than train.steps"
    yield from _contradictions_of_places(config, where("runner", "stages"))
    if config.model.input_size == 0:
        yield where("model", "input_size"), "model.input_size = 0: expected at least 32"


def _contradictions_of_classes(classes: List[str], where: str, entries: Entries) -> Iterator[Fault]:
    doubled = sorted({name for name in classes if classes.count(name) > 1})
    if doubled:
        yield where, f"dataset.classes names {', '.join(doubled)} more than once"
    if not all(name.strip() for name in classes):
        yield where, "dataset.classes holds an empty name"
    if not classes and ("dataset", "classes") not in entries:
        yield "[dataset]", 'dataset.classes is missing: name the classes to detect, for instance classes = ["raccoon"]'
    elif classes == []:
        yield where, "dataset.classes is empty: name at least one class"


def _contradictions_of_places(config: Config, where_stages: str) -> Iterator[Fault]:
    for name, host in config.hosts.items():
        if name in RUNNERS:
            yield f"[hosts.{name}]", f"a host cannot be called {name}, which is a runner"
        if not host.docker:
            yield (
                f"[hosts.{name}]",
                f'hosts.{name}.docker is missing: where its Docker daemon is, such as "ssh://user@{name}"',
            )
    places = (*RUNNERS, *config.hosts)
    for stage, place in config.runner.stages.items():
        if place not in places:
            yield where_stages, f"runner.stages.{stage} = {place!r}: expected one of {', '.join(places)}"


def _unknown_key(section: str, name: str, known: Mapping[Tuple[str, str], Key]) -> str:
    spelled = {f"{key_section}.{key_name}" for key_section, key_name in known}
    return f"{section}.{name} is no key{_nearest(f'{section}.{name}', sorted(spelled))}"


def _section_advice(name: str) -> str:
    return f"sections are {', '.join(sections())}{_nearest(name, list(sections()))}"


def _nearest(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _line_of(text: str, section: str, name: Union[str, None]) -> int:
    """The line (from 1) on which a section, or a key of it, stands in the TOML text."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([\w-]+)(?:\s*\.\s*([\w-]+))?\s*\]", line)
        if header:
            inside = section in (header.group(1), f"{header.group(1)}.{header.group(2)}")
            if inside and (name is None or header.group(2) == name):
                return number
        elif (inside and name is not None and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[.=]", line)) or re.match(
            rf"\s*{re.escape(section)}\s*(?:\.\s*{re.escape(name or '')}\s*)?=", line
        ):
            return number
    return 1
