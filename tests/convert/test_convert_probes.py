"""Small graphs that were given to NVIDIA's UFF parser (8.5.3): the linter refuses what it refused or got wrong.

``WRONG`` names what the parser took in silence and made something else of than TensorFlow, or what parsers before 8.5
refused; the others were taken and right.
"""

import re

import numpy as np
import pytest

from stages.convert.uff import schema
from stages.convert.uff.lint import lint

LAST, KERNEL = [0, 2, schema.ORDER_INCREMENT, 1], [2, schema.ORDER_INCREMENT, 1, 0]
FIRST = [0, 1, 2, schema.ORDER_INCREMENT]
GRID = {
    "minSize_u_float": 0.2,
    "maxSize_u_float": 0.95,
    "aspectRatios_u_flist": [1.0, 2.0, 0.5],
    "variance_u_flist": [0.1, 0.1, 0.2, 0.2],
    "featureMapShapes_u_ilist": [5, 3],
    "numLayers_u_int": 2,
}


class Probe:
    """A graph with an Input [1, 3, 8, 10]; every method adds a node and returns its name."""

    def __init__(self):
        self.meta = schema.meta_graph()
        self.meta.version = self.meta.descriptor_core_version = 1
        self.graph = self.meta.graphs.add(id="main")
        for name, order in (("orders_N+C", [LAST]), ("orders_NC+", [FIRST]), ("orders_N+C_+CK", [LAST, KERNEL])):
            for one in order:
                entry = self.meta.referenced_data[name].dim_orders_list.val.add()
                entry.orders[schema.ORDER_SPECIAL].val.extend(one)
        self.node("Input", "Input", shape=[1, 3, 8, 10])

    def node(self, name, operation, *inputs, **fields):
        node = self.graph.nodes.add(id=name, operation=operation)
        node.inputs.extend(inputs)
        for field, value in fields.items():
            self.put(node, field, value)
        return name

    def put(self, node, field, value):
        data = node.fields[field]
        if field == "dtype":
            data.dtype = value
        elif field == "inputs_orders":
            data.ref = value
        elif isinstance(value, str):
            data.s = value
        elif isinstance(value, bool):
            data.b = value
        elif isinstance(value, int):
            data.i = value
        elif isinstance(value, float):
            data.d = value
        else:
            kind = data.d_list if any(isinstance(item, float) for item in value) else data.i_list
            kind.val.extend(value)

    def const(self, name, values, kind=np.float32):
        array = np.array(values, kind)
        self.meta.referenced_data["weights_" + name].blob = array.tobytes()
        self.node(name, "Const", dtype=schema.DTYPES[array.dtype], shape=list(array.shape))
        self.graph.nodes[-1].fields["values"].ref = "weights_" + name
        return name

    def conv(self, source="Input", name="c", maps=6, size=3, channels=3, **fields):
        kernel = self.const(name + "_w", np.ones((size, size, channels, maps)))
        fields = dict({"strides": [1, 1], "implicit_padding": "same"}, **fields)
        fields = {field: value for field, value in fields.items() if value is not None}
        return self.node(name, "Conv", source, kernel, inputs_orders="orders_N+C_+CK", **fields)

    def reshape(self, source, shape, name="r"):
        return self.node(name, "Reshape", source, self.const(name + "_shape", shape, np.int32))

    def plugin(self, name, kind, *inputs, **fields):
        return self.node(name, kind, *inputs, dtype=schema.FLOAT32, **fields)

    def findings(self, *outputs):
        for number, name in enumerate(outputs):
            self.node("MarkOutput_%d" % number, "MarkOutput", name)
        return lint(self.meta)


def conv(**fields):
    def build(p):
        return [p.conv(**fields)]

    return build


def reshaped(*shape):
    return lambda p: [p.reshape(p.conv(), shape)]


def binary(function, values, left=False, after_reshape=False):
    def build(p):
        source = p.reshape(p.conv(), [1, 160, 1, 3]) if after_reshape else p.conv()
        sides = (source, p.const("k", values))
        return [p.node("m", "Binary", *(reversed(sides) if left else sides), func=function)]

    return build


def on_conv(operation, **fields):
    return lambda p: [p.node("y", operation, p.conv(), **fields)]


