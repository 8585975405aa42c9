"""Which graphs the matrix makes: the page's, and the dozen of them that `./run test --all` measures."""

import itertools

import cases
import pytest

from nanoforge.dev import matrix

ARCHITECTURES = {detector.split(" ")[0] for detector in cases.DETECTORS}


def listed(text):
    """Detector, size, classes, TensorFlow, code and batch of each row of a page's table."""
    return [tuple(line.strip("| ").split(" | ")[:6]) for line in text.splitlines() if line[:2] == "| "][1:]


def row_of(case):
    options = cases.DETECTORS[case.detector]
    batch = "1" if case.fixed else "any"
    return (case.detector, str(options["size"]), str(options["classes"]), case.tensorflow, case.api, batch)


@pytest.mark.parametrize("which", [matrix.FEW, matrix.ON_THE_PAGE, matrix.EVERY])
def test_whatever_is_chosen_holds_every_kind_of_graph(which):
    made = cases.chosen(which)
    pairs = set(itertools.product(cases.TENSORFLOWS, cases.APIS))
    assert {(case.tensorflow, case.api) for case in made} == pairs
    assert {(case.tensorflow, case.fixed) for case in made} == set(itertools.product(cases.TENSORFLOWS, (True, False)))
    assert {(case.api, case.fixed) for case in made} == set(itertools.product(cases.APIS, (True, False)))
    assert {case.detector.split(" ")[0] for case in made} == ARCHITECTURES
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("which", [matrix.FEW, matrix.ON_THE_PAGE, matrix.EVERY])
def test_each_graph_has_its_twin_by_tensorflow_112_before_it(which):
    seen = set()
    for case in cases.chosen(which):
        twin = case._replace(tensorflow=cases.TENSORFLOWS[0])
        assert case == twin or twin in seen, case
        seen.add(case)


def test_the_few_are_a_dozen_of_the_page_and_each_architecture_meets_two_other_tensorflows():
    few = cases.chosen(matrix.FEW)
    assert len(few) == 12 and set(few) < set(cases.chosen(matrix.ON_THE_PAGE))
    for architecture in ARCHITECTURES:
        others = {case.tensorflow for case in few if case.detector.split(" ")[0] == architecture} - {"1.12"}
        assert len(others) == 2, architecture


def test_every_architecture_meets_every_tensorflow_and_generation_on_the_page():
    made = {(case.tensorflow, case.api, case.detector.split(" ")[0]) for case in cases.chosen(matrix.ON_THE_PAGE)}
    assert made == set(itertools.product(cases.TENSORFLOWS, cases.APIS, ARCHITECTURES))


def test_the_page_lists_its_graphs_and_explains_them():
    text = matrix.PAGE.read_text(encoding="utf-8")
    assert text.startswith(matrix.page_head(len(cases.chosen(matrix.ON_THE_PAGE))))
    assert listed(text) == [row_of(case) for case in cases.chosen(matrix.ON_THE_PAGE)]


def test_environments_and_generations_are_those_of_the_cases():
    assert matrix.TENSORFLOWS == cases.TENSORFLOWS and matrix.APIS == cases.APIS
