"""A TensorFlow graph as a UFF message, as NVIDIA's converter writes it: same nodes, fields, references and order.

Its rules for each operation are published in ``tao_tensorflow1_backend`` (Apache-2.0, ``converter_functions.py``), and
a genuine file was held against them: nodes depth first from the outputs, the last input first; ``MarkOutput_0`` last;
weights under ``weights_<id>``, dimension orders under ``orders_<names>``; operations without a rule become plugins.
"""

from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from stages.convert.graph.frozen_graph import Graph, data_inputs
from stages.convert.graph.windows import check_layout, pads_before, window
from stages.convert.uff import schema
from stages.job import BadInput

PLUGINS = ("GridAnchor_TRT", "FlattenConcat_TRT", "NMS_TRT")
_ORDERS = {
    "N+C": [0, 2, schema.ORDER_INCREMENT, 1],
    "+CK": [2, schema.ORDER_INCREMENT, 1, 0],
    "NC": [0, 1],
    "CN": [1, 0],
    "CK": [1, 0],
    "KC": [0, 1],
}
# graphsurgeon's suffix of a plugin's attribute -> the field's kind of Data and its value
_FIELDS: Dict[str, Callable[[Any], Tuple[str, Any]]] = {
    "int": lambda attribute: ("i", attribute.i),
    "float": lambda attribute: ("d", attribute.f),
    "ilist": lambda attribute: ("i_list", attribute.list.i),
    "flist": lambda attribute: ("d_list", attribute.list.f),
}


def write(graph: Graph, outputs: Sequence[str]) -> Any:
    """The UFF message of what ``graph`` computes for the nodes ``outputs``.

    ``graph`` is in float32 and NHWC, as TensorFlow 1.12 writes it; its nodes of :data:`PLUGINS` carry their fields as
    attributes, which :mod:`stages.convert.uff.plugin_graph` gives them.

    Raises:
        BadInput: UFF has no such operation as a node's, or its weights are not finite.
    """
    return _UffWriter(graph).write(outputs)


class _UffWriter:
    """Collects nodes; ``_pending`` is the depth-first stack of tensors still to be written."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._meta = schema.meta_graph()
        self._meta.version = self._meta.descriptor_core_version = 1
        self._meta.descriptors.add(id="tensorflow_extension", version=1)
        self._nodes = self._meta.graphs.add(id="main").nodes
        self._pending: List[str] = []
        self._written = set(["MarkOutput_0"])
        self._reference = self._meta.referenced_data

    def write(self, outputs: Sequence[str]) -> Any:
        self._pending = list(outputs)
        while self._pending:
            node = self.graph.maker(self._pending.pop())
            if node.name not in self._written:
                self._write_node(node)
        for number, name in enumerate(outputs):
            self.add("MarkOutput_%d" % number, "MarkOutput", [self.source(name)])
        return self._meta

    def _write_node(self, node: Any) -> None:
        if node.op in CONVERTERS:
            CONVERTERS[node.op](self, node)
        elif node.op in PLUGINS:
            self._write_plugin(node)
        else:
            raise BadInput('UFF has no operation %s (node "%s"); retrain without it' % (node.op, node.name))

    def _write_plugin(self, node: Any) -> None:
        if len(self._meta.descriptors) == 1:
            self._meta.descriptors.add(id="custom", version=1)
        self.follow(node, "_" + node.op, data_inputs(node), **{key: _field(node, key) for key in node.attr})

    def source(self, tensor: str) -> str:
        """The id of the node that makes ``tensor``; Identity nodes are passed over."""
        return str(self.graph.maker(tensor).name)

    def add(self, name: str, operation: str, inputs: Sequence[str], **fields: Any) -> None:
        """Append a node; each field is (kind of Data, value)."""
        self._written.add(name)
        node = self._nodes.add(id=name, operation=operation, inputs=inputs)
        for key, (kind, value) in fields.items():
            if kind.endswith("_list"):
                getattr(node.fields[key], kind).SetInParent()
                getattr(node.fields[key], kind).val.extend(value)
            else:
                setattr(node.fields[key], kind, value)

    def follow(self, node: Any, operation: str, inputs: Sequence[str], **fields: Any) -> None:
        """Append ``node`` as ``operation`` and see to it that its ``inputs`` (tensors) are written."""
        self.add(node.name, operation, [self.source(tensor) for tensor in inputs], **fields)
        self._pending.extend(inputs)

    def constant(self, name: str, values: np.ndarray) -> None:
        """Append a Const; its bytes go to ``weights_<name>``, little-endian in C order."""
        if values.dtype not in schema.DTYPES or not np.isfinite(values).all():
            raise BadInput(
                'The weights of node "%s" are %s; the network was damaged or its training diverged'
                % (name, "not finite" if values.dtype in schema.DTYPES else values.dtype)
            )
        self.add(
            name,
            "Const",
            [],
            dtype=("dtype", schema.DTYPES[values.dtype]),
            shape=("i_list", values.shape),
            values=("ref", "weights_" + name),
        )
        self._reference["weights_" + name].blob = values.astype(values.dtype.newbyteorder("<")).tobytes()

    def weights(self, tensor: str) -> np.ndarray:
        """The value of ``tensor``, which is a constant."""
        values = self.graph.constant(tensor)
        if values is None:
            raise BadInput('"%s" should hold weights but is computed; freeze the graph again' % self.source(tensor))
        return values

    def is_written(self, tensor: str) -> bool:
        """Whether the node that makes ``tensor`` is in the message already."""
        return self.source(tensor) in self._written

    def orders(self, *names: str) -> Tuple[str, str]:
        """The field that says in which order the inputs' dimensions lie; its table is written on first use."""
        key = "orders_" + "_".join(names)
        if key not in self._reference:
            table = self._reference[key].dim_orders_list
            for name in names:
                table.val.add().orders[schema.ORDER_SPECIAL].val.extend(_ORDERS[name])
        return ("ref", key)


