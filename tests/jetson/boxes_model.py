"""A detector of 64 x 64 pixels in both forms of ONNX, as the converter writes them, with random weights."""

import numpy as np
import tensorflow as tf

from stages.convert.graph.detector_parameters import DetectorParameters, plugins
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.ssd_structure import Head
from stages.convert.onnx import boxes, writer
from stages.convert.onnx.lint import lint
from stages.convert.parity import measure

CLASSES, EACH = 4, 3  # with the background; boxes a cell


class Parts:
    """Only what the writers read of an SsdStructure."""

    def __init__(self, **parts):
        self.__dict__.update(parts)


def write(folder, converter=measure.SIGMOID):
    """Write ``model.onnx`` (unless scores are a softmax) and ``model.boxes.onnx``; returns NMS_TRT's fields."""
    graph, structure, sides = _network(np.random.RandomState(7))
    parameters = _parameters(sides, converter)
    for name, form in (("model.onnx", writer), ("model.boxes.onnx", boxes)):
        if form is boxes or converter != measure.SOFTMAX:
            model = form.write(graph, structure, parameters)
            assert lint(model) == []
            (folder / name).write_bytes(model.SerializeToString())
    return plugins(parameters)["NMS_TRT"]


def _network(chance):
    def conv(tensor, kernel, channels, stride, name):
        shape = (kernel, kernel, tensor.shape[3].value, channels)
        weights = tf.constant(chance.normal(0, 1.5 / kernel / np.sqrt(shape[2]), shape), tf.float32)
        made = tf.nn.conv2d(tensor, weights, [1, stride, stride, 1], "SAME")
        return tf.nn.bias_add(made, tf.constant(chance.normal(0, 0.3, channels), tf.float32), name=name)

    with tf.Graph().as_default() as graph:
        entry = tf.placeholder(tf.float32, [1, 64, 64, 3], name="entry")
        body, box_heads, class_heads, sides = tf.nn.relu6(conv(entry, 5, 8, 4, "first")), [], [], []
        for layer in range(2):
            body = tf.nn.relu6(conv(body, 3, 12, 2, "body_%d" % layer))
            sides.append(body.shape[1].value)
            for kind, width, heads in (("box", 4, box_heads), ("class", CLASSES, class_heads)):
                head = conv(body, 1, EACH * width, 1, "%s_%d" % (kind, layer))
                heads.append(Head("reshape_%s_%d" % (kind, layer), head.op.name, head.op.name))
    structure = Parts(entry="entry", box_heads=box_heads, class_heads=class_heads)
    return Graph(graph.as_graph_def()), structure, sides


def _parameters(sides, converter):
    centers = np.concatenate(
        [
            np.stack(np.meshgrid(*[(np.arange(side) + 0.5) / side] * 2), axis=-1).reshape(-1, 2).repeat(EACH, axis=0)
            for side in sides
        ]
    )
    halves = np.random.RandomState(3).uniform(0.05, 0.25, centers.shape)
    return DetectorParameters(
        input=measure.Input(64, 64, "RGB", 2 / 255, -1.0),
        layers=[measure.Layer(side, side, EACH, CLASSES) for side in sides],
        classes=CLASSES,
        anchors=np.concatenate([centers - halves, centers + halves], axis=1).astype(np.float32),
        grid=None,
        no_grid="",
        variances=[0.1, 0.1, 0.2, 0.2],
        converter=converter,
        outputs=measure.Outputs("", "", "", "", 50),
        score_threshold=0.3,
        iou_threshold=0.6,
        per_class=50,
    )
