"""Running one container to its end: its output line by line, its exit code, and nothing left behind."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence

import docker
from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils.ports import build_port_bindings
from docker.utils.socket import frames_iter

from nanoforge.containers.compose import Service
from nanoforge.containers.connection import Daemon
from nanoforge.errors import DaemonLost, Interrupted, NanoforgeError
from nanoforge.stop import Stop

LABEL = "nanoforge"
# An SD card takes its time to remove a container's files.
REMOVAL_S = 120.0


class Folder(NamedTuple):
    """A folder or file in a container: ``source`` is a path on the engine's machine, or a volume's name."""

    source: str
    target: str
    read_only: bool = True

    @property
    def mount(self) -> Mount:
        kind = "bind" if self.source.startswith("/") else "volume"
        return Mount(self.target, self.source, type=kind, read_only=self.read_only)


@dataclass(frozen=True)
class Container:
    """What to run: a service of compose.yml, with a command, folders, and limits of this run (0: the service's own)."""

    service: Service
    image: str
    command: Sequence[str]
    folders: Sequence[Folder] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    memory: int = 0
    cpus: int = 0
    tty: bool = False

    @property
    def memory_limit(self) -> int:
        """In bytes; 0: none."""
        return self.memory or self.service.memory


class Exit(NamedTuple):
    """How a container ended; ``out_of_memory`` where the kernel killed something in it for its limit."""

    code: int
    out_of_memory: bool


def create(engine: Daemon, container: Container) -> str:
    """Create the container without starting it; returns its id."""
    service = container.service
    devices = [
        DeviceRequest(driver=device.driver, count=device.count, capabilities=[device.capabilities])
        for device in service.devices
    ]
    host = engine.api.create_host_config(
        mounts=[folder.mount for folder in container.folders],
        auto_remove=True,
        init=service.init,
        network_mode=service.network_mode,
        read_only=service.read_only,
        cap_drop=service.cap_drop,
        security_opt=service.security_opt,
        tmpfs=service.tmpfs,
        pids_limit=service.pids_limit or None,
        mem_limit=container.memory_limit or None,
        memswap_limit=container.memory_limit or None,
        nano_cpus=container.cpus * 10**9 or None,
        runtime=service.runtime or None,
        device_requests=devices or None,
        port_bindings=build_port_bindings(service.ports) if service.ports else None,
        # Output goes to the runner alone, which keeps it; on the engine's disk it would grow without an end.
        log_config=LogConfig(type="none"),
    )
    made = engine.api.create_container(
        container.image,
        command=list(container.command),
        user=service.user or None,
        working_dir=service.working_dir or None,
        environment=dict(container.environment),
        labels={LABEL: "1", **container.labels},
        ports=[_container_port(port) for port in service.ports] or None,
        # An open input that is closed with its one reader: a stage ends when its runner is gone (see stages/job.py).
        stdin_open=True,
        tty=container.tty,
        healthcheck={"test": ["NONE"]},
        host_config=host,
    )
    return str(made["Id"])


def _container_port(port: str) -> int:
    return int(port.rsplit(":", 1)[-1])


def run(engine: Daemon, container: Container, on_line: Callable[[str], None], stop: Stop, doing: str) -> Exit:
    """Run the container to its end.

    Args:
        on_line: gets each line of its output, both streams, without the line's end.
        doing: for errors, as in "while doing".

    Raises:
        EngineLost: the engine went away meanwhile.
        EnvironmentNotReady: it cannot run this.
        Interrupted: it was stopped before it began.
    """
    with engine.speaking(doing):
        identity = create(engine, container)
        try:
            stream = engine.api.attach_socket(identity, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            stop.by(lambda: end(engine, identity, container.service.grace))
            if stop.asked:
                raise Interrupted(f"Interrupted while {doing}.")
            engine.api.start(identity)
            if stop.asked:  # between the last look and the start
                end(engine, identity, container.service.grace)
            for line in _lines(frames_iter(stream, tty=False)):
                on_line(line)
            return _ending(engine, identity, doing)
        finally:
            remove(engine, identity)


def _lines(frames: Iterator[Any]) -> Iterator[str]:
    """Whole lines of both streams, in the order in which they were completed."""
    pending: Dict[int, bytes] = {}
    for stream, data in frames:
        *whole, rest = (pending.get(stream, b"") + data).split(b"\n")
        pending[stream] = rest
        for line in whole:
            yield line.decode("utf-8", "replace")
    for rest in pending.values():
        if rest:
            yield rest.decode("utf-8", "replace")


def _ending(engine: Daemon, identity: str, doing: str) -> Exit:
    """How a container ended that removes itself: the engine's newest events tell, once it is gone."""
    deadline = time.monotonic() + REMOVAL_S
    while _exists(engine, identity):
        if time.monotonic() > deadline:
            # Its output has ended but it has not: the engine was restarted under it.
            raise DaemonLost(engine.loss(doing))
        time.sleep(0.01)
    # Up to the engine's own now: a later time would make it wait for what may still come.
    events = engine.api.events(since="1", until=_engine_now(engine), filters={"container": identity}, decode=True)
    seen = {event["Action"]: event["Actor"]["Attributes"] for event in events}
    if "die" not in seen:
        raise DaemonLost(engine.loss(doing))
    return Exit(int(seen["die"]["exitCode"]), "oom" in seen)


def _engine_now(engine: Daemon) -> str:
    """The engine's clock, as seconds since 1970 with nanoseconds."""
    time_text = engine.facts().time
    fraction = re.search(r"\.(\d+)", time_text)
    return f"{seconds_of(time_text):.0f}.{fraction.group(1) if fraction else '':0<9}"


def seconds_of(time_text: str) -> float:
    """Whole seconds since 1970 of an engine's time: ISO 8601 with `Z`, or with an offset outside of UTC."""
    offset = re.search(r"[+-]\d\d:\d\d$", time_text)
    return datetime.fromisoformat(time_text[:19] + (offset.group() if offset else "+00:00")).timestamp()


def _exists(engine: Daemon, identity: str) -> bool:
    try:
        engine.api.inspect_container(identity)
    except docker.errors.NotFound:
        return False
    return True


def end(engine: Daemon, identity: str, grace: int) -> None:
    """End a container: politely first, then for good. One that is gone already is fine."""
    try:
        with engine.speaking("ending a container"):
            engine.api.stop(identity, timeout=grace)
    except NanoforgeError:
        # Gone, or the engine is: then the next command sweeps it away.
        return


def remove(engine: Daemon, identity: str) -> None:
    """Remove a container, running or not, if it is still there."""
    try:
        engine.api.remove_container(identity, force=True)
    except (docker.errors.DockerException, OSError):
        # Gone or going by itself; or the engine is gone, and the next command sweeps it away.
        return


def sweep(engine: Daemon, labels: Mapping[str, str]) -> List[str]:
    """Remove every container with these labels, as a crash may have left them; returns their ids."""
    with engine.speaking("looking for left-over containers"):
        wanted = [f"{name}={value}" for name, value in labels.items()]
        found = engine.api.containers(all=True, filters={"label": wanted})
    for container in found:
        remove(engine, container["Id"])
    return [str(container["Id"]) for container in found]
