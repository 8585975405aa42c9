"""What `doctor` checks of a Docker daemon, here or on another machine."""

from __future__ import annotations

import os
import platform
import shutil
import time
from pathlib import Path
from typing import Iterator, List, Sequence

from nanoforge.containers import compose, images
from nanoforge.containers.container import run_to_end
from nanoforge.containers.daemon import Container, Daemon, DaemonFacts, on_host, seconds_of, speaking
from nanoforge.containers.jetpack import base_variables
from nanoforge.doctor.finding import ERROR, NOTE, OK, WARNING, MachineFinding
from nanoforge.errors import NanoforgeError
from nanoforge.runners.docker import PROCESSOR_NAMES, maps_users
from nanoforge.stop import Stop

DISK_NEEDED_GIB = 6
# For what does not depend on the base image, which only the device's L4T tells.
ANY_BASE = {"JETSON_BASE": "any"}
CLOCK_S = 60
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def findings(daemon: Daemon, services: Sequence[str], l4t: str = "") -> Iterator[MachineFinding]:
    """Everything about one daemon, for the services that are to run there."""
    facts = facts_of(daemon)
    place = "here" if daemon.shares_files else "elsewhere, so that files are sent to it"
    yield MachineFinding("daemon", OK, f"Docker {facts.version}, {facts.system} {facts.architecture}, {place}", "")
    yield from (_confinement(daemon, facts), _storage(facts), _clock(facts))
    yield _memory(facts, services)
    yield _disk(daemon, facts, services, l4t)
    for service in services:
        yield _image(daemon, facts, service, l4t)
    for runtime in {compose.service(service, ANY_BASE).runtime for service in services} - {""}:
        yield _runtime(facts, runtime)


def facts_of(daemon: Daemon) -> DaemonFacts:
    """What the daemon says of itself."""
    with speaking(daemon, "asking what it can do"):
        return daemon.facts()


def _confinement(daemon: Daemon, facts: DaemonFacts) -> MachineFinding:
    mapping = maps_users(facts)
    if mapping:
        remedy = "use a daemon without it" + ("" if on_host(daemon) else ", or --runner local")
        return MachineFinding(
            "users",
            ERROR,
            f"the daemon maps user ids ({mapping}), so files of containers would not be yours",
            remedy,
        )
    return MachineFinding("users", OK, "containers run without privileges, and their files are yours", "")


def _storage(facts: DaemonFacts) -> MachineFinding:
    if facts.storage_driver == "vfs":
        return MachineFinding("storage", WARNING, "vfs copies every layer", "configure Docker for overlay2")
    return MachineFinding("storage", OK, facts.storage_driver, "")


def _clock(facts: DaemonFacts) -> MachineFinding:
    apart = abs(seconds_of(facts.time) - time.time())
    if apart > CLOCK_S:
        return MachineFinding(
            "clock", WARNING, f"the daemon's clock is {apart:.0f} s off", "set it there: timedatectl set-ntp true"
        )
    return MachineFinding("clock", OK, "as here", "")


def _memory(facts: DaemonFacts, services: Sequence[str]) -> MachineFinding:
    total = facts.memory / 2**30
    if total < 3:
        return MachineFinding("daemon mem", WARNING, f"{total:.1f} GiB", "lower train.batch_size")
    limits = ", ".join(f"{name} {compose.service(name, ANY_BASE).memory >> 30} GiB" for name in services)
    return MachineFinding("daemon mem", OK, f"{total:.1f} GiB; a stage may take: {limits}", "")


def _disk(daemon: Daemon, facts: DaemonFacts, services: Sequence[str], l4t: str) -> MachineFinding:
    try:
        free = _free_here(facts) if daemon.shares_files else _free_there(daemon, services[0], l4t)
    except (NanoforgeError, OSError, ValueError):
        remedy = f"./run images --environments {services[0]}{on_host(daemon)}"
        return MachineFinding("daemon disk", NOTE, "cannot be seen until an image is there", remedy)
    enough = free / 2**30 >= DISK_NEEDED_GIB
    gc = f"./run gc{on_host(daemon)} removes {'what is kept there' if on_host(daemon) else 'old artifacts'}"
    remedy = "" if enough else f"docker system df shows there what uses it; {gc}"
    return MachineFinding("daemon disk", OK if enough else WARNING, f"{free / 2**30:.1f} GiB free", remedy)


def _free_here(facts: DaemonFacts) -> int:
    folder = Path(facts.root)
    while not os.access(folder, os.X_OK):
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _free_there(daemon: Daemon, name: str, l4t: str) -> int:
    """Free bytes of the disk that holds the daemon's containers, as one of them sees it."""
    service = compose.service(name, base_variables(name, l4t))
    lines: List[str] = []
    asking = Container(service, service.image, ["python3", "-c", "import shutil; print(shutil.disk_usage('/').free)"])
    run_to_end(daemon, asking, lines.append, Stop(), "looking at the disk")
    return int(lines[-1])


def _image(daemon: Daemon, facts: DaemonFacts, name: str, l4t: str) -> MachineFinding:
    try:
        service = compose.service(name, base_variables(name, l4t))
        state = images.state(daemon, service)
    except NanoforgeError as error:
        return MachineFinding(f"image {name}", ERROR, "it is not known which one", str(error))
    if state.why or state.image is None:
        remedy = f"the first stage that needs it builds it, or ./run images --environments {name}{on_host(daemon)}"
        return MachineFinding(f"image {name}", NOTE, state.why, remedy)
    own = PROCESSOR_NAMES.get(facts.architecture, "")
    advice = "build it on a machine of that kind, unless this is a trial"
    if own and state.image.architecture != own:
        message = f"it is for {state.image.architecture}, the machine is {own}: emulated, slow"
        return MachineFinding(f"image {name}", WARNING, message, advice)
    return MachineFinding(f"image {name}", OK, f"built from what is in docker/, {state.image.size >> 20} MiB", "")


def _runtime(facts: DaemonFacts, runtime: str) -> MachineFinding:
    if runtime in facts.runtimes:
        return MachineFinding("runtime", OK, runtime, "")
    return MachineFinding(
        "runtime",
        ERROR,
        f"the daemon has no runtime {runtime}, which puts TensorRT into its containers",
        "on a Jetson: sudo apt install nvidia-container-runtime, then restart Docker",
    )


def emulation() -> MachineFinding:
    """Whether this machine can run containers of the Nano's processor."""
    if platform.machine() == "aarch64":
        return MachineFinding("arm64", OK, "native", "")
    entry = BINFMT / "qemu-aarch64"
    if not entry.is_file():
        return MachineFinding("arm64", NOTE, "cannot be emulated here; only needed to try jetson images on a PC", "")
    text = entry.read_text(encoding="utf-8")
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    if not text.startswith("enabled") or "F" not in flags:
        return MachineFinding(
            "arm64", WARNING, "emulation is registered so that containers cannot use it", "apt install qemu-user-static"
        )
    return MachineFinding("arm64", OK, "emulated by qemu (many times slower)", "")
