"""The reader: what a well-formed file gives, and that nothing else passes for one."""

import contextlib
import random

import numpy as np
import pytest
import uff_mutations
from hypothesis import given, settings
from hypothesis import strategies as st
from ssd_graph import ssd
from uff_bytes import INCREMENT, Graph, Ref, chunk, data, entry, number, orders, varint

from stages.job import BadInput
from stages.reference import uff, wire
from stages.reference.interpreter import UffInterpreter

SMALL = ssd(size=32, multiplier=0.1, classes=3).bytes()


def graph_of(node_fields, referenced=b""):
    """A file with one node whose fields are the given (name, Data bytes)."""
    node = chunk(1, "n") + chunk(3, "X") + b"".join(entry(4, name, value) for name, value in node_fields)
    return number(1, 1) + chunk(4, chunk(1, "main") + chunk(2, node)) + referenced


def field(value_bytes, referenced=b""):
    return uff.parse(graph_of([("f", value_bytes)], referenced), "x").nodes[0].fields["f"]


def refusal(content):
    with pytest.raises(BadInput) as caught:
        uff.parse(content, "model.uff")
    return str(caught.value)


def test_reads_nodes_descriptors_and_versions():
    graph = Graph()
    graph.input("in", [1, 3, 8, 8])
    graph.node("relu", "Activation", ["in"], func="relu")
    graph.output("relu")
    meta = uff.parse(graph.bytes(), "x")
    assert (meta.version, meta.descriptor_core_version) == (1, 1)
    assert meta.descriptors == [("tensorflow_extension", 1, False)]
    assert [(node.id, node.operation, node.inputs) for node in meta.nodes] == [
        ("in", "Input", []),
        ("relu", "Activation", ["in"]),
        ("MarkOutput_2", "MarkOutput", ["relu"]),
    ]
    assert meta.nodes[0].fields == {"dtype": 0x20020, "shape": [1, 3, 8, 8]}


@given(
    st.one_of(
        st.text(max_size=20),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.floats(allow_nan=False),
        st.binary(max_size=20),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
        st.lists(st.floats(allow_nan=False), min_size=1, max_size=9),
    )
)
def test_every_kind_of_field_comes_back_with_value_and_type(value):
    result = field(data(value))
    assert result == value
    assert type(result) is type(value)


def test_reads_lists_that_are_not_packed():
    unpacked_ints = chunk(8, number(1, 3) + number(1, -4))
    unpacked_doubles = chunk(4, b"".join(varint(1 << 3 | 1) + np.float64(v).tobytes() for v in (0.5, -2.0)))
    assert field(unpacked_ints) == [3, -4]
    assert field(unpacked_doubles) == [0.5, -2.0]


def test_reads_the_remaining_kinds_of_data():
    assert field(chunk(2, chunk(1, "a") + chunk(1, "b"))) == ["a", "b"]
    assert field(chunk(6, chunk(1, b"\x01\x00"))) == [True, False]
    assert field(chunk(102, chunk(1, varint(0x20020) + varint(7)))) == [0x20020, 7]
    assert field(number(101, 7)) == 7  # NVIDIA's writer emits the undeclared dtype 7 at times
    assert field(chunk(103, chunk(1, number(1, -1) + chunk(2, chunk(1, b"\x00\x01"))))) == {-1: [0, 1]}


def test_follows_references():
    referenced = entry(5, "orders_N+C", orders("N+C"))
    assert field(data(Ref("orders_N+C")), referenced) == [{-1: [0, 2, INCREMENT, 1]}]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "float16", "float32"])
def test_constants_become_arrays_of_their_type(dtype):
    graph, values = Graph(), np.arange(6).reshape(2, 3).astype(dtype)
    graph.const("c", values)
    read = uff.parse(graph.bytes(), "x").nodes[0].fields["values"]
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


