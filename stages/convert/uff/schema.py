"""The UFF wire format: protobuf messages built at run time from its published schema.

The schema is the one in Netron's ``tools/uff.proto`` (MIT licence): proto3, package ``uff``. No generated file and no
compiler is needed.
"""

from typing import Any, List

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from stages.job import BadInput

_FieldProto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FieldProto.TYPE_STRING,
    "int64": _FieldProto.TYPE_INT64,
    "int32": _FieldProto.TYPE_INT32,
    "bool": _FieldProto.TYPE_BOOL,
    "double": _FieldProto.TYPE_DOUBLE,
    "bytes": _FieldProto.TYPE_BYTES,
}

# message -> (number, name, type); "type*" is repeated, "map<key,value>" a map, "|type" belongs to Data's oneof.
_MESSAGES = {
    "MetaGraph": [
        (1, "version", "int64"),
        (2, "descriptor_core_version", "int64"),
        (3, "descriptors", "Descriptor*"),
        (4, "graphs", "Graph*"),
        (5, "referenced_data", "map<string,Data>"),
        (100, "extra_fields", "map<string,Data>"),
    ],
    "Descriptor": [(1, "id", "string"), (2, "version", "int64"), (3, "optional", "bool")],
    "Graph": [(1, "id", "string"), (2, "nodes", "Node*"), (100, "extra_fields", "map<string,Data>")],
    "Node": [
        (1, "id", "string"),
        (2, "inputs", "string*"),
        (3, "operation", "string"),
        (4, "fields", "map<string,Data>"),
        (100, "extra_fields", "map<string,Data>"),
    ],
    "Data": [
        (1, "s", "|string"),
        (2, "s_list", "|ListString"),
        (3, "d", "|double"),
        (4, "d_list", "|ListDouble"),
        (5, "b", "|bool"),
        (6, "b_list", "|ListBool"),
        (7, "i", "|int64"),
        (8, "i_list", "|ListInt64"),
        (9, "blob", "|bytes"),
        (100, "ref", "|string"),
        (101, "dtype", "|int32"),
        (102, "dtype_list", "|ListInt32"),
        (103, "dim_orders", "|DimensionOrders"),
        (104, "dim_orders_list", "|ListDimensionOrders"),
    ],
    "ListString": [(1, "val", "string*")],
    "ListDouble": [(1, "val", "double*")],
    "ListBool": [(1, "val", "bool*")],
    "ListInt64": [(1, "val", "int64*")],
    "ListInt32": [(1, "val", "int32*")],
    "ListDimensionOrders": [(1, "val", "DimensionOrders*")],
    "DimensionOrders": [(1, "orders", "map<int32,ListInt64>")],
}

# Enumerations are carried as int32: same wire form, and NVIDIA's writer emits the undeclared dtype 7 at times.
DTYPES = {
    np.dtype(np.int8): 0x10008,
    np.dtype(np.int16): 0x10010,
    np.dtype(np.int32): 0x10020,
    np.dtype(np.int64): 0x10040,
    np.dtype(np.float16): 0x20010,
    np.dtype(np.float32): 0x20020,
}
FLOAT32 = DTYPES[np.dtype(np.float32)]
ORDER_SPECIAL, ORDER_INCREMENT = -1, 0x7FFFFFFF


def _set_type(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _FieldProto.TYPE_MESSAGE, ".uff." + kind


def _add_map_entry(owner: Any, field: Any, kind: str) -> str:
    """Declare the entry message that proto3 gives a map field, and return its name."""
    key, value = kind[len("map<") : -1].split(",")
    entry = owner.nested_type.add(name="".join(word.capitalize() for word in field.name.split("_")) + "Entry")
    entry.options.map_entry = True
    for number, (name, part) in enumerate([("key", key), ("value", value)], 1):
        _set_type(entry.field.add(name=name, number=number, label=_FieldProto.LABEL_OPTIONAL), part)
    return "%s.%s" % (owner.name, entry.name)


def _add_field(owner: Any, number: int, name: str, kind: str) -> None:
    repeated = kind.endswith("*") or kind.startswith("map<")
    label = _FieldProto.LABEL_REPEATED if repeated else _FieldProto.LABEL_OPTIONAL
    field = owner.field.add(name=name, number=number, label=label)
    if kind.startswith("|"):
        field.oneof_index = 0
    _set_type(field, _add_map_entry(owner, field, kind) if kind.startswith("map<") else kind.strip("*|"))


def _pool() -> descriptor_pool.DescriptorPool:
    schema = descriptor_pb2.FileDescriptorProto(name="uff.proto", package="uff", syntax="proto3")
    for name, fields in _MESSAGES.items():
        owner = schema.message_type.add(name=name)
        if name == "Data":
            owner.oneof_decl.add(name="data_oneof")
        for number, field, kind in fields:
            _add_field(owner, number, field, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema)
    return pool


_POOL = _pool()
_FACTORY = message_factory.MessageFactory(_POOL)


def _new(name: str) -> Any:
    return _FACTORY.GetPrototype(_POOL.FindMessageTypeByName("uff." + name))()


def meta_graph() -> Any:
    """A new, empty ``uff.MetaGraph`` message."""
    return _new("MetaGraph")


def no_data() -> Any:
    """A new ``uff.Data`` message that holds nothing."""
    return _new("Data")


def parse(data: bytes, where: str = "the file") -> Any:
    """``data`` as a MetaGraph with at least one graph.

    Raises:
        BadInput: the bytes are not a UFF file; ``where`` names them in the message.
    """
    meta = meta_graph()
    try:
        meta.ParseFromString(data)
    except (message.DecodeError, UnicodeDecodeError):
        raise BadInput("%s is not a UFF file: it cannot be decoded; make it again with convert" % where) from None
    if not meta.graphs or meta.version != 1:
        raise BadInput("%s is not a UFF file: it holds no UFF graph of version 1; make it again with convert" % where)
    return meta


def serialize(meta: Any) -> bytes:
    """``meta`` as bytes, equal for equal messages: map entries are written sorted by key."""
    data: bytes = meta.SerializeToString(deterministic=True)
    return data


def array(data: Any, dtype: int, shape: List[int]) -> np.ndarray:
    """The little-endian C-order blob of a Const as an array; ``dtype`` is a value of :data:`DTYPES`.

    Raises:
        BadInput: the type is unknown or the blob's length does not fit the shape.
    """
    kinds = [kind for kind, code in DTYPES.items() if code == dtype]
    if not kinds:
        raise BadInput("A Const has the unknown data type %d" % dtype)
    values = np.frombuffer(data.blob, kinds[0].newbyteorder("<")) if len(data.blob) % kinds[0].itemsize == 0 else None
    if values is None or values.size != int(np.prod(shape, dtype=np.int64)):
        raise BadInput("A Const of shape %s holds %d bytes of data" % (list(shape), len(data.blob)))
    return values.reshape(list(shape))
