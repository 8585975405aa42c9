"""A file that is not a convertible graph is refused in one clear sentence."""

import contextlib

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.protobuf import saved_model_pb2

from stages.convert.graph import frozen_graph as graphs
from stages.job import BadInput


def refused(data, says):
    with pytest.raises(BadInput) as caught:
        graphs.parse(data, "x.pb")
    assert says in str(caught.value)
    assert str(caught.value).startswith("x.pb")


def small_graph(op="Relu"):
    definition = tf.GraphDef()
    definition.node.add(name="a", op="Placeholder")
    definition.node.add(name="b", op=op, input=["a"])
    return definition


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"),
        (b'node { name: "a" op: "Const" }\n', "text file"),
        (b"\xff\xfe\x00\x01" * 40, "not a TensorFlow graph"),
        (b"\x0a\xff\xff\xff\xff\x07" + b"\x00" * 64, "truncated"),  # a first node of nearly 2 GB, says the header
    ],
)
def test_other_files_are_named_for_what_they_are(data, says):
    refused(data, says)


def test_saved_model_is_told_from_frozen_graph(definition):
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    saved.meta_graphs.add().graph_def.CopyFrom(definition)
    refused(saved.SerializeToString(), "SavedModel")


def test_checkpoint_meta_file_is_told_from_frozen_graph(definition):
    meta = tf.MetaGraphDef()
    meta.meta_info_def.tensorflow_version = "1.12.0"
    meta.graph_def.CopyFrom(definition)
    refused(meta.SerializeToString(), ".meta file")


def test_training_graph_is_refused():
    refused(small_graph("VariableV2").SerializeToString(), "training graph")


def test_batch_normalisation_in_training_mode_is_refused():
    definition = small_graph("FusedBatchNorm")
    definition.node[1].attr["is_training"].b = True
    refused(definition.SerializeToString(), "training graph")


def test_attribute_that_is_not_text_is_refused():
    definition = small_graph("Conv2D")
    definition.node[1].attr["padding"].s = b"\xff"
    refused(definition.SerializeToString(), 'the attribute padding of node "b" is not text')


@pytest.mark.parametrize("side", [-1, 2**29, 2**62])
def test_constant_that_claims_more_than_a_file_can_hold_is_refused(side):
    definition = small_graph()
    constant = definition.node.add(name="c", op="Const").attr["value"].tensor
    constant.tensor_shape.dim.add().size = side
    constant.float_val.append(1.0)
    refused(definition.SerializeToString(), 'the constant "c" claims the shape [%d]' % side)


@pytest.mark.parametrize("tensor", ["lost", "a:1:2", "a:x", "a:2147483648"])
def test_edge_to_what_no_node_makes_is_refused(tensor):
    definition = small_graph()
    definition.node[1].input[0] = tensor
    refused(definition.SerializeToString(), '"b" reads "%s"' % tensor)


def test_file_cut_between_nodes_is_refused(definition):
    half = tf.GraphDef()
    half.node.extend(definition.node[len(definition.node) // 2 :])
    refused(half.SerializeToString(), "not in the file")


def test_two_nodes_of_one_name_are_refused():
    definition = small_graph()
    definition.node.add(name="a", op="Const")
    refused(definition.SerializeToString(), "two nodes of one name")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no frozen graph"):
        graphs.read(str(tmp_path / "none.pb"))


def test_export_folder_stands_for_its_graph(exported):
    folder = exported.graph.rsplit("/", 1)[0]
    assert list(graphs.read(folder).nodes) == list(graphs.read(exported.graph).nodes)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_graph_or_a_refusal(data):
    with contextlib.suppress(BadInput):
        graphs.parse(data, "x.pb")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truncated_and_flipped_graph_files_are_a_graph_or_a_refusal(definition, data):
    content = bytearray(definition.SerializeToString())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(BadInput):
        graphs.parse(bytes(content), "x.pb")
