"""The engine's sidecar, ``engine.json``: what an engine was built of and for, and whether it may be loaded here.

``{"format": 1, "plan": {"sha256", "bytes"}, "model": {"kind", "sha256", "description_sha256"}, "files": {"model.json":
sha256, "labels.txt": sha256}, "precision", "workspace_mb", "tensorrt": "8.2.1.8", "cuda": "10.2", "device": "NVIDIA
Tegra X1", "compute": "5.3", "l4t": "32.7.1", "board": {...}, "seconds": 241.0}``; ``files`` lie beside it.
"""

import hashlib
import json
import os
from typing import Any, Dict, NamedTuple, Sequence

from stages import files
from stages.job import BadInput

PLAN, SIDECAR, FORMAT = "model.engine", "engine.json", 1
LARGEST_JSON, LARGEST_PLAN = 1 << 20, 1 << 31
REBUILD = "build it again on this board: ./run build-engine, or python3 detector.pyz build-engine"


class Here(NamedTuple):
    """What an engine depends on: TensorRT's and CUDA's version, the GPU's name and compute capability."""

    tensorrt: str
    cuda: str
    device: str
    compute: str


def sha256_of(path: str) -> str:
    """The digest of a file."""
    digest = hashlib.sha256()
    with files.opened(path) as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def write(folder: str, described: Dict[str, Any], beside: Sequence[str] = ()) -> None:
    """Write ``engine.json`` beside the plan, with the digests of the plan and of the files ``beside`` it."""
    path = os.path.join(folder, PLAN)
    plan = {"sha256": sha256_of(path), "bytes": os.path.getsize(path)}
    digests = {name: sha256_of(os.path.join(folder, name)) for name in beside}
    with open(os.path.join(folder, SIDECAR), "w", encoding="utf-8") as stream:
        json.dump(dict(described, format=FORMAT, plan=plan, files=digests), stream, indent=1, sort_keys=True)


def read(folder: str, here: Here, model_sha256: str = "") -> bytes:
    """The plan in ``folder``, once its sidecar says that it is whole and of this board.

    Args:
        model_sha256: digest of the model that it must have been built of, if that matters.

    Raises:
        BadInput: it was built for another device or version, of another model, or is not whole.
    """
    path = os.path.join(folder, PLAN)
    described = sidecar(folder)
    for name, mine in here._asdict().items():
        if described.get(name) != mine:
            raise BadInput(
                "%s was built for %s %s, this board has %s; %s"
                % (path, WORDS[name], described.get(name) or "that nobody noted", mine or "another", REBUILD)
            )
    if model_sha256 and described["model"].get("sha256") != model_sha256:
        raise BadInput("%s was built of another model than the one given; %s" % (path, REBUILD))
    for name, digest in described.get("files", {}).items():
        _check(os.path.join(folder, os.path.basename(name)), digest)
    try:
        plan = files.read(path, LARGEST_PLAN)
    except OSError as error:
        raise BadInput("%s cannot be read (%s); %s" % (path, error.strerror, REBUILD)) from error
    if hashlib.sha256(plan).hexdigest() != described["plan"].get("sha256"):
        raise BadInput("%s is not what its %s says: it was cut off or changed; %s" % (path, SIDECAR, REBUILD))
    return plan


def sidecar(folder: str) -> Dict[str, Any]:
    """What ``engine.json`` in ``folder`` says.

    Raises:
        BadInput: there is none, or it describes no engine.
    """
    path = os.path.join(folder, SIDECAR)
    try:
        found = json.loads(files.read(path, LARGEST_JSON).decode("utf-8"))
        if found["format"] != FORMAT:
            raise ValueError("its format is %s" % found["format"])
        if not all(isinstance(found.get(name, {}), dict) for name in ("model", "plan", "files")):
            raise ValueError("model, plan or files is no object")
        if "model" not in found or "plan" not in found:
            raise ValueError("model or plan is missing")
    except OSError as error:
        raise BadInput(
            "%s cannot be read (%s); is this the folder that build-engine made?" % (path, error.strerror)
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("%s does not describe an engine (%s); %s" % (path, error, REBUILD)) from error
    described: Dict[str, Any] = found
    return described


WORDS = {
    "tensorrt": "TensorRT",
    "cuda": "CUDA",
    "device": "the device",
    "compute": "compute capability",
}


def _check(path: str, digest: str) -> None:
    try:
        same = sha256_of(path) == digest
    except OSError as error:
        raise BadInput("%s cannot be read (%s); %s" % (path, error.strerror, REBUILD)) from error
    if not same:
        raise BadInput("%s is not the one that the engine was built with; %s" % (path, REBUILD))
