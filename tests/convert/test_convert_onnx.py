"""Detectors as ONNX: onnxruntime makes of them what TensorFlow makes, and what TensorRT cannot take is found."""

import json
import os

import convert_helpers as helpers
import numpy as np
import onnx
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from stages.convert.graph.analysis import analyse
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.ssd_structure import Head
from stages.convert.onnx import writer
from stages.convert.onnx.lint import lint
from stages.convert.onnx.runtime import OnnxRuntime
from stages.convert.parity import measure
from stages.convert.uff.plugin_graph import CONFIDENCES, LOCATIONS, PRIORS
from stages.job import BadInput, StageFailed

ARCHITECTURES = [
    ("v1", True, {}),
    ("v2", False, {}),
    ("v1", True, {"early_sigmoid": "true", "converter": "IDENTITY"}),
    pytest.param("lite", True, {}, marks=pytest.mark.slow),
    pytest.param("inception", False, {}, marks=pytest.mark.slow),
    pytest.param("v1", False, {"explicit_padding": "true"}, marks=pytest.mark.slow),
    pytest.param("v1", True, {"classes": 90, "size": 300}, marks=pytest.mark.slow),
]


def written(examined):
    return writer.write(examined.graph, examined.structure, examined.parameters)


def saved(model, folder):
    path = str(folder / "model.onnx")
    with open(path, "wb") as stream:
        stream.write(model.SerializeToString())
    return path


def compare(examined, model, folder, count=2):
    return helpers.compared(examined, OnnxRuntime(saved(model, folder)), count).report()


@pytest.fixture
def model(examined):
    return written(examined)


@pytest.mark.parametrize("architecture, fixed, options", ARCHITECTURES)
def test_what_is_written_computes_the_same(export, tmp_path, architecture, fixed, options):
    found = analyse(export(architecture, fixed, **options).graph)
    made = written(found)
    assert lint(made) == []
    report = compare(found, made, tmp_path)
    assert report["failures"] == []
    assert 0 < report["detections"] - sum(report["excused"].values()) <= report["matched"] <= report["detections"]
    assert max(report["heads"].values()) < 1e-3 and report["anchors"] == 0


def test_a_repaired_graph_computes_the_same(definition, tmp_path):
    found = helpers.analyse_definition(helpers.aged(definition), tmp_path)
    assert found.audit.verdict == "repairable"
    assert compare(found, written(found), tmp_path)["failures"] == []


def test_names_of_nodes_do_not_count(definition, examined, tmp_path):
    found = helpers.analyse_definition(helpers.renamed(definition, 5), tmp_path)
    assert nameless(written(found)) == nameless(written(examined))


def nameless(model):
    """The nodes in order with their attributes; inputs as positions, constants by value."""
    values = {one.name: one.raw_data for one in model.graph.initializer}
    makers = {name: number for number, node in enumerate(model.graph.node) for name in node.output}
    return [
        (
            node.op_type,
            [values.get(name, makers.get(name)) for name in node.input],
            [one.SerializeToString() for one in node.attribute],
        )
        for node in model.graph.node
    ]


def test_it_is_what_tensorrt_7_1_reads(model):
    assert (model.ir_version, [(one.domain, one.version) for one in model.opset_import]) == (6, [("", 11), ("TRT", 1)])
    (plugin,) = [node for node in model.graph.node if node.domain]
    attributes = {one.name: helper.get_attribute_value(one) for one in plugin.attribute}
    assert (plugin.op_type, list(plugin.input)) == ("NMS_TRT", [LOCATIONS, PRIORS, CONFIDENCES])
    assert attributes["inputOrder"] == [0, 2, 1] and attributes["plugin_version"] == b"1"
    assert [one.name for one in model.graph.input] == ["Input"]
    assert [one.name for one in model.graph.output] == list(plugin.output) == ["NMS", "NMS_1"]


@pytest.mark.slow
def test_the_artifact_holds_both_models_and_repeats_its_bytes(exported, start_stage):
    runs = [
        start_stage("convert", hash_seed=seed, name=name, to="onnx", graph=os.path.dirname(exported.graph))
        for seed, name in (("1", "first"), ("2", "second"))
    ]
    assert [ran.code for ran in runs] == [0, 0], runs[0].log
    first, second = (
        {name: open(os.path.join(ran.output, name), "rb").read() for name in os.listdir(ran.output)} for ran in runs
    )
    assert sorted(first) == [
        "labels.txt",
        "model.boxes.onnx",
        "model.json",
        "model.onnx",
        "model.uff",
        "parity.json",
        "result.json",
        "worst.png",
    ]
    assert first == second
    report = json.loads(first["parity.json"].decode())
    assert report["onnx"]["pictures"] == 20 and report["onnx"]["matched"] == report["onnx"]["detections"] > 0
    assert report["onnx_boxes"]["pictures"] == 20 and report["onnx_boxes"]["matched"] == report["onnx"]["matched"]
    result = json.loads(first["result.json"].decode())
    assert (result["onnx"], result["onnx_boxes"]) == ("model.onnx", "model.boxes.onnx")
    outputs = {"detections": "NMS", "count": "NMS_1", "boxes": "boxes", "scores": "scores"}
    assert json.loads(first["model.json"].decode())["outputs"] == outputs


