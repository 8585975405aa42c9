"""The stage build-engine, on a simulated board: what it makes, and how it tells what went wrong."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import CLONE, FAKES, ON_THE_NANO

from stages.jetson import engine_file
from stages.jetson.engine_file import Here
from stages.job import EVENT_MARK, BadInput

DESCRIPTION = {
    "format": 1,
    "input": {"name": "Input", "shape": [3, 64, 64], "channels": "RGB", "scale": 2 / 255, "offset": -1.0},
    "outputs": {"detections": "NMS", "count": "NMS_1"},
    "classes": ["background", "cone", "ball", "mug"],
}


class Ran:
    """A stage that has ended: its exit code, events and output folder."""

    def __init__(self, code, log, folder):
        self.code, self.log, self.folder = code, log, folder
        self.events = [
            json.loads(line[line.index(EVENT_MARK) + len(EVENT_MARK) :])
            for line in log.splitlines()
            if EVENT_MARK in line
        ]

    def all(self, kind):
        return [event[kind] for event in self.events if kind in event]

    @property
    def error(self):
        return self.all("error")[-1]


@pytest.fixture
def converted(detector, tmp_path):
    """A convert artifact, as far as the board reads it."""
    folder = tmp_path / "convert"
    folder.mkdir()
    shutil.copy(detector, str(folder / "model.uff"))
    (folder / "model.json").write_text(json.dumps(DESCRIPTION))
    return folder


@pytest.fixture
def build_engine(converted, tmp_path):
    """Runs the stage; keywords are those of the simulated board."""

    def run(source="uff", precision="fp16", workspace_mb=16, fakes=FAKES, **settings):
        for name in ("output", "scratch"):
            shutil.rmtree(str(tmp_path / name), ignore_errors=True)
            (tmp_path / name).mkdir()
        job = {
            "stage": "build-engine",
            "inputs": {"model": str(converted)},
            "output": str(tmp_path / "output"),
            "scratch": str(tmp_path / "scratch"),
            "parameters": {"source": source, "precision": precision, "workspace_mb": workspace_mb},
            "cpus": 1,
        }
        (tmp_path / "job.json").write_text(json.dumps(job))
        environment = dict(
            os.environ, PYTHONPATH=os.pathsep.join([CLONE, fakes]), NANOFORGE_FAKE_FLATTEN_CONCAT="built in"
        )
        environment.update({"NANOFORGE_FAKE_" + name: str(value) for name, value in settings.items()})
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "stages.jetson.build_engine", str(tmp_path / "job.json")],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, tmp_path / "output")

    return run


@pytest.mark.parametrize("version", ON_THE_NANO)
def test_an_engine_with_sidecar_and_log(build_engine, version):
    ran = build_engine(TENSORRT=version)
    assert ran.code == 0, ran.log
    assert sorted(os.listdir(str(ran.folder))) == ["build.log", "engine.json", "model.engine"]
    sidecar = json.loads((ran.folder / "engine.json").read_text())
    assert sidecar["tensorrt"] == version + ".6" and sidecar["compute"] == "5.3" and sidecar["precision"] == "fp16"
    assert sidecar["plan"]["bytes"] == (ran.folder / "model.engine").stat().st_size
    assert "Timing Runner" in (ran.folder / "build.log").read_text()
    done = [event["done"] for event in ran.all("progress")]
    assert done == sorted(done) and done[-1] > 10 and "s left" in ran.all("progress")[-1]["message"]
    here = Here(sidecar["tensorrt"], sidecar["cuda"], sidecar["device"], sidecar["compute"])
    assert engine_file.read(str(ran.folder), here, sidecar["model"]["sha256"])


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"DIES": "killed"}, "The builder was killed, as the system does where memory ends: add swap"),
        ({"DIES": "assertion"}, "TensorRT ended the builder by signal 6.*nmsPlugin.cpp,246"),
        ({"workspace_mb": 4000}, "could not build an engine.*out of memory"),
        ({"precision": "int8"}, "no fast INT8"),
        ({"FLATTEN_CONCAT": "", "TENSORRT": "5.1.6"}, "no plugin FlattenConcat_TRT.*JetPack 4.3"),
        ({"CUDA": "0.0.0"}, "CUDA does not start"),
        ({"source": "onnx"}, "model.onnx.*convert --to onnx"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_no_engine(build_engine, settings, told):
    ran = build_engine(**dict({"TENSORRT": "8.2.1"}, **settings))
    assert ran.code in (1, 2) and re.search(told, ran.error), ran.log
    assert "\n" not in ran.error and "Traceback" not in ran.log
    assert not [name for name in os.listdir(str(ran.folder)) if name != "build.log"]


def test_without_tensorrt_it_says_where_that_is(build_engine, tmp_path):
    ran = build_engine(fakes=str(tmp_path))
    assert ran.code == 1 and "/usr/bin/python3" in ran.error


@pytest.mark.parametrize("damage", ["no model.json", "not JSON", "no input"])
def test_a_folder_that_holds_no_model_is_bad_input(build_engine, converted, damage):
    path = converted / "model.json"
    if damage == "no model.json":
        path.unlink()
    else:
        path.write_text("{" if damage == "not JSON" else json.dumps({"classes": []}))
    ran = build_engine()
    assert ran.code == 2 and "model.json" in ran.error


HERE = Here("8.2.1.8", "10.2", "NVIDIA Tegra X1", "5.3")


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "model.engine").write_bytes(b"plan" * 100)
    engine_file.write(str(tmp_path), dict(HERE._asdict(), model={"sha256": "0123"}))
    return tmp_path


def test_an_engine_of_this_board_is_read(engine):
    assert engine_file.read(str(engine), HERE, "0123") == b"plan" * 100


@pytest.mark.parametrize(
    "here, told",
    [
        (HERE._replace(tensorrt="8.0.1.6"), "built for TensorRT 8.2.1.8, this board has 8.0.1.6"),
        (HERE._replace(device="Xavier"), "built for the device NVIDIA Tegra X1"),
        (HERE._replace(compute="7.2"), "compute capability 5.3"),
        (HERE._replace(cuda="10.0"), "CUDA 10.2"),
    ],
)
def test_an_engine_of_another_board_is_refused_before_it_is_loaded(engine, here, told):
    with pytest.raises(BadInput, match=told + ".*build-engine"):
        engine_file.read(str(engine), here)


def test_an_engine_of_another_model_is_refused(engine):
    with pytest.raises(BadInput, match="of another model"):
        engine_file.read(str(engine), HERE, "4567")


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "sidecar", "another format", "sidecar gone"])
def test_an_engine_that_is_not_whole_is_refused(engine, damage):
    plan, sidecar = engine / "model.engine", engine / "engine.json"
    if damage == "cut":
        plan.write_bytes(plan.read_bytes()[:-1])
    elif damage == "flipped":
        plan.write_bytes(b"Plan" + plan.read_bytes()[4:])
    elif damage == "gone":
        plan.unlink()
    elif damage == "sidecar":
        sidecar.write_text("{")
    elif damage == "another format":
        sidecar.write_text(sidecar.read_text().replace('"format": 1', '"format": 2'))
    else:
        sidecar.unlink()
    with pytest.raises(BadInput, match="build-engine"):
        engine_file.read(str(engine), HERE)
