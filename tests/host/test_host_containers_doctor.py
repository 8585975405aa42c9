"""What doctor finds of a daemon in memory, and what placement asks compose.yml for."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from nanoforge.config.schema import Config, HostSection, RunnerSection
from nanoforge.console import Console
from nanoforge.containers import compose, images
from nanoforge.containers.container import labels_of, sweep_left_over
from nanoforge.containers.daemon import Container
from nanoforge.containers.jetpack import base_variables
from nanoforge.doctor import docker, run
from nanoforge.doctor.finding import ERROR, NOTE, OK, WARNING
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.runners import placement, virtual_environments
from nanoforge.runners.docker import DockerRunner
from nanoforge.runners.local import LocalRunner
from nanoforge.runners.placement import NO_OVERRIDE, Placement, PlacementOverride
from tests.fakes.daemon import FACTS, FakeDaemon

CLONE = Path(__file__).resolve().parents[2]


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    for name in ("JETSON_BASE", "JETSON_TARGET", "JETSON_RUNTIME"):
        monkeypatch.delenv(name, raising=False)
    return FakeDaemon(tmp_path / "daemon")


def found_by(daemon, *services, l4t=""):
    return {found.name: found for found in docker.findings(daemon, services or ["data"], l4t)}


def test_a_daemon_that_lacks_nothing_is_ok(daemon):
    service = compose.service("data")
    daemon.add_image(service.image, images._labels(service))
    found = found_by(daemon)
    assert {name for name, row in found.items() if row.severity != OK} == {"clock"}, "its clock stands still"
    assert found["daemon"].message == "Docker 20.10, Debian x86_64, here"
    assert found["image data"].message == "built from what is in docker/, 5 MiB"
    assert "data 4 GiB" in found["daemon mem"].message


@pytest.mark.parametrize(
    ("told", "name", "severity", "words"),
    [
        ({"security": ("name=userns",)}, "users", ERROR, "use a daemon without it"),
        ({"storage_driver": "vfs"}, "storage", WARNING, "overlay2"),
        ({"memory": 1 << 30}, "daemon mem", WARNING, "lower train.batch_size"),
    ],
)
def test_what_a_daemon_lacks_comes_with_its_remedy(daemon, told, name, severity, words):
    daemon.told = replace(FACTS, **told)
    row = found_by(daemon)[name]
    assert row.severity == severity and words in row.remedy


def test_an_image_that_is_missing_or_of_another_processor_is_told(daemon):
    assert found_by(daemon)["image data"].severity == NOTE
    service = compose.service("data")
    daemon.add_image(service.image, images._labels(service), "arm64")
    row = found_by(daemon)["image data"]
    assert row.severity == WARNING and row.message == "it is for arm64, the machine is amd64: emulated, slow"


def test_a_board_needs_its_runtime_and_its_l4t(daemon):
    found = found_by(daemon, "jetson")
    assert found["runtime"].severity == ERROR and "nvidia-container-runtime" in found["runtime"].remedy
    assert found["image jetson"].severity == ERROR and "L4T of the Jetson is not known" in found["image jetson"].remedy
    daemon.told = replace(FACTS, runtimes=("nvidia", "runc"))
    found = found_by(daemon, "jetson", l4t="32.7.1")
    assert (found["runtime"].severity, found["image jetson"].severity) == (OK, NOTE)


def test_the_disk_of_a_daemon_elsewhere_is_seen_by_a_container(tmp_path, daemon):
    far = FakeDaemon(tmp_path / "far", "nano", shares_files=False)
    assert found_by(far)["daemon disk"].severity == NOTE
    far.add_image("nanoforge-data")
    far.program = lambda process: process.print(str(2 << 30))
    row = found_by(far)["daemon disk"]
    assert (row.severity, row.message) == (WARNING, "2.0 GiB free") and far.containers({}) == []


def test_what_helps_a_host_is_done_on_that_host(tmp_path, daemon):
    far = FakeDaemon(tmp_path / "far", "nano", shares_files=False)
    far.told = replace(FACTS, security=("name=userns",))
    remedies = [row.remedy for row in docker.findings(far, ["data"])]
    far.add_image("nanoforge-data")
    far.program = lambda process: process.print(str(2 << 30))
    remedies += [row.remedy for row in docker.findings(far, ["data"])]
    commands = [command for remedy in remedies for command in re.findall(r"./run [^;,]*", remedy)]
    assert len(commands) == 4 and all("--host nano" in command for command in commands), remedies
    assert not any("--runner" in remedy for remedy in remedies)


def test_doctor_tells_of_this_machine_with_and_without_a_daemon(daemon, monkeypatch, capsys):
    def reported():
        try:
            run.run(True, "", "")
        except Exit:
            pass
        return {row["name"]: row for row in json.loads(capsys.readouterr().out)["findings"]}

    monkeypatch.setattr(run, "connect", lambda: daemon)
    with_one = reported()
    assert {"daemon", "users", "image data", "image train", "env data", "env train", "gpu"} <= {*with_one}

    def silence():
        raise EnvironmentNotReady("No Docker daemon answers.")

    monkeypatch.setattr(run, "connect", silence)
    without = reported()

    def nonsense():
        raise BadInput("DOCKER_HOST = 'x' is none.")

    monkeypatch.setattr(run, "connect", nonsense)
    assert (reported()["daemon"]["severity"], reported()["daemon"]["remedy"]) == (ERROR, "DOCKER_HOST = 'x' is none.")
    assert without["daemon"] == {
        "name": "daemon", "severity": NOTE, "message": "none answers, so stages run in virtual environments",
        "remedy": "No Docker daemon answers.",
    }  # fmt: skip


def test_doctor_looks_at_a_host_of_the_project(tmp_path, monkeypatch, capsys):
    far = FakeDaemon(tmp_path / "far", "nano", shares_files=False)
    host = '[dataset]\nclasses = ["cat"]\n[hosts.nano]\ndocker = "ssh://me@nano"\nenvironment = "data"\n'
    (tmp_path / "detector.toml").write_text(host)
    monkeypatch.setattr(run, "connect", lambda *_: far)
    with pytest.raises(Exit):
        run.run(False, "nano", str(tmp_path))
    said = capsys.readouterr().out
    assert "nano answers at ssh://me@nano" in said and "elsewhere, so that files are sent to it" in said
    assert "--selftest" not in said, "no board of the environment jetson"
    (tmp_path / "detector.toml").write_text(host.replace('"data"', '"jetson"'))
    with pytest.raises(Exit):
        run.run(False, "nano", str(tmp_path))
    assert "./run build-engine --selftest --host nano" in capsys.readouterr().out
    with pytest.raises(BadInput, match=r"no \[hosts.nona\]; hosts are nano"):
        run.run(False, "nona", str(tmp_path))


# --- environments: compose.yml declares them, and everything else asks it


def test_the_environments_are_the_services_with_a_build():
    assert list(compose.environments()) == ["data", "train", "train-gpu", "jetson"]
    assert compose.usual_environments() == ["data", "train"]
    assert compose.facts("train").gpu in compose.environments()
    with pytest.raises(BadInput, match="Unknown environment view; environments are data, train, train-gpu, jetson"):
        compose.facts("view")


def test_a_virtual_environment_has_its_python_and_the_locks_of_the_image():
    data, train = compose.local_environment("data"), compose.local_environment("train")
    assert data.python == "any" and train.python == virtual_environments.PYTHON36
    assert [lock.name for lock in train.locks] == ["build.lock", "requirements.lock"]
    assert [f"{lock.parent.name}/{lock.name}" for lock in data.locks] == ["data/requirements.lock"]
    jetson = compose.local_environment("jetson")
    assert jetson.python == virtual_environments.JETPACK
    assert [f"{lock.parent.name}/{lock.name}" for lock in jetson.locks] == ["jetson/requirements.lock"]
    with pytest.raises(BadInput, match="train-gpu is an image only: use --runner docker"):
        compose.local_environment("train-gpu")


def test_only_a_board_gets_its_base_from_its_l4t(daemon):
    assert base_variables("data", "32.7.1") == {}
    assert base_variables("jetson", "32.7.1")["JETSON_BASE"].endswith(":r32.7.1")


def test_a_container_is_told_the_l4t_that_it_cannot_see(daemon, monkeypatch):
    found = base_variables("jetson", "32.7.4")
    assert (found["JETSON_BASE"].rpartition(":")[2], found["JETSON_L4T"]) == ("r32.7.1", "32.7.4")
    assert compose.service("jetson", found).environment == {"NANOFORGE_L4T": "32.7.4"}
    monkeypatch.setenv("JETSON_BASE", "mine:1")
    assert base_variables("jetson", "32.7.4") == {"JETSON_L4T": "32.7.4"}
    assert compose.service("jetson").environment == {"NANOFORGE_L4T": ""}


def placed(monkeypatch, daemon, *, where=NO_OVERRIDE, gpu=False, **host):
    monkeypatch.setattr(placement, "connect", lambda *_: daemon)
    monkeypatch.setattr(placement, "answers", lambda: daemon)
    hosts = {"nano": HostSection(docker="ssh://me@nano", **host)}
    return Placement(Config(runner=RunnerSection(gpu=gpu), hosts=hosts), Console(), where)


def test_a_stage_gets_the_environment_of_its_place(monkeypatch, daemon):
    there = PlacementOverride(hosts={"detect": "nano"})
    found = placed(monkeypatch, daemon, where=there, environment="jetson", l4t="32.7.1")
    assert found.runner("detect", "data", also=("jetson",)).environment == "jetson"
    with pytest.raises(BadInput, match="detect needs environment data, but hosts.nano.environment is jetson"):
        found.runner("detect", "data")
    assert found.runner("train", "train", gpu=True).environment == "train", "runner.gpu is off"


def test_runner_gpu_is_for_stages_that_have_use_for_one_and_for_this_machines_daemon(monkeypatch, daemon):
    found = placed(monkeypatch, daemon, gpu=True)
    assert found.runner("train", "train", gpu=True).environment == "train-gpu"
    assert found.runner("export", "train").environment == "train"
    assert found.runner("detect", "data", gpu=True).environment == "data", "there is no other for a GPU"


def test_a_runner_is_made_once_for_each_place_and_environment(monkeypatch, daemon):
    found = placed(monkeypatch, daemon)
    assert isinstance(found.runner("train", "train"), DockerRunner)
    assert found.runner("export", "train") is found.runner("train", "train")
    local = placed(monkeypatch, daemon, where=PlacementOverride(runner="local"))
    assert isinstance(local.runner("train", "train"), LocalRunner)
    assert local.runner("train", "train").environment == "train"


def test_a_host_with_an_unknown_environment_is_named(monkeypatch, daemon):
    with pytest.raises(BadInput, match="hosts.nano.environment = 'nvidia': unknown environment; environments are data"):
        placed(monkeypatch, daemon, environment="nvidia")


@pytest.fixture
def gone():
    """The labels of a container whose process has ended."""
    said = "from nanoforge.containers.container import labels_of; print(labels_of('me')['nanoforge.process'])"
    path = os.pathsep.join([str(CLONE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", said]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    return {"nanoforge.owner": "me", "nanoforge.process": ended.stdout.strip()}


def test_what_a_crash_left_is_swept_on_every_connected_daemon(monkeypatch, daemon, gone):
    """What a command that still goes on runs stays, such as a viewer during a build, and what others run elsewhere."""
    daemon.add_image("nanoforge-data")
    found = placed(monkeypatch, daemon)
    found.runner("detect", "data")
    machine, number, began = gone["nanoforge.process"].split(" ")
    kept = [
        labels_of("me"),
        {**gone, "nanoforge.process": f"another-{machine} {number} {began}"},
        {"nanoforge.owner": "me"},
    ]
    left = [gone, {**gone, "nanoforge.owner": "somebody else here"}, {**gone, "nanoforge.process": f"{machine} 1 0"}]
    for labels in (*kept, *left):
        daemon.create(Container(compose.service("data"), "nanoforge-data", ["true"], labels=labels))
    found.sweep("me")
    assert [{**here.labels} for here in daemon.containers({})] == [{**labels, "nanoforge": "1"} for labels in kept]


def test_what_others_left_on_a_host_is_theirs(daemon, gone):
    """Two machines may have the same name; a host serves both."""
    daemon.add_image("nanoforge-data")
    daemon.shares_files = False
    for owner in ("me", "somebody else"):
        labels = {**gone, "nanoforge.owner": owner}
        daemon.create(Container(compose.service("data"), "nanoforge-data", ["true"], labels=labels))
    sweep_left_over(daemon, "me")
    assert [found.labels["nanoforge.owner"] for found in daemon.containers({})] == ["somebody else"]
