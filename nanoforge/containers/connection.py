"""A connection to one Docker daemon: the local one, or a remote one through an SSH tunnel.

Docker's SDK is imported when there is something to connect to, since that alone takes a third of a second.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional

from nanoforge.containers.daemon import USUAL_NAME, ConnectionLost, Daemon, DaemonRefused
from nanoforge.containers.tunnel import Tunnel
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.files.paths import cache_folder

USUAL_ADDRESS = "unix:///var/run/docker.sock"
_opened = ExitStack()


class Address(NamedTuple):
    """Where a daemon is to be, who says so (empty: nobody, it is the usual place), and more of the SDK's options."""

    url: str
    source: str = ""
    options: Mapping[str, Any] = {}


@contextmanager
def closing_connections() -> Iterator[None]:
    """Close what is connected inside, and the tunnels under it, however it ends."""
    try:
        yield
    finally:
        _opened.close()


def connect(host: str = "", url: str = "") -> Daemon:
    """Connect to the host of that name at ``url``, or without one to the daemon that Docker's own tools would use.

    The connection is open until :func:`closing_connections` ends, in which every command runs.

    Raises:
        BadInput: what names the daemon's place cannot be used.
        EnvironmentNotReady: no daemon answers there.
    """
    address = Address(url, f"hosts.{host}.docker") if url else _usual_address()
    socket = address.url.partition("unix://")[2]
    if socket and not os.path.exists(socket):
        raise EnvironmentNotReady(_unreachable(address, ""))
    daemon = _reached(host or USUAL_NAME, address)
    _opened.callback(daemon.close)
    daemon.shares_files = not daemon.behind_ssh and _sees_this_machine(daemon)
    return daemon


def _reached(name: str, address: Address) -> Daemon:
    from nanoforge.containers.sdk import SdkDaemon, is_address

    if not address.url.startswith("ssh://") and not is_address(address.url):
        raise BadInput(
            f"{address.source} = {address.url!r} is not the address of a Docker daemon: expected unix:///path,"
            " tcp://host:port or ssh://user@host."
        )
    tunnel = Tunnel(name, address.url, address.source) if address.url.startswith("ssh://") else None
    try:
        url = tunnel.address if tunnel else address.url
        return SdkDaemon(name, url, address.options, tunnel.close if tunnel else None)
    except BaseException as error:
        said = f"{error} {tunnel.said() if tunnel else ''}"
        if tunnel:
            tunnel.close()
        if isinstance(error, (ConnectionLost, DaemonRefused, OSError)):
            raise EnvironmentNotReady(_unreachable(address, said)) from None
        raise


def answers() -> Optional[Daemon]:
    """The usual daemon where one answers, or None."""
    try:
        return connect()
    except EnvironmentNotReady:
        return None


def _sees_this_machine(daemon: Daemon) -> bool:
    """Whether folders of this machine can be mounted, proven by one that is nowhere else.

    A socket here can be another machine's, forwarded, and a daemon in a container or a virtual machine has other
    folders. The second question is for daemons that do not look, and would say yes to anything.
    """
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".seen-", dir=cache_folder()) as here:
        return daemon.sees(here) and not daemon.sees(f"{here}/nothing")


def _usual_address() -> Address:
    """Where Docker's own tools would connect: DOCKER_HOST, else the context that is chosen, else the usual place."""
    stated = os.environ.get("DOCKER_HOST", "")
    if stated.startswith(("unix://", "ssh://")):
        return Address(stated, "DOCKER_HOST")
    folder = Path(os.path.expanduser(os.environ.get("DOCKER_CONFIG") or "~/.docker"))
    # Only a variable or the config file can name another place: without them the SDK is not needed to know it.
    if not stated and not os.environ.get("DOCKER_CONTEXT") and not (folder / "config.json").exists():
        return Address(USUAL_ADDRESS)
    from nanoforge.containers import sdk

    options: Dict[str, Any] = sdk.options_of_environment() if stated else sdk.options_of_context()
    source = "DOCKER_HOST" if stated else options.pop("source")
    return Address(options.pop("base_url") or USUAL_ADDRESS, source, options)


def _unreachable(address: Address, said: str) -> str:
    place = f"{address.url}, which {address.source} names" if address.source else address.url
    machine = f"{place}," if address.source else place
    if "administratively prohibited" in said:
        return (
            f"The SSH server at {machine} forbids to forward a socket: set AllowStreamLocalForwarding yes in its"
            " sshd_config."
        )
    if address.url.startswith("ssh://"):
        return (
            f"The machine at {machine} can be reached by ssh, but its Docker daemon does not answer: start it there,"
            " and let the user in (there: `sudo usermod -aG docker $USER`, then connect anew)."
        )
    if "Permission denied" in said:
        return (
            f"The Docker daemon at {machine} may not be used by this user: add the user to the group docker"
            " (`sudo usermod -aG docker $USER`, then log in again), or use --runner local."
        )
    mend = f", correct or unset {address.source}" if address.source == "DOCKER_HOST" else ""
    return (
        f"No Docker daemon answers at {place}: start it (on most systems: systemctl start docker), install it{mend},"
        " or use --runner local."
    )


def environment_of(daemon: Daemon) -> Mapping[str, str]:
    """The variables that make Docker's own command-line tools speak to this daemon."""
    return {**os.environ, "DOCKER_HOST": daemon.address}
