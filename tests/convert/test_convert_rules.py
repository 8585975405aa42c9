"""Every rule of the linters is broken once, is named with its versions, and stands in docs/inspect.md."""

import os
import sys

import numpy as np
import pytest
import test_convert_onnx as onnx_tests
import test_convert_onnx_verdicts as verdicts

from stages.convert import rules
from stages.convert.onnx import lint as onnx_lint
from stages.convert.onnx import writer
from stages.convert.uff import schema
from stages.convert.uff.lint import lint
from tests.fakes import probes
from tests.fakes.probes import Probe

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "reference"))

import ssd_graph  # noqa: E402


@pytest.fixture(scope="module")
def small():
    """A detector of 64 x 64 pixels, as bytes."""
    graph = ssd_graph.ssd(64, 0.25, 4)
    graph.node("MarkOutput_0", "MarkOutput", ["NMS"])
    meta = schema.meta_graph()
    meta.ParseFromString(graph.bytes())
    for one in meta.graphs[0].nodes:
        if one.operation.startswith("_"):
            one.fields["dtype"].dtype = schema.FLOAT32
    return schema.serialize(meta)


def node(meta, name):
    return next(one for one in meta.graphs[0].nodes if one.id == name)


def first(meta, operation):
    return next(one for one in meta.graphs[0].nodes if one.operation == operation)


def field(name, key, **value):
    """Another value for a field of node ``name``."""

    def change(meta):
        for kind, content in value.items():
            data = node(meta, name).fields[key]
            if kind.endswith("_list"):
                getattr(data, kind).val[:] = content
            else:
                setattr(data, kind, content)

    return change


def reshaped(*shape):
    """The first Reshape gets another shape."""

    def change(meta):
        constant = node(meta, first(meta, "Reshape").inputs[1])
        constant.fields["shape"].i_list.val[:] = [len(shape)]
        meta.referenced_data[constant.fields["values"].ref].blob = np.array(shape, np.int32).tobytes()

    return change


def second_input(meta):
    meta.graphs[0].nodes.add(id="second", operation="Input").fields["shape"].i_list.val.extend([1, 3, 8, 8])


