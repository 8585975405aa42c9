"""Graphs that real TensorFlow 1.9 to 1.15 export pass through the whole converter; docs/matrix.md lists the same."""

import itertools

import pytest

from nanoforge.console import Console
from nanoforge.dev import matrix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    return matrix.measure(full=False, console=Console())


def test_every_graph_passes(rows):
    assert {matrix.title(row): found for row in rows for found in [matrix.shortcomings(row)] if found} == {}


def test_every_tensorflow_made_every_architecture_with_both_generations_of_the_code(rows):
    made = {(row["tensorflow"], row["api"], row["detector"].split(" ")[0]) for row in rows}
    architectures = ("mobilenet_v1", "mobilenet_v2", "ssdlite_v2", "inception_v2")
    versions = ("1.9", "1.12", "1.13", "1.14", "1.15")
    assert made >= set(itertools.product(versions, ("2019-05", "2019-09"), architectures))
    for version in versions:
        assert {row["fixed"] for row in rows if row["tensorflow"] == version} == {True, False}


def test_new_operations_are_what_is_repaired(rows):
    """So that the matrix would notice if it exported with another TensorFlow than it says."""
    for row in rows:
        new = {"FusedBatchNormV3", "AddV2"} & set(row["repaired"])
        assert new == ({"FusedBatchNormV3", "AddV2"} if row["tensorflow"] == "1.15" else set()), matrix.title(row)
        assert ("NonMaxSuppressionV5" in row["repaired"]) == (
            row["tensorflow"] == "1.15" and row["api"] == "2019-09"
        ), matrix.title(row)


def test_the_page_lists_what_was_measured(rows):
    def beginnings(text):
        return [line.split(" | ")[:8] for line in text.splitlines() if line.startswith("| ")]

    assert beginnings(matrix.PAGE.read_text(encoding="utf-8")) == beginnings(matrix.page(rows))
