"""The anchors of an SSD: how object_detection lays them out, and how well a box can be met by one of them.

Formulas: object_detection (TensorFlow 1.12's), ``anchor_generators/multiple_grid_anchor_generator.py``
(``create_ssd_anchors``), ``multiscale_grid_anchor_generator.py`` and ``grid_anchor_generator.py`` (``tile_anchors``).
Everything is in shares of the picture, y before x. Needs numpy, Python 3.6 to current.
"""

from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

CHUNK = 65536  # boxes that are compared at a time

Size = Tuple[int, int]
"""Height and width: of a picture in pixels, or of a feature map in cells."""


class AnchorGrid(NamedTuple):
    """The anchors of one feature map.

    Attributes:
        cells: rows and columns.
        stride: from one centre to the next, y and x.
        offset: of the first centre.
        sizes: float64 [A, 2], height and width of the anchors that every centre has.
    """

    cells: Size
    stride: Tuple[float, float]
    offset: Tuple[float, float]
    sizes: np.ndarray


class SsdAnchors(NamedTuple):
    """What ``ssd_anchor_generator`` in a pipeline.config says; ratios are width over height.

    Attributes:
        scales: of each layer where they are given one by one, else evenly spaced from ``min_scale`` to ``max_scale``.
        base: height and width at scale 1, in units of the picture's shorter side.
    """

    num_layers: int = 6
    min_scale: float = 0.2
    max_scale: float = 0.95
    aspect_ratios: Tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    reduce_boxes_in_lowest_layer: bool = True
    interpolated_scale_aspect_ratio: float = 1.0
    scales: Tuple[float, ...] = ()
    base: Tuple[float, float] = (1.0, 1.0)

    def specifications(self) -> List[List[Tuple[float, float]]]:
        """Scale and ratio of each anchor of a cell, layer by layer."""
        first, last, layers = self.min_scale, self.max_scale, self.num_layers
        scales = list(self.scales) or [first + (last - first) * layer / max(1, layers - 1) for layer in range(layers)]
        found = []
        for layer, (scale, following) in enumerate(zip(scales[:layers], scales[1:] + [1.0])):
            if layer == 0 and self.reduce_boxes_in_lowest_layer:
                found.append([(0.1, 1.0), (scale, 2.0), (scale, 0.5)])
                continue
            anchors = [(scale, ratio) for ratio in self.aspect_ratios]
            if self.interpolated_scale_aspect_ratio > 0:
                anchors.append((float(np.sqrt(scale * following)), self.interpolated_scale_aspect_ratio))
            found.append(anchors)
        return found

    def grids(self, maps: Sequence[Size], picture: Size) -> List[AnchorGrid]:
        """The anchors on feature maps of a picture that the network sees in so many pixels."""
        shorter = min(picture)
        base = [side * shorter / pixels for side, pixels in zip(self.base, picture)]
        found = []
        for cells, anchors in zip(maps, self.specifications()):
            stride = (1.0 / cells[0], 1.0 / cells[1])
            found.append(AnchorGrid(cells, stride, (stride[0] / 2, stride[1] / 2), _sizes(anchors, base)))
        return found

    def text(self) -> str:
        """The generator as a pipeline.config has it, where scales and base are as by default."""
        lines = [
            "num_layers: %d" % self.num_layers,
            "min_scale: %r" % float(self.min_scale),
            "max_scale: %r" % float(self.max_scale),
            "aspect_ratios: [%s]" % ", ".join("%r" % float(ratio) for ratio in self.aspect_ratios),
            "reduce_boxes_in_lowest_layer: %s" % str(self.reduce_boxes_in_lowest_layer).lower(),
        ]
        return "ssd_anchor_generator {\n%s}" % "".join("  %s\n" % line for line in lines)


