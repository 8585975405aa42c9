"""The checkpoint that training starts from: a path, a URL, or one of the classic zoo's names."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional
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
        indexes = sorted(path.glob("*.index"))
        if len(indexes) != 1:
            found = ", ".join(index.stem for index in indexes) or "none"
            raise BadInput(f"model.checkpoint: {path} must hold one checkpoint, or name its prefix; found: {found}.")
        return StartCheckpoint(path, indexes[0].stem)
    prefix = path.name[: -len(".index")] if path.name.endswith(".index") else path.name
    if not (path.parent / f"{prefix}.index").is_file():
        raise BadInput(
            f"model.checkpoint: there is no checkpoint {path} (its files would be {prefix}.index, {prefix}.data-…)."
        )
    return StartCheckpoint(path.parent, prefix)


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
