"""One graph, examined whole: what it is, whether it converts, and if not, why."""

import collections
import os
from typing import Any, Dict, List, Optional, Set, Tuple

from stages.convert.graph import detector_parameters
from stages.convert.graph import frozen_graph as graphs
from stages.convert.graph.frozen_graph import Graph, data_inputs
from stages.convert.graph.repair import Repair, repair
from stages.convert.graph.settings import PipelineSettings
from stages.convert.graph.ssd_structure import SsdStructure, regions
from stages.convert.parity.session import GraphSession
from stages.convert.uff import plugin_graph, writer
from stages.job import BadInput

CONVERTIBLE, REPAIRABLE, REFUSED = "convertible", "repairable", "refused"
CUT, FOLD, NOTE, REPAIR, STOP = "cut", "fold", "note", "repair", "stop"

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


class Examination:
    """What was found out about a graph; everything after the point of a refusal is None.

    Attributes:
        verdict: ``convertible``, ``repairable`` or ``refused``.
        tensorflow: the versions that may have written the graph.
        ops: operation -> how often, in the whole graph.
        findings: ``{"op", "node", "count", "where", "severity", "advice"}``, one per operation and place;
            ``node`` is the first of ``count``; severities are ``cut``, ``fold``, ``note``, ``repair`` and ``stop``.
        graph, anatomy, evaluator, detector: the repaired graph, its parts, its session, its parameters.
        transplant, meta: what TensorRT is to run, as a graph and as UFF.
    """

    def __init__(self, path: str, pipeline_config: str = "") -> None:
        original = graphs.read(path)
        self.tensorflow = written_by(original)
        self.ops = dict(collections.Counter(node.op for node in original.nodes.values()))
        self.findings: List[Dict[str, Any]] = []
        self.graph: Optional[Graph] = None
        self.structure: Optional[SsdStructure] = None
        self.session: Optional[GraphSession] = None
        self.detector: Optional[detector_parameters.DetectorParameters] = None
        self.plugin_graph: Optional[Graph] = None
        self.meta: Any = None
        try:
            self._examine(original, pipeline_config or beside(path, "pipeline.config"))
        except BadInput as error:
            self.findings.append(
                {"op": "", "node": "", "count": 1, "where": "graph", "severity": STOP, "advice": str(error)}
            )

    def _examine(self, original: Graph, pipeline_config: str) -> None:
        self.graph, repairs = repair(original)
        self.session = GraphSession(self.graph.definition)
        self.structure = SsdStructure(self.graph)
        self.findings = _findings(original, self.graph, self.structure, repairs)
        settings = PipelineSettings(pipeline_config) if pipeline_config else None
        self.detector = detector_parameters.examine(self.graph, self.structure, self.session, settings)
        self.findings += _batch_note(self.graph, self.structure) + _notes(self.detector)
        if self.verdict != REFUSED:
            self.plugin_graph = plugin_graph.plugin_graph(self.graph, self.structure, self.detector)
            self.meta = writer.write(self.plugin_graph, [plugin_graph.NMS])

    @property
    def verdict(self) -> str:
        """The worst that any finding says."""
        severities = {finding["severity"] for finding in self.findings}
        return REFUSED if STOP in severities else REPAIRABLE if REPAIR in severities else CONVERTIBLE

    def refusal(self) -> str:
        """Why the graph is refused, in one sentence."""
        return next(finding["advice"] for finding in self.findings if finding["severity"] == STOP)


def beside(path: str, name: str) -> str:
    """The path of the file ``name`` in the export folder ``path``, or "" where there is none."""
    found = os.path.join(path, name)
    return found if os.path.isdir(path) and os.path.isfile(found) else ""


def written_by(graph: Graph) -> str:
    """Which TensorFlow wrote the graph, from operations and attributes: the exporter blanks the producer's version."""
    ops = {node.op for node in graph.nodes.values()}
    attributes = {name for node in graph.nodes.values() for name in node.attr}
    if ops & {"FusedBatchNormV3", "AddV2", "NonMaxSuppressionV5"} or attributes & {
        "incompatible_shape_error",
        "T_threshold",
    }:
        return "1.15 or newer"
    if attributes & {"explicit_paddings", "half_pixel_centers", "batch_dims"}:
        return "1.14"
    # Until 1.12 a transpose without permutation computed it: (rank - 1) - range(rank). Later versions knew the rank.
    permutations = [
        graph.maker(data_inputs(node)[1]).op for node in graph.of_kind("Transpose") if len(data_inputs(node)) == 2
    ]
    return "1.13" if permutations and "Sub" not in permutations else "1.12 or older"


def network(graph: Graph, structure: SsdStructure) -> Set[str]:
    """The nodes that become UFF nodes: what flows into the heads' data, up to the network's entry."""
    sources = [head.source for head in structure.box_heads + structure.class_heads]
    heads = {head.reshape for head in structure.box_heads + structure.class_heads}
    return graph.ancestors(sources, stop=[structure.entry]) | heads


def _findings(original: Graph, repaired: Graph, structure: SsdStructure, repairs: List[Repair]) -> List[Dict[str, Any]]:
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


def _batch_note(graph: Graph, structure: SsdStructure) -> List[Dict[str, Any]]:
    shape = graph.nodes[structure.image].attr["shape"].shape
    if not shape.unknown_rank and shape.dim[0].size == 1:
        return []
    advice = (
        "the picture input has no batch size: a batch of 1 is what is converted and proven; export with "
        "--input_shape 1,H,W,3 to have it in the graph"
    )
    return [_finding("Placeholder", [structure.image], "preprocessor", NOTE, advice)]


def _notes(detector: detector_parameters.DetectorParameters) -> List[Dict[str, Any]]:
    """What converts, but not without a difference that the user should know."""
    notes = []
    if detector.per_class < detector.outputs.most:
        notes.append(
            (
                "postprocessor",
                "max_detections_per_class is %d, which NMS_TRT cannot limit: of more than %d "
                "objects of one class it keeps up to %d; export with max_detections_per_class equal to "
                "max_total_detections" % (detector.per_class, detector.per_class, detector.outputs.most),
            )
        )
    if detector.no_grid:
        notes.append(
            (
                "anchors",
                "written as a constant input of NMS_TRT, which was never tried on a Jetson, because %s"
                % detector.no_grid,
            )
        )
    return [
        {"op": "", "node": "", "count": 1, "where": where, "severity": NOTE, "advice": advice}
        for where, advice in notes
    ]


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
    found = (
        [
            _finding(
                op,
                stopping,
                place,
                STOP,
                'UFF has no %s (node "%s" of the %s); train one of the plain ssd_* '
                "architectures" % (op, stopping[0], place),
            )
        ]
        if stopping
        else []
    )
    return found + (
        [_finding(op, folded, place, FOLD, "computed once, for a batch of 1, and written as a constant")]
        if folded
        else []
    )


def _is_written(graph: Graph, name: str) -> bool:
    op = graph.nodes[name].op
    return op in plugin_graph.NETWORK or op in ("Identity", "Reshape")


def _finding(op: str, names: List[str], place: str, severity: str, advice: str) -> Dict[str, Any]:
    return {"op": op, "node": names[0], "count": len(names), "where": place, "severity": severity, "advice": advice}
