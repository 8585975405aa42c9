"""What a .uff holds, and how two files differ, as listings."""

import hashlib
from typing import Any, Dict, List

import numpy as np

from stages.convert.uff import schema
from stages.convert.uff.lint import lint
from stages.job import BadInput

_TYPES = {code: kind.name for kind, code in schema.DTYPES.items()}
Listing = Dict[str, Any]
"""What a file holds: ``kind`` (uff, graph or engine), ``file``, ``bytes``, ``sha256``, ``about`` (sentences),
``inputs``, ``outputs`` (names), ``operations`` (name -> count), ``weights`` (bytes of all constants), ``nodes`` (dicts
of ``id``, ``operation``, ``inputs`` and ``fields``, in the order of the file) and ``findings`` of the lint."""


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
        summary("uff", about, nodes, "Input"),
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
    if "dtype" not in node.fields or "shape" not in node.fields:  # to look a field up would make it
        return "data of unknown type and shape"
    try:
        return constant(schema.array(data, node.fields["dtype"].dtype, node.fields["shape"].i_list.val))
    except BadInput as error:
        return str(error)


def _order(dimensions: List[int], first: str) -> str:
    """Dimensions in letters: ``first``, which is N of data and K of weights, C, and + for all spatial ones."""
    return "".join({0: first, 1: "C", 2: "+"}.get(one, str(one)) for one in dimensions if one != schema.ORDER_INCREMENT)


def constant(values: np.ndarray) -> str:
    """Short values whole, others by their range and digest: enough to tell whether two are equal."""
    if values.size <= 8:
        return str(values.tolist())
    numbers = values.dtype.kind in "fiu" and values.size
    extent = "%.6g to %.6g, " % (values.min(), values.max()) if numbers else ""
    return "%s%s" % (extent, _digest(np.ascontiguousarray(values).tobytes()))


def _digest(data: bytes) -> str:
    return "sha256 %s" % hashlib.sha256(data).hexdigest()[:16]


def summary(kind: str, about: List[str], nodes: List[Dict[str, Any]], entry: str) -> Listing:
    """What the listings of UFF files and graphs share; ``entry`` is the operation of their inputs."""
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
            found.append("%s: %s, against %s" % (part, words(first[part]), words(second[part])))
    if shared != [name for name in theirs if name in ours]:
        found.append("the nodes that both have are in another order")
    return found


def _node_differences(first: Dict[str, Any], second: Dict[str, Any]) -> List[str]:
    parts = [(part, first[part], second[part]) for part in ("operation", "inputs")]
    parts += [
        (name, first["fields"].get(name), second["fields"].get(name))
        for name in sorted(set(first["fields"]) | set(second["fields"]))
    ]
    return ["%s is %s, against %s" % (name, words(one), words(other)) for name, one, other in parts if one != other]


def words(value: Any) -> str:
    """A value as people read it: floats with the digits that float32 has."""
    if isinstance(value, list):
        return "[%s]" % ", ".join(map(words, value))
    if isinstance(value, float):
        return "%.7g" % value
    return "missing" if value is None else str(value)
