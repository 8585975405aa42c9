"""Servers and shells in containers, on a daemon in memory: what they see, where they listen, and that they end."""

import os
import subprocess

import pytest

from nanoforge.commands import serve, shell
from nanoforge.commands.options import StageOptions
from nanoforge.containers import compose, images
from nanoforge.errors import BadInput, StageFailed
from nanoforge.runners import placement
from tests.fakes.daemon import FakeDaemon


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    daemon = FakeDaemon(tmp_path / "daemon")
    for name in ("data", "train"):
        daemon.add_image(f"nanoforge-{name}", images._labels(compose.service(name)))
    monkeypatch.setattr(placement, "connect", lambda *_: daemon)
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    return daemon


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "detector"
    (folder / "build" / "report").mkdir(parents=True)
    (folder / "detector.toml").write_text('[dataset]\nclasses = ["cat"]\n[runner]\nuse = "docker"\n')
    return StageOptions(str(folder))


def server(daemon):
    return next(made for made in daemon.created if made.service.ports)


def test_the_viewer_listens_on_loopback_and_can_only_read(daemon, project, tmp_path):
    serve.viewer(project, 8765)
    made = server(daemon)
    assert made.service.ports == ["127.0.0.1:8765:8000"] and made.service.read_only
    assert [(folder.source, folder.read_only) for folder in made.folders] == [
        (str(tmp_path / "detector" / "build"), True)
    ]
    assert made.command == compose.service("viewer").command and daemon.containers({}) == []


def test_a_server_that_cannot_run_is_a_sentence_with_its_last_words(daemon, project):
    daemon.program = lambda process: process.print("Address already in use", 2) or 1
    with pytest.raises(StageFailed, match=r"viewer ended with exit code 1; is port 8000 in use\? .* Address already"):
        serve.viewer(project, 8000)


@pytest.mark.parametrize("code", [0, 130, 143])
def test_a_server_that_was_asked_to_end_has_not_failed(daemon, project, code):
    daemon.program = lambda process: code
    serve.viewer(project, 8000)


def test_a_daemon_that_does_not_see_the_files_cannot_serve_them(daemon, project):
    daemon.shares_files = False
    with pytest.raises(BadInput, match="shows files of this machine, which Docker daemon does not see"):
        serve.viewer(project, 8000)


def test_there_must_be_something_to_show(daemon, project, tmp_path):
    (tmp_path / "detector" / "build" / "report").rmdir()
    with pytest.raises(StageFailed, match="run `build` first"):
        serve.viewer(project, 8000)


def test_a_shell_is_started_by_dockers_own_tool_and_sees_what_a_stage_sees(daemon, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    called = []

    def run(command, env, **_):
        called.append((command, env["DOCKER_HOST"]))
        return subprocess.CompletedProcess(command, 5)

    monkeypatch.setattr(shell.subprocess, "run", run)
    assert shell.shell("data", StageOptions(runner="docker")) == 5
    made = daemon.created[-1]
    folders = {folder.target: folder for folder in made.folders}
    assert folders["/nanoforge/inputs/here"] == (str(tmp_path), "/nanoforge/inputs/here", True)
    assert {target for target, folder in folders.items() if not folder.read_only} == {
        "/nanoforge/output",
        "/nanoforge/scratch",
    }
    assert made.command == ["/bin/sh"] and made.service.network_mode == "none"
    assert called[0][0][:4] == ["docker", "start", "--attach", "--interactive"] and called[0][1] == daemon.address
    assert daemon.containers({}) == []
    assert not os.path.exists(folders["/nanoforge/output"].source)


def test_a_shell_in_what_is_an_image_only_needs_containers(daemon):
    with pytest.raises(BadInput, match="train-gpu is an image only: use --runner docker"):
        shell.shell("train-gpu", StageOptions(runner="local"))
    with pytest.raises(BadInput, match="Unknown environment nothing; environments are data, train"):
        shell.shell("nothing", StageOptions(runner="docker"))
