"""The stage build-engine, on a simulated board: what it makes, and how it tells what went wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import BUILD, DESCRIPTION, FAKES, ON_THE_NANO, building, write_checksums

from stages.jetson import engine_file
from stages.jetson.engine_file import Here
from stages.job import BadInput

MADE = ["build.log", "engine.json", "labels.txt", "layers.json", "model.engine", "model.json", "parity.json"]


@pytest.fixture
def converted(detector, tmp_path):
    """A convert artifact, as far as the board reads it: without samples."""
    folder = tmp_path / "convert"
    folder.mkdir()
    shutil.copy(detector, str(folder / "model.uff"))
    (folder / "model.json").write_text(json.dumps(DESCRIPTION))
    return folder


@pytest.fixture
def copied(bundle, tmp_path):
    """A bundle's folder that a test may change."""
    shutil.copytree(bundle, str(tmp_path / "copied"))
    return tmp_path / "copied"


@pytest.fixture
def build_engine(converted, stages_of):
    """Runs the stage; keywords are its parameters, or those of the simulated board."""

    def run(model=converted, **settings):
        parameters = {name: settings.pop(name) for name in building() if name in settings}
        return stages_of.run(BUILD, {"model": model}, building(**parameters), **settings)

    return run


@pytest.mark.parametrize("version", ON_THE_NANO)
def test_an_engine_with_all_that_is_known_of_it(build_engine, bundle, version):
    ran = build_engine(bundle, TENSORRT=version)
    assert ran.code == 0, ran.log
    assert sorted(os.listdir(str(ran.folder))) == MADE
    sidecar = ran.json("engine.json")
    assert sidecar["tensorrt"] == version + ".6" and sidecar["compute"] == "5.3" and sidecar["precision"] == "fp16"
    assert sidecar["plan"]["bytes"] == (ran.folder / "model.engine").stat().st_size
    assert sorted(sidecar["files"]) == ["labels.txt", "model.json"]
    here = Here(sidecar["tensorrt"], sidecar["cuda"], sidecar["device"], sidecar["compute"])
    assert engine_file.read(str(ran.folder), here, sidecar["model"]["sha256"])
    layers = ran.json("layers.json")
    assert len(layers["layers"]) > 30 and abs(sum(one["share"] for one in layers["layers"]) - 1) < 0.01
    assert layers["milliseconds"] == pytest.approx(sum(one["milliseconds"] for one in layers["layers"]), abs=0.01)
    assert "the slowest:" in ran.log
    parity = ran.json("parity.json")
    assert parity["samples"] == 3 and parity["matched"] > 10 and parity["failures"] == []
    assert ran.all("metrics")[-1]["samples"] == 3
    told = ran.all("progress")
    done = [event["done"] for event in told]
    assert done == sorted(done) and len({event["total"] for event in told[5:]}) == 1
    assert done[-1] == told[-1]["total"] - 1 > 30 and "s left" in told[-1]["message"]


def test_without_samples_it_says_that_nothing_is_proven(build_engine, converted):
    ran = build_engine(converted)
    assert ran.code == 0 and "without samples" in ran.all("warning")[0]
    assert ran.json("parity.json")["samples"] == 0 and "reason" in ran.json("parity.json")
    assert "labels.txt" not in os.listdir(str(ran.folder))


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
def test_what_goes_wrong_is_one_sentence_and_leaves_no_engine(build_engine, bundle, settings, told):
    ran = build_engine(bundle, **dict({"TENSORRT": "8.2.1"}, **settings))
    assert ran.code in (1, 2) and re.search(told, ran.error), ran.log
    assert "\n" not in ran.error and "Traceback" not in ran.log
    assert not [name for name in os.listdir(str(ran.folder)) if name != "build.log"]