def after_reshape(operation, *shape, **fields):
    return lambda p: [p.node("y", operation, p.reshape(p.conv(), shape or [1, 160, 1, 3]), **fields)]


def flat(source):
    return lambda p: [p.plugin("fc", "_FlattenConcat_TRT", source(p), axis_u_int=1, ignoreBatch_u_int=0)]


def grid(*inputs, **fields):
    def build(p):
        p.const("a", [[1.0]])
        p.plugin("ga", "_GridAnchor_TRT", *inputs, **dict(GRID, **fields))
        return [p.node("cp", "Concat", "ga", axis=2)]

    return build


def two_readers(p):
    c = p.conv()
    return [p.conv(c, "d", size=1, channels=6), p.reshape(c, [1, 160, 1, 3])]


def two_reshapes(p):
    c = p.conv()
    return [p.reshape(c, [1, 160, 1, 3]), p.reshape(c, [1, 80, 2, 3], "r2")]


def read_after_reshape(p):
    return [p.conv(p.reshape(p.conv(), [1, 8, 10, 6]), "d", channels=8)]


def residual(p):
    return [p.node("m", "Binary", p.conv(), p.conv(name="d", size=1), func="add")]


def swish(p):
    c = p.conv()
    return [p.node("m", "Binary", c, p.node("s", "Activation", c, func="sigmoid"), func="mul")]


def scaled_input(p):
    p.node("m", "Binary", "Input", p.const("two", 2.0), func="mul")
    p.node("n", "Binary", "m", p.const("one", 1.0), func="sub")
    return [p.conv("n")]


def mean_taken(p):
    return [p.conv(p.node("m", "Binary", "Input", p.const("mean", [1.0, 2, 3]), func="sub"))]


def padded(source, pads):
    def build(p):
        made = source(p)
        p.node("p", "Pad", made, p.const("pads", pads, np.int32))
        return [p.conv("p", "d", channels=3 if made == "Input" else 6, strides=[2, 2], implicit_padding=None)]

    return build


def batch_norm(count):
    def build(p):
        c = p.conv()
        four = [p.const(name, np.ones(count)) for name in ("g", "b", "m", "v")]
        return [p.node("bn", "BatchNorm", c, *four, epsilon=1.0, inputs_orders="orders_N+C")]

    return build


def concatenated(axis):
    return lambda p: [p.node("k", "Concat", p.conv(), p.conv(name="d", size=1), axis=axis)]


