"""compose.yml as the runner reads it: what it honours, what it refuses, and what an image is made from."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from nanoforge.containers import compose
from nanoforge.errors import BadInput

CLONE = Path(__file__).resolve().parents[2]
STAGE_SERVICES = ("data", "train", "train-gpu", "jetson")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    for name in ("compose.yml", ".env"):
        shutil.copy(CLONE / name, tmp_path / name)
    shutil.copytree(CLONE / "docker", tmp_path / "docker")
    monkeypatch.setattr(compose, "HOME", tmp_path)
    for name in ("DATA_BASE", "JETSON_RUNTIME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def change(clone, old, new):
    path = clone / "compose.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_service_of_a_stage_is_confined(clone):
    for name in STAGE_SERVICES:
        service = compose.service(name)
        assert service.network_mode == "none" and service.read_only and service.init
        assert service.cap_drop == ["ALL"] and service.security_opt == ["no-new-privileges:true"]
        assert service.memory > 0 and service.pids_limit > 0
        assert all(volume.endswith(":ro") for volume in service.volumes)
        assert not service.user.startswith("0:")


def test_servers_listen_on_loopback_only(clone):
    for name in ("tensorboard", "view"):
        service = compose.service(name)
        assert service.ports and all(port.startswith("127.0.0.1:") for port in service.ports)
        assert all(volume.endswith(":ro") for volume in service.volumes)


def test_the_gpu_is_asked_for_where_one_is_needed(clone):
    assert [device.capabilities for device in compose.service("train-gpu").devices] == [["gpu"]]
    assert compose.service("jetson").runtime == "nvidia" and compose.service("jetson").platform == "linux/arm64"
    assert not compose.service("train").devices


def test_variables_come_from_the_file_the_shell_and_the_runner_in_that_order(clone, monkeypatch):
    assert compose.service("data").build.args["BASE_IMAGE"].startswith("python:3.11")
    monkeypatch.setenv("DATA_BASE", "mine:1")
    assert compose.service("data").build.args["BASE_IMAGE"] == "mine:1"
    assert compose.service("data", {"DATA_BASE": "ours:2"}).build.args["BASE_IMAGE"] == "ours:2"


def test_a_caller_who_is_not_root_owns_what_is_made(clone, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 99)
    assert compose.service("data").user == "1234:99"


def test_no_stage_is_root(clone, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("NANOFORGE_UID", "0")
    with pytest.raises(BadInput, match="user"):
        compose.service("data")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    mem_limit: 4g\n", "    mem_limit: 4g\n    privileged: true\n", "unknown field privileged"),
        ("mem_limit: 4g", "mem_limit: much", "matching regex"),
        ("stop_grace_period: 10s", "stop_grace_period: 1m", "matching regex"),
        ("${DATA_BASE}", "${DATA_BAES}", "the variable DATA_BAES is not set"),
        ("${DATA_BASE}", "${DATA_BASE:-x}", r"only \$\{NAME\} is understood"),
        ("  data:\n", "  data: [\n", "is not valid YAML"),
        ("  data:\n", "  dada:\n", "declares no service data; services are dada"),
        ("      target: cpu\n", "      target: cpu\n      ssh: x\n", "unknown field ssh"),
    ],
)
def test_what_cannot_be_honoured_is_refused(clone, old, new, words):
    change(clone, old, new)
    with pytest.raises(BadInput, match=words):
        for name in ("data", "train"):
            compose.service(name)


def test_every_variable_of_the_file_has_a_default():
    used = set(yaml.safe_load((CLONE / "compose.yml").read_text())["services"])
    assert used == {*STAGE_SERVICES, "tensorboard", "view"}
    for name in used:
        compose.service(name)


def test_an_image_is_another_when_anything_that_goes_into_it_is(clone):
    before = compose.image_recipe(compose.service("train"))
    assert compose.image_recipe(compose.service("train")) == before
    assert compose.image_recipe(compose.service("train-gpu")) != before
    assert compose.image_recipe(compose.service("train", {"TRAIN_BASE": "other"})) != before
    for file in ("docker/train/Dockerfile", "docker/train/build.lock", "docker/health.py"):
        path = clone / file
        text = path.read_text()
        path.write_text(text + "\n")
        assert compose.image_recipe(compose.service("train")) != before, file
        path.write_text(text)
    assert compose.image_recipe(compose.service("train", {"CUDA_BASE": "other"})) == before
    assert compose.image_recipe(compose.service("train-gpu", {"CUDA_BASE": "other"})) != compose.image_recipe(
        compose.service("train-gpu")
    )
    (clone / "docker/train/gpu.lock").write_text("the GPU's alone")
    (clone / "docker/data/requirements.lock").write_text("another suite's")
    assert compose.image_recipe(compose.service("train")) == before


def test_dockerfiles_build_with_the_classic_builder():
    """docker-py has no BuildKit."""
    for dockerfile in CLONE.glob("docker/*/Dockerfile"):
        text = dockerfile.read_text()
        for word in ("--mount", "<<EOF", "--link", "--chmod", "# syntax"):
            assert word not in text, f"{dockerfile}: {word}"
        assert "--require-hashes" in text and "\nUSER " in text and "HEALTHCHECK" in text
