"""A detector as a UFF message: the network's nodes, the three plugins in place of what was cut, in NVIDIA's order.

Names, fields and order follow what NVIDIA's converter writes (its table is published in
``tao_tensorflow1_backend``, Apache-2.0, and a genuine file was held against it): nodes depth first from the output,
``MarkOutput_0`` last; weights under ``weights_<id>``, dimension orders under ``orders_<names>``.
"""
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from stages.convert import uff_schema
from stages.convert.anatomy import Anatomy
from stages.convert.graph import Graph, data_inputs
from stages.convert.proof import Layer
from stages.convert.surgery import Detector, plugins
from stages.job import BadInput

INPUT, GRID_ANCHOR, PRIORS, LOCATIONS, CONFIDENCES, NMS = ("Input", "GridAnchor", "concat_priorbox", "concat_box_loc",
                                                           "concat_box_conf", "NMS")
ANCHOR_INPUT = "AnchorInput"
RESERVED = (INPUT, GRID_ANCHOR, PRIORS, LOCATIONS, CONFIDENCES, NMS, ANCHOR_INPUT, "MarkOutput_0")

_ORDERS = {"N+C": [0, 2, uff_schema.ORDER_INCREMENT, 1], "+CK": [2, uff_schema.ORDER_INCREMENT, 1, 0]}
_SUFFIXES = {float: ("float", "d"), int: ("int", "i")}


def write(graph: Graph, anatomy: Anatomy, detector: Detector) -> Any:
    """The UFF message of ``detector``, whose network is ``graph`` between its entry and its heads.

    Raises:
        BadInput: a node of the network is no operation that UFF has, or its weights are not finite float32.
    """
    return _Writer(graph, anatomy, detector).write()


