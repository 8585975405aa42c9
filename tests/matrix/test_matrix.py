"""Graphs that real TensorFlow 1.9 to 1.15 export pass through the whole converter; docs/matrix.md lists more."""

import pytest

from nanoforge.console import Console
from nanoforge.dev import matrix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    return matrix.measure(matrix.FEW, Console())


def test_every_graph_passes(rows):
    assert {matrix.title(row): found for row in rows for found in [matrix.shortcomings(row)] if found} == {}


def test_new_operations_are_what_is_repaired(rows):
    """So that the matrix would notice if it exported with another TensorFlow than it says."""
    for row in rows:
        new = {"FusedBatchNormV3", "AddV2"} & set(row["repaired"])
        assert new == ({"FusedBatchNormV3", "AddV2"} if row["tensorflow"] == "1.15" else set()), matrix.title(row)
        assert ("NonMaxSuppressionV5" in row["repaired"]) == (
            row["tensorflow"] == "1.15" and row["api"] == "2019-09"
        ), matrix.title(row)


def test_the_page_says_what_was_measured(rows):
    """Up to what depends on the processor: which graph, what is repaired, whose bits the heads have."""

    def beginnings(text):
        return [line.split(" | ")[:8] for line in text.splitlines() if line.startswith("| ")]

    on_the_page = beginnings(matrix.PAGE.read_text(encoding="utf-8"))
    assert [row for row in beginnings(matrix.page(rows)) if row not in on_the_page] == []
