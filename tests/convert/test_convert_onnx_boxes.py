"""The form without a plugin: its boxes and scores, suppressed in numpy, are TensorFlow's detections."""

import json
import os

import convert_helpers as helpers
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from test_convert_onnx import attribute, nameless, nudge, saved

from stages.convert import audit, convert
from stages.convert.graph.analysis import analyse
from stages.convert.graph.detector_parameters import plugins
from stages.convert.onnx import boxes
from stages.convert.onnx.lint import lint
from stages.convert.onnx.runtime import BoxesRuntime, OnnxRuntime
from stages.convert.parity import measure, pictures
from stages.convert.parity.verdict import BoxesComparison
from stages.job import StageFailed

# What importers of onnx-tensorrt 7.1 to 10 all have, and TensorRT needs no plugin for.
STANDARD = set(
    "Conv BatchNormalization Clip Relu Sigmoid Add Sub Mul Concat MaxPool AveragePool Transpose Reshape Split Exp"
    " Softmax".split()
)
SOFTMAX = {"converter": "SOFTMAX"}
ARCHITECTURES = [
    pytest.param("v1", True, SOFTMAX, marks=pytest.mark.slow),
    pytest.param("v1", True, {"early_sigmoid": "true", "converter": "IDENTITY"}, marks=pytest.mark.slow),
    pytest.param("v2", False, {}, marks=pytest.mark.slow),
    pytest.param("lite", True, SOFTMAX, marks=pytest.mark.slow),
    pytest.param("inception", False, {}, marks=pytest.mark.slow),
    pytest.param("v1", True, {"classes": 90, "size": 300}, marks=pytest.mark.slow),
]


def written(examined):
    return boxes.write(examined.graph, examined.structure, examined.parameters)


def runtime(examined, model, folder):
    return BoxesRuntime(saved(model, folder), plugins(examined.parameters)["NMS_TRT"])


def compare(examined, model, folder, count=2):
    comparison = BoxesComparison(examined, runtime(examined, model, folder))
    size = examined.parameters.input
    for picture in pictures.of_noise(count, size.height, size.width):
        comparison.add(picture)
    return comparison.report()


@pytest.fixture
def model(examined):
    return written(examined)


@pytest.fixture(scope="module")
def softmax(definition, tmp_path_factory):
    """The path of a graph whose scores come from a softmax; exported with one (slow) it is the same."""
    made = helpers.copy(definition)
    next(node for node in made.node if node.op == "Sigmoid").op = "Softmax"
    path = tmp_path_factory.mktemp("softmax") / "frozen_inference_graph.pb"
    path.write_bytes(made.SerializeToString())
    return str(path)


@pytest.mark.parametrize("architecture, fixed, options", ARCHITECTURES)
def test_what_is_written_computes_the_same(export, tmp_path, architecture, fixed, options):
    made = export(architecture, fixed, **options)
    found = analyse(made.graph, made.config, boxes_only=True)
    model = written(found)
    assert lint(model) == []
    report = compare(found, model, tmp_path)
    assert report["failures"] == []
    assert 0 < report["detections"] - sum(report["excused"].values()) <= report["matched"] <= report["detections"]
    assert report["heads"]["scores"] < 1e-4 and report["decoded"] < 1e-3


def test_its_outputs_are_plain_and_need_no_plugin(examined, model):
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 11)] and model.ir_version == 6
    assert {node.op_type for node in model.graph.node} <= STANDARD and not any(node.domain for node in model.graph.node)
    shapes = {
        one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
        for one in [*model.graph.input, *model.graph.output]
    }
    size, count = examined.parameters.input, len(examined.parameters.anchors)
    assert shapes == {
        "Input": [1, 3, size.height, size.width],
        "boxes": [1, count, 4],
        "scores": [1, count, examined.parameters.classes],
    }


def test_both_forms_give_the_same_rows(examined, model, tmp_path):
    """Bit for bit up to the exponential, which onnxruntime rounds otherwise than numpy."""
    from stages.convert.onnx import writer

    with_plugin = writer.write(examined.graph, examined.structure, examined.parameters)
    (tmp_path / "plugin").mkdir()
    other = OnnxRuntime(saved(with_plugin, tmp_path / "plugin"))
    this = runtime(examined, model, tmp_path)
    for seed in range(3):
        chance = np.random.RandomState(seed)
        size = examined.parameters.input
        tensor = chance.uniform(-1, 1, (1, 3, size.height, size.width)).astype(np.float32)
        wanted = other.run(tensor, [])
        wanted = wanted["NMS"].reshape(-1, 7)[: wanted["NMS_1"].item()]
        found = this.run(tensor)["rows"]
        np.testing.assert_array_equal(found[:, :2], wanted[:, :2])
        np.testing.assert_allclose(found[:, 2:], wanted[:, 2:], rtol=0, atol=1e-6)


def test_boxes_are_not_clipped(examined, model, tmp_path):
    size = examined.parameters.input
    tensor = np.zeros((1, 3, size.height, size.width), np.float32)
    found = runtime(examined, model, tmp_path).run(tensor)
    assert found["boxes"].min() < 0 and found["boxes"].max() > 1
    assert found["rows"][:, 3:].min() >= 0 and found["rows"][:, 3:].max() <= 1


