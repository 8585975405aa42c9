"""What detector.toml and the overrides state: single entries, each with the place where it stands."""

from __future__ import annotations

import re
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


class Fault(NamedTuple):
    """Something that the user has to change."""

    where: str
    what: str


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
    for section, content in _sections_of(tomllib.loads(text)):
        where = f"line {_line_of(text, section)}"
        if not isinstance(content, dict):
            what = f"{section} = {content!r} stands outside of a section; {_section_advice(section)}"
            faults.append(Fault(where, what))
        elif general(section) not in sections():
            faults.append(Fault(where, f"unknown section [{section}]; {_section_advice(section)}"))
        elif general(section) == ANY_HOST and not content:
            faults.append(Fault(where, f"[{section}] is empty: {section}.docker says where its Docker daemon is"))
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


def _section_advice(name: str) -> str:
    return f"sections are {', '.join(sections())}{did_you_mean(name, sections())}"


def _line_of(text: str, section: str, name: Optional[str] = None) -> int:
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
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
