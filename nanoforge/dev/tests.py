"""The tests of Nanoforge: suites, the environments that they run in, and the checks of style and types."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Sequence

from nanoforge.console import Console
from nanoforge.containers.compose import local_environment
from nanoforge.containers.connection import answers
from nanoforge.dev import matrix
from nanoforge.dev.processes import Command, run_beside, run_shown
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.files.paths import HOME
from nanoforge.runners import virtual_environments

TESTS = HOME / "tests"


class Suite(NamedTuple):
    """A folder of tests and the environment whose Python runs them.

    Attributes:
        again: another environment's Python runs the same tests; by this one only `--all` does.
    """

    name: str
    environment: str
    again: bool = False

    @property
    def title(self) -> str:
        return f"tests/{self.name} by {self.environment}"


class OtherTools(NamedTuple):
    """Packages of others that slow tests of a suite ask, by a Python of their own.

    Attributes:
        variable: names their folder to the tests.
        lock: in tests/.
        asked: what the tests ask them.
    """

    suite: str
    variable: str
    lock: str
    title: str
    asked: str


OTHER_TOOLS = (
    OtherTools(
        "convert",
        "NANOFORGE_RTX",
        "requirements-rtx.lock",
        "TensorRT-RTX",
        "what NVIDIA's own parser says of the ONNX models",
    ),
    OtherTools(
        "data",
        "NANOFORGE_EXCHANGE",
        "requirements-exchange.lock",
        "datumaro, supervision, pycocotools and Label Studio's converter",
        "what other tools' libraries write and read",
    ),
)
DAEMON_SUITE, MATRIX_SUITE = "containers", "matrix"
# The longest first, so that the last one to end runs alone for as short as can be.
SUITES = (
    Suite("convert", "train"),
    Suite(DAEMON_SUITE, "host"),
    Suite("train", "train"),
    Suite("faults", "host"),
    Suite("chain", "host"),
    Suite("host", "host"),
    Suite("jetson", "train"),
    Suite(MATRIX_SUITE, "host"),
    Suite("browser", "host"),
    Suite("data", "data"),
    Suite("report", "data"),
    Suite("detect", "data"),
    Suite("detect", "train", again=True),
    Suite("reference", "train"),
    Suite("reference", "data", again=True),
)
NAMES = tuple(sorted({suite.name for suite in SUITES}))
# Suites that only `--all` runs: they need more than a Python (a browser, a Docker daemon), or take long.
SLOW_SUITES = ("chain", "faults", "browser", DAEMON_SUITE)
ENVIRONMENTS = tuple(sorted({suite.environment for suite in SUITES}))
CHECKS: Mapping[str, Sequence[str]] = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
}


def test(suite: str, everything: bool, only_prepare: bool) -> None:
    """Run the checks and the tests of one suite, or of all.

    Raises:
        BadInput: there is no such suite.
        EnvironmentNotReady: an environment cannot be made, or no Docker daemon answers.
        StageFailed: naming what failed.
    """
    chosen = _chosen(suite, everything)
    console = Console()
    if not only_prepare:
        _ask_for_a_daemon(chosen)
    pythons = _prepared(everything and _has(chosen, MATRIX_SUITE), console)
    tools = [one for one in OTHER_TOOLS if everything and _has(chosen, one.suite)]
    folders = _other_tools(tools, pythons["host"].python, console)
    if only_prepare:
        console.good("The environments of the tests are ready.")
        return
    commands = [_pytest(one, pythons, everything, folders) for one in chosen]
    if suite:
        failed = run_shown(commands, console)
    else:
        # One more than there are processors: suites wait for daemons, disks and processes now and then.
        failed = run_beside([*_checks(pythons["host"]), *commands], (os.cpu_count() or 1) + 1, console)
    if not suite and not everything:
        console.say(
            f"Left out: tests marked slow, some by a second Python, and tests/{', tests/'.join(SLOW_SUITES)};"
            f" `./run test --all` runs them too (tests/{DAEMON_SUITE} need a Docker daemon, see docs/development.md)."
        )
    for tool in tools:
        if tool.variable not in folders:
            console.warn(f"Left out: {tool.asked} (tests/{tool.suite}).")
    if failed:
        raise StageFailed(f"Failed: {', '.join(failed)}.")
    console.good("All that ran has passed.")


def _chosen(name: str, everything: bool) -> List[Suite]:
    if name and name not in NAMES:
        raise BadInput(f"Unknown suite {name}; suites are {', '.join(NAMES)}.")
    if name:
        return [suite for suite in SUITES if suite.name == name]
    return [suite for suite in SUITES if everything or not (suite.again or suite.name in SLOW_SUITES)]


def _has(chosen: Sequence[Suite], name: str) -> bool:
    return any(suite.name == name for suite in chosen)


def _ask_for_a_daemon(chosen: Sequence[Suite]) -> None:
    if _has(chosen, DAEMON_SUITE) and not answers():
        raise EnvironmentNotReady(
            f"tests/{DAEMON_SUITE} need a Docker daemon and none answers: start one, for instance with"
            ' `export "$(docker/standin/daemon.sh FOLDER)"`, and give it base images (docker/standin/README.md).'
        )


class SuitePython(NamedTuple):
    """A Python with the folders that stand in its PYTHONPATH beside the clone."""

    python: Path
    overlay: Path

    def command(self, arguments: Sequence[str]) -> List[str]:
        return [str(self.python), *arguments]

    def environment(self) -> Dict[str, str]:
        return {**os.environ, "PYTHONPATH": f"{HOME}{os.pathsep}{self.overlay}", "PYTHONDONTWRITEBYTECODE": "1"}


def _prepared(with_matrix: bool, console: Console) -> Dict[str, SuitePython]:
    """The Pythons of the tests; all environments that are missing are made side by side."""
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(matrix.prepare, console)] if with_matrix else []
        pythons = dict(zip(ENVIRONMENTS, pool.map(lambda name: _suite_python(name, console), ENVIRONMENTS)))
        for other in others:
            other.result()
        return pythons


def _suite_python(environment: str, console: Console) -> SuitePython:
    made = environment != "host"
    python = virtual_environments.ensure(local_environment(environment), console) if made else Path(sys.executable)
    lock = TESTS / f"requirements-{environment}.lock"
    return SuitePython(python, virtual_environments.ensure_overlay(environment, lock, python, console))


def _other_tools(tools: Sequence[OtherTools], host: Path, console: Console) -> Dict[str, str]:
    """The variables that name these packages to the tests that ask them; what cannot be installed is told."""
    folders = {}
    for tool in tools:
        try:
            folder = virtual_environments.ensure_overlay("host", TESTS / tool.lock, host, console)
            folders[tool.variable] = str(folder)
        except EnvironmentNotReady as error:
            console.warn(f"{tool.title} cannot be installed: {error}")
    return folders


def _checks(host: SuitePython) -> List[Command]:
    return [Command(title, host.command(words), host.environment()) for title, words in CHECKS.items()]


def _pytest(suite: Suite, pythons: Mapping[str, SuitePython], everything: bool, more: Mapping[str, str]) -> Command:
    """A suite's process; ``more`` variables name what some of its tests need."""
    marks = [] if everything else ["-m", "not slow"]
    words = [
        "-m",
        "stages.parent",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--disable-warnings",
        *marks,
        str(TESTS / suite.name),
    ]
    # Tests of one suite may need another environment's Python, such as train's for records that data made.
    others = {f"NANOFORGE_{name.upper()}_PYTHON": str(found.python) for name, found in pythons.items()}
    python = pythons[suite.environment]
    return Command(suite.title, python.command(words), {**python.environment(), **others, **more})
