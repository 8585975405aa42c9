"""Graphs of TensorFlow 1.13 to 1.15 become what 1.12 writes, or are refused where that would change the numbers."""

import convert_helpers as helpers
import pytest
import tensorflow as tf

from stages.convert.graph.analysis import analyse
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.repair import repair
from stages.job import BadInput


def test_a_graph_of_115_gives_the_same_uff_as_its_112_twin(export, tmp_path):
    twin = analyse(export("v1", False).graph)
    found = helpers.analyse_definition(helpers.aged(twin.graph.definition), tmp_path)
    assert found.audit.verdict == "repairable" and found.audit.tensorflow == "1.15 or newer"
    assert helpers.nameless(found.uff) == helpers.nameless(twin.uff)
    repaired = {
        (finding["op"], finding["where"]) for finding in found.audit.findings if finding["severity"] == "repair"
    }
    assert {
        ("FusedBatchNormV3", "extractor"),
        ("Conv2D", "heads"),
        ("NonMaxSuppressionV5", "postprocessor"),
        ("AddV2", "anchors"),
    } <= repaired


def test_repair_undoes_ageing_but_for_the_suppressions_scores(definition):
    repaired, repairs = repair(Graph(helpers.aged(definition, suppression="")))
    assert [node.SerializeToString(deterministic=True) for node in repaired.definition.node] == [
        node.SerializeToString(deterministic=True) for node in definition.node
    ]
    assert {one.op for one in repairs} == {"Conv2D", "GatherV2", "FusedBatchNormV3", "AddV2"}


def test_repair_leaves_the_given_graph_and_a_112_graph_alone(definition):
    old = helpers.aged(definition)
    before = old.SerializeToString(deterministic=True)
    repair(Graph(old))
    assert old.SerializeToString(deterministic=True) == before
    assert repair(Graph(helpers.copy(definition)))[1] == []


def set_padding(node):
    node.attr["explicit_paddings"].list.i.extend([0, 0, 1, 1, 1, 1, 0, 0])


def set_half(node):
    node.attr["T"].type = tf.float16.as_datatype_enum


def set_soft(node):
    node.attr["pad_to_max_output_size"].b = True


def set_batch(node):
    node.attr["batch_dims"].i = 1


@pytest.mark.parametrize(
    "op, change, says",
    [
        ("Conv2D", set_padding, "explicit_paddings"),
        ("FusedBatchNormV3", set_half, "not float32"),
        ("NonMaxSuppressionV5", set_soft, "pads its output"),
        ("GatherV2", set_batch, "batch_dims"),
    ],
)
def test_settings_that_112_lacks_are_refused(definition, op, change, says):
    old = helpers.aged(definition)
    change(next(node for node in old.node if node.op == op))
    with pytest.raises(BadInput, match=says):
        repair(Graph(old))


def test_soft_suppression_is_refused(definition):
    old = helpers.aged(definition)
    sigma = next(node for node in old.node if node.name.endswith("/sigma"))
    sigma.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0.5, tf.float32))
    with pytest.raises(BadInput, match="soft suppression"):
        repair(Graph(old))


def test_a_repair_that_is_refused_is_a_finding(definition, tmp_path):
    old = helpers.aged(definition)
    set_padding(next(node for node in old.node if node.op == "Conv2D"))
    found = helpers.analyse_definition(old, tmp_path)
    assert found.audit.verdict == "refused" and "explicit_paddings" in found.reason


@pytest.mark.parametrize(
    "attribute, op, version",
    [("explicit_paddings", "Conv2D", "1.14"), ("incompatible_shape_error", "Equal", "1.15 or newer")],
)
def test_the_writers_version_is_told_by_its_attributes(definition, tmp_path, attribute, op, version):
    old = helpers.copy(definition)
    for node in old.node:
        if node.op == op and attribute == "explicit_paddings":
            node.attr[attribute].list.SetInParent()
        elif node.op == op:
            node.attr[attribute].b = True
    found = helpers.analyse_definition(old, tmp_path)
    assert (found.audit.tensorflow, found.audit.verdict) == (version, "repairable")
