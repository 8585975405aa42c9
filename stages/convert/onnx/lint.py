"""What TensorRT's ONNX parser (7.1 to 8.2) and NMS_TRT would choke on, found before a model leaves for the Jetson.

Two forms are known: one that ends in NMS_TRT, and one without any plugin that ends in ``boxes`` and ``scores``.

Sources of the rules: the importers of onnx-tensorrt 7.1 and 8.2 (Apache-2.0) and the asserts of NMS_TRT's sources in
NVIDIA/TensorRT. Shapes are those that ONNX's own shape inference finds, not what the writer believes.
"""

from typing import Any, Dict, Iterator, List

import numpy as np
from onnx import AttributeProto, checker, helper, numpy_helper, shape_inference

from stages.convert.rules import said
from stages.convert.uff.nms_rules import broken_fields, broken_inputs

NEWEST_OPSET, NEWEST_IR, NEWEST_OPSET_OF_8 = 11, 6, 13
OPERATIONS = {
    "Conv",
    "BatchNormalization",
    "Clip",
    "Relu",
    "Sigmoid",
    "Add",
    "Sub",
    "Mul",
    "Concat",
    "MaxPool",
    "AveragePool",
    "Transpose",
    "Reshape",
    "Split",
    "Exp",
    "Softmax",
}
# Inputs that the importers assert to be initializers.
CONSTANT_INPUTS = {"Conv": (1, 2), "BatchNormalization": (1, 2, 3, 4), "Clip": (1, 2), "Reshape": (1,)}
_INT, _FLOAT, _INTS = AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.INTS
# By these the parser looks for the plugin; what they are where a node does not have them.
PLUGIN_IDENTITY = {"plugin_version": b"1", "plugin_namespace": b""}
# All that NMS_TRT declares in TensorRT 7.1 to 8.2, with the type that its creator asserts.
NMS_FIELDS = {
    "shareLocation": _INT,
    "varianceEncodedInTarget": _INT,
    "backgroundLabelId": _INT,
    "numClasses": _INT,
    "topK": _INT,
    "keepTopK": _INT,
    "confidenceThreshold": _FLOAT,
    "nmsThreshold": _FLOAT,
    "inputOrder": _INTS,
    "confSigmoid": _INT,
    "isNormalized": _INT,
    "codeType": _INT,
    "scoreBits": _INT,
    "isBatchAgnostic": _INT,
}


def lint(model: Any) -> List[str]:
    """Every rule that the ModelProto breaks, one sentence each with the node's name; [] if there is none."""
    try:
        checker.check_model(model)
        inferred = shape_inference.infer_shapes(model, strict_mode=True)
    except (checker.ValidationError, shape_inference.InferenceError, RuntimeError) as error:
        return [said("onnx-valid", "it is not valid ONNX: %s" % str(error).strip().split("\n")[0])]
    return list(_OnnxLint(inferred).findings())


