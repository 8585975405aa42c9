"""The wire format: schema, bytes, order of nodes and references."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.convert.graph.analysis import analyse
from stages.convert.graph.frozen_graph import Graph
from stages.convert.uff import schema, writer
from stages.convert.uff.lint import lint
from stages.job import BadInput

values = st.one_of(
    st.tuples(st.just("s"), st.text(max_size=20)),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("i"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("b"), st.booleans()),
    st.tuples(st.just("blob"), st.binary(max_size=50)),
    st.tuples(st.just("ref"), st.text(max_size=20)),
    st.tuples(st.just("i_list"), st.lists(st.integers(-(2**63), 2**63 - 1))),
    st.tuples(st.just("d_list"), st.lists(st.floats(allow_nan=False))),
)


@pytest.fixture(scope="session")
def meta(examined):
    return examined.uff


def by_id(meta):
    return {node.id: node for node in meta.graphs[0].nodes}


def put(data, kind, value):
    if kind.endswith("_list"):
        getattr(data, kind).val.extend(value)
    else:
        setattr(data, kind, value)


@given(st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=5))
def test_messages_survive_bytes(fields):
    made = schema.meta_graph()
    made.version = 1
    node = made.graphs.add(id="main").nodes.add(id="a", operation="Const", inputs=["b"])
    for name, (kind, value) in fields.items():
        put(node.fields[name], kind, value)
    assert schema.parse(schema.serialize(made)) == made


def test_the_wire_form_is_the_published_one():
    """Field numbers, wire types and the ten-byte key -1, spelt out by hand from the schema."""
    made = schema.meta_graph()
    made.version = made.descriptor_core_version = 1
    made.descriptors.add(id="custom", version=1)
    node = made.graphs.add(id="main").nodes.add(id="c", operation="Conv", inputs=["x"])
    node.fields["strides"].i_list.val.extend([2, 2])
    node.fields["dtype"].dtype = schema.FLOAT32
    made.referenced_data["o"].dim_orders_list.val.add().orders[schema.ORDER_SPECIAL].val.extend([0, 1])
    strides = b"\x0a\x07strides\x12\x06\x42\x04\x0a\x02\x02\x02"  # i_list is field 8, its integers packed
    dtype = b"\x0a\x05dtype\x12\x05\xa8\x06\xa0\x80\x08"  # dtype is field 101, FLOAT32 is 0x20020
    fields = b"\x22" + bytes([len(dtype)]) + dtype + b"\x22" + bytes([len(strides)]) + strides
    node_bytes = b"\x0a\x01c\x12\x01x\x1a\x04Conv" + fields
    graph = b"\x0a\x04main\x12" + bytes([len(node_bytes)]) + node_bytes
    orders = b"\x0a\x11\x08" + b"\xff" * 9 + b"\x01\x12\x04\x0a\x02\x00\x01"  # -1 takes ten bytes
    table = b"\x0a\x01o\x12\x18\xc2\x06\x15\x0a\x13" + orders  # dim_orders_list is field 104
    assert schema.serialize(made) == (
        b"\x08\x01\x10\x01\x1a\x0a\x0a\x06custom\x10\x01\x22"
        + bytes([len(graph)])
        + graph
        + b"\x2a"
        + bytes([len(table)])
        + table
    )


def test_the_file_is_what_nvidias_converter_would_announce(meta):
    assert (meta.version, meta.descriptor_core_version, len(meta.graphs), meta.graphs[0].id) == (1, 1, 1, "main")
    assert [(one.id, one.version, one.optional) for one in meta.descriptors] == [
        ("tensorflow_extension", 1, False),
        ("custom", 1, False),
    ]
    nodes = meta.graphs[0].nodes
    assert nodes[0].id == "NMS" and nodes[-1].id == "MarkOutput_0" and list(nodes[-1].inputs) == ["NMS"]


def test_every_node_comes_after_one_that_reads_it(meta):
    """Depth first from the output, as NVIDIA writes; a bias comes right before its sum."""
    read = {"NMS"}
    nodes = list(meta.graphs[0].nodes)
    for node, following in zip(nodes, nodes[1:]):
        is_bias = node.operation == "Const" and following.operation == "Binary" and node.id == following.inputs[1]
        assert node.id in read or is_bias
        read.update(node.inputs)


def test_plugins_are_wired_as_tensorrt_expects(meta):
    nodes = by_id(meta)
    assert list(nodes["NMS"].inputs) == ["concat_box_loc", "concat_priorbox", "concat_box_conf"]
    assert list(nodes["concat_priorbox"].inputs) == ["GridAnchor"] and nodes["concat_priorbox"].fields["axis"].i == 2
    assert list(nodes["GridAnchor"].inputs) == ["AnchorInput"]
    assert [nodes[name].operation for name in ("NMS", "GridAnchor", "concat_box_loc", "concat_box_conf")] == [
        "_NMS_TRT",
        "_GridAnchor_TRT",
        "_FlattenConcat_TRT",
        "_FlattenConcat_TRT",
    ]
    assert list(nodes["Input"].fields["shape"].i_list.val) == [1, 3, 128, 128]
    assert nodes["NMS"].fields["inputOrder_u_ilist"].i_list.val == [0, 2, 1]
    assert nodes["GridAnchor"].fields["aspectRatios_u_flist"].d_list.val == [1.0, 2.0, 0.5, 3.0, np.float32(0.3333)]
    assert nodes["NMS"].fields["nmsThreshold_u_float"].d == np.float32(0.6)


def test_heads_are_reshaped_to_constants_of_one_form(meta):
    nodes = by_id(meta)

    def shapes(concat):
        return [
            schema.array(meta.referenced_data[nodes[nodes[name].inputs[1]].fields["values"].ref], 0x10020, [4]).tolist()
            for name in nodes[concat].inputs
        ]

    assert shapes("concat_box_loc") == [[1, count, 1, 4] for count in (192, 96, 24, 6, 6, 6)]
    assert shapes("concat_box_conf") == [[1, count, 1, 3] for count in (192, 96, 24, 6, 6, 6)]


def test_convolutions_say_how_their_dimensions_lie(meta):
    convolutions = [node for node in meta.graphs[0].nodes if node.operation == "Conv"]
    kernels = {node.id: node.fields["shape"].i_list.val for node in meta.graphs[0].nodes if node.operation == "Const"}
    depthwise = [node for node in convolutions if "number_groups" in node.fields]
    assert len(convolutions) == 47 and len(depthwise) == 13
    assert {node.fields["inputs_orders"].ref for node in convolutions} == {"orders_N+C_+CK"}
    assert all(node.fields["implicit_padding"].s == "same" and "padding" not in node.fields for node in convolutions)
    assert all(node.fields["number_groups"].i == kernels[node.inputs[1]][2] for node in depthwise)
    table = meta.referenced_data["orders_N+C_+CK"].dim_orders_list.val
    assert [list(one.orders[-1].val) for one in table] == [[0, 2, 0x7FFFFFFF, 1], [2, 0x7FFFFFFF, 1, 0]]


def lenet():
    """LeNet's GraphDef, with the names of NVIDIA's MNIST sample."""

    def weights(name, *shape):
        return tf.constant(np.random.RandomState(len(shape)).rand(*shape).astype(np.float32), name=name)

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, name="in")
        for layer, (shape, relu) in enumerate([((5, 5, 1, 20), "Relu"), ((5, 5, 20, 50), "Relu_1")], 1):
            x = tf.nn.conv2d(x, weights("wc%d" % layer, *shape), [1, 1, 1, 1], "VALID", name="conv%d" % layer)
            x = tf.nn.bias_add(x, weights("bc%d" % layer, shape[3]), name="conv%d_bias" % layer)
            x = tf.nn.max_pool(tf.nn.relu(x, name=relu), [1, 2, 2, 1], [1, 2, 2, 1], "VALID", name="maxpool%d" % layer)
        x = tf.matmul(tf.reshape(x, [-1, 800], name="reshape1"), weights("wd1", 800, 500), name="matmul1")
        x = tf.nn.relu(tf.add(x, weights("bd1", 500), name="add1"), name="dense_relu")
        tf.add(tf.matmul(x, weights("wout", 500, 10), name="matmul2"), weights("bout", 10), name="out")
    definition = graph.as_graph_def()
    for node in definition.node:  # later TensorFlows make no two names that differ in case alone
        node.name = node.name.replace("dense_relu", "relu")
        node.input[:] = [name.replace("dense_relu", "relu") for name in node.input]
    return definition


# What a file holds that NVIDIA's own converter wrote of that network, the weights' bytes left out.
_CONV, _POOL, _DENSE = (
    {"inputs_orders": "orders_N+C_+CK", "strides": [1, 1]},
    {"func": "max", "kernel": [2, 2], "strides": [2, 2], "inputs_orders": "orders_N+C"},
    {"inputs_orders": "orders_NC_CK"},
)
NVIDIAS_LENET = [
    ("out", "Binary", ["matmul2", "bout"], {"func": "add"}),
    ("bout", "Const", [], [10]),
    ("matmul2", "FullyConnected", ["relu", "wout"], _DENSE),
    ("wout", "Const", [], [500, 10]),
    ("relu", "Activation", ["add1"], {"func": "relu"}),
    ("add1", "Binary", ["matmul1", "bd1"], {"func": "add"}),
    ("bd1", "Const", [], [500]),
    ("matmul1", "FullyConnected", ["reshape1", "wd1"], _DENSE),
    ("wd1", "Const", [], [800, 500]),
    ("reshape1", "Reshape", ["maxpool2", "reshape1/shape"], {}),
    ("reshape1/shape", "Const", [], [2]),
    ("maxpool2", "Pool", ["Relu_1"], _POOL),
    ("Relu_1", "Activation", ["conv2_bias"], {"func": "relu"}),
    ("bc2", "Const", [], [50]),
    ("conv2_bias", "Binary", ["conv2", "bc2"], {"func": "add"}),
    ("conv2", "Conv", ["maxpool1", "wc2"], _CONV),
    ("wc2", "Const", [], [5, 5, 20, 50]),
    ("maxpool1", "Pool", ["Relu"], _POOL),
    ("Relu", "Activation", ["conv1_bias"], {"func": "relu"}),
    ("bc1", "Const", [], [20]),
    ("conv1_bias", "Binary", ["conv1", "bc1"], {"func": "add"}),
    ("conv1", "Conv", ["in", "wc1"], _CONV),
    ("wc1", "Const", [], [5, 5, 1, 20]),
    ("in", "Input", [], {"dtype": schema.FLOAT32, "shape": []}),
    ("MarkOutput_0", "MarkOutput", ["out"], {}),
]


def field_values(node):
    """Name -> value of the fields, references as the keys that they refer to."""
    values = {name: getattr(data, data.WhichOneof("data_oneof")) for name, data in node.fields.items()}
    return {name: list(value.val) if hasattr(value, "val") else value for name, value in values.items()}


def test_of_lenet_is_written_what_nvidias_converter_wrote():
    meta = writer.write(Graph(lenet()), ["out"])
    wanted = []
    for name, operation, inputs, fields in NVIDIAS_LENET:
        if operation == "Const":
            dtype = 0x10020 if name == "reshape1/shape" else schema.FLOAT32
            fields = {"dtype": dtype, "shape": fields, "values": "weights_" + name}
        wanted.append((name, operation, inputs, fields))
    assert [(node.id, node.operation, list(node.inputs), field_values(node)) for node in meta.graphs[0].nodes] == wanted
    tables = {
        key: [list(one.orders[-1].val) for one in data.dim_orders_list.val]
        for key, data in meta.referenced_data.items()
        if key.startswith("orders_")
    }
    increment = schema.ORDER_INCREMENT
    assert tables == {
        "orders_NC_CK": [[0, 1], [1, 0]],
        "orders_N+C": [[0, 2, increment, 1]],
        "orders_N+C_+CK": [[0, 2, increment, 1], [2, increment, 1, 0]],
    }
    assert [(one.id, one.version, one.optional) for one in meta.descriptors] == [("tensorflow_extension", 1, False)]
    assert not lint(meta)


@pytest.mark.slow
def test_explicit_padding_is_fused_into_the_convolution(export):
    meta = analyse(export("v1", True, explicit_padding="true").graph).uff
    padded = [node for node in meta.graphs[0].nodes if "padding" in node.fields]
    assert padded and all(list(node.fields["padding"].i_list.val) == [1, 1] for node in padded)
    assert not [node for node in meta.graphs[0].nodes if node.operation == "Pad"]
    assert all("implicit_padding" not in node.fields for node in padded)


def test_bytes_are_equal_in_every_process(exported):
    program = (
        "import sys, hashlib; from stages.convert.uff import schema; from stages.convert.graph.analysis import "
        "analyse; print(hashlib.sha256(schema.serialize(analyse(sys.argv[1]).uff)).hexdigest())"
    )
    digests = {
        subprocess.check_output(
            [sys.executable, "-W", "ignore", "-c", program, exported.graph], env=dict(os.environ, PYTHONHASHSEED=seed)
        )
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x08\x02\x22\x06\x0a\x04main", b"not a uff file", b"\xff" * 30])
def test_what_is_no_uff_is_refused(data):
    with pytest.raises(BadInput, match="not a UFF file"):
        schema.parse(data, "x.uff")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(schema.DTYPES.items(), key=str)), st.lists(st.integers(0, 4), max_size=4))
def test_constants_are_read_back(kind, shape):
    dtype, code = kind
    array = np.arange(int(np.prod(shape, dtype=int))).astype(dtype).reshape(shape)
    data = schema.no_data()
    data.blob = array.tobytes()
    np.testing.assert_array_equal(schema.array(data, code, shape), array)
    data.blob += b"\x00"
    with pytest.raises(BadInput):
        schema.array(data, code, shape)
