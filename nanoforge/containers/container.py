"""Running one container to its end: its output line by line, its exit code, and nothing left behind."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Tuple

from nanoforge.containers.daemon import OWNER, PROCESS, Container, ContainerExit, Daemon, speaking
from nanoforge.errors import DaemonLost, EnvironmentNotReady, Interrupted
from nanoforge.stop import Stop


def labels_of(owner: str) -> Dict[str, str]:
    """The labels of a container of ``owner``, a project on a machine, that this process runs."""
    return {OWNER: owner, PROCESS: f"{platform.node()} {os.getpid()} {_began(os.getpid())}"}


def _began(process: int) -> str:
    """When it began, in ticks since the machine did: no later process of the same number is taken for it."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def run_to_end(
    daemon: Daemon, container: Container, on_line: Callable[[str], None], stop: Stop, doing: str
) -> ContainerExit:
    """Run the container to its end.

    Args:
        on_line: gets each line of its output, both streams, without the line's end.
        doing: for errors, as in "while doing".

    Raises:
        DaemonLost: the daemon went away meanwhile.
        EnvironmentNotReady: it cannot run this.
        Interrupted: it was stopped before it began.
    """
    grace = container.service.grace
    with speaking(daemon, doing):
        identity = daemon.create(container)
        try:
            attachment = daemon.attach(identity)
            stop.by(lambda: _end(daemon, identity, grace))
            if stop.asked:
                raise Interrupted(f"Interrupted while {doing}.")
            daemon.start(identity)
            if stop.asked:  # between the last look and the start
                _end(daemon, identity, grace)
            for line in _lines(attachment.frames()):
                on_line(line)
            return attachment.exit()
        finally:
            remove(daemon, identity)


def _lines(frames: Iterator[Tuple[int, bytes]]) -> Iterator[str]:
    """Whole lines of both streams, in the order in which they were completed."""
    pending: Dict[int, bytes] = {}
    for stream, data in frames:
        *whole, rest = (pending.get(stream, b"") + data).split(b"\n")
        pending[stream] = rest
        for line in whole:
            yield line.decode("utf-8", "replace")
    for rest in pending.values():
        if rest:
            yield rest.decode("utf-8", "replace")


def _end(daemon: Daemon, identity: str, grace: int) -> None:
    """End a container: politely first, then for good. One that is gone already is fine."""
    try:
        daemon.stop(identity, grace)
    except (DaemonLost, EnvironmentNotReady):
        # Gone, or the daemon is: then the next command sweeps it away.
        return


def remove(daemon: Daemon, identity: str) -> None:
    """Remove a container, running or not, if it is still there."""
    try:
        daemon.remove(identity)
    except (DaemonLost, EnvironmentNotReady, OSError):
        # Gone or going by itself; or the daemon is gone, and the next command sweeps it away.
        return


def sweep(daemon: Daemon, labels: Mapping[str, str]) -> List[str]:
    """Remove every container with these labels, as a crash may have left them; returns their ids."""
    with speaking(daemon, "looking for left-over containers"):
        found = [container.id for container in daemon.containers(labels)]
    for identity in found:
        remove(daemon, identity)
    return found


def left_over(daemon: Daemon, owner: str) -> List[str]:
    """The ids of ``owner``'s containers whose process is gone; of a daemon here, those of every owner."""
    labels = {} if daemon.shares_files else {OWNER: owner}
    with speaking(daemon, "looking for left-over containers"):
        found = daemon.containers(labels)
    return [container.id for container in found if _is_gone(container.labels.get(PROCESS, ""))]


def sweep_left_over(daemon: Daemon, owner: str) -> None:
    """Remove the containers that :func:`left_over` finds."""
    for identity in left_over(daemon, owner):
        remove(daemon, identity)


def _is_gone(process: str) -> bool:
    """Whether it was a process of this machine that has ended."""
    rest, _, began = process.rpartition(" ")
    machine, _, number = rest.rpartition(" ")
    if machine != platform.node() or not number.isdigit():
        return False
    now = _began(int(number))
    return now != began and bool(now or not is_there(int(number)))


def is_there(process: int) -> bool:
    """Whether there is such a process, of which /proc may show nothing to this user (hidepid)."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number of a process
        return True
    return True
