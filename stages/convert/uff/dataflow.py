"""What TensorRT's UFF parser makes of each tensor, its dimensions and their order, and where that goes wrong.

As NVIDIA's UffParser 8.5.3 was seen to do it: inside, pictures are CHW. A tensor that the file has channels last is
transposed when an operation "destroys its order", a Reshape above all; what comes out is in TensorFlow's order of
elements and has no order of its own any more. Sources: the operator page of TensorRT 6.0.1 and recorded calls of the
parser of 8.5.3; 7.1 to 8.2 are the same parser, by all that NVIDIA announced.
"""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from stages.convert.rules import said

LAST, FIRST, NONE = "channels last", "channels first", "no order"
DESTROY_ORDER = ("Reshape", "Reduce", "ExpandDims", "Softmax", "ArgMax", "ArgMin", "Flatten")
WINDOWS = ("Conv", "ConvTranspose", "Pool", "BatchNorm", "LRN")
Dims = Tuple[int, ...]
Findings = List[Tuple[Any, str]]


class Tensor(NamedTuple):
    """A tensor as the parser knows it.

    Attributes:
        dims: without batch, (C, H, W) for a picture.
        order: where the file has the channels; a constant and what was reshaped have none.
        value: of a constant.
        picture: it is the network's Input, whose order the parser does not know yet.
    """

    dims: Dims
    order: str = NONE
    value: Optional[np.ndarray] = None
    picture: bool = False

    @property
    def volume(self) -> int:
        return int(np.prod(self.dims, dtype=np.int64))


