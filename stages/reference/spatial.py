"""Kernels that know height, width and channels: Conv, Pool, BatchNorm, LRN. Float32; NHWC inside, any order outside.

SAME padding is TensorFlow's: of an odd number of padding pixels the extra one goes right and below.
"""

from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from stages.reference import orders

Fields = Dict[str, Any]
# No detector comes near these; a damaged field must neither fill the memory nor take hours.
MAX_ELEMENTS = 1 << 28
MAX_KERNEL = 4096


class Window:
    """How a kernel of a given size slides over an NHWC tensor: padding, strides, dilation, output size."""

    def __init__(self, fields: Fields, size: Sequence[int], kernel: Sequence[int]) -> None:
        """``size`` and ``kernel``: (height, width)."""
        self.kernel = kernel
        self.strides = _pair(fields, "strides", 1, 1)
        self.dilation = _pair(fields, "dilation", 1, 1)
        padding = _pair(fields, "padding", 0, 0)
        same = fields.get("implicit_padding") == "same"
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, self.dilation)]
        self.padding = [_same(n, k, s) if same else (p, p) for n, k, s, p in zip(size, extents, self.strides, padding)]
        self.output = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(size, self.padding, extents, self.strides)]
        if not 0 < kernel[0] * kernel[1] <= MAX_KERNEL:
            raise ValueError("its window has %s pixels" % list(kernel))
        if min(self.output) < 1:
            raise ValueError("its window of %s pixels is larger than its input of %s" % (extents, list(size)))

    def pad(self, x: np.ndarray, value: float) -> np.ndarray:
        """``x`` [N, H, W, C] with its border of ``value``."""
        if not any(map(sum, self.padding)):
            return x
        return pad(x, [(0, 0)] + self.padding + [(0, 0)], value)

    def taps(self, x: np.ndarray) -> Iterator[Tuple[int, int, np.ndarray]]:
        """For each kernel position (row, column) the view [N, OH, OW, C] of the padded ``x`` that it meets."""
        (stride_y, stride_x), (height, width) = self.strides, self.output
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                top, left = row * self.dilation[0], column * self.dilation[1]
                yield (
                    row,
                    column,
                    x[
                        :,
                        top : top + (height - 1) * stride_y + 1 : stride_y,
                        left : left + (width - 1) * stride_x + 1 : stride_x,
                    ],
                )


def _pair(fields: Fields, name: str, default: int, least: int) -> List[int]:
    pair = fields.get(name, [default, default])
    if not isinstance(pair, list) or len(pair) != 2 or min(pair) < least or max(pair) > 1 << 16:
        raise ValueError("its field %s is %s instead of two numbers of at least %d" % (name, pair, least))
    return pair


def _same(size: int, extent: int, stride: int) -> Tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def check_size(shape: Sequence[int]) -> None:
    """Raise ValueError where a tensor of this shape would have more elements than any detector needs."""
    if np.prod(shape, dtype=float) > MAX_ELEMENTS:
        raise ValueError("it asks for a tensor of shape %s" % list(shape))


def pad(x: np.ndarray, widths: Sequence[Tuple[int, int]], value: float = 0.0) -> np.ndarray:
    """``x`` with a border of ``value``; ``widths``: (before, after) for each dimension."""
    shape = [size + int(before) + int(after) for size, (before, after) in zip(x.shape, widths)]
    if len(widths) != x.ndim or min(min(pair) for pair in widths) < 0:
        raise ValueError("it cannot pad a tensor of shape %s by %s" % (list(x.shape), [list(pair) for pair in widths]))
    check_size(shape)
    result = np.full(shape, value, x.dtype)
    result[tuple(slice(before, before + size) for size, (before, _) in zip(x.shape, widths))] = x
    return result


