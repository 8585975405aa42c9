"""Reading ``detector.toml``: every fault of the file and the overrides in one message, each with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import msgspec

from nanoforge.config.checks import check_entries
from nanoforge.config.contradictions import contradictions
from nanoforge.config.entries import MOST_FAULTS, Entries, Fault, entries_of_overrides, entries_of_text
from nanoforge.config.schema import FILE_NAME, Config
from nanoforge.errors import BadInput

MOST_BYTES = 1 << 18
LONGEST = 800  # characters of a fault, or of where it is


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read ``detector.toml`` at ``path``, then ``overrides`` such as ``train.steps=4000``.

    Raises:
        BadInput: with every fault of the file and the overrides in one message, each with its line.
    """
    stated, faults = _stated(path)
    overriding, faults_of_overrides = entries_of_overrides(overrides)
    entries = {**stated, **overriding}
    right, faults_of_values = check_entries(entries)
    config = msgspec.convert(_nested(right), Config)
    _raise_if_any(path, [*faults, *faults_of_overrides, *faults_of_values, *contradictions(config, entries, right)])
    return config


def _stated(path: Path) -> Tuple[Entries, List[Fault]]:
    try:
        return entries_of_text(_text_of(path))
    except ValueError as error:
        raise BadInput(f"{path} is not valid TOML: {error}.") from None


def _text_of(path: Path) -> str:
    """The file's text; a byte order mark in front, which some editors write, is passed over."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise BadInput(f"{path} is a folder, pipe or device: name a file with --config FILE.")
        with open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(
            f"There is no {path.name} in {path.parent}: make one with `init PHOTOS`, or name one with --config FILE."
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(content) > MOST_BYTES:
        raise BadInput(f"{path} has more than {MOST_BYTES} bytes: it is no {FILE_NAME}.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path} is not UTF-8 text (line {line}): save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _nested(entries: Entries) -> Dict[str, Dict[str, Any]]:
    """The entries' values in tables, those of a host one deeper."""
    tables: Dict[str, Dict[str, Any]] = {}
    for (section, name), entry in entries.items():
        top, _, host = section.partition(".")
        table = tables.setdefault(top, {})
        (table.setdefault(host, {}) if host else table)[name] = entry.value
    return tables


def _raise_if_any(path: Path, faults: Sequence[Fault]) -> None:
    if faults:
        lines = [f"  {fault.where[:LONGEST]}: {fault.what[:LONGEST]}" for fault in faults[:MOST_FAULTS]]
        if len(faults) > MOST_FAULTS:
            lines.append(f"  and {len(faults) - MOST_FAULTS} more")
        raise BadInput("\n".join([f"{path} cannot be used:", *lines]))
