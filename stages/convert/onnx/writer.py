"""A detector as an ONNX model for TensorRT 7.1 to 8.2: standard operations up to the heads, then the plugin NMS_TRT.

TensorRT's ONNX parser makes a plugin of every node whose ``op_type`` is a registered plugin's name, and the plugin's
fields of the node's attributes (``FallbackPluginImporter`` in onnx-tensorrt, Apache-2.0). The 7.1 parser fails where
an attribute is missing that the plugin declares, so all are written, those of TensorRT 8 too. The anchors are a
constant: then neither GridAnchor_TRT, whose node would have no input, nor FlattenConcat_TRT is needed.

TensorFlow's network is NHWC, ONNX knows only NCHW: kernels and axes are permuted here, tensors only before the heads'
reshapes. Names beside TensorFlow's own contain a colon, which no TensorFlow name does.
"""

import collections
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from stages.convert.graph.detector_parameters import DetectorParameters, plugins
from stages.convert.graph.frozen_graph import Graph, data_inputs, output_index
from stages.convert.graph.ssd_structure import Head, SsdStructure
from stages.convert.graph.windows import Pads, check_layout, pads_before, window
from stages.convert.parity.measure import Layer
from stages.convert.uff.plugin_graph import CONFIDENCES, INPUT, LOCATIONS, NMS, PRIORS
from stages.job import BadInput

OPSET, IR_VERSION = 11, 6  # the newest that TensorRT 7.1 reads, and the file format of its time (onnx 1.6)
PLUGIN_DOMAIN = "TRT"  # the parser looks at op_type alone; ONNX's checker refuses unknown operations of its own domain
COUNT = NMS + "_1"
# Fields that NMS_TRT declares from TensorRT 8 on, at its defaults.
NEWER_FIELDS = {"scoreBits": 16, "isBatchAgnostic": 1}

BOXES, SCORES = "boxes", "scores"  # outputs of the form without plugin
_RESERVED = (INPUT, LOCATIONS, CONFIDENCES, PRIORS, NMS, COUNT, BOXES, SCORES)


def write(graph: Graph, structure: SsdStructure, parameters: DetectorParameters) -> Any:
    """The ONNX ModelProto of ``parameters``, whose network is ``graph`` between its entry and its heads.

    Its input ``Input`` is float32 [1, 3, height, width]; its outputs are NMS_TRT's: ``NMS``, float32
    [1, 1, keepTopK, 7], and ``NMS_1``, [1, 1, 1, 1], the number of rows as int32 bits that TensorRT calls float32.

    Raises:
        BadInput: a node of the network is not among those written here, or its weights are not finite float32.
    """
    return OnnxWriter(graph, structure, parameters).write()


