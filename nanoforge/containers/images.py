"""Images of the environments on one engine: built where they are missing or older than what they are made from."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

import docker
from filelock import FileLock
from msgspec import structs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nanoforge import __version__
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.compose import Service
from nanoforge.containers.connection import Daemon, Image
from nanoforge.containers.container import Container, run
from nanoforge.containers.error_messages import meaning_of
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.atomic import replacing, write_json
from nanoforge.files.digests import sha256_file
from nanoforge.files.paths import HOME, cache_folder
from nanoforge.stop import Stop

RECIPE = "nanoforge.recipe"
PACKAGES = "nanoforge.packages"
BUILD_PATIENCE_S = 3600
HEALTH = "/opt/nanoforge/health.py"
# Which lines of a lock file apply in an image; the bases in .env have these Pythons.
PYTHONS = {"data": "3.11.9", "train": "3.6.15", "train-gpu": "3.6.15", "jetson": "3.6.9"}


class State(NamedTuple):
    """An image and whether it was made from what is in the repository now; ``why`` is empty where it was."""

    service: Service
    image: Optional[Image]
    why: str


def state(engine: Daemon, service: Service) -> State:
    """What is known of the image of a service."""
    image = engine.image(service.image)
    if image is None:
        return State(service, None, f"there is no image {service.image}")
    if image.labels.get(RECIPE) != compose.image_recipe(service):
        return State(service, image, f"image {service.image} was made from {_differences(service, image)}")
    return State(service, image, "")


def _differences(service: Service, image: Image) -> str:
    made_from: Dict[str, str] = json.loads(image.labels.get("nanoforge.files", "{}"))
    now = _files(service)
    changed = sorted(name for name in {*made_from, *now} if made_from.get(name) != now.get(name))
    return f"another {', '.join(changed)}" if changed else "another base or target"


def _files(service: Service) -> Dict[str, str]:
    return {str(path.relative_to(HOME)): sha256_file(path) for path in compose.image_files(service.build)}


def ensure(engine: Daemon, name: str, service: Service, console: Console) -> Image:
    """The image of service ``name``, built if it is missing or old.

    Raises:
        EnvironmentNotReady: it cannot be built.
    """
    found = state(engine, service)
    if found.image and not found.why:
        return found.image
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / f"{service.image}.lock")):
        found = state(engine, service)
        if found.image and not found.why:
            return found.image
        console.say(f"building image {service.image} ({found.why})")
        return build(engine, name, service, console)


def build(engine: Daemon, name: str, service: Service, console: Console) -> Image:
    """Build the image; layers that are there already are used."""
    empty = [key for key, value in service.build.args.items() if key.endswith("_IMAGE") and not value]
    if empty:
        raise BadInput(f"Image {service.image} has no base: set {', '.join(empty)} of service {name} (see .env).")
    log = cache_folder() / "images" / f"{service.image}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with engine.speaking(f"building image {service.image}"), open(log, "w", encoding="utf-8") as stream:
        events = engine.api.build(
            path=str(HOME / service.build.context),
            dockerfile=service.build.dockerfile,
            target=service.build.target or None,
            buildargs=service.build.args,
            platform=service.platform or None,
            labels=_labels(name, service),
            tag=service.image,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILD_PATIENCE_S,
        )
        with console.bar(f"image {service.image}") as bar:
            for event in events:
                _note(event, stream, bar)
                if "error" in event:
                    raise EnvironmentNotReady(_build_error(service, str(event["error"]), log))
    image = engine.image(service.image)
    assert image is not None
    return image


def _note(event: Dict[str, Any], log: Any, bar: Any) -> None:
    text = event.get("stream") or event.get("status") or event.get("error") or ""
    log.write(text if text.endswith("\n") else text + "\n")
    step = re.match(r"Step (\d+)/(\d+) : (.*)", text)
    if step:
        words = step.group(3)
        bar.update(int(step.group(1)), int(step.group(2)), words if len(words) < 60 else words[:57] + "...")


def _build_error(service: Service, error: str, log: Path) -> str:
    text = " ".join(error.split())
    meaning = meaning_of(text) or meaning_of(log.read_text(encoding="utf-8", errors="replace")[-4000:])
    reason = f"{meaning}. (The engine said: {text})" if meaning else text
    return f"Image {service.image} could not be built: {reason} Log: {log}"


def _labels(name: str, service: Service) -> Dict[str, str]:
    lock_files = compose.lock_files(service.build)
    locked = {package: version for lock in lock_files for package, version in pins(lock, PYTHONS[name]).items()}
    return {
        RECIPE: compose.image_recipe(service),
        "nanoforge.files": json.dumps(_files(service), sort_keys=True),
        "nanoforge.lock": " ".join(map(sha256_file, lock_files)),
        "nanoforge.bases": json.dumps(service.build.args, sort_keys=True),
        PACKAGES: json.dumps(locked, sort_keys=True),
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.revision": _revision(),
        "org.opencontainers.image.licenses": "Apache-2.0",
    }


def _revision() -> str:
    """The commit of the clone, with a mark where anything was changed since; `unknown` outside of a repository."""
    git = ["git", "-C", str(HOME), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def pins(lock: Path, python: str) -> Dict[str, str]:
    """Package (PEP 503 name) -> version that a lock file names for that version of Python."""
    major_minor = ".".join(python.split(".")[:2])
    markers = {"python_version": major_minor, "python_full_version": python, "sys_platform": "linux"}
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        words = line.split("#")[0].split(" --hash")[0].strip()
        if not words:
            continue
        requirement = Requirement(words)
        if not requirement.marker or requirement.marker.evaluate(markers):
            found[str(canonicalize_name(requirement.name))] = str(requirement.specifier).lstrip("=")
    return found


def health(engine: Daemon, service: Service, image: Image) -> Dict[str, Any]:
    """What the image's own health check says of it: ``python``, ``machine``, ``modules``, ``packages``.

    No check needs a GPU, and images are also made where there is none.

    Raises:
        EnvironmentNotReady: it is not healthy, such as a module that cannot be imported.
    """
    with engine.speaking("reading the health check"):
        config = engine.api.inspect_image(image.id)["Config"]
    command = (config.get("Healthcheck") or {}).get("Test", ["CMD", "python3", HEALTH])[1:]
    lines: List[str] = []
    unaided = structs.replace(service, deploy=compose.Deploy())
    ending = run(engine, Container(unaided, image.id, command), lines.append, Stop(), f"checking {service.image}")
    if ending.code:
        raise EnvironmentNotReady(f"Image {service.image} is not healthy: {' '.join(lines[-3:])}")
    found: Dict[str, Any] = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return found


def packages(engine: Daemon, service: Service, image: Image) -> Dict[str, str]:
    """Python's version and every package in the image; asked once, then remembered by the image's id."""
    memory = cache_folder() / "images" / f"{image.id.split(':')[-1]}.json"
    if not memory.is_file():
        write_json(memory, health(engine, service, image))
    found = json.loads(memory.read_text(encoding="utf-8"))
    return {"platform": f"Linux {found['machine']}", "python": found["python"], **found["packages"]}


def keep_tag(engine: Daemon, name: str, digest: str) -> None:
    """Give a base that was fetched by its digest its tag again, under which it can be saved."""
    with engine.speaking(f"looking for {name}"):
        if digest and engine.image(name) is None and engine.image(f"{name}@{digest}"):
            engine.api.tag(f"{name}@{digest}", *name.rsplit(":", 1))


def save(engine: Daemon, names: Iterable[str], folder: Path, console: Console) -> List[Path]:
    """Write each image to ``folder/<name>.tar.gz``, for machines without a registry; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_save_one(engine, name, folder, console) for name in names]