class _Writer:
    """Collects nodes; ``_pending`` is the depth-first stack of tensors still to be written."""

    def __init__(self, graph: Graph, anatomy: Anatomy, detector: Detector) -> None:
        self.graph, self._anatomy, self._detector = graph, anatomy, detector
        self._meta = uff_schema.meta_graph()
        self._meta.version = self._meta.descriptor_core_version = 1
        self._nodes = self._meta.graphs.add(id="main").nodes
        self._pending: List[str] = []
        self._heads: Dict[str, List[int]] = {}
        self._reference = self._meta.referenced_data

    def write(self) -> Any:
        for name in ("tensorflow_extension", "custom"):
            self._meta.descriptors.add(id=name, version=1)
        self._plugins()
        written = set()
        while self._pending:
            node = self.graph.maker(self._pending.pop())
            if node.name not in written and node.name != self._anatomy.entry:
                written.add(node.name)
                self._write_node(node)
        shape = [1, 3, self._detector.input.height, self._detector.input.width]
        self.add(INPUT, "Input", [], dtype=("dtype", uff_schema.FLOAT32), shape=("i_list", shape))
        self.add("MarkOutput_0", "MarkOutput", [NMS])
        return self._meta

    def _plugins(self) -> None:
        fields = plugins(self._detector)
        boxes = self._register(self._anatomy.box_heads, lambda layer: 4)
        classes = self._register(self._anatomy.class_heads, lambda layer: layer.classes)
        self._plugin(NMS, "NMS_TRT", [LOCATIONS, PRIORS, CONFIDENCES], fields)
        self._plugin(CONFIDENCES, "FlattenConcat_TRT", [self.id(name) for name in classes], fields)
        self._priors(fields)
        self._plugin(LOCATIONS, "FlattenConcat_TRT", [self.id(name) for name in boxes], fields)
        self._pending = boxes + classes

    def _priors(self, fields: Dict[str, Dict[str, Any]]) -> None:
        """The anchors and variances that NMS_TRT reads: by GridAnchor_TRT, or where that cannot make them a constant.

        The constant is float32 [2, 4 P, 1], as GridAnchor_TRT's output: a UFF Const has no batch dimension.
        """
        if "GridAnchor_TRT" in fields:
            self.add(PRIORS, "Concat", [GRID_ANCHOR], axis=("i", 2))
            self._plugin(GRID_ANCHOR, "GridAnchor_TRT", [ANCHOR_INPUT], fields)
            self.constant(ANCHOR_INPUT, np.ones((1, 1), np.float32))  # some parsers crash on a plugin with no input
        else:
            anchors = self._detector.anchors
            variances = np.tile(np.array(self._detector.variances, np.float32), len(anchors))
            self.constant(PRIORS, np.stack([anchors.reshape(-1), variances])[:, :, np.newaxis])

    def _register(self, heads: list, width: Callable[[Layer], int]) -> List[str]:
        for head, layer in zip(heads, self._detector.layers):
            self._heads[head.reshape] = [1, layer.height * layer.width * layer.boxes, 1, width(layer)]
        return [head.reshape for head in heads]

    def _plugin(self, name: str, operation: str, inputs: List[str], fields: Dict[str, Dict[str, Any]]) -> None:
        data = dict(_typed(key, value) for key, value in fields[operation].items())
        self.add(name, "_" + operation, inputs, dtype=("dtype", uff_schema.FLOAT32), **data)

    def _write_node(self, node: Any) -> None:
        if node.name in self._heads:
            self._write_head(node)
        elif node.op in CONVERTERS:
            CONVERTERS[node.op](self, node)
        else:
            raise BadInput('UFF has no operation %s (node "%s" of the network); retrain without it'
                           % (node.op, node.name))

    def _write_head(self, node: Any) -> None:
        """A head's Reshape to a constant; classes get the boxes' unit axis, a form that the parser is known to take."""
        shape = self.id(node.name) + "/shape"
        while shape in self.graph.nodes and self.graph.maker(data_inputs(node)[1]).name != shape:
            shape += "_1"
        source = data_inputs(node)[0]
        self.add(self.id(node.name), "Reshape", [self.source(source), shape])
        self.constant(shape, np.array(self._heads[node.name], np.int32))
        self._pending.append(source)

    def id(self, name: str) -> str:
        """The UFF id of a TensorFlow node: its name, unless one of our own nodes has it."""
        return name + "_tf" if name in RESERVED else name

    def source(self, tensor: str) -> str:
        """The id of the node that makes ``tensor``."""
        name = self.graph.maker(tensor).name
        return INPUT if name == self._anatomy.entry else self.id(name)

    def add(self, name: str, operation: str, inputs: List[str], **fields: Any) -> None:
        """Append a node; each field is (kind of Data, value)."""
        node = self._nodes.add(id=name, operation=operation, inputs=inputs)
        for key, (kind, value) in fields.items():
            if kind.endswith("_list"):
                getattr(node.fields[key], kind).SetInParent()
                getattr(node.fields[key], kind).val.extend(value)
            else:
                setattr(node.fields[key], kind, value)

    def follow(self, node: Any, operation: str, inputs: List[str], **fields: Any) -> None:
        """Append ``node`` as ``operation`` and see to it that its ``inputs`` (tensors) are written."""
        self.add(self.id(node.name), operation, [self.source(tensor) for tensor in inputs], **fields)
        self._pending.extend(inputs)

    def constant(self, name: str, values: np.ndarray) -> None:
        """Append a Const; its bytes go to ``weights_<name>``, little-endian in C order."""
        if values.dtype not in uff_schema.DTYPES or not np.isfinite(values).all():
            raise BadInput('The weights of node "%s" are %s; the network was damaged or its training diverged'
                           % (name, "not finite" if values.dtype in uff_schema.DTYPES else values.dtype))
        self.add(name, "Const", [], dtype=("dtype", uff_schema.DTYPES[values.dtype]), shape=("i_list", values.shape),
                 values=("ref", "weights_" + name))
        self._reference["weights_" + name].blob = values.astype(values.dtype.newbyteorder("<")).tobytes()

    def orders(self, *names: str) -> Tuple[str, str]:
        """The field that says in which order the inputs' dimensions lie; its table is written on first use."""
        key = "orders_" + "_".join(names)
        if key not in self._reference:
            table = self._reference[key].dim_orders_list
            for name in names:
                table.val.add().orders[uff_schema.ORDER_SPECIAL].val.extend(_ORDERS[name])
        return ("ref", key)


def _typed(name: str, value: Any) -> Tuple[str, Tuple[str, Any]]:
    """The field's name with the suffix of its type, as graphsurgeon writes it, and its data."""
    is_list = isinstance(value, list)
    suffix, data = _SUFFIXES[type(value[0] if is_list else value)]
    if is_list:
        return "%s_u_%slist" % (name, suffix[0]), (data + "_list", value)
    return "%s_u_%s" % (name, suffix), (data, value)