class OnnxWriter:
    """Collects nodes in the order of computation; ``sizes`` holds (height, width) of every tensor written.

    Subclasses may end the network otherwise: :meth:`end`.
    """

    domains = {"": OPSET, PLUGIN_DOMAIN: 1}

    def __init__(self, graph: Graph, structure: SsdStructure, parameters: DetectorParameters) -> None:
        self.graph, self.structure, self.parameters = graph, structure, parameters
        self.nodes: List[Any] = []
        self._initializers: Dict[str, Any] = collections.OrderedDict()
        self.made: Dict[str, Any] = {}
        self.sizes = {INPUT: (parameters.input.height, parameters.input.width)}

    def write(self) -> Any:
        for node in self._network():
            if node.op not in CONVERTERS:
                raise BadInput(
                    'Node "%s" (%s) of the network cannot be written as ONNX; train one of the plain ssd_* '
                    "architectures" % (node.name, node.op)
                )
            CONVERTERS[node.op](self, node)
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.end().items()]
        size = self.parameters.input
        entry = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, size.height, size.width])
        constants = list(self._initializers.values())
        return helper.make_model(
            helper.make_graph(self.nodes, "detector", [entry], outputs, constants),
            ir_version=IR_VERSION,
            producer_name="nanoforge",
            opset_imports=[helper.make_opsetid(*one) for one in self.domains.items()],
        )

    def end(self) -> Dict[str, List[int]]:
        """Join the heads as NMS_TRT asserts them, [1, numbers, 1, 1], and give them to it; outputs and their shapes."""
        self.heads(lambda count, width: [1, count * width, 1, 1])
        anchors = self.parameters.anchors.astype(np.float32)
        variances = np.tile(np.array(self.parameters.variances, np.float32), len(anchors))
        priors = np.stack([anchors.reshape(-1), variances])[np.newaxis, :, :, np.newaxis]
        inputs = [LOCATIONS, self.initializer(PRIORS, priors), CONFIDENCES]
        fields = dict(plugins(self.parameters)["NMS_TRT"], plugin_version="1", plugin_namespace="", **NEWER_FIELDS)
        self.nodes.append(helper.make_node("NMS_TRT", inputs, [NMS, COUNT], name=NMS, domain=PLUGIN_DOMAIN, **fields))
        return {NMS: [1, 1, fields["keepTopK"], 7], COUNT: [1, 1, 1, 1]}

    def _network(self) -> List[Any]:
        """The nodes between entry and heads, each behind those it reads."""
        found: Dict[str, Any] = collections.OrderedDict()
        pending = [head.source for head in self.structure.box_heads + self.structure.class_heads][::-1]
        opened = set()
        while pending:
            node = self.graph.maker(pending[-1])
            if node.name in opened or node.name == self.structure.entry:
                pending.pop()
                if node.name != self.structure.entry:
                    found.setdefault(node.name, node)
            else:
                opened.add(node.name)
                pending.extend(data_inputs(node)[::-1])
        return list(found.values())

    def heads(self, shape: Callable[[int, int], List[int]]) -> None:
        """Join the layers' heads along axis 1, as LOCATIONS and CONFIDENCES; channels last as TensorFlow counts them.

        Args:
            shape: what becomes of a layer's boxes, so many with so many numbers each.
        """
        self._joined(LOCATIONS, self.structure.box_heads, lambda layer: shape(_boxes(layer), 4))
        self._joined(CONFIDENCES, self.structure.class_heads, lambda layer: shape(_boxes(layer), layer.classes))

    def _joined(self, name: str, heads: List[Head], shape: Callable[[Layer], List[int]]) -> None:
        for head, layer in zip(heads, self.parameters.layers):
            source = self.source(head.source)
            if self.sizes[source] != (layer.height, layer.width):
                raise BadInput(
                    'The head "%s" has another size as ONNX (%d x %d) than in TensorFlow (%d x %d)'
                    % ((head.reshape,) + self.sizes[source] + (layer.height, layer.width))
                )
            nhwc, dims = head.reshape + ":nhwc", np.array(shape(layer), np.int64)
            self.add("Transpose", [source], nhwc, perm=[0, 2, 3, 1])
            self.add("Reshape", [nhwc, self.initializer(head.reshape + ":shape", dims)], self.id(head.reshape))
        self.add("Concat", [self.id(head.reshape) for head in heads], name, axis=1)

    def id(self, name: str) -> str:
        """The ONNX name of a TensorFlow node's output: the node's name, unless one of our own tensors has it."""
        return name + ":tf" if name in _RESERVED else name

    def source(self, tensor: str) -> str:
        """The ONNX name of ``tensor``, which must have been written."""
        node = self.graph.maker(tensor)
        name = INPUT if node.name == self.structure.entry else self.id(node.name)
        if name not in self.sizes or output_index(tensor):
            raise BadInput(
                'Node "%s" (%s) is read where ONNX and TensorRT cannot; export the graph again' % (node.name, node.op)
            )
        return name

    def add(self, operation: str, inputs: List[str], output: str, **attributes: Any) -> Any:
        """Append a node of one output; it is called as its output."""
        node = helper.make_node(operation, inputs, [output], name=output, **attributes)
        self.nodes.append(node)
        return node

    def split(self, source: str, outputs: List[str], axis: int) -> None:
        """Append a node that takes ``source`` apart, one place of ``axis`` for each output."""
        sizes = [1] * len(outputs)
        self.nodes.append(helper.make_node("Split", [source], outputs, name=outputs[0], axis=axis, split=sizes))

    def follow(self, node: Any, operation: str, inputs: List[str], size: Tuple[int, int], **attributes: Any) -> None:
        """Append ``node`` as ``operation`` that makes a tensor of ``size`` (height, width)."""
        name = self.id(node.name)
        self.made[name] = self.add(operation, inputs, name, **attributes)
        self.sizes[name] = size

    def initializer(self, name: str, values: np.ndarray) -> str:
        """Put a constant into the model, once under each name; returns the name.

        Raises:
            BadInput: it is not finite.
        """
        if not np.isfinite(values).all():
            raise BadInput(
                'The weights of node "%s" are not finite; the network was damaged or its training diverged'
                % name.split(":")[0]
            )
        self._initializers.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def weights(self, tensor: str, *ranks: int) -> np.ndarray:
        """The float32 constant ``tensor``, of one of these numbers of dimensions."""
        values = self.graph.constant(tensor)
        if values is None or values.dtype != np.float32 or values.ndim not in ranks:
            raise BadInput(
                '"%s" should hold float32 weights of %s dimensions; freeze the graph again'
                % (tensor, " or ".join(map(str, ranks)))
            )
        return values


