"""UffParser as NVIDIA's of 8.5.3 was seen to work: what it makes of each node, what it refuses, what it gets wrong.

Every rule here was recorded on the real one (see tests/jetson/test_jetson_simulator.py); it shares no code with the
linter, and reads the file with the reference engine's reader.
"""

import numpy as np

from stages.job import BadInput
from stages.reference import uff

from . import plugins
from .network import ACTIVATIONS, ELEMENTWISE, REDUCE, UNARY, Refused, same, volume, window

LAST, FIRST, NONE = "N+C", "NC+", ""
OPERATIONS = set(
    "Input Const Identity Conv ConvTranspose Pool FullyConnected LRN Binary Unary Activation LeakyRelu Softmax"
    " BatchNorm Reshape Flatten Squeeze ExpandDims ArgMax ArgMin Transpose Concat Stack Shape StridedSlice Reduce Pad"
    " Gather GatherV2 MarkOutput".split()
)
FUNCTIONS = {
    "Activation": set(ACTIVATIONS),
    "Binary": set(ELEMENTWISE),
    "Pool": {"max", "avg"},
    "Reduce": set(REDUCE),
}
SUFFIX = "_HL_1804289383"


class Made:
    """What stands under a node's name: tensors, and where the parser believes their channels are."""

    def __init__(self, tensors, order=NONE, value=None):
        self.tensors, self.order, self.value = tensors, order, value

    @property
    def tensor(self):
        return self.tensors[0]