NAN = float("nan")
# Rule -> how to break it in a whole detector.
DETECTOR = {
    "one-graph": lambda m: m.graphs[0].__setattr__("id", "other"),
    "one-input": second_input,
    "input-shape": field("Input", "shape", i_list=[1, 64, 64, 3]),
    "mark-output": lambda m: node(m, "MarkOutput_0").__setattr__("id", "out"),
    "node-ids": lambda m: first(m, "Conv").__setattr__("id", first(m, "BatchNorm").id),
    "inputs": lambda m: first(m, "Activation").inputs.__setitem__(0, "lost"),
    "references": lambda m: m.referenced_data.pop("weights_AnchorInput"),
    "cycle": lambda m: first(m, "Activation").inputs.__setitem__(0, "NMS"),
    "operation": lambda m: first(m, "BatchNorm").__setattr__("operation", "_FusedBatchNormV3"),
    "constant": lambda m: m.referenced_data["weights_AnchorInput"].__setattr__("blob", b"\x00"),
    "finite": lambda m: m.referenced_data["weights_AnchorInput"].__setattr__("blob", np.float32(NAN).tobytes()),
    "kernel": lambda m: first(m, "Conv").inputs.__setitem__(1, "AnchorInput"),
    "groups": lambda m: field("d1", "number_groups", i=3)(m),
    "window": lambda m: first(m, "Conv").fields.pop("strides"),
    "reshape-constant": lambda m: first(m, "Reshape").inputs.__setitem__(1, "c0"),
    "reshape-open": reshaped(-1, -1, 1, 4),
    "field-type": lambda m: node(m, "NMS").fields.pop("isNormalized_u_int"),
    "field-unknown": field("NMS", "scoreConverter_u_str", s="SIGMOID"),
    "plugin-dtype": lambda m: node(m, "NMS").fields.pop("dtype"),
    "plugin-input": lambda m: node(m, "GridAnchor").inputs.pop(),
    "grid-layers": field("GridAnchor", "numLayers_u_int", i=5),
    "grid-maps": field("GridAnchor", "featureMapShapes_u_ilist", i_list=[4, 2, 1, 1, 1, 0]),
    "grid-sizes": field("GridAnchor", "minSize_u_float", d=NAN),
    "grid-ratios": field("GridAnchor", "aspectRatios_u_flist", d_list=[1.0, NAN, 0.5]),
    "grid-variance": field("GridAnchor", "variance_u_flist", d_list=[0.1, 0.1, 0.2, NAN]),
    "flatten-axis": field("concat_box_loc", "axis_u_int", i=2),
    "flatten-dims": reshaped(1, 24, 1, 2),
    "nms-inputs": field("NMS", "inputOrder_u_ilist", i_list=[0, 1, 1]),
    "nms-heads": field("NMS", "inputOrder_u_ilist", i_list=[0, 1, 2]),
    "nms-boxes": field("NMS", "shareLocation_u_int", i=0),
    "nms-scores": field("NMS", "numClasses_u_int", i=3),
    "nms-topk": field("NMS", "topK_u_int", i=5000),
    "nms-keep": field("NMS", "keepTopK_u_int", i=101),
    "nms-background": field("NMS", "backgroundLabelId_u_int", i=5),
    "nms-thresholds": field("NMS", "confidenceThreshold_u_float", d=-0.5),
    "nms-code": field("NMS", "codeType_u_int", i=4),
    "nms-bits": field("NMS", "scoreBits_u_int", i=10),
}
# Rule -> how to break it in a graph of a few nodes.
FEW_NODES = {
    "function": probes.on_conv("Activation", func="swish"),
    "channels": probes.conv(channels=4),
    "window-size": probes.conv(size=20, implicit_padding=None),
    "two-paddings": probes.conv(padding=[1, 1]),
    "batch-norm": probes.batch_norm(5),
    "binary-dims": lambda p: [p.node("m", "Binary", p.conv(), p.conv(name="d", maps=4), func="add")],
    "min-max": probes.binary("max", 1.0),
    "constant-left": probes.binary("sub", np.ones(6), left=True),
    "constant-count": probes.binary("add", np.ones(3), after_reshape=True),
    "constant-shape": probes.binary("mul", np.ones((6, 1, 1))),
    "concat-axis": probes.concatenated(-1),
    "concat-dims": lambda p: [p.node("k", "Concat", p.conv(), p.conv(name="d", strides=[2, 2]), axis=3)],
    "reshape-dims": probes.reshaped(480),
    "reshape-volume": probes.reshaped(1, 161, 1, 3),
    "reshape-readers": probes.two_readers,
    "no-order": probes.read_after_reshape,
    "softmax": probes.after_reshape("Softmax", axis=3, inputs_orders="orders_N+C"),
    "squeeze": probes.after_reshape("Squeeze", axes=[2]),
    "reduce": probes.reduced(False),
    "batch-axis": probes.on_conv("ArgMax", axis=0),
    "transpose": probes.on_conv("Transpose", permutation=[0, 2, 1]),
    "pad-input": probes.padded(lambda p: "Input", probes.AFTER),
    "pad-dims": probes.padded(lambda p: p.conv(), [[0, 0], [0, 1], [0, 1], [1, 1]]),
}
# Rule -> how to break it in an ONNX model.
ONNX = {
    "onnx-valid": verdicts.domain("x.y"),
    "onnx-opset": verdicts.opset(13),
    "onnx-input": verdicts.batch(dim_value=2),
    "onnx-operation": onnx_tests.unknown_to_the_parser,
    "onnx-constant": onnx_tests.computed_kernel,
    "onnx-shape": onnx_tests.open_batch,
    "onnx-pads": verdicts.auto_pad,
    "onnx-average": onnx_tests.average,
    "onnx-one-nms": onnx_tests.without_plugin,
    "onnx-field-there": verdicts.field("topK"),
    "onnx-field-type": verdicts.field("topK", 1.0),
    "onnx-plugin": verdicts.field("plugin_version", "2"),
    "onnx-priors": verdicts.priors(lambda values: values[0]),
    "onnx-heads": verdicts.flat_heads,
    "onnx-output": verdicts.field("keepTopK", 7),
}


def named(findings, rule, heard):
    """Whether the rule was said, and one of the findings names its versions."""
    return rule in heard and any(finding.endswith(rules.said(rule, "")) for finding in findings)


@pytest.fixture
def heard(monkeypatch):
    """The rules that the linters name, as they name them."""
    names = []

    def said(name, words):
        names.append(name)
        return rules.said(name, words)

    for module in ("uff.lint", "uff.dataflow", "uff.nms_rules", "onnx.lint"):
        monkeypatch.setattr("stages.convert.%s.said" % module, said)
    return names


@pytest.mark.parametrize("rule", DETECTOR)
def test_a_detector_that_breaks_a_rule_is_told_so(small, heard, rule):
    meta = schema.meta_graph()
    meta.ParseFromString(small)
    assert lint(meta) == []
    DETECTOR[rule](meta)
    assert named(lint(meta), rule, heard), heard


@pytest.mark.parametrize("rule", FEW_NODES)
def test_a_graph_that_breaks_a_rule_is_told_so(heard, rule):
    probe = Probe()
    assert named(lint(probe.marked(*FEW_NODES[rule](probe))), rule, heard), heard


def test_an_onnx_model_that_breaks_a_rule_is_told_so(examined, heard):
    whole = writer.write(examined.graph, examined.structure, examined.parameters)
    for rule, change in ONNX.items():
        model = type(whole)()
        model.CopyFrom(whole)
        change(model)
        assert named(onnx_lint.lint(model), rule, heard), rule


def test_every_rule_is_broken_here_and_none_twice():
    assert sorted([*DETECTOR, *FEW_NODES, *ONNX]) == sorted(rules.RULES)


def test_the_table_of_the_docs_is_the_rules():
    with open(os.path.join(HERE, os.pardir, os.pardir, "docs", "inspect.md"), encoding="utf-8") as page:
        assert rules.table() in page.read()