def _boxes(layer: Layer) -> int:
    return layer.height * layer.width * layer.boxes


def same_pads(size: int, window: int, stride: int) -> Tuple[int, int]:
    """What TensorFlow's SAME adds before and after ``size`` pixels: the odd one goes behind.

    The formula is that of tf.nn's "notes on padding": ceil(size / stride) outputs, no more pixels than they need.

    Args:
        window: the kernel's extent, holes of a dilation included.
    """
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _slide(node: Any, size: Tuple[int, int], pads: Pads, kernel: List[int]) -> Tuple[Dict[str, Any], Tuple[int, int]]:
    """The attributes of a convolution or pooling over ``size``, and the size of what it makes."""
    strides, dilations = window(node, "strides"), window(node, "dilations")
    extents = [(side - 1) * step + 1 for side, step in zip(kernel, dilations)]
    if node.attr["padding"].s == b"SAME":
        pads = (same_pads(size[0], extents[0], strides[0]), same_pads(size[1], extents[1], strides[1]))
    made = [(side + sum(pad) - extent) // stride + 1 for side, pad, extent, stride in zip(size, pads, extents, strides)]
    if min(made) < 1:
        raise BadInput(
            'Node "%s" (%s) makes nothing of %d x %d; export the graph again' % ((node.name, node.op) + size)
        )
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]}
    if dilations != [1, 1]:
        attributes["dilations"] = dilations
    return attributes, (made[0], made[1])


def _convolution(writer: OnnxWriter, node: Any) -> None:
    """Conv; a kernel HWIO becomes OIHW, a depthwise one HWCM a grouped convolution's [C * M, 1, H, W]."""
    tensor, kernel = data_inputs(node)
    values, pads, group = writer.weights(kernel, 4), ((0, 0), (0, 0)), 1
    pad = writer.graph.maker(tensor)
    if pad.op == "Pad":
        tensor, pads = data_inputs(pad)[0], pads_before(writer.graph, pad, node)
    if node.op == "DepthwiseConv2dNative":
        group = values.shape[2]
        values = values.transpose(2, 3, 0, 1).reshape(-1, 1, *values.shape[:2])
    else:
        values = values.transpose(3, 2, 0, 1)
    source = writer.source(tensor)
    attributes, size = _slide(node, writer.sizes[source], pads, list(values.shape[2:]))
    weights = writer.initializer(node.name + ":kernel", values)
    writer.follow(node, "Conv", [source, weights], size, group=group, **attributes)


def _bias(writer: OnnxWriter, node: Any) -> None:
    """BiasAdd: the bias of the convolution before it, if nothing else reads that one; else an Add."""
    check_layout(node)
    tensor, bias = data_inputs(node)
    source = writer.source(tensor)
    convolution = writer.made.get(source)
    values = writer.initializer(node.name + ":bias", writer.weights(bias, 1))
    alone = [reader.name for reader in writer.graph.consumers[writer.graph.maker(tensor).name]] == [node.name]
    if convolution is not None and convolution.op_type == "Conv" and len(convolution.input) == 2 and alone:
        convolution.input.append(values)
        convolution.output[0] = writer.id(node.name)
        writer.sizes[writer.id(node.name)] = writer.sizes.pop(source)
    else:
        _arithmetic("Add")(writer, node)


