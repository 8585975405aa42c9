"""What a project leaves on a daemon: containers of commands that were killed, and volumes of what was sent."""

from __future__ import annotations

from typing import Callable

from nanoforge.containers import volumes
from nanoforge.containers.container import left_over, remove
from nanoforge.containers.daemon import OWNER, Daemon


def remove_leftovers(daemon: Daemon, owner: str, dry_run: bool, say: Callable[[str], None]) -> None:
    """Remove, or with ``dry_run`` only list, what ``owner`` left there that no living command uses."""
    verb, place = "would remove" if dry_run else "removing", f"on {daemon.name}"
    for container in left_over(daemon, owner):
        say(f"{verb} container {container[:12]} {place}")
        if not dry_run:
            remove(daemon, container)
    for volume in volumes.having(daemon, {OWNER: owner}):
        say(f"{verb} volume {volume} {place}")
        if not (dry_run or volumes.discard(daemon, volume)):
            say(f"  it stays: a container uses it {place}")
