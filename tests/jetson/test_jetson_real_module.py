"""The simulator and the stages' calls against NVIDIA's real Python module of 8.5.3, as far as it goes without a GPU.

NANOFORGE_TENSORRT names the folder that holds it (docs/development.md): its parser, plugins and calibrators load
there, a Builder does not. The real module gets a process of its own.
"""

import glob
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import CLONE
from tensorrt import plugins
from test_jetson_simulator import BY_PYTHON, LISTING, attributes

from stages import pixels

REAL = os.environ.get("NANOFORGE_TENSORRT", "")
VERSION = "8.5.3"
pytestmark = pytest.mark.skipif(not REAL, reason="NANOFORGE_TENSORRT names no folder")

CREATORS = """
import json, tensorrt as trt
trt.init_libnvinfer_plugins(trt.Logger(trt.Logger.ERROR), "")
print(json.dumps({
    one.name: [field.name for field in one.field_names] for one in trt.get_plugin_registry().plugin_creator_list
    if one.name in ("NMS_TRT", "FlattenConcat_TRT")
}))
"""
LOADED = """
import json, tensorrt as trt
from stages.jetson import libraries, plugin_libraries
logger = trt.Logger(trt.Logger.ERROR)
loaded = [plugin_libraries.load(libraries.tensorrt(), logger, names, []) for names in plugin_libraries.PLUGINS.values()]
print(json.dumps([loaded, trt.__version__]))
"""
PARSER = """
import json, sys, tensorrt as trt
parser = trt.UffParser()
print(json.dumps([
    [parser.uff_required_version_major, parser.uff_required_version_minor, parser.uff_required_version_patch],
    parser.register_input("Input", (3, 64, 64)), parser.register_output("MarkOutput_0"),
]))
"""
CALIBRATOR = """
import json, sys, tensorrt as trt
from stages.detect.description import Description
from stages.jetson import calibrator
class Cuda:
    copied = 0
    def mem_alloc(self, count):
        return 4096
    def memcpy_htod(self, pointer, array):
        self.copied += 1
cuda, paths = Cuda(), sys.argv[2:]
described = Description("model.json", ["background", "cone"], 64, 64, 2 / 255, -1.0, False, ["NMS", "NMS_1"], {})
made = calibrator.of_pictures(trt, cuda, paths, described, sys.argv[1])
batches = []
while batches[-1:] != [None]:
    batches.append(made.get_batch(["Input"]))
made.write_calibration_cache(b"scales")
print(json.dumps([made.get_batch_size(), batches, cuda.copied, made.read_calibration_cache().decode()]))
"""


def real(program, *arguments):
    """What a program prints last, as JSON, with the real module in place of the simulated one."""
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join([REAL, CLONE, os.environ.get("PYTHONPATH", "")]),
        LD_LIBRARY_PATH=os.pathsep.join(sorted(glob.glob(os.path.join(REAL, "nvidia", "*", "lib")))),
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_simulator_has_no_attribute_that_the_real_module_lacks():
    there = real(LISTING)
    for name, found in attributes(VERSION).items():
        mine = {one for one in found if not one.startswith("_")} - set(dir(type("Plain", (), {})))
        assert mine - set(there[name]) - BY_PYTHON.get(name, set()) - {"_member_map_"} == set(), name


def test_creators_declare_the_fields_that_the_simulated_ones_do():
    for name, fields in real(CREATORS).items():
        assert set(fields) == set(plugins.declared(name, (8, 5, 3))), name


def test_plugins_are_all_found_in_the_real_registry():
    loaded, version = real(LOADED)
    assert loaded == [[], [], []] and version.startswith(VERSION)


def test_the_parser_takes_the_names_of_our_models():
    version, input_taken, output_taken = real(PARSER)
    assert (version, input_taken, output_taken) == ([0, 6, 9], True, True)


def test_the_calibrator_is_one_for_the_real_module(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_bytes(pixels.encode_png(np.zeros((64, 64, 3), np.uint8)))
    size, batches, copied, cache = real(CALIBRATOR, tmp_path / "cache", *paths)
    assert (size, copied, cache) == (1, 2, "scales")
    assert batches == [[4096], [4096], None]
