"""A second opinion by a package that has the interface of NVIDIA's ``uff``, as TensorRT's Python API documents it.

NVIDIA's own cannot be installed here; what it writes is held against ours in test_convert_uff.
"""

import json
import os
import sys
import zipfile

import convert_helpers as helpers
import pytest

from stages.convert import convert


@pytest.fixture(autouse=True)
def no_package_before(monkeypatch):
    """Each test has a package of its own, which Python keeps once it is imported."""
    monkeypatch.setitem(sys.modules, "uff", None)
    monkeypatch.delitem(sys.modules, "uff")


@pytest.fixture(autouse=True)
def one_picture(monkeypatch):
    """The proof is not what is tested here."""
    monkeypatch.setattr(convert, "LEAST_PICTURES", 1)
    monkeypatch.setitem(helpers.PARAMETERS["convert"], "parity_pictures", 1)


# from_tensorflow(graphdef, output_nodes=[], preprocessor=None, **kwargs) returns the serialized UFF MetaGraph, unless
# return_graph_info or output_filename is given; with quiet=True it still prints a warning for each plugin.
PACKAGE = """
from stages.convert.graph.frozen_graph import Graph
from stages.convert.uff import schema, writer

def from_tensorflow(graphdef, output_nodes=[], preprocessor=None, **kwargs):
    assert kwargs == {"quiet": True} and output_nodes == ["NMS"], (output_nodes, kwargs)
    assert {node.op for node in graphdef.node} >= {"NMS_TRT", "GridAnchor_TRT", "FlattenConcat_TRT", "Placeholder"}
    print("Warning: No conversion function registered for layer: NMS_TRT yet.")
    meta = writer.write(Graph(graphdef), output_nodes)
    CHANGE
    return schema.serialize(meta)
"""


def package(folder, change="pass", text=PACKAGE):
    (folder / "packages" / "uff").mkdir(parents=True)
    (folder / "packages" / "uff" / "__init__.py").write_text(text.replace("CHANGE", change))
    return str(folder / "packages")


def test_a_dilation_of_one_is_no_difference(exported, run_stage, tmp_path):
    change = """[node.fields["dilation"].i_list.val.extend([1, 1]) for node in meta.graphs[0].nodes
     if node.operation == "Conv"]"""
    ran = run_stage("convert", graph=exported.graph, nvidia_uff=package(tmp_path, change))
    assert ran.code == 0, ran.log
    with open(os.path.join(ran.output, "parity.json")) as stream:
        assert json.load(stream)["nvidia"] == {"differences": []}


def test_an_equal_opinion_is_written_beside_ours(exported, run_stage, tmp_path):
    ran = run_stage("convert", graph=exported.graph, nvidia_uff=package(tmp_path))
    assert ran.code == 0, ran.log
    with open(os.path.join(ran.output, "parity.json")) as stream:
        assert json.load(stream)["nvidia"] == {"differences": []}
    ours, theirs = (open(os.path.join(ran.output, name), "rb").read() for name in ("model.uff", "nvidia.uff"))
    assert ours == theirs
    assert not any("warning" in event for event in ran.events)


def test_a_wheel_will_do_and_a_difference_is_told(exported, run_stage, tmp_path):
    folder = package(tmp_path, change='meta.graphs[0].nodes[0].fields["topK_u_int"].i = 7')
    wheel = str(tmp_path / "uff-0.6.9-py2.py3-none-any.whl")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(os.path.join(folder, "uff", "__init__.py"), "uff/__init__.py")
    ran = run_stage("convert", graph=exported.graph, nvidia_uff=wheel)
    assert ran.code == 0, ran.log
    with open(os.path.join(ran.output, "parity.json")) as stream:
        assert json.load(stream)["nvidia"] == {"differences": ['node "NMS": topK_u_int is 330, against 7']}
    assert any("NVIDIA's converter differs in 1 places" in event.get("warning", "") for event in ran.events)


@pytest.mark.parametrize(
    "text, told",
    [
        ("import no_such_module", "NVIDIA's package uff failed: ModuleNotFoundError"),
        pytest.param(
            "def from_tensorflow(*_, **__):\n    raise RuntimeError('no')",
            "NVIDIA's package uff failed: RuntimeError: no",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "def from_tensorflow(*_, **__):\n    return 'no bytes'",
            "returned str instead of a file's bytes",
            marks=pytest.mark.slow,
        ),
        ("def from_tensorflow(*_, **__):\n    return b'x'", "is not a UFF file"),
    ],
)
def test_a_package_that_fails_is_named(exported, run_stage, tmp_path, text, told):
    ran = run_stage("convert", graph=exported.graph, nvidia_uff=package(tmp_path, text=text))
    assert ran.code == 2 and told in ran.log and "Traceback" not in ran.log


def test_a_folder_without_the_package_is_refused(exported, run_stage, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = run_stage("convert", graph=exported.graph, nvidia_uff=str(tmp_path / "empty"))
    assert ran.code == 2 and "empty holds no package uff" in ran.log
