"""Kernels against straightforward loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uff_bytes import ORDERS

from stages.reference import orders, spatial
from stages.reference.ops import OPERATIONS

FEW = settings(max_examples=60)


def run(operation, fields, *inputs):
    return OPERATIONS[operation].kernel(fields, *inputs)


def order_field(*names):
    return [{-1: ORDERS[name]} for name in names]


def before_and_after(size, kernel, stride, dilation, mode):
    """TensorFlow's padding, from its documentation: SAME keeps ceil(size / stride), the odd pixel goes after."""
    if mode != "same":
        return mode, mode
    total = max((int(np.ceil(size / stride)) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def naive_windows(x, kernel, strides, dilation, mode):
    """For each output position: (n, row, column, list of (i, j, pixel or None where padding))."""
    pads = [before_and_after(*args, mode) for args in zip(x.shape[1:3], kernel, strides, dilation)]
    counts = [
        (size + sum(pad) - ((k - 1) * d + 1)) // s + 1
        for size, pad, k, s, d in zip(x.shape[1:3], pads, kernel, strides, dilation)
    ]
    for n, row, column in np.ndindex(x.shape[0], *counts):
        window = []
        for i, j in np.ndindex(*kernel):
            y = row * strides[0] + i * dilation[0] - pads[0][0]
            z = column * strides[1] + j * dilation[1] - pads[1][0]
            window.append((i, j, x[n, y, z] if 0 <= y < x.shape[1] and 0 <= z < x.shape[2] else None))
        yield (n, row, column), window


def naive_conv(x, weights, strides, dilation, mode, groups):
    result, out = {}, weights.shape[3] // groups
    for place, window in naive_windows(x, weights.shape[:2], strides, dilation, mode):
        value = np.zeros(weights.shape[3])
        for i, j, pixel in window:
            for k in range(weights.shape[3]):
                if pixel is not None:
                    group = k // out
                    value[k] += pixel[group * weights.shape[2] : (group + 1) * weights.shape[2]] @ weights[i, j, :, k]
        result[place] = value
    return np.array([result[place] for place in sorted(result)]).reshape(
        [size + 1 for size in max(result)] + [weights.shape[3]]
    )


@st.composite
def sliding(draw):
    """Fields and sizes of a window that fits its input."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    size = tuple((k - 1) * d + 1 + draw(st.integers(0, 5)) for k, d in zip(kernel, dilation))
    mode = draw(st.sampled_from(["same", 0, 1]))
    fields = {"strides": list(strides), "dilation": list(dilation)}
    fields.update({"implicit_padding": "same"} if mode == "same" else {"padding": [mode, mode]})
    return kernel, dilation, strides, size, mode, fields, draw(st.integers(0, 2**31 - 1))


@FEW
@given(sliding(), st.integers(1, 2), st.sampled_from([(1, 3, 2), (1, 1, 4), (2, 2, 4), (3, 1, 6)]))
def test_conv_is_the_loop_over_windows(window, batch, channels):
    kernel, dilation, strides, size, mode, fields, seed = window
    groups, inputs, outputs = channels
    random = np.random.RandomState(seed)
    x = random.randn(batch, *size, inputs * groups).astype(np.float32)
    weights = random.randn(*kernel, inputs, outputs).astype(np.float32)
    if groups > 1:
        fields["number_groups"] = groups
    fields["inputs_orders"] = order_field("N+C", "+CK")
    expected = naive_conv(x, weights, strides, dilation, mode, groups)
    np.testing.assert_allclose(run("Conv", fields, x, weights), expected, rtol=1e-4, atol=1e-4)


@FEW
@given(sliding(), st.integers(2, 4), st.integers(1, 3))
def test_depthwise_conv_takes_tensorflow_s_kernel(window, channels, multiplier):
    kernel, dilation, strides, size, mode, fields, seed = window
    random = np.random.RandomState(seed)
    x = random.randn(1, *size, channels).astype(np.float32)
    weights = random.randn(*kernel, channels, multiplier).astype(np.float32)
    fields.update(number_groups=channels, inputs_orders=order_field("N+C", "+CK"))
    expected = [
        naive_conv(x[..., c : c + 1], weights[:, :, c : c + 1], strides, dilation, mode, 1) for c in range(channels)
    ]
    result = run("Conv", fields, x, weights)
    np.testing.assert_allclose(result, np.concatenate(expected, axis=3), rtol=1e-4, atol=1e-4)
    assert result.dtype == np.float32


@FEW
@given(sliding(), st.sampled_from(["max", "avg"]))
def test_pool_looks_at_real_pixels_only(window, func):
    kernel, _, strides, size, mode, fields, seed = window
    if mode == 1 and min(kernel) == 1:
        fields["padding"], mode = [0, 0], 0  # a window wholly in the padding has no pixel to look at
    del fields["dilation"]
    x = np.random.RandomState(seed).randn(2, *size, 3).astype(np.float32)
    fields.update(kernel=list(kernel), func=func, inputs_orders=order_field("N+C"))
    summary = np.max if func == "max" else np.mean
    expected = {
        place: summary([pixel for _, _, pixel in pixels if pixel is not None], axis=0)
        for place, pixels in naive_windows(x, kernel, strides, (1, 1), mode)
    }
    result = run("Pool", fields, x)
    assert {place: result[place].tolist() for place in expected} == {
        place: pytest.approx(value.tolist(), abs=1e-5) for place, value in expected.items()
    }


def test_same_padding_puts_the_odd_pixel_right_and_below():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    fields = {"strides": [2, 2], "implicit_padding": "same", "inputs_orders": order_field("N+C", "+CK")}
    corner = np.zeros((3, 3, 1, 1), np.float32)
    corner[0, 0] = 1
    np.testing.assert_array_equal(run("Conv", fields, x, corner)[0, :, :, 0], [[0, 2], [8, 10]])


@FEW
@given(sliding())
def test_conv_and_pool_give_the_same_in_either_order(window):
    kernel, _, _, size, _, fields, seed = window
    random = np.random.RandomState(seed)
    x, weights = random.randn(2, *size, 3).astype(np.float32), random.randn(*kernel, 3, 4).astype(np.float32)
    last, first = (dict(fields, inputs_orders=order_field(*names)) for names in (("N+C", "+CK"), ("NC+", "KC+")))
    expected = run("Conv", last, x, weights).transpose(0, 3, 1, 2)
    result = run("Conv", first, x.transpose(0, 3, 1, 2), weights.transpose(3, 2, 0, 1))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    pooling = {"kernel": list(kernel), "func": "max", "strides": [1, 1]}
    np.testing.assert_array_equal(
        run("Pool", dict(pooling, inputs_orders=order_field("NC+")), x.transpose(0, 3, 1, 2)),
        run("Pool", dict(pooling, inputs_orders=order_field("N+C")), x).transpose(0, 3, 1, 2),
    )


@given(st.sampled_from(["N+C", "NC+"]), st.integers(2, 5))
def test_batch_norm_is_tensorflow_s_formula(order, rank):
    random = np.random.RandomState(rank)
    axis = rank - 1 if order == "N+C" else 1
    shape = [2] * rank
    shape[axis] = 4
    x = random.randn(*shape).astype(np.float32)
    gamma, beta, mean = random.randn(3, 4).astype(np.float32)
    variance = random.rand(4).astype(np.float32)
    moved = np.moveaxis(x, axis, -1).astype(float)
    expected = np.moveaxis((moved - mean) / np.sqrt(variance + 0.01) * gamma + beta, -1, axis)
    fields = {"epsilon": 0.01, "inputs_orders": order_field(order)}
    result = run("BatchNorm", fields, x, gamma, beta, mean, variance)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert result.dtype == np.float32


@given(st.sampled_from(["N+C", "NC+"]), st.sampled_from([0, None]))
def test_softmax_is_over_the_channels(order, axis):
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype(np.float32) * 50
    fields = {"inputs_orders": order_field(order)}
    if axis is not None:
        fields["axis"] = axis
    channel = 3 if order == "N+C" else 1
    powers = np.exp(x.astype(float))
    expected = powers / powers.sum(axis=channel, keepdims=True)
    np.testing.assert_allclose(run("Softmax", fields, x), expected, rtol=1e-4, atol=1e-6)


def test_lrn_is_tensorflow_s_formula():
    x = np.random.RandomState(0).randn(1, 2, 2, 6).astype(np.float32)
    fields = {"window_size": 2, "alpha": 0.3, "beta": 0.7, "k": 1.5, "inputs_orders": order_field("N+C")}
    expected = np.empty_like(x)
    for place in np.ndindex(*x.shape):
        near = x[place[:3]][max(0, place[3] - 2) : place[3] + 3]
        expected[place] = x[place] / (1.5 + 0.3 * (near**2).sum()) ** 0.7
    np.testing.assert_allclose(run("LRN", fields, x), expected, rtol=1e-5)


@given(st.sampled_from(["NC", "CN"]), st.sampled_from(["KC", "CK"]))
def test_fully_connected_honours_both_orders(left, right):
    random = np.random.RandomState(0)
    x, weights = random.randn(2, 3).astype(np.float32), random.randn(3, 4).astype(np.float32)
    fields = {"inputs_orders": order_field(left, right)}
    result = run("FullyConnected", fields, x.T if left == "CN" else x, weights.T if right == "KC" else weights)
    np.testing.assert_allclose(result, x @ weights, rtol=1e-5)


@pytest.mark.parametrize(
    "func, expected",
    [
        ("relu", [0, 0, 0.5, 7]),
        ("relu6", [0, 0, 0.5, 6]),
        ("sigmoid", [1 / (1 + np.exp(3)), 0.5, 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(-7))]),
        ("tanh", np.tanh([-3, 0, 0.5, 7])),
        ("elu", [np.exp(-3) - 1, 0, 0.5, 7]),
        ("softsign", [-0.75, 0, 1 / 3, 0.875]),
        ("softplus", np.log1p(np.exp([-3, 0, 0.5, 7]))),
        ("selu", [1.7580993 * (np.exp(-3) - 1), 0, 0.525350, 7.354907]),
    ],
)
def test_activations(func, expected):
    x = np.array([-3, 0, 0.5, 7], np.float32)
    result = run("Activation", {"func": func}, x)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-7)
    assert result.dtype == np.float32
    assert x.tolist() == [-3, 0, 0.5, 7]


@pytest.mark.parametrize(
    "func, expected",
    [
        ("min", [1, -2]),
        ("max", [4, 3]),
        ("mul", [4, -6]),
        ("sub", [-3, 5]),
        ("div", [0.25, -1.5]),
        ("add", [5, 1]),
        ("pow", [1, 1 / 9]),
    ],
)
def test_binary(func, expected):
    one, other = np.array([1, 3], np.float32), np.array([4, -2], np.float32)
    np.testing.assert_allclose(run("Binary", {"func": func}, one, other), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "func",
    [
        "neg",
        "exp",
        "log",
        "abs",
        "sqrt",
        "rsqrt",
        "square",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
        "ceil",
        "floor",
    ],
)
def test_unary_functions_are_those_of_their_names(func):
    import math

    special = {"neg": lambda v: -v, "abs": abs, "rsqrt": lambda v: 1 / math.sqrt(v), "square": lambda v: v * v}
    x = 1.25 if func == "acosh" else 0.25
    expected = special.get(func, getattr(math, func, None))(x)
    assert run("Unary", {"func": func}, np.array([x], np.float32))[0] == pytest.approx(expected, rel=1e-5)


def test_shapes_and_slices():
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    ints = [np.array(values, np.int32) for values in ([0], [1], [1])]
    shape = run("Shape", {}, x)
    assert shape.dtype == np.int32
    batch = run("StridedSlice", {"shrink_axis_mask": 1}, shape, *ints)
    assert (batch.shape, int(batch)) == ((), 1)
    target = run("Stack", {"axis": 0}, batch, np.array(-1, np.int32), np.array(1, np.int32), np.array(4, np.int32))
    np.testing.assert_array_equal(run("Reshape", {}, x, target).reshape(-1), np.arange(24))
    begin, end, strides = (np.array(values, np.int32) for values in ([0, 1, 1], [0, 2, 0], [1, 1, -1]))
    sliced = run("StridedSlice", {"begin_mask": 1, "end_mask": 5, "shrink_axis_mask": 2}, x, begin, end, strides)
    np.testing.assert_array_equal(sliced, x[:, 1, 1::-1])


def test_arrangements():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 1, 4)
    assert run("Flatten", {}, x).shape == (2, 12)
    assert run("Squeeze", {"axes": [2]}, x).shape == (2, 3, 4)
    assert run("ExpandDims", {"axis": 0}, x).shape == (1, 2, 3, 1, 4)
    np.testing.assert_array_equal(run("Transpose", {"permutation": [0, 3, 1, 2]}, x), x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(run("Concat", {"axis": 1}, x, x), np.concatenate([x, x], 1))
    np.testing.assert_array_equal(run("Gather", {"axis": 1}, x, np.array([2, 0])), x[:, [2, 0]])
    np.testing.assert_array_equal(run("ArgMax", {"axis": 3}, x), np.full((2, 3, 1), 3))
    np.testing.assert_array_equal(run("Identity", {}, x), x)
    np.testing.assert_allclose(run("LeakyRelu", {"alpha": 0.1}, np.array([-2, 3], np.float32)), [-0.2, 3], rtol=1e-6)
    padded = run("Pad", {}, x, np.array([[0, 0], [1, 2], [0, 0], [0, 1]], np.int32))
    assert padded.shape == (2, 6, 1, 5)
    assert (padded.sum(), padded[1, 1, 0, 0]) == (x.sum(), 12)


@pytest.mark.parametrize("func, expected", [("sum", 66), ("prod", 0), ("max", 11), ("min", 0), ("mean", 5.5)])
def test_reduce(func, expected):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert run("Reduce", {"func": func, "axes": [1, 2], "keepdims": False}, x)[0] == expected
    assert run("Reduce", {"func": func, "axes": [1, 2], "keepdims": True}, x).shape == (2, 1, 1)


@pytest.mark.parametrize(
    "order, rank, expected",
    [
        ("N+C", 4, [0, 2, 3, 1]),
        ("N+C", 5, [0, 2, 3, 4, 1]),
        ("N+C", 2, [0, 1]),
        ("NC+", 4, [0, 1, 2, 3]),
        ("+CK", 4, [2, 3, 1, 0]),
        ("CK", 2, [1, 0]),
    ],
)
def test_orders_are_written_out(order, rank, expected):
    assert orders.expand(ORDERS[order], rank) == expected


X = np.zeros((1, 4, 4, 2), np.float32)


@pytest.mark.parametrize(
    "operation, fields, inputs, told",
    [
        (
            "Conv",
            {"inputs_orders": order_field("N+C", "+CK")},
            [X, np.zeros((3, 3, 5, 1), np.float32)],
            "takes 5 channels",
        ),
        (
            "Conv",
            {"inputs_orders": order_field("N+C", "+CK")},
            [X, np.zeros((5, 5, 2, 1), np.float32)],
            "larger than its input",
        ),
        ("Conv", {"inputs_orders": order_field("N+C", "+CK"), "strides": [0, 1]}, [X, X], "strides"),
        ("Conv", {"inputs_orders": order_field("N+C")}, [X, X], "inputs_orders say nothing about input 1"),
        ("Conv", {}, [X[0], X], "rank 4"),
        ("Pool", {"kernel": [2, 2], "func": "median", "inputs_orders": order_field("N+C")}, [X], "median"),
        ("Pool", {"kernel": [60000, 60000], "func": "max", "implicit_padding": "same"}, [X], "window"),
        ("BatchNorm", {"inputs_orders": order_field("N+C")}, [X] + 4 * [np.ones(3, np.float32)], "2 channels"),
        ("Reshape", {}, [X, np.array([-1, -1], np.int32)], "-1 more than once"),
        ("Reshape", {}, [X, np.array([2.0])], "list of integers"),
        ("Pad", {}, [X, np.array([[0, 0], [0, 2**30], [0, 2**30], [0, 0]])], "asks for a tensor"),
        ("Binary", {"func": "xor"}, [X, X], "xor"),
    ],
)
def test_says_what_does_not_fit(operation, fields, inputs, told):
    with pytest.raises(ValueError, match=told):
        run(operation, fields, *inputs)


def test_pad_takes_a_border_for_every_dimension():
    with pytest.raises(ValueError, match="cannot pad"):
        spatial.pad(X, [(0, 0)])
