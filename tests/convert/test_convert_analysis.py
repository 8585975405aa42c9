"""Every architecture is understood by its data flow, and what the plugins cannot express is refused with the reason."""

import re

import convert_helpers as helpers
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_convert_parity import compare

from stages.convert.graph import detector_parameters
from stages.convert.graph.analysis import Refused, analyse
from stages.convert.graph.frozen_graph import Graph, data_inputs
from stages.convert.graph.ssd_structure import network
from stages.convert.uff import schema
from stages.convert.uff.lint import lint
from stages.job import BadInput

PLAIN = [
    ("v1", True),
    pytest.param("v1", False, marks=pytest.mark.slow),
    ("v2", False),
    pytest.param("lite", True, marks=pytest.mark.slow),
    pytest.param("inception", False, marks=pytest.mark.slow),
]


def inside(examined):
    """The names of the nodes of the network."""
    return network(examined.graph, examined.structure)


@pytest.mark.parametrize("architecture, fixed", PLAIN)
def test_architectures_convert_with_and_without_config(export, architecture, fixed):
    made = export(architecture, fixed)
    with_config, without = analyse(made.graph, made.config), analyse(made.graph)
    assert with_config.audit.verdict == without.audit.verdict == "convertible", with_config.audit.findings
    assert detector_parameters.plugins(with_config.parameters) == detector_parameters.plugins(without.parameters)
    assert schema.serialize(with_config.uff) == schema.serialize(without.uff)
    assert with_config.audit.tensorflow == "1.12 or older"


@pytest.mark.parametrize(
    "architecture, fixed, maps", [("v1", True, [8, 4, 2, 1, 1, 1]), ("v2", False, [10, 5, 3, 2, 1, 1])]
)
def test_parameters_are_those_of_the_pipeline(export, architecture, fixed, maps):
    parameters = analyse(export(architecture, fixed).graph).parameters
    assert parameters.grid == (0.2, 0.95, [1.0, 2.0, 0.5, 3.0, 0.3333], maps)
    assert parameters.variances == [0.1, 0.1, 0.2, 0.2]
    assert parameters.input[2:] == ("RGB", 2 / 255.0, -1.0)
    assert (parameters.classes, parameters.converter, parameters.outputs.most) == (3, "SIGMOID", 50)
    assert (parameters.score_threshold, parameters.iou_threshold, parameters.per_class) == (0.05, 0.6, 50)
    nms = detector_parameters.plugins(parameters)["NMS_TRT"]
    assert nms["topK"] == len(parameters.anchors) and nms["keepTopK"] == 50 and nms["numClasses"] == 3


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_names_and_order_of_nodes_do_not_count(definition, examined, tmp_path, seed):
    found = helpers.analyse_definition(helpers.renamed(definition, seed), tmp_path)
    assert helpers.nameless(found.uff) == helpers.nameless(examined.uff)
    assert detector_parameters.plugins(found.parameters) == detector_parameters.plugins(examined.parameters)


@pytest.mark.slow
def test_names_of_loops_do_not_count_either(export, tmp_path):
    original = analyse(export("v1", False).graph)
    found = helpers.analyse_definition(helpers.renamed(original.graph.definition, 7), tmp_path)
    assert helpers.nameless(found.uff) == helpers.nameless(original.uff)


def test_nodes_called_like_the_plugins_do_not_clash(definition, examined, tmp_path):
    made = helpers.copy(definition)
    taken = iter(["NMS", "GridAnchor", "Input", "concat_box_loc"])
    for node in [node for node in made.node if node.op == "Relu6" and node.name in inside(examined)][:4]:
        new, old = next(taken), node.name
        node.name = new
        for reader in made.node:
            for index, tensor in enumerate(reader.input):
                if tensor == old:
                    reader.input[index] = new
    assert helpers.nameless(helpers.analyse_definition(made, tmp_path).uff) == helpers.nameless(examined.uff)


