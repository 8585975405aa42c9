"""What TensorFlow 1.13 to 1.15 writes, rewritten as TensorFlow 1.12 would have, where that is provably equal.

Each pass checks its precondition on every node it changes and refuses otherwise. The rules were measured on graphs of
TensorFlow 1.12 to 1.15: repaired graphs give the same bits in TensorFlow 1.12 as its own export of the same checkpoint.
"""

import collections
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from tensorflow.core.framework import attr_value_pb2, graph_pb2, types_pb2

from stages.convert.graph.frozen_graph import Graph, data_inputs, node_name, output_index
from stages.job import BadInput

# Attributes that TensorFlow 1.12 does not know, and the value with which they say nothing new.
NEW_ATTRIBUTES = {
    "explicit_paddings": attr_value_pb2.AttrValue(list=attr_value_pb2.AttrValue.ListValue()),
    "half_pixel_centers": attr_value_pb2.AttrValue(b=False),
    "batch_dims": attr_value_pb2.AttrValue(i=0),
    "incompatible_shape_error": attr_value_pb2.AttrValue(b=True),
    "T_threshold": attr_value_pb2.AttrValue(type=types_pb2.DT_FLOAT),
}


class Repair(NamedTuple):
    """One thing done: the operation as it was, the names of the nodes, and why the numbers stay the same."""

    op: str
    nodes: List[str]
    why: str


def repair(graph: Graph) -> Tuple[Graph, List[Repair]]:
    """``graph`` as TensorFlow 1.12 writes it, and the list of :class:`Repair` done; the given graph is left as it was.

    Raises:
        BadInput: a node needs a repair that would change what it computes.
    """
    definition = graph_pb2.GraphDef()
    definition.CopyFrom(graph.definition)
    repaired = Graph(definition)
    repairs: List[Repair] = []
    for one_pass in PASSES:
        done = one_pass(repaired)
        if done:
            repaired = Graph(definition)  # its edges anew
            repairs.extend(done)
    return repaired, repairs


def _named(nodes: List[Any], why: str) -> List[Repair]:
    """One Repair per operation of ``nodes``."""
    groups: Dict[str, List[str]] = collections.OrderedDict()
    for node in nodes:
        groups.setdefault(node.op, []).append(node.name)
    return [Repair(name, names, why) for name, names in groups.items()]


def drop_new_attributes(graph: Graph) -> List[Repair]:
    """Drop attributes younger than TensorFlow 1.12 that hold their default."""
    repairs = []
    for name, default in NEW_ATTRIBUTES.items():
        nodes = [node for node in graph.nodes.values() if name in node.attr and not node.op.startswith("_")]
        for node in nodes:
            if node.attr[name] != default:
                raise BadInput(
                    'Node "%s" (%s) has %s set, which TensorFlow 1.12 and UFF cannot express'
                    % (node.name, node.op, name)
                )
        repairs += _named(nodes, "%s holds its default, which is what TensorFlow 1.12 does" % name)
        for node in nodes:
            del node.attr[name]
    return repairs


def rename_batch_norm(graph: Graph) -> List[Repair]:
    """FusedBatchNormV2 and V3 to FusedBatchNorm: the same in float32 as long as only the first output is read."""
    nodes = graph.of_kind("FusedBatchNormV2", "FusedBatchNormV3")
    for node in nodes:
        if {node.attr["T"].type, node.attr["U"].type} != {types_pb2.DT_FLOAT}:
            raise BadInput('Node "%s" (%s) is not float32; export the graph in float32' % (node.name, node.op))
        if any(
            node_name(name) == node.name and output_index(name) > 4
            for reader in graph.consumers[node.name]
            for name in data_inputs(reader)
        ):
            raise BadInput(
                'The sixth output of node "%s" (%s) is read, which only training does' % (node.name, node.op)
            )
        del node.attr["U"]
    return _rename(nodes, "FusedBatchNorm", "the same formula in float32 inference")


def rename_add(graph: Graph) -> List[Repair]:
    """AddV2 to Add: they differ for strings only."""
    return _rename(graph.of_kind("AddV2"), "Add", "the same sum for numbers")


def _rename(nodes: List[Any], op: str, why: str) -> List[Repair]:
    repairs = _named(nodes, why)
    for node in nodes:
        node.op = op
    return repairs


def lower_non_max_suppression(graph: Graph) -> List[Repair]:
    """NonMaxSuppressionV5 (V4) to V3, when no soft suppression is on: the same selection; V5's scores are gathered."""
    nodes = graph.of_kind("NonMaxSuppressionV4", "NonMaxSuppressionV5")
    repairs = _named(nodes, "without soft suppression and padding it selects the same boxes")
    for node in nodes:
        _check_plain_suppression(graph, node)
    for node in nodes:
        _lower(graph, node)
    return repairs


def _check_plain_suppression(graph: Graph, node: Any) -> None:
    inputs = data_inputs(node)
    if len(inputs) < (6 if node.op.endswith("V5") else 5):
        raise BadInput('Node "%s" (%s) lacks inputs; export the graph again' % (node.name, node.op))
    sigma = graph.constant(inputs[5]) if node.op.endswith("V5") else np.float32(0)
    if sigma is None or sigma.size != 1 or float(sigma) != 0.0:
        raise BadInput(
            'Node "%s" does soft suppression (soft_nms_sigma); neither TensorFlow 1.12 nor NMS_TRT can: '
            "export with soft_nms_sigma 0" % node.name
        )
    if node.attr["pad_to_max_output_size"].b:
        raise BadInput(
            'Node "%s" pads its output, which TensorFlow 1.12 cannot; export without use_static_shapes' % node.name
        )
    if any(
        output_index(name) > 1
        for reader in graph.consumers[node.name]
        for name in data_inputs(reader)
        if node_name(name) == node.name
    ):
        raise BadInput(
            'The count output of node "%s" is read, which NonMaxSuppressionV3 lacks; '
            "export without use_static_shapes" % node.name
        )


def _lower(graph: Graph, node: Any) -> None:
    scores = node.name + "/scores"
    for reader in graph.consumers[node.name]:
        inputs = [scores if name == node.name + ":1" else name for name in reader.input]
        del reader.input[:]
        reader.input.extend(inputs)
    axis = graph.definition.node.add(name=scores + "/axis", op="Const", input=["^" + node.name])  # stays in its loop
    axis.attr["dtype"].type = types_pb2.DT_INT32
    axis.attr["value"].tensor.dtype = types_pb2.DT_INT32
    axis.attr["value"].tensor.tensor_shape.SetInParent()
    axis.attr["value"].tensor.int_val.append(0)
    gather = graph.definition.node.add(name=scores, op="GatherV2", input=[node.input[1], node.name, axis.name])
    gather.attr["Tparams"].type = types_pb2.DT_FLOAT
    gather.attr["Tindices"].type = gather.attr["Taxis"].type = types_pb2.DT_INT32
    node.op = "NonMaxSuppressionV3"
    del node.input[5:]
    node.attr.pop("pad_to_max_output_size", None)


PASSES = (drop_new_attributes, rename_batch_norm, rename_add, lower_non_max_suppression)
