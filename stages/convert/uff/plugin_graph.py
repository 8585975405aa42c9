"""The graph that TensorRT is to run: an SSD's network with TensorRT's plugins in place of what was cut, as a GraphDef.

What people make by hand with NVIDIA's graphsurgeon, down to the suffixes of its attributes. Both writers of UFF, ours
and NVIDIA's, take it.
"""

from typing import Any, Callable, Dict, List, Sequence

import numpy as np
from tensorflow.core.framework import attr_value_pb2, graph_pb2, types_pb2
from tensorflow.python.framework import tensor_util

from stages.convert.graph.detector_parameters import DetectorParameters, plugins
from stages.convert.graph.frozen_graph import Graph, data_inputs, node_name, output_index
from stages.convert.graph.ssd_structure import Head, SsdStructure
from stages.convert.parity.measure import Layer
from stages.job import BadInput

INPUT, GRID_ANCHOR, PRIORS, LOCATIONS, CONFIDENCES, NMS = (
    "Input",
    "GridAnchor",
    "concat_priorbox",
    "concat_box_loc",
    "concat_box_conf",
    "NMS",
)
ANCHOR_INPUT = "AnchorInput"
RESERVED = (INPUT, GRID_ANCHOR, PRIORS, LOCATIONS, CONFIDENCES, NMS, ANCHOR_INPUT, "MarkOutput_0")
# What a network may hold between its entry and its heads. No Reshape or MatMul: their result would depend on how
# TensorRT lays out the tensor in between.
NETWORK = {
    "Conv2D",
    "DepthwiseConv2dNative",
    "BiasAdd",
    "FusedBatchNorm",
    "MaxPool",
    "AvgPool",
    "ConcatV2",
    "Const",
    "Relu",
    "Relu6",
    "Sigmoid",
    "Add",
    "Sub",
    "Mul",
    "Pad",
}


def plugin_graph(graph: Graph, structure: SsdStructure, parameters: DetectorParameters) -> Graph:
    """The network of ``graph`` from its entry to its heads, and the plugins of ``parameters``, which end in ``NMS``.

    Its input is the placeholder ``Input``, float32 [1, 3, height, width], although the network is NHWC: this is how
    TensorRT's parser wants it. Identity nodes are left out.

    Raises:
        BadInput: a node of the network is not one that a UFF detector can have.
    """
    return _PluginGraph(graph, structure, parameters).make()


