"""`doctor`: is this machine ready, and the machines that stages are to run on? Every finding comes with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
from typing import Iterator, List, Optional, Tuple

import psutil
from invoke.exceptions import Exit

from nanoforge.config.reader import load
from nanoforge.console import print_json
from nanoforge.containers import compose
from nanoforge.containers.compose import Environment
from nanoforge.containers.connection import connect
from nanoforge.containers.daemon import Daemon
from nanoforge.containers.jetpack import is_jetson
from nanoforge.doctor import docker, gpu
from nanoforge.doctor.finding import ERROR, EXIT_CODES, NOTE, OK, WARNING, MachineFinding
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.paths import cache_folder
from nanoforge.pipeline.project import find_config
from nanoforge.runners import virtual_environments

DISK_NEEDED_GB = 4
MEMORY_NEEDED_GB = 3


def run(as_json: bool, host: str, config: str) -> None:
    """Print all findings; the exit code is that of the worst: 0 ready, 1 a warning, 3 a stage could not run."""
    findings = list(_on_host(host, config) if host else _here())
    if as_json:
        print_json({"findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            print(f"{finding.severity:8} {finding.name:12} {finding.message}{remedy}")
    code = max(EXIT_CODES[finding.severity] for finding in findings)
    if code:
        raise Exit(code=code)


def _here() -> Iterator[MachineFinding]:
    daemon, silence = _daemon()
    in_containers = daemon is not None
    yield from (_machine(in_containers), _python36(in_containers), _compiler(in_containers))
    yield from (_processors(), _memory(), _disk())
    yield from map(_environment, _local_environments())
    if daemon is None:
        yield silence
        yield from gpu.findings(None)
    else:
        yield from docker.findings(daemon, compose.usual_environments())
        yield from gpu.findings(docker.facts_of(daemon))
    yield docker.emulation()
    if is_jetson(containers=False):
        yield _of_the_board("")


def _of_the_board(where: str) -> MachineFinding:
    """What no look from outside tells: whether TensorRT, its plugins and CUDA do there what a detector needs."""
    words = "whether TensorRT and CUDA do what a detector needs is known when it was tried"
    remedy = f"./run build-engine --selftest{where}: engines in FP32 and FP16, held against the reference and measured"
    return MachineFinding("board", NOTE, words, f"{remedy}, a list to send back; ten minutes")


def _daemon() -> Tuple[Optional[Daemon], MachineFinding]:
    """The usual daemon, and what to say where there is none."""
    words = "none answers, so stages run in virtual environments"
    try:
        return connect(), MachineFinding("daemon", OK, "", "")
    except EnvironmentNotReady as error:
        return None, MachineFinding("daemon", NOTE, words, str(error))
    except BadInput as error:
        return None, MachineFinding("daemon", ERROR, "what names it cannot be used", str(error))


def _on_host(host: str, config: str) -> Iterator[MachineFinding]:
    hosts = load(find_config(config)).hosts
    if host not in hosts:
        raise BadInput(f"--host {host}: detector.toml has no [hosts.{host}]; hosts are {', '.join(hosts) or 'none'}.")
    try:
        daemon = connect(host, hosts[host].docker)
    except EnvironmentNotReady as error:
        yield MachineFinding("ssh", ERROR, f"{host} cannot be used", str(error))
        return
    yield MachineFinding("ssh", OK, f"{host} answers at {hosts[host].docker}", "")
    services = [hosts[host].environment or compose.usual_environments()[0]]
    yield from docker.findings(daemon, services, hosts[host].l4t)
    if compose.facts(services[0]).device_base:
        yield _of_the_board(f" --host {host}")


def _local_environments() -> List[Environment]:
    """Those that this machine could have without containers."""
    return [
        compose.local_environment(name)
        for name, facts in compose.environments().items()
        if facts.local_python and (not facts.device_base or is_jetson(containers=False))
    ]


def _old_environment() -> Environment:
    """The one that needs Python 3.6, and a C compiler to be made."""
    return next(found for found in _local_environments() if found.python == virtual_environments.PYTHON36)


def _python36(optional: bool) -> MachineFinding:
    environment = _old_environment()
    try:
        found = virtual_environments.find_interpreter(environment)
    except EnvironmentNotReady as error:
        if optional:
            words = f"not found; the {environment.name} environment runs in containers only"
            return MachineFinding("python3.6", NOTE, words, "")
        return MachineFinding("python3.6", ERROR, "not found", str(error))
    return MachineFinding("python3.6", OK, f"{found.version} at {found.path}", "")


def _machine(optional: bool) -> MachineFinding:
    machine = platform.machine()
    if platform.system() == "Linux" and machine == "x86_64":
        return MachineFinding("machine", OK, f"Linux {machine}", "")
    remedy = "train, evaluate, export, audit and convert on a Linux x86_64 machine; TensorFlow 1.12 exists for no other"
    return MachineFinding("machine", WARNING if optional else ERROR, f"{platform.system()} {machine}", remedy)


def _compiler(optional: bool) -> MachineFinding:
    if shutil.which("gcc") or shutil.which("cc"):
        return MachineFinding("compiler", OK, "found", "")
    if optional or _ready(_old_environment()):
        return MachineFinding("compiler", OK, "no C compiler, and none is needed", "")
    return MachineFinding(
        "compiler",
        ERROR,
        "no C compiler",
        "apt install gcc libc6-dev (pycocotools is compiled once, for the train environment)",
    )


def _disk() -> MachineFinding:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    enough = free >= DISK_NEEDED_GB
    remedy = "" if enough else f"free {DISK_NEEDED_GB} GiB, or set NANOFORGE_CACHE to a folder on another disk"
    return MachineFinding("disk", OK if enough else WARNING, f"{free:.1f} GiB free at {folder}", remedy)


def _memory() -> MachineFinding:
    total = psutil.virtual_memory().total / 2**30
    enough = total >= MEMORY_NEEDED_GB
    return MachineFinding(
        "memory", OK if enough else WARNING, f"{total:.1f} GiB", "" if enough else "lower train.batch_size to 4"
    )


def _processors() -> MachineFinding:
    return MachineFinding("processors", OK, str(len(os.sched_getaffinity(0))), "")


def _environment(environment: Environment) -> MachineFinding:
    message = "ready" if _ready(environment) else "not made yet; the first stage that needs it makes it"
    return MachineFinding(f"env {environment.name}", OK, message, "")


def _ready(environment: Environment) -> bool:
    try:
        return virtual_environments.is_ready(environment)
    except EnvironmentNotReady:
        return False