def test_names_of_nodes_do_not_count(definition, model, tmp_path):
    for number, node in enumerate(("boxes", "scores")):
        renamed = helpers.renamed(definition, number)
        victim = next(one for one in renamed.node if one.op == "Relu6")
        for one in renamed.node:
            one.input[:] = [node if name == victim.name else name for name in one.input]
        victim.name = node
        assert nameless(written(helpers.analyse_definition(renamed, tmp_path))) == nameless(model)


@pytest.mark.parametrize(
    "change, says",
    [
        (nudge(":kernel"), "differ by"),
        (nudge("boxes:size"), "decoded boxes differ"),
        (nudge("boxes:center"), "decoded boxes differ"),
        (nudge("boxes:place variance"), "decoded boxes differ"),
        (nudge("boxes:extent variance"), "decoded boxes differ"),
        (attribute("Transpose", "perm", [0, 1, 3, 2]), "differ by"),
    ],
)
def test_every_change_is_found(examined, model, tmp_path, change, says):
    change(model)
    report = compare(examined, model, tmp_path)
    assert any(says in failure["what"] for failure in report["failures"]), report


def without_scores(model):
    del model.graph.output[1]


def in_another_order(model):
    model.graph.output.append(model.graph.output.pop(0))


@pytest.mark.parametrize(
    "change, says",
    [
        (without_scores, "nor do boxes"),
        (in_another_order, "not exactly one NMS_TRT"),
        (lambda model: setattr(model.opset_import[0], "version", 13), "not valid ONNX"),
        (lambda model: setattr(model, "ir_version", 8), "format 8"),
    ],
)
def test_the_linter_finds(model, change, says):
    change(model)
    assert any(says in finding for finding in lint(model)), lint(model)


def test_a_constant_that_is_not_finite_is_found(model):
    one = next(one for one in model.graph.initializer if one.name == "boxes:size")
    one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one) * np.float32(np.nan), one.name))
    assert any("boxes:size" in finding for finding in lint(model))


def test_a_softmax_gives_this_form_alone_and_says_so(softmax, run_stage, tmp_path):
    refused = run_stage("convert", graph=softmax)
    assert refused.code == 2 and "--to onnx" in refused.events[-1]["error"] and os.listdir(refused.output) == []
    ran = helpers.job("convert", tmp_path, {"graph": softmax}, to="onnx")
    convert.main(ran)
    files = ["labels.txt", "model.boxes.onnx", "model.json", "parity.json", "result.json", "worst.png"]
    assert sorted(os.listdir(ran.output)) == files

    def document(name):
        with open(os.path.join(ran.output, name)) as stream:
            return json.load(stream)

    result, report = document("result.json"), document("parity.json")
    assert (result["uff"], result["onnx"], result["onnx_boxes"]) == (None, None, "model.boxes.onnx")
    assert result["verdict"] == "convertible"
    (note,) = [one for one in result["findings"] if one["op"] == "Softmax"]
    assert note["severity"] == "note" and "model.boxes.onnx is made alone" in note["advice"]
    assert report["matched"] == report["detections"] > 0
    assert {key: value for key, value in report.items() if key != "onnx_boxes"} == report["onnx_boxes"]
    assert document("model.json")["plugin"]["NMS_TRT"]["confSigmoid"] == 0


def test_the_audit_of_a_softmax_stands_in_nobodys_way_where_this_form_will_do(softmax, run_stage, tmp_path):
    """`build` audits before it converts."""
    refused = run_stage("audit", graph=softmax)
    assert refused.code == 2 and "--to onnx" in refused.events[-1]["error"]
    audit.main(helpers.job("audit", tmp_path, {"graph": softmax}, to="onnx"))
    text = (tmp_path / "out" / "audit.txt").read_text()
    assert "Verdict: convertible" in text and "model.boxes.onnx is made alone" in text


def test_a_pipeline_of_another_converter_is_not_this_graphs(softmax, exported):
    found = analyse(softmax, exported.config, boxes_only=True)
    assert "score_converter is SIGMOID in the file, SOFTMAX in the graph" in found.reason


def test_a_failed_proof_fails_the_stage(exported, tmp_path, monkeypatch):
    from stages.detect import nms

    rows = nms.rows
    monkeypatch.setattr(nms, "rows", lambda *given: rows(*given)[1:])
    job = helpers.job("convert", tmp_path, {"graph": exported.graph}, to="onnx")
    with pytest.raises(StageFailed, match=r"The \.boxes\.onnx does not compute"):
        convert.main(job)


@pytest.mark.parametrize("converter", [measure.SIGMOID, measure.SOFTMAX, measure.IDENTITY])
def test_scores_of_a_converter(converter):
    scores = measure.converted(np.array([[0.0, 1.0], [200.0, -200.0]]), converter)
    assert np.isfinite(scores).all() and scores.shape == (2, 2)
    assert converter != measure.SOFTMAX or np.allclose(scores.sum(axis=1), 1)


def test_the_model_is_what_onnx_itself_takes(model):
    onnx.checker.check_model(model, full_check=True)
