"""Damaged models, and what ONNX parsers of TensorRT say of them: the linter agrees, or is stricter and says why.

The verdicts were recorded with the sources of onnx-tensorrt 7.1, 8.2 and 10.1 and of NVIDIA's NMS_TRT, under a stand-in
for the network definition. "dies" ends the whole process, "error" is a refusal, "wrong" a finding of the network's.
"""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from stages.convert.onnx import writer
from stages.convert.onnx.lint import lint
from stages.convert.uff.plugin_graph import PRIORS

OK, DIES, ERROR, WRONG = "ok", "dies", "error", "wrong"
NEVER_TAKEN = (DIES, DIES, DIES)


@pytest.fixture
def model(examined):
    return writer.write(examined.graph, examined.structure, examined.parameters)


def plugin(model):
    return next(node for node in model.graph.node if node.op_type == "NMS_TRT")


def field(name, *values):
    """The plugin's attribute gets another value, or goes."""

    def change(model):
        node = plugin(model)
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend(kept + [helper.make_attribute(name, value) for value in values])

    return change


def priors(shape):
    """The priors in another shape, declared so."""

    def change(model):
        one = next(one for one in model.graph.initializer if one.name == PRIORS)
        one.CopyFrom(numpy_helper.from_array(shape(numpy_helper.to_array(one)), PRIORS))

    return change


def swapped(model):
    node = plugin(model)
    node.input[0], node.input[1] = node.input[1], node.input[0]


def flat_heads(model):
    for number, name in enumerate(list(plugin(model).input)):
        if name != PRIORS:
            shape = numpy_helper.from_array(np.array([1, -1]), "flat_shape_%d" % number)
            model.graph.initializer.append(shape)
            made = helper.make_node("Reshape", [name, shape.name], ["flat_%d" % number], name="flat_%d" % number)
            model.graph.node.insert(list(model.graph.node).index(plugin(model)), made)
            plugin(model).input[number] = made.output[0]


def one_output(model):
    del plugin(model).output[1:]
    del model.graph.output[1:]


def domain(name):
    def change(model):
        plugin(model).domain = name

    return change


def opset(version):
    def change(model):
        model.opset_import[0].version = version

    return change


def ir(version):
    def change(model):
        model.ir_version = version

    return change


def batch(**size):
    def change(model):
        dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
        for name, value in size.items():
            setattr(dimension, name, value)

    return change


def auto_pad(model):
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    kept = [one for one in node.attribute if one.name != "pads"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("auto_pad", "SAME_UPPER")])


def unknown(model):
    next(node for node in model.graph.node if node.op_type == "Clip").op_type = "Foo"


