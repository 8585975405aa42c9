"""`images`: build, save, load, check and pin the environments' images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from nanoforge.config.reader import load as load_config
from nanoforge.config.schema import Config
from nanoforge.console import Console, print_json
from nanoforge.containers import compose, images
from nanoforge.containers.compose import Service
from nanoforge.containers.daemon import Daemon, on_host
from nanoforge.containers.jetpack import base_variables
from nanoforge.errors import BadInput, NanoforgeError, StageFailed
from nanoforge.files.atomic import write_text
from nanoforge.files.paths import HOME, user_path
from nanoforge.pipeline.project import find_config
from nanoforge.runners.placement import DOCKER, Placement, PlacementOverride


class ImageSet:
    """The images of some environments on one daemon; the usual ones where ``names`` is empty."""

    def __init__(self, names: Sequence[str], host: str, config: str) -> None:
        self.console = Console()
        loaded = _config(host, config)
        self._placement = Placement(loaded, self.console, PlacementOverride())
        if host and host not in loaded.hosts:
            raise BadInput(f"--host {host}: detector.toml has no [hosts.{host}].")
        self._l4t = loaded.hosts[host].l4t if host else ""
        for name in names:
            compose.facts(name)
        self.daemon: Daemon = self._placement.daemon(host or DOCKER)
        self.names = list(names or compose.usual_environments())

    def service(self, name: str) -> Service:
        return compose.service(name, base_variables(name, self._l4t))


def _config(host: str, config: str) -> Config:
    return load_config(find_config(config)) if host or config else Config()


def build(chosen: ImageSet) -> None:
    """Build what is missing or old."""
    for name in chosen.names:
        service = chosen.service(name)
        image = images.ensure(chosen.daemon, service, chosen.console)
        found = images.packages(chosen.daemon, service, image)
        chosen.console.good(
            f"{service.image}: {image.id.split(':')[-1][:12]}, {image.architecture}, {image.size >> 20} MiB,"
            f" Python {found['python']}"
        )


def save(chosen: ImageSet, folder: str, bases: bool) -> None:
    """Write the images, and on demand the bases they are built on, as archives into a folder."""
    services = [chosen.service(name) for name in chosen.names]
    for service in services:
        why = images.state(chosen.daemon, service).why
        if why:
            raise BadInput(f"Nothing was saved: {why}. Build it first with `./run images{on_host(chosen.daemon)}`.")
    found = {base for service in services for base in _bases(service)} if bases else set()
    for base, digest in found:
        images.keep_tag(chosen.daemon, base, digest)
    wanted = [*(service.image for service in services), *sorted({base for base, _ in found})]
    for file in images.save(chosen.daemon, wanted, user_path(folder), chosen.console):
        chosen.console.good(f"{file}: {file.stat().st_size >> 20} MiB")


def _bases(service: Service) -> List[Tuple[str, str]]:
    """The bases of an image, each with the digest that it must have or an empty one."""
    arguments = service.build.args
    names = [key[: -len("_IMAGE")] for key in arguments if key.endswith("_IMAGE")]
    return [(arguments[f"{name}_IMAGE"], arguments.get(f"{name}_DIGEST", "")) for name in names]


def load(chosen: ImageSet, source: str) -> None:
    """Load archives that `save` wrote."""
    for line in images.load(chosen.daemon, user_path(source), chosen.console):
        chosen.console.say(line)


class Disagreement(NamedTuple):
    """Something that does not agree, and what helps."""

    environment: str
    problem: str
    remedy: str


def check(chosen: ImageSet, as_json: bool) -> None:
    """Say where lock files, Dockerfiles and images do not agree.

    Raises:
        StageFailed: somewhere they do not.
    """
    found = [problem for name in chosen.names for problem in _disagreements(chosen, name)]
    if as_json:
        print_json({"environments": chosen.names, "disagreements": [problem._asdict() for problem in found]})
    for problem in () if as_json else found:
        print(f"{problem.environment:10} {problem.problem} -> {problem.remedy}")
    if found:
        raise StageFailed(f"{len(found)} disagreements between lock files, Dockerfiles and images.")
    chosen.console.good(f"Lock files, Dockerfiles and images agree: {', '.join(chosen.names)}.")


def _disagreements(chosen: ImageSet, name: str) -> Iterator[Disagreement]:
    service = chosen.service(name)
    dockerfile = HOME / service.build.context / service.build.dockerfile
    copied = dockerfile.read_text(encoding="utf-8")
    locks = compose.lock_files(service.build)
    for lock in locks:
        if f"{lock.parent.name}/{lock.name}" not in copied:
            where = dockerfile.relative_to(HOME)
            yield Disagreement(name, f"{where} does not install {lock.name}", "COPY and install it there")
    for lock in locks:
        yield from _lock_disagreements(name, lock, service.facts.python)
    state = images.state(chosen.daemon, service)
    if state.why or state.image is None:
        yield Disagreement(name, state.why, f"./run images --environments {name}{on_host(chosen.daemon)}")
        return
    anew = f"docker rmi {service.image} there, then ./run images --environments {name}{on_host(chosen.daemon)}"
    try:
        packages = images.packages(chosen.daemon, service, state.image)
    except NanoforgeError as error:
        yield Disagreement(name, str(error), anew)
        return
    yield from _package_disagreements(name, service, packages, anew)


def _lock_disagreements(name: str, lock: Path, python: str) -> Iterator[Disagreement]:
    """Every requirement of an .in file must stand in its lock, at the version that it asks for."""
    locked = images.pins(lock, python)
    for package, version in images.pins(lock.with_suffix(".in"), python).items():
        if package not in locked:
            yield Disagreement(name, f"{lock.name} lacks {package}", "lock again: docs/development.md")
        elif version and locked[package] != version:
            yield Disagreement(
                name, f"{lock.name} has {package} {locked[package]}, not {version}", "lock again: docs/development.md"
            )


def _package_disagreements(
    name: str, service: Service, packages: Dict[str, str], remedy: str
) -> Iterator[Disagreement]:
    locked: Dict[str, str] = {}
    for lock in compose.lock_files(service.build):
        locked.update(images.pins(lock, packages["python"]))
    for package, version in sorted(locked.items()):
        inside = packages.get(package, "none")
        if inside != version and not (inside == "none" and package in service.facts.taken_out):
            yield Disagreement(name, f"the image has {package} {inside}, its lock says {version}", remedy)


def pin(chosen: ImageSet) -> None:
    """Write the digests that the registry has for the bases' tags into .env."""
    path = HOME / compose.VARIABLES_FILE
    text = path.read_text(encoding="utf-8")
    known = compose.file_variables()
    for name in re.findall(r"^(\w+_BASE)=", text, flags=re.MULTILINE):
        if known[name]:
            digest = images.registry_digest(chosen.daemon, known[name])
            text = re.sub(rf"^{name}_DIGEST=.*$", f"{name}_DIGEST={digest}", text, flags=re.MULTILINE)
            chosen.console.say(f"{known[name]}: {digest}")
    write_text(path, text)