def test_unknown_fields_are_passed_over():
    known = graph_of([("f", data(5))])
    unknown = number(77, 5) + chunk(78, b"abc") + varint(79 << 3 | 1) + bytes(8) + varint(80 << 3 | 5) + bytes(4)
    assert uff.parse(known + unknown, "x") == uff.parse(known, "x")
    assert field(data(5) + chunk(99, b"new kind")) == 5


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"# a readme\n", "text file"),
        (b"\n\x0f\n\x05image\x12\x06Const\x00", "frozen graph"),
        (b"\x89PNG\r\n\x1a\n", "its first bytes are 89504e47"),
        (number(1, 2) + chunk(4, b""), "version is 2"),
        (number(1, 1), "0 graphs"),
        (number(1, 1) + chunk(4, b"") + chunk(4, b""), "2 graphs"),
        (number(1, 1) + b"\x00\x00", "field number 0 is illegal"),
        (number(1, 1) + varint(9 << 3 | 3), "wire type 3"),
        (number(1, 1) + number(4, 7), "bytes were expected"),
        (number(1, 1) + b"\x10" + b"\xff" * 11, "longer than 10 bytes"),
        (number(1, 1) + varint(4 << 3 | 2) + varint(2**40), "truncated"),
        (number(1, 1) + chunk(4, chunk(2, chunk(1, b"\xff\xfe"))), "not UTF-8"),
    ],
)
def test_names_what_the_file_is_instead(content, told):
    message = refusal(content)
    assert message.startswith("model.uff is not a UFF file: ")
    assert told in message


@pytest.mark.parametrize(
    "fields, told",
    [
        ([("f", data(Ref("gone")))], "refers to gone, which is missing"),
        ([("f", b"")], "holds no value"),
        ([("f", varint(3 << 3 | 1) + b"\x00")], "truncated"),
        ([("f", chunk(4, chunk(1, b"12345")))], "a list of doubles has 5 bytes"),
        ([("f", chunk(8, chunk(1, b"\x01" * 70000)))], "more than 65536 items"),
        ([("f", chunk(7, b"1"))], "a number was expected, found wire type 2"),
        ([("f", number(3, 1))], "a double was expected, found wire type 0"),
        ([("f", number(1, 1))], "bytes were expected, found wire type 0"),
    ],
)
def test_refuses_damaged_fields(fields, told):
    assert told in refusal(graph_of(fields))


@pytest.mark.parametrize(
    "shape, blob, dtype",
    [
        ([2, 2], bytes(12), "float32"),
        ([-1, 2], bytes(8), "float32"),
        ([2**40, 2**40], bytes(8), "float32"),
        ([3], bytes(11), "int32"),
    ],
)
def test_refuses_constants_whose_data_does_not_fit(shape, blob, dtype):
    graph = Graph()
    graph.node("c", "Const", dtype=np.dtype(dtype), shape=shape, values=blob)
    assert "the Const c of shape" in refusal(graph.bytes())


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": np.dtype("float32"), "shape": [1]},
        {"dtype": np.dtype("float32"), "shape": "one", "values": bytes(4)},
        {"dtype": 7, "shape": [1], "values": bytes(4)},
        {"shape": [1], "values": bytes(4)},
    ],
)
def test_refuses_constants_that_lack_what_makes_an_array(fields):
    graph = Graph()
    graph.node("c", "Const", **fields)
    assert "the Const c has no values, or a shape or dtype" in refusal(graph.bytes())


def test_refuses_what_would_fill_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "model.uff"
    path.write_bytes(SMALL)
    monkeypatch.setattr(uff, "MAX_NODES", 10)
    with pytest.raises(BadInput, match="more than 10 nodes"):
        uff.read(str(path))
    monkeypatch.setattr(uff, "MAX_BYTES", 1000)
    with pytest.raises(BadInput, match="has %d bytes, more than any UFF file" % len(SMALL)):
        uff.read(str(path))