def _window(node: Any, attribute: str) -> List[int]:
    """The height and width of a four-number attribute of an NHWC node."""
    values = list(node.attr[attribute].list.i)
    if node.attr["data_format"].s != b"NHWC" or len(values) != 4 or values[0] != 1 or values[3] != 1:
        raise BadInput('Node "%s" (%s) is not NHWC; export the graph on a CPU' % (node.name, node.op))
    return values[1:3]


def _padding(node: Any) -> Dict[str, Any]:
    return {"implicit_padding": ("s", "same")} if node.attr["padding"].s == b"SAME" else {}


def _convolution(writer: _Writer, node: Any) -> None:
    source, kernel = data_inputs(node)
    fields = dict(_padding(node), strides=("i_list", _window(node, "strides")),
                  inputs_orders=writer.orders("N+C", "+CK"))
    dilation = list(node.attr["dilations"].list.i)[1:3]
    if any(step != 1 for step in dilation):
        fields["dilation"] = ("i_list", dilation)
    pad = writer.graph.maker(source)
    if pad.op == "Pad":
        fields["padding"], source = ("i_list", _symmetric(writer.graph, pad, node)), data_inputs(pad)[0]
    if node.op == "DepthwiseConv2dNative":
        fields["number_groups"] = ("i", _weights(writer, kernel).shape[2])
    writer.follow(node, "Conv", [source, kernel], **fields)


def _symmetric(graph: Graph, pad: Any, convolution: Any) -> List[int]:
    """The rows and columns that ``pad`` adds on every side, where UFF can say so."""
    pads = graph.constant(data_inputs(pad)[1])
    fits = pads is not None and pads.shape == (4, 2) and (pads[:, 0] == pads[:, 1]).all() and not pads[[0, 3]].any()
    if not fits or convolution.attr["padding"].s != b"VALID":
        raise BadInput('Node "%s" pads unevenly, which the UFF parser refuses; train without explicit padding'
                       % pad.name)
    return [int(pads[1, 0]), int(pads[2, 0])]


def _weights(writer: _Writer, tensor: str) -> np.ndarray:
    weights = writer.graph.constant(tensor)
    if weights is None:
        raise BadInput('"%s" should hold weights but is computed; freeze the graph again' % writer.source(tensor))
    return weights


def _bias(writer: _Writer, node: Any) -> None:
    _window_free(node)
    writer.follow(node, "Binary", data_inputs(node), func=("s", "add"))


def _window_free(node: Any) -> None:
    if node.attr["data_format"].s not in (b"NHWC", b""):
        raise BadInput('Node "%s" (%s) is not NHWC; export the graph on a CPU' % (node.name, node.op))


def _batch_norm(writer: _Writer, node: Any) -> None:
    _window_free(node)
    writer.follow(node, "BatchNorm", data_inputs(node), epsilon=("d", node.attr["epsilon"].f),
                  inputs_orders=writer.orders("N+C"))


def _pool(writer: _Writer, node: Any) -> None:
    writer.follow(node, "Pool", data_inputs(node), func=("s", {"MaxPool": "max", "AvgPool": "avg"}[node.op]),
                  kernel=("i_list", _window(node, "ksize")), strides=("i_list", _window(node, "strides")),
                  inputs_orders=writer.orders("N+C"), **_padding(node))


def _concat(writer: _Writer, node: Any) -> None:
    *parts, axis = data_inputs(node)
    value = _weights(writer, axis)
    if value.size != 1:
        raise BadInput('Node "%s" joins along no single axis; export the graph again' % node.name)
    writer.follow(node, "Concat", parts, axis=("i", int(value) % 4))


def _constant(writer: _Writer, node: Any) -> None:
    writer.constant(writer.id(node.name), _weights(writer, node.name))


def _function(operation: str, function: str) -> Callable[[_Writer, Any], None]:
    return lambda writer, node: writer.follow(node, operation, data_inputs(node), func=("s", function))


CONVERTERS = {
    "Conv2D": _convolution, "DepthwiseConv2dNative": _convolution, "BiasAdd": _bias, "FusedBatchNorm": _batch_norm,
    "MaxPool": _pool, "AvgPool": _pool, "ConcatV2": _concat, "Const": _constant,
    "Relu": _function("Activation", "relu"), "Relu6": _function("Activation", "relu6"),
    "Sigmoid": _function("Activation", "sigmoid"), "Add": _function("Binary", "add"), "Sub": _function("Binary", "sub"),
    "Mul": _function("Binary", "mul"),
}
