"""`gc` on daemons in memory: what killed commands left there is found by its labels, and nothing else."""

import os
import subprocess
import sys

import pytest

from nanoforge.commands import cleanup
from nanoforge.containers import compose
from nanoforge.containers.container import labels_of
from nanoforge.containers.daemon import Container, Folder
from nanoforge.errors import EnvironmentNotReady
from nanoforge.runners import placement
from nanoforge.runners.placement import owner_of
from tests.fakes.daemon import FakeDaemon


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "detector"
    folder.mkdir()
    settings = '[dataset]\nrendered_pictures = 20\nclasses = ["cone", "ball", "mug"]\n[runner]\nuse = "local"\n'
    settings += '[hosts.nano]\ndocker = "ssh://me@nano"\n'
    (folder / "detector.toml").write_text(settings)
    return folder


@pytest.fixture
def daemons(tmp_path, monkeypatch):
    """The usual daemon, and nano's."""
    here, nano = FakeDaemon(tmp_path / "here"), FakeDaemon(tmp_path / "nano", "nano", shares_files=False)
    monkeypatch.setattr(placement, "answers", lambda: here)
    monkeypatch.setattr(placement, "connect", lambda *_: nano)
    return {"": here, "nano": nano}


def leave(daemon, owner):
    """A container of a dead process, one of a living one, and a volume of each; gives the labels of the latter."""
    daemon.add_image("nanoforge-data")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    living = labels_of(owner)
    machine = living["nanoforge.process"].split(" ")[0]
    dead = {**living, "nanoforge.process": f"{machine} {ended.pid} 1"}
    for name, labels in (("left", dead), ("used", living)):
        daemon.create_volume(name, {"nanoforge.owner": owner})
        folders = [Folder(name, "/x")]
        daemon.create(Container(compose.service("data"), "nanoforge-data", ["true"], folders, labels=labels))
    daemon.create_volume("another's", {"nanoforge.owner": "another"})
    return living


@pytest.mark.parametrize("host", ["", "nano"])
def test_gc_removes_what_killed_commands_left_on_a_daemon_and_what_a_living_one_uses_stays(
    project, daemons, capsys, host
):
    daemon = daemons[host]
    living = leave(daemon, owner_of(project))
    cleanup.gc(str(project), True, host)
    assert len(daemon.containers({})) == 2 and len(daemon.volumes({})) == 3
    assert f"would remove volume left on {daemon.name}" in capsys.readouterr().err
    cleanup.gc(str(project), False, host)
    assert [{**found.labels} for found in daemon.containers({})] == [{**living, "nanoforge": "1"}]
    assert sorted(daemon.volumes({})) == ["another's", "used"]
    said = capsys.readouterr().err
    assert "removing container" in said and f"volume used on {daemon.name}\n  it stays: a container uses it" in said


def test_gc_without_a_daemon_tidies_the_project(project, monkeypatch, capsys):
    monkeypatch.setattr(placement, "answers", lambda: None)
    cleanup.gc(str(project), False, "")
    assert "freed" in capsys.readouterr().err


def test_gc_of_a_host_that_is_off_says_so(project, monkeypatch):
    def off(*_):
        raise EnvironmentNotReady("nano cannot be reached at ssh://me@nano: is the device on?")

    monkeypatch.setattr(placement, "connect", off)
    with pytest.raises(EnvironmentNotReady, match="is the device on"):
        cleanup.gc(str(project), False, "nano")


def test_gc_removes_the_folders_of_killed_tunnels(project, daemons, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"nanoforge-tunnel-{ended.pid}-x").mkdir()
    living = tmp_path / f"nanoforge-tunnel-{os.getpid()}-x"
    living.mkdir()
    monkeypatch.setattr("nanoforge.containers.tunnel.LONGEST_PLACE", 1000)
    cleanup.gc(str(project), False, "")
    assert list(tmp_path.glob("nanoforge-tunnel-*")) == [living]
