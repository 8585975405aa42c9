"""Inspect a .uff, a frozen graph or an engine: what is in it, and how it differs from another."""

import hashlib
import json
import os
from typing import Any, Dict, List

import numpy as np
from google.protobuf import message
from tensorflow.core.framework import types_pb2

from stages import job as jobs
from stages.convert.graph import frozen_graph as graphs
from stages.convert.graph.analysis import written_by
from stages.convert.graph.frozen_graph import Graph
from stages.convert.uff import schema
from stages.convert.uff.lint import lint
from stages.job import BadInput

_MOST_LINES = 40
_ENGINE = "An engine's inside can be read by the TensorRT that built it, on the device that it was built on."
ENGINE_SUFFIXES = (".engine", ".plan", ".trt")
_TYPES = {code: kind.name for kind, code in schema.DTYPES.items()}
Listing = Dict[str, Any]
"""What a file holds: ``kind`` (uff, graph or engine), ``file``, ``bytes``, ``sha256``, ``about`` (sentences),
``inputs``, ``outputs`` (names), ``operations`` (name -> count), ``weights`` (bytes of all constants), ``nodes`` (dicts
of ``id``, ``operation``, ``inputs`` and ``fields``, in the order of the file) and ``findings`` of the lint."""


def main(job: jobs.Job) -> None:
    """Write ``inspect.txt`` and ``inspect.json`` of the input ``file``, and what ``against`` has otherwise.

    Raises:
        BadInput: a file is none of the three, or the two are of different kinds.
    """
    listing = inspect(job.inputs["file"])
    if "against" in job.inputs:
        other = inspect(job.inputs["against"])
        if other["kind"] != listing["kind"]:
            raise BadInput(
                "%s is %s and %s is %s; only two of one kind can be compared"
                % (listing["file"], _A[listing["kind"]], other["file"], _A[other["kind"]])
            )
        listing["differences"] = differences(listing, other)
    with open(job.out("inspect.json"), "w", encoding="utf-8") as stream:
        json.dump(listing, stream, indent=1, sort_keys=True)
    with open(job.out("inspect.txt"), "w", encoding="utf-8") as stream:
        stream.write(as_text(listing))


_A = {"uff": "a UFF file", "graph": "a frozen graph", "engine": "an engine"}


def inspect(path: str) -> Listing:
    """The listing of the file at ``path``.

    Raises:
        BadInput: it is no UFF file, no frozen graph and not named like an engine.
    """
    path = graphs.input_file(path)
    name = os.path.basename(path)
    if not os.path.isfile(path):
        raise BadInput("There is no file %s" % name)
    if os.path.getsize(path) > graphs.LARGEST_FILE:
        raise BadInput("%s is larger than 1 GiB, which no detector for a Jetson Nano is" % name)
    with open(path, "rb") as stream:
        data = stream.read()
    found = {
        "file": name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "nodes": [],
        "inputs": [],
        "outputs": [],
        "operations": {},
        "weights": 0,
        "findings": [],
    }
    if name.lower().endswith(ENGINE_SUFFIXES):
        found.update(kind="engine", about=[_ENGINE])
    elif data.startswith(b"\x08"):
        found.update(listing_of(schema.parse(data, name), name))
    else:
        found.update(_graph(graphs.parse(data, name)))
    return found


def listing_of(meta: Any, name: str) -> Listing:
    """The listing of a UFF message that goes by ``name``."""
    about = [
        "UFF of version %d; extensions: %s"
        % (meta.version, ", ".join("%s %d" % (one.id, one.version) for one in meta.descriptors) or "none")
    ]
    nodes = [
        {
            "id": node.id,
            "operation": node.operation,
            "inputs": list(node.inputs),
            "fields": {name: _value(meta, node, name) for name in node.fields},
        }
        for graph in meta.graphs
        for node in graph.nodes
    ]
    outputs = [name for node in nodes if node["operation"] == "MarkOutput" for name in node["inputs"]]
    return dict(
        _summary("uff", about, nodes, "Input"),
        file=name,
        outputs=outputs,
        findings=lint(meta),
        weights=sum(len(data.blob) for data in meta.referenced_data.values()),
    )


