"""Small graphs that were given to NVIDIA's UFF parser (8.5.3): the linter refuses what it refused or got wrong.

``WRONG`` names what the parser took in silence and made something else of than TensorFlow, or what parsers before 8.5
refused; the others were taken and right.
"""

import re

import numpy as np
import pytest

from stages.convert.uff.lint import lint
from tests.fakes import probes
from tests.fakes.probes import AFTER, POOL, Probe

RIGHT = {
    "SAME stride 2 conv": probes.conv(strides=[2, 2]),
    "dilation 1 written": probes.conv(dilation=[1, 1]),
    "dilation 2 SAME": probes.conv(dilation=[2, 2]),
    "explicit padding": probes.conv(padding=[1, 1], implicit_padding=None),
    "Reshape to [1, 160, 1, 3]": probes.reshaped(1, 160, 1, 3),
    "Reshape to [1, 160, 3]": probes.reshaped(1, 160, 3),
    "Reshape to [-1, 160, 3]": probes.reshaped(-1, 160, 3),
    "Reshape to [1, -1, 3]": probes.reshaped(1, -1, 3),
    "Reshape to [1, -1, 1, 3]": probes.reshaped(1, -1, 1, 3),
    "Reshape to [0, -1, 3]": probes.reshaped(0, -1, 3),
    "FlattenConcat of one input": probes.flat(lambda p: p.reshape(p.conv(), [1, 160, 1, 3])),
    "FlattenConcat of a Const": probes.flat(lambda p: p.const("k", np.ones((2, 40, 1)))),
    "GridAnchor": probes.grid("a"),
    "Sigmoid after Reshape": probes.after_reshape("Activation", func="sigmoid"),
    "exp after Reshape": probes.after_reshape("Unary", shape=[1, 160, 3], func="exp"),
    "residual add": probes.residual,
    "c * sigmoid(c)": probes.swish,
    "Identity": probes.on_conv("Identity"),
    "LeakyRelu": probes.on_conv("LeakyRelu", alpha=0.2),
    "average pool SAME": probes.on_conv("Pool", func="avg", implicit_padding="same", **POOL),
    "average pool with padding": probes.on_conv("Pool", func="avg", padding=[1, 1], **POOL),
    "max pool SAME": probes.on_conv("Pool", func="max", implicit_padding="same", **POOL),
    "Pad after a conv": probes.padded(lambda p: p.conv(), AFTER),
    "even Pad after a conv": probes.padded(lambda p: p.conv(), [[0, 0], [1, 1], [2, 2], [0, 0]]),
    "mul by one number": probes.binary("mul", 2.0),
    "one number first": probes.binary("add", 2.0, left=True),
    "mul by [6]": probes.binary("mul", np.ones(6)),
    "mul by [1, 1, 6]": probes.binary("mul", np.ones((1, 1, 6))),
    "mul by [1, 1, 1, 6]": probes.binary("mul", np.ones((1, 1, 1, 6))),
    "sub [6] on the right": probes.binary("sub", np.ones(6)),
    "div by one number": probes.binary("div", 2.0),
    "pow of one number": probes.binary("pow", 2.0),
    "add [8, 10, 6]": probes.binary("add", np.ones((8, 10, 6))),
    "x * 2 - 1 on Input": probes.scaled_input,
    "Input - mean": probes.mean_taken,
    "BatchNorm": probes.batch_norm(6),
    "Concat of channels": probes.concatenated(3),
}
REFUSED = {
    "Reshape to [480]": (probes.reshaped(480), "two to four dimensions"),
    "another volume": (probes.reshaped(1, 161, 1, 3), "Volume mismatch"),
    "sub with the constant left": (probes.binary("sub", np.ones(6), left=True), "sub with the constant on the left"),
    "min with a constant": (probes.binary("min", 1.0), "min with a constant"),
    "max with a constant, left": (probes.binary("max", 1.0, left=True), "max with a constant"),
    "Concat axis -1": (probes.concatenated(-1), "out of bounds"),
    "unknown activation": (probes.on_conv("Activation", func="swish"), "unknown function"),
    "padding and implicit_padding": (probes.conv(padding=[1, 1]), "both padding and implicit_padding"),
    "[3] after Reshape (P, 1, 3)": (probes.binary("add", np.ones(3), after_reshape=True), "Invalid scale mode"),
    "an operation that is not registered": (probes.on_conv("_MaxPool"), "unsupported operation"),
}
WRONG = {
    "a conv read by a Reshape and a conv": (probes.two_readers, "transposed, in silence"),
    "a conv read by two Reshapes": (probes.two_reshapes, "transposed, in silence"),
    "a Reshape read by a conv": (probes.read_after_reshape, "no order any more"),
    "Softmax after Reshape": (
        probes.after_reshape("Softmax", axis=3, inputs_orders="orders_N+C"),
        r"first of .*\[160, 1, 3\]",
    ),
    "Softmax on a conv": (probes.on_conv("Softmax", inputs_orders="orders_N+C"), r"first of .*\[8, 10, 6\]"),
    "mul by [6, 1, 1]": (probes.binary("mul", np.ones((6, 1, 1))), "channel by channel"),
    "Pad on Input": (probes.padded(lambda p: "Input", AFTER), "pads the Input"),
    "Squeeze": (probes.after_reshape("Squeeze", axes=[2]), "another name"),
    "integers where the plugin asserts floats": (
        probes.grid("a", aspectRatios_u_flist=[1, 2, 3]),
        "aspectRatios is i_list",
    ),
    "a field that no version declares": (probes.grid("a", unknown_u_str="x"), "field unknown"),
    # Stricter than 8.5.3, for older parsers.
    "-1 twice": (probes.reshaped(-1, -1, 3), "before 8.5"),
    "GridAnchor without input": (probes.grid(), "5.1 and 6.0"),
    # Refused by no parser: the builder, or the plugin, ends there.
    "BatchNorm of other channels": (probes.batch_norm(5), "5 numbers|5, 5, 5, 5 numbers"),
    "a kernel of other channels": (probes.conv(channels=4), "for 4 channels"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_the_parser_takes_and_gets_right_is_clean(name):
    probe = Probe()
    assert lint(probe.marked(*RIGHT[name](probe))) == []


@pytest.mark.parametrize("name", [*REFUSED, *WRONG])
def test_what_the_parser_refuses_or_gets_wrong_is_named(name):
    build, told = {**REFUSED, **WRONG}[name]
    probe = Probe()
    found = lint(probe.marked(*build(probe)))
    assert found
    assert any(re.search(told, finding) for finding in found), found
