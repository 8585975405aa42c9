"""Images of the environments on one daemon: built where they are missing or older than what they are made from."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import IO, Any, Dict, Iterable, List, NamedTuple, Optional

from msgspec import structs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nanoforge import __version__
from nanoforge.console import Bar, Console
from nanoforge.containers import compose
from nanoforge.containers.compose import Service
from nanoforge.containers.container import run_to_end
from nanoforge.containers.daemon import (
    Container,
    Daemon,
    DaemonLine,
    DaemonRefused,
    Image,
    ImageBuild,
    on_host,
    speaking,
)
from nanoforge.containers.error_messages import meaning_of
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.atomic import held, lock_of, made_once, replacing, write_json
from nanoforge.files.digests import sha256_file
from nanoforge.files.paths import HOME, cache_folder
from nanoforge.stop import Stop

RECIPE = "nanoforge.recipe"
PACKAGES = "nanoforge.packages"
HEALTH = "/opt/nanoforge/health.py"


class ImageState(NamedTuple):
    """An image and whether it was made from what is in the repository now; ``why`` is empty where it was."""

    service: Service
    image: Optional[Image]
    why: str


def state(daemon: Daemon, service: Service) -> ImageState:
    """What is known of the image of a service."""
    with speaking(daemon, f"looking for the image {service.image}"):
        image = daemon.image(service.image)
    if image is None:
        return ImageState(service, None, f"there is no image {service.image}")
    if image.labels.get(RECIPE) != compose.image_recipe(service):
        return ImageState(service, image, f"image {service.image} was made from {_differences(service, image)}")
    return ImageState(service, image, "")


def _differences(service: Service, image: Image) -> str:
    made_from: Dict[str, str] = json.loads(image.labels.get("nanoforge.files", "{}"))
    now = _files(service)
    changed = sorted(name for name in {*made_from, *now} if made_from.get(name) != now.get(name))
    return f"another {', '.join(changed)}" if changed else "another base or target"


def _files(service: Service) -> Dict[str, str]:
    return {str(path.relative_to(HOME)): sha256_file(path) for path in compose.image_files(service.build)}


def ensure(daemon: Daemon, service: Service, console: Console) -> Image:
    """The image of a service, built if it is missing or old.

    Raises:
        EnvironmentNotReady: it cannot be built.
    """
    found = state(daemon, service)
    if found.image and not found.why:
        return found.image
    with held(lock_of(cache_folder() / "images" / service.image), f"build image {service.image}", console.say):
        found = state(daemon, service)
        if found.image and not found.why:
            return found.image
        console.say(f"building image {service.image} ({found.why})")
        return build(daemon, service, console)


def build(daemon: Daemon, service: Service, console: Console) -> Image:
    """Build the image; layers that are there already are used.

    Raises:
        BadInput: it has no base.
        EnvironmentNotReady: it cannot be built.
    """
    empty = [key for key, value in service.build.args.items() if key.endswith("_IMAGE") and not value]
    if empty:
        raise BadInput(f"Image {service.image} has no base: give {', '.join(empty)} in compose.yml a value in .env.")
    log = cache_folder() / "images" / f"{service.image}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with speaking(daemon, f"building image {service.image}"), open(log, "w", encoding="utf-8") as stream:
        with console.bar(f"image {service.image}") as bar:
            for line in daemon.build(_build_of(service)):
                _note(line, stream, bar)
                if line.failed:
                    stream.flush()
                    raise EnvironmentNotReady(_build_error(daemon, service, line.text, log))
        image = daemon.image(service.image)
    assert image is not None
    return image


def _build_of(service: Service) -> ImageBuild:
    build = service.build
    context = HOME / build.context
    return ImageBuild(
        service.image, context, build.dockerfile, build.target, service.platform, build.args, _labels(service)
    )


def _note(line: DaemonLine, log: IO[str], bar: Bar) -> None:
    log.write(line.text if line.text.endswith("\n") else line.text + "\n")
    step = re.match(r"Step (\d+)/(\d+) : (.*)", line.text)
    if step:
        words = step.group(3)
        bar.update(int(step.group(1)), int(step.group(2)), words if len(words) < 60 else words[:57] + "...")


def _build_error(daemon: Daemon, service: Service, error: str, log: Path) -> str:
    text = " ".join(error.split())
    # Where a command in the Dockerfile failed, the daemon knows its exit code, and the log the reason.
    said = (text, log.read_text(encoding="utf-8", errors="replace")[-20000:])
    meaning = next(filter(None, (meaning_of(words, on_host(daemon)) for words in said)), "")
    reason = f"{meaning}. (The daemon said: {text})" if meaning else text
    return f"Image {service.image} could not be built: {reason} Log: {log}"


def _labels(service: Service) -> Dict[str, str]:
    lock_files = compose.lock_files(service.build)
    locked = {package: version for lock in lock_files for package, version in pins(lock, service.facts.python).items()}
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
        done = subprocess.run(git, capture_output=True, encoding="utf-8", errors="replace", check=True)
        return done.stdout.strip()
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


def health(daemon: Daemon, service: Service, image: Image) -> Dict[str, Any]:
    """What the image's own health check says of it: ``python``, ``machine``, ``modules``, ``packages``.

    No check needs a GPU, and images are also made where there is none.

    Raises:
        EnvironmentNotReady: it is not healthy, such as a module that cannot be imported.
    """
    command = image.health_command or ("python3", HEALTH)
    lines: List[str] = []
    unaided = structs.replace(service, deploy=compose.Deploy())
    ending = run_to_end(
        daemon, Container(unaided, image.id, command), lines.append, Stop(), f"checking {service.image}"
    )
    if ending.code:
        raise EnvironmentNotReady(f"Image {service.image} is not healthy: {' '.join(lines[-3:])}")
    found: Dict[str, Any] = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return found


def packages(daemon: Daemon, service: Service, image: Image) -> Dict[str, str]:
    """Python's version and every package in the image; asked once, then remembered by the image's id."""
    memory = cache_folder() / "images" / f"{image.id.split(':')[-1]}.json"
    made_once(
        memory,
        f"the list of packages of {service.image}",
        lambda aside: write_json(aside, health(daemon, service, image)),
    )
    found = json.loads(memory.read_text(encoding="utf-8"))
    return {"platform": f"Linux {found['machine']}", "python": found["python"], **found["packages"]}


def keep_tag(daemon: Daemon, name: str, digest: str) -> None:
    """Give a base that was fetched by its digest its tag again, under which it can be saved."""
    with speaking(daemon, f"looking for {name}"):
        if digest and daemon.image(name) is None and daemon.image(f"{name}@{digest}"):
            daemon.tag_image(f"{name}@{digest}", name)


def save(daemon: Daemon, names: Iterable[str], folder: Path, console: Console) -> List[Path]:
    """Write each image to ``folder/<name>.tar.gz``, for machines without a registry; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_save_one(daemon, name, folder, console) for name in names]