class MultiscaleAnchors(NamedTuple):
    """What ``multiscale_anchor_generator`` in a pipeline.config says, that of models with a feature pyramid."""

    min_level: int
    max_level: int
    anchor_scale: float
    aspect_ratios: Tuple[float, ...]
    scales_per_octave: int

    def grids(self, maps: Sequence[Size], picture: Size) -> List[AnchorGrid]:
        """As those of :class:`SsdAnchors`."""
        octave = [2.0 ** (step / self.scales_per_octave) for step in range(self.scales_per_octave)]
        anchors = [(scale, ratio) for ratio in self.aspect_ratios for scale in octave]
        found = []
        for level, cells in zip(range(self.min_level, self.max_level + 1), maps):
            side = 2**level
            offset = [side / 2 if pixels % side == 0 or pixels == 1 else 0.0 for pixels in picture]
            base = [self.anchor_scale * side / pixels for pixels in picture]
            found.append(
                AnchorGrid(cells, _shares((side, side), picture), _shares(offset, picture), _sizes(anchors, base))
            )
        return found


def _shares(pixels: Sequence[float], picture: Size) -> Tuple[float, float]:
    return pixels[0] / picture[0], pixels[1] / picture[1]


def _sizes(anchors: Sequence[Tuple[float, float]], base: Sequence[float]) -> np.ndarray:
    scale, ratio = np.array(anchors, np.float64).reshape(-1, 2).T
    return np.stack([scale / np.sqrt(ratio) * base[0], scale * np.sqrt(ratio) * base[1]], axis=1)


def halved_maps(picture: Size, first_stride: int, layers: int, multiple: int = 1) -> List[Size]:
    """Feature maps of a network whose layers halve each other, all padded "SAME": 300, 16, 3 -> 19, 10, 5.

    Args:
        first_stride: pixels of the picture in a cell of the first map, a power of two.
        multiple: the picture is padded to multiples of it first (``pad_to_multiple``).
    """
    height, width = (-(-side // multiple) * multiple for side in picture)
    strides = [first_stride << layer for layer in range(layers)]
    return [(-(-height // stride), -(-width // stride)) for stride in strides]


def anchors(grids: Sequence[AnchorGrid]) -> np.ndarray:
    """All anchors in object_detection's order (layer, row, column, anchor): float64 [P, 4], ymin, xmin, ymax, xmax."""
    layers = [np.zeros((0, 4))]
    for grid in grids:
        y = np.arange(grid.cells[0]) * grid.stride[0] + grid.offset[0]
        x = np.arange(grid.cells[1]) * grid.stride[1] + grid.offset[1]
        rows, columns, shapes = np.meshgrid(y, x, np.arange(len(grid.sizes)), indexing="ij")
        centres, half = np.stack([rows, columns], axis=-1), grid.sizes[shapes] / 2
        layers.append(np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4))
    return np.concatenate(layers)


def distances(grids: Sequence[AnchorGrid], boxes: np.ndarray) -> List[np.ndarray]:
    """How far the centre of every box is from the nearest anchor centre of each grid, in y and x: float64 [n, 2] each.

    It does not hang on the anchors' sizes, so that many sizes can be tried on the same distances.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    found = []
    for grid in grids:
        stride, offset = np.array(grid.stride), np.array(grid.offset)
        cell = np.clip(np.rint((centres - offset) / stride), 0, np.array(grid.cells) - 1)
        found.append(np.abs(centres - (cell * stride + offset)))
    return found


def best_at(grids: Sequence[AnchorGrid], away: Sequence[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """As :func:`best_iou`, with the boxes' :func:`distances`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    areas, best = sides.prod(axis=1), np.zeros(len(boxes))
    for grid, distance in zip(grids, away):
        for size in grid.sizes:
            common = np.minimum(np.minimum(sides, size), (sides + size) / 2 - distance)
            overlap = np.maximum(common, 0).prod(axis=1)
            union = areas + size.prod() - overlap
            np.maximum(best, overlap / np.where(union > 0, union, 1), out=best)
    return best


def best_iou(grids: Sequence[AnchorGrid], boxes: np.ndarray) -> np.ndarray:
    """The highest intersection over union of every box with any anchor.

    Exact, without all anchors: those of one size overlap a box the more, the nearer their centre is to the box's in y
    and in x, and in a grid one centre is the nearest in both. So one anchor of each size has to be looked at.

    Args:
        boxes: float [n, 4], ymin, xmin, ymax, xmax.

    Returns:
        float64 [n], 0 to 1.
    """
    return np.concatenate([np.zeros(0), *(best_at(grids, distances(grids, part), part) for part in _parts(boxes))])


def _parts(boxes: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(boxes), CHUNK):
        yield boxes[start : start + CHUNK].astype(np.float64)
