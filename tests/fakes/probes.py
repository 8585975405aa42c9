"""Small graphs that were given to NVIDIA's UFF parser (8.5.3): a builder, and what was built."""

import numpy as np

from stages.convert.uff import schema

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

    def marked(self, *outputs):
        """The message, with these outputs."""
        for number, name in enumerate(outputs):
            self.node("MarkOutput_%d" % number, "MarkOutput", name)
        return self.meta


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


def on_conv(operation, name="y", **fields):
    return lambda p: [p.node(name, operation, p.conv(), **fields)]


def after_reshape(operation, name="y", shape=(1, 160, 1, 3), **fields):
    return lambda p: [p.node(name, operation, p.reshape(p.conv(), shape), **fields)]


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
    return [p.node("m", "Binary", c, p.node("k1", "Activation", c, func="sigmoid"), func="mul")]


def scaled_input(p):
    p.node("m", "Binary", "Input", p.const("two", 2.0), func="mul")
    p.node("n", "Binary", "m", p.const("one", 1.0), func="sub")
    return [p.conv("n")]


def mean_taken(p):
    return [p.conv(p.node("m", "Binary", "Input", p.const("mean", [1.0, 2, 3]), func="sub"), "d")]


def padded(source, pads, name="d", maps=6):
    def build(p):
        made = source(p)
        p.node("p", "Pad", made, p.const("pads", pads, np.int32))
        fields = {"strides": [2, 2], "implicit_padding": None}
        return [p.conv("p", name, maps, channels=3 if made == "Input" else 6, **fields)]

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


def reduced(after_reshape):
    def build(p):
        c = p.conv()
        outputs = [p.reshape(c, [1, 160, 1, 3])] if after_reshape else []
        return outputs + [p.node("rd", "Reduce", c, func="mean", axes=[1, 2], keepdims=False)]

    return build


def depthwise(multiplier):
    def build(p):
        kernel = p.const("c_w", np.ones((3, 3, 3, multiplier)))
        fields = {"strides": [1, 1], "implicit_padding": "same", "number_groups": 3}
        return [p.node("c", "Conv", "Input", kernel, inputs_orders="orders_N+C_+CK", **fields)]

    return build


def transposed(p):
    return [p.reshape(p.node("t", "Transpose", p.conv(), permutation=[0, 3, 1, 2]), [1, 480, 1, 1])]


def flat_beside(name, source):
    """A FlattenConcat beside a Reshape of the same conv, as the recordings have it."""

    def build(p):
        r = p.reshape(p.conv(), [1, 160, 1, 3])
        made = {"reshape": r, "conv": "c"}.get(source) or p.const("k", np.ones((2, 40, 1)))
        return [p.plugin(name, "_FlattenConcat_TRT", made, axis_u_int=1, ignoreBatch_u_int=0)]

    return build


def reshape_then_conv(p):
    c = p.conv()
    r = p.reshape(c, [1, 160, 1, 3])
    d = p.conv(c, "d", maps=4, size=1, channels=6)
    p.reshape(d, [1, 80, 1, 4], "r2")
    return [r, "r2"]


def conv_then_reshape(p):
    c = p.conv()
    return [p.conv(c, "d", size=1, channels=6), p.reshape(c, [1, 160, 1, 3])]


def pad_between(maps, pads):
    def build(p):
        p.conv(name="b", maps=maps, size=1)
        p.node("p", "Pad", "b", p.const("pads", pads, np.int32))
        return [p.conv("p", "c", channels=maps, strides=[2, 2], implicit_padding=None)]

    return build


def same_twice(p):
    x = p.node("x", "Activation", p.conv(), func="relu6")
    return [p.node("y", "Binary", x, x, func="mul")]


