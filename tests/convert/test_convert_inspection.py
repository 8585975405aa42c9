"""What inspect says of a file, and of two."""

import json

import convert_helpers as helpers
import numpy as np
import pytest

from stages.convert import inspect
from stages.convert.uff import schema
from stages.job import BadInput


@pytest.fixture(scope="session")
def uff(examined, tmp_path_factory):
    path = tmp_path_factory.mktemp("inspect") / "model.uff"
    path.write_bytes(schema.serialize(examined.uff))
    return path


def changed(uff, tmp_path, change):
    """A copy of the .uff with its message changed."""
    meta = schema.parse(uff.read_bytes())
    change(meta, {node.id: node for node in meta.graphs[0].nodes})
    path = tmp_path / "other.uff"
    path.write_bytes(schema.serialize(meta))
    return path


def run(tmp_path, **inputs):
    inspect.main(helpers.job("inspect", tmp_path, {key: str(path) for key, path in inputs.items()}))
    out = tmp_path / "out"
    return json.loads((out / "inspect.json").read_text()), (out / "inspect.txt").read_text()


def test_a_uff_is_listed_with_its_fields_orders_and_weights(uff, tmp_path):
    listing, text = run(tmp_path, file=uff)
    assert (listing["kind"], listing["inputs"], listing["outputs"], listing["findings"]) == (
        "uff",
        ["Input"],
        ["NMS"],
        [],
    )
    nodes = {node["id"]: node for node in listing["nodes"]}
    assert nodes["NMS"]["fields"]["inputOrder_u_ilist"] == [0, 2, 1]
    convolution = next(node for node in listing["nodes"] if node["operation"] == "Conv")
    assert convolution["fields"]["inputs_orders"] == ["N+C", "+CK"]
    weights = schema.parse(uff.read_bytes()).referenced_data["weights_" + convolution["inputs"][1]].blob
    values = np.frombuffer(weights, "<f4")
    kernel = nodes[convolution["inputs"][1]]
    assert kernel["fields"]["dtype"] == "float32"
    assert kernel["fields"]["values"].startswith("%.6g to %.6g, sha256 " % (values.min(), values.max()))
    assert text.startswith("model.uff: a UFF file, %d bytes, sha256 " % len(uff.read_bytes()))
    assert "nmsThreshold_u_float: 0.6\n" in text and "would object to: nothing known" in text


def test_a_graph_is_listed(exported, tmp_path):
    listing, text = run(tmp_path, file=exported.graph)
    assert (listing["kind"], listing["inputs"], listing["findings"]) == ("graph", ["image_tensor"], [])
    assert set(listing["outputs"]) >= {"detection_boxes", "detection_scores", "detection_classes", "num_detections"}
    assert "Written by TensorFlow 1.12 or older" in text
    convolution = next(node for node in listing["nodes"] if node["operation"] == "Conv2D")
    assert convolution["fields"]["padding"] == "SAME" and convolution["fields"]["T"] == "float"
    assert len(convolution["fields"]["strides"]) == 4


def test_an_engine_is_what_only_its_tensorrt_can_read(tmp_path):
    (tmp_path / "model.engine").write_bytes(b"\0" * 100)
    listing, text = run(tmp_path, file=tmp_path / "model.engine")
    assert (listing["kind"], listing["bytes"], listing["nodes"]) == ("engine", 100, [])
    assert "the TensorRT that built it" in text


def test_equal_files_have_no_differences(uff, tmp_path):
    listing, text = run(tmp_path, file=uff, against=changed(uff, tmp_path, lambda *_: None))
    assert listing["differences"] == [] and text.endswith("Differences: none\n")


def _swap_nodes(meta, nodes):
    first = schema.meta_graph().graphs.add().nodes.add()
    first.CopyFrom(meta.graphs[0].nodes[1])
    meta.graphs[0].nodes[1].CopyFrom(meta.graphs[0].nodes[2])
    meta.graphs[0].nodes[2].CopyFrom(first)


def _nudge(meta, nodes):
    data = meta.referenced_data["weights_" + nodes["BoxPredictor_0/BoxEncodingPredictor/biases"].id]
    data.blob = data.blob[:-1] + bytes([data.blob[-1] ^ 1])


def _fewer_candidates(meta, nodes):
    nodes["NMS"].fields["topK_u_int"].i = 7


def _rename(meta, nodes):
    nodes["AnchorInput"].id, nodes["GridAnchor"].inputs[0] = "AnchorIn", "AnchorIn"


@pytest.mark.parametrize(
    "change, told",
    [
        (_fewer_candidates, ['node "NMS": topK_u_int is ', "against 7"]),
        (lambda meta, nodes: nodes["NMS"].inputs.reverse(), ['node "NMS": inputs is [concat_box_loc, ']),
        (_nudge, ['node "BoxPredictor_0/BoxEncodingPredictor/biases": values is ']),
        (_swap_nodes, ["in another order"]),
        (_rename, ['only model.uff has node "AnchorInput" (Const)', 'only other.uff has node "AnchorIn" (Const)']),
        (lambda meta, nodes: meta.descriptors.pop(), ["about: [UFF of version 1; extensions: "]),
    ],
)
def test_each_difference_is_named(uff, tmp_path, change, told):
    listing, text = run(tmp_path, file=uff, against=changed(uff, tmp_path, change))
    assert all(any(words in one for one in listing["differences"]) for words in told), listing["differences"]
    assert listing["differences"][0] in text


def test_what_the_parser_would_refuse_is_found(uff, tmp_path):
    listing, text = run(
        tmp_path, file=changed(uff, tmp_path, lambda meta, nodes: nodes["GridAnchor"].__setattr__("operation", "_Cast"))
    )
    assert any("unsupported operation" in finding for finding in listing["findings"])
    assert listing["findings"][0] in text


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "is empty"),
        (b"hello", "is a text file"),
        (b"\x08\x01\x10\x01", "not a UFF file"),
        (b"\x0a\x02\xff\xff", "not a TensorFlow graph"),
    ],
)
def test_what_is_neither_is_refused(tmp_path, content, told):
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=told):
        inspect.inspect(str(path))


def test_two_kinds_are_not_compared(uff, exported, tmp_path):
    with pytest.raises(BadInput, match="only two of one kind"):
        run(tmp_path, file=uff, against=exported.graph)