POOL = {"kernel": [3, 3], "strides": [2, 2], "inputs_orders": "orders_N+C"}
AFTER = [[0, 0], [0, 1], [0, 1], [0, 0]]
RIGHT = {
    "SAME stride 2 conv": conv(strides=[2, 2]),
    "dilation 1 written": conv(dilation=[1, 1]),
    "dilation 2 SAME": conv(dilation=[2, 2]),
    "explicit padding": conv(padding=[1, 1], implicit_padding=None),
    "Reshape to [1, 160, 1, 3]": reshaped(1, 160, 1, 3),
    "Reshape to [1, 160, 3]": reshaped(1, 160, 3),
    "Reshape to [-1, 160, 3]": reshaped(-1, 160, 3),
    "Reshape to [1, -1, 3]": reshaped(1, -1, 3),
    "Reshape to [1, -1, 1, 3]": reshaped(1, -1, 1, 3),
    "Reshape to [0, -1, 3]": reshaped(0, -1, 3),
    "FlattenConcat of one input": flat(lambda p: p.reshape(p.conv(), [1, 160, 1, 3])),
    "FlattenConcat of a Const": flat(lambda p: p.const("k", np.ones((2, 40, 1)))),
    "GridAnchor": grid("a"),
    "Sigmoid after Reshape": after_reshape("Activation", func="sigmoid"),
    "exp after Reshape": after_reshape("Unary", 1, 160, 3, func="exp"),
    "residual add": residual,
    "c * sigmoid(c)": swish,
    "Identity": on_conv("Identity"),
    "LeakyRelu": on_conv("LeakyRelu", alpha=0.2),
    "average pool SAME": on_conv("Pool", func="avg", implicit_padding="same", **POOL),
    "average pool with padding": on_conv("Pool", func="avg", padding=[1, 1], **POOL),
    "max pool SAME": on_conv("Pool", func="max", implicit_padding="same", **POOL),
    "Pad after a conv": padded(lambda p: p.conv(), AFTER),
    "even Pad after a conv": padded(lambda p: p.conv(), [[0, 0], [1, 1], [2, 2], [0, 0]]),
    "mul by one number": binary("mul", 2.0),
    "one number first": binary("add", 2.0, left=True),
    "mul by [6]": binary("mul", np.ones(6)),
    "mul by [1, 1, 6]": binary("mul", np.ones((1, 1, 6))),
    "mul by [1, 1, 1, 6]": binary("mul", np.ones((1, 1, 1, 6))),
    "sub [6] on the right": binary("sub", np.ones(6)),
    "div by one number": binary("div", 2.0),
    "pow of one number": binary("pow", 2.0),
    "add [8, 10, 6]": binary("add", np.ones((8, 10, 6))),
    "x * 2 - 1 on Input": scaled_input,
    "Input - mean": mean_taken,
    "BatchNorm": batch_norm(6),
    "Concat of channels": concatenated(3),
}
REFUSED = {
    "Reshape to [480]": (reshaped(480), "two to four dimensions"),
    "another volume": (reshaped(1, 161, 1, 3), "Volume mismatch"),
    "sub with the constant left": (binary("sub", np.ones(6), left=True), "sub with the constant on the left"),
    "min with a constant": (binary("min", 1.0), "min with a constant"),
    "max with a constant, left": (binary("max", 1.0, left=True), "max with a constant"),
    "Concat axis -1": (concatenated(-1), "out of bounds"),
    "unknown activation": (on_conv("Activation", func="swish"), "unknown function"),
    "padding and implicit_padding": (conv(padding=[1, 1]), "both padding and implicit_padding"),
    "[3] after Reshape (P, 1, 3)": (binary("add", np.ones(3), after_reshape=True), "Invalid scale mode"),
    "an operation that is not registered": (on_conv("_MaxPool"), "unsupported operation"),
}
WRONG = {
    "a conv read by a Reshape and a conv": (two_readers, "transposed, in silence"),
    "a conv read by two Reshapes": (two_reshapes, "transposed, in silence"),
    "a Reshape read by a conv": (read_after_reshape, "no order any more"),
    "Softmax after Reshape": (
        after_reshape("Softmax", axis=3, inputs_orders="orders_N+C"),
        r"first of .*\[160, 1, 3\]",
    ),
    "Softmax on a conv": (on_conv("Softmax", inputs_orders="orders_N+C"), r"first of .*\[8, 10, 6\]"),
    "mul by [6, 1, 1]": (binary("mul", np.ones((6, 1, 1))), "channel by channel"),
    "Pad on Input": (padded(lambda p: "Input", AFTER), "pads the Input"),
    "Squeeze": (after_reshape("Squeeze", axes=[2]), "another name"),
    "integers where the plugin asserts floats": (grid("a", aspectRatios_u_flist=[1, 2, 3]), "aspectRatios is i_list"),
    "a field that no version declares": (grid("a", unknown_u_str="x"), "field unknown"),
    # Stricter than 8.5.3, for older parsers.
    "-1 twice": (reshaped(-1, -1, 3), "before 8.5"),
    "GridAnchor without input": (grid(), "5.1 and 6.0"),
    # Refused by no parser: the builder, or the plugin, ends there.
    "BatchNorm of other channels": (batch_norm(5), "5 numbers|5, 5, 5, 5 numbers"),
    "a kernel of other channels": (conv(channels=4), "for 4 channels"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_the_parser_takes_and_gets_right_is_clean(name):
    probe = Probe()
    assert probe.findings(*RIGHT[name](probe)) == []


@pytest.mark.parametrize("name", [*REFUSED, *WRONG])
def test_what_the_parser_refuses_or_gets_wrong_is_named(name):
    build, told = {**REFUSED, **WRONG}[name]
    probe = Probe()
    found = probe.findings(*build(probe))
    assert found
    assert any(re.search(told, finding) for finding in found), found
