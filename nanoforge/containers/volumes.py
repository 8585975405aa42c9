"""Folders in named volumes, for daemons that do not see this machine's files: sent, proven by digest, fetched back.

A volume of an input is named by the digest of its contents and holds a hidden mark once every file in it was proven, so
what is there already is not sent again, and a broken transfer goes on with the files that are missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from nanoforge.containers.container import run_to_end
from nanoforge.containers.daemon import ConnectionLost, Container, Daemon, speaking
from nanoforge.errors import EnvironmentNotReady, Interrupted, StageFailed
from nanoforge.files.digests import CHUNK, sha256_file
from nanoforge.files.selection import Selection, walk
from nanoforge.stop import Stop

MARK = ".nanoforge-complete"
LISTING = "/opt/nanoforge/listing.py"
# One archive carries about this much, so that a broken connection costs little that was sent already.
BATCH_BYTES = 64 << 20

Sent = Callable[[int], None]
"""Called with the number of bytes that went out or came in since the last call."""


class FarFile(NamedTuple):
    """A file at the far end: bytes, and SHA-256 as 64 hex digits."""

    size: int
    sha256: str


class Content(NamedTuple):
    """What a volume is to hold: a file, or the selected files of a folder, under their relative paths."""

    path: Path
    selection: Selection

    def files(self) -> Dict[str, Path]:
        """Relative path -> the file here, in order."""
        folder = self.path.parent if self.path.is_file() else self.path
        return {stat.path: folder / stat.path for stat in walk(self.path, self.selection)}

    def size(self) -> int:
        """Bytes of all files."""
        return sum(stat.size for stat in walk(self.path, self.selection))


class Carrier(NamedTuple):
    """A container that is never started: it gives access to its volumes, and needs no process over there.

    Attributes:
        identity: the container's id.
        owner: user id that files are given to.
    """

    daemon: Daemon
    identity: str
    owner: int


def ensure(daemon: Daemon, name: str, labels: Mapping[str, str]) -> bool:
    """Make the volume if it is not there; returns whether it is new."""
    with speaking(daemon, "making a volume"):
        if daemon.has_volume(name):
            return False
        daemon.create_volume(name, labels)
    return True


def exists(daemon: Daemon, name: str) -> bool:
    """Whether there is such a volume."""
    with speaking(daemon, "looking for a volume"):
        return daemon.has_volume(name)


def discard(daemon: Daemon, name: str) -> bool:
    """Remove the volume if it is there; returns False where a container uses it."""
    with speaking(daemon, "removing a volume"):
        return daemon.remove_volume(name)


def having(daemon: Daemon, labels: Mapping[str, str]) -> List[str]:
    """The names of the volumes with these labels."""
    with speaking(daemon, "looking for volumes"):
        return daemon.volumes(labels)


def marked(carrier: Carrier, target: str) -> bool:
    """Whether the volume at ``target`` bears its mark."""
    return read(carrier, f"{target}/{MARK}") is not None


def read(carrier: Carrier, path: str) -> Optional[bytes]:
    """A small file at the far end, or None."""
    with speaking(carrier.daemon, f"reading {path}"):
        chunks = carrier.daemon.get_archive(carrier.identity, path)
        if chunks is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            stream = archive.extractfile(archive.getmembers()[0])
            return stream.read() if stream else None


def write(carrier: Carrier, folder: str, files: Mapping[str, bytes]) -> None:
    """Write small files into a folder at the far end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            archive.addfile(_entry(name, len(content), carrier.owner), io.BytesIO(content))
    with speaking(carrier.daemon, f"writing to {folder}"):
        carrier.daemon.put_archive(carrier.identity, folder, buffer.getvalue())


def send(
    carrier: Carrier, target: str, content: Content, there: Mapping[str, FarFile], on_sent: Sent
) -> Dict[str, FarFile]:
    """Send what is missing or different at ``target``; returns what must be there afterwards."""
    expected: Dict[str, FarFile] = {}
    batch: Dict[str, Path] = {}
    size = 0
    for name, path in content.files().items():
        far = there.get(name)
        with _reading(path):
            bytes_here = path.stat().st_size
            same = far is not None and far.size == bytes_here and far.sha256 == sha256_file(path)
        if far and same:
            expected[name] = far
            on_sent(far.size)
            continue
        batch[name] = path
        size += bytes_here
        if size >= BATCH_BYTES:
            expected.update(_send_batch(carrier, target, batch, on_sent))
            batch, size = {}, 0
    if batch:
        expected.update(_send_batch(carrier, target, batch, on_sent))
    return expected


def _send_batch(carrier: Carrier, target: str, files: Mapping[str, Path], on_sent: Sent) -> Dict[str, FarFile]:
    tar = _TarStream(files, carrier.owner, on_sent)
    with speaking(carrier.daemon, f"sending to {target}"):
        carrier.daemon.put_archive(carrier.identity, target, tar.blocks())
    return tar.sent