class _PluginGraph:
    def __init__(self, graph: Graph, structure: SsdStructure, parameters: DetectorParameters) -> None:
        self._graph, self._structure, self._parameters = graph, structure, parameters
        self._made = graph_pb2.GraphDef()

    def make(self) -> Graph:
        size = self._parameters.input
        placeholder = self._add(INPUT, "Placeholder", [], dtype=types_pb2.DT_FLOAT)
        for side in (1, 3, size.height, size.width):
            placeholder.attr["shape"].shape.dim.add(size=side)
        self._network()
        boxes = self._heads(self._structure.box_heads, lambda layer: 4)
        classes = self._heads(self._structure.class_heads, lambda layer: layer.classes)
        fields = plugins(self._parameters)
        self._plugin(LOCATIONS, "FlattenConcat_TRT", boxes, fields)
        self._priors(fields)
        self._plugin(CONFIDENCES, "FlattenConcat_TRT", classes, fields)
        self._plugin(NMS, "NMS_TRT", [LOCATIONS, PRIORS, CONFIDENCES], fields)
        return Graph(self._made)

    def _network(self) -> None:
        heads = self._structure.box_heads + self._structure.class_heads
        kept = self._graph.ancestors([head.source for head in heads], stop=[self._structure.entry])
        for node in self._graph.nodes.values():
            if node.name in kept and node.op != "Identity":
                if node.op not in NETWORK:
                    raise BadInput(
                        'UFF has no operation %s (node "%s" of the network); retrain without it' % (node.op, node.name)
                    )
                copy = self._made.node.add()
                copy.CopyFrom(node)
                copy.name = self._id(node.name)
                del copy.input[:]
                copy.input.extend(map(self._source, data_inputs(node)))

    def _heads(self, heads: Sequence[Head], width: Callable[[Layer], int]) -> List[str]:
        """The heads' reshapes, to constants; classes get the boxes' unit axis, a form that the parser is known to take.

        Returns:
            the names of the reshapes, [1, boxes of the layer, 1, width].
        """
        names = []
        for head, layer in zip(heads, self._parameters.layers):
            name = self._id(head.reshape)
            shape = self._free(name + "/shape", but=node_name(data_inputs(self._graph.nodes[head.reshape])[1]))
            boxes = layer.height * layer.width * layer.boxes
            self._constant(shape, np.array([1, boxes, 1, width(layer)], np.int32))
            self._add(
                name, "Reshape", [self._source(head.source), shape], T=types_pb2.DT_FLOAT, Tshape=types_pb2.DT_INT32
            )
            names.append(name)
        return names

    def _free(self, name: str, but: str) -> str:
        """``name``, or a longer one where the graph has a node of that name other than ``but``."""
        while name in self._graph.nodes and name != but:
            name += "_1"
        return name

    def _priors(self, fields: Dict[str, Dict[str, Any]]) -> None:
        """The anchors and variances that NMS_TRT reads: by GridAnchor_TRT, or where that cannot make them a constant.

        The constant is float32 [2, 4 P, 1], as GridAnchor_TRT's output: a UFF Const has no batch dimension.
        """
        if "GridAnchor_TRT" in fields:
            self._constant(ANCHOR_INPUT, np.ones((1, 1), np.float32))  # some parsers crash on a plugin with no input
            self._plugin(GRID_ANCHOR, "GridAnchor_TRT", [ANCHOR_INPUT], fields)
            self._add(PRIORS, "ConcatV2", [GRID_ANCHOR], dtype=types_pb2.DT_FLOAT, axis=2)
        else:
            anchors = self._parameters.anchors
            variances = np.tile(np.array(self._parameters.variances, np.float32), len(anchors))
            self._constant(PRIORS, np.stack([anchors.reshape(-1), variances])[:, :, np.newaxis])

    def _plugin(self, name: str, op: str, inputs: Sequence[str], fields: Dict[str, Dict[str, Any]]) -> None:
        node = self._add(name, op, inputs, dtype=types_pb2.DT_FLOAT)
        for key, value in fields[op].items():
            set_plugin_attribute(node, key, value)

    def _constant(self, name: str, values: np.ndarray) -> None:
        node = self._made.node.add(name=name, op="Const")
        node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(values))
        node.attr["dtype"].type = node.attr["value"].tensor.dtype

    def _add(self, name: str, op: str, inputs: Sequence[str], axis: int = -1, **types: int) -> Any:
        node = self._made.node.add(name=name, op=op, input=inputs)
        for key, value in types.items():
            node.attr[key].type = value
        if axis >= 0:
            node.attr["axis"].i = axis
        return node

    def _id(self, name: str) -> str:
        """The name of one of the network's nodes here: its own, unless one of the nodes added has it."""
        return name + "_tf" if name in RESERVED else name

    def _source(self, tensor: str) -> str:
        """The name here of the node that makes ``tensor``."""
        if output_index(tensor):
            raise BadInput('The network reads "%s", which UFF cannot: nodes have one output there' % tensor)
        name = self._graph.maker(tensor).name
        return INPUT if name == self._structure.entry else self._id(name)


def set_plugin_attribute(node: Any, name: str, value: Any) -> None:
    """Give a plugin's node an attribute, its name with the suffix of its type as graphsurgeon writes it."""
    is_list = isinstance(value, list)
    first = value[0] if is_list else value
    suffix = "float" if isinstance(first, float) else "int"
    attribute = attr_value_pb2.AttrValue()
    if is_list:
        getattr(attribute.list, suffix[0]).extend(value)
    else:
        setattr(attribute, suffix[0], value)
    node.attr["%s_u_%s" % (name, suffix[0] + "list" if is_list else suffix)].CopyFrom(attribute)
