"""The Docker daemon by Docker's SDK; the only module that imports it, and imported only when a connection is made."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

import docker
import requests
import urllib3
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils import kwargs_from_env, parse_host, parse_repository_tag
from docker.utils.ports import build_port_bindings
from docker.utils.socket import frames_iter

from nanoforge.containers.daemon import (
    ConnectionLost,
    Container,
    ContainerExit,
    DaemonFacts,
    DaemonLine,
    DaemonRefused,
    Folder,
    FoundContainer,
    Image,
    ImageBuild,
    all_labels,
    seconds_of,
)
from nanoforge.errors import BadInput

PING_S = 10
# Calls may pause this long where a disk or a link is slow.
PATIENCE_S = 300
BUILD_PATIENCE_S = 3600
# An SD card takes its time to remove a container's files.
REMOVAL_S = 120
CHUNK = 1 << 20
CONFLICT = 409
NO_IMAGE = f"sha256:{0:064x}"
BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    EOFError,
)


class _Client(docker.APIClient):  # type: ignore[misc]
    """The SDK's client, with the one request that it cannot make: to wait for an end that is yet to come."""

    def begin_wait(self, identity: str) -> requests.Response:
        """Ask for the exit code of a container once it is removed; the answer's head comes now, its body then."""
        url = self._url("/containers/{0}/wait", identity)
        answer = self._post(url, params={"condition": "removed"}, stream=True, timeout=REMOVAL_S)
        self._raise_for_status(answer)
        return answer  # type: ignore[no-any-return]


