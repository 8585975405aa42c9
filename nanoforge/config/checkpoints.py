"""The checkpoint that training starts from: a path, a URL, or one of the classic zoo's names."""

from __future__ import annotations

import glob
import gzip
import lzma
import re
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional
from urllib.parse import urlsplit

from nanoforge.config.schema import ModelSection
from nanoforge.console import Console
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.atomic import made_once
from nanoforge.files.paths import cache_folder, cache_in_use, note_use, user_path
from nanoforge.urls import without_secrets

_ZOO_URL = "http://download.tensorflow.org/models/object_detection/{}.tar.gz"

# TensorFlow 1 detection model zoo. SHA-256 of the archives as the Open Model Zoo publishes them in its
# models/public/*/model.yml; no published digest is known for an empty one, so the user has to state it.
ZOO = {
    "ssd_mobilenet_v1_coco_2018_01_28": "8788f89108519fd1102b8a5c2ac861cf6d86603571b6ce5bbd1c245b7fe005e3",
    "ssd_mobilenet_v2_coco_2018_03_29": "b9380178b2e35333f1a735e39745928488bdabeb9ed20bc6fa07af8172cb5adc",
    "ssdlite_mobilenet_v2_coco_2018_05_09": "542445cce834dbfbb7df1991425d475e85a2d7ec68c60a4f262bb18aac10c8b2",
    "ssd_inception_v2_coco_2018_01_28": "",
}

# More than ten times the largest checkpoint of the zoo, less than what would fill a disk.
UNPACKED_LIMIT = 8 << 30
LARGEST_STATE = 1 << 16  # bytes of it that are read; it lists five checkpoints, the latest first
STATE = "checkpoint"  # TensorFlow's list of the checkpoints in a folder
PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")  # of a checkpoint's files, behind its prefix
GRAPHS = (".pb", ".h5", ".hdf5", ".keras", ".tflite")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Archive:
    url: str
    sha256: str


@dataclass(frozen=True)
class StartCheckpoint:
    """A checkpoint as files ``folder/prefix.index``, ``folder/prefix.data-…``; ``archive`` where it must be fetched."""

    folder: Path
    prefix: str
    archive: Optional[Archive] = None


def resolve(model: ModelSection, project: Path) -> Optional[StartCheckpoint]:
    """The checkpoint that ``model.checkpoint`` names; nothing is downloaded yet. None: random weights.

    Raises:
        BadInput: the path holds no checkpoint, or a URL or zoo name comes without a digest.
    """
    name = model.checkpoint
    if not name:
        return None
    if name in ZOO or re.match(r"https?://", name):
        return _remote(name, model.checkpoint_sha256)
    return _local((project / user_path(name)).absolute())


def _remote(name: str, stated: str) -> StartCheckpoint:
    digest = (stated or ZOO.get(name, "")).lower()
    if not SHA256.fullmatch(digest):
        raise BadInput(
            f"model.checkpoint = {without_secrets(name)!r} is downloaded, so its digest must be known: set"
            " model.checkpoint_sha256 to the 64 hex digits that `sha256sum` prints for the archive you trust."
        )
    url = _ZOO_URL.format(name) if name in ZOO else name
    return StartCheckpoint(cache_folder() / "checkpoints" / digest, "model.ckpt", Archive(url, digest))


def _local(path: Path) -> StartCheckpoint:
    if path.is_dir():
        held = _prefixes(path)
        if len(held) != 1:
            latest = _latest(path / STATE)
            hint = f" ({path / STATE} names the latest, {latest})" if latest in held else ""
            raise BadInput(
                f"model.checkpoint: {path} must hold one checkpoint, or name its prefix; found: {_few(held)}{hint}"
                f"{'' if held else _instead(path)}."
            )
        return _whole(path, held[0])
    if path.name == STATE and path.is_file():
        latest = _latest(path)
        if not latest:
            raise BadInput(f"model.checkpoint: {path} names no checkpoint (model_checkpoint_path): name one's prefix.")
        return _whole(path.parent, latest)
    return _whole(path.parent, PART.sub("", path.name))


def _whole(folder: Path, prefix: str) -> StartCheckpoint:
    """The checkpoint of that prefix, if all of its files are there."""
    names = {file.name for file in folder.glob(f"{glob.escape(prefix)}.*")} if folder.is_dir() else set()
    index = f"{prefix}.index"
    shards = [re.fullmatch(re.escape(prefix) + r"\.data-\d{5}-of-(\d{5})", name) for name in names]
    counts = sorted({int(shard.group(1)) for shard in shards if shard})
    if index not in names and not counts:
        held = _prefixes(folder)
        there = f"; that folder holds {_few(held)}" if held else ""
        raise BadInput(
            f"model.checkpoint: there is no checkpoint {folder / prefix} (its files would be {index}, {prefix}.data-…)"
            f"{there or _instead(folder / prefix)}."
        )
    lacking = [] if index in names else [index]
    of_counts: List[List[str]] = [
        [name for name in (f"{prefix}.data-{i:05}-of-{count:05}" for i in range(count)) if name not in names]
        for count in counts
    ] or [[f"{prefix}.data-00000-of-00001"]]
    fewest: List[str] = min(of_counts, key=len)
    lacking += fewest
    if lacking:
        raise BadInput(
            f"model.checkpoint: the checkpoint {folder / prefix} is not whole, it lacks {_few(lacking)}: copy all files"
            f" {prefix}.* there."
        )
    return StartCheckpoint(folder, prefix)


