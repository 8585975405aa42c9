"""Whole graphs: what goes in, what comes out, and what is refused."""

import numpy as np
import pytest
from ssd_graph import ssd
from uff_bytes import Graph

from stages.job import BadInput
from stages.reference.arithmetic import Arithmetic
from stages.reference.interpreter import UffInterpreter


def run_file(path, x):
    return UffInterpreter(path).run(x)


def image(*shape):
    return np.random.RandomState(3).uniform(-1, 1, shape).astype(np.float32)


def conv_graph(shape):
    """Input -> subtraction -> 3x3 SAME convolution with stride 2, NHWC; also its weights."""
    graph, weights = Graph(), np.random.RandomState(0).randn(3, 3, 3, 5).astype(np.float32)
    graph.input("Input", shape)
    graph.const("half", np.float32(0.5))
    graph.node("sub", "Binary", ["Input", "half"], func="sub")
    graph.const("w", weights)
    graph.node("conv", "Conv", ["sub", "w"], orders=("N+C", "+CK"), strides=[2, 2], implicit_padding="same")
    graph.output("conv")
    return graph


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return ssd(size=64, multiplier=0.25, classes=4, confidenceThreshold_u_float=0.55).write(
        tmp_path_factory.mktemp("ssd") / "model.uff"
    )


def test_says_what_it_takes_and_gives(detector):
    interpreter = UffInterpreter(detector)
    assert (interpreter.input_shapes, interpreter.outputs) == ({"Input": (1, 3, 64, 64)}, ["NMS", "NMS_1"])


def test_runs_a_detector(detector):
    results = run_file(detector, image(1, 3, 64, 64))
    assert results["NMS"].dtype == np.float32
    assert results["NMS_1"].dtype == np.int32
    count = results["NMS_1"].item()
    rows = results["NMS"][0, 0]
    assert 0 < count < len(rows)
    assert (rows[:count, 1] > 0).all() and (rows[count:, 1] == -1).all()
    assert (np.diff(rows[:count, 2]) <= 0).all()


def test_runs_again_and_gives_the_same_bytes(detector):
    interpreter, x = UffInterpreter(detector), image(1, 3, 64, 64)
    first = interpreter.run(x)["NMS"].tobytes()
    interpreter.run(x * 0.5)
    assert interpreter.run(x)["NMS"].tobytes() == first == UffInterpreter(detector).run(x)["NMS"].tobytes()


def test_keeps_what_is_asked_for(detector):
    interpreter = UffInterpreter(detector)
    results = interpreter.run(image(1, 3, 64, 64), keep=["concat_box_loc", "GridAnchor", "concat_priorbox"])
    anchors = [results[name] for name in ["GridAnchor"] + ["GridAnchor_%d" % index for index in range(1, 6)]]
    np.testing.assert_array_equal(np.concatenate(anchors, axis=2), results["concat_priorbox"])
    assert results["concat_box_loc"].shape == (1, results["concat_priorbox"].shape[2], 1, 1)
    with pytest.raises(BadInput, match="no node nowhere"):
        interpreter.run(image(1, 3, 64, 64), keep=["nowhere"])


def test_fp16_decode_changes_the_boxes_a_little(detector):
    x = image(1, 3, 64, 64)
    full, half = (UffInterpreter(detector, Arithmetic(half=flag)).run(x)["NMS"][0, 0, :3] for flag in (False, True))
    assert 0 < np.abs(full - half).max() < 5e-3


def test_an_nchw_input_is_transposed_for_nhwc_consumers(tmp_path):
    x = image(1, 3, 7, 6)
    first = run_file(conv_graph([1, 3, 7, 6]).write(tmp_path / "first.uff"), x)["conv"]
    last = run_file(
        conv_graph([1, 7, 6, 3]).write(tmp_path / "last.uff"), np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    )["conv"]
    unknown = run_file(conv_graph([]).write(tmp_path / "unknown.uff"), np.ascontiguousarray(x.transpose(0, 2, 3, 1)))[
        "conv"
    ]
    assert first.shape == (1, 4, 3, 5)
    np.testing.assert_array_equal(first, last)
    np.testing.assert_array_equal(first, unknown)


def test_nchw_graphs_stay_nchw(tmp_path):
    graph = Graph()
    graph.input("Input", [1, 2, 4, 4])
    graph.node("pool", "Pool", ["Input"], orders=("NC+",), func="max", kernel=[2, 2], strides=[2, 2])
    graph.output("pool")
    x = image(1, 2, 4, 4)
    np.testing.assert_array_equal(
        run_file(graph.write(tmp_path / "m.uff"), x)["pool"], x.reshape(1, 2, 2, 2, 2, 2).max(axis=(3, 5))
    )