def _field(node: Any, key: str) -> Tuple[str, Any]:
    """A plugin's attribute as a field: the kind of Data, and the value."""
    return ("dtype", schema.FLOAT32) if key == "dtype" else _FIELDS[key.split("_u_")[1]](node.attr[key])


def _padding(writer: _UffWriter, node: Any, source: str) -> Tuple[Dict[str, Any], str]:
    """The fields that say how ``node`` pads, and the tensor it reads: that before a Pad, where there is one."""
    check_layout(node)
    pad = writer.graph.maker(source)
    if pad.op == "Pad":
        return {"padding": ("i_list", _symmetric(writer.graph, pad, node))}, data_inputs(pad)[0]
    return ({"implicit_padding": ("s", "same")} if node.attr["padding"].s == b"SAME" else {}), source


def _symmetric(graph: Graph, pad: Any, node: Any) -> List[int]:
    """The rows and columns that ``pad`` adds on every side, where UFF can say so."""
    rows, columns = pads_before(graph, pad, node)
    if rows[0] != rows[1] or columns[0] != columns[1]:
        raise BadInput(
            'Node "%s" pads unevenly, which the UFF parser refuses; train without explicit padding' % pad.name
        )
    return [rows[0], columns[0]]


def _placeholder(writer: _UffWriter, node: Any) -> None:
    shape = node.attr["shape"].shape
    writer.add(
        node.name, "Input", [], dtype=("dtype", schema.FLOAT32), shape=("i_list", [dim.size for dim in shape.dim])
    )


def _convolution(writer: _UffWriter, node: Any) -> None:
    source, kernel = data_inputs(node)
    fields, source = _padding(writer, node, source)
    fields.update(strides=("i_list", window(node, "strides")), inputs_orders=writer.orders("N+C", "+CK"))
    dilation = list(node.attr["dilations"].list.i)[1:3]
    if any(step != 1 for step in dilation):
        fields["dilation"] = ("i_list", dilation)
    if node.op == "DepthwiseConv2dNative":
        fields["number_groups"] = ("i", writer.weights(kernel).shape[2])
    writer.follow(node, "Conv", [source, kernel], **fields)


def _bias(writer: _UffWriter, node: Any) -> None:
    """A sum; its constant is written before it, unlike all others, because NVIDIA's converter makes it there."""
    check_layout(node)
    source, bias = data_inputs(node)
    if not writer.is_written(bias):
        writer.constant(writer.source(bias), writer.weights(bias))
    writer.follow(node, "Binary", [source, bias], func=("s", "add"))


def _batch_norm(writer: _UffWriter, node: Any) -> None:
    check_layout(node)
    writer.follow(
        node, "BatchNorm", data_inputs(node), epsilon=("d", node.attr["epsilon"].f), inputs_orders=writer.orders("N+C")
    )


def _pool(writer: _UffWriter, node: Any) -> None:
    fields, source = _padding(writer, node, data_inputs(node)[0])
    writer.follow(
        node,
        "Pool",
        [source],
        func=("s", {"MaxPool": "max", "AvgPool": "avg"}[node.op]),
        kernel=("i_list", window(node, "ksize")),
        strides=("i_list", window(node, "strides")),
        inputs_orders=writer.orders("N+C"),
        **fields,
    )


def _matmul(writer: _UffWriter, node: Any) -> None:
    orders = writer.orders("CN" if node.attr["transpose_a"].b else "NC", "KC" if node.attr["transpose_b"].b else "CK")
    writer.follow(node, "FullyConnected", data_inputs(node), inputs_orders=orders)


def _concat(writer: _UffWriter, node: Any) -> None:
    *parts, axis = data_inputs(node)
    if "axis" in node.attr:  # as graphsurgeon makes it
        parts, value = data_inputs(node), np.array(node.attr["axis"].i)
    else:
        value = writer.weights(axis)
    if value.size != 1:
        raise BadInput('Node "%s" does not join along one axis; export the graph again' % node.name)
    writer.follow(node, "Concat", parts, axis=("i", int(value) % 4))


def _constant(writer: _UffWriter, node: Any) -> None:
    writer.constant(node.name, writer.weights(node.name))


def _function(operation: str, function: str) -> Callable[[_UffWriter, Any], None]:
    return lambda writer, node: writer.follow(node, operation, data_inputs(node), func=("s", function))


CONVERTERS = {
    "Placeholder": _placeholder,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "BiasAdd": _bias,
    "FusedBatchNorm": _batch_norm,
    "MaxPool": _pool,
    "AvgPool": _pool,
    "MatMul": _matmul,
    "ConcatV2": _concat,
    "Const": _constant,
    "Reshape": lambda writer, node: writer.follow(node, "Reshape", data_inputs(node)),
    "Relu": _function("Activation", "relu"),
    "Relu6": _function("Activation", "relu6"),
    "Sigmoid": _function("Activation", "sigmoid"),
    "Add": _function("Binary", "add"),
    "Sub": _function("Binary", "sub"),
    "Mul": _function("Binary", "mul"),
}