def _value(meta: Any, node: Any, name: str) -> Any:
    """A field's value for people: types by name, orders and weights in place of what refers to them."""
    data = node.fields[name]
    kind = data.WhichOneof("data_oneof")
    if kind == "ref":
        if data.ref not in meta.referenced_data:
            return "%s, which is missing" % data.ref
        return _referenced(meta.referenced_data[data.ref], node)
    if kind in ("dtype", "dtype_list"):
        values = [data.dtype] if kind == "dtype" else data.dtype_list.val
        named = [_TYPES.get(value, "type %#x" % value) for value in values]
        return named[0] if kind == "dtype" else named
    if kind is None:
        return None
    value = getattr(data, kind)
    return list(value.val) if kind.endswith("_list") else _digest(value) if kind == "blob" else value


def _referenced(data: Any, node: Any) -> Any:
    if data.WhichOneof("data_oneof") == "dim_orders_list":
        return [
            _order(list(one.orders[key].val), "NK"[min(number, 1)])
            for number, one in enumerate(data.dim_orders_list.val)
            for key in sorted(one.orders)
        ]
    try:
        return _constant(schema.array(data, node.fields["dtype"].dtype, node.fields["shape"].i_list.val))
    except BadInput as error:
        return str(error)


def _order(dimensions: List[int], first: str) -> str:
    """Dimensions in letters: ``first``, which is N of data and K of weights, C, and + for all spatial ones."""
    return "".join({0: first, 1: "C", 2: "+"}.get(one, str(one)) for one in dimensions if one != schema.ORDER_INCREMENT)


def _constant(values: np.ndarray) -> str:
    """Short values whole, others by their range and digest: enough to tell whether two are equal."""
    if values.size <= 8:
        return str(values.tolist())
    numbers = values.dtype.kind in "fiu" and values.size
    extent = "%.6g to %.6g, " % (values.min(), values.max()) if numbers else ""
    return "%s%s" % (extent, _digest(np.ascontiguousarray(values).tobytes()))


def _digest(data: bytes) -> str:
    return "sha256 %s" % hashlib.sha256(data).hexdigest()[:16]


def _graph(graph: Graph) -> Listing:
    nodes = [
        {
            "id": node.name,
            "operation": node.op,
            "inputs": list(node.input),
            "fields": {name: _attribute(graph, node, name) for name in node.attr},
        }
        for node in graph.nodes.values()
    ]
    read = {graphs.node_name(tensor) for node in nodes for tensor in node["inputs"]}
    constants = [graph.constant(node.name) for node in graph.of_kind("Const")]
    return dict(
        _summary(
            "graph",
            ["Written by TensorFlow %s; whether it converts, audit says" % written_by(graph)],
            nodes,
            "Placeholder",
        ),
        outputs=[node["id"] for node in nodes if node["id"] not in read],
        weights=sum(int(values.nbytes) for values in constants if values is not None),
    )


def _attribute(graph: Graph, node: Any, name: str) -> Any:
    """An attribute's value for people."""
    attribute = node.attr[name]
    kind = attribute.WhichOneof("value")
    if kind == "tensor":
        values = graph.constant(node.name)
        return _constant(values) if values is not None else str(attribute.tensor)
    if kind == "type":
        return _type(attribute.type)
    if kind == "shape":
        return _shape(attribute.shape)
    if kind == "s":
        return attribute.s.decode("utf-8", "replace")
    if kind == "list":
        filled = attribute.list.ListFields()
        values = list(filled[0][1]) if filled else []
        return [
            one.decode("utf-8", "replace")
            if isinstance(one, bytes)
            else _shape(one)
            if isinstance(one, message.Message)
            else one
            for one in values
        ]
    return getattr(attribute, kind) if kind in ("i", "f", "b", "placeholder") else kind


def _type(code: int) -> str:
    known = types_pb2.DataType.values()
    return types_pb2.DataType.Name(code)[len("DT_") :].lower() if code in known else "type %d" % code