TYPE, GONE, VALID = "of another type", "is missing", "not valid ONNX"
# Change, the verdicts of 7.1, 8.2 and 10.1, and what the linter says.
VARIANTS = {
    "confSigmoid is a float": (field("confSigmoid", 1.0), (OK, OK, OK), TYPE),
    "isNormalized is a float": (field("isNormalized", 1.0), (OK, OK, OK), TYPE),
    "confidenceThreshold is an integer": (field("confidenceThreshold", 1), (DIES, DIES, ERROR), TYPE),
    "nmsThreshold is an integer": (field("nmsThreshold", 1), (DIES, DIES, ERROR), TYPE),
    "nmsThreshold is a list": (field("nmsThreshold", [0.6]), (OK, OK, OK), TYPE),
    "topK is a float": (field("topK", 100.0), (DIES, DIES, ERROR), TYPE),
    "topK is text": (field("topK", "100"), (DIES, DIES, ERROR), TYPE),
    "shareLocation is a list": (field("shareLocation", [1]), (OK, OK, OK), TYPE),
    "inputOrder holds floats": (field("inputOrder", [0.0, 2.0, 1.0]), (DIES, DIES, ERROR), TYPE),
    "inputOrder is one number": (field("inputOrder", 0), (DIES, OK, OK), TYPE),
    "inputOrder is too short": (field("inputOrder", [0, 2]), NEVER_TAKEN, "inputOrder of 0, 1 and 2"),
    "inputOrder is too long": (field("inputOrder", [0, 2, 1, 0]), (OK, OK, OK), "inputOrder of 0, 1 and 2"),
    "no backgroundLabelId": (field("backgroundLabelId"), (DIES, OK, OK), GONE),
    "no codeType": (field("codeType"), (DIES, OK, OK), GONE),
    "no confSigmoid": (field("confSigmoid"), (DIES, OK, OK), GONE),
    "no confidenceThreshold": (field("confidenceThreshold"), (DIES, OK, OK), GONE),
    "no inputOrder": (field("inputOrder"), (DIES, OK, OK), GONE),
    "no isBatchAgnostic": (field("isBatchAgnostic"), (OK, OK, OK), GONE),
    "no isNormalized": (field("isNormalized"), (DIES, OK, OK), GONE),
    "no keepTopK": (field("keepTopK"), (DIES, OK, OK), GONE),
    "no nmsThreshold": (field("nmsThreshold"), (DIES, OK, OK), GONE),
    "no numClasses": (field("numClasses"), NEVER_TAKEN, GONE),
    "no scoreBits": (field("scoreBits"), (OK, OK, OK), GONE),
    "no shareLocation": (field("shareLocation"), NEVER_TAKEN, GONE),
    "no topK": (field("topK"), (DIES, OK, OK), GONE),
    "no varianceEncodedInTarget": (field("varianceEncodedInTarget"), (DIES, OK, OK), GONE),
    "another namespace": (field("plugin_namespace", "x"), (ERROR, ERROR, ERROR), "plugin_namespace is b'x'"),
    "another version": (field("plugin_version", "2"), (ERROR, ERROR, ERROR), "plugin_version is b'2'"),
    "the version is a number": (field("plugin_version", 1), (ERROR, ERROR, ERROR), "plugin_version is 1"),
    "the domain is empty": (domain(""), (OK, OK, OK), VALID),
    "another domain": (domain("x.y"), (OK, OK, OK), VALID),
    "flat priors": (priors(lambda values: values.reshape(1, -1, 1, 1)), NEVER_TAKEN, "priors are"),
    "priors without batch": (priors(lambda values: values[0]), NEVER_TAKEN, "priors are"),
    "priors of three dimensions": (priors(lambda values: values[..., 0]), NEVER_TAKEN, "priors are"),
    "a prior too few": (priors(lambda values: values[:, :, :-4]), NEVER_TAKEN, "numPriors * 4"),
    "inputs swapped": (swapped, NEVER_TAKEN, "priors are"),
    "background 9": (field("backgroundLabelId", 9), (OK, OK, OK), "not one of the classes"),
    "codeType 9": (field("codeType", 9), (OK, OK, OK), "writes no boxes"),
    "keepTopK 0": (field("keepTopK", 0), (OK, OK, OK), "keepTopK 0"),
    "one class more": (field("numClasses", 9), NEVER_TAKEN, "numPriors * numClasses"),
    "topK over the priors": (field("topK", 100000), (OK, OK, OK), "topK 100000 is over"),
    "heads of two dimensions": (flat_heads, NEVER_TAKEN, "instead of [1, numbers, 1, 1]"),
    "one output": (one_output, (OK, OK, OK), "two outputs"),
    "opset 7": (opset(7), (OK, OK, OK), VALID),
    "opset 9": (opset(9), (OK, OK, OK), VALID),
    "opset 10": (opset(10), (OK, OK, OK), VALID),
    "opset 12": (opset(12), (OK, OK, OK), "opset 12"),
    "opset 13": (opset(13), (OK, OK, OK), "opset 13"),
    "opset 17": (opset(17), (OK, ERROR, OK), "opset 17"),
    "format 7": (ir(7), (OK, OK, OK), "format 7"),
    "format 8": (ir(8), (OK, OK, OK), "format 8"),
    "format 10": (ir(10), (OK, OK, OK), VALID),
    "batch 2": (batch(dim_value=2), (WRONG, WRONG, WRONG), "instead of [1, 3, height, width]"),
    "an open batch": (batch(dim_param="batch"), (WRONG, WRONG, WRONG), "instead of [1, 3, height, width]"),
    "auto_pad": (auto_pad, (WRONG, WRONG, WRONG), "pads"),
    "an unknown operation": (unknown, (ERROR, ERROR, ERROR), VALID),
}
TAKEN = {
    "as it is written": lambda model: None,
    "the plugin's version said": field("plugin_version", "1"),
    "the empty namespace said": field("plugin_namespace", ""),
    "an attribute that nobody reads": field("unknown", 1),
    "format 4": ir(4),
}


def test_what_all_parsers_take_is_clean(model):
    for name, change in TAKEN.items():
        copy = type(model)()
        copy.CopyFrom(model)
        change(copy)
        assert lint(copy) == [], name


@pytest.mark.parametrize("name", VARIANTS)
def test_the_linter_is_at_least_as_strict_and_says_why(model, name):
    change, verdicts, told = VARIANTS[name]
    change(model)
    found = lint(model)
    assert any(told in finding for finding in found), (verdicts, found)
