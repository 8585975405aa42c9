"""Runs a .uff on the CPU: a plan made once from the file, then one pass over it for each input."""

from functools import partial
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple, Union

import numpy as np

from stages.job import BadInput
from stages.reference import orders, plugins, uff
from stages.reference.arithmetic import PLAIN, Arithmetic
from stages.reference.ops import OPERATIONS
from stages.reference.uff import MetaGraph, Node

PLUGINS = {
    "_GridAnchor_TRT": plugins.grid_anchor,
    "_GridAnchorRect_TRT": partial(plugins.grid_anchor, rectangles=True),
    "_FlattenConcat_TRT": plugins.flatten_concat,
    "_NMS_TRT": plugins.nms,
}
ANCHORS = ("_GridAnchor_TRT", "_GridAnchorRect_TRT")
OUTPUT_COUNTS = {"_NMS_TRT": 2}
# What a kernel raises for fields or shapes that do not fit.
UNFIT = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)

Values = Dict[str, List[np.ndarray]]


class UffInterpreter:
    """A .uff file, ready to run.

    Tensors keep TensorFlow's element order. Where the Input is NCHW, as TensorRT wants it, but the first convolution
    takes NHWC, the input is transposed on entry. A node that names a plugin takes all its outputs, in order.

    Args:
        path: the .uff file.
        arithmetic: how the plugins compute; by default as those of the newest TensorRT that a Nano has.

    Raises:
        BadInput: not a UFF file, or a graph that cannot be run; the message names the file and the node.
    """

    def __init__(self, path: str, arithmetic: Arithmetic = PLAIN) -> None:
        self.path = path
        self.arithmetic = arithmetic
        graph = uff.read(path)
        self.nodes = self._index(graph)
        marked = [node for node in graph.nodes if node.operation == "MarkOutput"]
        self.results = [name for node in marked for name in node.inputs]
        if not self.results:
            raise BadInput("%s has no MarkOutput node, so no output" % path)
        self.plan = self._sort(self.results)
        self.inputs = self._inputs()
        self._channels_last = {name for name, node in self.inputs.items() if self._wants_channels_last(node)}
        self.constants = self._fold()

    @property
    def input_shapes(self) -> Dict[str, Tuple[int, ...]]:
        """The shapes that :meth:`run` takes by the inputs' names, (1, 3, 300, 300); () where the file does not say."""
        return {name: _shape(node) for name, node in self.inputs.items()}

    @property
    def outputs(self) -> List[str]:
        """The names of the arrays that :meth:`run` returns: NMS and NMS_1 for a detector."""
        return [
            name
            for result in self.results
            for name in _names(result, OUTPUT_COUNTS.get(self.nodes[result].operation, 1))
        ]

    def run(self, x: Union[np.ndarray, Mapping[str, np.ndarray]], keep: Iterable[str] = ()) -> Dict[str, np.ndarray]:
        """The outputs by name, and those of the nodes in ``keep``; the second output of node A is A_1.

        Args:
            x: float32 of the shape in ``input_shapes``, by the input's name; alone where there is but one input.
            keep: names of nodes that an output depends on.

        Raises:
            BadInput: ``x`` has another shape or name, ``keep`` names no such node, or a node cannot be computed.
        """
        wanted = list(self.results) + list(keep)
        self._check_names(wanted)
        values = dict(self.constants)
        values.update({name: [self._enter(name, array)] for name, array in self._named(x).items()})
        uses = _count_uses(self.plan, wanted)
        for node in self.plan:
            if node.id not in values:
                values[node.id] = self._compute(node, values)
            for name in node.inputs:
                uses[name] -= 1
                if not uses[name]:
                    del values[name]
        return {key: value for name in wanted for key, value in zip(_names(name, len(values[name])), values[name])}

    def _check_names(self, wanted: Sequence[str]) -> None:
        planned = {node.id for node in self.plan}
        for name in wanted:
            if name not in planned:
                raise BadInput("%s has no node %s that an output depends on" % (self.path, name))

    def _index(self, graph: MetaGraph) -> Dict[str, Node]:
        nodes: Dict[str, Node] = {}
        for node in graph.nodes:
            if node.id in nodes:
                raise BadInput("%s: two nodes have the name %s" % (self.path, node.id))
            nodes[node.id] = node
        return nodes

    def _sort(self, results: Sequence[str]) -> List[Node]:
        """The nodes that ``results`` depend on, each after its inputs (a depth-first search without recursion)."""
        done: Dict[str, Node] = {}
        open_nodes: Set[str] = set()
        stack = [(name, False) for name in reversed(results)]
        while stack:
            name, inputs_done = stack.pop()
            if name in done:
                continue
            if inputs_done:
                done[name] = self.nodes[name]
                continue
            if name in open_nodes:
                raise BadInput("%s: node %s depends on itself" % (self.path, name))
            open_nodes.add(name)
            stack.append((name, True))
            stack.extend((source, False) for source in reversed(self._known(name).inputs) if source not in done)
        return list(done.values())

    def _known(self, name: str) -> Node:
        """The node of that name, with an operation that the interpreter has and as many inputs as that takes."""
        if name not in self.nodes:
            raise BadInput("%s: a node takes its input from %s, which is missing" % (self.path, name))
        node = self.nodes[name]
        if node.operation in ("Input", "Const"):
            expected: Optional[int] = 0
        elif node.operation in OPERATIONS:
            expected = OPERATIONS[node.operation].inputs
        elif node.operation in PLUGINS:
            expected = None
        else:
            raise BadInput("%s: node %s has the unsupported operation %s" % (self.path, name, node.operation))
        if expected is not None and expected != len(node.inputs):
            raise BadInput(
                "%s: node %s (%s) has %d inputs instead of %d"
                % (self.path, name, node.operation, len(node.inputs), expected)
            )
        return node

    def _inputs(self) -> Dict[str, Node]:
        found = {node.id: node for node in self.plan if node.operation == "Input"}
        if not found:
            raise BadInput("%s has no input" % self.path)
        for name, node in found.items():
            shape = node.fields.get("shape", [])
            if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
                raise BadInput("%s: input %s has the shape %s instead of a list of sizes" % (self.path, name, shape))
        return found

    def _wants_channels_last(self, entry: Node) -> bool:
        """Whether an input is NCHW but the first node with a dimension order that it reaches takes NHWC."""
        shape, reached = _shape(entry), {entry.id}
        for node in self.plan:
            if not reached.intersection(node.inputs):
                continue
            reached.add(node.id)
            if "inputs_orders" not in node.fields or len(shape) != 4:
                continue
            order = self._guard(node, orders.of_input, node.fields, 0, 4)
            weights = np.asarray(self.nodes[node.inputs[1]].fields.get("values") if node.operation == "Conv" else 0)
            channels = weights.shape[2] if weights.ndim == 4 else 3
            return tuple(order) == orders.NHWC and shape[1] == channels
        return False

    def _fold(self) -> Values:
        """The values of all nodes that do not depend on the input."""
        values: Values = {}
        for node in self.plan:
            if node.operation == "Const":
                values[node.id] = [self._guard(node, _numeric, node.fields)]
            elif node.operation != "Input" and all(name in values for name in node.inputs):
                values[node.id] = self._compute(node, values)
        return values

    def _named(self, x: Union[np.ndarray, Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        """``x`` by the names of the inputs."""
        if isinstance(x, np.ndarray) and len(self.inputs) == 1:
            return {name: x for name in self.inputs}
        given = [] if isinstance(x, np.ndarray) else list(x)
        if isinstance(x, np.ndarray) or set(given) != set(self.inputs):
            raise BadInput(
                "%s has the inputs %s; given are %s"
                % (self.path, ", ".join(sorted(self.inputs)), ", ".join(sorted(given)) or "arrays without names")
            )
        return x

    def _enter(self, name: str, x: np.ndarray) -> np.ndarray:
        shape = _shape(self.inputs[name])
        fits = len(shape) == x.ndim and all(size in (-1, given) for size, given in zip(shape, x.shape))
        if x.dtype != np.float32 or (shape and not fits):
            raise BadInput(
                "%s: input %s takes float32 %s, not %s %s" % (self.path, name, list(shape), x.dtype, list(x.shape))
            )
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if name in self._channels_last else x

    def _compute(self, node: Node, values: Values) -> List[np.ndarray]:
        inputs = [array for name in node.inputs for array in values[name]]
        if node.operation in ANCHORS:
            inputs = []  # a constant that keeps some parsers from crashing; the plugin does not read it
        options = {"arithmetic": self.arithmetic} if node.operation in (*ANCHORS, "_NMS_TRT") else {}
        kernel = PLUGINS.get(node.operation) or OPERATIONS[node.operation].kernel
        with np.errstate(all="ignore"):  # the arithmetic of the device raises no alarm either
            result = self._guard(node, kernel, node.fields, *inputs, **options)
        return result if isinstance(result, list) else [result]

    def _guard(self, node: Node, function: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except UNFIT as error:
            reason = "its field %s is missing" % error.args if isinstance(error, KeyError) else str(error)
            raise BadInput(
                "%s: node %s (%s) cannot be computed: %s" % (self.path, node.id, node.operation, reason)
            ) from error


def _shape(entry: Node) -> Tuple[int, ...]:
    return tuple(entry.fields.get("shape") or ())


def _numeric(fields: Dict[str, Any]) -> np.ndarray:
    if not isinstance(fields["values"], np.ndarray):
        raise ValueError("its values are text")
    return fields["values"]


def _names(node: str, count: int) -> List[str]:
    """The names of a node's outputs, as TensorRT makes them: A, A_1, A_2."""
    return [node] + ["%s_%d" % (node, index) for index in range(1, count)]


def _count_uses(plan: Sequence[Node], wanted: Iterable[str]) -> Dict[str, int]:
    """How often each value is needed, so that it can be let go after its last use."""
    uses = {node.id: 0 for node in plan}
    for name in [source for node in plan for source in node.inputs] + list(wanted):
        uses[name] += 1
    return uses