def test_a_reshape_of_nhwc_data_keeps_tensorflow_s_order(tmp_path):
    graph = conv_graph([1, 3, 4, 4])
    graph.const("shape", np.array([1, -1], np.int32))
    graph.node("flat", "Reshape", ["conv", "shape"])
    graph.output("flat")
    results = run_file(graph.write(tmp_path / "m.uff"), image(1, 3, 4, 4))
    np.testing.assert_array_equal(results["flat"], results["conv"].reshape(1, -1))


def test_a_chain_of_shape_nodes_is_computed(tmp_path):
    """What TensorFlow exports without a static batch: Reshape to [Shape(x)[0], -1, 1, 5]."""
    graph = conv_graph([1, 3, 4, 4])
    for name, value in (("begin", [0]), ("end", [1]), ("one", [1])):
        graph.const(name, np.array(value, np.int32))
    for name, value in (("rest", -1), ("unit", 1), ("five", 5)):
        graph.const(name, np.int32(value))
    graph.node("shape", "Shape", ["conv"])
    graph.node("batch", "StridedSlice", ["shape", "begin", "end", "one"], shrink_axis_mask=1)
    graph.node("target", "Stack", ["batch", "rest", "unit", "five"], axis=0)
    graph.node("boxes", "Reshape", ["conv", "target"])
    graph.output("boxes")
    assert run_file(graph.write(tmp_path / "m.uff"), image(1, 3, 4, 4))["boxes"].shape == (1, 4, 1, 5)


def test_the_order_of_nodes_in_the_file_does_not_matter(tmp_path, detector):
    graph = ssd(size=64, multiplier=0.25, classes=4, confidenceThreshold_u_float=0.55)
    graph.nodes.reverse()
    x = image(1, 3, 64, 64)
    np.testing.assert_array_equal(run_file(graph.write(tmp_path / "m.uff"), x)["NMS"], run_file(detector, x)["NMS"])


def test_a_thousand_layers_are_no_problem(tmp_path):
    graph = Graph()
    source = graph.input("Input", [1, 2])
    for index in range(5000):
        source = graph.node("n%d" % index, "Unary", [source], func="neg")
    graph.output(source)
    graph.nodes.reverse()
    np.testing.assert_array_equal(run_file(graph.write(tmp_path / "m.uff"), image(1, 2))["n4999"], image(1, 2))


def test_several_inputs_are_told_apart_by_name(difference):
    left, right = image(1, 4), image(1, 4)[:, ::-1].copy()
    result = UffInterpreter(difference).run({"scope/right": right, "left": left})["scope/out"]
    np.testing.assert_array_equal(result, left - right)
    for wrong in (left, {"left": left}, {"left": left, "scope/right": right, "middle": left}):
        with pytest.raises(BadInput, match="has the inputs left, scope/right; given are"):
            UffInterpreter(difference).run(wrong)


def broken(change):
    graph = Graph()
    graph.input("Input", [1, 4])
    graph.node("a", "Unary", ["Input"], func="neg")
    change(graph)
    return graph


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda graph: None, "no MarkOutput"),
        (lambda graph: graph.output("gone"), "takes its input from gone, which is missing"),
        (
            lambda graph: (graph.node("b", "Unary", ["gone"], func="neg"), graph.output("b")),
            "from gone, which is missing",
        ),
        (
            lambda graph: (graph.node("b", "_Cast", ["a"]), graph.output("b")),
            "node b has the unsupported operation _Cast",
        ),
        (lambda graph: (graph.node("b", "Binary", ["a"], func="add"), graph.output("b")), "has 1 inputs instead of 2"),
        (
            lambda graph: (graph.node("b", "Binary", ["a", "b"], func="add"), graph.output("b")),
            "node b depends on itself",
        ),
        (
            lambda graph: (
                graph.node("b", "Binary", ["a", "c"], func="add"),
                graph.node("c", "Unary", ["b"], func="neg"),
                graph.output("c"),
            ),
            "depends on itself",
        ),
        (
            lambda graph: (graph.node("a", "Unary", ["Input"], func="exp"), graph.output("a")),
            "two nodes have the name a",
        ),
        (lambda graph: (graph.const("c", np.float32(1)), graph.output("c")), "has no input"),
        (
            lambda graph: (
                graph.node("c", "Const", values="text"),
                graph.node("b", "Binary", ["a", "c"], func="add"),
                graph.output("b"),
            ),
            r"node c \(Const\)",
        ),
    ],
)
def test_refuses_graphs_that_cannot_run(tmp_path, change, told):
    path = broken(change).write(tmp_path / "m.uff")
    with pytest.raises(BadInput, match=told) as caught:
        UffInterpreter(path)
    assert path in str(caught.value)


