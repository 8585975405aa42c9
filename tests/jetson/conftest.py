"""The simulated Jetson comes before any real TensorRT; a small detector to build engines from."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
CLONE = os.path.dirname(os.path.dirname(HERE))
FAKES = os.path.join(CLONE, "tests", "fakes", "jetson")
sys.path[:0] = [FAKES, os.path.join(CLONE, "tests", "reference")]

import ssd_graph  # noqa: E402

from stages import pixels  # noqa: E402
from stages.detect import detectors  # noqa: E402
from stages.job import EVENT_MARK  # noqa: E402
from tests.fakes import description  # noqa: E402

# Tests that run in the background ignore Ctrl-C, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


DESCRIPTION = dict(description.DESCRIPTION, plugin={"NMS_TRT": {"nmsThreshold": 0.6, "keepTopK": 100}})
THRESHOLD = 0.5


def photo(seed, size=64):
    """A picture with a few patches of colour."""
    random = np.random.RandomState(seed)
    return pixels.resize(random.randint(0, 256, (4, 5, 3)).astype(np.uint8), size, size)


@pytest.fixture(scope="session")
def bundle(detector, tmp_path_factory):
    """The folder ``model`` of a bundle: three samples, the truth of two of them being what the reference finds."""
    folder = tmp_path_factory.mktemp("bundle") / "model"
    for name in ("samples", "calibration"):
        (folder / name).mkdir(parents=True)
    shutil.copy(detector, str(folder / "model.uff"))
    (folder / "model.json").write_text(json.dumps(DESCRIPTION))
    (folder / "labels.txt").write_text("\n".join(DESCRIPTION["classes"]) + "\n")
    (folder / "NOTICE.txt").write_text("ours")
    for seed in range(4):
        (folder / "calibration" / ("%02d.png" % seed)).write_bytes(pixels.encode_png(photo(100 + seed)))
    reference, entries = detectors.reference(str(folder)), []
    for seed in range(3):
        name = "samples/%02d.png" % seed
        (folder / name).write_bytes(pixels.encode_png(photo(seed)))
        found = reference.detect(photo(seed))
        truth = [{"class_id": one["class_id"], "class": one["class"], "box": one["box"]} for one in found[:3]]
        entries.append({"file": name, "source": name, "detections": found, "truth": truth if seed else None})
    write_samples(folder, entries)
    return str(folder)


def write_samples(folder, entries):
    """Write ``samples.json`` and the ``checksums.json`` that belongs to all that is there."""
    samples = {"format": 1, "score_threshold": THRESHOLD, "pictures": entries}
    (folder / "samples.json").write_text(json.dumps(samples))
    write_checksums(folder)


def write_checksums(folder):
    listed = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "checksums.json":
            data = path.read_bytes()
            listed[str(path.relative_to(folder))] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "checksums.json").write_text(json.dumps({"format": 1, "name": "t", "files": listed}))


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

    def json(self, name):
        return json.loads((self.folder / name).read_text())


ON_A_BOARD = """
import importlib, sys
from stages.jetson import board
from stages.job import run
board.ROOT = sys.argv[2]
run(importlib.import_module(sys.argv[1]).main, sys.argv[3:])
"""
NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "etc/nv_tegra_release": "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64\n",
    "proc/meminfo": "MemTotal: 4059644 kB\nMemFree: 100000 kB\nMemAvailable: 2900000 kB\n"
    "SwapTotal: 6224120 kB\nSwapFree: 6224120 kB\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 507456 0 5\n"
    "/dev/zram1 partition 1522360 0 5\n/swapfile file 4194300 0 -2\n",
    "proc/self/status": "VmHWM:   812344 kB\nVmRSS:   702344 kB\n",
    "var/lib/nvpmodel/status": "pmode:0000",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1479000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1479000\n",
    "sys/class/devfreq/57000000.gpu/cur_freq": "921600000\n",
    "sys/class/devfreq/57000000.gpu/max_freq": "921600000\n",
    "sys/class/thermal/thermal_zone0/type": "AO-therm\n",
    "sys/class/thermal/thermal_zone0/temp": "41500\n",
    "sys/class/thermal/thermal_zone4/type": "PMIC-Die\n",
    "sys/class/thermal/thermal_zone4/temp": "100000\n",
}


@pytest.fixture
def nano(tmp_path):
    """Makes the files of a Nano; keywords ``changes`` replace some by their path, None takes one away."""

    def make(changes=()):
        root = tmp_path / "board"
        shutil.rmtree(str(root), ignore_errors=True)
        for name, text in dict(NANO, **dict(changes)).items():
            if text is not None:
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return str(root)

    return make


class Stages:
    """Runs stages on a simulated board, each in folders of its own below ``folder``."""

    def __init__(self, folder):
        self._folder = folder

    def command(self, module, inputs, parameters, fakes=(FAKES,), keep=False, root="", **settings):
        """What starts a stage, and its environment; ``settings`` are the variables of tests/fakes/jetson.

        ``root`` is a folder that has the files of a board.
        """
        name = module.split(".")[-1]
        for kind in ("output", "scratch"):
            folder = self._folder / (name + "-" + kind)
            if not (keep and kind == "scratch"):
                shutil.rmtree(str(folder), ignore_errors=True)
            folder.mkdir(exist_ok=True)
        job = {
            "stage": name,
            "inputs": {key: str(path) for key, path in inputs.items()},
            "output": str(self.output(module)),
            "scratch": str(self._folder / (name + "-scratch")),
            "parameters": parameters,
            "cpus": 1,
        }
        path = self._folder / (name + ".json")
        path.write_text(json.dumps(job))
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([CLONE, *map(str, fakes)]))
        settings.setdefault("FLATTEN_CONCAT", "built in")
        environment.update({"NANOFORGE_FAKE_" + key: str(value) for key, value in settings.items()})
        start = ["-c", ON_A_BOARD, module, str(root)] if root else ["-m", module]
        return [sys.executable, "-W", "ignore", *start, str(path)], environment

    def output(self, module):
        return self._folder / (module.split(".")[-1] + "-output")

    def run(self, module, inputs, parameters, **settings):
        command, environment = self.command(module, inputs, parameters, **settings)
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, self.output(module))


@pytest.fixture
def stages_of(tmp_path):
    return Stages(tmp_path)


BUILD = "stages.jetson.build_engine"


def building(**changes):
    """BuildEngineParameters with the defaults of detector.toml."""
    return dict(
        {
            "source": "uff",
            "precision": "fp16",
            "workspace_mb": 16,
            "least_iou": 0.9,
            "largest_score_difference": 0.05,
            "largest_map_loss": 0.02,
        },
        **changes,
    )


@pytest.fixture(scope="session")
def engine(bundle, tmp_path_factory):
    """The folder of an engine that build-engine made of the bundle, by 8.2.1 in fp16."""
    ran = Stages(tmp_path_factory.mktemp("engine")).run(BUILD, {"model": bundle}, building())
    assert ran.code == 0, ran.log
    return str(ran.folder)


@pytest.fixture
def picture():
    return np.random.RandomState(0).uniform(-1, 1, (3, 64, 64)).astype(np.float32)
