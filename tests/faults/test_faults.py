"""Faults of every kind are survived; docs/faults.md lists more of the same."""

import re

import pytest

from nanoforge.console import Console
from nanoforge.dev import faults

pytestmark = pytest.mark.slow
KINDS = faults.kinds()


@pytest.mark.parametrize("kind", [kind["kind"] for kind in KINDS])
def test_every_fault_is_survived(kind):
    found = faults.measure(False, faults.SEED, f"{kind}:", Console())["rows"]
    assert [row["kind"] for row in found] == [kind]
    assert found[0]["tried"] > 0
    told = [f"{failure['case']}: {failure['why']} (repeat: {failure['repeat']})" for failure in found[0]["failures"]]
    assert told == []


def test_the_page_says_what_is_tried_and_that_all_of_it_survived():
    lines = faults.PAGE.read_text(encoding="utf-8").splitlines()
    for kind in KINDS:
        row = next((line for line in lines if line.startswith(faults.beginning(kind))), "")
        assert row.endswith(f"| {kind['judged']} |"), f"run ./run faults: {kind['kind']} is another now"
        tried, survived = re.search(r"\| (\d+) \| (\d+) \| [^|]* \|$", row).groups()
        assert tried == survived != "0", kind["kind"]
