"""compose.yml: the environments, declared once. The runner honours what stands there, or says what it cannot.

The schema below is what the runner can honour; any other key of a service is an error that names it. An environment is
a service with a `build`; what Compose has no key for stands under its `x-nanoforge`.
"""

from __future__ import annotations

import io
import os
import string
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple, Type, TypeVar

import msgspec
import yaml
from dotenv import dotenv_values
from msgspec import Meta, Struct
from typing_extensions import Annotated

from nanoforge.errors import BadInput
from nanoforge.files.digests import sha256_file, sha256_text
from nanoforge.files.paths import HOME

FILE = "compose.yml"
VARIABLES_FILE = ".env"
# The user that every Dockerfile makes; where volumes stand in for folders, they are this user's.
IMAGE_USER = {"NANOFORGE_UID": "1000", "NANOFORGE_GID": "1000"}
# Whom a container runs as where root is the caller: an id that nobody has, no user of a machine and no range of
# containers' ids, since whoever had it could reach into the stage while it runs.
ROOTS_STAND_IN = {"NANOFORGE_UID": "2000001000", "NANOFORGE_GID": "2000001000"}
# The top-level key that names lock files which only one target of their Dockerfile installs.
TARGET_LOCKS = "x-target-locks"
# No stage is root.
User = Annotated[str, Meta(pattern=r"^[1-9][0-9]*:[0-9]+$")]
Seconds = Annotated[str, Meta(pattern=r"^[0-9]+s$")]
Memory = Annotated[str, Meta(pattern=r"^[0-9]+[kmg]$")]
Declared = TypeVar("Declared")


class Build(Struct, frozen=True, forbid_unknown_fields=True):
    """How an image is built: ``context`` relative to compose.yml, ``dockerfile`` relative to the context."""

    context: str
    dockerfile: str
    target: str = ""
    args: Dict[str, str] = {}


class Device(Struct, frozen=True, forbid_unknown_fields=True):
    """A request for ``count`` devices of a driver, such as nvidia's GPUs."""

    driver: str
    capabilities: List[str]
    count: int = 1


class Reservations(Struct, frozen=True, forbid_unknown_fields=True):
    devices: List[Device] = []


class Resources(Struct, frozen=True, forbid_unknown_fields=True):
    reservations: Reservations = Reservations()


class Deploy(Struct, frozen=True, forbid_unknown_fields=True):
    resources: Resources = Resources()


class EnvironmentFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """What Compose has no key for.

    Attributes:
        python: version of the image's Python; it decides which lines of the lock files apply there.
        local_python: version of the Python that makes the same environment without a container: `any`, the first two
            numbers, or `jetpack` for that of a Jetson, whose packages are seen; empty where more than Python packages
            is needed, so that it is an image only.
        local_target: whose lock files it has then, where that is not always the target that is built.
        usual: whether it is meant where nobody names an environment.
        gpu: the environment that takes its place on a GPU.
        device_base: whether its base is the one of the Jetson that it runs on.
        taken_out: locked packages that its Dockerfile removes again.
    """

    python: str = ""
    local_python: str = ""
    local_target: str = ""
    usual: bool = False
    gpu: str = ""
    device_base: bool = False
    taken_out: List[str] = []


class Service(Struct, frozen=True, forbid_unknown_fields=True):
    """One environment: its image, and how its containers are confined; keys as the Compose specification has them."""

    image: str
    facts: EnvironmentFacts = msgspec.field(name="x-nanoforge", default=EnvironmentFacts())
    build: Build = Build(context="", dockerfile="")
    command: List[str] = []
    environment: Dict[str, str] = {}
    user: User = "1000:1000"
    working_dir: str = ""
    init: bool = False
    read_only: bool = False
    network_mode: str = "bridge"
    cap_drop: List[str] = []
    security_opt: List[str] = []
    tmpfs: List[str] = []
    pids_limit: int = 0
    mem_limit: Memory = "0k"
    stop_grace_period: Seconds = "10s"
    volumes: List[str] = []
    ports: List[str] = []
    runtime: str = ""
    platform: str = ""
    deploy: Deploy = Deploy()
    profiles: List[str] = []

    @property
    def memory(self) -> int:
        """The memory limit in bytes; 0: none."""
        return int(self.mem_limit[:-1]) << {"k": 10, "m": 20, "g": 30}[self.mem_limit[-1]]

    @property
    def grace(self) -> int:
        """Seconds that a container may take to end."""
        return int(self.stop_grace_period[:-1])

    @property
    def devices(self) -> List[Device]:
        return self.deploy.resources.reservations.devices


def variables(more: Mapping[str, str] = {}) -> Dict[str, str]:
    """What compose.yml's ``${NAME}`` stand for: .env, then the shell, then the caller's ids, then ``more``."""
    defaults = file_variables()
    return {**defaults, **{name: os.environ[name] for name in defaults if name in os.environ}, **_caller(), **more}


