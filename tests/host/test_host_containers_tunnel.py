"""The SSH tunnel with a program in place of ssh: what it is told, when it is given up, and that it ends."""

import pytest

from nanoforge.containers.tunnel import Tunnel
from nanoforge.errors import BadInput, EnvironmentNotReady

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


def test_a_socket_here_leads_to_the_socket_there_until_it_is_closed(ssh, tmp_path):
    ssh()
    tunnel = Tunnel("nano", "ssh://me@nano:2222/run/other.sock")
    socket = tunnel.address.replace("unix://", "")
    told = (tmp_path / "told").read_text()
    assert f"-L {socket}:/run/other.sock me@nano cat" in told and "-p 2222" in told
    for option in ("BatchMode=yes", "ExitOnForwardFailure=yes", "ControlPath=none", "ServerAliveInterval=15"):
        assert f"-o{option}" in told
    tunnel.close()
    tunnel.close()
    assert tunnel._ssh.poll() is not None
    with pytest.raises(FileNotFoundError):
        open(socket)


def test_without_a_path_the_usual_socket_is_meant(ssh, tmp_path):
    ssh()
    Tunnel("nano", "ssh://nano").close()
    assert ":/var/run/docker.sock nano cat" in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("me@nano: Permission denied (publickey).", "ssh-copy-id"),
        ("Host key verification failed.", "connect once by hand"),
        ("ssh: Could not resolve hostname nano", "use its address"),
        ("connect to host nano port 22: Connection refused", "no SSH server runs there"),
        ("connect to host nano port 22: Connection timed out", "is the device on"),
        ("something else", "try it by hand with ssh"),
    ],
)
def test_why_ssh_ended_is_told_with_the_remedy(ssh, said, remedy):
    ssh(f"echo '{said}' >&2; exit 255")
    with pytest.raises(EnvironmentNotReady, match="nano cannot be reached at ssh://me@nano: ") as caught:
        Tunnel("nano", "ssh://me@nano")
    assert remedy in str(caught.value) and f"(ssh said: {said})" in str(caught.value)


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=x@nano", "ssh://me@-nano", "ssh://me@nano:port"])
def test_a_url_that_ssh_would_misread_is_refused(ssh, url):
    ssh()
    with pytest.raises(BadInput, match="hosts.nano.docker = .*expected ssh://user@host"):
        Tunnel("nano", url)


def test_without_ssh_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentNotReady, match="apt install openssh-client"):
        Tunnel("nano", "ssh://nano")
