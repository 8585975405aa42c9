"""One engine, built and run through every generation of TensorRT's API; what goes wrong is one sentence."""

import numpy as np
import pytest
from conftest import ON_THE_NANO

from stages.reference import arithmetic
from stages.reference.arithmetic import Arithmetic
from stages.reference.interpreter import UffInterpreter

BUILD = """
import sys
import tensorrt as trt
from stages.jetson import generations, plugin_libraries
from stages.jetson.generations import Settings, Source
from stages.job import BadInput, StageFailed
model, kind, precision, workspace, plan = sys.argv[1:6]
logger = trt.Logger(trt.Logger.VERBOSE)
try:
    plugin_libraries.load(trt, logger, ["NMS_TRT", "GridAnchor_TRT", "FlattenConcat_TRT"], sys.argv[6:])
    source = Source(kind, model, ("Input", [3, 64, 64]), ["MarkOutput_0"])
    built = generations.build(trt, logger, source, Settings(precision, int(workspace)))
except (BadInput, StageFailed) as error:
    sys.exit("SENTENCE " + str(error))
with open(plan, "wb") as stream:
    stream.write(built)
"""
RUN = """
import atexit
import sys
import numpy as np
import tensorrt as trt
from pycuda import driver as cuda
from stages.jetson import plugin_libraries, running
from stages.job import BadInput, StageFailed
plan, picture, out = sys.argv[1:4]
cuda.init()
atexit.register(cuda.Device(0).make_context().pop)
logger = trt.Logger(trt.Logger.WARNING)
plugin_libraries.load(trt, logger, ["NMS_TRT", "FlattenConcat_TRT"], sys.argv[4:])
try:
    with open(plan, "rb") as stream:
        engine = running.loaded(trt, logger, stream.read(), plan)
    runner = running.EngineRunner(engine, cuda)
except (BadInput, StageFailed) as error:
    sys.exit("SENTENCE " + str(error))
runner.inputs["Input"].host[:] = np.load(picture).reshape(-1)
for _ in range(2):
    runner.start()
    found = runner.finish()
np.savez(out, rows=found["NMS"], count=found["NMS_1"].view(np.int32))
"""


def built(board, detector, plan, precision="fp32", workspace=16, kind="uff", code=0, **settings):
    return board(BUILD, detector, kind, precision, workspace, plan, code=code, **settings)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("version", ON_THE_NANO)
def test_every_version_builds_and_runs_the_same_detector(board, detector, picture, tmp_path, version, precision):
    plan, out = tmp_path / "engine", tmp_path / "out.npz"
    settings = {"TENSORRT": version, "FLATTEN_CONCAT": "built in"}
    said = built(board, detector, plan, precision, **settings)
    assert "parsed: " in said and "--------------- Timing " in said
    np.save(str(tmp_path / "x.npy"), picture)
    board(RUN, plan, tmp_path / "x.npy", out, **settings)
    half = precision == "fp16"
    wanted = UffInterpreter(detector, Arithmetic(arithmetic.version(version), half, fused=True)).run(
        picture[np.newaxis]
    )
    found = np.load(str(out))
    assert found["count"].item() == wanted["NMS_1"].item() > 0
    np.testing.assert_array_equal(found["rows"].reshape(-1, 7), wanted["NMS"].reshape(-1, 7))


@pytest.mark.parametrize("version", ["5.0.6", "5.1.6"])
def test_a_version_without_flatten_concat_says_where_it_comes_from(board, detector, tmp_path, version):
    said = built(board, detector, tmp_path / "engine", TENSORRT=version, code=1)
    assert "has no plugin FlattenConcat_TRT" in said and "uff_ssd" in said and "JetPack 4.3" in said


def test_a_workspace_that_the_board_does_not_have_gives_no_engine(board, detector, tmp_path):
    said = built(board, detector, tmp_path / "engine", workspace=4000, code=1, TENSORRT="8.2.1")
    assert "SENTENCE TensorRT could not build an engine" in said and "out of memory" in said


def test_int8_without_a_calibrator_gives_no_engine(board, detector, tmp_path):
    said = built(board, detector, tmp_path / "engine", "int8", code=1, TENSORRT="8.2.1", INT8=1)
    assert "SENTENCE TensorRT could not build an engine" in said and "Calibration failure" in said


def test_a_uff_that_the_parser_refuses_is_bad_input(board, tmp_path):
    (tmp_path / "model.uff").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    said = built(board, tmp_path / "model.uff", tmp_path / "engine", code=1, TENSORRT="7.1.3")
    assert "SENTENCE TensorRT's UFF parser refuses" in said and "Git LFS" in said


@pytest.mark.parametrize("version, told", [("10.3.0", "no UFF parser"), ("11.4.0", "no plugin NMS_TRT")])
def test_a_tensorrt_without_uff_parser_says_so(board, detector, tmp_path, version, told):
    assert told in built(board, detector, tmp_path / "engine", code=1, TENSORRT=version)


@pytest.mark.parametrize(
    "change",
    [
        {"TENSORRT": "8.0.1"},
        {"TENSORRT": "8.2.1", "DEVICE": "Xavier"},
    ],
)
def test_an_engine_of_elsewhere_is_refused(board, detector, picture, tmp_path, change):
    built(board, detector, tmp_path / "engine", TENSORRT="8.2.1")
    np.save(str(tmp_path / "x.npy"), picture)
    said = board(RUN, tmp_path / "engine", tmp_path / "x.npy", tmp_path / "out.npz", code=1, **change)
    assert "SENTENCE TensorRT" in said and "build it again" in said


def test_a_truncated_engine_is_refused(board, detector, picture, tmp_path):
    plan = tmp_path / "engine"
    built(board, detector, plan, TENSORRT="8.2.1")
    plan.write_bytes(plan.read_bytes()[:-100])
    np.save(str(tmp_path / "x.npy"), picture)
    said = board(RUN, plan, tmp_path / "x.npy", tmp_path / "out.npz", code=1, TENSORRT="8.2.1")
    assert "it is damaged" in said


def test_buffers_that_do_not_fit_are_a_sentence(board, detector, picture, tmp_path):
    built(board, detector, tmp_path / "engine", TENSORRT="8.2.1")
    np.save(str(tmp_path / "x.npy"), picture)
    arguments = [tmp_path / "engine", tmp_path / "x.npy", tmp_path / "out.npz"]
    assert "has no memory for the engine's buffers" in board(RUN, *arguments, code=1, TENSORRT="8.2.1", FREE_MB=0)


def test_without_memory_for_an_execution_context_there_is_a_sentence(board, detector, picture, tmp_path):
    """TensorRT gives None then."""
    built(board, detector, tmp_path / "engine", TENSORRT="8.2.1")
    np.save(str(tmp_path / "x.npy"), picture)
    arguments = (tmp_path / "engine", tmp_path / "x.npy", tmp_path / "out.npz")
    assert "(TensorRT gives no execution context)" in board(RUN, *arguments, code=1, TENSORRT="8.2.1", FREE_MB=8)
