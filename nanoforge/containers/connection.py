"""A connection to one Docker daemon: the local one, or a remote one through an SSH tunnel.

Docker's SDK is imported when there is something to connect to, since that alone takes a third of a second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from nanoforge.containers.daemon import ConnectionLost, Daemon, DaemonRefused
from nanoforge.containers.tunnel import Tunnel
from nanoforge.errors import EnvironmentNotReady

USUAL_NAME = "Docker daemon"
USUAL_ADDRESS = "unix:///var/run/docker.sock"


def connect(host: str = "", url: str = "") -> Daemon:
    """Connect to the host of that name at ``url``, or without one to the daemon that Docker's own tools would use.

    Raises:
        EnvironmentNotReady: no daemon answers there.
    """
    name = host or USUAL_NAME
    silent = "" if url else _socket_that_is_not_there()
    if silent:
        raise EnvironmentNotReady(_unreachable(name, silent, ""))
    from nanoforge.containers.sdk import SdkDaemon

    options = {"base_url": url} if url else _usual_options()
    address = str(options.pop("base_url"))
    tunnel = Tunnel(name, address) if address.startswith("ssh://") else None
    try:
        return SdkDaemon(name, tunnel.address if tunnel else address, options, tunnel.close if tunnel else None)
    except (ConnectionLost, DaemonRefused, OSError) as error:
        if tunnel:
            tunnel.close()
        raise EnvironmentNotReady(_unreachable(name, address, str(error))) from None


def answers() -> Optional[Daemon]:
    """The usual daemon where one answers, or None."""
    try:
        return connect()
    except EnvironmentNotReady:
        return None


def _usual_options() -> Dict[str, Any]:
    from nanoforge.containers.sdk import usual_options

    options = usual_options()
    return {**options, "base_url": options["base_url"] or USUAL_ADDRESS}


def _socket_that_is_not_there() -> str:
    """The address that Docker's own tools would use, where it can be told without the SDK that nothing is there."""
    address = os.environ.get("DOCKER_HOST", "")
    if not address:
        folder = Path(os.path.expanduser(os.environ.get("DOCKER_CONFIG") or "~/.docker"))
        # Only a config file or a variable can name a context, and with it another address.
        address = "" if os.environ.get("DOCKER_CONTEXT") or (folder / "config.json").exists() else USUAL_ADDRESS
    path = address.partition("unix://")[2]
    return address if path and not Path(path).exists() else ""


def _unreachable(name: str, address: str, said: str) -> str:
    if "Permission denied" in said:
        return (
            f"The {name} at {address} may not be used by this user: add the user to the group docker"
            " (`sudo usermod -aG docker $USER`, then log in again), or use --runner local."
        )
    if address.startswith("ssh://"):
        return (
            f"{name} can be reached by ssh, but its Docker daemon does not answer: start it there, and let the user in"
            " (there: `sudo usermod -aG docker $USER`, then connect anew)."
        )
    return (
        f"No {name} answers at {address}: start it (on most systems: systemctl start docker), install it,"
        " or use --runner local."
    )


def environment_of(daemon: Daemon) -> Mapping[str, str]:
    """The variables that make Docker's own command-line tools speak to this daemon."""
    return {**os.environ, "DOCKER_HOST": daemon.address}
