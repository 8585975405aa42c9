"""The pages of docs/ that come from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from nanoforge.config.template import configuration_table
from nanoforge.files.atomic import write_text
from nanoforge.files.paths import HOME
from nanoforge.pipeline.stages import TABLE
from stages.finding_kinds import FIX, KINDS


def stage_table() -> str:
    """The table of docs/stages.md."""
    rows = ["| stage | environment | what it does | makes |", "|---|---|---|---|"]
    rows += [
        f"| [{stage.name}](stages/{stage.name}.md) | {stage.environment} | {stage.summary} | {stage.makes} |"
        for stage in TABLE
    ]
    return "\n".join(rows) + "\n"


def finding_table() -> str:
    """The table of docs/findings.md."""
    rows = ["| kind | what | example | fix | default | remedy |", "|---|---|---|---|---|---|"]
    for name, kind in KINDS.items():
        default = f"{kind.default} {'it' if kind.default == FIX else 'the ' + kind.about}"
        cells = (f"`{name}`", kind.meaning, kind.example, kind.fix or "-", default, kind.remedy)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


GENERATED = {
    "configuration.md": (
        "# The keys of detector.toml\n\nMade by `./run docs` from `nanoforge/config/schema.py`.\n\n",
        configuration_table,
    ),
    "findings.md": (
        "# What can be wrong in a dataset\n\nMade by `./run docs` from `stages/finding_kinds.py`. `records.findings`"
        " sets what is done: `fail` stops,\n`drop` leaves out the picture or the object, `fix` mends it as told.\n\n",
        finding_table,
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
