"""`doctor`: is this machine ready? Every finding comes with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
from typing import Callable, NamedTuple, Tuple

import psutil
from invoke.exceptions import Exit

from nanoforge import environments
from nanoforge.commands import print_json
from nanoforge.errors import EnvironmentNotReady
from nanoforge.folders import cache_folder

OK, WARNING, ERROR = "ok", "warning", "error"
DISK_NEEDED_GB = 4
MEMORY_NEEDED_GB = 3


class Finding(NamedTuple):
    """One thing that was checked; ``remedy`` is empty where nothing is to do."""

    name: str
    severity: str
    message: str
    remedy: str


def run(as_json: bool) -> None:
    """Print all findings; the exit code is 3 where one of them stops a stage."""
    findings = [check() for check in CHECKS]
    if as_json:
        print_json({"findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            print(f"{finding.severity:8} {finding.name:12} {finding.message}{remedy}")
    if any(finding.severity == ERROR for finding in findings):
        raise Exit(code=EnvironmentNotReady.exit_code)


def _python36() -> Finding:
    try:
        found = environments.find_interpreter("train")
    except EnvironmentNotReady as error:
        return Finding("python3.6", ERROR, "not found", str(error))
    return Finding("python3.6", OK, f"{found.version} at {found.path}", "")


def _machine() -> Finding:
    machine = platform.machine()
    if platform.system() == "Linux" and machine == "x86_64":
        return Finding("machine", OK, f"Linux {machine}", "")
    remedy = "train, evaluate, export, audit and convert on a Linux x86_64 machine; TensorFlow 1.12 exists for no other"
    return Finding("machine", ERROR, f"{platform.system()} {machine}", remedy)


def _compiler() -> Finding:
    if shutil.which("gcc") or shutil.which("cc"):
        return Finding("compiler", OK, "found", "")
    ready = _ready("train")
    remedy = "" if ready else "apt install gcc libc6-dev (pycocotools is compiled once, for the train environment)"
    return Finding("compiler", OK if ready else ERROR, "no C compiler", remedy)


def _disk() -> Finding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    enough = free >= DISK_NEEDED_GB
    remedy = "" if enough else f"free {DISK_NEEDED_GB} GiB, or set NANOFORGE_CACHE to a folder on another disk"
    return Finding("disk", OK if enough else WARNING, f"{free:.1f} GiB free at {folder}", remedy)


def _memory() -> Finding:
    total = psutil.virtual_memory().total / 2**30
    enough = total >= MEMORY_NEEDED_GB
    return Finding(
        "memory", OK if enough else WARNING, f"{total:.1f} GiB", "" if enough else "lower train.batch_size to 4"
    )


def _processors() -> Finding:
    return Finding("processors", OK, str(len(os.sched_getaffinity(0))), "")


def _environment(name: str) -> Callable[[], Finding]:
    def check() -> Finding:
        message = "ready" if _ready(name) else "not made yet; the first stage that needs it makes it"
        return Finding(f"env {name}", OK, message, "")

    return check


def _ready(name: str) -> bool:
    try:
        return environments.is_ready(name)
    except EnvironmentNotReady:
        return False


CHECKS: Tuple[Callable[[], Finding], ...] = (
    _machine,
    _python36,
    _compiler,
    _processors,
    _memory,
    _disk,
    _environment("data"),
    _environment("train"),
)