def test_an_optional_descriptor_is_told_from_one_that_is_needed():
    descriptors = chunk(3, chunk(1, "a") + number(2, 3) + number(3, 1)) + chunk(3, chunk(1, "b"))
    meta = uff.parse(number(1, 1) + descriptors + chunk(4, b""), "x")
    assert meta.descriptors == [("a", 3, True), ("b", 0, False)]


def test_refuses_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        uff.read(str(tmp_path / "none.uff"))
    with pytest.raises(BadInput, match="cannot be read"):
        uff.read(str(tmp_path))


@given(st.integers(0, 2**64 - 1))
def test_varints_of_all_lengths_come_back(value):
    encoded = varint(value)
    assert wire.varint(memoryview(encoded + b"rest"), 0) == (value, len(encoded))


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_random_bytes_after_a_good_start_are_refused_or_read(tail):
    with contextlib.suppress(BadInput):
        uff.parse(number(1, 1) + tail, "x")


def test_mutations_write_what_they_read():
    assert uff_mutations.written(uff_mutations.tree(SMALL, uff_mutations.FILE)) == SMALL


@pytest.mark.parametrize(
    "seeds", [range(30), pytest.param(range(30, 200), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_a_model_mutated_by_kind_is_refused_or_runs(seeds, tmp_path):
    path = tmp_path / "model.uff"
    tree = uff_mutations.tree(SMALL, uff_mutations.FILE)
    outcomes = {True: 0, False: 0}
    for seed in seeds:
        path.write_bytes(uff_mutations.mutated(tree, seed))
        try:
            interpreter = UffInterpreter(str(path))
            x = {name: np.zeros([max(1, min(size, 32)) for size in shape], np.float32)
                 for name, shape in interpreter.input_shapes.items()}  # fmt: skip
            interpreter.run(x)
            outcomes[True] += 1
        except BadInput as error:
            assert str(path) in str(error) and len(str(error)) < 1000 + len(str(path)), seed
            outcomes[False] += 1
        except Exception as error:
            raise AssertionError("seed %d" % seed) from error
    assert outcomes[False] > 0 and (outcomes[True] > 0 or len(seeds) < 100)  # one in thirty still runs


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": [0x20020], "shape": [1], "values": bytes(4)},
        {"shape": [1], "values": Ref("orders_N+C")},
        {"dtype": np.dtype("float32"), "shape": [2**40], "values": bytes(4)},
        {"dtype": np.dtype("float32"), "shape": [1] * 100, "values": bytes(4)},
        {"dtype": np.dtype("float32"), "shape": [0, 2**62, 2**62], "values": b""},
        {"dtype": "float32", "shape": [1], "values": bytes(4)},
    ],
    ids=["dtype a list", "values a reference", "huge", "100 dimensions", "empty but huge", "dtype a text"],
)
def test_a_constant_of_wrong_types_is_refused(fields):
    graph = Graph()
    graph.referenced["orders_N+C"] = orders("N+C")
    graph.node("c", "Const", **fields)
    assert "the Const c" in refusal(graph.bytes())


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_a_damaged_model_is_refused_or_runs(seed, tmp_path):
    """1000 truncations and bit flips in all; half of the flips hit the nodes, where they hurt most."""
    noise = random.Random(seed)
    path = tmp_path / "model.uff"
    x = np.zeros((1, 3, 32, 32), np.float32)
    for attempt in range(100):
        content = bytearray(SMALL)
        if attempt % 4 == 0:
            del content[noise.randrange(len(content)) :]
        else:
            for _ in range(noise.randint(1, 4)):
                content[noise.randrange(len(content) if attempt % 2 else 12000)] ^= 1 << noise.randrange(8)
        path.write_bytes(bytes(content))
        try:
            interpreter = UffInterpreter(str(path))
            assert set(interpreter.run(x)) == set(interpreter.outputs)
        except BadInput as error:
            assert str(path) in str(error)
