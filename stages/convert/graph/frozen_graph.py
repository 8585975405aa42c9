"""A frozen TensorFlow graph as nodes and edges: reading the file, walking the data flow, reading constants.

Nothing here looks at what a node is called, only at what it is connected to.
"""

import collections
import os
import re
from typing import Any, Callable, Dict, Iterable, List, Optional, Set

import numpy as np
from google.protobuf import message
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import tensor_util

from stages.job import BadInput

GRAPH_FILE = "frozen_inference_graph.pb"
LARGEST_FILE = 1 << 30
LARGEST_CONSTANT = 1 << 26  # values; the largest of an SSD has a few million
_MOST_OUTPUTS = 1 << 16  # of one node; TensorFlow crashes on an index of 2**31
_INDEX = re.compile(r"[0-9]{1,9}\Z")  # isdigit takes "\u00b2" for one, int does not
_GIT_LFS_HEAD = b"version https://git-lfs"
_TRAINING_OPS = {
    "VariableV2",
    "Variable",
    "VarHandleOp",
    "Assign",
    "SaveV2",
    "RestoreV2",
    "ApplyMomentum",
    "ApplyAdam",
    "ApplyRMSProp",
    "IteratorGetNext",
    "FusedBatchNormGrad",
    "Conv2DBackpropFilter",
}


def node_name(tensor: str) -> str:
    """The node that makes ``tensor``: ``^a`` (control) and ``a:1`` (second output) are made by ``a``."""
    return tensor.lstrip("^").split(":")[0]


def output_index(tensor: str) -> int:
    """Which output of its node ``tensor`` is."""
    return int(tensor.split(":")[1]) if ":" in tensor else 0


class Graph:
    """A GraphDef with its edges in both directions.

    Attributes:
        definition: the GraphDef.
        nodes: name -> NodeDef, in file order.
        consumers: name -> the nodes that read any of its outputs as data.
    """

    def __init__(self, definition: Any) -> None:
        self.definition = definition
        self.nodes: Dict[str, Any] = collections.OrderedDict((node.name, node) for node in definition.node)
        self.consumers: Dict[str, List[Any]] = collections.defaultdict(list)
        for node in definition.node:
            for name in collections.OrderedDict.fromkeys(map(node_name, data_inputs(node))):
                self.consumers[name].append(node)

    def maker(self, tensor: str) -> Any:
        """The node that makes ``tensor``, Identity nodes skipped."""
        node = self.nodes[node_name(tensor)]
        for _ in range(len(self.nodes)):
            if node.op != "Identity" or not data_inputs(node):
                break
            node = self.nodes[node_name(data_inputs(node)[0])]
        return node

    def constant(self, tensor: str) -> Optional[np.ndarray]:
        """The value of ``tensor`` where it is a constant (also behind Identity), else None."""
        node = self.maker(tensor)
        if node.op != "Const":
            return None
        try:
            return tensor_util.MakeNdarray(node.attr["value"].tensor)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            raise BadInput('The constant "%s" of the graph is damaged; export the graph again' % node.name) from None

    def ancestors(self, tensors: Iterable[str], stop: Iterable[str] = ()) -> Set[str]:
        """Names of the nodes whose data flows into ``tensors``, their makers included, ``stop`` and beyond left out."""
        return self._closure(tensors, stop, lambda name: data_inputs(self.nodes[name]))

    def descendants(self, tensors: Iterable[str], stop: Iterable[str] = ()) -> Set[str]:
        """Names of the nodes that the data of ``tensors`` flows into, their makers included, ``stop`` left out."""
        return self._closure(tensors, stop, lambda name: [node.name for node in self.consumers[name]])

    def _closure(self, tensors: Iterable[str], stop: Iterable[str], following: Callable[[str], List[str]]) -> Set[str]:
        seen = set(map(node_name, stop))
        found: Set[str] = set()
        stack = [node_name(tensor) for tensor in tensors]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                found.add(name)
                stack.extend(map(node_name, following(name)))
        return found

    def of_kind(self, *ops: str) -> List[Any]:
        """The nodes of the operations ``ops``, in file order."""
        return [node for node in self.nodes.values() if node.op in ops]


def data_inputs(node: Any) -> List[str]:
    """The inputs of ``node`` without control inputs."""
    return [name for name in node.input if not name.startswith("^")]


def input_file(path: str) -> str:
    """The graph file of ``path``, which is a .pb file or an export folder."""
    return os.path.join(path, GRAPH_FILE) if os.path.isdir(path) else path