def _save_one(engine: Daemon, name: str, folder: Path, console: Console) -> Path:
    image = engine.image(name)
    if image is None:
        raise BadInput(f"There is no image {name} to save: build it with `images`.")
    target = folder / f"{re.sub('[^A-Za-z0-9._-]+', '-', name)}.tar.gz"
    with replacing(target) as part, engine.speaking(f"saving image {name}"), console.bar(f"saving {name}") as bar:
        done = 0
        with gzip.open(part, "wb", compresslevel=1) as archive:
            for chunk in engine.api.get_image(name):
                archive.write(chunk)
                done += len(chunk)
                bar.update(min(done, image.size) >> 20, image.size >> 20, "MiB")
    return target


def load(engine: Daemon, source: Path, console: Console) -> List[str]:
    """Load an archive, or every archive in a folder; returns what the engine says was loaded."""
    files = sorted(source.glob("*.tar.gz")) if source.is_dir() else [source]
    if not files or not all(file.is_file() for file in files):
        raise BadInput(f"No archive of images is at {source}: name one, or a folder that `images --save` wrote.")
    said: List[str] = []
    for file in files:
        with engine.speaking(f"loading {file}"), open(file, "rb") as stream, console.status(f"loading {file.name}"):
            for event in engine.api.load_image(stream, quiet=True):
                said += [event["stream"].strip()] if "stream" in event else []
                if "error" in event or "errorDetail" in event:
                    raise BadInput(f"{file} is no archive of images: {event.get('error', event)}")
    return said


def registry_digest(engine: Daemon, name: str) -> str:
    """The digest (`sha256:…`) that the registry has for an image's tag now."""
    with engine.speaking(f"asking the registry for {name}"):
        try:
            return str(engine.api.inspect_distribution(name)["Descriptor"]["digest"])
        except docker.errors.NotFound:
            raise BadInput(f"The registry knows no image {name}.") from None
