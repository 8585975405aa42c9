"""One graph, analysed whole: what it is, whether it converts, and if not, why."""

import collections
import os
from typing import Any, Dict, List, NamedTuple, Optional, Union

from stages.convert.graph import detector_parameters, findings
from stages.convert.graph import frozen_graph as graphs
from stages.convert.graph.detector_parameters import DetectorParameters
from stages.convert.graph.frozen_graph import Graph, data_inputs
from stages.convert.graph.repair import repair
from stages.convert.graph.settings import PipelineSettings
from stages.convert.graph.ssd_structure import SsdStructure
from stages.convert.parity.measure import SOFTMAX
from stages.convert.parity.session import GraphSession
from stages.convert.uff import plugin_graph, writer
from stages.job import BadInput

CONVERTIBLE, REPAIRABLE, REFUSED = "convertible", "repairable", "refused"


class Audit(NamedTuple):
    """What is known of any graph, as audit.json holds it.

    Attributes:
        verdict: ``convertible``, ``repairable`` or ``refused``: the worst that any finding says.
        tensorflow: the versions that may have written the graph.
        findings: as :mod:`stages.convert.graph.findings` makes them.
        ops: operation -> how often, in the whole graph.
    """

    verdict: str
    tensorflow: str
    findings: List[Dict[str, Any]]
    ops: Dict[str, int]


class Refused(NamedTuple):
    """A graph that cannot be converted, and why, in one sentence; ``parameters`` where they could be measured."""

    audit: Audit
    reason: str
    parameters: Optional[DetectorParameters]


class Examined(NamedTuple):
    """A graph that can be converted.

    Attributes:
        graph, structure, session, parameters: the graph, repaired, its parts, a session on it, what it detects and how.
        plugin_graph, uff: what TensorRT is to run with its plugins, as a graph and as a UFF message; None where a graph
            can have no plugins.
    """

    audit: Audit
    graph: Graph
    structure: SsdStructure
    session: GraphSession
    parameters: DetectorParameters
    plugin_graph: Optional[Graph]
    uff: Any


def analyse(path: str, pipeline_config: str = "", boxes_only: bool = False) -> Union[Refused, Examined]:
    """Find out all about the graph in the file or export folder ``path``.

    Args:
        path: of a frozen graph, or of the folder that an export made.
        pipeline_config: what the graph is held against; by default the file beside it, where there is one.
        boxes_only: a graph is taken that no plugin can run, but the form without plugins.

    Raises:
        BadInput: there is no frozen graph at all.
    """
    analysis = _Analysis(graphs.read(path), boxes_only)
    try:
        return analysis.examine(pipeline_config or beside(path, "pipeline.config"))
    except BadInput as error:
        return analysis.refuse(str(error))


class _Analysis:
    """Keeps what was found out before a refusal."""

    def __init__(self, original: Graph, boxes_only: bool) -> None:
        self._original, self._boxes_only = original, boxes_only
        self._findings: List[Dict[str, Any]] = []
        self._session: Optional[GraphSession] = None
        self._parameters: Optional[DetectorParameters] = None

    def examine(self, pipeline_config: str) -> Union[Refused, Examined]:
        graph, repairs = repair(self._original)
        self._session = session = GraphSession(graph.definition)
        structure = SsdStructure(graph)
        self._findings = findings.of_operations(self._original, graph, structure, repairs)
        settings = PipelineSettings(pipeline_config) if pipeline_config else None
        self._findings += findings.on_the_config(settings.passed_over if settings else [])
        self._parameters = parameters = detector_parameters.derive(graph, structure, session, settings)
        self._findings += findings.on_the_batch(graph, structure) + findings.on_the_plugins(parameters)
        self._findings += findings.on_the_scores(structure, parameters, self._boxes_only)
        if _verdict(self._findings) == REFUSED:
            return self._refused()
        with_plugins = uff = None
        if parameters.converter != SOFTMAX:
            with_plugins = plugin_graph.plugin_graph(graph, structure, parameters)
            uff = writer.write(with_plugins, [plugin_graph.NMS])
        return Examined(self._audit(), graph, structure, session, parameters, with_plugins, uff)

    def refuse(self, reason: str) -> Refused:
        """The refusal of a graph whose analysis ended with ``reason``."""
        self._findings.append(findings.of_the_graph(findings.STOP, "graph", reason))
        return self._refused()

    def _refused(self) -> Refused:
        if self._session:
            self._session.close()
        reason = next(finding["advice"] for finding in self._findings if finding["severity"] == findings.STOP)
        return Refused(self._audit(), reason, self._parameters)

    def _audit(self) -> Audit:
        ops = dict(collections.Counter(node.op for node in self._original.nodes.values()))
        return Audit(_verdict(self._findings), written_by(self._original), self._findings, ops)


def _verdict(found: List[Dict[str, Any]]) -> str:
    severities = {finding["severity"] for finding in found}
    return REFUSED if findings.STOP in severities else REPAIRABLE if findings.REPAIR in severities else CONVERTIBLE


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
