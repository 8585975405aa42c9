"""Reads a UFF file into plain Python objects: nodes, fields, constants as numpy arrays.

Schema: Netron's tools/uff.proto (proto3, package uff). Unknown fields are passed over, as protobuf does.
"""

import os
from typing import Any, Callable, Dict, List, NamedTuple, Tuple, TypeVar

import numpy as np

from stages import files
from stages.job import BadInput
from stages.reference import wire
from stages.reference.wire import Malformed

MAX_BYTES = 1 << 30  # a detector has a few hundred megabytes at most; a lying length must not fill the memory
MAX_NODES = 100000
MAX_LIST = 1 << 16
MAX_DIMENSIONS = 8
DTYPES = {
    0x10008: np.dtype("<i1"),
    0x10010: np.dtype("<i2"),
    0x10020: np.dtype("<i4"),
    0x10040: np.dtype("<i8"),
    0x20010: np.dtype("<f2"),
    0x20020: np.dtype("<f4"),
}

T = TypeVar("T")


class DataType(int):
    """A value of the enumeration DataType, such as 0x20020 for FLOAT32; unknown values are kept as they are."""


class Reference(str):
    """A key of ``MetaGraph.referenced_data``."""


# The orders of one tensor: key (-1 = SPECIAL) -> the reference dimension stored at each position.
Orders = Dict[int, List[int]]


class Node(NamedTuple):
    """A node. Fields are str, float, bool, int, bytes, DataType, Orders, or lists, references resolved; a Const's
    ``values`` is a numpy array (or a str)."""

    id: str
    operation: str
    inputs: List[str]
    fields: Dict[str, Any]


class MetaGraph(NamedTuple):
    """A file: its versions, its descriptors (id, version, optional), the nodes of its one graph in file order, and the
    data that nodes refer to (bytes or lists of Orders)."""

    version: int
    descriptor_core_version: int
    descriptors: List[Tuple[str, int, bool]]
    nodes: List[Node]
    referenced_data: Dict[str, Any]


def read(path: str) -> MetaGraph:
    """The UFF file at ``path``.

    Raises:
        BadInput: it cannot be read or is not a UFF file; the message says what it is instead where that can be told.
    """
    try:
        size = os.path.getsize(path)
        if size > MAX_BYTES:
            raise BadInput("%s has %d bytes, more than any UFF file that can be read (%d)" % (path, size, MAX_BYTES))
        data = files.read(path)
    except OSError as error:
        raise BadInput("%s cannot be read: %s" % (path, error.strerror)) from error
    return parse(data, path)


def parse(data: bytes, name: str) -> MetaGraph:
    """The UFF file with the bytes ``data``; ``name`` stands for it in error messages.

    Raises:
        BadInput: the bytes are not a UFF file.
    """
    try:
        _sniff(data)
        return _resolve(_meta_graph(memoryview(data)))
    except Malformed as error:
        raise BadInput("%s is not a UFF file: %s" % (name, error)) from error


def _sniff(data: bytes) -> None:
    """Name the files that are often mistaken for a UFF file. UFF begins with the varint field 1, the byte 8."""
    if not data:
        raise Malformed("it is empty")
    if data.startswith(b"version https://git-lfs"):
        raise Malformed("it is a Git LFS pointer; fetch the file itself with: git lfs pull")
    if data[:1] == b"\n" and data.find(b"\x12", 2, 256) > 0:
        raise Malformed("it looks like a TensorFlow frozen graph; convert it first")
    if not data.startswith(b"\x08"):
        readable = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:256])
        raise Malformed("it is a text file" if readable else "its first bytes are %s" % data[:4].hex())


def _meta_graph(data: memoryview) -> MetaGraph:
    versions = {1: 0, 2: 0}
    descriptors, graphs = [], []
    referenced: Dict[str, Any] = {}
    for number, kind, value in wire.fields(data):
        if number in versions:
            versions[number] = wire.number(kind, value)
        elif number == 3:
            descriptors.append(_descriptor(wire.message(kind, value)))
        elif number == 4:
            graphs.append(_graph(wire.message(kind, value)))
        elif number == 5:
            referenced.update([_entry(wire.message(kind, value))])
    if versions[1] != 1:
        raise Malformed("its version is %d, only 1 is known" % versions[1])
    if len(graphs) != 1:
        raise Malformed("it holds %d graphs instead of one" % len(graphs))
    return MetaGraph(versions[1], versions[2], descriptors, graphs[0], referenced)


def _descriptor(data: memoryview) -> Tuple[str, int, bool]:
    name, version, optional = "", 0, False
    for number, kind, value in wire.fields(data):
        if number == 1:
            name = wire.text(kind, value)
        elif number == 2:
            version = wire.number(kind, value)
        elif number == 3:
            optional = bool(wire.number(kind, value))
    return name, version, optional


def _graph(data: memoryview) -> List[Node]:
    nodes = []
    for number, kind, value in wire.fields(data):
        if number == 2:
            nodes.append(_node(wire.message(kind, value)))
        if len(nodes) > MAX_NODES:
            raise Malformed("it holds more than %d nodes" % MAX_NODES)
    return nodes


