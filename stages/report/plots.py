"""The drawings of the report (see stages/pages/svg.py)."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.pages import svg
from stages.pages.svg import FIRST, INK, MUTED, SECOND, dress

COCO_SIZES = ((32, "small", "medium"), (96, "medium", "large"))
HEAT_CELLS = 24


def training_plot(
    training: Sequence[Dict[str, Any]], evaluation: Sequence[Dict[str, Any]], best: Optional[int]
) -> Markup:
    """Loss, mAP and learning rate over the steps, one above the other.

    Args:
        training: points with ``step``, ``loss`` and ``learning_rate``.
        evaluation: points with ``step``, ``loss``, ``mAP`` and ``mAP@0.5``.
        best: the step of the checkpoint that was kept as the best, or None.
    """
    figure = Figure(figsize=(9.2, 6.2), layout="constrained")
    loss, precision, rate = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1])
    _line(loss, training, "loss", FIRST, "training loss", marker="")
    _line(loss, evaluation, "loss", SECOND, "evaluation loss")
    _line(precision, evaluation, "mAP@0.5", FIRST, "mAP@0.5")
    _line(precision, evaluation, "mAP", SECOND, "mAP")
    _line(rate, training, "learning_rate", MUTED, "learning rate", marker="")
    precision.set_ylim(0, 1)
    rate.set_xlabel("step")
    rate.ticklabel_format(axis="y", scilimits=(-2, 2))
    for axes, name in ((loss, "loss"), (precision, "mAP"), (rate, "rate")):
        axes.set_ylabel(name)
        dress(axes)
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=1, dashes=(2, 2), zorder=0)
        if axes is not rate and axes.lines:
            axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return svg.drawn(figure, "training", "Loss, mAP and learning rate over the training steps")


def size_histogram(sizes: np.ndarray) -> Markup:
    """How many boxes have which size.

    Args:
        sizes: float [boxes], square root of each box's area, pixels at training resolution.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    edges = 2.0 ** np.arange(1, max(9.0, np.ceil(np.log2(max(sizes.max(initial=1), 1)))) + 0.25, 0.5)
    axes.hist(np.clip(sizes, edges[0], edges[-1]), bins=edges, color=FIRST, rwidth=0.92)
    axes.set_xscale("log", base=2)
    axes.set_xticks([2, 4, 8, 16, 32, 64, 128, 256, 512], ["2", "4", "8", "16", "32", "64", "128", "256", "512"])
    axes.set_xlim(edges[0], edges[-1])
    for limit, _, _ in COCO_SIZES:
        axes.axvline(limit, color=MUTED, linewidth=1, dashes=(2, 2))
    axes.set_xlabel("√(width × height) in pixels at training size")
    axes.set_ylabel("boxes")
    dress(axes)
    return svg.drawn(figure, "sizes", "Histogram of box sizes at training resolution")


def centre_heat_map(boxes: np.ndarray, aspect: float) -> Markup:
    """Where in the pictures the boxes' centres lie: the fuller a cell, the darker.

    Args:
        boxes: float [boxes, 4], ymin, xmin, ymax, xmax, 0 to 1.
        aspect: height over width of the picture as trained.
    """
    y, x = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    counts, _, _ = np.histogram2d(y, x, bins=HEAT_CELLS, range=((0, 1), (0, 1)))
    figure = Figure(figsize=(3.6, 3.6), layout="constrained")
    axes = figure.subplots()
    colour = np.array(matplotlib.colors.to_rgba(FIRST))
    cells = np.tile(colour, (HEAT_CELLS, HEAT_CELLS, 1))
    cells[..., 3] = np.round(np.sqrt(counts / max(counts.max(initial=0), 1)), 3)
    axes.pcolormesh(np.linspace(0, 1, HEAT_CELLS + 1), np.linspace(0, 1, HEAT_CELLS + 1), cells)
    axes.set(
        xlim=(0, 1), ylim=(1, 0), aspect=aspect, xticks=[], yticks=[], xlabel="left to right", ylabel="bottom to top"
    )
    dress(axes, frame=True)
    return svg.drawn(figure, "centres", "Heat map of the boxes' centres in the picture")


def _line(axes: Axes, points: Sequence[Dict[str, Any]], key: str, colour: str, label: str, marker: str = "o") -> None:
    steps, values = _series(points, key)
    if values:
        axes.plot(steps, values, color=colour, label=label, marker=marker, markersize=4, linewidth=1.6)


def _series(points: Sequence[Dict[str, Any]], key: str) -> Tuple[List[float], List[float]]:
    """Steps and values of the points that have a value: an evaluation may lack its loss."""
    known = [(point["step"], point[key]) for point in points if point.get(key) is not None]
    return [step for step, _ in known], [value for _, value in known]
