"""The same detector for pictures whose channels come the other way round: BGR, as jetson-inference feeds UFF models.

detectNet hands its UFF models blue first (c/detectNet.cpp, ``cudaTensorNormBGR``), object_detection trains on red
first. The network's first convolution has weights for each input channel; in the other order they give the same sums.
Where that convolution is depthwise (Inception's) its outputs change places too, and with them the next one's inputs.
"""

from typing import Dict, List, NamedTuple

import numpy as np

from stages.job import BadInput
from stages.reference import uff
from stages.reference.uff import Node


class _Kernel(NamedTuple):
    """A convolution's node, and its kernel, [height, width, in, out] or depthwise [height, width, in, multiplier]."""

    node: Node
    values: np.ndarray


def swapped(data: bytes, name: str) -> bytes:
    """The .uff ``data`` with the input's channels reversed; of the same length, all else byte by byte the same.

    Raises:
        BadInput: the Input is read by something else than one convolution of three channels, or a kernel's bytes
            stand in the file more than once.
    """
    graph = uff.parse(data, name)
    nodes = {node.id: node for node in graph.nodes}
    first = _reader(graph.nodes, nodes, _input(graph.nodes, name), name)
    changes = [(first.values, first.values[:, :, ::-1])]
    if "number_groups" in first.node.fields:
        second = _reader(graph.nodes, nodes, first.node.id, name)
        height, width, inputs, outputs = second.values.shape
        groups = second.values.reshape(height, width, 3, inputs // 3, outputs)
        changes.append((second.values, groups[:, :, ::-1].reshape(second.values.shape)))
    for before, after in changes:
        data = _replaced(data, before.tobytes(), np.ascontiguousarray(after).tobytes(), name)
    return data


def _input(nodes: List[Node], name: str) -> str:
    found = [node.id for node in nodes if node.operation == "Input"]
    if len(found) != 1:
        raise BadInput("%s has %d inputs instead of one; its channels cannot be swapped" % (name, len(found)))
    return found[0]


def _reader(all_nodes: List[Node], nodes: Dict[str, Node], source: str, name: str) -> _Kernel:
    """The only node that reads ``source``, which is a convolution of as many channels as there can be."""
    found = [node for node in all_nodes if source in node.inputs]
    if len(found) != 1 or found[0].operation != "Conv":
        what = ", ".join("%s (%s)" % (node.id, node.operation) for node in found[:3]) or "nothing"
        raise BadInput(
            "%s: %s is read by %s, not by one convolution; its channels cannot be swapped" % (name, source, what)
        )
    values = nodes[found[0].inputs[1]].fields.get("values")
    if not isinstance(values, np.ndarray) or values.ndim != 4 or values.shape[2] % 3:
        raise BadInput("%s: %s has no kernel of three channels; its channels cannot be swapped" % (name, found[0].id))
    return _Kernel(found[0], values)


def _replaced(data: bytes, before: bytes, after: bytes, name: str) -> bytes:
    if data.count(before) != 1:
        raise BadInput("%s holds the first convolution's weights %d times; convert again" % (name, data.count(before)))
    return data.replace(before, after)
