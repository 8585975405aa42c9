"""GridAnchor_TRT's anchors, the box decoder of NMS_TRT, and how to find their parameters from the anchors of a graph.

Formulas: NVIDIA/TensorRT (Apache-2.0), plugin/gridAnchorPlugin and plugin/common/kernels (gridAnchorLayer.cu,
decodeBBoxes.cu).
"""

from typing import List, NamedTuple, Sequence

import numpy as np

from stages.job import BadInput

TOLERANCE = 1e-5
FIRST_LAYER_SCALE = 0.1


class GridAnchor(NamedTuple):
    """The plugin's parameters: smallest and largest scale, aspect ratios (width / height), side of each square map."""

    min_size: float
    max_size: float
    aspect_ratios: List[float]
    maps: List[int]


def sizes(grid: GridAnchor) -> List[np.ndarray]:
    """Width and height of each layer's anchors, one float64 [A, 2] per layer.

    Layer 0 has three: scales 0.1, min, min with the first three ratios. Layer k has every ratio at scale s_k, and a
    square at sqrt(s_k * s_k+1), where the scale after the last layer is 1.
    """
    scales = list(np.linspace(grid.min_size, grid.max_size, len(grid.maps))) + [1.0]
    layers = []
    for layer in range(len(grid.maps)):
        if layer == 0:
            boxes = list(zip([FIRST_LAYER_SCALE, scales[0], scales[0]], grid.aspect_ratios[:3]))
        else:
            boxes = [(scales[layer], ratio) for ratio in grid.aspect_ratios]
            boxes.append((np.sqrt(scales[layer] * scales[layer + 1]), 1.0))
        layers.append(np.array([[scale * np.sqrt(ratio), scale / np.sqrt(ratio)] for scale, ratio in boxes]))
    return layers


def anchors(grid: GridAnchor) -> np.ndarray:
    """All anchors in the plugin's order (layer, row, column, box).

    Returns:
        float32 [P, 4], rows xmin, ymin, xmax, ymax, normalised, unclipped.
    """
    layers = []
    for side, boxes in zip(grid.maps, sizes(grid)):
        centre = (np.arange(side) + 0.5) / side
        y, x, _ = np.meshgrid(centre, centre, np.arange(len(boxes)), indexing="ij")
        width, height = boxes[:, 0], boxes[:, 1]
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        layers.append(np.stack(corners, axis=-1).reshape(-1, 4))
    return np.concatenate(layers).astype(np.float32)


def decode(encodings: np.ndarray, boxes: np.ndarray, variances: Sequence[float]) -> np.ndarray:
    """Code type TF_CENTER of NMS_TRT.

    Args:
        encodings: float [P, 4], rows ty, tx, th, tw.
        boxes: float [P, 4], the anchors, rows xmin, ymin, xmax, ymax.
        variances: factors of x, y, width and height, one over the box coder's scales.

    Returns:
        float64 [P, 4], rows xmin, ymin, xmax, ymax, unclipped.
    """
    ty, tx, th, tw = encodings.astype(np.float64).T
    xmin, ymin, xmax, ymax = boxes.astype(np.float64).T
    width, height = xmax - xmin, ymax - ymin
    x = variances[0] * tx * width + (xmin + xmax) / 2
    y = variances[1] * ty * height + (ymin + ymax) / 2
    half_width, half_height = np.exp(variances[2] * tw) * width / 2, np.exp(variances[3] * th) * height / 2
    return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)


def shortest(value: float, tolerance: float = 2e-6) -> float:
    """The decimal number with the fewest digits within a relative ``tolerance`` of ``value``: 0.3333 for 0.33330002."""
    for digits in range(1, 9):
        rounded = round(float(value), digits)
        if abs(rounded - value) <= tolerance * abs(value):
            return rounded
    return float(value)


def solve(boxes: np.ndarray, maps: Sequence[int], per_cell: Sequence[int]) -> GridAnchor:
    """The parameters with which GridAnchor_TRT makes the anchors ``boxes`` (float [P, 4], xmin, ymin, xmax, ymax).

    Args:
        maps: side of each feature map, all of them square.
        per_cell: anchors per cell of each map.

    Raises:
        BadInput: no parameters make these anchors; the sentence says why.
    """
    _check_counts(maps, per_cell)
    starts = np.cumsum([0] + [side * side * count for side, count in zip(maps, per_cell)])
    cells = [boxes[start : start + count].astype(np.float64) for start, count in zip(starts, per_cell)]
    extents = [cell[:, 2:] - cell[:, :2] for cell in cells]
    scales = [float(np.sqrt(max(extent[0].prod(), 0.0))) for extent in extents]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = extents[1][:-1, 0] / extents[1][:-1, 1]
    grid = GridAnchor(
        shortest(float(np.sqrt(max(extents[0][1].prod(), 0.0)))),
        shortest(scales[-1]),
        [shortest(ratio) for ratio in ratios],
        list(maps),
    )
    check(grid, boxes)
    return grid


def _check_counts(maps: Sequence[int], per_cell: Sequence[int]) -> None:
    if len(maps) < 2:
        raise BadInput("The graph has one feature map, GridAnchor_TRT needs at least two")
    if per_cell[0] != 3:
        raise BadInput(
            "The first feature map has %d anchors per cell, GridAnchor_TRT always makes 3; "
            "train with reduce_boxes_in_lowest_layer: true" % per_cell[0]
        )
    if len(set(per_cell[1:])) != 1:
        raise BadInput(
            "The feature maps have %s anchors per cell; GridAnchor_TRT makes the same number for all but "
            "the first; train with one list of aspect_ratios" % ", ".join(map(str, per_cell))
        )
    if per_cell[1] < 4:
        raise BadInput(
            "The feature maps have %d anchors per cell, GridAnchor_TRT needs three aspect ratios and the "
            "interpolated scale, so at least 4" % per_cell[1]
        )


def check(grid: GridAnchor, boxes: np.ndarray) -> None:
    """Hold all anchors ``boxes`` of the graph against the plugin's, to 1e-5.

    Raises:
        BadInput: they differ; the sentence names the first layer that does and by how much.
    """
    made = _finite(anchors(grid))
    if made.shape != boxes.shape:
        raise BadInput(
            "The graph has %d anchors, GridAnchor_TRT makes %d from maps of %s and %d aspect ratios"
            % (len(boxes), len(made), grid.maps, len(grid.aspect_ratios))
        )
    distance = np.abs(made.astype(np.float64) - boxes).max(axis=1)
    if distance.max() <= TOLERANCE:
        return
    worst = int(distance.argmax())
    raise BadInput(
        "GridAnchor_TRT cannot make the graph's anchors: with minSize %g, maxSize %g and aspect ratios %s, "
        "anchor %d is %s but the graph has %s; train with ssd_anchor_generator, evenly spaced scales, "
        "aspect ratios that begin 1, 2, 0.5 and a square input"
        % (grid.min_size, grid.max_size, grid.aspect_ratios, worst, row(made[worst]), row(boxes[worst]))
    )


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise BadInput("The graph's anchors have no area; export the graph again")
    return values


def row(box: np.ndarray) -> str:
    """One anchor in words."""
    return "[%s]" % ", ".join("%.5f" % value for value in box)
