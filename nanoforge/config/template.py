"""The text of a new ``detector.toml``: every key with its meaning, the set ones live, the others as comments."""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import Any, Dict, Iterator, Mapping, Tuple

from nanoforge.config.schema import ANY_HOST, Key, keys, sections

Values = Mapping[Tuple[str, str], Any]

# What a first run is like on this kind of machine; a user changes it at will. What follows from other keys, such as
# train.evaluate_every, stays at its default, so that it goes on following them.
GPU_SETTINGS: Dict[Tuple[str, str], Any] = {
    ("model", "architecture"): "ssd_mobilenet_v2",
    ("model", "depth_multiplier"): 1.0,
    ("model", "input_size"): 300,
    ("train", "steps"): 20000,
    ("train", "batch_size"): 24,
    ("runner", "gpu"): True,
}
CPU_SETTINGS: Dict[Tuple[str, str], Any] = {
    ("model", "architecture"): "ssd_mobilenet_v1",
    ("model", "depth_multiplier"): 0.25,
    ("model", "input_size"): 192,
    ("train", "steps"): 2000,
    ("train", "batch_size"): 16,
}


def detector_toml(values: Values, notes: str, advice: Mapping[Tuple[str, str], str] = MappingProxyType({})) -> str:
    """The file's text; ``values`` are set, all other keys stand as comments with their defaults.

    ``advice`` says about a key what is for the user to decide; it stands as a comment above the key.
    """
    lines = [f"# {note}".rstrip() for note in notes.splitlines()]
    for section, meaning in sections().items():
        lines += ["", f"# {meaning}", "# [hosts.nano]" if section == ANY_HOST else f"[{section}]"]
        for key in (key for key in keys() if key.section == section):
            lines += _key_lines(key, values, advice.get((section, key.name), ""))
    return "\n".join(lines) + "\n"


def _key_lines(key: Key, values: Values, advice: str) -> Iterator[str]:
    yield f"# {key.meaning}"
    yield from (f"# {line}" for line in advice.splitlines())
    if (key.section, key.name) in values:
        yield f"{key.name} = {toml_text(values[key.section, key.name])}"
    else:
        yield f"# {key.name} = {toml_text(key.default)}"


def toml_text(value: Any) -> str:
    """A value as TOML writes it; JSON's strings, numbers and lists are TOML's too."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        entries = ", ".join(f"{_toml_name(name)} = {toml_text(entry)}" for name, entry in value.items())
        return f"{{ {entries} }}" if value else "{}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # which TOML forbids and JSON does not


def _toml_name(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else toml_text(name)


def configuration_table() -> str:
    """The table of docs/configuration.md: every key with its default and meaning."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    rows += [f"| `{key.section}.{key.name}` | `{toml_text(key.default)}` | {key.meaning} |" for key in keys()]
    return "\n".join(rows) + "\n"
