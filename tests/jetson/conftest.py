"""The simulated Jetson comes before any real TensorRT; a small detector to build engines from."""

import os
import subprocess
import sys

import numpy as np
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CLONE = os.path.dirname(os.path.dirname(HERE))
FAKES = os.path.join(CLONE, "tests", "fakes", "jetson")
sys.path[:0] = [FAKES, os.path.join(CLONE, "tests", "reference")]

import ssd_graph  # noqa: E402

ON_THE_NANO = ("5.0.6", "5.1.6", "6.0.1", "7.1.3", "8.0.1", "8.2.1")


@pytest.fixture(scope="session")
def detector(tmp_path_factory):
    """The path of a .uff of 64 x 64 pixels with random weights."""
    path = tmp_path_factory.mktemp("detector") / "model.uff"
    graph = ssd_graph.ssd(64, 0.25, 4)
    graph.node("MarkOutput_0", "MarkOutput", ["NMS"])
    graph.write(path)
    return str(path)


@pytest.fixture
def board():
    """Runs a program on a simulated board; keywords are the variables of tests/fakes/jetson, such as TENSORRT."""

    def run(program, *arguments, code=0, **settings):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([CLONE, FAKES]))
        environment.update({"NANOFORGE_FAKE_" + name: str(value) for name, value in settings.items()})
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout

    return run


@pytest.fixture
def picture():
    return np.random.RandomState(0).uniform(-1, 1, (3, 64, 64)).astype(np.float32)
