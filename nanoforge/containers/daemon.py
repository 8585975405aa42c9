"""What Nanoforge needs of a Docker daemon: one narrow protocol, and the values that go through it.

`sdk` speaks it to a real daemon, tests/fakes to one in memory; one set of assertions holds both against each other.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from nanoforge.containers.compose import Service
from nanoforge.containers.error_messages import refusal
from nanoforge.errors import DaemonLost, EnvironmentNotReady

USUAL_NAME = "Docker daemon"
"""What the user calls the one that is no host of detector.toml."""
LABEL = "nanoforge"
"""Every container and volume of ours bears this label."""
OWNER = "nanoforge.owner"
"""Label that says whose it is: a project on a machine."""
PROCESS = "nanoforge.process"
"""Label of a container: the process that runs it, as machine, number and when it began."""


class ConnectionLost(DaemonLost):
    """The daemon no longer answers; :func:`speaking` makes the user's sentence of it."""


class DaemonRefused(EnvironmentNotReady):
    """The daemon answered that it cannot do this; :func:`speaking` makes the user's sentence of what it said."""


class Image(NamedTuple):
    """An image: its id (`sha256:…`), architecture as Docker spells it (amd64, arm64), labels, bytes, health check."""

    id: str
    architecture: str
    labels: Mapping[str, str]
    size: int
    health_command: Tuple[str, ...] = ()


@dataclass(frozen=True)
class DaemonFacts:
    """What a daemon says of itself; memory in bytes, time as ISO 8601."""

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


class Folder(NamedTuple):
    """A folder or file in a container: ``source`` is a path on the daemon's machine, or a volume's name."""

    source: str
    target: str
    read_only: bool = True


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


class ContainerExit(NamedTuple):
    """How a container ended; ``out_of_memory`` where the kernel killed something in it for its limit."""

    code: int
    out_of_memory: bool


class FoundContainer(NamedTuple):
    """A container that is there, running or not."""

    id: str
    labels: Mapping[str, str]


class ImageBuild(NamedTuple):
    """How an image is to be built: ``dockerfile`` relative to the folder ``context``; empty words ask for nothing."""

    tag: str
    context: Path
    dockerfile: str
    target: str = ""
    platform: str = ""
    arguments: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}


class DaemonLine(NamedTuple):
    """A line that the daemon says while it builds or loads; ``failed``: it could not, and this is why."""

    text: str
    failed: bool = False


class Attachment(Protocol):
    """The output and the end of one container; whoever asks for it before the start misses neither."""

    def frames(self) -> Iterator[Tuple[int, bytes]]:
        """Pieces of its output as they come, each with the number of its stream, until there is no more."""

    def exit(self) -> ContainerExit:
        """How it ended, once it is removed."""


class Daemon(Protocol):
    """One Docker daemon. Every method raises ConnectionLost or DaemonRefused; see :func:`speaking`.

    Attributes:
        name: what the user calls it: `Docker daemon`, or the name of a host.
        address: base URL that another client can use.
        shares_files: whether it was proven to see this machine's folders, so that they can be mounted.
        behind_ssh: whether the connection goes through an SSH tunnel.
    """

    name: str
    address: str
    shares_files: bool
    behind_ssh: bool

    def close(self) -> None:
        """End the connection, and the tunnel under it."""

    def facts(self) -> DaemonFacts: ...

    def sees(self, folder: str) -> bool:
        """Whether a folder of this name is there on the daemon's machine."""

    def create(self, container: Container) -> str:
        """Create a container that removes itself when it has ended; returns its id. It is not started."""

    def attach(self, identity: str) -> Attachment: ...

    def start(self, identity: str) -> None: ...

    def stop(self, identity: str, grace: int) -> None:
        """Ask the container to end, and kill it after ``grace`` seconds."""

    def remove(self, identity: str) -> None:
        """Remove a container, running or not."""

    def containers(self, labels: Mapping[str, str]) -> List[FoundContainer]:
        """The containers that bear all of these labels, and the one of ours, running or not."""

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None: ...

    def has_volume(self, name: str) -> bool: ...

    def remove_volume(self, name: str) -> bool:
        """Remove the volume if it is there; returns False where a container uses it."""

    def volumes(self, labels: Mapping[str, str]) -> List[str]:
        """The names of the volumes that bear all of these labels."""

    def put_archive(self, identity: str, folder: str, tar: Union[bytes, Iterable[bytes]]) -> None:
        """Unpack a tar archive into a folder of a container, which need not run."""

    def get_archive(self, identity: str, path: str) -> Optional[Iterator[bytes]]:
        """A file or folder of a container as the pieces of a tar archive; None where there is none."""

    def image(self, name: str) -> Optional[Image]:
        """The image behind a tag or id, or None."""

    def build(self, build: ImageBuild) -> Iterator[DaemonLine]:
        """Build an image; layers that are there already are used."""

    def save_image(self, name: str) -> Iterator[bytes]:
        """An image as the pieces of an archive."""

    def load_images(self, archive: IO[bytes]) -> Iterator[DaemonLine]: ...

    def tag_image(self, name: str, tag: str) -> None:
        """Give an image one more name, such as `python:3.11`."""

    def registry_digest(self, name: str) -> Optional[str]:
        """The digest (`sha256:…`) that the registry has for an image's tag now; None where it knows no such image."""


@contextmanager
def speaking(daemon: Daemon, doing: str) -> Iterator[None]:
    """Turn what the daemon raises into one sentence; ``doing`` says at what, as in "while doing".

    Raises:
        DaemonLost: the daemon no longer answers.
        EnvironmentNotReady: it refuses.
    """
    try:
        yield
    except ConnectionLost as error:
        raise DaemonLost(_loss(daemon, doing)) from error
    except DaemonRefused as error:
        raise EnvironmentNotReady(refusal(daemon.name, on_host(daemon), doing, str(error))) from error


def _loss(daemon: Daemon, doing: str) -> str:
    if daemon.behind_ssh:
        return (
            f"The connection to {daemon.name} was lost while {doing}: look whether it is on and can be reached by"
            " ssh, then run the same command again; it goes on from there."
        )
    return (
        f"The {daemon.name} stopped answering while {doing}: start it again (on most systems: systemctl start"
        " docker), then run the same command again; it goes on from there."
    )


def on_host(daemon: Daemon) -> str:
    """What makes a command of `./run` go to this daemon: `` --host NAME``, or nothing."""
    return "" if daemon.name == USUAL_NAME else f" --host {daemon.name}"


def seconds_of(time_text: str) -> float:
    """Whole seconds since 1970 of a daemon's time: ISO 8601 with `Z`, or with an offset outside of UTC."""
    offset = re.search(r"[+-]\d\d:\d\d$", time_text)
    return datetime.fromisoformat(time_text[:19] + (offset.group() if offset else "+00:00")).timestamp()


def all_labels(labels: Mapping[str, str]) -> Dict[str, str]:
    """The labels of a container or volume of ours."""
    return {LABEL: "1", **labels}
