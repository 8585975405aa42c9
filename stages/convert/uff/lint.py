"""What TensorRT's UFF parser and plugins would choke on, found in a .uff file before it leaves for the Jetson.

Sources of the rules: NVIDIA's UFF operator page, the asserts in NVIDIA/TensorRT's plugin sources, what NVIDIA's parser
of 8.5.3 was seen to refuse or to get wrong in silence, and failures that users reported (a second -1 in a reshape,
integer lists where floats are asserted, GridAnchor without input …). Each rule
names the versions it holds for (stages/convert/rules.py); some are stricter than 8.5.3, for the sake of older ones.
"""

from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np

from stages.convert.rules import said
from stages.convert.uff import schema
from stages.convert.uff.dataflow import FIRST, LAST, Dataflow, Dims
from stages.convert.uff.nms_rules import broken_fields, broken_inputs
from stages.job import BadInput

OPERATIONS = {
    "Input",
    "Identity",
    "Const",
    "Conv",
    "ConvTranspose",
    "Pool",
    "FullyConnected",
    "LRN",
    "Binary",
    "Unary",
    "Activation",
    "LeakyRelu",
    "Softmax",
    "BatchNorm",
    "Reshape",
    "Flatten",
    "Squeeze",
    "ExpandDims",
    "ArgMax",
    "ArgMin",
    "Transpose",
    "Concat",
    "Stack",
    "Shape",
    "StridedSlice",
    "Reduce",
    "Pad",
    "Gather",
    "GatherV2",
    "MarkOutput",
}
FUNCTIONS = {
    "Reduce": {"sum", "prod", "max", "min", "mean"},
    "Unary": {"neg", "exp", "log", "abs", "sqrt", "rsqrt", "square", "pow", "ceil", "floor"}
    | {"sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh"},
    "Activation": {"relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softsign", "softplus"},
    "Binary": {"min", "max", "mul", "sub", "div", "add", "pow"},
    "Pool": {"max", "avg"},
}
# plugin -> field -> the kind of Data that its creator asserts
PLUGIN_FIELDS = {
    "_GridAnchor_TRT": {
        "minSize": "d",
        "maxSize": "d",
        "aspectRatios": "d_list",
        "variance": "d_list",
        "featureMapShapes": "i_list",
        "numLayers": "i",
    },
    "_FlattenConcat_TRT": {"axis": "i", "ignoreBatch": "i"},
    "_NMS_TRT": {
        "shareLocation": "i",
        "varianceEncodedInTarget": "i",
        "backgroundLabelId": "i",
        "numClasses": "i",
        "topK": "i",
        "keepTopK": "i",
        "confSigmoid": "i",
        "isNormalized": "i",
        "codeType": "i",
        "inputOrder": "i_list",
        "confidenceThreshold": "d",
        "nmsThreshold": "d",
    },
}


# Fields that NMS_TRT declares from TensorRT 8.0 on; earlier parsers drop them with a line in the log.
DECLARED_LATER = {"scoreBits", "isBatchAgnostic"}


def _field(node: Any, name: str) -> Any:
    """The field ``name`` or an empty one; plain indexing would add it to the message."""
    return node.fields[name] if name in node.fields else schema.no_data()


def _are_over_0(values: Sequence[float]) -> bool:
    return bool(np.isfinite(values).all() and min(values) > 0)


def lint(meta: Any) -> List[str]:
    """Every rule that the UFF message breaks, one sentence each with the node's id; [] if there is none."""
    if len(meta.graphs) != 1 or meta.graphs[0].id != "main":
        return [said("one-graph", 'the file holds %d graphs instead of one, called "main"' % len(meta.graphs))]
    return list(_UffLint(meta).findings())


