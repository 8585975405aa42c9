"""The programs of docs/onnx.md run as they stand there, in the simulated TensorRT of their versions."""

import json
import os
import re
import shutil
import subprocess
import sys

import boxes_model
import numpy as np
import onnxruntime
import pytest
from conftest import CLONE, FAKES

from stages.convert.onnx.runtime import OnnxRuntime


def programs():
    """Heading -> the program below it."""
    with open(os.path.join(CLONE, "docs", "onnx.md"), encoding="utf-8") as page:
        sections = re.split(r"^##+ ", page.read(), flags=re.M)[1:]
    found = {one.splitlines()[0]: re.findall(r"^```python\n(.*?)^```", one, re.M | re.S) for one in sections}
    assert max(map(len, found.values())) == 1
    return {title: blocks[0] for title, blocks in found.items() if blocks}


PROGRAMS = programs()
BUILDING = {
    "7.1.3": "Building with TensorRT 7.1",
    "8.2.1": "Building with TensorRT 8.0 to 8.3",
    "8.6.1": "Building with TensorRT 8.4 to 10",
    "10.3.0": "Building with TensorRT 8.4 to 10",
    "11.4.0": "Building with TensorRT 11",
}
BY_NUMBER, BY_NAME = "Running with TensorRT 7.1 to 8.4", "Running with TensorRT 8.5 to 11"
RUNNING = {"7.1.3": BY_NUMBER, "8.2.1": BY_NUMBER, "8.6.1": BY_NAME, "10.3.0": BY_NAME, "11.4.0": BY_NAME}
AFTER = {"model.boxes.onnx": "After the form without plugin", "model.onnx": "After the form with the plugin"}
BEFORE_RUN, AFTER_RUN = 'import numpy as np\ntensor = np.load("tensor.npy")\n', '\nnp.save("rows.npy", rows)\n'


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    fields = boxes_model.write(folder)
    (folder / "model.json").write_text(json.dumps({"plugin": {"NMS_TRT": fields}}))
    np.save(str(folder / "tensor.npy"), np.random.RandomState(0).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32))
    return folder


def run(program, folder, version):
    environment = dict(os.environ, NANOFORGE_FAKE_TENSORRT=version, PYTHONPATH=os.pathsep.join([CLONE, FAKES]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=str(folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_program_of_the_page_is_run_here():
    assert set(PROGRAMS) == {*BUILDING.values(), *RUNNING.values(), *AFTER.values(), "Plain heads"}


@pytest.mark.parametrize(
    "version, form",
    [(version, form) for version in BUILDING for form in AFTER if (version, form) != ("11.4.0", "model.onnx")],
)
def test_building_and_running(models, tmp_path, version, form):
    folder = tmp_path / "work"
    shutil.copytree(str(models), str(folder))
    run(PROGRAMS[BUILDING[version]].replace('"model.boxes.onnx"', '"%s"' % form), folder, version)
    run(BEFORE_RUN + PROGRAMS[RUNNING[version]] + PROGRAMS[AFTER[form]] + AFTER_RUN, folder, version)
    reference = OnnxRuntime(str(models / "model.onnx")).run(np.load(str(models / "tensor.npy")), [])
    wanted = reference["NMS"].reshape(-1, 7)[: reference["NMS_1"].item()]
    assert len(wanted) > 10
    np.testing.assert_allclose(np.load(str(folder / "rows.npy")), wanted, rtol=0, atol=1e-6)


def test_plain_heads(models, tmp_path):
    shutil.copy(str(models / "model.onnx"), str(tmp_path))
    run(PROGRAMS["Plain heads"], tmp_path, "8.2.1")
    session = onnxruntime.InferenceSession(str(tmp_path / "heads.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {"Input": np.load(str(models / "tensor.npy"))})
    assert [one.shape[2:] for one in found] == [(1, 1), (1, 1)] and found[0].size == found[1].size