def _instead(path: Path) -> str:
    """What to name instead of a path at which there is no checkpoint, as far as can be seen."""
    below = [f"{path / name}" for name in ("checkpoint", "train", "checkpoints") if _prefixes(path / name)]
    if below:
        return f"; {below[0]} holds {_few(_prefixes(Path(below[0])))}"
    if (path / "saved_model.pb").exists() or path.suffix in GRAPHS:
        return "; a SavedModel, a frozen graph or a Keras file is no checkpoint: name the one that it was made from"
    if path.is_file() and tarfile.is_tarfile(path):
        return "; it is an archive: unpack it, and name the checkpoint in it"
    return f"; name its prefix, its folder, or one of the zoo: {', '.join(ZOO)}"


def _prefixes(folder: Path) -> List[str]:
    """The checkpoints in a folder, those of the most steps last."""
    found = {file.stem for file in folder.glob("*.index")} if folder.is_dir() else set()
    return sorted(found, key=lambda name: [int(part) if part.isdigit() else 0 for part in re.split(r"(\d+)", name)])


def _latest(state: Path) -> str:
    """The file name of the checkpoint that TensorFlow's list names as the latest; "" if it names none."""
    try:
        text = state.read_bytes()[:LARGEST_STATE].decode("utf-8", "replace") if state.is_file() else ""
    except OSError as error:
        raise BadInput(f"model.checkpoint: {state} cannot be read: {error.strerror}.") from None
    match = re.search(r'^\s*model_checkpoint_path\s*:\s*"(.*)"', text, re.MULTILINE)
    return re.split(r"[/\\]+", match.group(1))[-1] if match else ""


def _few(names: List[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return (", ".join(names[-10:]) or "none") + more


def fetch(start: Optional[StartCheckpoint], console: Console) -> None:
    """Download and unpack the checkpoint's archive unless it is there already.

    Raises:
        EnvironmentNotReady: the download failed, or there is no room for it.
        BadInput: the archive's digest is another, or it holds no checkpoint.
    """
    if start is None or start.archive is None:
        return
    archive, prefix = start.archive, start.prefix
    what = f"the checkpoint of {without_secrets(archive.url)}"

    def make(folder: Path) -> None:
        folder.mkdir()
        with console.status(f"fetching {what}"):
            file = _downloaded(archive, folder)
        _unpack(file, without_secrets(archive.url), prefix, folder)
        file.unlink()

    with cache_in_use():
        made_once(start.folder, what, make, console.say)
    note_use(start.folder)


def _downloaded(archive: Archive, folder: Path) -> Path:
    import pooch  # Here, since every command would pay for the imports and hardly any downloads.
    import requests

    pooch.get_logger().setLevel("ERROR")  # it would print the URL as it is
    shown = without_secrets(archive.url)
    try:
        file = pooch.retrieve(archive.url, f"sha256:{archive.sha256}", fname="archive", path=folder, progressbar=False)
    except requests.RequestException as error:
        raise EnvironmentNotReady(
            f"{shown} could not be downloaded: {without_secrets(_reason(error, archive.url))}. Fetch it by other means,"
            " unpack it, and set model.checkpoint to its path."
        ) from None
    except ValueError as error:
        raise BadInput(f"{shown} is not what was expected: {without_secrets(str(error))}") from None
    return Path(file)


def _reason(error: Exception, url: str) -> str:
    """What went wrong, without the words by which the libraries repeat the URL or parts of it."""
    query = urlsplit(url).query
    text = " ".join(str(error).split())
    return text.replace(query, "***") if query else text


def _unpack(archive: Path, origin: str, prefix: str, folder: Path) -> None:
    """Take the checkpoint's files out of the archive by their base names, so that no path in it can escape."""
    own = re.compile(re.escape(prefix) + r"\.(index|meta|data-\d{5}-of-\d{5})")
    taken: Dict[str, str] = {}
    unpacked = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                unpacked += max(member.size, 0)
                if member.offset_data + unpacked > UNPACKED_LIMIT:
                    raise BadInput(f"{origin} unpacks to more than {UNPACKED_LIMIT >> 30} GiB: not a checkpoint.")
                stream = tar.extractfile(member) if member.isreg() and own.fullmatch(name) else None
                if stream is None:
                    continue
                if name in taken:
                    raise BadInput(
                        f"{origin} holds two files {name} ({taken[name]}, {member.name}): unpack it, and set"
                        " model.checkpoint to the path of the one that you mean."
                    )
                taken[name] = member.name
                with stream, open(folder / name, "wb") as target:
                    shutil.copyfileobj(stream, target)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise BadInput(f"{origin} is not a tar archive, or not a whole one: {error}.") from None
    lacking = [kind for kind in ("index", "data-") if not any(f"{prefix}.{kind}" in name for name in taken)]
    if lacking:
        raise BadInput(f"{origin} holds no file {prefix}.{lacking[0]}…: not a TensorFlow checkpoint.")
