"""What a Docker daemon's own errors mean, in one sentence with the remedy; only `connection` reads their texts too."""

from __future__ import annotations

import re
from typing import Tuple

# A fragment of the daemon's text -> what it means and what helps.
MEANINGS: Tuple[Tuple[str, str], ...] = (
    (
        r"no space left on device|disk quota exceeded|enough free space",
        "its disk is full: free some (`docker system df` shows what uses it, `./run gc%s` removes what Nanoforge no"
        " longer needs)",
    ),
    (
        r"could not select device driver|nvidia-container-cli",
        "it cannot give a container the GPU: install the NVIDIA driver and nvidia-container-toolkit, or set"
        " runner.gpu = false",
    ),
    (
        r"unknown runtime specified (\S+)|unknown or invalid runtime name: (\S+)",
        "it has no such runtime: on a Jetson install nvidia-container-runtime (it comes with JetPack); elsewhere the"
        " jetson environment cannot run",
    ),
    (
        r"exec format error",
        "the image is for another processor: on a PC, install qemu-user-static (binfmt) to emulate it",
    ),
    (r"No such image", "it was removed meanwhile: run the same command again, which builds it"),
    (r"Minimum memory limit", "runner.memory_mb is too small for a container: give at least 200"),
    (
        r"pull access denied|no such host|manifest unknown|TLS handshake|i/o timeout|connection refused",
        "its base image cannot be fetched: connect to the registry, load a saved image (`./run images --load FILE%s`),"
        " use a base that is here (.env, docker/standin), or --runner local",
    ),
    (r"port is already allocated|address already in use", "the port is in use: name another with --port"),
    (
        r"invalid mount config.*does not exist",
        "it sees no such folder: name one of the machine that it runs on; or put it where the daemon sees it (Docker"
        " Desktop: Settings, Resources, File sharing), or use --runner local",
    ),
)


def refusal(name: str, host_option: str, doing: str, said: str) -> str:
    """What a daemon said when it refused, as one sentence; see :func:`meaning_of`."""
    text = " ".join(said.split())
    meaning = meaning_of(text, host_option)
    if meaning:
        return f"The {name} failed while {doing}: {meaning}. (It said: {text})"
    return f"The {name} failed while {doing}; it said: {text}"


def meaning_of(text: str, host_option: str) -> str:
    """What the daemon's text means and what helps; empty where it is not known.

    Args:
        host_option: what makes a command go to that daemon, such as `` --host nano``.
    """
    for pattern, meaning in MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning.replace("%s", host_option)
    return ""
