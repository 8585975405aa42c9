"""Every parameter a runtime needs, derived from the graph itself and held against pipeline.config and label map."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from stages.convert.graph import grid_anchor
from stages.convert.graph.frozen_graph import Graph
from stages.convert.graph.settings import PipelineSettings
from stages.convert.graph.ssd_structure import SsdStructure
from stages.convert.parity import measure
from stages.convert.parity.session import GraphSession
from stages.job import BadInput

# Limits of NMS_TRT: its sort holds 8 * 512 candidates a class. The second bounds the work of many classes on a Nano.
LARGEST_TOP_K = 4096
MOST_CANDIDATES = 40000


class DetectorParameters(NamedTuple):
    """What a graph detects and how.

    Attributes:
        classes: how many, background included.
        anchors: the graph's own, float32 [P, 4], rows xmin, ymin, xmax, ymax.
        grid: what makes them; None: they become a constant of the .uff, because of ``no_grid``.
        converter: how scores come from class predictions: SIGMOID, SOFTMAX or IDENTITY, as in pipeline.config.
        per_class: the most results of one class.
    """

    input: measure.Input
    layers: List[measure.Layer]
    classes: int
    anchors: np.ndarray
    grid: Optional[grid_anchor.GridAnchor]
    no_grid: str
    variances: List[float]
    converter: str
    outputs: measure.Outputs
    score_threshold: float
    iou_threshold: float
    per_class: int


def derive(
    graph: Graph, structure: SsdStructure, session: GraphSession, settings: Optional[PipelineSettings]
) -> DetectorParameters:
    """Measure ``graph`` (as TensorFlow 1.12 loads it), prove what is measured, and hold it against ``settings``.

    Raises:
        BadInput: the graph computes something that UFF and TensorRT's plugins cannot, or the settings are another's.
    """
    size = measure.measure_input(session, graph, structure)
    layers = measure.measure_layers(session, graph, structure, size)
    anchors = measure.measure_anchors(session, graph, structure, size)
    classes = _classes(layers, anchors)
    heads = measure.Heads(session, graph, structure, size, (len(anchors), classes))
    variances = measure.measure_variances(heads, structure, anchors)
    converter = measure.measure_converter(heads, structure)
    told = measure.thresholds(graph, structure, classes)
    outputs = measure.find_outputs(heads, graph, structure, anchors, converter)
    if settings:
        settings.hold_against(size, classes, variances, converter)
        maps = [(layer.height, layer.width) for layer in layers]
        settings.hold_against_anchors(anchors, maps, size.height, size.width)
    grid, reason = _grid(anchors, layers)
    return DetectorParameters(
        size,
        layers,
        classes,
        anchors,
        grid,
        reason,
        variances,
        converter,
        outputs,
        _score_threshold(told, settings),
        told["iou"],
        int(told.get("per_class", outputs.most)),
    )


def _classes(layers: List[measure.Layer], anchors: np.ndarray) -> int:
    counts = sorted({layer.classes for layer in layers})
    if len(counts) != 1 or counts[0] < 2:
        raise BadInput(
            "The class heads predict %s values a box, background included; they must all predict the same "
            "number of at least 2" % ", ".join(map(str, counts))
        )
    priors = sum(layer.height * layer.width * layer.boxes for layer in layers)
    if priors != len(anchors):
        raise BadInput(
            "The heads predict %d boxes but the graph has %d anchors; export it again" % (priors, len(anchors))
        )
    return counts[0]


def _grid(anchors: np.ndarray, layers: List[measure.Layer]) -> Tuple[Optional[grid_anchor.GridAnchor], str]:
    """GridAnchor_TRT's parameters, or None and the reason why it cannot make the graph's anchors."""
    if any(layer.height != layer.width for layer in layers):
        return None, "the feature maps are not square, and GridAnchor_TRT places anchors right on square ones only"
    try:
        return grid_anchor.solve(anchors, [layer.height for layer in layers], [layer.boxes for layer in layers]), ""
    except BadInput as error:
        return None, str(error)


def _score_threshold(told: Dict[str, float], settings: Optional[PipelineSettings]) -> float:
    if "score" in told:
        return float(told["score"])
    if settings is None:
        raise BadInput(
            "The graph (of an old TensorFlow) does not tell its score threshold; give its pipeline.config too"
        )
    return settings.score_threshold


def plugins(parameters: DetectorParameters) -> Dict[str, Dict[str, Any]]:
    """The fields of the plugins used, by plugin and field name; floats are floats, integers integers.

    ``topK`` limits the candidates of a class before suppression, TensorFlow's limit counts results after it. So it is
    as large as the plugin and the work allow: all anchors, if there are few classes.
    """
    candidates = max(parameters.per_class, MOST_CANDIDATES // parameters.classes)
    top_k = min(len(parameters.anchors), candidates, LARGEST_TOP_K)
    fields: Dict[str, Dict[str, Any]] = {
        "FlattenConcat_TRT": {"axis": 1, "ignoreBatch": 0},
        "NMS_TRT": {
            "shareLocation": 1,
            "varianceEncodedInTarget": 0,
            "backgroundLabelId": 0,
            "confidenceThreshold": float(parameters.score_threshold),
            "nmsThreshold": float(parameters.iou_threshold),
            "topK": top_k,
            "keepTopK": min(parameters.outputs.most, top_k),
            "numClasses": parameters.classes,
            "inputOrder": [0, 2, 1],
            "confSigmoid": int(parameters.converter == measure.SIGMOID),
            "isNormalized": 1,
            "codeType": 3,
        },
    }
    if parameters.grid:
        fields["GridAnchor_TRT"] = {
            "minSize": float(parameters.grid.min_size),
            "maxSize": float(parameters.grid.max_size),
            "aspectRatios": [float(ratio) for ratio in parameters.grid.aspect_ratios],
            "variance": [float(variance) for variance in parameters.variances],
            "featureMapShapes": [int(side) for side in parameters.grid.maps],
            "numLayers": len(parameters.grid.maps),
        }
    return fields