def _save_one(daemon: Daemon, name: str, folder: Path, console: Console) -> Path:
    with speaking(daemon, f"looking for the image {name}"):
        image = daemon.image(name)
    if image is None:
        raise BadInput(f"There is no image {name} to save: build it with `./run images{on_host(daemon)}`.")
    target = folder / f"{re.sub('[^A-Za-z0-9._-]+', '-', name)}.tar.gz"
    with replacing(target) as part, speaking(daemon, f"saving image {name}"), console.bar(f"saving {name}") as bar:
        done = 0
        with gzip.open(part, "wb", compresslevel=1) as archive:
            for chunk in daemon.save_image(name):
                archive.write(chunk)
                done += len(chunk)
                bar.update(min(done, image.size) >> 20, image.size >> 20, "MiB")
    return target


def load(daemon: Daemon, source: Path, console: Console) -> List[str]:
    """Load an archive, or every archive in a folder; returns what the daemon says that it loaded."""
    files = sorted(source.glob("*.tar.gz")) if source.is_dir() else [source]
    if not files or not all(file.is_file() for file in files):
        raise BadInput(f"No archive of images is at {source}: name one, or a folder that `images --save` wrote.")
    return [line for file in files for line in _load_one(daemon, file, console)]


def _load_one(daemon: Daemon, file: Path, console: Console) -> List[str]:
    said: List[str] = []
    with speaking(daemon, f"loading {file}"), open(file, "rb") as stream, console.status(f"loading {file.name}"):
        for line in daemon.load_images(stream):
            if line.failed and meaning_of(line.text, ""):
                raise DaemonRefused(line.text)
            if line.failed:
                raise BadInput(f"{file} is not an archive of images: {line.text.strip()}")
            said += [line.text.strip()] if line.text.strip() else []
    return said


def registry_digest(daemon: Daemon, name: str) -> str:
    """The digest (`sha256:…`) that the registry has for an image's tag now."""
    with speaking(daemon, f"asking the registry for {name}"):
        digest = daemon.registry_digest(name)
    if digest is None:
        raise BadInput(f"The registry knows no image {name}.")
    return digest