class Dataflow:
    """Follows the nodes, each after its inputs; ``findings`` holds (node, sentence) for what the parser does wrong.

    What is not known, such as the output of a plugin, is followed no further.

    Args:
        nodes: of the graph, by id; every input is among them, and there is no cycle.
        field: gives a node's Data by its name, an empty one where it has none.
        constant: gives the value of a Const node by its id, or None.
        order_of: says where a node's ``inputs_orders`` have the channels of its first input: LAST, FIRST or nothing.
    """

    def __init__(
        self,
        nodes: Dict[str, Any],
        field: Callable[[Any, str], Any],
        constant: Callable[[str], Optional[np.ndarray]],
        order_of: Callable[[Any], str],
    ) -> None:
        self._nodes, self._field, self._constant, self._order_of = nodes, field, constant, order_of
        self.tensors: Dict[str, Optional[Tensor]] = {}
        self.findings: Findings = []
        for node in self._sorted():
            self.tensors[node.id] = self._made(node)
        self._check_readers()

    def _sorted(self) -> Iterator[Any]:
        done: Dict[str, bool] = {}
        stack = [(name, False) for name in reversed(list(self._nodes))]
        while stack:
            name, inputs_done = stack.pop()
            if inputs_done:
                yield self._nodes[name]
            elif name not in done:
                done[name] = True
                stack.append((name, True))
                stack.extend((source, False) for source in self._nodes[name].inputs)

    def _find(self, node: Any, rule: str, words: str) -> None:
        self.findings.append((node, said(rule, words)))

    def _made(self, node: Any) -> Optional[Tensor]:
        inputs = [self.tensors[name] for name in node.inputs]
        rule = _RULES.get(node.operation)
        known = [one for one in inputs if one is not None]
        if rule is None or len(known) < len(inputs):
            return None
        return rule(self, node, known)

    def _input(self, node: Any, _inputs: List[Tensor]) -> Optional[Tensor]:
        shape = list(self._field(node, "shape").i_list.val)
        return Tensor(tuple(shape[1:]), picture=True) if len(shape) == 4 and min(shape[1:]) > 0 else None

    def _const(self, node: Any, _inputs: List[Tensor]) -> Optional[Tensor]:
        value = self._constant(node.id)
        return None if value is None else Tensor(tuple(value.shape), value=value)

    def _convolution(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        x, kernel = (inputs + [Tensor(())])[:2]
        size = self._windowed(node, x, kernel.dims[:2])
        if size is None or kernel.value is None or len(kernel.dims) != 4:
            return None
        groups = self._field(node, "number_groups").i
        taken = groups or kernel.dims[2]
        if taken != x.dims[0]:
            self._find(node, "channels", "its kernel is for %d channels, its input has %d" % (taken, x.dims[0]))
            return None
        maps = groups * kernel.dims[3] if groups else kernel.dims[3]
        return Tensor((maps,) + size, self._order_of(node) or x.order)

    def _pool(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        size = self._windowed(node, inputs[0], tuple(self._field(node, "kernel").i_list.val))
        return None if size is None else Tensor(inputs[0].dims[:1] + size, self._order_of(node) or inputs[0].order)

    def _windowed(self, node: Any, x: Tensor, kernel: Dims) -> Optional[Dims]:
        """Height and width of what a window makes of a picture; None where that cannot be said."""
        if len(x.dims) != 3 or len(kernel) != 2:
            return None
        if x.order == NONE and not x.picture:
            self._find(
                node,
                "no-order",
                "it reads what has no order any more: its %s is taken for channels first" % list(x.dims),
            )
            return None
        strides, padding, dilation = (
            list(self._field(node, name).i_list.val) or default
            for name, default in (("strides", [1, 1]), ("padding", [0, 0]), ("dilation", [1, 1]))
        )
        if any(len(pair) != 2 for pair in (strides, padding, dilation)) or min(strides) < 1:
            return None
        sizes = []
        for side, stride, pad, step, edge in zip(x.dims[1:], strides, padding, dilation, kernel):
            if self._field(node, "implicit_padding").s == "same":
                sizes.append(-(-side // stride))
            else:
                sizes.append((side + 2 * pad - (edge - 1) * step - 1) // stride + 1)
        if min(sizes) < 1:
            self._find(node, "window-size", "its window is larger than its input %s" % list(x.dims))
            return None
        return sizes[0], sizes[1]

    def _batch_norm(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        x = inputs[0]
        if any(one.volume != x.dims[0] for one in inputs[1:]):
            sizes = ", ".join(str(one.volume) for one in inputs[1:])
            self._find(node, "batch-norm", "its constants hold %s numbers for %d channels" % (sizes, x.dims[0]))
        return Tensor(x.dims, self._order_of(node) or x.order)

    def _same(self, _node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        return inputs[0]._replace(value=None)

    def _binary(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        if len(inputs) != 2:
            return None
        left, right = inputs
        if left.value is None and right.value is None:
            if left.dims != right.dims:
                self._find(node, "binary-dims", "its inputs are %s and %s" % (list(left.dims), list(right.dims)))
            return left if left.order != NONE else right
        if left.value is not None and right.value is not None:
            return None
        function = self._field(node, "func").s
        if function in ("min", "max"):
            self._find(node, "min-max", "%s with a constant is refused (Unsupported binary op)" % function)
        if function in ("sub", "div", "pow") and left.value is not None:
            self._find(
                node, "constant-left", "%s with the constant on the left is refused (Unsupported binary op)" % function
            )
        x, constant = (right, left) if left.value is not None else (left, right)
        self._check_constant(node, x, constant)
        return x

    def _check_constant(self, node: Any, x: Tensor, constant: Tensor) -> None:
        """A constant is for all (1 number), for each channel, or for each element; what counts is how many it holds."""
        count, channels = constant.volume, x.dims[0] if x.dims else 0
        if count in (1, x.volume):
            return
        has_channels = x.order != NONE or x.picture
        if not has_channels or count != channels:
            self._find(
                node,
                "constant-count",
                "its constant holds %d numbers; one, %sor %d are taken (Invalid scale mode)"
                % (count, "%d for the channels " % channels if has_channels else "", x.volume),
            )
        elif not _is_for_channels(constant.dims, x.order):
            self._find(
                node,
                "constant-shape",
                "its constant %s is taken channel by channel, which TensorFlow does not" % list(constant.dims),
            )

    def _concat(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        axis, x = self._field(node, "axis").i, inputs[0]
        if not 1 <= axis <= len(x.dims):
            self._find(
                node, "concat-axis", "its axis is %d; the batch counts, and negative ones are out of bounds" % axis
            )
            return None
        place = (axis - 1 + (1 if x.order == LAST else 0)) % len(x.dims) if len(x.dims) == 3 else axis - 1
        others = {one.dims[:place] + one.dims[place + 1 :] for one in inputs}
        if len(others) > 1:
            self._find(
                node,
                "concat-dims",
                "its inputs %s differ in more than axis %d" % ([list(one.dims) for one in inputs], axis),
            )
            return None
        total = sum(one.dims[place] for one in inputs)
        return Tensor(x.dims[:place] + (total,) + x.dims[place + 1 :], x.order)

    def _reshape(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        if len(inputs) != 2 or inputs[1].value is None or inputs[0].picture:
            return None
        x, target = inputs[0], [int(size) for size in inputs[1].value.reshape(-1)][1:]
        before = _in_the_files_order(x)
        sizes = [before[place] if size == 0 and place < len(before) else size for place, size in enumerate(target)]
        rest = int(np.prod([size for size in sizes if size != -1], dtype=np.int64))
        if sizes.count(-1) == 1 and rest and x.volume % rest == 0:
            sizes[sizes.index(-1)] = x.volume // rest
        made = int(np.prod(sizes, dtype=np.int64))
        if made != x.volume or min(sizes or [1]) < 1:
            self._find(node, "reshape-volume", "it makes %s of %d numbers (Volume mismatch)" % (target, x.volume))
            return None
        return Tensor(tuple(sizes) + (1,) * (3 - len(sizes)))

    def _softmax(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        dims = _in_the_files_order(inputs[0])
        if any(size > 1 for size in dims[1:]):
            self._find(
                node,
                "softmax",
                "it runs over the first of the dimensions %s, whatever axis and inputs_orders say" % list(dims),
            )
        return Tensor(dims)

    def _squeeze(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        self._find(node, "squeeze", "Squeeze is not implemented: it only gives what it reads another name")
        return inputs[0]

    def _pad(self, node: Any, inputs: List[Tensor]) -> Optional[Tensor]:
        if inputs[0].picture:
            self._find(
                node, "pad-input", "it pads the Input, of which the parser does not know yet where the channels are"
            )
        pads = inputs[1].value if len(inputs) == 2 else None
        if pads is None or pads.ndim != 2:
            self._find(node, "pad-dims", "its pads are not a constant with a pair for each dimension")
            return None
        if (pads.any(axis=1)).sum() > 2:
            self._find(node, "pad-dims", "it pads %d dimensions, two are the most" % pads.any(axis=1).sum())
        return None

    def _check_readers(self) -> None:
        readers: Dict[str, List[Any]] = {}
        for node in self._nodes.values():
            for name in set(node.inputs):
                readers.setdefault(name, []).append(node)
        for name, found in readers.items():
            tensor = self.tensors.get(name)
            turns = [node for node in found if node.operation in DESTROY_ORDER or node.operation.startswith("_")]
            if tensor is not None and tensor.order == LAST and turns and len(found) > 1:
                others = ", ".join('"%s"' % node.id for node in found if node is not turns[0])
                self._find(
                    turns[0],
                    "reshape-readers",
                    'it reads "%s", and so does %s: one of them gets it transposed, in silence' % (name, others),
                )


def _is_for_channels(dims: Dims, order: str) -> bool:
    """Whether TensorFlow too adds a constant of these dimensions channel by channel."""
    wide = [place for place, size in enumerate(dims) if size > 1]
    if len(wide) != 1:
        return False
    from_behind = len(dims) - wide[0]
    return from_behind == (3 if order == FIRST else 1)


def _in_the_files_order(x: Tensor) -> Dims:
    return x.dims[1:] + x.dims[:1] if x.order == LAST and len(x.dims) == 3 else x.dims


_RULES = {
    "Input": Dataflow._input,
    "Const": Dataflow._const,
    "Conv": Dataflow._convolution,
    "Pool": Dataflow._pool,
    "BatchNorm": Dataflow._batch_norm,
    "Activation": Dataflow._same,
    "LeakyRelu": Dataflow._same,
    "Unary": Dataflow._same,
    "Identity": Dataflow._same,
    "Binary": Dataflow._binary,
    "Concat": Dataflow._concat,
    "Reshape": Dataflow._reshape,
    "Softmax": Dataflow._softmax,
    "Squeeze": Dataflow._squeeze,
    "Pad": Dataflow._pad,
}
