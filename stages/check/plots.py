"""The drawings of the health page: plots as SVG in the page's colours, heat maps as small pictures."""

import base64
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages import pixels
from stages.pages import svg
from stages.pages.svg import FIRST, GRID, INK, MUTED, SECOND, dress

CELLS = 32  # of a heat map, each way
SPREAD = 1.0  # cells over which a centre is spread, or a few boxes would be nothing but dots
MOST_PIXELS = 256  # of a heat map's longer side
CLOUD = 44  # cells of the plot of box sizes, each way
COLOURS = (FIRST, SECOND, MUTED)  # of the splits


def objects_plot(objects: Dict[str, Any]) -> Markup:
    """How many pictures have how many boxes: the share of each split's pictures.

    Args:
        objects: ``objects_per_picture`` of health.json.
    """
    edges, counts = objects["edges"], objects["counts"]
    last = max([place for some in counts.values() for place, count in enumerate(some) if count], default=0) + 1
    labels = [_span(edges, place) for place in range(last)]
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    filled = [(split, np.array(some[:last]) / sum(some)) for split, some in counts.items() if sum(some)]
    width = 0.84 / max(1, len(filled))
    for number, (split, shares) in enumerate(filled):
        places = np.arange(last) + (number - (len(filled) - 1) / 2) * width
        axes.bar(places, 100 * shares, width * 0.92, color=COLOURS[number], label=split)
    axes.set_xticks(range(last), labels)
    axes.set(xlabel="boxes in a picture", ylabel="% of the pictures")
    dress(axes)
    _legend(axes)
    return svg.drawn(figure, "objects", "How many boxes pictures have, per split")


def _span(edges: Sequence[int], place: int) -> str:
    if place + 1 == len(edges):
        return "%d+" % edges[place]
    return str(edges[place]) if edges[place + 1] == edges[place] + 1 else "%d–%d" % (edges[place], edges[place + 1] - 1)


def pictures_plot(sizes: np.ndarray, input_size: Sequence[int]) -> Markup:
    """Width and height of the photos, a dot for a size, larger where more photos have it.

    Args:
        sizes: int64 [n, 2], width and height.
        input_size: height and width that the network sees.
    """
    different, counts = np.unique(sizes, axis=0, return_counts=True)
    chosen = np.argsort(-counts, kind="stable")[:400]
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    area = 14 + 220 * np.sqrt(counts[chosen] / counts.max())
    axes.scatter(*different[chosen].T, s=area, color=FIRST, alpha=0.45, linewidths=0)
    most = float(max(sizes.max(), max(input_size))) * 1.08
    line = np.array([0, most])
    axes.plot(line, line * input_size[0] / input_size[1], color=MUTED, linewidth=1, dashes=(3, 3), zorder=0)
    axes.plot(
        input_size[1], input_size[0], "s", color=SECOND, markersize=7, label="network %d × %d" % tuple(input_size[::-1])
    )
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="width in pixels", ylabel="height in pixels")
    dress(axes)
    _legend(axes)
    return svg.drawn(figure, "pictures", "Widths and heights of the photos")


def anchors_plot(sides: np.ndarray, anchors: np.ndarray, fitted: Optional[np.ndarray]) -> Markup:
    """Widths and heights of the boxes as a cloud, the anchors as crosses on it, and others as rings.

    Args:
        sides: float64 [m, 2], height and width in pixels of the network's input, at least one.
        anchors, fitted: float64 [a, 2], the same of anchors.
    """
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axes = figure.subplots()
    known = np.maximum(sides, 1.0)
    low = min(known.min(), anchors.min()) / 1.4
    high = max(known.max(), anchors.max()) * 1.2
    edges = np.geomspace(low, high, CLOUD + 1)
    counts, _, _ = np.histogram2d(*known.T, bins=(edges, edges))
    rows, columns = np.nonzero(counts)
    colours = np.tile(np.array(matplotlib.colors.to_rgba(FIRST)), (len(rows), 1))
    colours[:, 3] = np.round(0.16 + 0.84 * np.sqrt(counts[rows, columns] / counts.max()), 3)
    middles = np.sqrt(edges[1:] * edges[:-1])
    axes.scatter(middles[columns], middles[rows], marker="s", s=26, c=colours, linewidths=0)
    axes.plot(*anchors.T[::-1], "x", color=SECOND, markersize=7, markeredgewidth=1.8, label="anchors")
    if fitted is not None:
        axes.plot(*fitted.T[::-1], "o", color=INK, markersize=6, markerfacecolor="none", label="fitted to the boxes")
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    ticks = [tick for tick in (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048) if low <= tick <= high]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set(xlabel="width in pixels, as the network sees it", ylabel="height in pixels")
    dress(axes)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    _legend(axes)
    return svg.drawn(figure, "anchors", "Widths and heights of boxes and of anchors, at the network's input size")


