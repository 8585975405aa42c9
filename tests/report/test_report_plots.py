"""The drawings: SVG that takes its colours from the page and shares it with other drawings."""

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from stages.pages.svg import CSS_COLOURS
from stages.report import plots

POINTS = [{"step": step, "loss": 9.0 / step, "learning_rate": 0.004, "mAP": None, "mAP@0.5": 0.5} for step in (1, 2, 3)]
BOXES = np.array([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 1.0, 1.0]])
DRAWINGS = {
    "training": lambda: plots.training_plot(POINTS, POINTS, 2),
    "nothing trained": lambda: plots.training_plot([], [], None),
    "sizes": lambda: plots.size_histogram(np.array([1.0, 30.0, 700.0])),
    "no sizes": lambda: plots.size_histogram(np.zeros(0)),
    "centres": lambda: plots.centre_heat_map(BOXES, 0.5),
    "no centres": lambda: plots.centre_heat_map(np.zeros((0, 4)), 1.0),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_svg_of_the_page_s_colours_and_always_the_same(name: str) -> None:
    svg = DRAWINGS[name]()
    assert ElementTree.fromstring(svg).attrib["role"] == "img"
    assert not any(stand_in in svg for stand_in in CSS_COLOURS)
    assert "var(--ink)" in svg and svg == DRAWINGS[name]()


def test_ids_of_two_drawings_differ_and_references_lead_to_them() -> None:
    ids: Any = []
    for name in ("training", "sizes", "centres"):
        svg = DRAWINGS[name]()
        own = re.findall(r'\bid="([^"]+)"', svg)
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', svg)) <= set(own)
        ids += own
    assert len(ids) == len(set(ids))


def test_a_point_without_a_value_is_left_out() -> None:
    assert plots._series(POINTS, "mAP") == ([], [])
    assert plots._series([*POINTS, {"step": 4}], "mAP@0.5") == ([1, 2, 3], [0.5, 0.5, 0.5])