class _TarStream:
    """Files as the blocks of a tar archive, made while they are sent; notes the digest of what really went out."""

    def __init__(self, files: Mapping[str, Path], owner: int, on_sent: Sent) -> None:
        self.sent: Dict[str, FarFile] = {}
        self._files = files
        self._owner = owner
        self._on_sent = on_sent

    def blocks(self) -> Iterator[bytes]:
        for name, path in self._files.items():
            # Here, not by whoever asks for blocks: the SDK takes every error of the system for one of the connection.
            with _reading(path):
                yield from self._blocks_of(name, path)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)

    def _blocks_of(self, name: str, path: Path) -> Iterator[bytes]:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            yield _entry(name, size, self._owner).tobuf(tarfile.PAX_FORMAT)
            hasher, left = hashlib.sha256(), size
            while left:
                chunk = stream.read(min(CHUNK, left))
                if not chunk:
                    raise StageFailed(f"{path} became shorter while it was sent: run again when it stays as it is.")
                hasher.update(chunk)
                left -= len(chunk)
                self._on_sent(len(chunk))
                yield chunk
        yield b"\0" * (-size % tarfile.BLOCKSIZE)
        self.sent[name] = FarFile(size, hasher.hexdigest())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StageFailed(
            f"{path} could not be read while it was sent ({error.strerror or error}): run again when it stays as it is."
        ) from None


def _entry(name: str, size: int, owner: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = size, 0o644, owner, owner
    return entry


def listing(daemon: Daemon, container: Container, folders: Iterable[str], stop: Stop) -> Dict[str, Dict[str, FarFile]]:
    """The files below each of the folders, hashed at the far end in a container like ``container``."""
    found: Dict[str, Dict[str, FarFile]] = {folder: {} for folder in folders}
    lines: List[str] = []
    command = ["python3", LISTING, *found]
    asking = replace(container, command=command)
    ending = run_to_end(daemon, asking, lines.append, stop, "comparing digests")
    if stop.asked:
        raise Interrupted("Interrupted while comparing digests; the same command goes on from there.")
    if ending.code:
        raise EnvironmentNotReady(f"The digests of what was copied could not be taken: {' '.join(lines[-3:])}")
    for line in lines:
        row = json.loads(line)
        found[row["folder"]][row["path"]] = FarFile(row["size"], row["sha256"])
    return found


def check(what: str, expected: Mapping[str, FarFile], found: Mapping[str, FarFile]) -> None:
    """Both ends must have the same files.

    Raises:
        StageFailed: naming the first that differs.
    """
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            raise StageFailed(
                f"{what}: {name} did not arrive as it was sent (or there is one too many); run the same command again,"
                " which sends it anew."
            )


def fetch(carrier: Carrier, folder: str, into: Path, expected: Mapping[str, FarFile], on_got: Sent) -> None:
    """Fetch the files below ``folder`` at the far end into the empty folder ``into``.

    Raises:
        StageFailed: something else came than ``expected``, or a path that leads out of ``into``.
    """
    with speaking(carrier.daemon, f"fetching {folder}"):
        chunks = carrier.daemon.get_archive(carrier.identity, f"{folder}/.")
        if chunks is None:
            raise StageFailed(f"{folder} is gone at the far end: run the same command again.")
        try:
            with tarfile.open(fileobj=_ChunkStream(chunks), mode="r|", bufsize=CHUNK) as archive:
                got = dict(_unpacked(archive, into, on_got))
        except tarfile.TarError as error:
            raise ConnectionLost(f"what came back broke off: {error}") from error
    check(folder, expected, got)


def _unpacked(archive: tarfile.TarFile, into: Path, on_got: Sent) -> Iterator[Tuple[str, FarFile]]:
    for member in archive:
        parts = PurePosixPath(member.name).parts
        if ".." in parts or member.name.startswith("/") or not (member.isfile() or member.isdir()):
            raise StageFailed(
                f"{member.name} in what came back is not a plain file inside the output; it was not kept."
            )
        if member.isdir() or any(part.startswith(".") and part != "." for part in parts):
            continue
        name = str(PurePosixPath(*parts))
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = archive.extractfile(member)
        assert source is not None
        with open(target, "wb") as stream:
            yield name, FarFile(member.size, _copy(source, stream, on_got))


def _copy(source: IO[bytes], target: IO[bytes], on_got: Sent) -> str:
    """Copy to the end; returns the SHA-256 of what was copied."""
    hasher = hashlib.sha256()
    for chunk in iter(lambda: source.read(CHUNK), b""):
        hasher.update(chunk)
        target.write(chunk)
        on_got(len(chunk))
    return hasher.hexdigest()


class _ChunkStream(io.RawIOBase):
    """An iterator of chunks as a stream that can be read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            missing -= len(chunk)
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]
