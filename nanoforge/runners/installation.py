"""Packages from lock files, by venv and pip, and what their failures mean.

Standard library only: the host environment is made by this too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Mapping, Sequence

from nanoforge.errors import EnvironmentNotReady
from nanoforge.runners.isolated import isolated

_DEBIAN = "(on Debian and Ubuntu: `apt install {}`)"
# What the log holds -> what it means. A full disk is looked for first, and no network last: pip tells of it each time.
_MEANINGS = (
    (r"DO NOT MATCH THE HASHES", "the package index has another file than the one that was locked; use another index"),
    (
        r"nvcc not in path|cuda\.h: No such|cannot find -lcuda",
        "pycuda is compiled with CUDA's toolkit, which is not in /usr/local/cuda: install that of your JetPack",
    ),
    (r"Python\.h: No such file", f"Python's headers are missing {_DEBIAN.format('python3-dev')}"),
    (
        r"gcc.*(No such file|not found)|unable to execute",
        f"one of its packages needs a compiler {_DEBIAN.format('gcc g++ libc6-dev')}",
    ),
    (
        r"No module named '?(venv|ensurepip)|ensurepip is not available",
        f"Python's venv module is missing {_DEBIAN.format('python3-venv')}",
    ),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError", "the certificate of the Python package index is not trusted here"),
    (
        r"name resolution|Name or service not known|NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError"
        r"|Connection (refused|reset|aborted)|Network is unreachable|RemoteDisconnected",
        "the Python package index cannot be reached; connect to a network once",
    ),
    (r"from versions: none", "the Python package index cannot be reached, or has nothing of a package that is locked"),
    (r"No matching distribution", "the Python package index does not have a version that is locked"),
)
# Packages without a wheel are built with the locked build tools, not with ones that pip would fetch unchecked. As
# variables, since the pip 9 of a Jetson does not know these two as options.
_AS_VARIABLES = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_WARN_SCRIPT_LOCATION": "0"}
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded")
_FULL_MB = 1


class Installation:
    """One environment as it is made; what venv and pip say is kept in its log where they fail.

    Args:
        name: of the environment, for the user.
        folder: where its packages go.
        variables: more of them for what builds packages.
    """

    def __init__(self, name: str, folder: Path, variables: Mapping[str, str] = {}) -> None:
        self._name = name
        self._variables = {**os.environ, **_AS_VARIABLES, **variables}
        self._folder = folder
        self._log = folder.with_name(f"{folder.name}.log")
        self._log.unlink(missing_ok=True)

    def venv(self, base: Path, *options: str) -> Path:
        """Make a virtual environment of the Python ``base``; returns the Python of that.

        Raises:
            EnvironmentNotReady: that Python cannot make one, or the disk is full.
        """
        self._run(isolated(base, "venv", *options, str(self._folder)))
        return self._folder / "bin" / "python"

    def install(self, python: Path, lock: Path, *options: str) -> None:
        """Install what is locked, every file by its hash, with the pip of ``python``.

        Raises:
            EnvironmentNotReady: something cannot be downloaded, built or written.
        """
        exact = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
        self._run(isolated(python, "pip", "install", *exact, *options, "-r", str(lock)))

    def packages(self, python: Path) -> str:
        """What is installed, as ``name==version`` lines."""
        return self._run(isolated(python, "pip", "freeze", "--disable-pip-version-check"))

    def done(self) -> None:
        """There is nothing in the log that anyone would look for."""
        self._log.unlink(missing_ok=True)

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode == 0:
            return done.stdout
        why = reason(done.stdout, self._folder)
        try:
            with open(self._log, "a", encoding="utf-8") as log:
                log.write(done.stdout)
            where = f"the whole log is {self._log}"
        except OSError as error:
            where = f"and its log could not be written: {error.strerror}"
        raise EnvironmentNotReady(f"Environment {self._name} could not be made{why}; {where}.")


def reason(said: str, folder: Path) -> str:
    """What ``said`` by venv or pip means, as the end of a sentence; their last line where that is not known."""
    if _NO_ROOM.search(said) or _free_mb(folder) < _FULL_MB:
        places = (folder.parent, Path(tempfile.gettempdir()))
        free = ", ".join(f"{_free_mb(place)} MB are free in {place}" for place in places)
        return f": the disk is full ({free}); free some space, or set NANOFORGE_CACHE to a folder on another disk"
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, said):
            return f": {meaning}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""


def _free_mb(place: Path) -> int:
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free >> 20
