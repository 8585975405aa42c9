"""The whole chain in containers, held against the local runner stage by stage; its last step on another machine."""

import json
import re
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from conftest import CLONE, eventually, run

from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.files.digests import sha256_file
from nanoforge.files.selection import walk
from nanoforge.pipeline.project import Project
from nanoforge.pipeline.stages import STAGES, ArtifactInput
from nanoforge.runners.contract import EventSink, Limits, StageInput, StageRun
from nanoforge.runners.local import LocalRunner
from nanoforge.stop import Stop

CONFIG = re.search(r'CONFIG = """\n(.*?)"""', (CLONE / "tests/chain/test_chain.py").read_text(), re.DOTALL).group(1)
CHAIN = ["render", "records", "train", "evaluate", "export", "audit", "convert", "detect", "report"]


@pytest.fixture(scope="module")
def detector(images, tmp_path_factory):
    """A small detector, built in containers."""
    folder = tmp_path_factory.mktemp("chain") / "detector"
    folder.mkdir()
    (folder / "detector.toml").write_text(CONFIG)
    run(CLONE / "run", "build", "--runner", "docker", cwd=folder)
    return folder


def artifact(detector, stage):
    return json.loads((detector / "build" / stage / "record.json").read_text())


def made_here(detector, stage, folder):
    """Run a stage by the local runner on the inputs that the containers had; gives its outcome and output folder."""
    project = Project(detector / "detector.toml", [], Console())
    row = STAGES[stage]
    inputs = {
        name: StageInput(detector / "build" / source.stage / source.part)
        for name, source in row.inputs(project.context).items()
        if isinstance(source, ArtifactInput)
    }
    runner = LocalRunner(compose.local_environment(row.environment), project.console, "")
    runner.prepare()
    run_here = StageRun(
        stage, row.module, inputs, row.parameters(project.context), folder / "output", folder / "scratch",
        folder / "log", Limits(0, 0), "work", "owner",
    )  # fmt: skip
    outcome = runner.run(run_here, EventSink(lambda *_: None, print), Stop())
    return outcome, folder / "output"


def test_everything_ran_in_the_images_and_says_so(detector):
    for stage in CHAIN:
        record = artifact(detector, stage)
        assert record["runner"] == "docker" and record["tools"]["image"] == record["recipe"]["image"]
        assert record["recipe"]["image"].startswith("sha256:")
    provenance = json.loads((detector / "build/train/provenance.json").read_text())
    assert provenance["predicate"]["runDetails"]["builder"]["id"] == "urn:nanoforge:runner:docker"


@pytest.mark.parametrize("stage", ["render", "records", "evaluate", "export", "audit", "convert", "detect"])
def test_a_deterministic_stage_makes_the_same_bytes_in_a_container_and_here(detector, stage, tmp_path):
    _, output = made_here(detector, stage, tmp_path)
    made = {stat.path: sha256_file(output / stat.path) for stat in walk(output)}
    assert made == {path: entry["sha256"] for path, entry in artifact(detector, stage)["files"].items()}


def test_training_is_as_good_in_a_container_as_here(detector, tmp_path):
    outcome, _ = made_here(detector, "train", tmp_path)
    there = artifact(detector, "train")["metrics"]
    assert outcome.metrics["steps"] == there["steps"]
    assert abs(outcome.metrics["mAP"] - there["mAP"]) < 0.02
    assert abs(outcome.metrics["loss"] - there["loss"]) < 0.1 * there["loss"]


def test_a_second_build_runs_nothing_and_another_runner_says_why_it_would(detector):
    said = run(CLONE / "run", "build", "--runner", "docker", cwd=detector).stderr
    assert [line for line in said.splitlines() if line.endswith(": fresh")] == [f"{name}: fresh" for name in CHAIN]
    why = run(CLONE / "run", "explain", "render", "--runner", "local", cwd=detector, code=1).stdout
    assert re.search(r"made in image [0-9a-f]{12}, and would be made in a virtual environment", why)


def test_detect_runs_on_a_machine_of_another_processor_behind_ssh(detector, spare):
    """The jetson image is arm64, emulated here; the pictures come back with boxes, and nothing is left but inputs."""
    run(CLONE / "run", "images", "--environments", "jetson", cwd=CLONE)
    spare.take("nanoforge-jetson")
    host = f'\n[hosts.nano]\ndocker = "{spare.url}"\nenvironment = "jetson"\nl4t = "32.7.1"\n'
    config = detector / "detector.toml"
    config.write_text(config.read_text() + host)
    here = json.loads((detector / "build/detect/detections.json").read_text())
    said = run(CLONE / "run", "detect", "--host", "nano", "--runner", "docker", cwd=detector).stderr
    record = artifact(detector, "detect")
    assert record["runner"] == "nano" and record["tools"]["platform"] == "Linux aarch64"
    assert "emulated" in run(CLONE / "run", "doctor", "--host", "nano", cwd=detector, code=1).stdout, said
    there = json.loads((detector / "build/detect/detections.json").read_text())
    assert [found["file"] for found in there["pictures"]] == [found["file"] for found in here["pictures"]]
    worst = max(
        abs(one["score"] - other["score"])
        for mine, theirs in zip(here["pictures"], there["pictures"])
        for one, other in zip(mine["detections"], theirs["detections"])
    )
    assert worst < 1e-4
    drawings = list((detector / "build/detect/pictures").iterdir())
    assert len(drawings) == len(there["pictures"])
    assert spare.docker("ps", "-aq").split() == []


def test_an_interrupted_training_goes_on_from_its_checkpoint(detector):
    """Ctrl-C on the command itself: the container is gone, and the next command continues."""
    longer = [CLONE / "run", "train", "--runner", "docker", "--set", "train.steps=30"]
    command = subprocess.Popen(longer, cwd=detector, stderr=subprocess.DEVNULL, preexec_fn=_hear_interrupts)
    work = detector / "build/store/train"
    eventually(lambda: list(work.glob("work-*/scratch/checkpoints/*-20.index")), 300)
    command.send_signal(signal.SIGINT)
    assert command.wait(60) == 130
    assert run("docker", "ps", "-aq", "--filter", "label=nanoforge=1").stdout == ""
    run(*longer, cwd=detector)
    log = max((detector / "build/logs").glob("train-*.log"), key=lambda path: path.stat().st_mtime).read_text()
    first = json.loads(re.search(r'::nanoforge:: ({"progress".*)', log).group(1))["progress"]
    assert 20 <= first["done"] < 30


def _hear_interrupts():
    # A test run in the background ignores Ctrl-C, and so would what it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_tensorboard_and_view_listen_on_loopback_only(detector):
    for command, page in (("view", "built/report/report.html"), ("tensorboard", "data/logdir")):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [str(CLONE / "run"), command, "--port", str(port), "--runner", "docker"], cwd=detector,
            stderr=subprocess.PIPE, text=True, preexec_fn=_hear_interrupts,
        )  # fmt: skip
        try:
            text = _page(f"http://127.0.0.1:{port}/{page}")
            assert text
            listening = run("ss", "-ltnH", f"sport = :{port}").stdout.split()
            assert f"127.0.0.1:{port}" in listening and f"0.0.0.0:{port}" not in listening
            run(CLONE / "run", "build", "--runner", "docker", cwd=detector)
            assert server.poll() is None, "a build sweeps left-over stages away, and no server"
        finally:
            server.send_signal(2)
            assert server.wait(60) in (0, 130), server.stderr.read()
            server.stderr.close()
        assert run("docker", "ps", "-aq", "--filter", "label=nanoforge=1").stdout == ""


def _page(address):
    deadline = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