class SdkDaemon:
    """One daemon; see `nanoforge.containers.daemon.Daemon`.

    Args:
        close: what ends the connection's tunnel, None where it goes without one.

    Raises:
        ConnectionLost, DaemonRefused: none answers at ``address``, or it may not be used.
    """

    def __init__(
        self, name: str, address: str, options: Mapping[str, Any], close: Optional[Callable[[], None]] = None
    ) -> None:
        self.name = name
        self.address = address
        self.behind_ssh = close is not None
        self.shares_files = False
        self._close = close
        with _translated():
            self._api = _Client(base_url=address, timeout=PING_S, **{"version": "auto", **options})
            self._api.timeout = PATIENCE_S

    def close(self) -> None:
        self._api.close()
        if self._close:
            self._close()

    def facts(self) -> DaemonFacts:
        with _translated():
            info = self._api.info()
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

    def sees(self, folder: str) -> bool:
        """Whether a folder is there on the daemon's machine: what is to be mounted is looked for before the image."""
        asked = self._api.create_host_config(mounts=[_mount(Folder(folder, "/x"))])
        with _translated():
            try:
                self._api.create_container(NO_IMAGE, host_config=asked)
            except ImageNotFound:
                return True
            except APIError:
                return False
        raise AssertionError("an image that cannot be")

    def create(self, container: Container) -> str:
        service = container.service
        with _translated():
            made = self._api.create_container(
                container.image,
                command=list(container.command),
                user=service.user or None,
                working_dir=service.working_dir or None,
                environment={**service.environment, **container.environment},
                labels=all_labels(container.labels),
                ports=[_container_port(port) for port in service.ports] or None,
                # An open input that closes with its one reader: a stage ends when its runner is gone (stages/job.py).
                stdin_open=True,
                tty=container.tty,
                healthcheck={"test": ["NONE"]},
                host_config=self._api.create_host_config(**_confinement(container)),
            )
        return str(made["Id"])

    def attach(self, identity: str) -> _SdkAttachment:
        with _translated():
            stream = self._api.attach_socket(identity, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            return _SdkAttachment(self, stream, self._api.begin_wait(identity), identity)

    def start(self, identity: str) -> None:
        with _translated():
            self._api.start(identity)

    def stop(self, identity: str, grace: int) -> None:
        with _translated():
            self._api.stop(identity, timeout=grace)

    def remove(self, identity: str) -> None:
        with _translated():
            self._api.remove_container(identity, force=True)

    def containers(self, labels: Mapping[str, str]) -> List[FoundContainer]:
        with _translated():
            found = self._api.containers(all=True, filters={"label": _wanted(all_labels(labels))})
        return [FoundContainer(str(container["Id"]), container.get("Labels") or {}) for container in found]

    def was_out_of_memory(self, identity: str) -> bool:
        """Whether the kernel killed something in a container, which need not be there any more."""
        until = _with_fraction(self.facts().time)
        with _translated():
            # Up to the daemon's own now: a later time would make it wait for what may still come.
            filters = {"container": identity, "event": "oom"}
            return any(True for _ in self._api.events(since="1", until=until, filters=filters, decode=True))

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with _translated():
            self._api.create_volume(name, labels=all_labels(labels))

    def has_volume(self, name: str) -> bool:
        with _translated():
            try:
                self._api.inspect_volume(name)
            except NotFound:
                return False
        return True

    def remove_volume(self, name: str) -> bool:
        with _translated():
            try:
                self._api.remove_volume(name)
            except NotFound:
                return True
            except APIError as error:
                if error.status_code != CONFLICT:
                    raise
                return False
        return True

    def volumes(self, labels: Mapping[str, str]) -> List[str]:
        with _translated():
            found = self._api.volumes(filters={"label": _wanted(labels)})["Volumes"]
        return [str(volume["Name"]) for volume in found or []]

    def put_archive(self, identity: str, folder: str, tar: Union[bytes, Iterable[bytes]]) -> None:
        with _translated():
            self._api.put_archive(identity, folder, tar)

    def get_archive(self, identity: str, path: str) -> Optional[Iterator[bytes]]:
        with _translated():
            try:
                chunks, _ = self._api.get_archive(identity, path, chunk_size=CHUNK)
            except NotFound:
                return None
        return _translated_items(chunks)

    def image(self, name: str) -> Optional[Image]:
        with _translated():
            try:
                found = self._api.inspect_image(name)
            except ImageNotFound:
                return None
        config = found.get("Config") or {}
        health = tuple((config.get("Healthcheck") or {}).get("Test", ())[1:])
        return Image(found["Id"], found["Architecture"], config.get("Labels") or {}, int(found.get("Size", 0)), health)

    def build(self, build: ImageBuild) -> Iterator[DaemonLine]:
        with _context(build.context) as context, _translated():
            events = self._api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=build.dockerfile,
                target=build.target or None,
                buildargs=dict(build.arguments),
                platform=build.platform or None,
                labels=dict(build.labels),
                tag=build.tag,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=BUILD_PATIENCE_S,
            )
        return map(_line_of, _translated_items(events))

    def save_image(self, name: str) -> Iterator[bytes]:
        with _translated():
            return _translated_items(self._api.get_image(name))

    def load_images(self, archive: IO[bytes]) -> Iterator[DaemonLine]:
        with _translated():
            return map(_line_of, _translated_items(self._api.load_image(archive, quiet=True)))

    def tag_image(self, name: str, tag: str) -> None:
        with _translated():
            self._api.tag(name, *parse_repository_tag(tag))

    def registry_digest(self, name: str) -> Optional[str]:
        with _translated():
            try:
                return str(self._api.inspect_distribution(name)["Descriptor"]["digest"])
            except NotFound:
                return None


@contextmanager
def _context(folder: Path) -> Iterator[IO[bytes]]:
    """A folder as the archive that images are built from: modes are set, for a clone may be made with any umask."""

    def readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(folder, ".", filter=readable)
        archive.seek(0)
        yield archive


class _SdkAttachment:
    """See `nanoforge.containers.daemon.Attachment`."""

    def __init__(self, daemon: SdkDaemon, stream: Any, end: requests.Response, identity: str) -> None:
        self._daemon = daemon
        self._stream = stream
        self._end = end
        self._identity = identity

    def frames(self) -> Iterator[Tuple[int, bytes]]:
        return _translated_items(frames_iter(self._stream, tty=False))

    def exit(self) -> ContainerExit:
        # Where it does not come in time, the output has ended and the container not: the daemon was restarted under it.
        with _translated():
            answer = self._end.text
        try:
            code = int(json.loads(answer)["StatusCode"])
        except ValueError:
            raise ConnectionLost("The Docker daemon stopped answering: its answer broke off.") from None
        if code < 0:  # how a daemon that goes down answers whoever waits
            raise ConnectionLost(f"The Docker daemon stopped answering: {answer}")
        return ContainerExit(code, self._daemon.was_out_of_memory(self._identity))


