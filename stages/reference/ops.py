"""The UFF operations: a table from the operation's name to a numpy kernel, for those of SSD graphs and their kin.

A kernel takes a node's fields and its inputs (batch included, TensorFlow's element order) and returns the output.
It raises ValueError, TypeError, LookupError or ArithmeticError where fields and shapes do not fit.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

from stages.reference import orders, spatial
from stages.reference.spatial import Fields


class Operation(NamedTuple):
    """A kernel and the number of inputs it takes, None for any number."""

    kernel: Callable[..., np.ndarray]
    inputs: Optional[int]


BINARY: Dict[str, Callable[..., np.ndarray]] = {
    "min": np.minimum,
    "max": np.maximum,
    "mul": np.multiply,
    "sub": np.subtract,
    "div": np.divide,
    "add": np.add,
    "pow": np.power,
}
UNARY: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    name: getattr(np, numpy_name)
    for name, numpy_name in [
        ("neg", "negative"),
        ("exp", "exp"),
        ("log", "log"),
        ("abs", "abs"),
        ("sqrt", "sqrt"),
        ("square", "square"),
        ("sin", "sin"),
        ("cos", "cos"),
        ("tan", "tan"),
        ("sinh", "sinh"),
        ("cosh", "cosh"),
        ("asin", "arcsin"),
        ("acos", "arccos"),
        ("atan", "arctan"),
        ("asinh", "arcsinh"),
        ("acosh", "arccosh"),
        ("atanh", "arctanh"),
        ("ceil", "ceil"),
        ("floor", "floor"),
    ]
}
UNARY["rsqrt"] = lambda x: 1 / np.sqrt(x)
REDUCE = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "mean": np.mean}
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, as in TensorFlow


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def _relu6(x: np.ndarray) -> np.ndarray:
    result = np.maximum(x, 0)
    return np.minimum(result, 6, out=result)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


ACTIVATIONS: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": _relu,
    "relu6": _relu6,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "elu": _elu,
    "selu": lambda x: np.where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softplus": lambda x: np.logaddexp(x, np.zeros((), x.dtype)),
}


def _function(table: Dict[str, Callable[..., np.ndarray]]) -> Callable[..., np.ndarray]:
    """A kernel that applies the function of ``table`` named in the field func."""

    def kernel(fields: Fields, *inputs: np.ndarray) -> np.ndarray:
        if fields.get("func") not in table:
            raise ValueError("its func %s is unknown" % fields.get("func"))
        return table[fields["func"]](*inputs)

    return kernel


def _identity(_: Fields, x: np.ndarray) -> np.ndarray:
    return x


def _leaky_relu(fields: Fields, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * x.dtype.type(fields["alpha"]))


def _softmax(fields: Fields, x: np.ndarray) -> np.ndarray:
    """Axis 0, the default, is the first one of a CHW sample: the channels, wherever the order puts them."""
    axis = fields.get("axis", 0) or orders.of_input(fields, 0, x.ndim).index(1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _fully_connected(fields: Fields, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    left = orders.transpose(x, orders.of_input(fields, 0, 2), (0, 1))
    right = orders.transpose(weights, orders.of_input(fields, 1, 2), (1, 0))
    return left @ right


def _reshape(_: Fields, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Keeps TensorFlow's element order, whatever layout TensorRT uses inside."""
    target = _ints(shape)
    if target.count(-1) > 1:
        raise ValueError("its shape %s has -1 more than once, which TensorRT's parser refuses" % target)
    return x.reshape(target)


def _flatten(_: Fields, x: np.ndarray) -> np.ndarray:
    return x.reshape(x.shape[0], -1)


def _squeeze(fields: Fields, x: np.ndarray) -> np.ndarray:
    return np.squeeze(x, tuple(fields.get("axes") or ()) or None)


def _expand_dims(fields: Fields, x: np.ndarray) -> np.ndarray:
    return np.expand_dims(x, fields["axis"])


def _transpose(fields: Fields, x: np.ndarray) -> np.ndarray:
    return x.transpose(fields["permutation"])


def _concat(fields: Fields, *inputs: np.ndarray) -> np.ndarray:
    return np.concatenate(inputs, fields["axis"])


def _stack(fields: Fields, *inputs: np.ndarray) -> np.ndarray:
    return np.stack(inputs, fields.get("axis", 0))


def _shape(_: Fields, x: np.ndarray) -> np.ndarray:
    return np.array(x.shape, np.int32)


def _strided_slice(
    fields: Fields, x: np.ndarray, begin: np.ndarray, end: np.ndarray, strides: np.ndarray
) -> np.ndarray:
    begin_mask, end_mask, shrink = (fields.get(name, 0) for name in ("begin_mask", "end_mask", "shrink_axis_mask"))
    index: List[Any] = []
    for axis, (first, last, step) in enumerate(zip(_ints(begin), _ints(end), _ints(strides))):
        bit = 1 << axis
        index.append(
            first
            if shrink & bit
            else slice(None if begin_mask & bit else first, None if end_mask & bit else last, step)
        )
    return np.asarray(x[tuple(index)])


def _reduce(fields: Fields, x: np.ndarray) -> np.ndarray:
    return REDUCE[fields["func"]](x, axis=tuple(fields["axes"]), keepdims=bool(fields.get("keepdims", False)))


def _pad(_: Fields, x: np.ndarray, widths: np.ndarray) -> np.ndarray:
    return spatial.pad(x, [(before, after) for before, after in widths.tolist()])


def _gather(fields: Fields, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return np.take(x, indices, axis=fields.get("axis", 0))


def _arg(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda fields, x: function(x, axis=fields["axis"]).astype(np.int32)


def _ints(tensor: np.ndarray) -> List[int]:
    """A 1-D integer tensor as a list."""
    if tensor.ndim != 1 or tensor.dtype.kind != "i":
        raise ValueError(
            "an input of shape %s and type %s should be a list of integers" % (list(tensor.shape), tensor.dtype)
        )
    return [int(value) for value in tensor]


OPERATIONS: Dict[str, Operation] = {
    "Identity": Operation(_identity, 1),
    "Conv": Operation(spatial.conv, 2),
    "Pool": Operation(spatial.pool, 1),
    "BatchNorm": Operation(spatial.batch_norm, 5),
    "LRN": Operation(spatial.lrn, 1),
    "FullyConnected": Operation(_fully_connected, 2),
    "Binary": Operation(_function(BINARY), 2),
    "Unary": Operation(_function(UNARY), 1),
    "Activation": Operation(_function(ACTIVATIONS), 1),
    "LeakyRelu": Operation(_leaky_relu, 1),
    "Softmax": Operation(_softmax, 1),
    "Reshape": Operation(_reshape, 2),
    "Flatten": Operation(_flatten, 1),
    "Squeeze": Operation(_squeeze, 1),
    "ExpandDims": Operation(_expand_dims, 1),
    "Transpose": Operation(_transpose, 1),
    "Concat": Operation(_concat, None),
    "Stack": Operation(_stack, None),
    "Shape": Operation(_shape, 1),
    "StridedSlice": Operation(_strided_slice, 4),
    "Reduce": Operation(_reduce, 1),
    "Pad": Operation(_pad, 2),
    "Gather": Operation(_gather, 2),
    "GatherV2": Operation(_gather, 2),
    "ArgMax": Operation(_arg(np.argmax), 1),
    "ArgMin": Operation(_arg(np.argmin), 1),
}
