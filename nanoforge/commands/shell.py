"""A shell in an environment, as a stage would see it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from nanoforge.commands.options import StageOptions
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.connection import environment_of
from nanoforge.containers.container import remove
from nanoforge.containers.daemon import Container, Folder, speaking
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.runners import virtual_environments
from nanoforge.runners.bind_mounts import INPUTS, OUTPUT, SCRATCH, declared_folders, give
from nanoforge.runners.contract import Limits
from nanoforge.runners.docker import DockerRunner, thread_variables
from nanoforge.runners.local import child_environment, processors


def shell(environment: str, options: StageOptions) -> int:
    """Open a shell in an environment as a stage would see it: its packages, code, limits, read-only inputs, no network.

    The current folder is the input ``here``; what is written to output and scratch is gone afterwards.

    Returns:
        The shell's exit code.
    """
    compose.facts(environment)
    placement = options.placement()
    runner = placement.runner("shell", environment)
    runner.prepare()
    with tempfile.TemporaryDirectory(prefix="nanoforge-shell-") as folder:
        for name in ("output", "scratch"):
            (Path(folder) / name).mkdir()
        if isinstance(runner, DockerRunner):
            return _shell_in_container(runner, Path(folder))
        return _shell_in_process(environment, Path(folder))


def _shell_in_process(environment: str, folder: Path) -> int:
    python = virtual_environments.ensure(compose.local_environment(environment), Console())
    cpus = processors(Limits(0, 0))
    variables = child_environment(cpus)
    variables["PATH"] = f"{python.parent}:{variables['PATH']}"
    variables["PS1"] = f"({environment}) \\w\\$ "
    return subprocess.run(["/bin/sh"], cwd=folder / "scratch", env=variables).returncode


def _shell_in_container(runner: DockerRunner, folder: Path) -> int:
    daemon = runner.daemon
    if not daemon.shares_files:
        raise BadInput(f"A shell needs this machine's folders, which {daemon.name} does not see.")
    folders = [
        *declared_folders(runner.service),
        Folder(str(Path.cwd().resolve()), f"{INPUTS}/here"),
        Folder(str(folder / "output"), OUTPUT, read_only=False),
        Folder(str(folder / "scratch"), SCRATCH, read_only=False),
    ]
    user = runner.service.user.split(":")
    give([folder / "output", folder / "scratch"], (int(user[0]), int(user[1])))
    container = Container(
        runner.service,
        runner.tools()["image"],
        ["/bin/sh"],
        folders,
        thread_variables(runner.processors(0)),
        tty=sys.stdin.isatty(),
    )
    with speaking(daemon, "opening a shell"):
        identity = daemon.create(container)
    try:
        # Docker's own tool knows terminals: raw mode, window size, detaching.
        command = ["docker", "start", "--attach", "--interactive", identity]
        return subprocess.run(command, env=dict(environment_of(daemon))).returncode
    except FileNotFoundError:
        raise EnvironmentNotReady("A shell in a container needs Docker's command-line tool `docker`.") from None
    finally:
        remove(daemon, identity)
        give([folder / "output", folder / "scratch"], (os.getuid(), os.getgid()))