def _confinement(container: Container) -> Dict[str, Any]:
    """What a container may do and use, as the SDK's host config has it."""
    service, memory = container.service, container.memory_limit or None
    devices = [
        DeviceRequest(driver=device.driver, count=device.count, capabilities=[device.capabilities])
        for device in service.devices
    ]
    return {
        "mounts": [_mount(folder) for folder in container.folders],
        "auto_remove": True,
        "init": service.init,
        "network_mode": service.network_mode,
        "read_only": service.read_only,
        "cap_drop": service.cap_drop,
        "security_opt": service.security_opt,
        "tmpfs": service.tmpfs,
        "pids_limit": service.pids_limit or None,
        "mem_limit": memory,
        "memswap_limit": memory,  # as much with swap as without: a stage does not swap
        "nano_cpus": container.cpus * 10**9 or None,
        "runtime": service.runtime or None,
        "device_requests": devices or None,
        "port_bindings": build_port_bindings(service.ports) if service.ports else None,
        # Output goes to the runner alone, which keeps it; on the daemon's disk it would grow without an end.
        "log_config": LogConfig(type="none"),
    }


def _mount(folder: Folder) -> Mount:
    kind = "bind" if folder.source.startswith("/") else "volume"
    return Mount(folder.target, folder.source, type=kind, read_only=folder.read_only)


def _container_port(port: str) -> int:
    return int(port.rsplit(":", 1)[-1])


def _wanted(labels: Mapping[str, str]) -> List[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def _with_fraction(time_text: str) -> str:
    """A daemon's time as seconds since 1970 with nanoseconds."""
    fraction = re.search(r"\.(\d+)", time_text)
    return f"{seconds_of(time_text):.0f}.{fraction.group(1) if fraction else '':0<9}"


def _line_of(event: Mapping[str, Any]) -> DaemonLine:
    error = event.get("error") or (event.get("errorDetail") or {}).get("message")
    return DaemonLine(str(error or event.get("stream") or event.get("status") or ""), bool(error))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the SDK raises into the two errors that the protocol knows; other errors of this machine stay."""
    try:
        yield
    except APIError as error:
        raise DaemonRefused(" ".join(str(error.explanation or error).split())) from error
    except BROKEN as error:
        raise ConnectionLost(f"The Docker daemon stopped answering: {' '.join(str(error).split())}") from error
    except (DockerException, requests.RequestException) as error:
        raise DaemonRefused(_one_line(error)) from error


def _translated_items(items: Iterable[Any]) -> Iterator[Any]:
    with _translated():
        yield from items


def is_address(url: str) -> bool:
    """Whether the SDK can use it as the address of a daemon."""
    try:
        parse_host(url)
    except (DockerException, ValueError):
        return False
    return True


def options_of_environment() -> Dict[str, Any]:
    """The options of the SDK's client that DOCKER_HOST stands for, with its TLS settings; ``base_url`` among them.

    Raises:
        BadInput: the TLS settings cannot be used.
    """
    try:
        return dict(kwargs_from_env())
    except DockerException as error:
        raise BadInput(f"DOCKER_TLS_VERIFY and DOCKER_CERT_PATH cannot be used: {_one_line(error)}") from None


def options_of_context() -> Dict[str, Any]:
    """The same of the context that is chosen: ``base_url``, empty in the default one, and ``source``, who names it.

    Raises:
        BadInput: there is no context of that name.
    """
    stated = os.environ.get("DOCKER_CONTEXT", "")
    name = stated or get_current_context_name()
    source = "DOCKER_CONTEXT" if stated else "currentContext in Docker's config.json"
    try:
        context = ContextAPI.get_context(name)
        options = ContextAPI.kwargs_from_context(name) if context and name != "default" else {}
    except (DockerException, OSError, ValueError) as error:
        raise BadInput(f"{source} names {name}, which cannot be used: {_one_line(error)}") from None
    if context is None:
        raise BadInput(f"{source} names {name}, but Docker knows no context of that name: `docker context ls`.")
    # docker-py spells a socket's address its own way.
    address = str(options.pop("base_url", "")).replace("http+unix://", "unix://")
    return {**options, "base_url": address, "source": f"{source} ({name})" if address else ""}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