def _batch_norm(writer: OnnxWriter, node: Any) -> None:
    check_layout(node)
    tensor, *parameters = data_inputs(node)
    source = writer.source(tensor)
    names = [
        writer.initializer("%s:%s" % (node.name, role), writer.weights(parameter, 1))
        for role, parameter in zip(("scale", "offset", "mean", "variance"), parameters)
    ]
    writer.follow(node, "BatchNormalization", [source] + names, writer.sizes[source], epsilon=node.attr["epsilon"].f)


def _pool(operation: str, **more: int) -> Callable[[OnnxWriter, Any], None]:
    def convert(writer: OnnxWriter, node: Any) -> None:
        source = writer.source(data_inputs(node)[0])
        attributes, size = _slide(node, writer.sizes[source], ((0, 0), (0, 0)), window(node, "ksize"))
        writer.follow(node, operation, [source], size, **dict(attributes, **more))

    return convert


def _concat(writer: OnnxWriter, node: Any) -> None:
    *parts, axis = data_inputs(node)
    value = writer.graph.constant(axis)
    sources = [writer.source(part) for part in parts]
    sizes = {writer.sizes[source] for source in sources}
    if value is None or value.size != 1 or int(value) % 4 != 3 or len(sizes) != 1:
        raise BadInput('Node "%s" joins something else than channels; export the graph again' % node.name)
    writer.follow(node, "Concat", sources, sizes.pop(), axis=1)


def _arithmetic(operation: str) -> Callable[[OnnxWriter, Any], None]:
    """Two tensors of one size, or a tensor and a constant for each channel or for all."""

    def convert(writer: OnnxWriter, node: Any) -> None:
        inputs = []
        for number, tensor in enumerate(data_inputs(node)):
            if writer.graph.constant(tensor) is None:
                inputs.append(writer.source(tensor))
            else:
                values = writer.weights(tensor, 0, 1)
                values = values.reshape(1, -1, 1, 1) if values.ndim else values
                inputs.append(writer.initializer("%s:%d" % (node.name, number), values))
        sizes = {writer.sizes[name] for name in inputs if name in writer.sizes}
        if len(sizes) != 1:
            raise BadInput(
                'Node "%s" (%s) takes tensors of unlike sizes; export the graph again' % (node.name, node.op)
            )
        writer.follow(node, operation, inputs, sizes.pop())

    return convert


def _function(operation: str) -> Callable[[OnnxWriter, Any], None]:
    def convert(writer: OnnxWriter, node: Any) -> None:
        source = writer.source(data_inputs(node)[0])
        writer.follow(node, operation, [source], writer.sizes[source])

    return convert


def _relu6(writer: OnnxWriter, node: Any) -> None:
    source = writer.source(data_inputs(node)[0])
    limits = [
        writer.initializer("Relu6:" + end, np.array(value, np.float32)) for end, value in (("min", 0), ("max", 6))
    ]
    writer.follow(node, "Clip", [source] + limits, writer.sizes[source])


def _with_its_reader(writer: OnnxWriter, node: Any) -> None:
    """Constants and Pads become part of the node that reads them."""


CONVERTERS: Dict[str, Callable[[OnnxWriter, Any], None]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "BiasAdd": _bias,
    "FusedBatchNorm": _batch_norm,
    "MaxPool": _pool("MaxPool"),
    "AvgPool": _pool("AveragePool", count_include_pad=0),
    "ConcatV2": _concat,
    "Add": _arithmetic("Add"),
    "Sub": _arithmetic("Sub"),
    "Mul": _arithmetic("Mul"),
    "Relu": _function("Relu"),
    "Sigmoid": _function("Sigmoid"),
    "Relu6": _relu6,
    "Const": _with_its_reader,
    "Pad": _with_its_reader,
}
