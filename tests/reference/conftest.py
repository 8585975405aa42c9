"""A graph that several tests run."""

import pytest
from uff_bytes import Graph


@pytest.fixture
def difference(tmp_path):
    """A .uff with two inputs and two outputs, one of the name that numpy.savez cannot take."""
    graph = Graph()
    graph.input("left", [1, 4])
    graph.input("scope/right", [1, 4])
    graph.output(graph.node("scope/out", "Binary", ["left", "scope/right"], func="sub"))
    graph.output(graph.node("file", "Unary", ["left"], func="neg"))
    return graph.write(tmp_path / "m.uff")