SCALES = "scales: 0.1 scales: 0.2 scales: 0.3 scales: 0.5 scales: 0.7 scales: 0.9"


OTHER_ANCHORS = [
    pytest.param({"resizer": "fixed_shape_resizer { height: 96 width: 160 }"}, "not square", marks=pytest.mark.slow),
    pytest.param({"anchors": "reduce_boxes_in_lowest_layer: false"}, "always makes 3", marks=pytest.mark.slow),
    pytest.param({"anchors": SCALES}, "cannot make", marks=pytest.mark.slow),
    pytest.param({"anchors": "interpolated_scale_aspect_ratio: 0.0"}, "cannot make", marks=pytest.mark.slow),
    pytest.param({"anchors": "base_anchor_height: 0.5"}, "cannot make", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("options, says", OTHER_ANCHORS)
def test_anchors_that_the_plugin_cannot_make_become_a_constant(export, options, says):
    made = export("v1", **options)
    found = analyse(made.graph, made.config)
    note = next(finding["advice"] for finding in found.audit.findings if finding["severity"] == "note")
    assert found.audit.verdict == "convertible" and says in note and lint(found.uff) == []
    assert "GridAnchor_TRT" not in detector_parameters.plugins(found.parameters)
    priors = next(node for node in found.uff.graphs[0].nodes if node.id == "concat_priorbox")
    values = schema.array(
        found.uff.referenced_data["weights_concat_priorbox"], schema.FLOAT32, priors.fields["shape"].i_list.val
    )
    np.testing.assert_array_equal(values[0].reshape(-1, 4), found.parameters.anchors)
    np.testing.assert_allclose(values[1].reshape(-1, 4), [[0.1, 0.1, 0.2, 0.2]] * len(found.parameters.anchors))


@pytest.mark.slow
def test_a_resizer_that_pads_is_refused(export):
    resizer = "keep_aspect_ratio_resizer { min_dimension: 128 max_dimension: 128 pad_to_max_dimension: true }"
    found = analyse(export("v1", resizer=resizer, fixed=False).graph)
    assert isinstance(found, Refused)
    assert "does not stretch" in found.reason


def test_softmax_scores_are_refused(definition, tmp_path):
    made = helpers.copy(definition)
    next(node for node in made.node if node.op == "Sigmoid").op = "Softmax"
    found = helpers.analyse_definition(made, tmp_path)
    assert found.audit.verdict == "refused" and "only the sigmoid" in found.reason


def test_scaled_logits_are_refused(definition, examined, tmp_path):
    made = helpers.copy(definition)
    scale = Graph(made).maker(Graph(made).nodes[examined.structure.scores].input[0])
    assert scale.op == "RealDiv"
    divisor = Graph(made).maker(scale.input[1])
    divisor.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(2.0, tf.float32))
    assert "logit_scale" in helpers.analyse_definition(made, tmp_path).reason


@pytest.mark.parametrize(
    "options, expected",
    [
        pytest.param({"early_sigmoid": "true", "converter": "IDENTITY"}, {"confSigmoid": 0}, marks=pytest.mark.slow),
        ({"classes": 1, "min_scale": "0.05", "y_scale": "8.0"}, {"numClasses": 2}),
        pytest.param({"explicit_padding": "true"}, {"confSigmoid": 1}, marks=pytest.mark.slow),
    ],
)
def test_unusual_pipelines_convert(export, options, expected):
    made = export("v1", True, **options)
    found = analyse(made.graph, made.config)
    assert found.audit.verdict == "convertible", found.audit.findings
    fields = detector_parameters.plugins(found.parameters)
    assert {key: fields["NMS_TRT"][key] for key in expected} == expected
    assert fields["GridAnchor_TRT"]["minSize"] == float(options.get("min_scale", 0.2))
    assert fields["GridAnchor_TRT"]["variance"][1] == 1 / float(options.get("y_scale", 10))


@pytest.mark.slow
def test_a_graph_without_batch_size_is_noted(export, exported):
    """And converted: 1 is the batch of what was proven."""
    found = analyse(export("v2", False).graph)
    notes = [finding for finding in found.audit.findings if finding["severity"] == "note"]
    assert found.audit.verdict == "convertible" and len(notes) == 1
    assert notes[0]["node"] == "image_tensor" and "no batch size" in notes[0]["advice"]
    assert not [finding for finding in analyse(exported.graph).audit.findings if finding["severity"] == "note"]


@pytest.mark.slow
def test_a_limit_per_class_that_the_plugin_lacks_is_noted(export):
    found = analyse(export("v1", True, per_class=10).graph)
    assert found.audit.verdict == "convertible" and found.parameters.per_class == 10
    assert [finding["where"] for finding in found.audit.findings if finding["severity"] == "note"] == ["postprocessor"]


OTHER_DIFFERENCES = (
    ("num_classes: 2", "num_classes: 3", "num_classes is 3"),
    ("y_scale: 10.0", "y_scale: 5.0", "box coder scales"),
    ("score_converter: SIGMOID", "score_converter: IDENTITY", "score_converter"),
    ("aspect_ratios: 3.0", SCALES, "scales: 0.1.* makes"),
    ("num_layers: 6", "num_layers: 5", "cannot make its anchors"),
    ("num_layers: 6", "num_layers: 6 reduce_boxes_in_lowest_layer: false", "in_lowest_layer: false.*makes"),
    ("ssd_anchor_generator {", "multiscale_anchor_generator { #", "config"),
)


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("min_scale: 0.2", "min_scale: 0.3", "min_scale: 0.3.*anchor 1 "),
        ("height: 128", "height: 256", "image_resizer"),
        ("aspect_ratios: 3.0", "", "makes 307 anchors, the graph has 330"),
        ("model {", "model [", "not a pipeline.config"),
        *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHER_DIFFERENCES),
    ],
)
def test_a_config_of_another_graph_is_refused(exported, tmp_path, old, new, says):
    with open(exported.config) as stream:
        text = stream.read()
    (tmp_path / "other.config").write_text(text.replace(old, new))
    refusal = analyse(exported.graph, str(tmp_path / "other.config")).reason
    assert re.search(says, refusal), refusal
    assert "other.config" in refusal or "pipeline.config" in refusal


