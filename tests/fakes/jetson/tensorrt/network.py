"""The network that parsers make: layers in the order of their making, each with its parameters and tensors."""

import numpy as np

ELEMENTWISE = {"add": 0, "mul": 1, "max": 2, "min": 3, "sub": 4, "div": 5, "pow": 6}
ACTIVATIONS = {
    "relu": (0, 0, 0),
    "sigmoid": (1, 0, 0),
    "tanh": (2, 0, 0),
    "elu": (4, 1, 0),
    "selu": (5, 1.6732632423543772, 1.0507009873554805),
    "softsign": (6, 0, 0),
    "softplus": (7, 1, 1),
    "relu6": (8, 0, 6),
}
UNARY = {"exp": 0, "log": 1, "sqrt": 2, "abs": 4, "neg": 5}
REDUCE = {"sum": 0, "prod": 1, "max": 2, "min": 3, "mean": 4}


class Refused(Exception):
    """What a parser or the network definition says instead of going on."""


class Tensor:
    """An ITensor: its number, name and dimensions without the batch."""

    def __init__(self, number, name, dims, value=None):
        self.number, self.name, self.shape, self.value = number, name, tuple(dims), value


class Network:
    """The calls that made it: a list of dicts with ``op``, ``name``, parameters, ``in_dims`` and ``out_dims``."""

    def __init__(self):
        self.calls = []
        self.tensors = []
        self.inputs, self.outputs = [], []

    @property
    def layer_count(self):
        return sum(call["op"] not in ("Input", "createPlugin", "Outputs") for call in self.calls)

    def unnamed(self):
        return "(Unnamed Layer* %d)" % self.layer_count

    def tensor(self, name, dims, value=None):
        self.tensors.append(Tensor(len(self.tensors), name, dims, value))
        return self.tensors[-1]

    def add_input(self, name, dims):
        made = self.tensor(name, dims)
        self.inputs.append(made)
        self.calls.append({"op": "Input", "name": name, "dims": list(dims), "dtype": 0})
        return made

    def note_plugin(self, name, kind, fields):
        self.calls.append({"op": "createPlugin", "name": name, "plugin": kind, "fields": fields})

    def add(self, op, name, inputs, out_dims, **parameters):
        """Append a layer; its outputs, the first of which bears its name (NAME, NAME_1 … for plugins)."""
        made = [
            self.tensor(self._output_name(op, name, number), dims, parameters.pop("value", None))
            for number, dims in enumerate(out_dims)
        ]
        call = dict(parameters, op=op, name=name, in_dims=[list(one.shape) for one in inputs])
        call.update({"in": [one.number for one in inputs], "out": [one.number for one in made]})
        call.update(out_dims=[list(one.shape) for one in made], out_names=[one.name for one in made])
        self.calls.append(call)
        return made

    @staticmethod
    def _output_name(op, name, number):
        if name.startswith("(Unnamed"):
            return name + "_output%d" % number
        return name if not number else "%s_%d" % (name, number)

    def mark_output(self, tensor, name=None):
        tensor.name = name or tensor.name
        self.outputs.append(tensor)


def same(size, stride):
    return -(-size // stride)


def window(size, kernel, stride, before, after, dilation):
    return (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def volume(dims):
    return int(np.prod(dims, dtype=np.int64))
