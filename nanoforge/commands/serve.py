"""What goes on until Ctrl-C: TensorBoard, the viewer of what was built, and a shell in an environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Mapping, Sequence, Tuple

import msgspec

from nanoforge.commands.stages import StageOptions, shown
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.connection import environment_of
from nanoforge.containers.container import remove, run_to_end
from nanoforge.containers.daemon import Container, Folder, speaking
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.project import Project
from nanoforge.runners import virtual_environments
from nanoforge.runners.bind_mounts import INPUTS, OUTPUT, SCRATCH, declared_folders, give
from nanoforge.runners.contract import Limits
from nanoforge.runners.docker import DockerRunner, thread_variables
from nanoforge.runners.local import child_environment, processors
from nanoforge.runners.placement import LOCAL
from nanoforge.stop import Stop


def tensorboard(asked: StageOptions, port: int) -> None:
    """Serve the training's TensorBoard on loopback until Ctrl-C."""
    project = asked.project()
    events = _events(project)
    project.console.say(f"TensorBoard of {shown(events)}: http://127.0.0.1:{port}/ (Ctrl-C ends it)")
    inside = {"NANOFORGE_EVENTS": os.path.relpath(events, project.build)}
    command = ["-W", "ignore", "-m", "tensorboard.main", "--logdir", str(events), "--host", "127.0.0.1"]
    _serve(project, "tensorboard", "train", inside, [*command, "--port", str(port)], port)


def _events(project: Project) -> Path:
    """Where the events of the training are that runs now, else of the one that was made last."""
    status = plan(project, "train")[-1]
    running = project.store.work_folder("train", status.fingerprint) / "scratch" if status.recipe else None
    done = status.artifact.folder / "events" if status.artifact else None
    events = running if running and running.is_dir() else done
    if events is None:
        raise StageFailed("There is no training yet whose curves could be shown: run `train` first.")
    return events


def viewer(asked: StageOptions, port: int) -> None:
    """Serve the build folder (report, pictures, models) read-only on loopback until Ctrl-C."""
    project = asked.project()
    if not (project.build / "report").exists():
        raise StageFailed("There is nothing to view yet: run `build` first.")
    project.console.say(f"Report: http://127.0.0.1:{port}/report/report.html (Ctrl-C ends it)")
    command = ["-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(project.build)]
    _serve(project, "viewer", "data", {}, command, port)


def _serve(
    project: Project, service: str, environment: str, inside: Mapping[str, str], command: Sequence[str], port: int
) -> None:
    """Run a server: in its service, or with the environment's own Python and ``command``."""
    if project.placement.place(service) == LOCAL:
        python = virtual_environments.ensure(
            compose.local_environment(environment), project.console, project.config.runner.python36
        )
        code = subprocess.run([str(python), *command]).returncode
        words = ""
    else:
        code, words = _serve_in_container(project, service, environment, inside, port)
    if code not in (0, 130, 143):
        raise StageFailed(f"{service} ended with exit code {code}; is port {port} in use? (--port) {words}".strip())


def _serve_in_container(
    project: Project, service: str, environment: str, inside: Mapping[str, str], port: int
) -> Tuple[int, str]:
    daemon = project.placement.daemon(project.placement.place(service))
    if not daemon.shares_files:
        raise BadInput(f"{service} shows files of this machine, which {daemon.name} does not see: use --runner local.")
    runner = DockerRunner(daemon, environment, {}, project.console)
    runner.prepare()
    declared = compose.service(service, {"NANOFORGE_BUILD": str(project.build), **inside})
    ports = [f"127.0.0.1:{port}:{text.rsplit(':', 1)[-1]}" for text in declared.ports]
    container = Container(
        msgspec.structs.replace(declared, ports=ports),
        runner.tools()["image"],
        declared.command,
        declared_folders(declared),
    )
    lines: List[str] = []
    stop = Stop()
    try:
        ended = run_to_end(daemon, container, lines.append, stop, f"{service} ran")
    except KeyboardInterrupt:
        return 130, ""
    return ended.code, " ".join(lines[-3:])


def shell(environment: str, asked: StageOptions) -> int:
    """Open a shell in an environment as a stage would see it: its packages, code, limits, read-only inputs, no network.

    The current folder is the input ``here``; what is written to output and scratch is gone afterwards.

    Returns:
        The shell's exit code.
    """
    compose.facts(environment)
    placement = asked.placement()
    runner = placement.runner("shell", environment)
    runner.prepare()
    with tempfile.TemporaryDirectory(prefix="nanoforge-shell-") as folder:
        for name in ("output", "scratch"):
            (Path(folder) / name).mkdir()
        if isinstance(runner, DockerRunner):
            return _shell_in_container(runner, Path(folder))
        return _shell_in_process(environment, Path(folder), asked)


def _shell_in_process(environment: str, folder: Path, asked: StageOptions) -> int:
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
