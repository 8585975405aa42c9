"""Small graphs that were given to NVIDIA's UFF parser (8.5.3): the linter refuses what it refused or got wrong.

``WRONG`` names what the parser took in silence and made something else of than TensorFlow, or what parsers before 8.5
refused; the others were taken and right. ``AS_RECORDED`` of probes.py are the graphs under their recorded names; if
NANOFORGE_RECORDED names the folder of the recordings, these verdicts are held against them.
"""

import gzip
import os
import re

import numpy as np
import pytest

from stages.convert import rules
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


REFUSED_BY_NVIDIA = {
    "Reshape to [480]",
    "const[6] - tensor",
    "Concat axis -1",
    "conv c feeds a Reshape and a Conv; r parsed first",
    "unknown activation",
    "padding AND implicit_padding same",
    "add const[3] after Reshape (P,1,3)",
    "min const scalar",
    "max const scalar left",
}
# Taken by NVIDIA's, and named by the linter for this rule.
STRICTER = {
    "Reshape to [-1, -1, 3]": "reshape-open",
    "Softmax N+C after Reshape [1,160,1,3]": "softmax",
    "Softmax NC+ after Reshape": "softmax",
    "Softmax N+C on NHWC conv": "softmax",
    "asymmetric Pad node before VALID stride-2 conv": "pad-input",
    "Squeeze": "squeeze",
    "Reduce mean axes 1,2 keepdims false": "reduce",
    "Reduce alone": "reduce",
    "mul const [6,1,1]": "constant-shape",
    "same, Conv marked first then Reshape": "reshape-readers",
}


@pytest.mark.parametrize("name", probes.AS_RECORDED)
def test_the_linter_agrees_with_nvidias_parser_or_is_stricter_by_a_rule(name):
    probe = Probe()
    found = lint(probe.marked(*probes.AS_RECORDED[name](probe)))
    if name in STRICTER:
        assert any(finding.endswith(rules.said(STRICTER[name], "")) for finding in found), found
    else:
        assert bool(found) == (name in REFUSED_BY_NVIDIA), found


@pytest.mark.skipif("NANOFORGE_RECORDED" not in os.environ, reason="NANOFORGE_RECORDED names no folder")
def test_the_verdicts_are_those_that_were_recorded():
    path = os.path.join(os.environ["NANOFORGE_RECORDED"], "uff-parser-probes.txt.gz")
    with gzip.open(path, "rt") as stream:
        recorded = dict(re.findall(r"^##### (.*) rc (\d)", stream.read(), re.MULTILINE))
    assert {name for name in probes.AS_RECORDED if recorded[name] != "0"} == REFUSED_BY_NVIDIA
