"""The checkpoint that training starts from: a path, a URL, or one of the classic zoo's names."""

from __future__ import annotations

import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from nanoforge.config.schema import ModelSection
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.paths import cache_folder, user_path

_ZOO_URL = "http://download.tensorflow.org/models/object_detection/{}.tar.gz"

# TensorFlow 1 detection model zoo. SHA-256 of the archives as the Open Model Zoo publishes them in its
# models/public/*/model.yml; no published digest is known for an empty one, so the user has to state it.
ZOO = {
    "ssd_mobilenet_v1_coco_2018_01_28": "8788f89108519fd1102b8a5c2ac861cf6d86603571b6ce5bbd1c245b7fe005e3",
    "ssd_mobilenet_v2_coco_2018_03_29": "b9380178b2e35333f1a735e39745928488bdabeb9ed20bc6fa07af8172cb5adc",
    "ssdlite_mobilenet_v2_coco_2018_05_09": "542445cce834dbfbb7df1991425d475e85a2d7ec68c60a4f262bb18aac10c8b2",
    "ssd_inception_v2_coco_2018_01_28": "",
}

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
            f"model.checkpoint = {name!r} is downloaded, so its digest must be known: set model.checkpoint_sha256 to"
            " the 64 hex digits that `sha256sum` prints for the archive you trust."
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


def fetch(start: Optional[StartCheckpoint]) -> None:
    """Download and unpack the checkpoint's archive unless it is there already.

    Raises:
        EnvironmentNotReady: the download failed.
        BadInput: the archive's digest is another, or it holds no model.ckpt.
    """
    if start is None or start.archive is None or start.folder.is_dir():
        return
    import pooch  # Here, since every command would pay for the import and hardly any downloads.

    archive = start.archive
    downloads = cache_folder() / "downloads"
    try:
        file = pooch.retrieve(
            archive.url, f"sha256:{archive.sha256}", fname=archive.sha256, path=downloads, progressbar=False
        )
    except ValueError as error:
        raise BadInput(f"{archive.url} is not what was expected: {error}") from None
    except OSError as error:
        raise EnvironmentNotReady(
            f"{archive.url} could not be downloaded: {error}. Fetch it by other means and set"
            " model.checkpoint to its path."
        ) from None
    _unpack_checkpoint(Path(file), start)


def _unpack_checkpoint(archive: Path, start: StartCheckpoint) -> None:
    """Take the files ``model.ckpt.*`` out of the archive by their base names, so that no path in it can escape."""
    origin = start.archive.url if start.archive else archive
    unpacked = start.folder.with_suffix(".part")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                stream = tar.extractfile(member) if member.isfile() and name.startswith(start.prefix) else None
                if stream:
                    with stream, open(unpacked / name, "wb") as target:
                        shutil.copyfileobj(stream, target)
    except tarfile.TarError as error:
        raise BadInput(f"{origin} is not a tar archive: {error}.") from None
    if not (unpacked / f"{start.prefix}.index").is_file():
        raise BadInput(f"{origin} holds no {start.prefix}.index: not a TensorFlow checkpoint.")
    unpacked.rename(start.folder)
