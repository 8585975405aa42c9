"""JetPack's Python: what is asked of it, the virtual environment that sees its packages, and the chain on a board.

The board is simulated: a Python 3.6 of its own, among whose packages the simulated TensorRT and PyCUDA are.
"""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from host_sources import CLONE

from nanoforge.commands import board
from nanoforge.commands.options import StageOptions
from nanoforge.config.schema import Config, DetectSection
from nanoforge.console import Console
from nanoforge.containers.compose import local_environment
from nanoforge.errors import EnvironmentNotReady, StageFailed
from nanoforge.pipeline.adhoc import AdhocRun, run_adhoc
from nanoforge.pipeline.context import StageContext
from nanoforge.pipeline.stages import JETSON, STAGES, row_in
from nanoforge.runners import jetpack_python, virtual_environments
from nanoforge.runners.placement import Placement, PlacementOverride
from tests.fakes.detectnet import jetson_inference
from tests.fakes.jetpack import FAKES, PACKAGES, stand_in


@pytest.fixture(scope="module")
def train():
    """The Python of environment train, and its packages, among which numpy and OpenCV are."""
    python = virtual_environments.ensure(local_environment("train"), Console())
    return python, python.parents[1] / PACKAGES


@pytest.fixture(scope="module")
def jetpack(tmp_path_factory, train):
    """The Python of a simulated board."""
    return stand_in(tmp_path_factory.mktemp("jetpack"), FAKES, CLONE, train[1])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What is made of the stand-in goes with it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def on_the_board(jetpack, cache, monkeypatch):
    monkeypatch.setenv("JETSON_PYTHON", str(jetpack))
    monkeypatch.setenv("NANOFORGE_CACHE", str(cache))


# --- the environment


def fake_python(path, words="", version="3.6.9"):
    """A Python that says its version, and whose packages are missing with these words."""
    fails = f"echo '{words}' >&2; exit 1" if words else "exit 0"
    path.write_text(f'#!/bin/sh\ncase "$*" in *importlib*) {fails};; *) echo {version};; esac\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tensorrt No module named tensorrt", r"no tensorrt \(No module.*sudo apt install python3-libnvinfer"),
        ("cv2 libgtk.so: cannot open shared object file", r"no cv2 \(libgtk.so.*sudo apt install libopencv-python"),
        ("Illegal instruction", r"no tensorrt \(Illegal instruction\)"),
    ],
)
def test_a_board_without_what_jetpack_brings_says_what_is_missing(tmp_path, monkeypatch, said, words):
    monkeypatch.setenv("JETSON_PYTHON", str(fake_python(tmp_path / "python3", said)))
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EnvironmentNotReady, match=words):
        virtual_environments.ensure(local_environment("jetson"), Console())
    assert not list((tmp_path / "cache").rglob("python"))


def test_what_is_no_python_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("JETSON_PYTHON", str(tmp_path / "none"))
    with pytest.raises(EnvironmentNotReady, match="none is no Python that works: JETSON_PYTHON names"):
        virtual_environments.find_interpreter(local_environment("jetson"))


def test_it_is_jetpacks_own_where_nothing_is_stated(monkeypatch):
    monkeypatch.delenv("JETSON_PYTHON", raising=False)
    assert jetpack_python.stated() == Path("/usr/bin/python3")


def test_another_jetpack_makes_another_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("JETSON_PYTHON", str(fake_python(tmp_path / "python3")))
    found = set()
    for release in ("32.6.1", "32.7.1"):
        monkeypatch.setattr(jetpack_python, "device_l4t", lambda release=release: release)
        environment = local_environment("jetson")
        found.add(virtual_environments._folder(environment, virtual_environments.find_interpreter(environment)))
    assert len(found) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_board")
def test_the_environment_sees_the_systems_packages_and_compiles_nothing_that_is_there(jetpack):
    python = virtual_environments.ensure(local_environment("jetson"), Console())
    code = "import tensorrt, pycuda.driver, cv2, numpy, sys; print(tensorrt.__file__); print(sys.prefix)"
    there, prefix = subprocess.check_output([str(python), "-I", "-c", code], text=True).splitlines()
    assert there.startswith(str(FAKES)) and prefix == str(python.parents[1]) != str(jetpack.parents[1])


NO_PYCUDA = """#!/bin/sh
case "$*" in
*pycuda.driver*) echo "pycuda.driver No module named pycuda" >&2; exit 1;;
*"venv --system"*)
    for folder in "$@"; do :; done
    mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python"; echo "$*" >> {log};;
*"pip install"*) echo "$PATH $*" >> {log};;
*) echo 3.6.9;;
esac
"""