def read(path: str) -> Graph:
    """The frozen graph in the file ``path``, or in the export folder ``path``.

    Raises:
        BadInput: the file is missing, not a graph, damaged, or a graph that was not frozen for inference.
    """
    path = input_file(path)
    where = os.path.basename(path)
    if not os.path.isfile(path):
        raise BadInput(
            "There is no frozen graph at %s; give the one that object_detection's exporter writes (a checkpoint or a"
            " SavedModel is none), or run export first" % path
        )
    if os.path.getsize(path) > LARGEST_FILE:
        raise BadInput("%s is larger than 1 GiB, which no SSD graph for a Jetson Nano is" % where)
    with open(path, "rb") as stream:
        return parse(stream.read(), where)


def parse(data: bytes, where: str) -> Graph:
    """``data`` as a checked graph; ``where`` names the file in messages.

    Raises:
        BadInput: as :func:`read`.
    """
    _refuse_other_files(data, where)
    definition = graph_pb2.GraphDef()
    try:
        definition.ParseFromString(data)
        is_graph = len(definition.node) > 1
    except (message.DecodeError, UnicodeDecodeError):
        is_graph = False
    if not is_graph and _is_saved_model(data):
        raise BadInput(
            "%s is a SavedModel or a checkpoint's .meta file; give the frozen_inference_graph.pb that "
            "the exporter writes beside it" % where
        )
    if not is_graph:
        raise BadInput("%s is not a TensorFlow graph, or it is truncated; copy it again as a binary file" % where)
    _check_edges(definition, where)
    _check_constants(definition, where)
    _check_texts(definition, where)
    _refuse_training(definition, where)
    return Graph(definition)


def _refuse_other_files(data: bytes, where: str) -> None:
    if not data:
        raise BadInput("%s is empty; copy it again" % where)
    if data.startswith(_GIT_LFS_HEAD):
        raise BadInput("%s is a Git LFS pointer, not the graph itself; run 'git lfs pull' where it came from" % where)
    head = data[:4096]
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        raise BadInput("%s is a text file; a frozen graph is a binary file (frozen_inference_graph.pb)" % where)


def _is_saved_model(data: bytes) -> bool:
    try:
        saved = saved_model_pb2.SavedModel.FromString(data)
        if any(len(meta.graph_def.node) for meta in saved.meta_graphs):
            return True
    except (message.DecodeError, UnicodeDecodeError):
        pass
    try:
        return len(meta_graph_pb2.MetaGraphDef.FromString(data).graph_def.node) > 0
    except (message.DecodeError, UnicodeDecodeError):
        return False


def _check_edges(definition: Any, where: str) -> None:
    names = [node.name for node in definition.node]
    known = set(names)
    if len(known) != len(names):
        raise BadInput("%s holds two nodes of one name; export the graph again" % where)
    for node in definition.node:
        for tensor in node.input:
            index = tensor.split(":")[1:]
            is_index = len(index) < 2 and all(_INDEX.match(part) and int(part) < _MOST_OUTPUTS for part in index)
            if node_name(tensor) not in known or not is_index:
                raise BadInput(
                    '%s is damaged or truncated: node "%s" reads "%s", which is not in the file; '
                    "export the graph again" % (where, node.name, tensor)
                )


def _check_constants(definition: Any, where: str) -> None:
    """Sizes before values: a few bytes may claim a tensor that fills the memory."""
    for node in definition.node:
        if node.op == "Const":
            sides = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
            count = 1
            for side in sides:
                count *= side
            if min(sides + [0]) < 0 or count > LARGEST_CONSTANT:
                raise BadInput(
                    '%s is damaged: the constant "%s" claims the shape %s; export the graph again'
                    % (where, node.name, sides)
                )


def _check_texts(definition: Any, where: str) -> None:
    """TensorFlow 1.12 crashes when it wants to name an attribute that is not UTF-8."""
    for node in definition.node:
        for name, value in node.attr.items():
            try:
                b"".join([value.s] + list(value.list.s)).decode("utf-8")
            except UnicodeDecodeError:
                raise BadInput(
                    '%s is damaged: the attribute %s of node "%s" is not text; export the graph again'
                    % (where, name, node.name)
                ) from None


def _refuse_training(definition: Any, where: str) -> None:
    for node in definition.node:
        if node.op in _TRAINING_OPS or (node.op.startswith("FusedBatchNorm") and node.attr["is_training"].b):
            raise BadInput(
                '%s is a training graph (node "%s" is %s); freeze it for inference with export '
                "(export_inference_graph)" % (where, node.name, node.op)
            )
