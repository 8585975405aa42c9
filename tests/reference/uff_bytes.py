"""Makes .uff bytes by hand, one protobuf field at a time, so that the tests owe nothing to a writer or a library."""

import struct

import numpy as np

DTYPES = {"int8": 0x10008, "int16": 0x10010, "int32": 0x10020, "int64": 0x10040, "float16": 0x20010, "float32": 0x20020}
INCREMENT = 0x7FFFFFFF
ORDERS = {
    "N+C": [0, 2, INCREMENT, 1],
    "NC+": [0, 1, 2, INCREMENT],
    "+CK": [2, INCREMENT, 1, 0],
    "KC+": [0, 1, 2, INCREMENT],
    "NC": [0, 1],
    "CN": [1, 0],
    "CK": [1, 0],
    "KC": [0, 1],
}


class Ref(str):
    """A reference to an entry of referenced_data."""


def varint(value):
    value &= 0xFFFFFFFFFFFFFFFF
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(result) + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def chunk(field, data):
    data = data.encode("utf-8") if isinstance(data, str) else bytes(data)
    return varint(field << 3 | 2) + varint(len(data)) + data


def data(value):
    """A Data message."""
    if isinstance(value, Ref):
        return chunk(100, value)
    if isinstance(value, str):
        return chunk(1, value)
    if isinstance(value, bytes):
        return chunk(9, value)
    if isinstance(value, bool):
        return number(5, value)
    if isinstance(value, int):
        return number(7, value)
    if isinstance(value, float):
        return varint(3 << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, np.dtype):
        return number(101, DTYPES[value.name])
    if all(isinstance(item, int) for item in value):
        return chunk(8, chunk(1, b"".join(varint(item) for item in value)))
    return chunk(4, chunk(1, b"".join(struct.pack("<d", item) for item in value)))


def entry(field, key, value):
    """An entry of a map<string, Data>; ``value`` are the bytes of a Data message."""
    return chunk(field, chunk(1, key) + chunk(2, value))


def orders(*names):
    """A Data message that holds one DimensionOrders for each named order."""

    def one(name):
        values = b"".join(varint(item) for item in ORDERS[name])
        return chunk(1, chunk(1, number(1, -1) + chunk(2, chunk(1, values))))

    return chunk(104, b"".join(one(name) for name in names))


class Graph:
    """A graph under construction; nodes are written in the order in which they are added."""

    def __init__(self):
        self.nodes = []
        self.referenced = {}

    def node(self, name, operation, inputs=(), **fields):
        if "orders" in fields:
            names = fields.pop("orders")
            fields["inputs_orders"] = Ref("orders_" + "_".join(names))
            self.referenced[fields["inputs_orders"]] = orders(*names)
        content = chunk(1, name) + b"".join(chunk(2, source) for source in inputs) + chunk(3, operation)
        self.nodes.append(content + b"".join(entry(4, key, data(value)) for key, value in sorted(fields.items())))
        return name

    def const(self, name, array):
        array = np.asarray(array)
        self.referenced["weights_" + name] = data(array.tobytes())
        return self.node(name, "Const", dtype=array.dtype, shape=list(array.shape), values=Ref("weights_" + name))

    def input(self, name, shape):
        return self.node(name, "Input", dtype=np.dtype(np.float32), shape=list(shape))

    def output(self, name):
        return self.node("MarkOutput_%d" % len(self.nodes), "MarkOutput", [name])

    def bytes(self):
        graph = chunk(1, "main") + b"".join(chunk(2, node) for node in self.nodes)
        descriptor = chunk(1, "tensorflow_extension") + number(2, 1)
        referenced = b"".join(entry(5, key, value) for key, value in sorted(self.referenced.items()))
        return number(1, 1) + number(2, 1) + chunk(3, descriptor) + chunk(4, graph) + referenced

    def write(self, path):
        with open(str(path), "wb") as stream:
            stream.write(self.bytes())
        return str(path)