def file_variables() -> Dict[str, str]:
    """The variables of .env as they stand there; none where there is no such file."""
    try:
        return dict(_parsed_variables((HOME / VARIABLES_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=4)
def _parsed_variables(text: str) -> Mapping[str, str]:
    """Every service of every stage asks."""
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items()}


def _caller() -> Dict[str, str]:
    """The caller's ids, so that files are theirs; for root, which no stage is, those of nobody: files change hands."""
    if os.getuid() == 0:
        return {name: os.environ.get(name, value) for name, value in ROOTS_STAND_IN.items()}
    return {"NANOFORGE_UID": str(os.getuid()), "NANOFORGE_GID": str(os.getgid())}


def service(name: str, more: Mapping[str, str] = {}) -> Service:
    """The service ``name`` with its variables filled in.

    Raises:
        BadInput: compose.yml cannot be read, or says something that the runner cannot honour.
    """
    services = _services()
    if name not in services:
        raise BadInput(f"{FILE} declares no service {name}; services are {', '.join(sorted(services))}.")
    return _converted(name, services[name], Service, more)


def build_of(environment: str) -> Build:
    """How the image of an environment is built, with its variables filled in.

    Raises:
        BadInput: there is no such environment, or compose.yml cannot be read.
    """
    facts(environment)
    return _converted(environment, _services()[environment]["build"], Build)


def names() -> List[str]:
    """The names of all services."""
    return list(_services())


class Environment(NamedTuple):
    """What a virtual environment is made from: a Python (as `EnvironmentFacts.local_python`) and lock files."""

    name: str
    python: str
    locks: Tuple[Path, ...]


def environments() -> Dict[str, EnvironmentFacts]:
    """The environments by their names, in the order of the file."""
    built = {name: declared for name, declared in _services().items() if "build" in declared}
    return {
        name: _converted(name, declared.get("x-nanoforge", {}), EnvironmentFacts) for name, declared in built.items()
    }


def facts(environment: str) -> EnvironmentFacts:
    """What is declared of an environment.

    Raises:
        BadInput: there is none of that name.
    """
    known = environments()
    if environment not in known:
        raise BadInput(f"Unknown environment {environment}; environments are {', '.join(known)}.")
    return known[environment]


def usual_environments() -> List[str]:
    """The environments that are meant where nobody names one."""
    return [name for name, found in environments().items() if found.usual]


def local_environment(name: str) -> Environment:
    """The environment as a virtual one.

    Raises:
        BadInput: it is an image only.
    """
    found = facts(name)
    if not found.local_python:
        raise BadInput(f"{name} is an image only: use --runner docker, where a Docker daemon answers.")
    build = build_of(name)
    build = msgspec.structs.replace(build, target=found.local_target or build.target)
    return Environment(name, found.local_python, tuple(lock_files(build)))


def _converted(name: str, declared: Any, kind: Type[Declared], more: Mapping[str, str] = {}) -> Declared:
    """A service or a part of it, with its variables filled in."""
    filled = _filled(declared, variables(more), name)
    try:
        return msgspec.convert(filled, kind)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"{FILE}: service {name}: {str(error).replace('`', '')}; the runner cannot honour that, so take it out."
        ) from None


def _services() -> Dict[str, Any]:
    services = _document().get("services")
    if not isinstance(services, dict):
        raise BadInput(f"{HOME / FILE} has no services.")
    return services


def _document() -> Dict[str, Any]:
    path = HOME / FILE
    try:
        document = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"There is no {path}: it declares the environments; restore it from the repository.") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    return document if isinstance(document, dict) else {}


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    """Parsing takes longer than all else here, and every stage asks."""
    return yaml.safe_load(text)


def _filled(value: Any, known: Mapping[str, str], where: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(entry, known, f"{where}.{name}") for name, entry in value.items()}
    if isinstance(value, list):
        return [_filled(entry, known, where) for entry in value]
    if not isinstance(value, str):
        return value
    try:
        return string.Template(value).substitute(known)
    except KeyError as error:
        raise BadInput(
            f"{FILE}: {where}: the variable {error.args[0]} is not set; give it a value in {VARIABLES_FILE}."
        ) from None
    except ValueError:
        raise BadInput(
            f"{FILE}: {where}: {value!r}: only ${{NAME}} is understood, with defaults in {VARIABLES_FILE}."
        ) from None


def lock_files(build: Build) -> List[Path]:
    """The lock files that go into an environment, in the order of installation."""
    context = HOME / build.context
    found = sorted((context / build.dockerfile).parent.glob("*.lock"))
    targets = _document().get(TARGET_LOCKS) or {}
    return [lock for lock in found if targets.get(str(lock.relative_to(context)), build.target) == build.target]


def image_files(build: Build) -> List[Path]:
    """The files that go into an image: its Dockerfile, its lock files, and the scripts that all images have."""
    context = HOME / build.context
    return [context / build.dockerfile, *lock_files(build), *sorted(context.glob("*.py"))]


def image_recipe(of: Service) -> str:
    """The digest of all that an image is made from, as 64 hex digits; an image bears it as a label."""
    files = "".join(f"{sha256_file(path)} {path.relative_to(HOME)}\n" for path in image_files(of.build))
    arguments = "".join(f"{name}={value}\n" for name, value in sorted(of.build.args.items()))
    return sha256_text(f"{files}{arguments}target={of.build.target}\n")
