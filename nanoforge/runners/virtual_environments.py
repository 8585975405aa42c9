"""The stage environments as virtual environments: one per lock file, made on first use, shared by all projects.

The embedded default. An environment's folder is named by the digest of what is in it, and holds the file ``ready``
from the moment it is whole; a half-made one is made anew.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional

from nanoforge.console import Console
from nanoforge.containers.compose import Environment
from nanoforge.errors import EnvironmentNotReady
from nanoforge.files.atomic import marked_once
from nanoforge.files.digests import sha256_file, sha256_text
from nanoforge.files.paths import cache_folder, cache_in_use, note_use, user_path
from nanoforge.runners import jetpack_python
from nanoforge.runners.host_environment import READY
from nanoforge.runners.installation import Installation

PYTHON36, JETPACK = "3.6", "jetpack"
PYTHON36_ADVICE = (
    "Install it with pyenv (`pyenv install 3.6.15`) or conda (`conda create -n py36 python=3.6`), or name it with"
    " runner.python36 in detector.toml or NANOFORGE_PYTHON36."
)


class Interpreter(NamedTuple):
    path: Path
    version: str


def ensure(environment: Environment, console: Console, python36: str = "") -> Path:
    """The Python of the environment, made first if need be.

    Raises:
        EnvironmentNotReady: no fitting interpreter, or the installation failed.
    """
    interpreter = find_interpreter(environment, python36)
    folder = _folder(environment, interpreter)
    name = f"environment {environment.name}"

    def make() -> str:
        words = f"making {name} (Python {interpreter.version}; once, about a minute at most)"
        with console.status(words):
            return _make(environment, interpreter, folder)

    with cache_in_use():
        marked_once(folder, READY, name, make, console.say)
    note_use(folder / READY)
    return folder / "bin" / "python"


def ensure_overlay(environment: str, lock: Path, python: Path, console: Console) -> Path:
    """A folder with the packages of ``lock``, to stand in PYTHONPATH beside ``environment``; used for tests."""
    folder = python.parent.parent.with_name(f"{python.parent.parent.name}-{lock.stem}-{sha256_file(lock)[:12]}")
    name = f"the test packages of environment {environment}"

    def make() -> str:
        with console.status(f"installing {name}"):
            installation = Installation(environment, folder)
            installation.install(python, lock, "--target", str(folder))
            installation.done()
        return ""

    with cache_in_use():
        marked_once(folder, READY, name, make, console.say)
    note_use(folder / READY)
    return folder


def describe(python: Path) -> Dict[str, str]:
    """What an artifact's record says of its environment: interpreter, platform and installed packages."""
    frozen = (python.parent.parent / READY).read_text(encoding="utf-8").splitlines()
    packages = dict(line.split("==") for line in frozen if line.count("==") == 1)
    return {"platform": f"{platform.system()} {platform.machine()}", **packages}


def is_ready(environment: Environment, python36: str = "") -> bool:
    """Whether the environment is there already."""
    return (_folder(environment, find_interpreter(environment, python36)) / READY).is_file()


def find_interpreter(environment: Environment, python36: str = "") -> Interpreter:
    """The Python from which the environment is made: 3.6 or JetPack's where it asks for that, else the host's own.

    Raises:
        EnvironmentNotReady: there is no Python 3.6, or none of JetPack.
    """
    if environment.python == JETPACK:
        return _jetpacks()
    if environment.python != PYTHON36:
        # The interpreter behind the host's virtual environment, so that a new host lock does not remake the others.
        return Interpreter(Path(getattr(sys, "_base_executable", sys.executable)), platform.python_version())
    stated = python36 or os.environ.get("NANOFORGE_PYTHON36", "")
    for candidate in [user_path(stated)] if stated else _python36_candidates():
        version = _version_of(candidate)
        if version and version.startswith(f"{PYTHON36}."):
            return Interpreter(candidate, version)
    where = f"{stated} is not a Python 3.6" if stated else "Python 3.6, which TensorFlow 1.12 needs, was not found"
    raise EnvironmentNotReady(f"{where}. {PYTHON36_ADVICE}")


def _jetpacks() -> Interpreter:
    path = jetpack_python.stated()
    version = _version_of(path)
    if not version:
        raise EnvironmentNotReady(f"{path} is no Python that works: JETSON_PYTHON names that of JetPack.")
    return Interpreter(path, version)


def _python36_candidates() -> Iterator[Path]:
    on_path = shutil.which("python3.6")
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.path.expanduser(os.environ.get("PYENV_ROOT", "~/.pyenv")))
    yield from sorted(pyenv.glob("versions/3.6*/bin/python"), reverse=True)
    for conda in ("~/miniconda3", "~/anaconda3", "~/miniforge3", "~/mambaforge", "/opt/conda"):
        yield from sorted(Path(os.path.expanduser(conda)).glob("envs/*/bin/python3.6"))


def _version_of(python: Path) -> Optional[str]:
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", "import platform, ssl, venv; print(platform.python_version())"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _folder(environment: Environment, interpreter: Interpreter) -> Path:
    locks = [sha256_file(lock) for lock in environment.locks]
    board = [jetpack_python.release()] if environment.python == JETPACK else []
    parts = [interpreter.version, str(interpreter.path), platform.machine(), *board, *locks]
    return cache_folder() / "environments" / f"{environment.name}-{sha256_text(' '.join(parts))[:16]}"


def _make(environment: Environment, interpreter: Interpreter, folder: Path) -> str:
    """Make it; returns what is in it, which :func:`describe` reads."""
    if environment.python == JETPACK:
        return _make_of_jetpack(environment, interpreter, folder)
    installation = Installation(environment.name, folder)
    python = installation.venv(interpreter.path)
    for lock in environment.locks:
        installation.install(python, lock)
    return _contents(installation, interpreter, python)


def _make_of_jetpack(environment: Environment, interpreter: Interpreter, folder: Path) -> str:
    """The system's packages, and those that are locked only where the system has not got pycuda itself."""
    jetpack_python.check(interpreter.path)
    installation = Installation(environment.name, folder, jetpack_python.installing())
    python = installation.venv(interpreter.path, jetpack_python.SEES_THE_SYSTEMS_PACKAGES)
    if not jetpack_python.has_pycuda(python):
        for lock in environment.locks:
            installation.install(python, lock)
    return _contents(installation, interpreter, python)


def _contents(installation: Installation, interpreter: Interpreter, python: Path) -> str:
    packages = installation.packages(python)
    installation.done()
    return f"python=={interpreter.version}\n{packages}"
