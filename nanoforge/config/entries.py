"""What detector.toml and the overrides state: single entries, each with the place where it stands."""

from __future__ import annotations

import re
import reprlib
import sys
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from nanoforge.config.schema import ANY_HOST, HOSTS, sections
from nanoforge.config.spelling import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Entry(NamedTuple):
    """A value that somebody stated, and where: a line of the file, or an override."""

    value: Any
    where: str


MOST_FAULTS = 50  # that are told at once


class Fault(NamedTuple):
    """Something that the user has to change."""

    where: str
    what: str


_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""  # of a dotted key
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_HEADER = re.compile(rf"\s*\[+\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]")
_DEEPEST = 50  # of dotted keys: the TOML reader's time grows with the square
TOO_DEEP = "its lists or tables are nested too deeply"
_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong, _SHORT.maxlist, _SHORT.maxdict = 200, 200, 60, 20, 20

Entries = Dict[Tuple[str, str], Entry]
"""(section, key) -> entry; the section of a host is ``hosts.nano``."""


def general(section: str) -> str:
    """The section as the schema names it: that of any host for a certain one."""
    return ANY_HOST if section.startswith(f"{HOSTS}.") else section


def entries_of_text(text: str) -> Tuple[Entries, List[Fault]]:
    """The entries of all known sections of a TOML text.

    Raises:
        ValueError: the text is not TOML, with the line.
    """
    entries: Entries = {}
    faults: List[Fault] = []
    lines = _lines_of(text)
    for section, content in _sections_of(_document(text)):
        where = f"line {lines.get((section, None), 1)}"
        if not isinstance(content, dict):
            what = f"{section} = {shown(content)} stands outside of a section; {_section_advice(section)}"
            faults.append(Fault(where, what))
        elif general(section) not in sections():
            advice = _section_advice(section) if len(faults) < MOST_FAULTS else ""
            faults.append(Fault(where, f"unknown section [{section}]; {advice}"))
        else:
            for name, value in content.items():
                entries[section, name] = Entry(value, f"line {lines.get((section, name), 1)}")
    return entries, faults


def _document(text: str) -> Dict[str, Any]:
    """The text read as TOML.

    Raises:
        ValueError: it is not TOML, or nested as no config is.
    """
    try:
        document: Dict[str, Any] = tomllib.loads(text)
        return document
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def shown(value: Any) -> str:
    """A value as a message shows it: what is far too long for a line is cut."""
    return _SHORT.repr(value)


def _sections_of(document: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """The document's tables; those of single hosts as ``hosts.nano``."""
    for section, content in document.items():
        if section == HOSTS and isinstance(content, dict) and all(isinstance(host, dict) for host in content.values()):
            yield from ((f"{HOSTS}.{name}", host) for name, host in content.items())
        else:
            yield section, content


def _section_advice(name: str) -> str:
    return f"sections are {', '.join(sections())}{did_you_mean(name, sections())}"


def _lines_of(text: str) -> Dict[Tuple[str, Optional[str]], int]:
    """(section, key or None) -> the first line (from 1) of the TOML text on which it stands.

    Raises:
        ValueError: a key has more parts than any of a config.
    """
    found: Dict[Tuple[str, Optional[str]], int] = {}
    here: List[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            here = _parts(header.group(1))
        if header or key:
            path = here + (_parts(key.group(1)) if key and not header else [])
            found.setdefault((path[0], None), number)
            for depth in range(1, len(path)):
                found.setdefault((".".join(path[:depth]), path[depth]), number)
                found.setdefault((".".join(path[: depth + 1]), None), number)
    return found


def _parts(dotted: str) -> List[str]:
    parts = re.findall(_PART, dotted)
    if len(parts) > _DEEPEST:
        raise ValueError(TOO_DEEP)
    return [part.strip("\"'") for part in parts]


def entries_of_overrides(overrides: Sequence[str]) -> Tuple[Entries, List[Fault]]:
    """The entries of texts such as ``train.steps=4000`` and ``hosts.nano.l4t=32.7.1``."""
    entries: Entries = {}
    faults: List[Fault] = []
    for override in overrides:
        match = re.fullmatch(r"\s*(hosts\.[\w-]+|\w+)\.(\w+)\s*=(.*)", override, re.DOTALL)
        if match:
            section, name, value = match.groups()
            entries[section, name] = Entry(_toml_value(value.strip()), f"--set {override}")
        else:
            what = "must look like section.key=value, for instance train.steps=4000"
            faults.append(Fault(f"--set {override}", what))
    return entries, faults


def _toml_value(text: str) -> Any:
    """The value that the text is in TOML, else the text itself, so that words need no quotes in a shell."""
    try:
        return _document(f"value = {text}")["value"]
    except ValueError:
        return text
