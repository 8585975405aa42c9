"""The second form of the ONNX model, ``model.boxes.onnx``: boxes decoded in the graph, and no plugin.

Standard operations of opset 11 alone, which TensorRT takes from 7.1 on, 11 included, where NMS_TRT is gone. Boxes are
decoded as NMS_TRT's TF_CENTER does it (decodeBBoxes.cu of NVIDIA/TensorRT, Apache-2.0), in its order of operations, so
that float32 gives its numbers; what suppresses them runs beside the engine: :mod:`stages.detect.nms`.
"""

from typing import Any, Dict, List

import numpy as np

from stages.convert.graph.detector_parameters import DetectorParameters
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.ssd_structure import SsdStructure
from stages.convert.onnx.writer import BOXES, OPSET, SCORES, OnnxWriter
from stages.convert.parity.measure import SIGMOID, SOFTMAX
from stages.convert.uff.plugin_graph import CONFIDENCES, LOCATIONS


def write(graph: Graph, structure: SsdStructure, parameters: DetectorParameters) -> Any:
    """The ONNX ModelProto of ``parameters``, whose network is ``graph`` between its entry and its heads.

    Its input ``Input`` is float32 [1, 3, height, width]. Its outputs: ``boxes``, float32 [1, P, 4], rows xmin, ymin,
    xmax, ymax in 0..1 of the picture and not clipped, as NMS_TRT decodes them before it suppresses; ``scores``, float32
    [1, P, C], after the score converter, the background's too.

    Raises:
        BadInput: a node of the network is not among those written here, or its weights are not finite float32.
    """
    return _BoxesWriter(graph, structure, parameters).write()


class _BoxesWriter(OnnxWriter):
    domains = {"": OPSET}

    def end(self) -> Dict[str, List[int]]:
        self.heads(lambda count, width: [1, count, width])
        converter = self.parameters.converter
        if converter == SOFTMAX:
            self.add("Softmax", [CONFIDENCES], SCORES, axis=2)
        elif converter == SIGMOID:
            self.add("Sigmoid", [CONFIDENCES], SCORES)
        else:
            self.nodes[-1].output[0] = SCORES
        self._boxes()
        count = len(self.parameters.anchors)
        return {BOXES: [1, count, 4], SCORES: [1, count, self.parameters.classes]}

    def _boxes(self) -> None:
        """center = variance * t * size + center, extent = exp(variance * t) * size, and the corners."""
        anchors = self.parameters.anchors.astype(np.float32)
        low, high = anchors[:, :2], anchors[:, 2:]
        variances = np.array(self.parameters.variances, np.float32)
        size, center = self._constant("size", high - low), self._constant("center", (low + high) / np.float32(2))
        parts = [BOXES + ":" + part for part in ("ty", "tx", "th", "tw")]
        self.split(LOCATIONS, parts, axis=2)
        ty, tx, th, tw = parts
        place = self._made("Concat", [tx, ty], "place", axis=2)
        place = self._made("Mul", [place, self._constant("place variance", variances[:2])], "place scaled")
        place = self._made("Mul", [place, size], "place sized")
        middle = self._made("Add", [place, center], "middle")
        extent = self._made("Concat", [tw, th], "extent", axis=2)
        extent = self._made("Mul", [extent, self._constant("extent variance", variances[2:])], "extent scaled")
        extent = self._made("Mul", [self._made("Exp", [extent], "extent power"), size], "extent sized")
        half = self._made("Mul", [extent, self._constant("half", np.array([0.5], np.float32))], "extent half")
        corners = [self._made("Sub", [middle, half], "low"), self._made("Add", [middle, half], "high")]
        self.add("Concat", corners, BOXES, axis=2)

    def _made(self, operation: str, inputs: List[str], name: str, **attributes: Any) -> str:
        self.add(operation, inputs, BOXES + ":" + name, **attributes)
        return BOXES + ":" + name

    def _constant(self, name: str, values: np.ndarray) -> str:
        """A constant [1, rows, columns], of as many dimensions as what it meets."""
        return self.initializer(BOXES + ":" + name, values.reshape((1, -1, values.shape[-1])))