def test_pycuda_is_compiled_from_its_lock_with_cudas_nvcc_where_the_system_has_none(tmp_path, monkeypatch):
    python, log = tmp_path / "python3", tmp_path / "asked"
    python.write_text(NO_PYCUDA.format(log=log))
    python.chmod(0o755)
    monkeypatch.setenv("JETSON_PYTHON", str(python))
    monkeypatch.setenv("NANOFORGE_CACHE", str(tmp_path / "cache"))
    virtual_environments.ensure(local_environment("jetson"), Console())
    made, installed = log.read_text().splitlines()
    assert "venv --system-site-packages" in made
    assert ":/usr/local/cuda/bin " in installed and installed.endswith("docker/jetson/requirements.lock")


# --- the chain


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, train):
    """A detector's bundle and its records, made here; what follows is done on the board."""
    folder = tmp_path_factory.mktemp("chain")
    subprocess.check_call([str(train[0]), str(CLONE / "tests" / "fakes" / "small_detector.py"), str(folder)])
    parameters = STAGES["bundle"].parameters(StageContext(Config(), folder))
    inputs = {"model": folder / "convert", "records": folder / "records"}
    once(AdhocRun(STAGES["bundle"], inputs, {**parameters, "samples": 2}), folder / "bundle")
    return folder


def once(work, out):
    return run_adhoc(work, Console(), out, Placement(Config(), Console(), PlacementOverride("local")))


@pytest.fixture(scope="module")
def engine(bundle, jetpack, cache):
    """The engine that the command builds of the bundle's one file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETSON_PYTHON", str(jetpack))
        patch.setenv("NANOFORGE_CACHE", str(cache))
        board.build_engine(
            str(bundle / "bundle/detector.pyz"), str(bundle / "engine"), "", StageOptions(runner="local")
        )
    return bundle / "engine"


def test_an_engine_is_built_and_proven(engine):
    assert json.loads((engine / "engine.json").read_text())["precision"] == "fp16"
    assert json.loads((engine / "parity.json").read_text())["samples"] == 2


@pytest.mark.usefixtures("on_the_board")
def test_it_is_measured(bundle, engine, tmp_path):
    parameters = {"runs": 10, "warmup_runs": 1}
    outcome = once(
        AdhocRun(STAGES["bench-engine"], {"engine": engine, "model": bundle / "bundle/model"}, parameters),
        tmp_path / "bench",
    )
    assert json.loads((tmp_path / "bench" / "bench.json").read_text()) and outcome.metrics


@pytest.mark.usefixtures("on_the_board")
def test_the_engine_finds_what_the_reference_finds(bundle, engine, tmp_path):
    best, count = {}, {}
    for backend, inputs in (("reference", {"model": bundle / "convert"}), ("tensorrt", {"engine": engine})):
        context = StageContext(Config(detect=DetectSection(backend=backend, draw=False)), tmp_path)
        row = replace(row_in("detect", context), environment=JETSON)  # as a host may have it for the reference too
        work = AdhocRun(row, {**inputs, "records": bundle / "records"}, row.parameters(context))
        once(work, tmp_path / backend)
        pictures = json.loads((tmp_path / backend / "detections.json").read_text())["pictures"]
        count[backend] = [len(one["detections"]) for one in pictures]
        best[backend] = [(one["detections"][0]["class"], one["detections"][0]["box"]) for one in pictures]
    assert [name for name, _ in best["reference"]] == [name for name, _ in best["tensorrt"]]
    for (_, one), (_, other) in zip(best["reference"], best["tensorrt"]):
        assert one == pytest.approx(other, abs=2)
    assert count["tensorrt"] == pytest.approx(count["reference"], rel=0.05)


@pytest.mark.usefixtures("on_the_board")
def test_a_first_owners_list_is_made(bundle, tmp_path, capsys):
    with pytest.raises(StageFailed, match="[0-9] of [0-9]+ checks failed, the first: (board|system): "):
        board.selftest(str(bundle / "bundle/detector.pyz"), str(tmp_path / "list"), StageOptions(runner="local"))
    listed = capsys.readouterr().out
    assert listed == (tmp_path / "list" / "selftest.txt").read_text()
    verdicts = {line[10:32].strip(): line.split()[0] for line in listed.splitlines()}
    assert [name for name, verdict in verdicts.items() if verdict != "passed"] == ["board", "system"]
    assert {"engine fp32", "parity fp16", "speed", "detect"} <= {*verdicts}


@pytest.mark.usefixtures("on_the_board")
def test_it_is_installed_where_detectnet_looks_and_checked(bundle, tmp_path, capsys):
    clone = jetson_inference(tmp_path / "jetson-inference")
    archive = str(bundle / "bundle" / "detector.pyz")
    board.install(str(clone), archive, "", False, StageOptions())
    assert "detectnet" in capsys.readouterr().out
    assert list(clone.rglob("*.uff"))
    board.install(str(clone), archive, "", True, StageOptions())
    next(clone.rglob("*.uff")).write_bytes(b"another")
    with pytest.raises(StageFailed, match="not as it was installed"):
        board.install(str(clone), archive, "", True, StageOptions())
