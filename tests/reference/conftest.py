"""A graph that several tests run."""

import pytest
from hypothesis import settings
from uff_bytes import Graph

# A machine that is busy with other things is not a failing test.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def difference(tmp_path):
    """A .uff with two inputs and two outputs, one of the name that numpy.savez cannot take."""
    graph = Graph()
    graph.input("left", [1, 4])
    graph.input("scope/right", [1, 4])
    graph.output(graph.node("scope/out", "Binary", ["left", "scope/right"], func="sub"))
    graph.output(graph.node("file", "Unary", ["left"], func="neg"))
    return graph.write(tmp_path / "m.uff")