def _shape(shape: Any) -> Any:
    return "unknown" if shape.unknown_rank else [dim.size for dim in shape.dim]


def _summary(kind: str, about: List[str], nodes: List[Dict[str, Any]], entry: str) -> Listing:
    operations: Dict[str, int] = {}
    for node in nodes:
        operations[node["operation"]] = operations.get(node["operation"], 0) + 1
    return {
        "kind": kind,
        "about": about,
        "nodes": nodes,
        "operations": operations,
        "inputs": [node["id"] for node in nodes if node["operation"] == entry],
    }


def differences(first: Listing, second: Listing) -> List[str]:
    """What two listings differ in, node by node; [] where all nodes, fields, constants and their order are equal."""
    if first["kind"] == "engine":
        return [] if first["sha256"] == second["sha256"] else ["the engines' bytes differ"]
    ours, theirs = ({node["id"]: node for node in listing["nodes"]} for listing in (first, second))
    found = []
    for one, nodes, others in ((first, ours, theirs), (second, theirs, ours)):
        found += [
            'only %s has node "%s" (%s)' % (one["file"], name, node["operation"])
            for name, node in nodes.items()
            if name not in others
        ]
    shared = [name for name in ours if name in theirs]
    for name in shared:
        found += ['node "%s": %s' % (name, what) for what in _node_differences(ours[name], theirs[name])]
    for part in ("about", "outputs"):
        if first[part] != second[part]:
            found.append("%s: %s, against %s" % (part, _words(first[part]), _words(second[part])))
    if shared != [name for name in theirs if name in ours]:
        found.append("the nodes that both have are in another order")
    return found


def _node_differences(first: Dict[str, Any], second: Dict[str, Any]) -> List[str]:
    parts = [(part, first[part], second[part]) for part in ("operation", "inputs")]
    parts += [
        (name, first["fields"].get(name), second["fields"].get(name))
        for name in sorted(set(first["fields"]) | set(second["fields"]))
    ]
    return ["%s is %s, against %s" % (name, _words(one), _words(other)) for name, one, other in parts if one != other]


def as_text(listing: Listing) -> str:
    """The listing for people."""
    lines = [
        "%s: %s, %d bytes, sha256 %s" % (listing["file"], _A[listing["kind"]], listing["bytes"], listing["sha256"])
    ]
    lines += listing["about"]
    if listing["nodes"]:
        lines += [
            "Inputs: %s" % _words(listing["inputs"]),
            "Outputs: %s" % _words(listing["outputs"]),
            "Operations: %s"
            % ", ".join("%d %s" % (count, name) for name, count in sorted(listing["operations"].items())),
            "Constants: %d bytes" % listing["weights"],
            "",
            "Nodes, in the order of the file:",
        ]
        lines += [line for node in listing["nodes"] for line in _node_lines(node)]
    if listing["kind"] == "uff":
        lines += ["", "What TensorRT's parser would object to: %s" % ("" if listing["findings"] else "nothing known")]
        lines += ["  " + finding for finding in listing["findings"]]
    if "differences" in listing:
        lines += ["", "Differences: %s" % ("" if listing["differences"] else "none")]
        lines += ["  " + one for one in listing["differences"][:_MOST_LINES]]
        more = len(listing["differences"]) - _MOST_LINES
        lines += ["  and %d more, which --json has" % more] if more > 0 else []
    return "\n".join(lines) + "\n"


def _node_lines(node: Dict[str, Any]) -> List[str]:
    reads = " <- %s" % ", ".join(node["inputs"]) if node["inputs"] else ""
    return ["  %s  %s%s" % (node["operation"], node["id"], reads)] + [
        "      %s: %s" % (name, _words(value)) for name, value in sorted(node["fields"].items())
    ]


def _words(value: Any) -> str:
    """A value as people read it: floats with the digits that float32 has."""
    if isinstance(value, list):
        return "[%s]" % ", ".join(map(_words, value))
    if isinstance(value, float):
        return "%.7g" % value
    return "missing" if value is None else str(value)


if __name__ == "__main__":
    jobs.run(main)
