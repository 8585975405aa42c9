"""What an audit says of a graph's operations: cut, folded, repaired, or in the way, and what helps.

A finding is ``{"op", "node", "count", "where", "severity", "advice"}``, one per operation and place; ``node`` is the
first of ``count``.
"""

import collections
from typing import Any, Dict, List, Set, Tuple

from stages.convert.graph.detector_parameters import DetectorParameters
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.repair import Repair
from stages.convert.graph.ssd_structure import SsdStructure, network, regions
from stages.convert.parity.measure import SOFTMAX
from stages.convert.uff import plugin_graph

CUT, FOLD, NOTE, REPAIR, STOP = "cut", "fold", "note", "repair", "stop"
CONFIG = "pipeline.config"  # where a finding is that is not in the graph

# TensorFlow operations that NVIDIA's converter has a UFF operation for (its table in tao_tensorflow1_backend).
UFF_TAKES = {
    "Placeholder",
    "Identity",
    "Const",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "RealDiv",
    "Relu",
    "Relu6",
    "LeakyRelu",
    "Tanh",
    "Sigmoid",
    "Elu",
    "Selu",
    "Softsign",
    "Softplus",
    "Neg",
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Ceil",
    "Cos",
    "Cosh",
    "Sin",
    "Sinh",
    "Tan",
    "Floor",
    "Sqrt",
    "Rsqrt",
    "Square",
    "Pow",
    "Exp",
    "Log",
    "Softmax",
    "Minimum",
    "Maximum",
    "Shape",
    "ExpandDims",
    "ArgMax",
    "ArgMin",
    "Reshape",
    "Transpose",
    "Pack",
    "ConcatV2",
    "MaxPool",
    "AvgPool",
    "LRN",
    "MatMul",
    "Conv2D",
    "DepthwiseConv2dNative",
    "Conv2DBackpropInput",
    "BiasAdd",
    "FusedBatchNorm",
    "StridedSlice",
    "Sum",
    "Prod",
    "Min",
    "Max",
    "Mean",
    "Squeeze",
    "Pad",
    "Gather",
    "GatherV2",
}
_CUT_ADVICE = {
    "preprocessor": "cut away: the runtime resizes and scales pixels itself, as model.json says",
    "anchors": "replaced by GridAnchor_TRT, or by a constant of the same anchors where it cannot make them",
    "postprocessor": "replaced by NMS_TRT, which decodes and suppresses",
}


def of_operations(
    original: Graph, repaired: Graph, structure: SsdStructure, repairs: List[Repair]
) -> List[Dict[str, Any]]:
    """The findings on every operation of ``original``, of which ``repaired`` was made by ``repairs``."""
    where, kept = regions(repaired, structure), network(repaired, structure)
    found = []
    for one in repairs:
        for place, names in _by_place(one.nodes, where):
            found.append(_finding(one.op, names, place, REPAIR, one.why))
    groups: Dict[str, List[str]] = collections.OrderedDict()
    for name, node in original.nodes.items():
        groups.setdefault(node.op, []).append(name)
    repaired_places = {(finding["op"], finding["where"]) for finding in found}
    for op, nodes in groups.items():
        for place, names in _by_place(nodes, where):
            if (op, place) not in repaired_places:
                found.extend(_judge(repaired, op, names, place, kept))
    return found


def on_the_batch(graph: Graph, structure: SsdStructure) -> List[Dict[str, Any]]:
    """A note where the graph takes batches of any size; else nothing."""
    shape = graph.nodes[structure.image].attr["shape"].shape
    if not shape.unknown_rank and shape.dim[0].size == 1:
        return []
    advice = (
        "the picture input has no batch size: a batch of 1 is what is converted and proven; export with "
        "--input_shape 1,H,W,3 to have it in the graph"
    )
    return [_finding("Placeholder", [structure.image], "preprocessor", NOTE, advice)]


def on_the_scores(structure: SsdStructure, parameters: DetectorParameters, boxes_only: bool) -> List[Dict[str, Any]]:
    """What a softmax means: no plugin can make it, so it is in the way of all but the form that has none.

    Args:
        boxes_only: that form will do.
    """
    if parameters.converter != SOFTMAX:
        return []
    if boxes_only:
        advice = "scores come from a softmax, which NMS_TRT does not know: model.boxes.onnx is made alone"
        return [_finding("Softmax", [structure.scores], "postprocessor", NOTE, advice)]
    advice = (
        'The graph turns class predictions into scores with a softmax (node "%s"), NMS_TRT knows only the sigmoid; '
        "convert it with --to onnx into model.boxes.onnx, which needs no plugin, or train with score_converter: "
        "SIGMOID and weighted_sigmoid loss"
    )
    return [_finding("Softmax", [structure.scores], "postprocessor", STOP, advice % structure.scores)]


def on_the_plugins(parameters: DetectorParameters) -> List[Dict[str, Any]]:
    """What converts, but not without a difference that the user should know."""
    notes = []
    if parameters.per_class < parameters.outputs.most:
        advice = (
            "max_detections_per_class is %d, which NMS_TRT cannot limit: of more than %d objects of one class it keeps "
            "up to %d; export with max_detections_per_class equal to max_total_detections"
        )
        limits = (parameters.per_class, parameters.per_class, parameters.outputs.most)
        notes.append(of_the_graph(NOTE, "postprocessor", advice % limits))
    if parameters.no_grid:
        advice = "written as a constant input of NMS_TRT, which was never tried on a Jetson, because %s"
        notes.append(of_the_graph(NOTE, "anchors", advice % parameters.no_grid))
    return notes


def on_the_config(passed_over: List[str]) -> List[Dict[str, Any]]:
    """What of the pipeline.config was passed over; the sentences are its reader's."""
    return [of_the_graph(NOTE, CONFIG, sentence) for sentence in passed_over]


def _by_place(names: List[str], where: Dict[str, str]) -> List[Tuple[str, List[str]]]:
    places: Dict[str, List[str]] = collections.OrderedDict()
    for name in names:
        places.setdefault(where[name], []).append(name)
    return list(places.items())


def _judge(graph: Graph, op: str, names: List[str], place: str, kept: Set[str]) -> List[Dict[str, Any]]:
    if place in _CUT_ADVICE:
        return [] if op in UFF_TAKES else [_finding(op, names, place, CUT, _CUT_ADVICE[place])]
    stopping = [name for name in names if name in kept and not _is_written(graph, name)]
    folded = [name for name in names if name not in kept and op not in ("Const", "Identity", "ConcatV2", "Squeeze")]
    found = []
    if stopping:
        advice = 'UFF has no %s (node "%s" of the %s); train one of the plain ssd_* architectures'
        found.append(_finding(op, stopping, place, STOP, advice % (op, stopping[0], place)))
    if folded:
        advice = "computed once, for a batch of 1, and written as a constant"
        found.append(_finding(op, folded, place, FOLD, advice))
    return found


def _is_written(graph: Graph, name: str) -> bool:
    op = graph.nodes[name].op
    return op in plugin_graph.NETWORK or op in ("Identity", "Reshape")


def _finding(op: str, names: List[str], place: str, severity: str, advice: str) -> Dict[str, Any]:
    return {"op": op, "node": names[0], "count": len(names), "where": place, "severity": severity, "advice": advice}


def of_the_graph(severity: str, where: str, advice: str) -> Dict[str, Any]:
    """A finding on no single operation."""
    return {"op": "", "node": "", "count": 1, "where": where, "severity": severity, "advice": advice}