def test_without_being_asked_for_there_is_none(exported, run_stage):
    ran = run_stage("convert", graph=exported.graph)
    assert ran.code == 0 and not os.path.exists(os.path.join(ran.output, "model.onnx"))
    with open(os.path.join(ran.output, "result.json")) as stream:
        assert json.load(stream)["onnx"] is None


def test_a_failed_proof_fails_the_stage(exported, tmp_path, monkeypatch):
    from stages.convert import convert
    from stages.convert.onnx import runtime

    monkeypatch.setattr(runtime, "_session", lambda model: Halved(model))
    job = helpers.job("convert", tmp_path, {"graph": exported.graph}, to="onnx")
    with pytest.raises(StageFailed, match="The .onnx does not compute .* box encodings differ by"):
        convert.main(job)


class Halved:
    """A session that computes something else."""

    def __init__(self, model):
        import onnxruntime

        self._session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(self, names, feeds):
        return [value / 2 for value in self._session.run(names, feeds)]


def nudge(suffix):
    def damage(model):
        constant = next(one for one in model.graph.initializer if one.name.endswith(suffix))
        values = numpy_helper.to_array(constant).copy()
        values.flat[values.size // 2] += 0.5
        constant.CopyFrom(numpy_helper.from_array(values, constant.name))

    return damage


def moved_anchors(model):
    constant(PRIORS, lambda values: values + np.array([1e-4, 0], np.float32).reshape(1, 2, 1, 1))(model)


def attribute(operation, name, value):
    def damage(model):
        node = next(node for node in model.graph.node if node.op_type == operation)
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend(kept + ([helper.make_attribute(name, value)] if value is not None else []))

    return damage


def swapped_pads(model):
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    pads = next(one.ints for one in node.attribute if one.name == "pads")
    assert pads[:2] != pads[2:]
    pads[:] = pads[2:] + pads[:2]


@pytest.mark.parametrize(
    "change, says",
    [
        (nudge(":kernel"), "differ by"),
        (nudge(":bias"), "differ by"),
        (nudge(":variance"), "differ by"),
        (nudge(PRIORS), "decoded boxes differ"),
        (moved_anchors, "anchors differ"),
        (swapped_pads, "differ by"),
        (attribute("NMS_TRT", "nmsThreshold", 0.95), "only"),
        (attribute("NMS_TRT", "confSigmoid", 0), "found"),
        (attribute("Transpose", "perm", [0, 1, 3, 2]), "differ by"),
    ],
)
def test_every_change_is_found(examined, model, tmp_path, change, says):
    change(model)
    report = compare(examined, model, tmp_path)
    assert any(says in failure["what"] for failure in report["failures"]), report


def constant(name, value):
    def damage(model):
        one = next(one for one in model.graph.initializer if one.name.endswith(name))
        one.CopyFrom(numpy_helper.from_array(value(numpy_helper.to_array(one).copy()), one.name))

    return damage


def with_nan(values):
    values.flat[0] = np.nan
    return values


def unknown_to_the_parser(model):
    next(node for node in model.graph.node if node.op_type == "Clip").op_type = "Sum"


def newer(model):
    model.opset_import[0].version = 13


def computed_kernel(model):
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.insert(0, helper.make_node("Identity", [node.input[1]], ["computed"], name="computed"))
    node.input[1] = "computed"


def open_batch(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def average(model):
    node = next(node for node in model.graph.node if node.op_type == "Transpose")
    made = helper.make_node(
        "AveragePool", [node.input[0]], ["pooled"], name="pooled", kernel_shape=[2, 2], pads=[0, 0, 1, 1]
    )
    model.graph.node.insert(list(model.graph.node).index(node), made)
    node.input[0] = "pooled"


def without_plugin(model):
    model.graph.node.remove(next(node for node in model.graph.node if node.op_type == "NMS_TRT"))


@pytest.mark.parametrize(
    "change, says",
    [
        (attribute("NMS_TRT", "scoreBits", None), "scoreBits is missing"),
        (attribute("NMS_TRT", "nmsThreshold", 1), "nmsThreshold is of another type"),
        (attribute("NMS_TRT", "numClasses", 7), "numPriors * numClasses"),
        (attribute("NMS_TRT", "inputOrder", [0, 1, 2]), "priors are"),
        (attribute("NMS_TRT", "inputOrder", [0, 0, 2]), "inputOrder of 0, 1 and 2"),
        (attribute("NMS_TRT", "topK", 5000), "topK 5000 is over"),
        (attribute("NMS_TRT", "keepTopK", 0), "keepTopK 0"),
        (attribute("NMS_TRT", "nmsThreshold", 1.5), "a threshold is not between 0 and 1"),
        (attribute("NMS_TRT", "backgroundLabelId", 9), "backgroundLabelId is not one of the classes"),
        (attribute("Conv", "auto_pad", b"SAME_UPPER"), "pads"),
        (constant(PRIORS, lambda values: values[:, :, :-4]), "numPriors * 4"),
        (constant(PRIORS, lambda values: values[:, :1]), "priors are"),
        (constant(":kernel", with_nan), "not finite"),
        (constant(":shape", lambda values: values * 3), "not valid ONNX"),
        (unknown_to_the_parser, "unsupported operation"),
        (newer, "opset 13"),
        (computed_kernel, '"computed" is not a constant'),
        (open_batch, "instead of [1, 3, height, width]"),
        (average, "uneven pads"),
        (without_plugin, "not exactly one NMS_TRT"),
        (lambda model: model.graph.node[0].input.append("lost"), "not valid ONNX"),
    ],
)
def test_the_linter_finds(model, change, says):
    assert lint(model) == []
    change(model)
    assert any(says in finding for finding in lint(model)), lint(model)


@given(st.integers(1, 400), st.integers(1, 9), st.integers(1, 4))
def test_same_pads_as_tensorflow_does(size, window, stride):
    before, after = writer.same_pads(size, window, stride)
    assert 0 <= before <= after <= before + 1
    assert max(size + before + after - window, 0) // stride + 1 == -(-size // stride)
    assert before + after == 0 or (size + before + after - window) % stride == 0  # no pixel more than is needed


def conv(tensor, kernel=3, channels=8, seed=1, **options):
    weights = np.random.RandomState(seed).normal(0, 0.5, (kernel, kernel, tensor.shape[3].value, channels))
    return tf.nn.conv2d(
        tensor, tf.constant(weights, tf.float32), **dict({"strides": [1, 1, 1, 1], "padding": "SAME"}, **options)
    )


def depthwise(tensor, multiplier=2, stride=2):
    narrow = conv(tensor, 1, 4)
    weights = np.random.RandomState(2).normal(0, 0.5, (3, 3, 4, multiplier))
    return tf.nn.depthwise_conv2d_native(narrow, tf.constant(weights, tf.float32), [1, stride, stride, 1], "SAME")


def batch_norm(tensor):
    scale, offset, mean, variance = [
        tf.constant(np.random.RandomState(seed).uniform(0.2, 2, 8), tf.float32) for seed in range(4)
    ]
    return tf.nn.fused_batch_norm(conv(tensor), scale, offset, mean, variance, 0.003, is_training=False)[0]


def biased(tensor):
    return tf.nn.bias_add(conv(tensor), tf.constant(np.linspace(-1, 1, 8), tf.float32))


def read_twice(tensor):
    body = conv(tensor)
    return tf.nn.bias_add(body, tf.constant(np.linspace(-1, 1, 8), tf.float32)) + body


OPERATIONS = {
    "stride 2": lambda x: conv(x, strides=[1, 2, 2, 1]),
    "kernel 5, stride 2": lambda x: conv(x, 5, strides=[1, 2, 2, 1]),
    "kernel 1, stride 2": lambda x: conv(x, 1, strides=[1, 2, 2, 1]),
    "valid": lambda x: conv(x, padding="VALID"),
    "padded": lambda x: conv(tf.pad(x, [[0, 0], [2, 0], [0, 1], [0, 0]]), padding="VALID", strides=[1, 2, 2, 1]),
    "dilated": lambda x: conv(x, dilations=[1, 2, 2, 1]),
    "depthwise": depthwise,
    "bias": biased,
    "bias beside another reader": read_twice,
    "normalised": batch_norm,
    "relu6": lambda x: tf.nn.relu6(conv(x) * 3),
    "relu": lambda x: tf.nn.relu(conv(x)),
    "sigmoid": lambda x: tf.sigmoid(conv(x)),
    "largest": lambda x: tf.nn.max_pool(conv(x), [1, 3, 3, 1], [1, 2, 2, 1], "SAME"),
    "mean": lambda x: tf.nn.avg_pool(conv(x), [1, 3, 3, 1], [1, 1, 1, 1], "SAME"),
    "sum": lambda x: conv(x) + conv(x, 1, seed=7),
    "difference": lambda x: conv(x) - conv(x, 1, seed=7),
    "scaled": lambda x: tf.constant(np.linspace(-2, 2, 8), tf.float32) * conv(x),
    "subtracted from": lambda x: tf.constant(1.5) - conv(x),
    "joined": lambda x: tf.concat([conv(x, channels=3), conv(x, 1, channels=5)], 3),
}


def tiny(make, height, width, parameters):
    """A network of ``make`` alone, whose output of 8 channels is both heads: 2 boxes of 4 numbers, or of 4 classes."""
    with tf.Graph().as_default() as graph:
        entry = tf.placeholder(tf.float32, [1, height, width, 3], name="entry")
        output = make(entry)
        rows, columns = output.shape[1].value, output.shape[2].value
        head = Head("reshape", output.op.name, output.op.name)
        other = Head("reshape_1", output.op.name, output.op.name)
    structure = Parts(entry="entry", box_heads=[head], class_heads=[other])
    changed = parameters._replace(
        input=measure.Input(height, width, "RGB", 1.0, 0.0),
        classes=4,
        layers=[measure.Layer(rows, columns, 2, 4)],
        anchors=np.zeros((rows * columns * 2, 4), np.float32),
    )
    return graph, output, writer.write(Graph(graph.as_graph_def()), structure, changed)


class Parts:
    """Only what the writer reads of an SsdStructure."""

    def __init__(self, **parts):
        self.__dict__.update(parts)


@pytest.mark.parametrize("height, width", [(8, 8), (9, 7), (12, 5)])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_one_operation_computes_the_same(examined, tmp_path, name, height, width):
    graph, output, made = tiny(OPERATIONS[name], height, width, examined.parameters)
    onnx.checker.check_model(made)
    values = np.random.RandomState(3).normal(0, 1, (1, height, width, 3)).astype(np.float32)
    with tf.Session(graph=graph) as session:
        truth = session.run(output, {"entry:0": values})
    seen = OnnxRuntime(saved(made, tmp_path)).run(
        np.ascontiguousarray(values.transpose(0, 3, 1, 2)), keep=[LOCATIONS, CONFIDENCES]
    )
    np.testing.assert_allclose(seen[LOCATIONS].reshape(-1), truth.reshape(-1), atol=1e-5)
    np.testing.assert_array_equal(seen[CONFIDENCES].reshape(-1), seen[LOCATIONS].reshape(-1))


def test_a_bias_becomes_the_convolutions(examined):
    made = tiny(OPERATIONS["bias"], 8, 8, examined.parameters)[2]
    assert [node.op_type for node in made.graph.node][:1] == ["Conv"] and len(made.graph.node[0].input) == 3
    assert "Add" not in {node.op_type for node in made.graph.node}


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda x: tf.nn.elu(conv(x)), "Elu"),
        (lambda x: tf.concat([conv(x), conv(x)], 1), "something else than channels"),
        (lambda x: conv(tf.pad(x, [[0, 0], [0, 0], [0, 0], [0, 2]])), "pads more than the picture"),
        (lambda x: conv(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])), "pads more than the picture"),
        (lambda x: tf.nn.relu(tf.pad(conv(x), [[0, 0], [1, 1], [1, 1], [0, 0]])), "cannot"),
        (lambda x: conv(x) * tf.constant(np.ones((8, 8, 8), np.float32)), "0 or 1 dimensions"),
        (lambda x: tf.nn.bias_add(conv(x), tf.constant([np.nan] * 8, tf.float32)), "not finite"),
        (
            lambda x: tf.nn.conv2d(
                x, tf.placeholder_with_default(np.ones((1, 1, 3, 8), np.float32), [1, 1, 3, 8]), [1, 1, 1, 1], "SAME"
            ),
            "PlaceholderWithDefault",
        ),
        (lambda x: tf.nn.max_pool(conv(x), [1, 1, 1, 2], [1, 1, 1, 2], "SAME"), "only rows and columns"),
    ],
)
def test_what_cannot_be_written_is_refused(examined, make, says):
    with pytest.raises(BadInput, match=says):
        tiny(make, 8, 8, examined.parameters)


def test_a_network_in_a_circle_is_refused(examined):
    definition = tf.GraphDef()
    definition.node.add(name="entry", op="Placeholder")
    definition.node.add(name="a", op="Relu", input=["b"])
    definition.node.add(name="b", op="Relu", input=["a"])
    head = Head("reshape", "a", "a")
    with pytest.raises(BadInput, match="cannot"):
        writer.write(Graph(definition), Parts(entry="entry", box_heads=[head], class_heads=[head]), examined.parameters)


def test_files_without_the_plugin_are_no_models_to_prove(model, tmp_path):
    without_plugin(model)
    with pytest.raises(ValueError, match="0 nodes NMS_TRT"):
        OnnxRuntime(saved(model, tmp_path))