@pytest.mark.parametrize(
    "node, told",
    [
        (dict(operation="Concat", inputs=["a", "a"]), r"node b \(Concat\).* field axis is missing"),
        (dict(operation="Binary", inputs=["a", "c"], func="add"), r"node b \(Binary\).*shape"),
        (dict(operation="Reshape", inputs=["a", "c"]), r"node b \(Reshape\)"),
        (dict(operation="_NMS_TRT", inputs=["a", "a"]), r"node b \(_NMS_TRT\)"),
        (dict(operation="Transpose", inputs=["a"], permutation=[0, 5]), r"node b \(Transpose\)"),
    ],
)
def test_names_the_node_that_does_not_fit(tmp_path, node, told):
    def change(graph):
        graph.const("c", np.array([3, 3, 3], np.int32))
        graph.node("b", **node)
        graph.output("b")

    path = broken(change).write(tmp_path / "m.uff")
    with pytest.raises(BadInput, match=told) as caught:
        UffInterpreter(path).run(image(1, 4))
    assert path in str(caught.value)


def test_a_node_that_no_output_depends_on_is_neither_run_nor_shown(tmp_path):
    def change(graph):
        graph.node("unused", "_Cast", ["a"])  # unsupported, and nobody needs it
        graph.output("a")

    interpreter = UffInterpreter(broken(change).write(tmp_path / "m.uff"))
    np.testing.assert_array_equal(interpreter.run(image(1, 4))["a"], -image(1, 4))
    with pytest.raises(BadInput, match="no node unused that an output depends on"):
        interpreter.run(image(1, 4), keep=["unused"])


def test_what_no_input_reaches_is_computed_once(tmp_path, monkeypatch):
    def change(graph):
        graph.const("c", np.float32([1, 2, 3, 4]))
        graph.node("doubled", "Binary", ["c", "c"], func="add")
        graph.node("b", "Binary", ["a", "doubled"], func="add")
        graph.output("b")

    interpreter = UffInterpreter(broken(change).write(tmp_path / "m.uff"))
    computed = []
    compute = interpreter._compute
    monkeypatch.setattr(interpreter, "_compute", lambda node, values: computed.append(node.id) or compute(node, values))
    for _ in range(2):
        np.testing.assert_array_equal(interpreter.run(image(1, 4))["b"], np.float32([2, 4, 6, 8]) - image(1, 4))
    assert computed == ["a", "b", "a", "b"]


def test_an_output_that_is_named_twice_and_kept_too_is_the_same_array(tmp_path):
    def change(graph):
        graph.node("b", "Binary", ["a", "a"], func="mul")
        graph.output("b")
        graph.output("a")

    results = UffInterpreter(broken(change).write(tmp_path / "m.uff")).run(image(1, 4), keep=["a", "Input"])
    np.testing.assert_array_equal(results["b"], results["a"] ** 2)
    np.testing.assert_array_equal(results["Input"], -results["a"])


@pytest.mark.parametrize("shape", ["text", 7, [1.0, 4.0]])
def test_an_input_whose_shape_is_not_a_list_of_sizes_is_refused(tmp_path, shape):
    graph = Graph()
    graph.node("Input", "Input", dtype=np.dtype(np.float32), shape=shape)
    graph.node("a", "Unary", ["Input"], func="neg")
    graph.output("a")
    with pytest.raises(BadInput, match="input Input has the shape .* instead of a list of sizes"):
        UffInterpreter(graph.write(tmp_path / "m.uff"))


def test_a_batch_of_any_size_goes_where_the_file_says_minus_one(tmp_path):
    graph = Graph()
    graph.input("Input", [-1, 4])
    graph.node("a", "Unary", ["Input"], func="neg")
    graph.output("a")
    interpreter = UffInterpreter(graph.write(tmp_path / "m.uff"))
    assert [interpreter.run(image(batch, 4))["a"].shape for batch in (1, 3)] == [(1, 4), (3, 4)]
    with pytest.raises(BadInput, match=r"takes float32 \[-1, 4\], not float32 \[3, 5\]"):
        interpreter.run(image(3, 5))


@pytest.mark.parametrize("x", [image(1, 3, 64, 63), image(1, 64, 64, 3), image(3, 64, 64), np.zeros((1, 3, 64, 64))])
def test_refuses_an_input_of_another_shape_or_type(detector, x):
    with pytest.raises(BadInput, match=r"input Input takes float32 \[1, 3, 64, 64\], not"):
        UffInterpreter(detector).run(x)
