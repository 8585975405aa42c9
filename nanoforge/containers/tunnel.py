"""One SSH connection that carries all traffic to a remote daemon: its socket, forwarded to a private one here.

The system's own ssh client, so that the user's keys, agent and ~/.ssh/config count. A forwarded socket costs one SSH
connection for everything; docker-py's own ssh:// modes open a connection or a channel with a process for each call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import List
from urllib.parse import urlsplit

from nanoforge.containers.container import is_there
from nanoforge.errors import BadInput, EnvironmentNotReady

REMOTE_SOCKET = "/var/run/docker.sock"
CONNECT_S = 15
# The fastest where processors have AES instructions, as PCs and the Nano's Cortex-A57 have.
CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr"
# A tunnel's folder; the process that it belongs to follows.
FOLDER_PREFIX = "nanoforge-tunnel-"
# The path of a socket has 107 bytes, and the folder's own name and the socket's take some of them.
LONGEST_PLACE = 60


class Tunnel:
    """Forwards ``address`` to the socket of the daemon at ``ssh://[user@]host[:port][/path/of/docker.sock]``.

    Args:
        name: of the host.
        source: what names the URL, such as a key of detector.toml.

    Raises:
        BadInput: the URL cannot be used.
        EnvironmentNotReady: ssh cannot connect.
    """

    def __init__(self, name: str, url: str, source: str) -> None:
        if not shutil.which("ssh"):
            raise EnvironmentNotReady(f"{name} is reached by ssh, which is not installed: apt install openssh-client.")
        host = _destination(url, source)
        sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-", dir=_place()))
        self._socket = self._folder / "docker.sock"
        self._log = self._folder / "ssh.log"
        self.address = f"unix://{self._socket}"
        try:
            with open(self._log, "wb") as log:
                # The far end's `cat` ends with our end of this pipe, and ssh with it, however this process ends.
                self._ssh = subprocess.Popen(
                    _command(host, url, self._socket),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the runner, which still needs the connection to clean up
                )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            self._wait(name, url)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        try:
            if self._ssh.poll() is None:
                self._ssh.terminate()
            self._ssh.communicate()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def said(self) -> str:
        """What ssh said until now, in one line."""
        return " ".join(self._log.read_text(encoding="utf-8", errors="replace").split())

    def _wait(self, name: str, url: str) -> None:
        deadline = time.monotonic() + CONNECT_S + 5
        while not self._socket.exists():
            if self._ssh.poll() is not None or time.monotonic() > deadline:
                raise EnvironmentNotReady(f"{name} cannot be reached at {url}: {_reason(self.said())}")
            time.sleep(0.01)


def sweep() -> None:
    """Remove the folders of tunnels whose process was killed, as far as they are the caller's."""
    for folder in _place().glob(f"{FOLDER_PREFIX}*"):
        process = folder.name[len(FOLDER_PREFIX) :].partition("-")[0]
        if process.isdigit() and not is_there(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    """The folder for temporary files, or where ssh could not take a socket there the system's own."""
    usual = tempfile.gettempdir()
    return Path(usual if len(os.fsencode(usual)) <= LONGEST_PLACE and ":" not in usual else "/tmp")


def _destination(url: str, source: str) -> str:
    """The ``[user@]host`` of the URL; nothing that ssh would take for an option."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or host.startswith("-") or (parts.username or "").startswith("-"):
        raise BadInput(f"{source} = {url!r}: expected ssh://user@host, with :port if it is not 22.")
    return f"{parts.username}@{host}" if parts.username else host


def _command(destination: str, url: str, socket: Path) -> List[str]:
    parts = urlsplit(url)
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_S),
        "ExitOnForwardFailure": "yes",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "ControlPath": "none",
        "Ciphers": CIPHERS,
    }
    return [
        "ssh",
        *(f"-o{key}={value}" for key, value in options.items()),
        *(["-p", str(parts.port)] if parts.port else []),
        "-L",
        f"{socket}:{parts.path if parts.path not in ('', '/') else REMOTE_SOCKET}",
        destination,
        "cat",
    ]


def _reason(said: str) -> str:
    """Why ssh ended, and what helps."""
    advice = {
        "HOST IDENTIFICATION HAS CHANGED": "its key is another than the one that is known: find out why before you take"
        " the old one out with ssh-keygen -R",
        "Host key verification failed": "connect once by hand with ssh, to accept the host's key",
        "Too many authentication failures": "name the one key for it in ~/.ssh/config, with IdentitiesOnly yes",
        "Permission denied": "set up a key (`ssh-copy-id`), since no password can be asked for here",
        "Could not resolve": "the name is not known; use its address",
        "Connection refused": "no SSH server runs there, or on another port",
        "timed out": "is the device on, and in the same network?",
        "No route to host": "is the device on, and in the same network?",
        "Network is unreachable": "this machine is in no network that leads there",
        "Bad owner or permissions": "ssh does not trust a file of yours that others may write: chmod 600 it",
        "Bad configuration option": "correct that line in ssh's configuration",
    }
    helps = next((remedy for fragment, remedy in advice.items() if fragment in said), "try it by hand with ssh")
    return f"{helps}. (ssh said: {said or 'nothing'})"
