"""Every rule of the linters: what a model must hold to, for which TensorRT, what becomes of one that does not, whence.

``docs/inspect.md`` shows this table; a test holds the two together, and breaks every rule. Versions are of TensorRT,
whose UFF parser exists from 5.0 to 8.6. What was *seen* was seen with NVIDIA's own of 8.5.3, and with the sources of
onnx-tensorrt and NMS_TRT of 7.1, 8.2 and 10.1, compiled for a PC. *Stricter* are rules that a parser does not have:
what they forbid would be right there, or cannot be told.
"""

from typing import Dict, NamedTuple

UFF, PLUGIN, ONNX = "5.0 to 8.6", "5.1 to 10.16", "7.1 to 10.16"
REFUSED, WRONG, ENDS, STRICTER = "refused", "wrong in silence", "ends the process", "stricter"
SEEN, PAGE, SOURCES, REPORTED = "seen with 8.5.3", "operator page of 6.0.1", "NVIDIA's sources", "reported"


class Rule(NamedTuple):
    """A rule.

    Attributes:
        what: what a model must hold to.
        versions: for which TensorRT.
        outcome: what becomes of a model that breaks it there.
        known: whence that is known.
    """

    what: str
    versions: str
    outcome: str
    known: str


RULES: Dict[str, Rule] = {
    # The file.
    "one-graph": Rule("the file holds one graph, called main", UFF, REFUSED, REPORTED),
    "one-input": Rule("a detector has one Input", UFF, STRICTER, "jetson-inference registers one"),
    "input-shape": Rule(
        "a detector's Input is [1, 3, height, width]; the parser takes what is registered", UFF, STRICTER, SEEN
    ),
    "mark-output": Rule("there is a MarkOutput_0", UFF, REFUSED, "all that jetson-inference registers"),
    "node-ids": Rule("no two nodes have one id", UFF, WRONG, "the format"),
    "inputs": Rule("what a node reads is in the file", UFF, REFUSED, "the format"),
    "references": Rule("what a field refers to is in the file", UFF, REFUSED, "the format"),
    "cycle": Rule("the nodes form no cycle", UFF, REFUSED, "the format"),
    # Operations.
    "operation": Rule("every operation is the parser's or one of the three plugins", UFF, REFUSED, SEEN),
    "function": Rule("every function is one of its operation's", UFF, REFUSED, SEEN),
    "constant": Rule("a constant's bytes fit its type and shape", UFF, REFUSED, "the format"),
    "finite": Rule("constants are finite", "all", WRONG, "arithmetic"),
    "kernel": Rule("kernels are constants of four dimensions", UFF, REFUSED, PAGE),
    "groups": Rule("number_groups is the number of input channels", UFF, STRICTER, "TensorFlow's depthwise only"),
    "channels": Rule("a kernel is for as many channels as come in", UFF, REFUSED, "the builder"),
    "window": Rule(
        "strides and inputs_orders are given; each pair of sizes is a height and a width", UFF, REFUSED, PAGE
    ),
    "window-size": Rule("no window is larger than what it reads", UFF, REFUSED, "the builder"),
    "two-paddings": Rule("padding and implicit_padding are not given both", UFF, REFUSED, SEEN),
    "batch-norm": Rule("BatchNorm has four constants, each of as many numbers as channels", UFF, REFUSED, PAGE),
    "binary-dims": Rule("two tensors that are combined have the same dimensions", UFF, REFUSED, "the builder"),
    "min-max": Rule("min and max have no constant", UFF, REFUSED, SEEN + ", and reported"),
    "constant-left": Rule("sub has no constant on the left; nor have div and pow (not seen)", UFF, REFUSED, SEEN),
    "constant-count": Rule(
        "a constant holds one number, one for each channel, or one for each element; after a Reshape no channels are"
        " known",
        UFF,
        REFUSED,
        SEEN,
    ),
    "constant-shape": Rule("a constant of one number for each channel is one in TensorFlow too", UFF, WRONG, SEEN),
    "concat-axis": Rule("Concat's axis counts the batch, is not it, and is not negative", UFF, REFUSED, SEEN),
    "concat-dims": Rule("what Concat joins differs in its axis only", UFF, REFUSED, "the builder"),
    "reshape-constant": Rule("a Reshape's shape is a constant", UFF, STRICTER, SEEN + ": computed ones are evaluated"),
    "reshape-open": Rule("a Reshape has one -1 at most", "before 8.5", REFUSED, REPORTED + "; 8.5.3 takes it"),
    "reshape-dims": Rule("a Reshape makes one to three dimensions beside the batch", UFF, REFUSED, SEEN),
    "reshape-volume": Rule("a Reshape makes as many numbers as it reads", UFF, REFUSED, SEEN),
    "reshape-readers": Rule(
        "what a Reshape (or another that puts channels last) reads, nothing else reads", UFF, WRONG, SEEN
    ),
    "no-order": Rule("no convolution or pooling reads what was reshaped", UFF, WRONG, SEEN),
    "softmax": Rule("a Softmax runs over the first dimension, for its axis does not count", UFF, WRONG, SEEN),
    "squeeze": Rule("there is no Squeeze", UFF, WRONG, SEEN),
    "reduce": Rule("a Reduce keeps its dimensions, for keepdims does not count", UFF, WRONG, SEEN),
    "batch-axis": Rule("Reduce, ArgMax and ArgMin leave the batch alone", UFF, REFUSED, PAGE),
    "transpose": Rule("a Transpose permutes four dimensions", UFF, REFUSED, PAGE),
    "pad-input": Rule("no Pad reads the Input", UFF, WRONG, SEEN),
    "pad-dims": Rule("a Pad's pairs are a constant, and pad two dimensions at most", UFF, REFUSED, PAGE),
    # Plugins in a .uff.
    "field-type": Rule("a plugin's fields are all there, of the type that it asserts", "5.1 to 8.6", ENDS, SOURCES),
    "field-unknown": Rule("a plugin has no field that it does not declare; the parser drops it", UFF, WRONG, SEEN),
    "plugin-dtype": Rule("a plugin has the field dtype", "5.0 to 7.x", REFUSED, REPORTED + "; 8.5.3 does without"),
    "plugin-input": Rule("a plugin has an input", "5.1 and 6.0", ENDS, REPORTED + "; 8.5.3 does without"),
    "grid-layers": Rule("numLayers is over 1, and the number of featureMapShapes", "5.1 to 8.6", ENDS, SOURCES),
    "grid-maps": Rule("featureMapShapes are over 0", "5.1 to 8.6", WRONG, SOURCES),
    "grid-sizes": Rule("minSize and maxSize are numbers over 0", "5.1 to 8.6", WRONG, SOURCES),
    "grid-ratios": Rule("there are three aspectRatios or more, over 0", "5.1 to 8.6", WRONG, SOURCES),
    "grid-variance": Rule("there are four variances, finite numbers", "5.1 to 8.6", ENDS, SOURCES),
    "flatten-axis": Rule(
        "FlattenConcat's axis is 1; with 2 and 3 it writes past its output where dimensions before are over 1",
        "5.1 to 8.6",
        WRONG,
        SOURCES,
    ),
    "flatten-dims": Rule("FlattenConcat's inputs differ in its axis only", "5.1 to 8.6", ENDS, SOURCES),
    "nms-inputs": Rule("NMS_TRT has three inputs, and an inputOrder of 0, 1 and 2", PLUGIN, ENDS, SOURCES),
    "nms-heads": Rule(
        "boxes and scores are FlattenConcats of constant Reshapes, anchors a Concat of GridAnchor or a constant",
        UFF,
        STRICTER,
        "what detectors have",
    ),
    # NMS_TRT, in either kind of model.
    "nms-boxes": Rule("boxes are numPriors * 4 numbers, times numClasses without shareLocation", PLUGIN, ENDS, SOURCES),
    "nms-scores": Rule("scores are numPriors * numClasses", PLUGIN, ENDS, SOURCES),
    "nms-topk": Rule("topK is at most 4096 and the anchors; over that it reads the next class", PLUGIN, WRONG, SOURCES),
    "nms-keep": Rule("keepTopK is from 1 to topK; over that no rows are written", PLUGIN, WRONG, SOURCES),
    "nms-background": Rule(
        "backgroundLabelId is one of the classes, or -1 or their number for none", PLUGIN, WRONG, SOURCES
    ),
    "nms-thresholds": Rule(
        "confidenceThreshold is from 0 to under 1, nmsThreshold from 0 to 1; scores under 0 sort behind empty rows",
        PLUGIN,
        WRONG,
        SOURCES,
    ),
    "nms-code": Rule("codeType is 0 to 3; for others no boxes are written", PLUGIN, WRONG, SOURCES),
    "nms-bits": Rule(
        "scoreBits are not 1 to 10, which round scores in FP16; 16 has no effect", "8.0 to 10.16", WRONG, SOURCES
    ),
    # ONNX.
    "onnx-valid": Rule("the model is valid ONNX", "all", REFUSED, "onnx.checker"),
    "onnx-opset": Rule(
        "opset 11 and format 6 at most; documented are 11 for 7.1 and 13 for 8.0 and 8.2", "7.1", STRICTER, "its page"
    ),
    "onnx-input": Rule("the input is [1, 3, height, width]", ONNX, WRONG, "seen with 7.1, 8.2 and 10.1"),
    "onnx-operation": Rule("every operation is one that a detector needs", ONNX, REFUSED, "seen with 7.1, 8.2, 10.1"),
    "onnx-constant": Rule("what the importers assert to be constant is", "7.1 to 8.2", REFUSED, SOURCES),
    "onnx-shape": Rule("every output has a fixed shape", ONNX, STRICTER, "NMS_TRT's are fixed"),
    "onnx-pads": Rule("pads are four numbers, and not auto_pad", ONNX, WRONG, "seen with 7.1, 8.2 and 10.1"),
    "onnx-average": Rule("an AveragePool has even pads", "7.1", WRONG, SOURCES),
    "onnx-one-nms": Rule(
        "there is exactly one NMS_TRT, or boxes and scores come out", ONNX, STRICTER, "the two outputs are its"
    ),
    "onnx-field-there": Rule(
        "every attribute that NMS_TRT declares is there; 8.0 and later warn, and use memory that nobody set",
        "7.1",
        ENDS,
        "seen with 7.1, 8.2 and 10.1",
    ),
    "onnx-field-type": Rule(
        "an attribute is of the declared type; 10.1 refuses what ends 7.1 and 8.2",
        "7.1 to 8.2",
        ENDS,
        "seen with 7.1, 8.2 and 10.1",
    ),
    "onnx-plugin": Rule("plugin_version is 1 and plugin_namespace empty", ONNX, REFUSED, "seen with 7.1, 8.2 and 10.1"),
    "onnx-priors": Rule("anchors are [1, 2, 4 * numPriors, 1]", ONNX, ENDS, "seen with 7.1, 8.2 and 10.1"),
    "onnx-heads": Rule("boxes and scores are [1, numbers, 1, 1]", ONNX, ENDS, "seen with 7.1, 8.2 and 10.1"),
    "onnx-output": Rule("the first output is [1, 1, keepTopK, 7]", ONNX, STRICTER, "the plugin's own shape"),
}


def said(name: str, words: str) -> str:
    """A finding: what breaks the rule ``name``, in ``words``, with the versions for which it holds."""
    rule = RULES[name]
    return "%s [TensorRT %s: %s]" % (words, rule.versions, rule.outcome)


def table() -> str:
    """The rules as a table in Markdown."""
    rows = ["| %s | %s | %s | %s |" % rule for rule in RULES.values()]
    return "\n".join(["| a model must hold to this | TensorRT | else | known from |", "|---|---|---|---|", *rows])