@pytest.mark.parametrize(
    "drift, told", [(0.12, "a score that differs by 0.1"), (0.02, "overlaps the reference's by 0")]
)
def test_an_engine_that_finds_something_else_is_not_published(build_engine, bundle, drift, told):
    ran = build_engine(bundle, TENSORRT="8.2.1", DRIFT=drift, least_iou=0.9 if drift == 0.02 else 0.1)
    assert ran.code == 1, ran.log
    assert re.search(r"on samples/0\d\.png a (cone|ball|mug) of score 0\.\d\d ", ran.error) and told in ran.error
    assert os.listdir(str(ran.folder)) == ["build.log"]


def test_fp32_finds_the_same(build_engine, bundle):
    ran = build_engine(bundle, TENSORRT="7.1.3", precision="fp32")
    assert ran.code == 0, ran.log
    parity = ran.json("parity.json")
    assert parity["min_iou"] > 0.999 and parity["max_score_diff"] < 1e-3 and ran.all("warning") == []
    assert parity["mAP@0.5"]["engine"] == parity["mAP@0.5"]["reference"]


@pytest.mark.parametrize("version, times", [("5.0.6", 2), ("8.2.1", 1)])
def test_int8_is_calibrated_with_the_bundles_pictures_once(stages_of, bundle, version, times):
    for number in range(times):
        inputs, parameters = {"model": bundle}, building(precision="int8")
        ran = stages_of.run(BUILD, inputs, parameters, keep=number > 0, TENSORRT=version, INT8="1")
        assert ran.code == 0 and ran.json("parity.json")["samples"] == 3, ran.log
        said = (ran.folder / "build.log").read_text()
        assert ("calibrated with 4 of 4" in said) == (number == 0)


def test_fp32_that_differs_by_more_than_rounding_is_warned_of(build_engine, bundle):
    ran = build_engine(bundle, TENSORRT="8.2.1", precision="fp32", DRIFT=0.008, least_iou=0.3)
    assert ran.code == 0 and "differs by more than rounding does" in ran.all("warning")[0], ran.log


def test_int8_without_pictures_or_with_a_broken_one_is_bad_input(build_engine, copied):
    (copied / "calibration" / "02.png").write_bytes(b"no picture")
    write_checksums(copied)
    ran = build_engine(copied, precision="int8", INT8="1")
    assert ran.code == 2 and "02.png" in ran.error and "make the bundle again" in ran.error, ran.log
    shutil.rmtree(str(copied / "calibration"))
    write_checksums(copied)
    ran = build_engine(copied, precision="int8", INT8="1")
    assert ran.code == 2 and "bundle.calibration_pictures" in ran.error


def test_what_the_parser_refuses_is_bad_input_though_the_device_was_begun_with(build_engine, converted):
    """PyCUDA aborts a process that ends with its context, and the builder's exit code would be lost."""
    uff = converted / "model.uff"
    uff.write_bytes(uff.read_bytes().replace(b"GridAnchor_TRT", b"GridAnchor_TRX"))
    ran = build_engine()
    assert ran.code == 2 and "UFF parser refuses" in ran.error, ran.log
    assert "PyCUDA ERROR" not in (ran.folder / "build.log").read_text()


def test_a_full_disk_is_one_sentence(stages_of, bundle):
    command, environment = stages_of.command(BUILD, {"model": bundle}, building())
    scratch = json.loads(open(command[-1]).read())["scratch"]
    os.symlink("/dev/full", os.path.join(scratch, "request.json"))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 1 and "The disk is full" in done.stdout and "Traceback" not in done.stdout
    assert os.listdir(str(stages_of.output(BUILD))) == ["build.log"]
    assert not [name for name in os.listdir(scratch) if name.startswith("model.engine")]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_ended_ends_the_builder_though_that_lets_no_python_run(stages_of, bundle, how):
    command, environment = stages_of.command(BUILD, {"model": bundle}, building(), BUILD_SECONDS=120)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    ) as stage:
        for line in stage.stdout:
            if '"message"' in line:
                break
        builder = builders(command[-1])
        assert len(builder) == 1
        stage.send_signal(how)
        stage.stdout.read()
        assert stage.wait(10) != 0
    for _ in range(50):
        if not builders(command[-1]):
            break
        time.sleep(0.1)
    assert builders(command[-1]) == []
    assert os.listdir(str(stages_of.output(BUILD))) == ["build.log"]


