"""What serves until Ctrl-C: how servers are started, said to be there and ended; and TensorBoard."""

from __future__ import annotations

import errno
import signal
import socket
from collections import deque
from pathlib import Path
from typing import Deque, Mapping, NamedTuple, Sequence

import msgspec

from nanoforge.commands.options import StageOptions, shown
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.container import labels_of, run_to_end, sweep_left_over
from nanoforge.containers.daemon import Container, Folder
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
from nanoforge.runners.placement import LOCAL, Placement
from nanoforge.sessions import Session
from nanoforge.stop import Stop
from stages.job import EXIT_BAD_INPUT
from stages.parent import PIPE

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535
GRACE_S = 2.0
# Exit codes of a server that somebody ended: here, as a child, and in a container.
ENDED = (0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)


class Server(NamedTuple):
    """A kind of server.

    Attributes:
        name: its service in compose.yml, where ``variable`` stands for what it serves.
        module: the same as a program of ``environment``; see stages/serving.py.
    """

    name: str
    environment: str
    module: str
    variable: str


class Work(NamedTuple):
    """What a server is to do.

    Attributes:
        served: the file or folder that it is given.
        address, port: where it listens on this machine.
        announcement: what is said once it does.
        folders: what else its container sees.
        variables: of its environment.
    """

    served: Path
    address: str
    port: int
    announcement: str
    folders: Sequence[Folder] = ()
    variables: Mapping[str, str] = {}


class Base(NamedTuple):
    """Where servers run from: a project, or none; ``owner`` is whose their containers are."""

    placement: Placement
    console: Console
    owner: str
    python36: str = ""


TENSORBOARD = Server("tensorboard", "train", "stages.train.curves", "NANOFORGE_EVENTS")


def tensorboard(options: StageOptions, port: int) -> None:
    """Serve the training's TensorBoard on loopback until Ctrl-C."""
    project, port = options.project(), free_port(port)
    events = _events(project)
    announcement = f"TensorBoard of {shown(events)}: http://{LOOPBACK}:{port}/"
    serve(base_of(project), TENSORBOARD, Work(events, LOOPBACK, port, announcement))


def _events(project: Project) -> Path:
    """Where the events of the training are that runs now, else of the one that was made last."""
    status = plan(project, "train")[-1]
    running = project.store.work_folder("train", status.fingerprint) / "scratch" if status.recipe else None
    done = status.artifact.folder / "events" if status.artifact else None
    events = running if running and running.is_dir() else done
    if events is None:
        raise StageFailed("There is no training yet whose curves could be shown: run `train` first.")
    return events


def base_of(project: Project) -> Base:
    """Where a project's servers run from."""
    return Base(project.placement, project.console, project.owner, project.config.runner.python36)


def runs_here(base: Base, server: Server) -> bool:
    """Whether a server is a process of this machine, and not in a container."""
    return base.placement.place(server.name) == LOCAL


def serve(base: Base, server: Server, work: Work) -> None:
    """Run a server until it is asked to end: in its service, or with the environment's own Python.

    Raises:
        BadInput, StageFailed: it cannot serve that, or ends by itself.
    """
    heard = _Listener(f"{work.announcement} (Ctrl-C ends it)", base.console)
    try:
        code = (_serve_here if runs_here(base, server) else _serve_in_container)(base, server, work, heard)
    except KeyboardInterrupt:
        if not heard.listening:
            raise
        code = 0
    if code not in ENDED:
        kind = BadInput if code == EXIT_BAD_INPUT and heard.error else StageFailed
        raise kind(f"{server.name}: {heard.error or _unexplained(code, heard)}")
    base.console.say(f"{server.name} has ended.")


def free_port(wanted: int, address: str = LOOPBACK) -> int:
    """The port to serve at; for 0, one that is free.

    Raises:
        BadInput: there is no such port, another program listens there, or the address is not this machine's.
    """
    if not 0 <= wanted <= HIGHEST_PORT:
        raise BadInput(f"--port {wanted}: expected 1 to {HIGHEST_PORT}, or 0 for one that is free.")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, wanted))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise BadInput(f"--listen {address}: this machine has no such address.") from None
            if error.errno != errno.EADDRINUSE:
                return wanted  # such as one that only root may open: the server says so, where it may not either
            raise BadInput(
                f"--port {wanted}: another program listens there; name another port, or 0 for one that is free."
            ) from None
        return int(probe.getsockname()[1])


def _serve_here(base: Base, server: Server, work: Work, heard: _Listener) -> int:
    environment = compose.local_environment(server.environment)
    python = virtual_environments.ensure(environment, base.console, base.python36)
    words = (str(work.served), work.address, str(work.port))
    command = isolated(python, server.module, *words, flags=("-W", "ignore"))
    session = Session(command, HOME, {**child_environment(processors(Limits(0, 0))), **work.variables})
    try:
        for line in session.lines:
            heard.line(line.rstrip("\n"))
    finally:
        session.end(GRACE_S)
        code = session.reap()
    return code


def _serve_in_container(base: Base, server: Server, work: Work, heard: _Listener) -> int:
    daemon = base.placement.daemon(base.placement.place(server.name))
    if not daemon.shares_files:
        raise BadInput(
            f"{server.name} shows files of this machine, which the {daemon.name} does not see: use --runner local."
        )
    runner = DockerRunner(daemon, server.environment, {}, base.console)
    runner.prepare()
    sweep_left_over(daemon, base.owner)
    declared = compose.service(server.name, {server.variable: str(work.served)})
    address = f"[{work.address}]" if ":" in work.address else work.address
    ports = [f"{address}:{work.port}:{text.rsplit(':', 1)[-1]}" for text in declared.ports]
    container = Container(
        msgspec.structs.replace(declared, ports=ports),
        str(runner.image),
        declared.command,
        [*declared_folders(declared), *work.folders],
        environment={PIPE: "1", **work.variables},
        labels=labels_of(base.owner),
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