def test_two_stage_detectors_are_refused(definition, tmp_path):
    made = helpers.copy(definition)
    crop = made.node.add(name="crop", op="CropAndResize", input=["image_tensor", "box", "index", "size"])
    crop.attr["T"].type = tf.uint8.as_datatype_enum
    for name, value in (
        ("box", np.zeros((1, 4), np.float32)),
        ("index", np.zeros(1, np.int32)),
        ("size", np.ones(2, np.int32)),
    ):
        constant = made.node.add(name=name, op="Const")
        constant.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    assert "two-stage" in helpers.analyse_definition(made, tmp_path).reason


def test_classifiers_are_refused(definition, examined, tmp_path):
    head = examined.structure.class_heads[0].convolution
    kept = Graph(definition).ancestors([head])
    made = helpers.copy(definition)
    del made.node[:]
    made.node.extend(node for node in definition.node if node.name in kept)
    assert "no postprocessor" in helpers.analyse_definition(made, tmp_path).reason


def test_shared_predictors_are_refused(definition, examined, tmp_path):
    made = helpers.copy(definition)
    first, second = [head.convolution for head in examined.structure.class_heads[:2]]
    nodes = {node.name: node for node in made.node}
    nodes[second].input[1] = nodes[first].input[1]
    assert helpers.analyse_definition(made, tmp_path).audit.verdict == "refused"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(definition, examined, tmp_path, value):
    made = helpers.copy(definition)
    graph = Graph(made)
    kernel = graph.maker(data_inputs(graph.nodes[examined.structure.box_heads[0].convolution])[1])
    weights = graph.constant(kernel.name).copy()
    weights.flat[5] = value
    kernel.attr["value"].tensor.tensor_content = weights.tobytes()
    refusal = helpers.analyse_definition(made, tmp_path).reason
    assert "not finite" in refusal and kernel.name in refusal