class _OnnxLint:
    def __init__(self, model: Any) -> None:
        graph = model.graph
        self._model, self._nodes = model, graph.node
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._shapes = {name: list(value.shape) for name, value in self._constants.items()}
        for value in list(graph.input) + list(graph.value_info) + list(graph.output):
            self._shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]

    def findings(self) -> Iterator[str]:
        yield from self._versions()
        for name, values in self._constants.items():
            if not np.isfinite(values).all():
                yield said("finite", 'the constant "%s" is not finite' % name)
        for value in self._model.graph.input:
            shape = self._shapes[value.name]
            if len(shape) != 4 or min(shape) < 1 or shape[:2] != [1, 3]:
                words = 'the input "%s" is %s instead of [1, 3, height, width]' % (value.name, shape)
                yield said("onnx-input", words)
        for node in self._nodes:
            for finding in self._operation(node):
                yield 'node "%s" (%s): %s' % (node.name, node.op_type, finding)
        if [node.op_type for node in self._nodes].count("NMS_TRT") != 1 and not self._ends_in_boxes():
            words = "there is not exactly one NMS_TRT, nor do boxes [1, P, 4] and scores [1, P, C] come out instead"
            yield said("onnx-one-nms", words)

    def _ends_in_boxes(self) -> bool:
        outputs = [self._shapes[one.name] for one in self._model.graph.output]
        named = [one.name for one in self._model.graph.output] == ["boxes", "scores"]
        return named and [len(shape) for shape in outputs] == [3, 3] and outputs[0] == [1, outputs[1][1], 4]

    def _versions(self) -> Iterator[str]:
        versions = {one.domain: one.version for one in self._model.opset_import}
        if versions.get("", 0) > NEWEST_OPSET or self._model.ir_version > NEWEST_IR:
            of = versions.get("", 0), self._model.ir_version
            limits = "7.1 reads up to %d and %d" % (NEWEST_OPSET, NEWEST_IR)
            newer = ", 8.0 and 8.2 up to opset %d" % NEWEST_OPSET_OF_8 if of[0] > NEWEST_OPSET_OF_8 else ""
            yield said("onnx-opset", "it is of opset %d and format %d; %s%s" % (*of, limits, newer))

    def _operation(self, node: Any) -> Iterator[str]:
        for index in CONSTANT_INPUTS.get(node.op_type, ()):
            if index < len(node.input) and node.input[index] not in self._constants:
                yield said("onnx-constant", 'its input "%s" is not a constant' % node.input[index])
        for name in node.output:
            if min(self._shapes.get(name) or [0]) < 1:
                yield said("onnx-shape", 'its output "%s" has no fixed shape' % name)
        if node.op_type == "NMS_TRT":
            yield from self._nms(node)
        elif node.op_type not in OPERATIONS or node.domain:
            yield said("onnx-operation", "unsupported operation")
        values = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        yield from self._pads(node, values)

    def _pads(self, node: Any, values: Dict[str, Any]) -> Iterator[str]:
        pads = values.get("pads", [0, 0, 0, 0])
        if "auto_pad" in values or len(pads) != 4 or min(pads) < 0:
            yield said("onnx-pads", "its pads are not given as four numbers")
        elif node.op_type == "AveragePool" and pads[:2] != pads[2:]:
            yield said("onnx-average", "it averages over uneven pads %s" % list(pads))

    def _nms(self, node: Any) -> Iterator[str]:
        kinds = {one.name: one.type for one in node.attribute}
        broken = [
            said("onnx-field-type", "attribute %s is of another type than the plugin asserts" % name)
            if name in kinds
            else said("onnx-field-there", "attribute %s is missing" % name)
            for name, kind in NMS_FIELDS.items()
            if kinds.get(name) != kind
        ]
        yield from broken
        values = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        for name, only in PLUGIN_IDENTITY.items():
            if values.get(name, only) != only:
                words = "attribute %s is %r, and there is no such plugin: leave it out" % (name, values[name])
                yield said("onnx-plugin", words)
        if broken:
            return
        if len(node.input) != 3 or sorted(values["inputOrder"]) != [0, 1, 2] or len(node.output) != 2:
            yield said(
                "nms-inputs", "it needs three inputs (loc, conf, priors), an inputOrder of 0, 1 and 2, and two outputs"
            )
            return
        loc, conf, prior = (self._shapes[node.input[index]] for index in values["inputOrder"])
        yield from self._inputs(loc, conf, prior, values)
        yield from broken_fields(values)
        if self._shapes[node.output[0]] != [1, 1, values["keepTopK"], 7]:
            yield said("onnx-output", "its first output is declared as %s" % self._shapes[node.output[0]])

    def _inputs(self, loc: List[int], conf: List[int], prior: List[int], values: Dict[str, Any]) -> Iterator[str]:
        if len(prior) != 4 or prior[:2] != [1, 2] or prior[2] % 4 or prior[3] != 1:
            yield said("onnx-priors", "its priors are %s instead of [1, 2, 4 * numPriors, 1]" % prior)
        elif any(len(shape) != 4 or shape[:1] + shape[2:] != [1, 1, 1] for shape in (loc, conf)):
            words = "its loc is %s and its conf %s instead of [1, numbers, 1, 1]" % (loc, conf)
            yield said("onnx-heads", words)
        else:
            yield from broken_inputs(values, loc[1], conf[1], prior[2] // 4)
