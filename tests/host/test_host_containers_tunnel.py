"""The SSH tunnel with a program in place of ssh: what it is told, when it is given up, and that it ends."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nanoforge.containers import tunnel
from nanoforge.containers.tunnel import Tunnel
from nanoforge.errors import BadInput, EnvironmentNotReady

CLONE = Path(__file__).resolve().parents[2]
# It keeps what it was told; its socket is the part of -L before the colon.
FAKE_SSH = """#!/bin/sh
echo "$@" >{folder}/told
{before}
for word; do case $word in */docker.sock:*) touch "${{word%%:*}}" ;; esac; done
cat >/dev/null
echo ended >{folder}/ended
"""


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """Puts a fake ssh first in PATH, which does ``before`` before it forwards."""

    def write(before=""):
        program = tmp_path / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        program.write_text(FAKE_SSH.format(folder=tmp_path, before=before))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return write


def opened(url):
    return Tunnel("nano", url, "hosts.nano.docker")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files; the path of a socket is short."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_socket_here_leads_to_the_socket_there_until_it_is_closed(ssh, tmp_path):
    ssh()
    made = opened("ssh://me@nano:2222/run/other.sock")
    socket = made.address.replace("unix://", "")
    told = (tmp_path / "told").read_text()
    assert f"-L {socket}:/run/other.sock me@nano cat" in told and "-p 2222" in told
    for option in ("BatchMode=yes", "ExitOnForwardFailure=yes", "ControlPath=none", "ServerAliveInterval=15"):
        assert f"-o{option}" in told
    made.close()
    made.close()
    assert made._ssh.poll() is not None
    with pytest.raises(FileNotFoundError):
        open(socket)


def test_without_a_path_the_usual_socket_is_meant(ssh, tmp_path):
    ssh()
    opened("ssh://nano").close()
    assert ":/var/run/docker.sock nano cat" in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("me@nano: Permission denied (publickey).", "ssh-copy-id"),
        ("Host key verification failed.", "connect once by hand"),
        ("ssh: Could not resolve hostname nano", "use its address"),
        ("connect to host nano port 22: Connection refused", "no SSH server runs there"),
        ("connect to host nano port 22: Connection timed out", "is the device on"),
        ("connect to host nano port 22: No route to host", "is the device on"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ Host key verification failed.", "ssh-keygen -R"),
        ("Received disconnect from nano: Too many authentication failures", "IdentitiesOnly yes"),
        ("Bad owner or permissions on /home/me/.ssh/config", "chmod 600"),
        ("something else", "try it by hand with ssh"),
    ],
)
def test_why_ssh_ended_is_told_with_the_remedy(ssh, said, remedy):
    ssh(f"echo '{said}' >&2; exit 255")
    with pytest.raises(EnvironmentNotReady, match="nano cannot be reached at ssh://me@nano: ") as caught:
        opened("ssh://me@nano")
    assert remedy in str(caught.value) and f"(ssh said: {said})" in str(caught.value)


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=x@nano", "ssh://me@-nano", "ssh://me@nano:port"])
def test_a_url_that_ssh_would_misread_is_refused(ssh, url):
    ssh()
    with pytest.raises(BadInput, match="hosts.nano.docker = .*expected ssh://user@host"):
        opened(url)


def test_without_ssh_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentNotReady, match="apt install openssh-client"):
        opened("ssh://nano")


def test_the_folder_of_a_killed_command_goes_with_the_next_tunnel(ssh, temporary):
    """And no other: a living command's, a stranger's, or a link that somebody put there."""
    ssh()
    program = "import sys, tempfile; from nanoforge.containers.tunnel import Tunnel; import os\n"
    program += "tempfile.tempdir = sys.argv[1]; Tunnel('nano', 'ssh://nano', 'x'); os.kill(os.getpid(), 9)"
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", program, str(temporary)], env={**os.environ, "PYTHONPATH": path})
    (stale,) = temporary.iterdir()
    dead = stale.name.split("-")[2]
    mine = temporary / f"nanoforge-tunnel-{os.getpid()}-x"
    mine.mkdir()
    kept = temporary / "kept"
    kept.mkdir()
    (kept / "file").touch()
    link = temporary / f"nanoforge-tunnel-{dead}-link"
    link.symlink_to(kept)
    opened("ssh://nano").close()
    assert not stale.exists() and {mine, kept, link} == {*temporary.iterdir()} and (kept / "file").exists()


@pytest.mark.parametrize("name", ["a:b", "x" * 100])
def test_a_socket_that_ssh_could_not_name_lies_elsewhere(ssh, temporary, monkeypatch, name):
    ssh()
    (temporary / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / name))
    made = opened("ssh://nano")
    made.close()
    assert made.address.startswith("unix:///tmp/nanoforge-tunnel-")


def test_a_tunnel_that_cannot_begin_leaves_nothing(ssh, temporary, monkeypatch):
    ssh("exit 255")
    with pytest.raises(EnvironmentNotReady):
        opened("ssh://nano")
    ssh()
    monkeypatch.setattr(tunnel.subprocess, "Popen", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        opened("ssh://nano")
    assert list(temporary.iterdir()) == []
