"""Where stages run, and what doctor says of the machine: choices by options and config, GPUs, a daemon's own words."""

import io
import re
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoforge.commands.options import StageOptions
from nanoforge.commands.stages import preview_running
from nanoforge.config import schema
from nanoforge.console import Console
from nanoforge.containers import error_messages, volumes
from nanoforge.containers.connection import connect
from nanoforge.containers.daemon import DaemonFacts, seconds_of
from nanoforge.doctor import docker, gpu
from nanoforge.doctor.finding import ERROR, NOTE, OK, WARNING
from nanoforge.errors import BadInput, EnvironmentNotReady, StageFailed
from nanoforge.runners import placement
from nanoforge.runners.placement import Placement, PlacementOverride
from tests.fakes.daemon import FakeDaemon


def configured(**runner):
    hosts = {"nano": schema.HostSection(docker="ssh://me@nano", environment="jetson", l4t="32.7.1")}
    return schema.Config(runner=schema.RunnerSection(**runner), hosts=hosts)


@pytest.mark.parametrize(
    ("runner", "where", "answers", "place"),
    [
        ({}, PlacementOverride(), False, "local"),
        ({}, PlacementOverride(), True, "docker"),
        ({"use": "local"}, PlacementOverride(), True, "local"),
        ({"use": "docker"}, PlacementOverride(), False, "docker"),
        ({"use": "docker", "stages": {"detect": "local"}}, PlacementOverride(), True, "local"),
        ({"stages": {"detect": "nano"}}, PlacementOverride(), False, "nano"),
        ({"stages": {"train": "nano"}}, PlacementOverride(), False, "local"),
        ({"use": "local"}, PlacementOverride(runner="docker"), True, "docker"),
        ({"stages": {"detect": "nano"}}, PlacementOverride(runner="local"), True, "local"),
        ({"use": "local"}, PlacementOverride(runner="local", hosts={"detect": "nano"}), True, "nano"),
        ({"use": "local"}, PlacementOverride(hosts={"train": "nano"}), True, "local"),
    ],
)
def test_who_says_where_a_stage_runs(monkeypatch, runner, where, answers, place):
    monkeypatch.setattr(placement, "answers", lambda: object() if answers else None)
    assert Placement(configured(**runner), Console(), where).place("detect") == place


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (PlacementOverride(runner="podman"), "expected one of auto, docker, local"),
        (PlacementOverride(hosts={"detect": "nona"}), r"no \[hosts.nona\]; hosts are nano"),
    ],
)
def test_an_unknown_runner_or_host_is_named(where, words):
    with pytest.raises(BadInput, match=words):
        Placement(configured(), Console(), where)


def test_a_stage_that_does_not_exist_is_named():
    placement = Placement(configured(stages={"detcet": "local"}), Console(), PlacementOverride())
    with pytest.raises(BadInput, match="runner.stages names unknown stage detcet; stages are render, detect"):
        placement.check_stages(["render", "detect"])


def test_a_host_runs_only_what_its_environment_holds(monkeypatch):
    found = Placement(configured(), Console(), PlacementOverride(hosts={"train": "nano"}))
    with pytest.raises(BadInput, match=r"train needs environment train, but hosts.nano.environment is jetson"):
        found.runner("train", "train")


def test_a_host_is_not_for_what_belongs_to_no_project():
    with pytest.raises(BadInput, match="leave it out together with --graph"):
        StageOptions(host="nano").placement()
    with pytest.raises(BadInput, match="leave out --host"):
        preview_running(StageOptions(host="nano"))


def test_without_an_ssh_client_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentNotReady, match="apt install openssh-client"):
        connect("nano", "ssh://me@nano")


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "2026-01-01T09:00:00.5+09:00", "2025-12-31T19:00:00-05:00"],
)
def test_a_daemons_clock_is_read_with_its_offset(text):
    assert seconds_of(text) == 1767225600


