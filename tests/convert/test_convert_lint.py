"""The linter passes what the converter writes and names every way to break it."""

import numpy as np
import pytest

from stages.convert.graph.analysis import analyse
from stages.convert.uff import schema
from stages.convert.uff.lint import lint


@pytest.fixture
def meta(examined):
    made = schema.meta_graph()
    made.CopyFrom(examined.uff)
    return made


def node(meta, name):
    return next(one for one in meta.graphs[0].nodes if one.id == name)


def first(meta, operation):
    return next(one for one in meta.graphs[0].nodes if one.operation == operation)


def reshape(meta, *shape):
    constant = node(meta, first(meta, "Reshape").inputs[1])
    meta.referenced_data[constant.fields["values"].ref].blob = np.array(shape, np.int32).tobytes()


def retype(meta, name, field, kind, value):
    del node(meta, name).fields[field]
    data = node(meta, name).fields[field.replace("flist", "ilist")]
    getattr(data, kind).val.extend(value)


def put(meta, name, field, **value):
    for kind, content in value.items():
        setattr(node(meta, name).fields[field], kind, content)


def put_list(meta, name, field, value):
    node(meta, name).fields[field].i_list.val[:] = value


@pytest.mark.parametrize("architecture, fixed", [("v1", True), ("v1", False), ("v2", False)])
def test_what_the_converter_writes_is_clean(export, architecture, fixed):
    meta = analyse(export(architecture, fixed).graph).uff
    before = schema.serialize(meta)
    assert lint(meta) == []
    assert schema.serialize(meta) == before


BREAKS = {
    "integer list where floats are asserted": (
        lambda m: retype(m, "GridAnchor", "aspectRatios_u_flist", "i_list", [1, 2, 3]),
        "aspectRatios is i_list",
    ),
    "field missing": (lambda m: node(m, "NMS").fields.pop("isNormalized_u_int"), "isNormalized is missing"),
    "axis missing": (lambda m: node(m, "concat_box_loc").fields.pop("axis_u_int"), "axis"),
    "dtype missing": (lambda m: node(m, "NMS").fields.pop("dtype"), "dtype is missing"),
    "anchor input missing": (lambda m: node(m, "GridAnchor").inputs.pop(), "no input"),
    "layers and maps differ": (lambda m: put(m, "GridAnchor", "numLayers_u_int", i=5), "numLayers is 5"),
    "another feature map": (
        lambda m: put_list(m, "GridAnchor", "featureMapShapes_u_ilist", [9, 4, 2, 1, 1, 1]),
        "numPriors * 4",
    ),
    "background not counted": (lambda m: put(m, "NMS", "numClasses_u_int", i=2), "numPriors * numClasses"),
    "input order": (lambda m: put_list(m, "NMS", "inputOrder_u_ilist", [1, 2, 1]), "inputOrder"),
    "wrong input order": (lambda m: put_list(m, "NMS", "inputOrder_u_ilist", [0, 1, 2]), "FlattenConcat_TRT"),
    "topK too large": (lambda m: put(m, "NMS", "topK_u_int", i=5000), "topK 5000"),
    "keepTopK over topK": (lambda m: put(m, "NMS", "keepTopK_u_int", i=5000), "keepTopK 5000"),
    "threshold": (lambda m: put(m, "NMS", "nmsThreshold_u_float", d=1.5), "threshold"),
    "two -1": (lambda m: reshape(m, -1, -1, 1, 4), "-1 is given 2 times"),
    "wrong shape": (lambda m: reshape(m, 1, 7, 1, 4), "numPriors"),
    "computed shape": (lambda m: first(m, "Reshape").inputs.__setitem__(1, first(m, "Conv").id), "not a constant"),
    "unknown operation": (lambda m: first(m, "BatchNorm").__setattr__("operation", "_FusedBatchNormV3"), "unsupported"),
    "unknown function": (lambda m: first(m, "Activation").fields["func"].__setattr__("s", "swish"), "swish"),
    "dangling input": (lambda m: first(m, "Activation").inputs.__setitem__(0, "lost"), '"lost"'),
    "dangling reference": (lambda m: m.referenced_data.pop("orders_N+C"), '"orders_N+C"'),
    "short weights": (lambda m: m.referenced_data["weights_AnchorInput"].__setattr__("blob", b"\x00"), "does not fit"),
    "weights not finite": (
        lambda m: m.referenced_data["weights_AnchorInput"].__setattr__("blob", np.float32("nan").tobytes()),
        "not finite",
    ),
    "groups": (
        lambda m: (
            next(one for one in m.graphs[0].nodes if "number_groups" in one.fields)
            .fields["number_groups"]
            .__setattr__("i", 3)
        ),
        "3 groups",
    ),
    "batched input": (lambda m: node(m, "Input").fields["shape"].i_list.val.__setitem__(1, 128), "instead of [1, 3"),
    "no output": (lambda m: node(m, "MarkOutput_0").__setattr__("id", "out"), "MarkOutput_0"),
    "same id": (lambda m: first(m, "Conv").__setattr__("id", first(m, "BatchNorm").id), "one id"),
    "graph name": (lambda m: m.graphs[0].__setattr__("id", "other"), '"main"'),
    "no graph": (lambda m: m.graphs.__delitem__(slice(None)), "0 graphs"),
    "cycle": (lambda m: first(m, "Activation").inputs.__setitem__(0, "NMS"), "cycle"),
}


@pytest.mark.parametrize("case", sorted(BREAKS))
def test_what_the_parser_or_a_plugin_refuses_is_found(meta, case):
    damage, says = BREAKS[case]
    damage(meta)
    assert any(says in finding for finding in lint(meta)), lint(meta)
