"""A connection to one Docker engine: the local one, or a remote one through an SSH tunnel."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

import docker
import requests
from docker.context import ContextAPI
from docker.errors import DockerException

from nanoforge.containers.error_messages import engine_error, is_loss
from nanoforge.containers.tunnel import Tunnel
from nanoforge.errors import DaemonLost, EnvironmentNotReady

# Calls may pause this long where a disk or a link is slow.
PATIENCE_S = 300
PING_S = 10


class Image(NamedTuple):
    """An image on an engine: its id (`sha256:…`), architecture as Docker spells it (amd64, arm64), labels."""

    id: str
    architecture: str
    labels: Dict[str, str]
    size: int


@dataclass(frozen=True)
class DaemonFacts:
    """What an engine says of itself; memory in bytes, time as ISO 8601."""

    version: str
    architecture: str
    cpus: int
    memory: int
    storage_driver: str
    root: str
    runtimes: Tuple[str, ...]
    security: Tuple[str, ...]
    time: str
    system: str


class Daemon:
    """One engine.

    Attributes:
        api: the SDK's client; used inside ``nanoforge.engine`` only.
        name: what the user calls it: `Docker engine`, or the name of a host.
        address: base URL that another client can use.
        shares_files: whether the engine sees this machine's folders, so that they can be mounted.
    """

    def __init__(self, api: docker.APIClient, name: str, address: str, tunnel: Optional[Tunnel] = None) -> None:
        self.api = api
        self.name = name
        self.address = address
        self.shares_files = tunnel is None and address.startswith("unix://")
        self._tunnel = tunnel

    def close(self) -> None:
        """End the connection, and the tunnel under it."""
        self.api.close()
        if self._tunnel:
            self._tunnel.close()

    def facts(self) -> DaemonFacts:
        with self.speaking("asking what it can do"):
            info = self.api.info()
        return DaemonFacts(
            version=info.get("ServerVersion", "unknown"),
            architecture=info.get("Architecture", "unknown"),
            cpus=int(info.get("NCPU", 1)),
            memory=int(info.get("MemTotal", 0)),
            storage_driver=info.get("Driver", "unknown"),
            root=info.get("DockerRootDir", ""),
            runtimes=tuple(sorted(info.get("Runtimes") or {})),
            security=tuple(info.get("SecurityOptions") or ()),
            time=info.get("SystemTime", ""),
            system=info.get("OperatingSystem", "unknown"),
        )

    def image(self, name: str) -> Optional[Image]:
        """The image behind a tag or id, or None."""
        with self.speaking(f"looking for the image {name}"):
            try:
                found = self.api.inspect_image(name)
            except docker.errors.ImageNotFound:
                return None
        labels = (found.get("Config") or {}).get("Labels") or {}
        return Image(found["Id"], found["Architecture"], labels, int(found.get("Size", 0)))

    @contextmanager
    def speaking(self, doing: str) -> Iterator[None]:
        """Turn what the SDK raises into one sentence; ``doing`` says at what, as in "while doing".

        Raises:
            EngineLost: the engine no longer answers.
            EnvironmentNotReady: it refuses.
        """
        try:
            yield
        except (DockerException, requests.RequestException, OSError) as error:
            if is_loss(error):
                raise DaemonLost(self.loss(doing)) from error
            if isinstance(error, OSError) and not isinstance(error, (DockerException, requests.RequestException)):
                raise
            raise EnvironmentNotReady(engine_error(self.name, doing, error)) from error

    def loss(self, doing: str) -> str:
        """The sentence for an engine that went away while ``doing``."""
        if self._tunnel:
            return (
                f"The connection to {self.name} was lost while {doing}: look whether it is on and can be reached by"
                " ssh, then run the same command again; it goes on from there."
            )
        return (
            f"The {self.name} stopped answering while {doing}: start it again (on most systems: systemctl start"
            " docker), then run the same command again; it goes on from there."
        )


def connect(host: str = "", url: str = "") -> Daemon:
    """Connect to the host of that name at ``url``, or without one to the engine that Docker's own tools would use.

    Raises:
        EnvironmentNotReady: no engine answers there.
    """
    name = host or "Docker engine"
    options = {"base_url": url} if url else _usual_options()
    address = str(options.pop("base_url"))
    tunnel = Tunnel(name, address) if address.startswith("ssh://") else None
    reached = tunnel.address if tunnel else address
    try:
        api = docker.APIClient(base_url=reached, version="auto", timeout=PING_S, **options)
        api.timeout = PATIENCE_S
    except (DockerException, requests.RequestException, OSError) as error:
        if tunnel:
            tunnel.close()
        raise EnvironmentNotReady(_unreachable(name, address, error)) from None
    return Daemon(api, name, reached, tunnel)


def answers() -> Optional[Daemon]:
    """The usual engine where one answers, or None."""
    try:
        return connect()
    except EnvironmentNotReady:
        return None


def _usual_options() -> Dict[str, Any]:
    """Where Docker's own tools would connect: DOCKER_HOST (with its TLS settings), else the current context."""
    options: Dict[str, Any] = docker.utils.kwargs_from_env()
    if "base_url" not in options:
        options["base_url"] = _context_address() or "unix:///var/run/docker.sock"
    # docker-py spells a socket's address its own way.
    options["base_url"] = str(options["base_url"]).replace("http+unix://", "unix://")
    return options


def _context_address() -> str:
    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        return ""
    return str(context.Host or "") if context else ""


def _unreachable(name: str, address: str, error: Exception) -> str:
    if "Permission denied" in str(error):
        return (
            f"The {name} at {address} may not be used by this user: add the user to the group docker"
            " (`sudo usermod -aG docker $USER`, then log in again), or use --runner local."
        )
    if address.startswith("ssh://"):
        return (
            f"{name} can be reached by ssh, but its Docker engine does not answer: start it there, and let the user in"
            " (there: `sudo usermod -aG docker $USER`, then connect anew)."
        )
    return (
        f"No {name} answers at {address}: start it (on most systems: systemctl start docker), install it,"
        " or use --runner local."
    )


def environment_of(engine: Daemon) -> Mapping[str, str]:
    """The variables that make Docker's own command-line tools speak to this engine."""
    return {**os.environ, "DOCKER_HOST": engine.address}