# The names of the recordings; each with its builder.
AS_RECORDED = {
    "SAME stride 2 conv, even size": conv(strides=[2, 2]),
    "dilation [1,1] written": conv(dilation=[1, 1]),
    "dilation [2,2] SAME": conv(dilation=[2, 2]),
    "explicit padding field": conv(padding=[1, 1], implicit_padding=None),
    "Reshape to [1, 160, 1, 3]": reshaped(1, 160, 1, 3),
    "Reshape to [1, 160, 3]": reshaped(1, 160, 3),
    "Reshape to [-1, 160, 3]": reshaped(-1, 160, 3),
    "Reshape to [1, -1, 3]": reshaped(1, -1, 3),
    "Reshape to [1, -1, 1, 3]": reshaped(1, -1, 1, 3),
    "Reshape to [0, -1, 3]": reshaped(0, -1, 3),
    "Reshape to [-1, -1, 3]": reshaped(-1, -1, 3),
    "Reshape to [480]": reshaped(480),
    "FlattenConcat one input": flat_beside("fc", "reshape"),
    "Softmax N+C after Reshape [1,160,1,3]": after_reshape("Softmax", "sm", axis=3, inputs_orders="orders_N+C"),
    "Softmax NC+ after Reshape": after_reshape("Softmax", "sm", axis=3, inputs_orders="orders_NC+"),
    "Softmax N+C on NHWC conv": on_conv("Softmax", "sm", axis=3, inputs_orders="orders_N+C"),
    "Sigmoid after Reshape": after_reshape("Activation", "a", func="sigmoid"),
    "mul by scalar const": binary("mul", 2.0),
    "const[6] - tensor": binary("sub", np.ones(6), left=True),
    "residual add": residual,
    "asymmetric Pad node before VALID stride-2 conv": padded(lambda p: "Input", AFTER, "c"),
    "symmetric Pad node kept, after a conv": pad_between(4, [[0, 0], [1, 1], [2, 2], [0, 0]]),
    "Squeeze": after_reshape("Squeeze", "q", axes=[2]),
    "Reduce mean axes 1,2 keepdims false": reduced(True),
    "Reduce alone": reduced(False),
    "Identity": on_conv("Identity", "i"),
    "LeakyRelu": on_conv("LeakyRelu", "a", alpha=0.2),
    "Concat axis -1": concatenated(-1),
    "conv c feeds a Reshape and a Conv; r parsed first": reshape_then_conv,
    "asymmetric Pad after conv": padded(lambda p: p.conv(), AFTER, maps=4),
    "mul [6]": binary("mul", np.ones(6)),
    "x*2-1 on Input": scaled_input,
    "unknown activation": on_conv("Activation", func="swish"),
    "depthwise": depthwise(1),
    "depthwise multiplier 2": depthwise(2),
    "padding AND implicit_padding same": conv(padding=[1, 1]),
    "add const[3] after Reshape (P,1,3)": binary("add", np.ones(3), after_reshape=True),
    "exp after reshape": after_reshape("Unary", "e", [1, 160, 3], func="exp"),
    "same input twice": same_twice,
    "Transpose NHWC->NCHW then Reshape": transposed,
    "mul const [1,1,1,6]": binary("mul", np.ones((1, 1, 1, 6))),
    "mul const [1,1,6]": binary("mul", np.ones((1, 1, 6))),
    "mul const [6,1,1]": binary("mul", np.ones((6, 1, 1))),
    "add const scalar first": binary("add", 2.0, left=True),
    "sub const [6] right": binary("sub", np.ones(6)),
    "min const scalar": binary("min", 1.0),
    "max const scalar left": binary("max", 1.0, left=True),
    "div const scalar": binary("div", 2.0),
    "pow const scalar": binary("pow", 2.0),
    "add const [8,10,6]": binary("add", np.ones((8, 10, 6))),
    "Input - const[3] (mean) before any conv": mean_taken,
    "swish-like c*sigmoid(c)": swish,
    "max pool SAME": on_conv("Pool", "p", func="max", implicit_padding="same", **POOL),
    "same, Conv marked first then Reshape": conv_then_reshape,
}
