"""The faults: kills, cuts, full disks and others, tried on real commands; their table is docs/faults.md.

The campaign is a program of tests/faults/, run by the host's Python; this starts it, and writes the page.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

from nanoforge.console import Console
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.atomic import write_text
from nanoforge.files.paths import HOME

PROGRAMS = HOME / "tests" / "faults"
PAGE = HOME / "docs" / "faults.md"
SEED = 1
Row = Dict[str, Any]


def write_page(full: bool, seed: int, only: str) -> None:
    """Try faults, and write docs/faults.md where all kinds were tried.

    Args:
        full: many draws of each kind, not only those of the tests.
        only: the beginning of the names of the draws that are tried.

    Raises:
        BadInput: there is nothing that ``only`` names.
        StageFailed: something did not survive; each failure is told with how to repeat it.
    """
    console = Console()
    found = measure(full, seed, only, console)
    rows = found["rows"]
    if not rows:
        names = ", ".join(kind["kind"] for kind in found["kinds"])
        raise BadInput(f"--only {only}: no draw's name begins so; they begin with {names}.")
    failures = [failure for row in rows for failure in row["failures"]]
    for failure in failures:
        console.warn(f"{failure['case']}: {failure['why']}\n  repeat: {failure['repeat']}")
    if not only:
        write_text(PAGE, page(found["kinds"], rows, seed, full))
    tried = sum(row["tried"] for row in rows)
    if failures:
        raise StageFailed(f"{len(failures)} of {tried} did not survive; each is told above, with how to repeat it.")
    console.good(f"All {tried} survived{'' if only else f'; the table is {PAGE}'}.")


def measure(full: bool, seed: int, only: str, console: Console) -> Dict[str, List[Row]]:
    """Run the campaign: ``kinds`` with what is done and how it is judged, ``rows`` with what came of those tried.

    Raises:
        StageFailed: the campaign itself failed.
    """
    return _campaign({"full": full, "seed": seed, "only": only}, console)


def kinds() -> List[Row]:
    """The kinds of faults in the order of the page, with what is done and how it is judged."""
    return _campaign({"kinds": True}, Console())["kinds"]


def _campaign(asked: Dict[str, Any], console: Console) -> Dict[str, List[Row]]:
    with tempfile.TemporaryDirectory(prefix="nanoforge-") as folder:
        path, rows = Path(folder) / "asked.json", Path(folder) / "rows.json"
        path.write_text(json.dumps({**asked, "rows": str(rows)}), encoding="utf-8")
        more = {"PYTHONPATH": os.pathsep.join(map(str, [HOME, PROGRAMS])), "PYTHONDONTWRITEBYTECODE": "1"}
        child = subprocess.Popen(
            [sys.executable, str(PROGRAMS / "campaign.py"), str(path)],
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        assert child.stdout is not None
        with child:
            for line in child.stdout:
                console.say(line.rstrip("\n"))
        if child.returncode:
            raise StageFailed(f"The campaign of {PROGRAMS} ended with exit code {child.returncode}; see above.")
        found: Dict[str, List[Row]] = json.loads(rows.read_text(encoding="utf-8"))
    return found


_HEAD = """# Faults

What Nanoforge is put through, and what it survives. `./run faults` makes this page; `--full` makes it with many more
draws, `--seed` with others. `./run test --suite faults --all` tries the same kinds, and holds this page against them.
A fault that is not survived is printed with its seed and the command that repeats it.

Everywhere: no command ends in a traceback, its exit code is 0, 1, 2, 3 or 130, the last lines of a failed one name
what is wrong; after it nothing runs on; what the user gave is as it was, byte by byte.

This table: seed {seed}{full}, {tried} tried.

| kind | what is done | tried | survived | what a survivor is |
|---|---|---|---|---|
"""


def page(every: Sequence[Row], rows: Sequence[Row], seed: int, full: bool) -> str:
    """docs/faults.md."""
    counts = {row["kind"]: row for row in rows}
    tried = sum(row["tried"] for row in rows)
    return _HEAD.format(seed=seed, full=", all draws" if full else "", tried=tried) + "".join(
        f"{beginning(kind)} {counts[kind['kind']]['tried']} | {survived(counts[kind['kind']])} | {kind['judged']} |\n"
        for kind in every
    )


def beginning(kind: Row) -> str:
    """A line of the table as far as it does not depend on what came of it."""
    return f"| {kind['kind']} | {kind['done']} |"


def survived(row: Row) -> int:
    """How many cases of a kind did; one case may have failed in several ways."""
    return int(row["tried"]) - len({(failure["repeat"], failure["case"]) for failure in row["failures"]})
