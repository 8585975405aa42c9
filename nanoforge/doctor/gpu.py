"""The GPU of this machine, and whether CUDA 9.0, which TensorFlow 1.12 is built for, can drive it."""

from __future__ import annotations

import shutil
import subprocess
from typing import Iterator, List, NamedTuple, Optional, Tuple

from nanoforge.containers.daemon import DaemonFacts
from nanoforge.doctor.finding import NOTE, OK, WARNING, MachineFinding

# CUDA 9.0 knows devices up to Volta; TensorFlow 1.12's wheel holds code from Kepler's 3.5 on. Newer ones need CUDA 10.
LOWEST, HIGHEST = (3, 5), (7, 0)


class Gpu(NamedTuple):
    """A GPU as nvidia-smi tells of it."""

    name: str
    capability: Tuple[int, int]
    memory_mib: int

    @property
    def usable(self) -> bool:
        return LOWEST <= self.capability <= HIGHEST


def gpus() -> List[Gpu]:
    """The NVIDIA GPUs of this machine; none where there is no driver, or one that is too old to tell."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            query, capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [gpu for gpu in map(_parsed, answer.splitlines()) if gpu]


def _parsed(line: str) -> Optional[Gpu]:
    try:
        name, capability, memory = (part.strip() for part in line.split(","))
        major, minor = capability.split(".")
        return Gpu(name, (int(major), int(minor)), int(memory))
    except ValueError:
        return None


def findings(facts: Optional[DaemonFacts]) -> Iterator[MachineFinding]:
    """What doctor says of the GPUs; ``facts`` are the daemon's, where one answers."""
    found = gpus()
    if not found:
        yield MachineFinding("gpu", NOTE, "no NVIDIA GPU; training runs on the processor", "")
    for gpu in found:
        yield _finding(gpu)
    if any(gpu.usable for gpu in found):
        yield _runtime(facts)


def _finding(gpu: Gpu) -> MachineFinding:
    version = ".".join(map(str, gpu.capability))
    message = f"{gpu.name}, compute capability {version}, {gpu.memory_mib} MiB"
    if gpu.usable:
        return MachineFinding("gpu", OK, message, "")
    if gpu.capability > HIGHEST:
        return MachineFinding(
            "gpu",
            WARNING,
            f"{message}: CUDA 9.0 cannot drive it, it ends at 7.0 (Volta)",
            "train on the processor (runner.gpu = false), or on a machine with a GPU from Kepler 3.5 to Volta 7.0;"
            " a newer TensorFlow does not help, since UFF cannot read its graphs",
        )
    return MachineFinding("gpu", WARNING, f"{message}: TensorFlow 1.12 needs at least 3.5", "train on the processor")


def _runtime(facts: Optional[DaemonFacts]) -> MachineFinding:
    if facts and "nvidia" in facts.runtimes:
        return MachineFinding(
            "gpu runtime", OK, "the daemon can give it to containers", "train on it with runner.gpu = true"
        )
    return MachineFinding(
        "gpu runtime",
        WARNING,
        "no container can use the GPU",
        "install nvidia-container-toolkit and restart Docker; only containers hold CUDA 9.0",
    )
