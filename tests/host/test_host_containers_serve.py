"""Servers and shells in containers, on a daemon in memory: what they see, where they listen, and that they end."""

import os
import re

import pytest

from nanoforge.commands import serve, shell, view
from nanoforge.commands.options import StageOptions
from nanoforge.containers import compose, images
from nanoforge.containers.container import labels_of
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.runners import placement
from nanoforge.runners.placement import owner_of
from tests.fakes.daemon import FakeDaemon, wait_until_stopped


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
    view.view(project, (), "", 0, "127.0.0.1")
    made = server(daemon)
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d+:8000", *made.service.ports) and made.service.read_only
    told, build = [folder for folder in made.folders if folder.target.startswith("/nanoforge/inputs")]
    assert (told.target, os.path.basename(told.source)) == ("/nanoforge/inputs/view", "view.json")
    assert build == (str(tmp_path / "detector" / "build"), "/nanoforge/inputs/1", True)
    assert all(folder.read_only for folder in made.folders)
    assert made.command == compose.service("view").command and daemon.containers({}) == []


def test_tensorboard_sees_the_events_and_nothing_else_of_the_project(daemon, project, tmp_path):
    events = tmp_path / "detector" / "build" / "store" / "train" / "0123" / "events"
    work = serve.Work(events_of(events), "127.0.0.1", 6006, "TensorBoard")
    serve.serve(serve.base_of(project.project()), serve.TENSORBOARD, work)
    made = server(daemon)
    assert [folder.source for folder in made.folders if folder.target.startswith("/nanoforge/inputs")] == [str(events)]


def events_of(folder):
    folder.mkdir(parents=True)
    return folder


def test_a_server_ends_with_its_runner_and_bears_what_finds_it_when_it_did_not(daemon, project, tmp_path):
    view.view(project, (), "", 0, "127.0.0.1")
    made = server(daemon)
    assert made.environment["NANOFORGE_PARENT_PIPE"] == "1"
    assert labels_of(owner_of(tmp_path / "detector")).items() <= made.labels.items()


def test_a_server_is_announced_when_it_listens_and_not_before(daemon, project, capsys):
    said = []

    def listen(process):
        said.append(capsys.readouterr().err)
        process.emit(listening=8000)
        process.emit(listening=8000)
        return 0

    daemon.program = listen
    view.view(project, (), "", 0, "127.0.0.1")
    assert "http" not in said[0]
    announced = re.findall(r"http://127\.0\.0\.1:(\d+)/ ", capsys.readouterr().err)
    assert [f"127.0.0.1:{port}:8000" for port in announced] == server(daemon).service.ports


def test_a_server_that_cannot_run_is_a_sentence_with_its_last_words(daemon, project):
    daemon.program = lambda process: process.print("Cannot do it", 2) or 1
    with pytest.raises(StageFailed, match=r"^view: it ended with exit code 1 and said: Cannot do it$"):
        view.view(project, (), "", 0, "127.0.0.1")


def test_a_server_that_knows_why_it_cannot_listen_says_it(daemon, project):
    daemon.program = lambda process: process.emit(error="it cannot listen on port 80 (Permission denied)") or 1
    with pytest.raises(StageFailed, match=r"^view: it cannot listen on port 80 \(Permission denied\)$"):
        view.view(project, (), "", 0, "127.0.0.1")


@pytest.mark.parametrize("code", [0, 130, 143])
def test_a_server_that_was_asked_to_end_has_not_failed(daemon, project, code):
    daemon.program = lambda process: code
    view.view(project, (), "", 0, "127.0.0.1")


def test_ctrl_c_ends_a_server_that_listens_and_interrupts_one_that_does_not_yet(daemon, project, monkeypatch):
    def interrupted(_daemon, _container, on_line, *_):
        for line in lines:
            on_line(line)
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "run_to_end", interrupted)
    lines = ["loading"]
    with pytest.raises(KeyboardInterrupt):
        view.view(project, (), "", 0, "127.0.0.1")
    lines = ['::nanoforge:: {"listening": 8000}']
    view.view(project, (), "", 0, "127.0.0.1")


def test_a_daemon_that_does_not_see_the_files_cannot_serve_them(daemon, project):
    daemon.shares_files = False
    with pytest.raises(BadInput, match="shows files of this machine, which the Docker daemon does not see"):
        view.view(project, (), "", 0, "127.0.0.1")


def test_there_must_be_something_to_show(daemon, project, tmp_path):
    (tmp_path / "detector" / "build" / "report").rmdir()
    with pytest.raises(StageFailed, match="run `build` first"):
        view.view(project, (), "", 0, "127.0.0.1")


def test_a_shell_is_started_by_dockers_own_tool_and_sees_what_a_stage_sees(daemon, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    called = []

    def run(command, variables, _folder, _end):
        called.append((command, variables["DOCKER_HOST"], len(daemon.containers({}))))
        return 5

    daemon.program = wait_until_stopped
    monkeypatch.setattr(shell, "_run", run)
    assert shell.shell("data", StageOptions(runner="docker")) == 5
    made = daemon.created[-1]
    folders = {folder.target: folder for folder in made.folders}
    assert folders["/nanoforge/inputs/here"] == (str(tmp_path), "/nanoforge/inputs/here", True)
    assert {target for target, folder in folders.items() if not folder.read_only} == {
        "/nanoforge/output",
        "/nanoforge/scratch",
    }
    assert made.service.network_mode == "none" and labels_of(owner_of(tmp_path)).items() <= made.labels.items()
    (command, address, running) = called[0]
    assert command[:3] == ["docker", "exec", "--interactive"] and command[-1] == "/bin/sh"
    assert (address, running) == (daemon.address, 1)
    assert daemon.containers({}) == []
    assert not os.path.exists(folders["/nanoforge/output"].source)


def test_a_shell_needs_dockers_own_tool(daemon, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    daemon.program = wait_until_stopped
    with pytest.raises(EnvironmentNotReady, match="needs Docker's command-line tool `docker`"):
        shell.shell("data", StageOptions(runner="docker"))
    assert daemon.containers({}) == [] and list((tmp_path / "cache" / "shells").glob("*")) == []


def test_a_shell_in_what_is_an_image_only_needs_containers(daemon):
    with pytest.raises(BadInput, match="train-gpu is an image only: use --runner docker"):
        shell.shell("train-gpu", StageOptions(runner="local"))
    with pytest.raises(BadInput, match="Unknown environment nothing; environments are data, train"):
        shell.shell("nothing", StageOptions(runner="docker"))
