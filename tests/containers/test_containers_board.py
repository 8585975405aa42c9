"""A board behind ssh: arm64, emulated, with a simulated TensorRT; from the bundle to jetson-inference."""

import json
import os
import shutil
import subprocess
from dataclasses import replace

import pytest
from conftest import CLONE, run

from nanoforge.config.reader import load
from nanoforge.config.schema import Config, DetectSection
from nanoforge.console import Console
from nanoforge.containers.compose import local_environment
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.stages import JETSON, row_in
from nanoforge.runners import virtual_environments
from nanoforge.runners.placement import Placement, PlacementOverride
from tests.fakes.detectnet import jetson_inference

BASE = "nanoforge-standin/board:test"
SIMULATED = "FROM {base}\nCOPY jetson /opt/jetson\nRUN echo /opt/jetson > {packages}/jetpack.pth\n"
PACKAGES = 'import sysconfig; print(sysconfig.get_path("purelib"))'


@pytest.fixture(scope="module")
def board(spare, tmp_path_factory):
    """The machine `nano`: what JetPack has in its Python is simulated there. Gives the folder of its detector.toml."""
    folder = tmp_path_factory.mktemp("board")
    arm64 = ["docker", "run", "--rm", "--platform", "linux/arm64", os.environ["JETSON_BASE"]]
    packages = run(*arm64, "python3", "-I", "-c", PACKAGES).stdout.strip()
    shutil.copytree(CLONE / "tests" / "fakes" / "jetson", folder / "context" / "jetson")
    (folder / "context" / "Dockerfile").write_text(SIMULATED.format(base=os.environ["JETSON_BASE"], packages=packages))
    run("docker", "build", "--platform", "linux/arm64", "--tag", BASE, folder / "context")
    host = f'[hosts.nano]\ndocker = "{spare.url}"\nenvironment = "jetson"\nl4t = "32.7.1"\n'
    (folder / "detector.toml").write_text(f'[dataset]\nclasses = ["cone"]\n{host}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETSON_BASE", BASE)
        run(CLONE / "run", "images", "--environments", "jetson", cwd=CLONE)
        spare.take("nanoforge-jetson")
        yield folder


@pytest.fixture(scope="module")
def bundle(board):
    """A small detector's bundle, made in a container here, and records beside it."""
    python = virtual_environments.ensure(local_environment("train"), Console())
    run(python, CLONE / "tests" / "fakes" / "small_detector.py", board)
    run(CLONE / "run", "bundle", "--model", "convert", "--out", "bundle", "--runner", "docker", cwd=board)
    return board / "bundle"


@pytest.fixture(scope="module")
def engine(board, bundle):
    words = ["build-engine", "--bundle", bundle / "detector.pyz", "--out", "engine", "--host", "nano"]
    run(CLONE / "run", *words, cwd=board)
    return board / "engine"


def test_an_engine_is_built_on_the_board_and_proven_there(engine, spare):
    sidecar = json.loads((engine / "engine.json").read_text())
    assert (sidecar["precision"], sidecar["l4t"]) == ("fp16", "32.7.1")
    assert json.loads((engine / "parity.json").read_text())["failures"] == []
    assert (engine / "model.engine").stat().st_uid == os.getuid()
    assert spare.docker("ps", "-aq").split() == []


def test_the_engine_detects_on_the_board_what_the_reference_does_there(board, engine):
    config = load(board / "detector.toml", [])
    found = {}
    for backend, inputs in (("reference", {"model": board / "convert"}), ("tensorrt", {"engine": engine})):
        context = StageContext(Config(detect=DetectSection(backend=backend, draw=False)), board)
        row = replace(row_in("detect", context), environment=JETSON)
        placement = Placement(config, Console(), PlacementOverride(hosts={"detect": "nano"}))
        work = AdhocRun(row, {**inputs, "records": board / "records"}, row.parameters(context))
        run_adhoc(work, Console(), board / backend, placement)
        pictures = json.loads((board / backend / "detections.json").read_text())["pictures"]
        found[backend] = [one["detections"][0] for one in pictures]
    for one, other in zip(found["reference"], found["tensorrt"]):
        assert one["class"] == other["class"] and one["box"] == pytest.approx(other["box"], abs=2)


def test_a_detector_is_installed_on_the_board_from_here(board, bundle, tmp_path):
    clone = jetson_inference(tmp_path / "jetson-inference")
    subprocess.run(["chmod", "-R", "a+rwX", tmp_path], check=True)
    words = ["install", clone, "--bundle", bundle / "detector.pyz", "--host", "nano"]
    assert "detectnet" in run(CLONE / "run", *words, cwd=board).stdout and list(clone.rglob("*.uff"))
    run(CLONE / "run", *words, "--check", cwd=board)
    next(clone.rglob("*.uff")).write_bytes(b"another")
    assert "not as it was installed" in run(CLONE / "run", *words, "--check", cwd=board, code=1).stderr
    gone = run(CLONE / "run", "install", tmp_path / "nothing", *words[2:], cwd=board, code=3)
    assert "it sees no such folder" in gone.stderr


def test_the_bundles_one_file_installs_itself_on_the_board(bundle, tmp_path):
    """As by hand: no clone, and no Nanoforge but what it carries."""
    clone = jetson_inference(tmp_path / "jetson-inference")
    subprocess.run(["chmod", "-R", "a+rwX", tmp_path], check=True)
    shutil.copy(bundle / "detector.pyz", tmp_path)
    by_hand = [
        "docker",
        "run",
        "--rm",
        "--platform",
        "linux/arm64",
        "--volume",
        f"{tmp_path}:/board",
        "nanoforge-jetson",
    ]
    said = run(*by_hand, "python3", "/board/detector.pyz", "install", "/board/jetson-inference").stdout
    assert "detectnet" in said and list(clone.rglob("*.uff"))
    run(*by_hand, "python3", "/board/detector.pyz", "check", "/board/jetson-inference")
    next(clone.rglob("*.uff")).write_bytes(b"another")
    run(*by_hand, "python3", "/board/detector.pyz", "check", "/board/jetson-inference", code=1)
