"""Strides, kernels and pads are read from NHWC nodes; what neither UFF nor ONNX can say is refused."""

import numpy as np
import pytest
import tensorflow as tf

from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.windows import pads_before, window
from stages.job import BadInput


def convolution(layout=b"NHWC", padding=b"VALID", **numbers):
    node = tf.NodeDef(name="conv", op="Conv2D")
    node.attr["data_format"].s, node.attr["padding"].s = layout, padding
    for name, values in numbers.items():
        node.attr[name].list.i.extend(values)
    return node


def padded(pads):
    definition = tf.GraphDef()
    definition.node.add(name="pad", op="Pad", input=["x", "pads"])
    definition.node.add(name="x", op="Placeholder")
    definition.node.add(name="pads", op="Const").attr["value"].tensor.CopyFrom(
        tf.make_tensor_proto(np.array(pads, np.int32))
    )
    graph = Graph(definition)
    return graph, graph.nodes["pad"]


@pytest.mark.parametrize("layout", [b"NHWC", b""])
def test_rows_and_columns_are_read(layout):
    assert window(convolution(layout, strides=[1, 2, 3, 1]), "strides") == [2, 3]


def test_an_attribute_that_is_not_there_steps_by_one():
    assert window(convolution(), "dilations") == [1, 1]


@pytest.mark.parametrize("strides", [[2, 1, 1, 1], [1, 1, 1, 2], [1, 2, 2]])
def test_steps_over_batch_or_channels_are_refused(strides):
    with pytest.raises(BadInput, match='Node "conv" .* only rows and columns'):
        window(convolution(strides=strides), "strides")


def test_another_layout_is_refused():
    with pytest.raises(BadInput, match="not NHWC"):
        window(convolution(b"NCHW", strides=[1, 1, 2, 2]), "strides")


def test_pads_are_rows_then_columns_before_then_after():
    assert pads_before(*padded([[0, 0], [1, 2], [3, 4], [0, 0]]), node=convolution()) == ((1, 2), (3, 4))


@pytest.mark.parametrize(
    "pads, padding",
    [
        ([[0, 0], [1, 1], [1, 1], [0, 1]], b"VALID"),
        ([[1, 0], [1, 1], [1, 1], [0, 0]], b"VALID"),
        ([[0, 0], [-1, 1], [1, 1], [0, 0]], b"VALID"),
        ([[1, 1], [1, 1]], b"VALID"),
        ([[0, 0], [1, 1], [1, 1], [0, 0]], b"SAME"),
    ],
)
def test_other_pads_are_refused(pads, padding):
    with pytest.raises(BadInput, match='"pad" pads more than the picture'):
        pads_before(*padded(pads), node=convolution(padding=padding))
