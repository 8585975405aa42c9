"""INetworkDefinition, UffParser and OnnxParser."""

import enum
import weakref

from .logger import Severity
from .network import Network, Refused
from .types import DataType, Dims
from .uff_parser import Parse
from .versions import VERSION, of_this_version, setting, since, until

# What an ONNX operation becomes; others are called as they are.
LAYERS = {
    "Conv": "Convolution",
    "BatchNormalization": "Scale",
    "Clip": "Activation",
    "Relu": "Activation",
    "Sigmoid": "Activation",
    "Concat": "Concatenation",
    "Transpose": "Shuffle",
    "Reshape": "Shuffle",
    "Split": "Slice",
    "Exp": "Unary",
    "Softmax": "SoftMax",
    "NMS_TRT": "PluginV2",
}
UFF_REQUIRED = {5: (0, 6, 3), 6: (0, 6, 5), 7: (0, 6, 9), 8: (0, 6, 9)}


class UffInputOrder(enum.IntEnum):
    NCHW, NHWC, NC = range(3)


class ITensor:
    def __init__(self, tensor):
        self.name, self.shape, self.dtype = tensor.name, Dims(tensor.shape), DataType.FLOAT


@of_this_version
class INetworkDefinition:
    """What parsers fill; ``_source`` is what an engine computes."""

    def __init__(self, explicit, logger):
        self._explicit, self._logger, self._network, self._source = explicit, logger, Network(), None
        self._weights_of = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    num_layers = property(lambda self: self._network.layer_count)
    num_inputs = property(lambda self: len(self._network.inputs))
    num_outputs = property(lambda self: len(self._network.outputs))
    has_implicit_batch_dimension = since(7, 0, 0)(property(lambda self: not self._explicit))
    name = setting("name", "Unnamed Network 0")

    def get_input(self, index):
        return ITensor(self._network.inputs[index])

    def get_output(self, index):
        return ITensor(self._network.outputs[index])


@of_this_version
class UffParser:
    def __init__(self):
        self._inputs, self._outputs = {}, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    uff_required_version_major = property(lambda self: UFF_REQUIRED[VERSION[0]][0])
    uff_required_version_minor = property(lambda self: UFF_REQUIRED[VERSION[0]][1])
    uff_required_version_patch = property(lambda self: UFF_REQUIRED[VERSION[0]][2])
    plugin_namespace = setting("plugin_namespace", "")
    plugin_factory = until(8, 0, 0)(setting("plugin_factory", None))
    plugin_factory_ext = until(8, 0, 0)(setting("plugin_factory_ext", None))
    error_recorder = since(8, 0, 0)(setting("error_recorder", None))

    def register_input(self, name, shape, order=UffInputOrder.NCHW):
        self._inputs[name] = tuple(shape)
        return True

    def register_output(self, name):
        self._outputs.append(name)
        return True

    def parse(self, file, network, weights_type=DataType.FLOAT):
        try:
            with open(file, "rb") as stream:
                data = stream.read()
        except OSError:
            network._logger.log(Severity.ERROR, "UffParser: Could not open %s" % file)
            return False
        return self.parse_buffer(data, network, weights_type)

    def parse_buffer(self, buffer, network, weights_type=DataType.FLOAT):
        def log(words):
            network._logger.log(Severity.WARNING, words)

        if network._explicit:
            network._logger.log(Severity.ERROR, "UffParser: UFF parser does not support explicit batch networks")
            return False
        try:
            Parse(bytes(buffer), network._network, self._inputs, self._outputs, VERSION, log)
        except Refused as error:
            network._logger.log(Severity.ERROR, str(error))
            return False
        network._source = ("uff", bytes(buffer))
        network._weights_of = weakref.ref(self)
        return True


class ParserError:
    def __init__(self, words, node):
        self._words, self._node = words, node

    def desc(self):
        return self._words

    def node(self):
        return self._node

    def __str__(self):
        return "In node %d (parseGraph): UNSUPPORTED_NODE: %s" % (self._node, self._words)


@of_this_version
class OnnxParser:
    """Takes what onnx can read whose operations are those of its opset, or a plugin that this version has."""

    def __init__(self, network, logger):
        self._network, self._logger, self._errors = network, logger, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index):
        return self._errors[index]

    def clear_errors(self):
        self._errors = []

    def parse(self, model):
        import onnx

        from . import plugins

        if not self._network._explicit:
            self._errors.append(
                ParserError("This version of the ONNX parser only supports networks with an explicit batch", -1)
            )
            return False
        try:
            found = onnx.load_from_string(bytes(model))
        except Exception:
            self._errors.append(ParserError("Failed to parse ONNX model", -1))
            return False
        for number, node in enumerate(found.graph.node):
            is_plugin = node.op_type in plugins.registered()
            if not is_plugin and not onnx.defs.has(node.op_type):
                words = "No importer registered for op: %s" % node.op_type
                self._errors.append(ParserError(words, number))
                return False
        _add_layers(self._network._network, onnx.shape_inference.infer_shapes(found).graph)
        self._network._source = ("onnx", bytes(model))
        return True


def _add_layers(network, graph):
    """A layer for each node; what is not computed is a weight of its reader."""
    shapes = {
        one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
        for one in [*graph.input, *graph.value_info, *graph.output]
    }
    tensors = {one.name: network.add_input(one.name, shapes[one.name]) for one in graph.input}
    for node in graph.node:
        inputs = [tensors[name] for name in node.input if name in tensors]
        made = network.add(
            LAYERS.get(node.op_type, node.op_type), node.name, inputs, [shapes.get(name, []) for name in node.output]
        )
        tensors.update(zip(node.output, made))
    for one in graph.output:
        network.mark_output(tensors[one.name], one.name)
