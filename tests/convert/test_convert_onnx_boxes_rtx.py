"""NVIDIA's own parser and builder, of TensorRT-RTX, take the form without plugin; no GPU is needed for that.

NANOFORGE_RTX names the folder of NVIDIA's packages (tests/requirements-rtx.lock), which `./run test --all` installs;
NANOFORGE_HOST_PYTHON is the Python that they are for. The code that builds is the one that runs on a board.
"""

import json
import os
import subprocess

import numpy as np
import pytest
from onnx import shape_inference
from test_convert_onnx import saved

from stages.convert.graph.analysis import analyse
from stages.convert.onnx import boxes, writer

PACKAGES, PYTHON = os.environ.get("NANOFORGE_RTX", ""), os.environ.get("NANOFORGE_HOST_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PACKAGES or not PYTHON, reason="NANOFORGE_RTX names no TensorRT-RTX: `./run test --all` installs it"
    ),
]
# A child: NVIDIA's code ends the process where it asserts. The engine is for a GPU that is not here.
BUILD = """
import json, sys
import tensorrt_rtx_bindings as trt
from stages.jetson import generations
from stages.job import BadInput

class Logger(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)

    def log(self, severity, words):
        if severity <= trt.ILogger.WARNING:
            print(words, file=sys.stderr)

class Builder(trt.Builder):
    def create_builder_config(self):
        config = super().create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)
        return config

trt.Builder = Builder
logger, path = Logger(), sys.argv[1]
try:
    source = generations.Source("onnx", path, ("Input", []), [])
    plan = generations.build(trt, logger, source, generations.Settings("fp32", 64))
except BadInput as error:
    sys.exit(str(error))
network = Builder(logger).create_network(0)
parser = trt.OnnxParser(network, logger)
with open(path, "rb") as stream:
    assert parser.parse(stream.read())
tensors = [network.get_layer(n).get_output(0) for n in range(network.num_layers)]
outputs = [network.get_output(n) for n in range(network.num_outputs)]
described = {"shapes": {one.name: list(one.shape) for one in tensors + outputs}, "plan": len(plan)}
described["outputs"] = [[one.name, str(one.dtype)] for one in outputs]
print("RESULT " + json.dumps(described))
"""


def built(path):
    """The exit code of the child, its words, and what it describes."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([root, PACKAGES]))
    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", BUILD, path],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=300,
    )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return done.returncode, done.stdout, json.loads(told[0][len("RESULT ") :]) if told else {}


@pytest.mark.parametrize(
    "architecture, fixed, options",
    [
        ("v1", True, {}),
        ("v1", True, {"converter": "SOFTMAX"}),
        ("v1", True, {"early_sigmoid": "true", "converter": "IDENTITY"}),
        ("lite", True, {"converter": "SOFTMAX"}),
        ("inception", False, {}),
    ],
)
def test_the_real_parser_and_builder_take_it(export, tmp_path, architecture, fixed, options):
    found = analyse(export(architecture, fixed, **options).graph, boxes_only=True)
    model = boxes.write(found.graph, found.structure, found.parameters)
    code, said, described = built(saved(model, tmp_path))
    assert code == 0, said
    assert described["outputs"] == [["boxes", "DataType.FLOAT"], ["scores", "DataType.FLOAT"]]
    assert described["plan"] > sum(np.prod(one.dims) * 4 for one in model.graph.initializer if one.data_type == 1) / 2
    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
        for one in [*graph.value_info, *graph.output]
    }
    compared = set(shapes) & set(described["shapes"])
    assert len(compared) > 100 and {"boxes", "concat_box_loc"} <= compared
    flattened = {"scores"} if "SOFTMAX" in options.values() else set()  # a softmax is taken of two dimensions there
    for name in compared - flattened:
        assert described["shapes"][name] == shapes[name], name


def test_the_form_with_the_plugin_is_not_for_it(examined, tmp_path):
    path = saved(writer.write(examined.graph, examined.structure, examined.parameters), tmp_path)
    code, said, _ = built(path)
    assert code == 1 and "TensorRT's ONNX parser refuses" in said and "NMS_TRT" in said
