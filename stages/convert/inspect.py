"""Inspect a .uff, a frozen graph or an engine: what is in it, and how it differs from another."""

import hashlib
import json
import os
from typing import Any, Dict, List

from google.protobuf import message
from tensorflow.core.framework import types_pb2

from stages.convert.graph import frozen_graph as graphs
from stages.convert.graph.analysis import written_by
from stages.convert.graph.frozen_graph import Graph
from stages.convert.uff import schema
from stages.convert.uff.inspection import Listing, constant, differences, listing_of, summary, words
from stages.job import BadInput, Job, run

ENGINE_SUFFIXES = (".engine", ".plan", ".trt")
_ENGINE = "An engine's inside can be read by the TensorRT that built it, on the device that it was built on."
_KINDS = {"uff": "a UFF file", "graph": "a frozen graph", "engine": "an engine"}
_MOST_LINES = 40


def main(job: Job) -> None:
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
                % (listing["file"], _KINDS[listing["kind"]], other["file"], _KINDS[other["kind"]])
            )
        listing["differences"] = differences(listing, other)
    with open(job.out("inspect.json"), "w", encoding="utf-8") as stream:
        json.dump(listing, stream, indent=1, sort_keys=True)
    with open(job.out("inspect.txt"), "w", encoding="utf-8") as stream:
        stream.write(as_text(listing))


def inspect(path: str) -> Listing:
    """The listing of the file at ``path``.

    Raises:
        BadInput: it is not a UFF file, no frozen graph and not named like an engine.
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
        summary(
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
        return constant(values) if values is not None else str(attribute.tensor)
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


def as_text(listing: Listing) -> str:
    """The listing for people."""
    lines = [
        "%s: %s, %d bytes, sha256 %s" % (listing["file"], _KINDS[listing["kind"]], listing["bytes"], listing["sha256"])
    ]
    lines += listing["about"]
    if listing["nodes"]:
        lines += [
            "Inputs: %s" % words(listing["inputs"]),
            "Outputs: %s" % words(listing["outputs"]),
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
        "      %s: %s" % (name, words(value)) for name, value in sorted(node["fields"].items())
    ]


if __name__ == "__main__":
    run(main)