def builders(job):
    """The processes that build for a job."""
    request = os.path.join(json.loads(open(job).read())["scratch"], "request.json").encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as stream:
                found += [pid] if request in stream.read() else []
        except OSError:
            pass
    return found


def test_without_tensorrt_it_says_where_that_is(build_engine, tmp_path):
    ran = build_engine(fakes=[tmp_path])
    assert ran.code == 1 and "/usr/bin/python3" in ran.error


def test_without_pycuda_it_says_how_that_is_made(build_engine, tmp_path):
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").write_text("__path__.append(%r)" % os.path.join(FAKES, "pycuda"))
    (tmp_path / "pycuda" / "driver.py").write_text("raise ImportError('libcurand.so.10.0: cannot open')")
    ran = build_engine(fakes=[tmp_path, FAKES])
    assert ran.code == 1 and "libcurand" in ran.error and "compiled on the board" in ran.error


@pytest.mark.parametrize("damage", ["no model.json", "not JSON", "no input"])
def test_a_folder_that_holds_no_model_is_bad_input(build_engine, converted, damage):
    path = converted / "model.json"
    if damage == "no model.json":
        path.unlink()
    else:
        path.write_text("{" if damage == "not JSON" else json.dumps({"classes": []}))
    ran = build_engine(converted)
    assert ran.code == 2 and "model.json" in ran.error


def test_samples_that_are_damaged_are_bad_input(build_engine, copied):
    (copied / "samples.json").write_text('{"format": 1}')
    write_checksums(copied)
    ran = build_engine(copied)
    assert ran.code == 2 and "samples.json does not list samples" in ran.error
    assert os.listdir(str(ran.folder)) == []


HERE = Here("8.2.1.8", "10.2", "NVIDIA Tegra X1", "5.3")


@pytest.fixture
def written(tmp_path):
    (tmp_path / "model.engine").write_bytes(b"plan" * 100)
    (tmp_path / "model.json").write_text("{}")
    engine_file.write(str(tmp_path), dict(HERE._asdict(), model={"sha256": "0123"}), ["model.json"])
    return tmp_path


def test_an_engine_of_this_board_is_read(written):
    assert engine_file.read(str(written), HERE, "0123") == b"plan" * 100


@pytest.mark.parametrize(
    "here, told",
    [
        (HERE._replace(tensorrt="8.0.1.6"), "built for TensorRT 8.2.1.8, this board has 8.0.1.6"),
        (HERE._replace(device="Xavier"), "built for the device NVIDIA Tegra X1"),
        (HERE._replace(compute="7.2"), "compute capability 5.3"),
        (HERE._replace(cuda="10.0"), "CUDA 10.2"),
    ],
)
def test_an_engine_of_another_board_is_refused_before_it_is_loaded(written, here, told):
    with pytest.raises(BadInput, match=told + r".*\./run build-engine.*python3 detector.pyz build-engine"):
        engine_file.read(str(written), here)


def test_an_engine_of_another_model_is_refused(written):
    with pytest.raises(BadInput, match="of another model"):
        engine_file.read(str(written), HERE, "4567")


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "gone", "sidecar", "another format", "sidecar gone", "description", "no description"]
)
def test_an_engine_that_is_not_whole_is_refused(written, damage):
    plan, sidecar, description = (written / name for name in ("model.engine", "engine.json", "model.json"))
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
    elif damage == "description":
        description.write_text("{ }")
    elif damage == "no description":
        description.unlink()
    else:
        sidecar.unlink()
    with pytest.raises(BadInput, match="build-engine"):
        engine_file.read(str(written), HERE)