def test_an_operation_that_uff_lacks_stops_and_is_named(definition, examined, tmp_path):
    made = helpers.copy(definition)
    node = next(node for node in made.node if node.op == "Relu6" and node.name in inside(examined))
    node.op = "Softsign"
    found = helpers.analyse_definition(made, tmp_path)
    stop = next(finding for finding in found.audit.findings if finding["severity"] == "stop")
    assert (stop["op"], stop["node"], stop["where"]) == ("Softsign", node.name, "extractor")
    assert isinstance(found, Refused) and found.reason == stop["advice"]


def test_a_refusal_keeps_what_was_found_out_before(definition, examined, tmp_path):
    """What goes away is listed for a graph that is refused by its weights too, and so are its parameters."""
    made = helpers.copy(definition)
    node = next(node for node in made.node if node.op == "Relu6" and node.name in inside(examined))
    node.op = "Softsign"
    found = helpers.analyse_definition(made, tmp_path)
    assert {"cut", "stop"} == {finding["severity"] for finding in found.audit.findings}
    assert found.audit.ops["Softsign"] == 1 and found.parameters.classes == 3


def test_a_graph_that_is_refused_at_once_has_one_finding(definition, tmp_path):
    made = helpers.copy(definition)
    made.node.add(name="second", op="Placeholder").attr["shape"].shape.unknown_rank = True
    made.node[-1].attr["dtype"].type = tf.uint8.as_datatype_enum
    found = helpers.analyse_definition(made, tmp_path)
    assert found.parameters is None and "no single image input" in found.reason
    assert found.audit.findings == [
        {"op": "", "node": "", "count": 1, "where": "graph", "severity": "stop", "advice": found.reason}
    ]


def test_cycle_is_refused(definition, examined, tmp_path):
    made = helpers.copy(definition)
    relus = [node for node in made.node if node.op == "Relu6" and node.name in inside(examined)]
    relus[0].input[0] = relus[1].name
    assert helpers.analyse_definition(made, tmp_path).audit.verdict == "refused"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_dropping_a_needed_node_is_refused(definition, examined, tmp_path, data):
    needed = sorted(Graph(definition).ancestors(list(examined.parameters.outputs[:4])))
    made = helpers.copy(definition)
    lost = data.draw(st.sampled_from(needed))
    del made.node[[node.name for node in made.node].index(lost)]
    with pytest.raises(BadInput, match="is not in the file|not an SSD|no single"):
        helpers.analyse_definition(made, tmp_path)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_swapped_inputs_are_refused_or_make_no_difference_to_the_network(definition, examined, tmp_path, data):
    """What is damaged in front of or behind the network gives the same UFF, a refusal, or other anchors, proven."""
    candidates = [
        number
        for number, node in enumerate(definition.node)
        if len(data_inputs(node)) > 1 and node.name not in inside(examined)
    ]
    made = helpers.copy(definition)
    node = made.node[data.draw(st.sampled_from(candidates))]
    node.input[0], node.input[1] = node.input[1], node.input[0]
    found = helpers.analyse_definition(made, tmp_path)
    if found.audit.verdict == "refused":
        return
    if np.array_equal(found.parameters.anchors, examined.parameters.anchors):
        assert helpers.nameless(found.uff) == helpers.nameless(examined.uff)
    else:
        assert compare(found, tmp_path, count=1)["failures"] == []


def test_audit_tells_where_operations_sit(examined):
    places = {(finding["op"], finding["where"]): finding["severity"] for finding in examined.audit.findings}
    assert places["Fill", "anchors"] == places["Cast", "preprocessor"] == places["Fill", "postprocessor"] == "cut"
    assert {finding["severity"] for finding in examined.audit.findings} == {"cut"}
    assert examined.audit.ops["Conv2D"] == 34
