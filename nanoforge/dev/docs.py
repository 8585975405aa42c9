"""The pages of docs/ that come from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from nanoforge.config.template import configuration_table
from nanoforge.files.atomic import write_text
from nanoforge.files.paths import HOME
from nanoforge.pipeline.stages import TABLE


def stage_table() -> str:
    """The table of docs/stages.md."""
    rows = ["| stage | environment | what it does | makes |", "|---|---|---|---|"]
    rows += [
        f"| [{stage.name}](stages/{stage.name}.md) | {stage.environment} | {stage.summary} | {stage.makes} |"
        for stage in TABLE
    ]
    return "\n".join(rows) + "\n"


GENERATED = {
    "configuration.md": (
        "# The keys of detector.toml\n\nMade by `./run docs` from `nanoforge/config/schema.py`.\n\n",
        configuration_table,
    ),
    "stages.md": ("# Stages\n\nMade by `./run docs` from `nanoforge/pipeline/stages.py`.\n\n", stage_table),
}


def generated_docs() -> Dict[Path, str]:
    """The pages of docs/ that come from the code, with their text."""
    return {HOME / "docs" / name: head + table() for name, (head, table) in GENERATED.items()}


def write_docs() -> None:
    """Write the generated pages."""
    for path, text in generated_docs().items():
        write_text(path, text)