def _node(data: memoryview) -> Node:
    name, operation = "", ""
    inputs = []
    fields: Dict[str, Any] = {}
    for number, kind, value in wire.fields(data):
        if number == 1:
            name = wire.text(kind, value)
        elif number == 2:
            inputs.append(wire.text(kind, value))
        elif number == 3:
            operation = wire.text(kind, value)
        elif number == 4:
            fields.update([_entry(wire.message(kind, value))])
    return Node(name, operation, inputs, fields)


def _entry(data: memoryview) -> Tuple[str, Any]:
    """An entry of a map<string, Data>."""
    key, content = "", None
    for number, kind, value in wire.fields(data):
        if number == 1:
            key = wire.text(kind, value)
        elif number == 2:
            content = _data(wire.message(kind, value))
    return key, content


def _data(data: memoryview) -> Any:
    """The one value of a Data message; as in protobuf the last one counts."""
    result = None
    for number, kind, value in wire.fields(data):
        if number in _DATA:
            result = _DATA[number](kind, value)
    return result


def _bool(kind: int, value: wire.Value) -> bool:
    return bool(wire.number(kind, value))


def _bools(kind: int, value: wire.Value) -> List[bool]:
    return [bool(item) for item in wire.numbers(kind, value)]


def _data_types(kind: int, value: wire.Value) -> List[DataType]:
    return [DataType(item) for item in wire.numbers(kind, value)]


def _blob(kind: int, value: wire.Value) -> bytes:
    return bytes(wire.message(kind, value))


def _orders(kind: int, value: wire.Value) -> Orders:
    result: Orders = {}
    for number, entry_kind, entry in wire.fields(wire.message(kind, value)):
        if number == 1:
            key = 0
            order: List[int] = []
            for part, part_kind, content in wire.fields(wire.message(entry_kind, entry)):
                if part == 1:
                    key = wire.number(part_kind, content)
                elif part == 2:
                    order = _list_of(wire.numbers)(part_kind, content)
            result[key] = order
    return result


def _list_of(read_some: Callable[[int, wire.Value], List[T]]) -> Callable[[int, wire.Value], List[T]]:
    """A reader of a List message, whose one field, 1, is repeated."""

    def read_list(kind: int, value: wire.Value) -> List[T]:
        result: List[T] = []
        for number, item_kind, item in wire.fields(wire.message(kind, value)):
            if number == 1:
                result.extend(read_some(item_kind, item))
            if len(result) > MAX_LIST:
                raise Malformed("a list holds more than %d items" % MAX_LIST)
        return result

    return read_list


def _one(read_item: Callable[[int, wire.Value], T]) -> Callable[[int, wire.Value], List[T]]:
    return lambda kind, value: [read_item(kind, value)]


_DATA: Dict[int, Callable[[int, wire.Value], Any]] = {
    1: wire.text,
    2: _list_of(_one(wire.text)),
    3: wire.double,
    4: _list_of(wire.doubles),
    5: _bool,
    6: _list_of(_bools),
    7: wire.number,
    8: _list_of(wire.numbers),
    9: _blob,
    100: lambda kind, value: Reference(wire.text(kind, value)),
    101: lambda kind, value: DataType(wire.number(kind, value)),
    102: _list_of(_data_types),
    103: _orders,
    104: _list_of(_one(_orders)),
}


def _resolve(meta: MetaGraph) -> MetaGraph:
    """The same graph with its references replaced by what they refer to and its constants as arrays.

    An empty Data is refused: a writer that reads a protobuf map with [] makes one, and no parser promises to bear it.
    """
    nodes = []
    for node in meta.nodes:
        fields = {name: _look_up(meta, node, name, value) for name, value in node.fields.items()}
        if node.operation == "Const":
            fields["values"] = _array(node.id, fields)
        nodes.append(node._replace(fields=fields))
    return meta._replace(nodes=nodes)


def _look_up(meta: MetaGraph, node: Node, name: str, value: Any) -> Any:
    if isinstance(value, Reference):
        if value not in meta.referenced_data:
            raise Malformed(
                "node %s refers to %s, which is missing: the file is truncated or damaged" % (node.id, value)
            )
        value = meta.referenced_data[value]
    if value is None:
        raise Malformed("field %s of node %s holds no value" % (name, node.id))
    return value


def _array(name: str, fields: Dict[str, Any]) -> Any:
    """The values of a Const: a little-endian blob in C order, read-only; a string stays one."""
    values, shape, dtype = fields.get("values"), fields.get("shape", []), fields.get("dtype")
    if isinstance(values, str):
        return values
    kind = DTYPES.get(dtype) if isinstance(dtype, int) else None
    if not isinstance(values, bytes) or not isinstance(shape, list) or kind is None:
        raise Malformed("the Const %s has no values, or a shape or dtype (%.99s) that is not valid" % (name, dtype))
    is_shape = len(shape) <= MAX_DIMENSIONS and all(isinstance(size, int) and 0 <= size <= MAX_BYTES for size in shape)
    count = 1
    for size in shape if is_shape else []:
        count *= size
    if not is_shape or count * kind.itemsize != len(values):
        raise Malformed("the Const %s of shape %.99s has %d bytes of data" % (name, shape, len(values)))
    return np.frombuffer(values, kind).reshape(shape)
