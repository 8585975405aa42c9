"""For those who work on Nanoforge itself: its tests, and the tables in docs/ that come from the code."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

from nanoforge.config.template import configuration_table
from nanoforge.console import Console
from nanoforge.containers.compose import local_environment
from nanoforge.containers.connection import answers
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.files.paths import HOME
from nanoforge.pipeline.stages import TABLE
from nanoforge.runners import virtual_environments

TESTS = HOME / "tests"


class Suite(NamedTuple):
    """A folder of tests and the environment whose Python runs them."""

    name: str
    environment: str


SUITES = (
    Suite("host", "host"),
    Suite("data", "data"),
    Suite("report", "data"),
    Suite("detect", "data"),
    Suite("detect", "train"),
    Suite("reference", "data"),
    Suite("reference", "train"),
    Suite("train", "train"),
    Suite("convert", "train"),
    Suite("matrix", "host"),
    Suite("chain", "host"),
    Suite("browser", "host"),
    Suite("containers", "host"),
)
# Rooms that only `--all` runs: they need more than a Python (a browser, four more TensorFlows), or take long.
ENGINE_ROOM = "containers"
SLOW_ROOMS = ("matrix", "chain", "browser", ENGINE_ROOM)
# Rooms that compute for minutes, mostly on one processor, and measure no time: they run beside each other.
COMPUTING_ROOMS = ("train", "convert", "matrix", "chain")


def test(room: str, everything: bool) -> None:
    """Run the checks and the tests of one room, or of all.

    Raises:
        StageFailed: naming the rooms whose tests failed.
    """
    if room and room not in {known.name for known in SUITES}:
        raise BadInput(f"{room} is no room of tests; rooms are {', '.join(known.name for known in SUITES)}.")
    console = Console()
    chosen = [
        known for known in SUITES if known.name == room or (not room and (everything or known.name not in SLOW_ROOMS))
    ]
    if any(known.name == ENGINE_ROOM for known in chosen) and not answers():
        raise EnvironmentNotReady(
            f"tests/{ENGINE_ROOM} need a Docker daemon and none answers: start one, for instance with"
            ' `export "$(docker/standin/daemon.sh FOLDER)"`, and give it base images (docker/standin/README.md).'
        )
    interpreters = {name: _interpreter(name, console) for name in ("host", "data", "train")}
    failed = [] if room else _checks_that_fail(interpreters["host"])
    for together, rooms in itertools.groupby(chosen, lambda known: known.name in COMPUTING_ROOMS):
        run = _beside_each_other if together and not room else _one_by_one
        failed += [f"tests/{known.name}" for known in run(list(rooms), interpreters, everything, console)]
    left_out = [name for name in SLOW_ROOMS if not room and not everything]
    if left_out:
        console.say(
            f"Left out: tests marked slow, and tests/{', tests/'.join(left_out)}; `./run test --all` runs them too"
            f" (tests/{ENGINE_ROOM} need a Docker daemon, see docs/development.md)."
        )
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
    python = (
        Path(sys.executable)
        if environment == "host"
        else virtual_environments.ensure(local_environment(environment), console)
    )
    lock = TESTS / f"requirements-{environment}.lock"
    return Interpreter(python, virtual_environments.ensure_overlay(environment, lock, python, console))


def _checks_that_fail(host: Interpreter) -> List[str]:
    checks: Mapping[str, Sequence[str]] = {
        "ruff": ["-m", "ruff", "check", "."],
        "mypy": ["-m", "mypy"],
    }
    return [name for name, command in checks.items() if subprocess.run(**_python(host, command, {})).returncode]


def _one_by_one(
    rooms: Sequence[Suite], interpreters: Mapping[str, Interpreter], everything: bool, console: Console
) -> List[Suite]:
    """Run rooms, and return those whose tests failed."""
    failed = []
    for room in rooms:
        console.say(f"tests/{room.name} by {room.environment}")
        if subprocess.run(**_pytest(room, interpreters, everything)).returncode:
            failed.append(room)
    return failed


def _beside_each_other(
    rooms: Sequence[Suite], interpreters: Mapping[str, Interpreter], everything: bool, console: Console
) -> List[Suite]:
    """:func:`_one_by_one`, but as many at a time as there are processors; each is shown when it has ended."""
    console.say(f"tests/{', tests/'.join(room.name for room in rooms)} beside each other, for some minutes")
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(_captured, _pytest(room, interpreters, everything)): room for room in rooms}
        for ended in as_completed(running):
            room, done = running[ended], ended.result()
            console.say(f"tests/{room.name} by {room.environment}")
            print(done.stdout, end="", flush=True)
            if done.returncode:
                failed.append(room)
    return failed


def _captured(command: Dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **command)


def _pytest(room: Suite, interpreters: Mapping[str, Interpreter], everything: bool) -> Dict[str, Any]:
    """What subprocess.run is to be told."""
    # Tests of one room may need another room's Python, such as train's for records that data made.
    others = {f"NANOFORGE_{name.upper()}_PYTHON": str(found.python) for name, found in interpreters.items()}
    marks = [] if everything else ["-m", "not slow"]
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-warnings", *marks, str(TESTS / room.name)]
    return _python(interpreters[room.environment], command, others)


def _python(interpreter: Interpreter, arguments: Sequence[str], more: Mapping[str, str]) -> Dict[str, Any]:
    environment = {**interpreter.environment(), **more}
    return {"args": [str(interpreter.python), *arguments], "cwd": HOME, "env": environment}


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
        path.write_text(text, encoding="utf-8")
