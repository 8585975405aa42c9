"""A whole SSD MobileNet v1 as .uff, with seeded random weights, in the form that convert writes."""

import numpy as np
from uff_bytes import Graph

STRIDES_AND_DEPTHS = (
    [(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)] + 5 * [(1, 512)] + [(2, 1024), (1, 1024)]
)
EXTRA_DEPTHS = [512, 256, 256, 128]
NHWC = ("N+C", "+CK")


class Builder(Graph):
    def __init__(self, seed):
        super().__init__()
        self.random = np.random.RandomState(seed)

    def conv(self, name, source, kernel, stride, outputs, channels, depthwise=False, plain=False):
        shape = [kernel, kernel, channels, 1 if depthwise else outputs]
        fan_in = kernel * kernel * (1 if depthwise else channels)
        self.const(name + "/w", (self.random.randn(*shape) * (2.0 / fan_in) ** 0.5).astype(np.float32))
        groups = {"number_groups": channels} if depthwise else {}
        self.node(
            name,
            "Conv",
            [source, name + "/w"],
            orders=NHWC,
            strides=[stride, stride],
            dilation=[1, 1],
            implicit_padding="same",
            **groups,
        )
        return self.bias(name, outputs) if plain else self.batch_norm(name, outputs)

    def bias(self, name, outputs):
        self.const(name + "/b", (self.random.randn(outputs) * 0.1).astype(np.float32))
        return self.node(name + "/add", "Binary", [name, name + "/b"], func="add")

    def batch_norm(self, name, outputs):
        for part, values in (
            ("gamma", 1 + 0.1 * self.random.randn(outputs)),
            ("beta", 0.1 * self.random.randn(outputs)),
            ("mean", 0.1 * self.random.randn(outputs)),
            ("variance", 1 + 0.1 * self.random.rand(outputs)),
        ):
            self.const("%s/%s" % (name, part), values.astype(np.float32))
        parts = [name + "/" + part for part in ("gamma", "beta", "mean", "variance")]
        self.node(name + "/bn", "BatchNorm", [name, *parts], epsilon=0.001, orders=("N+C",))
        return self.node(name + "/relu", "Activation", [name + "/bn"], func="relu6")

    def head(self, name, source, size, anchors, values, channels):
        conv = self.conv(name, source, 1, 1, anchors * values, channels, plain=True)
        self.const(name + "/shape", np.array([1, size * size * anchors, 1, values], np.int32))
        return self.node(name + "/reshape", "Reshape", [conv, name + "/shape"])


def mobilenet_features(graph, size, multiplier):
    """Six (node, map size, channels)."""

    def depth(channels):
        return max(8, int(channels * multiplier))

    features = []
    source, channels, size = graph.conv("c0", "Input", 3, 2, depth(32), 3), depth(32), -(-size // 2)
    for index, (stride, outputs) in enumerate(STRIDES_AND_DEPTHS, 1):
        source = graph.conv("d%d" % index, source, 3, stride, channels, channels, depthwise=True)
        source = graph.conv("p%d" % index, source, 1, 1, depth(outputs), channels)
        channels, size = depth(outputs), -(-size // stride)
        if index in (11, 13):
            features.append((source, size, channels))
    for index, outputs in enumerate(EXTRA_DEPTHS):
        source = graph.conv("e%da" % index, source, 1, 1, depth(outputs) // 2, channels)
        source = graph.conv("e%db" % index, source, 3, 2, depth(outputs), depth(outputs) // 2)
        channels, size = depth(outputs), -(-size // 2)
        features.append((source, size, channels))
    return features


def ssd(size=300, multiplier=1.0, classes=91, seed=0, **changes):
    """A Graph; ``changes`` replace fields of the NMS node, such as topK_u_int=10."""
    graph = Builder(seed)
    graph.input("Input", [1, 3, size, size])
    boxes, scores, maps = [], [], []
    for index, (source, side, channels) in enumerate(mobilenet_features(graph, size, multiplier)):
        anchors = 3 if index == 0 else 6
        boxes.append(graph.head("box%d" % index, source, side, anchors, 4, channels))
        scores.append(graph.head("class%d" % index, source, side, anchors, classes, channels))
        maps.append(side)
    priors = sum(side * side * (3 if index == 0 else 6) for index, side in enumerate(maps))
    graph.const("AnchorInput", np.zeros([1, 1], np.float32))
    graph.node(
        "GridAnchor",
        "_GridAnchor_TRT",
        ["AnchorInput"],
        numLayers_u_int=6,
        minSize_u_float=0.2,
        maxSize_u_float=0.95,
        aspectRatios_u_flist=[1.0, 2.0, 0.5, 3.0, 0.3333],
        variance_u_flist=[0.1, 0.1, 0.2, 0.2],
        featureMapShapes_u_ilist=maps,
    )
    graph.node("concat_priorbox", "Concat", ["GridAnchor"], axis=2)
    graph.node("concat_box_loc", "_FlattenConcat_TRT", boxes, axis_u_int=1, ignoreBatch_u_int=0)
    graph.node("concat_box_conf", "_FlattenConcat_TRT", scores, axis_u_int=1, ignoreBatch_u_int=0)
    top = min(100, priors)
    fields = dict(
        shareLocation_u_int=1,
        varianceEncodedInTarget_u_int=0,
        backgroundLabelId_u_int=0,
        numClasses_u_int=classes,
        topK_u_int=top,
        keepTopK_u_int=top,
        confSigmoid_u_int=1,
        isNormalized_u_int=1,
        codeType_u_int=3,
        inputOrder_u_ilist=[0, 2, 1],
        confidenceThreshold_u_float=0.3,
        nmsThreshold_u_float=0.6,
    )
    fields.update(changes)
    graph.node("NMS", "_NMS_TRT", ["concat_box_loc", "concat_priorbox", "concat_box_conf"], **fields)
    graph.output("NMS")
    return graph