def match_plot(now: List[int], then: Optional[List[int]]) -> Markup:
    """How many boxes have which best IoU, now and with other anchors.

    Args:
        now, then: boxes in equal classes of 0 to 1.
    """
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(0, 1, len(now) + 1)
    total = max(1, sum(now))
    axes.bar(
        edges[:-1], 100 * np.array(now) / total, np.diff(edges) * 0.92, align="edge", color=FIRST, label="these anchors"
    )
    if then:
        axes.stairs(100 * np.array(then) / total, edges, color=SECOND, linewidth=2, label="fitted to the boxes")
    axes.axvline(0.5, color=MUTED, linewidth=1.2, dashes=(3, 3))
    axes.set(xlim=(0, 1), xlabel="best IoU of a box with any anchor", ylabel="% of the boxes")
    dress(axes)
    _legend(axes)
    return svg.drawn(figure, "match", "Best IoU of the boxes with the anchors")


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)


def heat_maps(boxes: np.ndarray, proportions: Tuple[int, int]) -> Tuple[str, str]:
    """Where the boxes' centres lie, and what the boxes cover: two pictures as data URIs, dark for none.

    Args:
        boxes: float64 [m, 4], ymin, xmin, ymax, xmax, 0 to 1.
        proportions: height and width of a typical picture.
    """
    centres = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2 * CELLS, 0, CELLS - 1).astype(np.int64)
    counts = np.zeros((CELLS, CELLS))
    np.add.at(counts, (centres[:, 0], centres[:, 1]), 1)
    blurred = cv2.GaussianBlur(counts, (0, 0), SPREAD, borderType=cv2.BORDER_CONSTANT)
    return _heat(blurred, proportions), _heat(_covered(boxes), proportions)


def _covered(boxes: np.ndarray) -> np.ndarray:
    """float64 [CELLS, CELLS]: how many boxes reach into each cell, by the corners of each and two running sums."""
    low = np.clip(np.floor(boxes[:, :2] * CELLS), 0, CELLS - 1).astype(np.int64)
    high = np.clip(np.ceil(boxes[:, 2:] * CELLS), 1, CELLS).astype(np.int64)
    corners = np.zeros((CELLS + 1, CELLS + 1))
    for rows, row_sign in ((low[:, 0], 1), (high[:, 0], -1)):
        for columns, column_sign in ((low[:, 1], 1), (high[:, 1], -1)):
            np.add.at(corners, (rows, columns), row_sign * column_sign)
    return np.asarray(corners.cumsum(axis=0).cumsum(axis=1)[:CELLS, :CELLS])


def _heat(counts: np.ndarray, proportions: Tuple[int, int]) -> str:
    levels = np.round(255 * np.sqrt(np.maximum(counts, 0) / max(counts.max(), 1e-9))).astype(np.uint8)
    longer = max(proportions)
    height, width = (max(MOST_PIXELS // 4, MOST_PIXELS * side // longer) for side in proportions)
    large = cv2.resize(levels, (width, height), interpolation=cv2.INTER_CUBIC)
    coloured = cv2.cvtColor(cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return "data:image/jpeg;base64," + base64.b64encode(pixels.encode_jpeg(coloured, 80)).decode("ascii")
