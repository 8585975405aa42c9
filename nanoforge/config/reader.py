"""Reading ``detector.toml``: every fault of the file and the overrides in one message, each with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import msgspec

from nanoforge.config.checks import check_entries
from nanoforge.config.contradictions import contradictions
from nanoforge.config.entries import Entries, Fault, entries_of_overrides, entries_of_text
from nanoforge.config.schema import Config
from nanoforge.errors import BadInput


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
        return entries_of_text(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"There is no {path.name} in {path.parent}: make one with `init PHOTOS`, or name one with --config FILE."
        ) from None
    except ValueError as error:
        raise BadInput(f"{path} is not valid TOML: {error}.") from None


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
        lines = (f"  {fault.where}: {fault.what}" for fault in faults)
        raise BadInput("\n".join([f"{path} cannot be used:", *lines]))
