"""A shell in an environment, as a stage would see it."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

import psutil

from nanoforge.commands.options import StageOptions
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.connection import environment_of
from nanoforge.containers.container import labels_of, remove, sweep_left_over
from nanoforge.containers.daemon import Container, Daemon, Folder, speaking
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.paths import cache_folder
from nanoforge.files.scratch import scratch_folder
from nanoforge.runners import virtual_environments
from nanoforge.runners.bind_mounts import INPUTS, OUTPUT, SCRATCH, declared_folders, give
from nanoforge.runners.contract import Limits
from nanoforge.runners.docker import DockerRunner, thread_variables
from nanoforge.runners.local import child_environment, processors
from nanoforge.runners.placement import owner_of

GRACE_S = 2.0


def shell(environment: str, options: StageOptions) -> int:
    """Open a shell in an environment as a stage would see it: its packages, code, limits, read-only inputs, no network.

    The current folder is the input ``here``; what is written to output and scratch is gone afterwards.

    Returns:
        The shell's exit code; where a signal ended it, as shells have it.
    """
    compose.facts(environment)
    placement = options.placement()
    runner = placement.runner("shell", environment)
    runner.prepare()
    with scratch_folder(cache_folder() / "shells", "shell") as folder:
        for name in ("output", "scratch"):
            (folder / name).mkdir()
        if isinstance(runner, DockerRunner):
            code = _shell_in_container(runner, folder)
        else:
            code = _shell_in_process(environment, folder)
    return 128 - code if code < 0 else code


def _shell_in_process(environment: str, folder: Path) -> int:
    python = virtual_environments.ensure(compose.local_environment(environment), Console())
    variables = child_environment(processors(Limits(0, 0)))
    variables["PATH"] = f"{python.parent}:{variables['PATH']}"
    variables["PS1"] = f"({environment}) \\w\\$ "
    return _run(["/bin/sh"], variables, folder / "scratch", lambda: None)


def _shell_in_container(runner: DockerRunner, folder: Path) -> int:
    daemon = runner.daemon
    if not daemon.shares_files:
        raise BadInput(
            f"A shell needs this machine's folders, which the {daemon.name} does not see: use --runner local."
        )
    folders = [
        *declared_folders(runner.service),
        Folder(str(Path.cwd().resolve()), f"{INPUTS}/here"),
        Folder(str(folder / "output"), OUTPUT, read_only=False),
        Folder(str(folder / "scratch"), SCRATCH, read_only=False),
    ]
    user, group = runner.service.user.split(":")
    give([folder / "output", folder / "scratch"], (int(user), int(group)))
    container = Container(
        runner.service,
        str(runner.image),
        ["cat"],
        folders,
        thread_variables(runner.processors(0)),
        labels=labels_of(owner_of(Path.cwd())),
    )
    sweep_left_over(daemon, owner_of(Path.cwd()))
    with _running(daemon, container) as identity:
        # Docker's own tool knows terminals: raw mode, window size.
        terminal = ["--tty"] if sys.stdin.isatty() else []
        command = ["docker", "exec", "--interactive", *terminal, identity, "/bin/sh"]
        return _run(command, environment_of(daemon), Path.cwd(), lambda: remove(daemon, identity))


@contextmanager
def _running(daemon: Daemon, container: Container) -> Iterator[str]:
    """Run the container, whose program reads its input to the end: it ends with this process, and the shell with it."""
    with speaking(daemon, "opening a shell"):
        identity = daemon.create(container)
        try:
            attachment = daemon.attach(identity)
            daemon.start(identity)
            yield identity
            del attachment
        finally:
            remove(daemon, identity)


def _run(command: Sequence[str], variables: Mapping[str, str], folder: Path, end: Callable[[], None]) -> int:
    """Run a shell on this terminal; whatever ends this ends the shell, by ``end`` where a signal is not enough."""
    try:
        return subprocess.Popen(command, env=dict(variables), cwd=folder).wait()
    except FileNotFoundError:
        raise EnvironmentNotReady(f"A shell in a container needs Docker's command-line tool `{command[0]}`.") from None
    except BaseException:
        end()
        _end_children()
        raise


def _end_children() -> None:
    """End the shell and what was started in it, as the end of a terminal does, then for good.

    They are found as this process's own: a signal may come before ``Popen`` returns, when the shell runs already.
    """
    family = psutil.Process().children(recursive=True)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGHUP)
    for member in psutil.wait_procs(family, GRACE_S)[1]:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, GRACE_S)  # what they write in is removed next
