"""What serves until Ctrl-C: TensorBoard, and the viewer of what was built."""

from __future__ import annotations

import errno
import signal
import socket
from collections import deque
from pathlib import Path
from typing import Deque, NamedTuple

import msgspec

from nanoforge.commands.options import StageOptions, shown
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.container import labels_of, run_to_end, sweep_left_over
from nanoforge.containers.daemon import Container
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.paths import HOME
from nanoforge.pipeline.plan import plan
from nanoforge.pipeline.project import Project
from nanoforge.runners import virtual_environments
from nanoforge.runners.bind_mounts import declared_folders
from nanoforge.runners.contract import Limits, event_of
from nanoforge.runners.docker import DockerRunner
from nanoforge.runners.isolated import isolated
from nanoforge.runners.local import child_environment, processors
from nanoforge.runners.placement import LOCAL
from nanoforge.sessions import Session
from nanoforge.stop import Stop
from stages.parent import PIPE

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535
GRACE_S = 2.0
# Exit codes of a server that somebody ended: here, as a child, and in a container.
ENDED = (0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)


class Server(NamedTuple):
    """What serves a folder.

    Attributes:
        name: its service in compose.yml, where ``variable`` stands for the folder.
        module: the same as a program of ``environment``; see stages/serving.py.
        page: the path of what there is to see.
    """

    name: str
    environment: str
    module: str
    variable: str
    page: str


TENSORBOARD = Server("tensorboard", "train", "stages.train.curves", "NANOFORGE_EVENTS", "")
VIEWER = Server("viewer", "data", "stages.view.server", "NANOFORGE_BUILD", "report/report.html")


def tensorboard(options: StageOptions, port: int) -> None:
    """Serve the training's TensorBoard on loopback until Ctrl-C."""
    project, port = options.project(), _free(port)
    events = _events(project)
    _serve(project, TENSORBOARD, events, port, f"TensorBoard of {shown(events)}")


def _events(project: Project) -> Path:
    """Where the events of the training are that runs now, else of the one that was made last."""
    status = plan(project, "train")[-1]
    running = project.store.work_folder("train", status.fingerprint) / "scratch" if status.recipe else None
    done = status.artifact.folder / "events" if status.artifact else None
    events = running if running and running.is_dir() else done
    if events is None:
        raise StageFailed("There is no training yet whose curves could be shown: run `train` first.")
    return events


def viewer(options: StageOptions, port: int) -> None:
    """Serve what was built (report, pictures, models) read-only on loopback until Ctrl-C."""
    project, port = options.project(), _free(port)
    if not (project.build / "report").exists():
        raise StageFailed("There is nothing to view yet: run `build` first.")
    _serve(project, VIEWER, project.build, port, "Report")


def _serve(project: Project, server: Server, folder: Path, port: int, title: str) -> None:
    """Run a server until it is asked to end: in its service, or with the environment's own Python."""
    heard = _Listener(f"{title}: http://{LOOPBACK}:{port}/{server.page} (Ctrl-C ends it)", project.console)
    local = project.placement.place(server.name) == LOCAL
    try:
        code = (_serve_here if local else _serve_in_container)(project, server, folder, port, heard)
    except KeyboardInterrupt:
        if not heard.listening:
            raise
        code = 0
    if code not in ENDED:
        raise StageFailed(f"{server.name}: {heard.error or _unexplained(code, heard)}")
    project.console.say(f"{server.name} has ended.")


def _free(wanted: int) -> int:
    """The port to serve at; for 0, one that is free.

    Raises:
        BadInput: there is no such port, or another program listens there.
    """
    if not 0 <= wanted <= HIGHEST_PORT:
        raise BadInput(f"--port {wanted}: expected 1 to {HIGHEST_PORT}, or 0 for one that is free.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return wanted  # such as one that only root may open: the server says so, where it may not either
            raise BadInput(
                f"--port {wanted}: another program listens there; name another port, or 0 for one that is free."
            ) from None
        return int(probe.getsockname()[1])


def _serve_here(project: Project, server: Server, folder: Path, port: int, heard: _Listener) -> int:
    environment = compose.local_environment(server.environment)
    python = virtual_environments.ensure(environment, project.console, project.config.runner.python36)
    command = isolated(python, server.module, str(folder), LOOPBACK, str(port), flags=("-W", "ignore"))
    session = Session(command, HOME, child_environment(processors(Limits(0, 0))))
    try:
        for line in session.lines:
            heard.line(line.rstrip("\n"))
    finally:
        session.end(GRACE_S)
        code = session.reap()
    return code


def _serve_in_container(project: Project, server: Server, folder: Path, port: int, heard: _Listener) -> int:
    daemon = project.placement.daemon(project.placement.place(server.name))
    if not daemon.shares_files:
        raise BadInput(
            f"{server.name} shows files of this machine, which the {daemon.name} does not see: use --runner local."
        )
    runner = DockerRunner(daemon, server.environment, {}, project.console)
    runner.prepare()
    sweep_left_over(daemon, project.owner)
    declared = compose.service(server.name, {server.variable: str(folder)})
    ports = [f"{LOOPBACK}:{port}:{text.rsplit(':', 1)[-1]}" for text in declared.ports]
    container = Container(
        msgspec.structs.replace(declared, ports=ports),
        str(runner.image),
        declared.command,
        declared_folders(declared),
        environment={PIPE: "1"},
        labels=labels_of(project.owner),
    )
    return run_to_end(daemon, container, heard.line, Stop(), f"{server.name} ran").code


class _Listener:
    """Takes a server's lines: says where it is once it listens, and keeps why it could not and its last words."""

    def __init__(self, announcement: str, console: Console) -> None:
        self.listening = False
        self.error = ""
        self.last: Deque[str] = deque(maxlen=3)
        self._announcement = announcement
        self._console = console

    def line(self, text: str) -> None:
        event = event_of(text)
        if event is None:
            self.last.append(text)
        elif "listening" in event and not self.listening:
            self.listening = True
            self._console.say(self._announcement)
        elif "error" in event:
            self.error = f"{event['error']}"


def _unexplained(code: int, heard: _Listener) -> str:
    words = " ".join(heard.last)
    return f"it ended with exit code {code}{f' and said: {words}' if words else ''}"
