"""Files changed by kind are refused in a sentence or read: UFF files, frozen graphs, pipeline configs, label maps."""

import contextlib

import numpy as np
import pytest
from mutations import mutated, mutated_text
from ssd_graphs import pipeline
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework import tensor_util

from stages.convert.graph import frozen_graph, settings
from stages.convert.inspect import as_text, inspect
from stages.convert.uff import schema
from stages.convert.uff.inspection import differences
from stages.job import BadInput

SEEDS = 300


def outcomes(attempt, count=SEEDS):
    """How many of ``attempt(seed)`` were refused; anything but :class:`BadInput` fails the test."""
    refused = 0
    for seed in range(count):
        try:
            attempt(seed)
        except BadInput as error:
            assert 10 < len(str(error)) < 5000, (seed, error)
            refused += 1
        except Exception as error:
            raise AssertionError("seed %d" % seed) from error
    assert 0 < refused < count
    return refused


def small_graph():
    """Placeholder -> Conv2D -> BiasAdd -> Relu -> Identity."""
    graph = graph_pb2.GraphDef()

    def node(name, op, *inputs):
        made = graph.node.add(name=name, op=op)
        made.input.extend(inputs)
        made.attr["dtype" if op in ("Const", "Placeholder") else "T"].type = 1
        return made

    shape = node("image_tensor", "Placeholder").attr["shape"].shape
    for size in (1, 8, 8, 3):
        shape.dim.add(size=size)
    for name, values in (("weights", np.zeros((1, 1, 3, 2), np.float32)), ("bias", np.ones(2, np.float32))):
        node(name, "Const").attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(values))
    convolution = node("conv", "Conv2D", "image_tensor:0", "weights")
    convolution.attr["strides"].list.i.extend([1, 1, 1, 1])
    convolution.attr["padding"].s = b"SAME"
    node("add", "BiasAdd", "conv", "bias", "^weights")
    node("out", "Identity", "add")
    return graph


def small_uff():
    """Input -> Conv -> MarkOutput, its orders and weights in the referenced data."""
    meta = schema.meta_graph()
    meta.version = meta.descriptor_core_version = 1
    graph = meta.graphs.add(id="main")
    entry = graph.nodes.add(id="Input", operation="Input")
    entry.fields["shape"].i_list.val.extend([1, 3, 8, 8])
    weights = graph.nodes.add(id="w", operation="Const")
    weights.fields["values"].ref = "weights_w"
    weights.fields["dtype"].dtype = 0x20020
    weights.fields["shape"].i_list.val.extend([1, 1, 3, 2])
    meta.referenced_data["weights_w"].blob = bytes(24)
    conv = graph.nodes.add(id="conv", operation="Conv", inputs=["Input", "w"])
    conv.fields["strides"].i_list.val.extend([1, 1])
    conv.fields["inputs_orders"].ref = "orders"
    for order in ([0, 2, 0x7FFFFFFF, 1], [2, 0x7FFFFFFF, 1, 0]):
        meta.referenced_data["orders"].dim_orders_list.val.add().orders[-1].val.extend(order)
    graph.nodes.add(id="MarkOutput_0", operation="MarkOutput", inputs=["conv"])
    return meta


@pytest.mark.parametrize("make", [small_graph, small_uff])
def test_what_inspect_is_given(tmp_path, make):
    path, whole = tmp_path / "file", make()
    path.write_bytes(whole.SerializeToString(deterministic=True))
    before = inspect(str(path))

    def attempt(seed):
        path.write_bytes(mutated(whole, seed).SerializeToString(deterministic=True))
        found = inspect(str(path))
        as_text(found)
        if found["kind"] == before["kind"]:
            differences(before, found)

    outcomes(attempt)


@pytest.mark.parametrize(
    "tensor", ["conv:\u00b2", "conv:\u0663", "conv:-1", "conv:", "conv:1:1", "conv:99999999999", "conv:+1"]
)
def test_an_output_that_is_no_number_is_refused(tensor):
    graph = small_graph()
    graph.node[-1].input[0] = tensor
    with pytest.raises(BadInput, match="is damaged or truncated: node"):
        frozen_graph.parse(graph.SerializeToString(), "graph.pb")


def test_a_pipeline_config(tmp_path):
    path, whole = tmp_path / "pipeline.config", pipeline()

    def attempt(seed):
        path.write_text(mutated_text(whole, seed), encoding="utf-8")
        found = settings.PipelineSettings(str(path))
        found._told()
        with contextlib.suppress(BadInput):  # no config makes these
            found.hold_against_anchors(np.zeros((5, 4), np.float32), [(4, 4), (2, 2)], 32, 32)

    outcomes(attempt, 100)


def test_a_label_map(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    whole = "item {\n id: 1\n name: 'cone'\n}\nitem {\n id: 2\n name: 'ball'\n display_name: 'Ball'\n}\n"

    def attempt(seed):
        path.write_text(mutated_text(whole, seed), encoding="utf-8")
        assert len(settings.class_names(str(path), 3).names) == 3

    outcomes(attempt)


@pytest.mark.parametrize(
    "text", ["item { " * 20000, "model { x { " * 20000, "x: " + "[" * 20000, "\0", "\ud800"], ids=len
)
def test_text_that_is_nested_too_deeply_or_no_text(tmp_path, text):
    path = tmp_path / "file"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for read in (settings.PipelineSettings, lambda path: settings.class_names(path, 3)):
        with pytest.raises(BadInput):
            read(str(path))


def test_endless_layers_of_anchors_are_not_counted_to_their_end(tmp_path):
    path = tmp_path / "pipeline.config"
    path.write_text("model { ssd { anchor_generator { ssd_anchor_generator { num_layers: 2147483647 } } } }")
    with pytest.raises(BadInput, match="asks for 2147483647 layers of anchors"):
        settings.PipelineSettings(str(path)).hold_against_anchors(np.zeros((5, 4), np.float32), [(4, 4)], 32, 32)