class Parse:
    """One file, parsed into a network."""

    def __init__(self, data, network, registered, wanted, version, log):
        try:
            graph = uff.parse(data, "the file")
        except BadInput as error:
            raise Refused("UffParser: Could not parse MetaGraph: %s" % error) from error
        self.nodes = {node.id: node for node in graph.nodes}
        self.network, self.registered, self.version, self.log = network, registered, version, log
        self.made = {}
        self._validate()
        ordered = list(self._ordered(wanted))
        for node in ordered:
            if node.operation.startswith("_"):
                self._create(node)
        for name in registered:
            self.made[name] = Made([network.add_input(name, registered[name])])
        for node in ordered:
            if node.id not in self.made and node.operation != "MarkOutput":
                self.made[node.id] = getattr(self, "_" + node.operation.lstrip("_").lower(), self._plugin)(node)
        self._mark(wanted)

    def _validate(self):
        for node in self.nodes.values():
            known = plugins.declared(node.operation[1:], self.version) if node.operation.startswith("_") else ()
            if node.operation not in OPERATIONS and not known:
                raise Refused("UffParser: Validator error: %s: Unsupported operation %s" % (node.id, node.operation))
            function = node.fields.get("func")
            if function not in FUNCTIONS.get(node.operation, {function}):
                raise Refused(
                    "UffParser: Validator error: %s: Invalid enum field 'func': bad type or not present" % node.id
                )
            if "padding" in node.fields and "implicit_padding" in node.fields:
                raise Refused("UffParser: Validator error: %s: OneOf fields check failed" % node.id)

    def _ordered(self, wanted):
        """The nodes that outputs need, each after its inputs, which come in their order."""
        done, stack = set(), [(name, False) for name in reversed(wanted)]
        while stack:
            name, inputs_done = stack.pop()
            if name not in self.nodes:
                raise Refused("UffParser: Could not find node: %s" % name)
            if inputs_done:
                yield self.nodes[name]
            elif name not in done:
                done.add(name)
                stack.append((name, True))
                stack.extend((source, False) for source in reversed(self.nodes[name].inputs))

    def _create(self, node):
        kind = node.operation[1:]
        taken, lost = plugins.collection(node.fields, kind, self.version)
        for name in lost:
            self.log(
                "UFFParser: Did not find plugin field entry %s in the Registered Creator for layer %s" % (name, node.id)
            )
        self.network.note_plugin(node.id, kind, taken)
        plugins.check(kind, taken)

    def _inputs(self, node):
        """The tensors of a node's inputs; a plugin stands for all its outputs."""
        return [tensor for name in node.inputs for tensor in self.made[name].tensors]

    def _first(self, node):
        return self.made[node.inputs[0]]

    def _error(self, node, words):
        raise Refused("UffParser: Parser error: %s: %s" % (node.id, words))

    def _input(self, node):
        raise Refused("UffParser: Input %s was not registered" % node.id)

    def _const(self, node):
        value = node.fields["values"]
        made = self.network.add("Constant", node.id, [], [value.shape])
        return Made(made, value=value)

    def _order(self, node, x):
        orders = node.fields.get("inputs_orders")
        if not orders:
            return x.order
        return LAST if orders[0][-1][-1] == 1 else FIRST

    def _window(self, node, x, kernel):
        fields, dims = node.fields, x.shape
        strides, dilation = fields.get("strides", [1, 1]), fields.get("dilation", [1, 1])
        pads = fields.get("padding", [0, 0])
        implicit = fields.get("implicit_padding") == "same"
        if implicit:
            sizes = [same(size, stride) for size, stride in zip(dims[1:], strides)]
        else:
            sizes = [window(*one) for one in zip(dims[1:], kernel, strides, pads, pads, dilation)]
        mode = 2 if implicit else 0
        return sizes, dict(
            k=list(kernel), s=list(strides), pre=list(pads), post=list(pads), dil=list(dilation), mode=mode
        )

    def _conv(self, node):
        x, kernel = self._first(node), self.made[node.inputs[1]].value
        if kernel is None or kernel.ndim != 4:
            self._error(node, "Convolution kernel must be constant and of four dimensions")
        sizes, parameters = self._window(node, x.tensor, kernel.shape[:2])
        groups = node.fields.get("number_groups", 1)
        maps = kernel.shape[3] * (groups if "number_groups" in node.fields else 1)
        made = self.network.add(
            "Convolution",
            node.id,
            [x.tensor],
            [(maps, *sizes)],
            maps=maps,
            groups=groups,
            kernel=kernel.size,
            **parameters,
        )
        return Made(made, self._order(node, x))

    def _pool(self, node):
        x = self._first(node)
        sizes, parameters = self._window(node, x.tensor, node.fields["kernel"])
        average = node.fields["func"] == "avg"
        excluded = average and node.fields.get("implicit_padding") != "same"
        made = self.network.add(
            "Pooling", node.id, [x.tensor], [(x.tensor.shape[0], *sizes)],
            type=int(average), exclusive=int(not excluded), exclusive_set=int(excluded), **parameters
        )  # fmt: skip
        return Made(made, self._order(node, x))

    def _batchnorm(self, node):
        x = self._first(node)
        gamma, beta, mean, variance = (self.made[name].value for name in node.inputs[1:])
        scale = gamma / np.sqrt(variance + node.fields.get("epsilon", 0.0))
        return Made(self._scale(node, x, 1, scale=scale, shift=beta - mean * scale), self._order(node, x))

    def _scale(self, node, x, mode, **weights):
        held = {name: weights[name].size for name in weights}
        return self.network.add("Scale", node.id, [x.tensor], [x.tensor.shape], mode=mode, axis=-3, **held)

    def _activation(self, node):
        x = self._first(node)
        kind, alpha, beta = ACTIVATIONS[node.fields["func"]]
        made = self.network.add("Activation", node.id, [x.tensor], [x.tensor.shape], type=kind, alpha=alpha, beta=beta)
        return Made(made, x.order)

    def _leakyrelu(self, node):
        x = self._first(node)
        alpha = node.fields.get("alpha", 0.0)
        made = self.network.add("Activation", node.id, [x.tensor], [x.tensor.shape], type=3, alpha=alpha, beta=0)
        return Made(made, x.order)

    def _unary(self, node):
        x = self._first(node)
        made = self.network.add("Unary", node.id, [x.tensor], [x.tensor.shape], type=UNARY[node.fields["func"]])
        return Made(made, x.order)

    def _identity(self, node):
        x = self._first(node)
        return Made(self.network.add("Other", node.id, [x.tensor], [x.tensor.shape], type=21), x.order)

    def _binary(self, node):
        left, right = (self.made[name] for name in node.inputs)
        function = node.fields["func"]
        if left.value is None and right.value is None:
            made = self.network.add(
                "ElementWise", node.id, [left.tensor, right.tensor], [left.tensor.shape], type=ELEMENTWISE[function]
            )
            return Made(made, left.order or right.order)
        x, constant, side = (right, left.value, "left") if left.value is not None else (left, right.value, "right")
        if function in ("min", "max"):
            self._error(node, "Unsupported binary op %s with constant right" % function)
        if function not in ("add", "mul") and side == "left":
            self._error(node, "Unsupported binary op %s with constant left" % function)
        kind = {"add": "shift", "sub": "shift", "mul": "scale", "div": "scale", "pow": "power"}[function]
        return Made(self._scale(node, x, self._mode(node, x, constant.size), **{kind: constant}), x.order)

    def _mode(self, node, x, count):
        dims = x.tensor.shape
        if count == 1:
            return 0
        if count == dims[0]:
            return 1
        if count == volume(dims):
            return 2
        return self._error(node, "Invalid scale mode, nbWeights: %d" % count)

    def _as_in_file(self, made):
        """Channels last comes out of its order: a transposition, which stays under the node's name, order and all."""
        if made.order != LAST:
            return made.tensor
        dims = made.tensor.shape
        turned = self.network.add(
            "Shuffle", self.network.unnamed(), [made.tensor], [(dims[1], dims[2], dims[0])], first=[1, 2, 0],
            reshape=[0, 0, 0],
        )  # fmt: skip
        made.tensors = turned
        return turned[0]

    def _reshape(self, node):
        x, target = self._first(node), self.made[node.inputs[1]].value
        tensor = self._as_in_file(x)
        wanted = [int(size) for size in np.asarray(target).reshape(-1)][1:]
        sizes = [
            tensor.shape[place] if size == 0 and place < len(tensor.shape) else size
            for place, size in enumerate(wanted)
        ]
        if sizes.count(-1) == 1:
            rest = volume([size for size in sizes if size != -1])
            sizes[sizes.index(-1)] = volume(tensor.shape) // max(rest, 1)
        if volume(sizes) != volume(tensor.shape):
            self._error(
                node,
                "Reshape: Volume mismatch. Note: Initial Volume = %d, New Volume = %d"
                % (volume(tensor.shape), volume(sizes)),
            )
        sizes += [1] * (3 - len(sizes))
        return Made(self.network.add("Shuffle", node.id, [tensor], [sizes], reshape=sizes))

    def _softmax(self, node):
        tensor = self._as_in_file(self._first(node))
        return Made(self.network.add("SoftMax", node.id, [tensor], [tensor.shape], axes=0, axes_set=0))

    def _reduce(self, node):
        tensor = self._as_in_file(self._first(node))
        axes = [axis - 1 for axis in node.fields["axes"]]
        dims = [1 if place in axes else size for place, size in enumerate(tensor.shape)]
        mask = sum(1 << axis for axis in axes)
        kind = REDUCE[node.fields["func"]]
        return Made(self.network.add("Reduce", node.id, [tensor], [dims], type=kind, axes=mask, keep=1))

    def _transpose(self, node):
        x = self._first(node)
        made = self.network.add("Shuffle", node.id, [x.tensor], [x.tensor.shape])
        permutation = list(node.fields["permutation"])
        return Made(made, FIRST if x.order == LAST and permutation == [0, 3, 1, 2] else x.order)

    def _squeeze(self, node):
        made = self._first(node)
        made.tensor.name = node.id
        for call in self.network.calls:
            if made.tensor.number in call.get("out", []):
                call["name"], call["out_names"] = node.id, [node.id]
        return made

    def _pad(self, node):
        x, pads = self._first(node), self.made[node.inputs[1]].value
        places = (1, 2) if x.order == LAST else (2, 3)
        pre, post = ([int(pads[place][end]) for place in places] for end in (0, 1))
        channels, height, width = x.tensor.shape
        dims = (channels, height + pre[0] + post[0], width + pre[1] + post[1])
        return Made(self.network.add("Padding", node.id, [x.tensor], [dims], pre=pre, post=post), x.order)

    def _concat(self, node):
        inputs, order = self._inputs(node), self._first(node).order
        axis = node.fields["axis"]
        if not 1 <= axis <= len(inputs[0].shape):
            self._error(node, "Concat operation axis is out of bounds for layer %s" % node.id)
        place = axis % 3 if order == LAST else axis - 1
        dims = list(inputs[0].shape)
        dims[place] = sum(one.shape[place] for one in inputs)
        return Made(self.network.add("Concatenation", node.id, inputs, [dims], axis=place), order)

    def _plugin(self, node):
        if not node.operation.startswith("_"):
            raise Refused("the simulator has no %s" % node.operation)
        kind = node.operation[1:]
        fields = {
            name: value[0] if len(value) == 1 and name not in plugins.LISTS else value for name, value in self._of(node)
        }
        inputs = self._inputs(node)
        made = self.network.add("Plugin", node.id, inputs, plugins.output_dims(kind, fields, inputs), type=kind)
        return Made(made, self._first(node).order if node.inputs and kind == "FlattenConcat_TRT" else NONE)

    def _of(self, node):
        taken, _ = plugins.collection(node.fields, node.operation[1:], self.version)
        return [(name, values) for name, _, _, values in taken]

    def _mark(self, wanted):
        """Channels last are put out so, by a layer that takes the node's name; a plugin's outputs are all put out."""
        for name in [source for output in wanted for source in self._marked(output)]:
            made = self.made[name]
            if made.order == LAST:
                self._rename(made, name)
                dims = made.tensor.shape
                turned = self.network.add(
                    "Shuffle", name, [made.tensor], [(dims[1], dims[2], dims[0])], first=[1, 2, 0], reshape=[0, 0, 0]
                )
                self.network.mark_output(turned[0])
            else:
                for tensor in made.tensors:
                    self.network.mark_output(tensor)
        outputs = self.network.outputs
        self.network.calls.append({"op": "Outputs", "names": [one.name for one in outputs]})

    def _marked(self, output):
        node = self.nodes[output]
        return node.inputs if node.operation == "MarkOutput" else [output]

    def _rename(self, made, name):
        for call in self.network.calls:
            if made.tensor.number in call.get("out", []) and call["name"] == name:
                call["name"] = name + SUFFIX
