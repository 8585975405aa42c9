"""A Docker daemon in memory, for tests that need none of its own; `contract` holds it against a real one.

Containers are run by small Python functions, volumes are folders, images are what tests say that they are.
"""

import io
import json
import queue
import runpy
import shutil
import tarfile
import threading
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from nanoforge.containers.daemon import (
    ConnectionLost,
    Container,
    ContainerExit,
    DaemonFacts,
    DaemonLine,
    DaemonRefused,
    FoundContainer,
    Image,
    all_labels,
)

LISTING = Path(__file__).resolve().parents[2] / "docker" / "listing.py"
KILLED, TERMINATED = 137, 143
FACTS = DaemonFacts(
    version="20.10",
    architecture="x86_64",
    cpus=2,
    memory=8 << 30,
    storage_driver="overlay2",
    root="/var/lib/docker",
    runtimes=("runc",),
    security=("name=seccomp,profile=default",),
    time="2026-01-01T00:00:00.5Z",
    system="Debian",
)


class OutOfMemory(Exception):
    """The kernel ended a program for its limit."""


class Process:
    """What a program in a container sees; its return value is the exit code."""

    def __init__(self, container: Container, places: Mapping[str, Path], say: Callable[[int, bytes], None]) -> None:
        self.command = list(container.command)
        self.environment = dict(container.environment)
        self.stopped = threading.Event()
        self._container = container
        self._places = places
        self._say = say

    def print(self, text: str, stream: int = 1, end: str = "\n") -> None:
        self._say(stream, (text + end).encode())

    def emit(self, **event) -> None:
        """An event of a stage; see stages/job.py."""
        self.print(f"::nanoforge:: {json.dumps(event)}")

    def path(self, inside: str) -> Path:
        """A path of the container as one of this machine."""
        return self._place(inside)[1]

    def read(self, inside: str) -> bytes:
        return self.path(inside).read_bytes()

    def write(self, inside: str, data: bytes) -> None:
        target, path = self._place(inside)
        if any(folder.target == target and folder.read_only for folder in self._container.folders):
            raise OSError(30, "Read-only file system", inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def allocate(self, size: int) -> None:
        limit = self._container.memory_limit
        if limit and size > limit:
            raise OutOfMemory

    def _place(self, inside: str) -> Tuple[str, Path]:
        """The mounted folder or file that a path is in, and what it is on this machine."""
        for target in sorted(self._places, key=len, reverse=True):
            if inside == target:
                return target, self._places[target]
            if inside.startswith(f"{target}/"):
                return target, self._places[target] / inside[len(target) + 1 :]
        raise OSError(30, "Read-only file system", inside)


@dataclass
class Created:
    """A container that is there."""

    container: Container
    frames: "queue.Queue" = field(default_factory=queue.Queue)
    process: Optional[Process] = None
    thread: Optional[threading.Thread] = None
    exit: Optional[ContainerExit] = None

    @property
    def labels(self):
        return all_labels(self.container.labels)


class FakeDaemon:
    """See `nanoforge.containers.daemon.Daemon`; the attributes below are for tests.

    Attributes:
        created: every container that was ever created, in order.
        program: what a container runs that has no program of its own.
        built: every build that was asked for.
        build_lines: what the next builds say.
        cut_after: bytes that still go through `put_archive` or `get_archive` before the connection breaks.
        digests: what the registry knows.
    """

    def __init__(self, folder: Path, name: str = "Docker daemon", shares_files: bool = True) -> None:
        self.name = name
        self.shares_files = shares_files
        self.behind_ssh = not shares_files
        self.address = f"unix://{folder}/docker.sock"
        self.told = FACTS
        self.created: List[Container] = []
        self.program: Callable[[Process], int] = lambda process: 0
        self.built: list = []
        self.build_lines = [DaemonLine("Step 1/1 : FROM base\n")]
        self.packages: Dict[str, str] = {"numpy": "1.0"}
        self.digests: Dict[str, str] = {}
        self.cut_after: Optional[int] = None
        self.lost = False
        self.closed = False
        self._folder = folder
        self._containers: Dict[str, Created] = {}
        self._volumes: Dict[str, Mapping[str, str]] = {}
        self._images: Dict[str, Image] = {}
        self._lock = threading.RLock()

    # --- for tests

    def add_image(self, name: str, labels: Mapping[str, str] = {}, architecture: str = "amd64") -> Image:
        self._images[name] = Image(f"sha256:{len(self._images):064x}", architecture, labels, 5 << 20)
        return self._images[name]

    def cut(self) -> None:
        """Break the connection: what runs sees its standard input close, and ends itself."""
        with self._lock:
            self.lost = True
            running = list(self._containers.values())
        for found in running:
            if found.process:
                found.process.stopped.set()
            found.frames.put(None)

    def reconnect(self) -> None:
        self.lost, self.cut_after = False, None

    def volume(self, name: str) -> Path:
        return self._folder / "volumes" / name

    # --- the protocol

    def close(self) -> None:
        self.closed = True

    def facts(self) -> DaemonFacts:
        self._check()
        return self.told

    def sees(self, folder: str) -> bool:
        self._check()
        return self.shares_files and Path(folder).is_dir()

    def create(self, container: Container) -> str:
        self._check()
        if self.image(container.image) is None:
            raise DaemonRefused(f"No such image: {container.image}")
        for folder in container.folders:
            if not folder.source.startswith("/"):
                self._volumes.setdefault(folder.source, {})
                self.volume(folder.source).mkdir(parents=True, exist_ok=True)
            elif not Path(folder.source).exists():
                raise DaemonRefused(f"invalid mount config: bind source path does not exist: {folder.source}")
        with self._lock:
            identity = f"{len(self.created):064x}"
            self._containers[identity] = Created(container)
            self.created.append(container)
        return identity

    def attach(self, identity: str):
        return Attached(self, self._found(identity))

    def start(self, identity: str) -> None:
        found = self._found(identity)
        say = lambda stream, data: found.frames.put((stream, data))  # noqa: E731
        found.process = Process(found.container, self._places(found.container), say)
        found.thread = threading.Thread(target=self._run, args=(identity, found), daemon=True)
        found.thread.start()

    def _run(self, identity: str, found: Created) -> None:
        try:
            code, out_of_memory = self._program_of(found.container)(found.process), False
        except OutOfMemory:
            code, out_of_memory = KILLED, True
        except OSError as error:
            found.process.print(str(error), 2)
            code, out_of_memory = 1, False
        found.exit = ContainerExit(code or 0, out_of_memory)
        with self._lock:
            self._containers.pop(identity, None)
        found.frames.put(None)

    def _program_of(self, container: Container) -> Callable[[Process], int]:
        words = " ".join(container.command)
        if "listing.py" in words:
            return _listing
        return self._health if "health.py" in words else self.program

    def _health(self, process: Process) -> int:
        process.print(json.dumps({"python": "3.11.9", "machine": "x86_64", "modules": {}, "packages": self.packages}))
        return 0

    def stop(self, identity: str, grace: int) -> None:
        found = self._found(identity)
        if found.process:
            found.process.stopped.set()
            found.thread.join(grace)

    def remove(self, identity: str) -> None:
        found = self._found(identity)
        if found.process:
            found.process.stopped.set()
        with self._lock:
            self._containers.pop(identity, None)

    def containers(self, labels: Mapping[str, str]) -> List[FoundContainer]:
        self._check()
        with self._lock:
            return [
                FoundContainer(identity, found.labels)
                for identity, found in self._containers.items()
                if labels.items() <= found.labels.items()
            ]

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self._check()
        self.volume(name).mkdir(parents=True)
        self._volumes[name] = all_labels(labels)

    def has_volume(self, name: str) -> bool:
        self._check()
        return name in self._volumes

    def remove_volume(self, name: str) -> bool:
        self._check()
        with self._lock:
            used = any(
                folder.source == name for found in self._containers.values() for folder in found.container.folders
            )
        if used:
            return False
        if self._volumes.pop(name, None) is not None:
            shutil.rmtree(self.volume(name))
        return True

    def volumes(self, labels: Mapping[str, str]) -> List[str]:
        self._check()
        return [name for name, borne in self._volumes.items() if labels.items() <= borne.items()]

    def put_archive(self, identity: str, folder: str, tar) -> None:
        found = self._found(identity)
        whole = io.BytesIO(b"".join(self._through([tar] if isinstance(tar, bytes) else tar)))
        process = Process(replace(found.container, folders=[]), self._places(found.container), lambda *_: None)
        try:
            with tarfile.open(fileobj=whole) as archive:
                for member in archive:
                    process.write(f"{folder}/{member.name}", archive.extractfile(member).read())
        except tarfile.TarError:
            assert self.lost, "an archive that is not one"
        self._check()

    def get_archive(self, identity: str, path: str):
        container = self._found(identity).container
        whole_folder = path.endswith("/.")
        place = Process(container, self._places(container), lambda *_: None).path(path[:-2] if whole_folder else path)
        if not place.exists():
            return None
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(place, "." if whole_folder else place.name)
        return self._received(buffer.getvalue())

    def _received(self, data: bytes):
        yield from self._through(data[start : start + 1000] for start in range(0, len(data), 1000))
        self._check()

    def _through(self, blocks):
        """What gets through the connection before it breaks."""
        for block in blocks:
            if self.cut_after is not None:
                self.cut_after -= len(block)
                if self.cut_after < 0:
                    self.cut()
                    return
            yield block

    def image(self, name: str) -> Optional[Image]:
        self._check()
        return self._images.get(name) or next((image for image in self._images.values() if image.id == name), None)

    def build(self, build):
        self._check()
        self.built.append(build)
        yield from self.build_lines
        if not any(line.failed for line in self.build_lines):
            architecture = build.platform.rpartition("/")[2] or "amd64"
            self.add_image(build.tag, build.labels, architecture)

    def save_image(self, name: str):
        image = self.image(name)
        if image is None:
            raise DaemonRefused(f"No such image: {name}")
        yield b"archive:"
        yield json.dumps([name, *image]).encode()

    def load_images(self, archive):
        self._check()
        data = archive.read()
        if not data.startswith(b"archive:"):
            yield DaemonLine("Error processing tar file(exit status 1): unexpected EOF", failed=True)
            return
        name, *image = json.loads(data[len(b"archive:") :])
        self._images[name] = Image(*image)
        yield DaemonLine(f"Loaded image: {name}\n")

    def tag_image(self, name: str, tag: str) -> None:
        image = self.image(name)
        if image is None:
            raise DaemonRefused(f"No such image: {name}")
        self._images[tag] = image

    def registry_digest(self, name: str) -> Optional[str]:
        self._check()
        return self.digests.get(name)

    def _found(self, identity: str) -> Created:
        self._check()
        with self._lock:
            if identity not in self._containers:
                raise DaemonRefused(f"No such container: {identity}")
            return self._containers[identity]

    def _check(self) -> None:
        if self.lost:
            raise ConnectionLost("Connection aborted.")

    def _places(self, container: Container) -> Dict[str, Path]:
        return {
            folder.target: Path(folder.source) if folder.source.startswith("/") else self.volume(folder.source)
            for folder in container.folders
        }


class Attached:
    """See `nanoforge.containers.daemon.Attachment`."""

    def __init__(self, daemon: FakeDaemon, found: Created) -> None:
        self._daemon = daemon
        self._found = found

    def frames(self):
        while True:
            frame = self._found.frames.get()
            if frame is None:
                return
            yield frame

    def exit(self) -> ContainerExit:
        self._daemon._check()
        self._found.thread.join()
        return self._found.exit


def _listing(process: Process) -> int:
    """What docker/listing.py says, with the paths of the container."""
    places = {inside: str(process.path(inside)) for inside in process.command[2:]}
    main = runpy.run_path(str(LISTING))["main"]
    said = io.StringIO()
    with redirect_stdout(said):
        main(list(places.values()))
    names = {place: inside for inside, place in places.items()}
    for line in said.getvalue().splitlines():
        row = json.loads(line)
        process.print(json.dumps({**row, "folder": names[row["folder"]]}))
    return 0


def wait_until_stopped(process: Process) -> int:
    """A program that runs until it is asked to end."""
    process.emit(progress={"done": 1, "total": 2, "message": "asleep"})
    assert process.stopped.wait(30), "nobody ended it"
    return TERMINATED