class _UffLint:
    def __init__(self, meta: Any) -> None:
        self._reference = meta.referenced_data
        self._list = meta.graphs[0].nodes
        self._nodes = {node.id: node for node in self._list}

    def findings(self) -> Iterator[str]:
        for finding in self._structure():
            yield finding
        for node in self._list:
            for finding in self._operation(node):
                yield 'node "%s" (%s): %s' % (node.id, node.operation, finding)
        if not any(self._structure()) and all(name in self._nodes for node in self._list for name in node.inputs):
            for node, finding in Dataflow(self._nodes, _field, self.constant, self._order_of).findings:
                yield 'node "%s" (%s): %s' % (node.id, node.operation, finding)

    def _structure(self) -> Iterator[str]:
        if len(self._nodes) != len(self._list):
            yield said("node-ids", "two nodes have one id")
        inputs = [node for node in self._list if node.operation == "Input"]
        is_detector = any(node.operation == "_NMS_TRT" for node in self._list)
        if not inputs or (is_detector and len(inputs) > 1):
            yield said("one-input", "there are %d Input nodes instead of one" % len(inputs))
        if "MarkOutput_0" not in self._nodes:
            yield said("mark-output", "there is no MarkOutput_0, the only output that jetson-inference registers")
        if self._is_cyclic():
            yield said("cycle", "the nodes form a cycle")

    def _is_cyclic(self) -> bool:
        waiting = {
            name: {source for source in node.inputs if source in self._nodes} for name, node in self._nodes.items()
        }
        while waiting:
            ready = {name for name, sources in waiting.items() if not sources}
            if not ready:
                return True
            waiting = {name: sources - ready for name, sources in waiting.items() if name not in ready}
        return False

    def _operation(self, node: Any) -> Iterator[str]:
        for name in node.inputs:
            if name not in self._nodes:
                yield said("inputs", 'reads "%s", which is not in the file' % name)
        if node.operation not in OPERATIONS and node.operation not in PLUGIN_FIELDS:
            yield said("operation", "unsupported operation")
        function = _field(node, "func").s
        if function not in FUNCTIONS.get(node.operation, {function}):
            yield said("function", 'unknown function "%s"' % function)
        for field, data in sorted(node.fields.items()):
            if data.WhichOneof("data_oneof") == "ref" and data.ref not in self._reference:
                yield said("references", 'field %s refers to "%s", which is not in the file' % (field, data.ref))
        rule = _RULES.get(node.operation)
        for finding in rule(self, node) if rule else ():
            yield finding

    def constant(self, name: str) -> Optional[np.ndarray]:
        """The value of the Const node ``name``, or None."""
        node = self._nodes.get(name)
        if node is None or node.operation != "Const" or _field(node, "values").ref not in self._reference:
            return None
        try:
            return schema.array(
                self._reference[_field(node, "values").ref],
                _field(node, "dtype").dtype,
                _field(node, "shape").i_list.val,
            )
        except BadInput:
            return None

    def _order_of(self, node: Any) -> str:
        found = self._reference[_field(node, "inputs_orders").ref] if "inputs_orders" in node.fields else None
        lists = found.dim_orders_list.val if found is not None else []
        order = list(lists[0].orders[schema.ORDER_SPECIAL].val) if lists else []
        return (LAST if order[-1] == 1 else FIRST) if len(order) > 2 else ""

    def input(self, node: Any) -> Iterator[str]:
        """A detector's; another network's Input may leave its shape to the program that registers it."""
        shape = list(_field(node, "shape").i_list.val)
        if not any(one.operation == "_NMS_TRT" for one in self._list):
            return
        if len(shape) != 4 or shape[0] != 1 or shape[1] != 3 or min(shape) < 1:
            yield said("input-shape", "its shape is %s instead of [1, 3, height, width]" % shape)

    def const(self, node: Any) -> Iterator[str]:
        value = self.constant(node.id)
        if value is None:
            yield said("constant", "its data does not fit its type and shape")
        elif not np.isfinite(value).all():
            yield said("finite", "its data is not finite")

    def convolution(self, node: Any) -> Iterator[str]:
        kernel = self.constant(node.inputs[1]) if len(node.inputs) == 2 else None
        if kernel is None or kernel.ndim != 4:
            yield said("kernel", "its kernel is not a constant of four dimensions")
        elif _field(node, "number_groups").i not in (0, kernel.shape[2]):
            groups = _field(node, "number_groups").i
            yield said("groups", "it has %d groups for %d input channels" % (groups, kernel.shape[2]))
        yield from self.window(node)

    def window(self, node: Any) -> Iterator[str]:
        for field in ("strides", "padding", "dilation", "kernel"):
            if field in node.fields and len(node.fields[field].i_list.val) != 2:
                yield said("window", "%s needs a height and a width" % field)
        if "strides" not in node.fields or "inputs_orders" not in node.fields:
            yield said("window", "strides or inputs_orders is missing")
        if "implicit_padding" in node.fields and "padding" in node.fields:
            yield said("two-paddings", "both padding and implicit_padding are given")

    def batch_norm(self, node: Any) -> Iterator[str]:
        if len(node.inputs) != 5 or any(self.constant(name) is None for name in list(node.inputs)[1:]):
            yield said("batch-norm", "gamma, beta, mean and variance are not four constants")

    def reshape(self, node: Any) -> Iterator[str]:
        shape = self.constant(node.inputs[1]) if len(node.inputs) == 2 else None
        if shape is None:
            yield said("reshape-constant", "its shape is not a constant")
        elif (shape == -1).sum() > 1:
            yield said("reshape-open", "-1 is given %d times" % (shape == -1).sum())
        elif shape.size > 4 or shape.size < 2:
            words = "its shape %s is not one of two to four dimensions with the batch first" % shape.tolist()
            yield said("reshape-dims", words)

    def reduce(self, node: Any) -> Iterator[str]:
        if not _field(node, "keepdims").b:
            yield said("reduce", "its dimensions stay, each of one, whatever keepdims says")
        if 0 in _field(node, "axes").i_list.val:
            yield said("batch-axis", "it is over the batch")

    def extreme(self, node: Any) -> Iterator[str]:
        """ArgMax and ArgMin."""
        if _field(node, "axis").i == 0:
            yield said("batch-axis", "it is over the batch")

    def transpose(self, node: Any) -> Iterator[str]:
        permutation = list(_field(node, "permutation").i_list.val)
        if sorted(permutation) != [0, 1, 2, 3]:
            yield said("transpose", "its permutation is %s, not one of four dimensions" % permutation)

    def fields(self, node: Any) -> Dict[str, Any]:
        """The values of a plugin's fields by their name without type suffix."""
        values = {}
        for key, data in node.fields.items():
            kind = data.WhichOneof("data_oneof")
            value: Any = getattr(data, kind) if kind else None
            values[key.split("_u_")[0]] = list(value.val) if kind and kind.endswith("_list") else value
        return values

    def plugin(self, node: Any) -> Iterator[str]:
        kinds = {key.split("_u_")[0]: data.WhichOneof("data_oneof") for key, data in node.fields.items()}
        for name, kind in PLUGIN_FIELDS[node.operation].items():
            if kinds.get(name) != kind:
                words = "field %s is %s, the plugin asserts %s" % (name, kinds.get(name, "missing"), kind)
                yield said("field-type", words)
        for name in sorted(set(kinds) - set(PLUGIN_FIELDS[node.operation]) - DECLARED_LATER - {"dtype"}):
            yield said("field-unknown", "field %s is declared by no version of the plugin: it is dropped" % name)
        if kinds.get("dtype") != "dtype":
            yield said("plugin-dtype", "field dtype is missing")
        if not node.inputs:
            yield said("plugin-input", "it has no input")

    def grid_anchor(self, node: Any) -> Iterator[str]:
        broken = list(self.plugin(node))
        yield from broken
        if broken:
            return
        values = self.fields(node)
        if values["numLayers"] < 2 or len(values["featureMapShapes"]) != values["numLayers"]:
            counts = values["numLayers"], len(values["featureMapShapes"])
            yield said("grid-layers", "numLayers is %d for %d featureMapShapes" % counts)
        if min(values["featureMapShapes"] or [0]) < 1:
            yield said("grid-maps", "featureMapShapes %s holds sides under 1" % values["featureMapShapes"])
        sizes = values["minSize"], values["maxSize"]
        if not _are_over_0(sizes):
            yield said("grid-sizes", "minSize %s and maxSize %s are not two sizes over 0" % sizes)
        if len(values["aspectRatios"]) < 3 or not _are_over_0(values["aspectRatios"]):
            yield said("grid-ratios", "it needs three or more aspectRatios over 0")
        if len(values["variance"]) != 4 or not np.isfinite(values["variance"]).all():
            yield said("grid-variance", "it needs four variances")

    def flatten_concat(self, node: Any) -> Iterator[str]:
        yield from self.plugin(node)
        axis = self.fields(node).get("axis")
        if axis != 1:
            yield said("flatten-axis", "axis is %s instead of 1" % axis)
        rest = {self._sample(name)[1:] for name in node.inputs}
        if () not in rest and len(rest) > 1:
            yield said("flatten-dims", "its inputs differ in more than their first dimension: %s" % sorted(rest))

    def nms(self, node: Any) -> Iterator[str]:
        broken = list(self.plugin(node))
        yield from broken
        values = self.fields(node)
        if broken:
            return
        if len(node.inputs) != 3 or sorted(values["inputOrder"]) != [0, 1, 2]:
            yield said("nms-inputs", "it needs three inputs (loc, conf, priors) and an inputOrder of 0, 1 and 2")
            return
        yield from self._heads(node, values)
        yield from broken_fields(values)

    def _heads(self, node: Any, values: Dict[str, Any]) -> Iterator[str]:
        loc, conf, prior = [self._nodes.get(node.inputs[index]) for index in values["inputOrder"]]
        numbers, scores, priors = self._flattened(loc), self._flattened(conf), self._priors(prior)
        if numbers is None or scores is None or priors is None:
            yield said(
                "nms-heads",
                "its inputs are not two FlattenConcat_TRT of constant reshapes and a Concat of GridAnchor_TRT "
                "or a Const [2, 4 * priors, 1]",
            )
        else:
            yield from broken_inputs(values, numbers, scores, priors)

    def _flattened(self, node: Any) -> Optional[int]:
        if node is None or node.operation != "_FlattenConcat_TRT":
            return None
        shapes = [self._reshaped(self._nodes.get(name)) for name in node.inputs]
        if any(shape is None or shape.size < 2 or shape.min() < 1 for shape in shapes):
            return None
        return sum(int(shape[1:].prod()) for shape in shapes if shape is not None)

    def _sample(self, name: str) -> Dims:
        """The three dimensions that the constant Reshape ``name`` makes beside the batch; () of anything else."""
        shape = self._reshaped(self._nodes.get(name))
        if shape is None or not 2 <= shape.size <= 4:
            return ()
        dims: List[int] = shape[1:].tolist()
        return tuple(dims + [1] * (3 - len(dims)))

    def _reshaped(self, node: Any) -> Optional[np.ndarray]:
        is_reshape = node is not None and node.operation == "Reshape" and len(node.inputs) == 2
        return self.constant(node.inputs[1]) if is_reshape else None

    def _priors(self, node: Any) -> Optional[int]:
        if node is not None and node.operation == "Const":  # a Const has no batch dimension, says the operator page
            value = self.constant(node.id)
            return value.size // 8 if value is not None and value.shape == (2, value.size // 2, 1) else None
        grid = self._nodes.get(node.inputs[0]) if node is not None and len(node.inputs) == 1 else None
        if node is None or node.operation != "Concat" or _field(node, "axis").i != 2 or grid is None:
            return None
        if grid.operation != "_GridAnchor_TRT" or list(self.grid_anchor(grid)):
            return None
        values = self.fields(grid)
        first, *rest = [side * side for side in values["featureMapShapes"]]
        boxes: int = 3 * first + (len(values["aspectRatios"]) + 1) * sum(rest)
        return boxes


_RULES = {
    "Input": _UffLint.input,
    "Const": _UffLint.const,
    "Conv": _UffLint.convolution,
    "Pool": _UffLint.window,
    "BatchNorm": _UffLint.batch_norm,
    "Reshape": _UffLint.reshape,
    "Reduce": _UffLint.reduce,
    "ArgMax": _UffLint.extreme,
    "ArgMin": _UffLint.extreme,
    "Transpose": _UffLint.transpose,
    "_GridAnchor_TRT": _UffLint.grid_anchor,
    "_FlattenConcat_TRT": _UffLint.flatten_concat,
    "_NMS_TRT": _UffLint.nms,
}
