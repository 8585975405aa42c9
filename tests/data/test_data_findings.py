"""Kinds of findings, their policies, and how they are told."""

from collections import Counter

import pytest

from stages.data.findings import DataFinding, Findings, did_you_mean, policies, summary
from stages.finding_kinds import DROP, FAIL, FIX, KINDS
from stages.job import BadInput


def test_policies_refuse_unknown_kinds_and_fixes_that_are_none():
    assert policies({"small_box": "fail"})["small_box"] == "fail"
    with pytest.raises(BadInput, match="did you mean 'small_box'"):
        policies({"smal_box": "drop"})
    with pytest.raises(BadInput, match="expected fail or drop"):
        policies({"small_box": "fix"})
    with pytest.raises(BadInput, match="expected fail or drop or fix"):
        policies({"flipped_box": "ignore"})


def test_every_kind_has_a_default_that_it_allows():
    for name, kind in KINDS.items():
        assert policies({name: kind.default})
        assert kind.about in ("picture", "object")


def test_every_kind_says_what_how_and_what_to_do():
    for kind in KINDS.values():
        assert kind.meaning and kind.example and kind.remedy
        assert not kind.remedy.endswith(".")
        assert kind.fix or kind.default != FIX


@pytest.mark.parametrize(
    "number, line, place",
    [(2, 7, "a.xml, line 7 (object 2): odd. "), (None, 3, "a.xml, line 3: odd. "), (None, None, "a.xml: odd. ")],
)
def test_a_finding_is_told_with_its_place(number, line, place):
    assert DataFinding("no_box", "a.xml", number, line, "odd", DROP).sentence().startswith(place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_says_what_was_done_and_ends_in_its_remedy(kind):
    dropped, fixed = (DataFinding(kind, "a.xml", None, None, "odd", action).sentence() for action in (DROP, FIX))
    assert dropped == "a.xml: odd. The %s is left out. %s." % (KINDS[kind].about, KINDS[kind].remedy)
    if KINDS[kind].fix:
        assert fixed == "a.xml: odd. Done: %s. %s." % (KINDS[kind].fix.split(";")[0], KINDS[kind].remedy)


@pytest.mark.parametrize("policy, fixable, action", [(FIX, True, FIX), (FIX, False, DROP), (DROP, True, DROP)])
def test_a_policy_decides_what_is_done(policy, fixable, action):
    findings = Findings(policies({"flipped_box": policy}))
    assert findings.fixes("flipped_box", "a.xml", "odd", (1, 2), fixable) == (action == FIX)
    assert findings.found == [DataFinding("flipped_box", "a.xml", 1, 2, "odd", action)]


def test_to_fail_names_the_place_and_the_key():
    findings = Findings(policies({"flipped_box": FAIL}))
    with pytest.raises(
        BadInput, match=r'^records\.findings\.flipped_box = "fail": a\.xml, line 2 \(object 1\): odd\. Exchange'
    ):
        findings.fixes("flipped_box", "a.xml", "odd", (1, 2))
    assert findings.found == []


def test_counts_are_told_the_most_frequent_first():
    assert summary(Counter({"small_box": 1, "no_xml": 3, "no_box": 1})) == "3 no_xml, 1 no_box, 1 small_box"
    assert summary(Counter()) == ""


@pytest.mark.parametrize(
    "name, answer", [("Cnoe", ": did you mean 'cone'?"), ("CONE", ": did you mean 'cone'?"), ("zebra", "."), ("", ".")]
)
def test_a_near_name_is_suggested(name, answer):
    assert did_you_mean(name, ["cone", "ball"]) == answer
