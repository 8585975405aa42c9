"""For those who work on Nanoforge itself: its tests, and the tables in docs/ that come from the code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Sequence

from nanoforge import environments
from nanoforge.console import Console
from nanoforge.engine.client import answers
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.folders import HOME
from nanoforge.pipeline import TABLE
from nanoforge.template import configuration_table

TESTS = HOME / "tests"


class Room(NamedTuple):
    """A folder of tests and the environment whose Python runs them."""

    name: str
    environment: str


ROOMS = (
    Room("host", "host"),
    Room("data", "data"),
    Room("report", "data"),
    Room("detect", "data"),
    Room("detect", "train"),
    Room("reference", "data"),
    Room("reference", "train"),
    Room("train", "train"),
    Room("convert", "train"),
    Room("browser", "host"),
    Room("chain", "host"),
    Room("containers", "host"),
    Room("matrix", "host"),
)
# Rooms that only `--all` runs: they need more than a Python (a browser), or take long.
ENGINE_ROOM = "containers"
SLOW_ROOMS = ("browser", "chain", ENGINE_ROOM)
# Only by its name: three more TensorFlows are installed, and how long it takes from nothing was not measured yet.
NAMED_ROOMS = ("matrix",)


def test(room: str, everything: bool) -> None:
    """Run the checks and the tests of one room, or of all.

    Raises:
        StageFailed: naming the rooms whose tests failed.
    """
    if room and room not in {known.name for known in ROOMS}:
        raise BadInput(f"{room} is no room of tests; rooms are {', '.join(known.name for known in ROOMS)}.")
    console = Console()
    chosen = [
        known
        for known in ROOMS
        if known.name == room
        or (not room and known.name not in NAMED_ROOMS and (everything or known.name not in SLOW_ROOMS))
    ]
    if any(known.name == ENGINE_ROOM for known in chosen) and not answers():
        raise EnvironmentNotReady(
            f"tests/{ENGINE_ROOM} need a Docker engine and none answers: start one, for instance with"
            ' `export "$(docker/standin/engine.sh FOLDER)"`, and give it base images (docker/standin/README.md).'
        )
    interpreters = {name: _interpreter(name, console) for name in ("host", "data", "train")}
    failed = [] if room else _checks_that_fail(interpreters["host"])
    for known in chosen:
        console.say(f"tests/{known.name} by {known.environment}")
        if _pytest(known, interpreters, everything):
            failed.append(f"tests/{known.name}")
    left_out = [name for name in SLOW_ROOMS if not room and not everything]
    if left_out:
        console.say(
            f"Left out: tests marked slow, and tests/{', tests/'.join(left_out)}; `./run test --all` runs them too"
            f" (tests/{ENGINE_ROOM} need a Docker engine, see docs/development.md)."
        )
    if not room:
        console.say(f"Left out: tests/{NAMED_ROOMS[0]}; `./run test --room {NAMED_ROOMS[0]} --all` runs them.")
    if failed:
        raise StageFailed(f"Failed: {', '.join(failed)}.")
    console.good("All that ran has passed.")


class Interpreter(NamedTuple):
    """A Python with the folders that stand in its PYTHONPATH beside the clone."""

    python: Path
    overlay: Path

    def environment(self) -> Dict[str, str]:
        return {**os.environ, "PYTHONPATH": f"{HOME}{os.pathsep}{self.overlay}", "PYTHONDONTWRITEBYTECODE": "1"}


def _interpreter(environment: str, console: Console) -> Interpreter:
    python = Path(sys.executable) if environment == "host" else environments.ensure(environment, console)
    lock = TESTS / f"requirements-{environment}.lock"
    return Interpreter(python, environments.ensure_overlay(environment, lock, python, console))


def _checks_that_fail(host: Interpreter) -> List[str]:
    checks: Mapping[str, Sequence[str]] = {
        "ruff": ["-m", "ruff", "check", "."],
        "mypy": ["-m", "mypy"],
    }
    return [name for name, command in checks.items() if _python(host, command, {})]


def _pytest(room: Room, interpreters: Mapping[str, Interpreter], everything: bool) -> int:
    # Tests of one room may need another room's Python, such as train's for records that data made.
    others = {f"NANOFORGE_{name.upper()}_PYTHON": str(found.python) for name, found in interpreters.items()}
    marks = [] if everything else ["-m", "not slow"]
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-warnings", *marks, str(TESTS / room.name)]
    return _python(interpreters[room.environment], command, others)


def _python(interpreter: Interpreter, arguments: Sequence[str], more: Mapping[str, str]) -> int:
    environment = {**interpreter.environment(), **more}
    return subprocess.run([str(interpreter.python), *arguments], cwd=HOME, env=environment).returncode


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
        "# The keys of detector.toml\n\nMade by `./run docs` from `nanoforge/config.py`.\n\n",
        configuration_table,
    ),
    "stages.md": ("# Stages\n\nMade by `./run docs` from `nanoforge/pipeline.py`.\n\n", stage_table),
}


def generated_docs() -> Dict[Path, str]:
    """The pages of docs/ that come from the code, with their text."""
    return {HOME / "docs" / name: head + table() for name, (head, table) in GENERATED.items()}


def write_docs() -> None:
    """Write the generated pages."""
    for path, text in generated_docs().items():
        path.write_text(text, encoding="utf-8")