def conv(fields: Fields, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution: dense, grouped by ``number_groups``, or depthwise with TensorFlow's kernel (HWCM, groups = C)."""
    if x.ndim != 4 or kernel.ndim != 4:
        raise ValueError(
            "its data and kernel have shapes %s and %s, both must have rank 4" % (list(x.shape), list(kernel.shape))
        )
    order = orders.of_input(fields, 0, 4)
    data = orders.transpose(x, order, orders.NHWC)
    weights = orders.transpose(kernel, orders.of_input(fields, 1, 4), orders.HWIO)
    window = Window(fields, data.shape[1:3], weights.shape[:2])
    result = _grouped(window, window.pad(data, 0.0), weights, fields.get("number_groups", 1))
    return orders.transpose(result, orders.NHWC, order)


def _grouped(window: Window, x: np.ndarray, weights: np.ndarray, groups: int) -> np.ndarray:
    channels, inputs, outputs = x.shape[3], weights.shape[2], weights.shape[3]
    if groups == channels == inputs and groups > 1:
        return _depthwise(window, x, weights)
    if groups < 1 or channels != inputs * groups or outputs % groups:
        raise ValueError(
            "its kernel takes %d channels in %d groups and gives %d, but its data has %d"
            % (inputs, groups, outputs, channels)
        )
    if groups == 1:
        return _dense(window, x, weights)
    parts = zip(np.split(x, groups, axis=3), np.split(weights, groups, axis=3))
    return np.concatenate([_dense(window, part, kernel) for part, kernel in parts], axis=3)


def _dense(window: Window, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """im2col and one matrix product."""
    check_size([x.shape[0], *window.output, *weights.shape[:3]])
    taps = [tap for _, _, tap in window.taps(x)]
    columns = taps[0] if len(taps) == 1 else np.concatenate(taps, axis=3)
    product = columns.reshape(-1, columns.shape[3]) @ weights.reshape(-1, weights.shape[3])
    return product.reshape(columns.shape[:3] + (weights.shape[3],))


def _depthwise(window: Window, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Output channel c * M + m is channel c under the kernel [:, :, c, m]."""
    multiplier = weights.shape[3]
    if multiplier > 1:
        x = np.repeat(x, multiplier, axis=3)
    flat = weights.reshape(weights.shape[:2] + (-1,))
    result = np.zeros((x.shape[0], *window.output, x.shape[3]), x.dtype)
    product = np.empty_like(result)
    for row, column, tap in window.taps(x):
        np.multiply(tap, flat[row, column], out=product)
        result += product
    return result


def pool(fields: Fields, x: np.ndarray) -> np.ndarray:
    """Max or average pooling; the average counts no padding, as in TensorFlow."""
    if x.ndim != 4:
        raise ValueError("its data has shape %s, rank 4 is needed" % list(x.shape))
    order = orders.of_input(fields, 0, 4)
    data = orders.transpose(x, order, orders.NHWC)
    window = Window(fields, data.shape[1:3], _pair(fields, "kernel", 0, 1))
    if fields.get("func") == "max":
        result = _reduce_taps(np.maximum, window, window.pad(data, -np.inf))
    elif fields.get("func") == "avg":
        counted = window.pad(np.ones((1,) + data.shape[1:3] + (1,), data.dtype), 0.0)
        result = _reduce_taps(np.add, window, window.pad(data, 0.0)) / _reduce_taps(np.add, window, counted)
    else:
        raise ValueError("its func %s is neither max nor avg" % fields.get("func"))
    return orders.transpose(result, orders.NHWC, order)


def _reduce_taps(function: np.ufunc, window: Window, x: np.ndarray) -> np.ndarray:
    taps = window.taps(x)
    result = next(taps)[2].copy()
    for _, _, tap in taps:
        function(result, tap, out=result)
    return result


def batch_norm(
    fields: Fields, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Inference batch normalisation as scale and shift of each channel."""
    scale = gamma / np.sqrt(variance + np.float32(fields.get("epsilon", 1e-3)))
    shift = beta - mean * scale
    axis = orders.of_input(fields, 0, x.ndim).index(1)
    if scale.shape != (x.shape[axis],):
        raise ValueError(
            "its parameters have shape %s, but its data has %d channels" % (list(scale.shape), x.shape[axis])
        )
    shape = [-1 if dimension == axis else 1 for dimension in range(x.ndim)]
    result = x * scale.reshape(shape)
    result += shift.reshape(shape)
    return result


def lrn(fields: Fields, x: np.ndarray) -> np.ndarray:
    """Local response normalisation: x / (k + alpha * squares) ** beta, summed over 2 * window_size + 1 channels.

    NVIDIA's converter puts TensorFlow's depth_radius into ``window_size`` and so does this reading.
    """
    radius = fields["window_size"]
    axis = orders.of_input(fields, 0, x.ndim).index(1)
    squares = np.moveaxis(x * x, axis, -1)
    padded = pad(squares, [(0, 0)] * (x.ndim - 1) + [(radius, radius)])
    channels = x.shape[axis]
    total = sum(padded[..., shift : shift + channels] for shift in range(2 * radius + 1))
    return x / np.moveaxis((fields["k"] + fields["alpha"] * total) ** fields["beta"], -1, axis)
