"""The ONNX models run on a CPU by onnxruntime; what suppresses boxes behind it is the reference's plugin, or numpy."""

from typing import Any, Dict, List, Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from stages.detect import nms
from stages.reference import plugins

PLUGIN = "NMS_TRT"


class OnnxRuntime:
    """Runs the ONNX file at ``path``, which ends in NMS_TRT; reads nothing else, and shares no code with the writer.

    Raises:
        ValueError: the file has no plugin NMS_TRT at its end.
    """

    def __init__(self, path: str) -> None:
        model = onnx.load(path)
        found = [node for node in model.graph.node if node.op_type == PLUGIN]
        if len(found) != 1:
            raise ValueError("%s holds %d nodes %s instead of one" % (path, len(found), PLUGIN))
        self._plugin = found[0]
        self._fields = {one.name: helper.get_attribute_value(one) for one in self._plugin.attribute}
        self._constants = {
            one.name: numpy_helper.to_array(one) for one in model.graph.initializer if one.name in self._plugin.input
        }
        self._heads = [name for name in self._plugin.input if name not in self._constants]
        self._input = model.graph.input[0].name
        self._session = _session(_without(model, self._plugin, self._heads))

    def run(self, tensor: np.ndarray, keep: List[str]) -> Dict[str, np.ndarray]:
        """What the plugin makes of ``tensor``, and its inputs named in ``keep``.

        Args:
            tensor: float32 [1, 3, height, width].

        Returns:
            the plugin's outputs (:func:`stages.reference.plugins.nms`) and the tensors ``keep``, by name.
        """
        values = dict(self._constants, **dict(zip(self._heads, self._session.run(self._heads, {self._input: tensor}))))
        made = plugins.nms(self._fields, *(values[name] for name in self._plugin.input))
        return dict({name: values[name] for name in keep}, **dict(zip(self._plugin.output, made)))


class BoxesRuntime:
    """Runs the ONNX file at ``path``, which ends in boxes and scores, and suppresses what NMS_TRT would."""

    def __init__(self, path: str, parameters: Mapping[str, Any]) -> None:
        model = onnx.load(path)
        self._input, self._outputs = model.graph.input[0].name, [one.name for one in model.graph.output]
        self._session, self._parameters = _session(model), parameters

    def run(self, tensor: np.ndarray) -> Dict[str, np.ndarray]:
        """``boxes``, ``scores`` and ``rows`` (:func:`stages.detect.nms.rows`) of a tensor float32 [1, 3, h, w]."""
        values = dict(zip(self._outputs, self._session.run(self._outputs, {self._input: tensor})))
        return dict(values, rows=nms.rows(values["boxes"], values["scores"], self._parameters))


def _without(model: Any, plugin: Any, outputs: List[str]) -> Any:
    """``model`` without its plugin, and with the plugin's inputs as its outputs."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    cut.graph.node.remove(plugin)
    del cut.graph.output[:]
    cut.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs)
    return cut


def _session(model: Any) -> Any:
    options = onnxruntime.SessionOptions()
    # One thread: the figures must not depend on how many processors there are.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