def fake_nvidia_smi(tmp_path, monkeypatch, text):
    """A line for each GPU, as its documentation has it for the options that gpu.py gives."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def facts(*runtimes, **more):
    words = {"version": "20", "architecture": "x86_64", "cpus": 2, "memory": 8 << 30, "storage_driver": "overlay2",
             "root": "/", "security": (), "time": "2026-01-01T00:00:00.5Z", "system": "Debian"}  # fmt: skip
    return DaemonFacts(**{**words, "runtimes": runtimes, **more})


@pytest.mark.parametrize(
    ("line", "severity", "words"),
    [
        ("NVIDIA GeForce GTX 1080, 6.1, 8192", OK, "compute capability 6.1"),
        ("Tesla V100-SXM2-16GB, 7.0, 16160", OK, "7.0"),
        ("NVIDIA GeForce RTX 2080, 7.5, 8192", WARNING, "CUDA 9.0 cannot drive it"),
        ("NVIDIA GeForce RTX 3090, 8.6, 24576", WARNING, "CUDA 9.0 cannot drive it"),
        ("GeForce GT 430, 2.1, 1024", WARNING, "needs at least 3.5"),
    ],
)
def test_a_gpu_is_judged_by_its_compute_capability(tmp_path, monkeypatch, line, severity, words):
    fake_nvidia_smi(tmp_path, monkeypatch, line)
    found = next(iter(gpu.findings(facts("nvidia"))))
    assert found.severity == severity and words in found.message
    assert severity == OK or found.remedy


@pytest.mark.parametrize("text", ["", "nonsense", "a, b, c", "Failed to initialize NVML: Driver mismatch"])
def test_a_driver_that_tells_nothing_is_no_gpu(tmp_path, monkeypatch, text):
    fake_nvidia_smi(tmp_path, monkeypatch, text)
    assert [found.severity for found in gpu.findings(None)] == [NOTE]


def test_a_usable_gpu_needs_the_daemons_runtime(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, monkeypatch, "Tesla P100, 6.0, 16280")
    assert [found.severity for found in gpu.findings(facts("runc"))] == [OK, WARNING]
    assert [found.severity for found in gpu.findings(facts("nvidia"))] == [OK, OK]


def test_a_daemon_that_maps_users_cannot_be_used(tmp_path):
    daemon = FakeDaemon(tmp_path)
    assert docker._confinement(daemon, facts(security=("name=seccomp", "name=rootless"))).severity == ERROR
    assert docker._confinement(daemon, facts(security=("name=userns",))).severity == ERROR
    assert docker._confinement(daemon, facts(security=("name=seccomp,profile=default",))).severity == OK


def test_a_clock_that_is_off_is_told():
    found = docker._clock(facts())
    assert found.severity == WARNING and "timedatectl" in found.remedy


# What daemons were seen to say, and the remedy that must be named.
SAID = {
    "write /x: no space left on device": "disk is full",
    "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device": "disk is full",
    "E: You don't have enough free space in /var/cache/apt/archives/.": "disk is full",
    "write /x: disk quota exceeded": "disk is full",
    'could not select device driver "" with capabilities: [[gpu]]': "nvidia-container-toolkit",
    "Unknown runtime specified nvidia": "nvidia-container-runtime",
    "standard_init_linux.go:228: exec user process caused: exec format error": "qemu-user-static",
    "Minimum memory limit allowed is 6MB": "at least 200",
    "pull access denied for nanoforge-x, repository does not exist": "images --load",
    "Get https://x/v2/: dial tcp: lookup x: no such host": "images --load",
    "driver failed: Bind for 127.0.0.1:6006 failed: port is already allocated": "--port",
}


@pytest.mark.parametrize(("said", "remedy"), SAID.items())
def test_a_daemons_words_come_with_their_remedy(said, remedy):
    sentence = error_messages.refusal("Docker daemon", "", "doing that", said)
    assert remedy in sentence and said in sentence


def test_a_hosts_words_come_with_remedies_for_that_host():
    for said in SAID:
        sentence = error_messages.refusal("nano", " --host nano", "doing that", said)
        assert all("--host nano" in command for command in re.findall("`(./run .*?)`", sentence)), sentence


def archive(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return tarfile.open(fileobj=io.BytesIO(buffer.getvalue()))


def link(name, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../evil"),
        tarfile.TarInfo("/etc/evil"),
        tarfile.TarInfo("./a/../../evil"),
        link("link", "/etc/passwd"),
    ],
)
def test_an_archive_from_the_far_end_cannot_leave_the_output(tmp_path, member):
    into = tmp_path / "output"
    into.mkdir()
    with pytest.raises(StageFailed, match="is not a plain file inside the output"):
        list(volumes._unpacked(archive((member, b"")), into, lambda _: None))
    assert list(tmp_path.iterdir()) == [into] and not list(into.iterdir())


NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_what_is_sent_is_what_an_archive_reader_reads(tmp_path_factory, contents):
    names = [name for name in contents if not any(other.startswith(f"{name}/") for other in contents)]
    folder = tmp_path_factory.mktemp("send")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents[name])
    counted = []
    stream = volumes._TarStream({name: folder / name for name in names}, 1000, counted.append)
    data = b"".join(stream.blocks())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}
        assert all(member.uid == 1000 for member in tar.getmembers())
    assert read == {name: contents[name] for name in names}
    assert sum(counted) == sum(len(contents[name]) for name in names)
    assert {name: file.size for name, file in stream.sent.items()} == {name: len(contents[name]) for name in names}
