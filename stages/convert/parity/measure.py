"""What the parts of a graph compute, proven by feeding values through them.

Whatever the conversion replaces by a fixed formula or by a TensorRT plugin passes through here: the preprocessor, the
box decoder, the score converter, and non-maximum suppression. Pictures and encodings are seeded, so results repeat.
"""

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from stages.convert.graph import grid_anchor
from stages.convert.graph.frozen_graph import Graph, data_inputs
from stages.convert.graph.ssd_structure import SsdStructure
from stages.convert.parity.session import GraphSession
from stages.job import BadInput

TOLERANCE = 1e-5
SIGMOID, SOFTMAX, IDENTITY = "SIGMOID", "SOFTMAX", "IDENTITY"  # score converters, as pipeline.config calls them
_LARGEST_SIDE = 2048


class Input(NamedTuple):
    """The network's input: value = pixel (0 to 255) * scale + offset, in the channel order ``channels``."""

    height: int
    width: int
    channels: str
    scale: float
    offset: float


class Layer(NamedTuple):
    """One feature map: its size, boxes per cell, and class predictions per box, background included."""

    height: int
    width: int
    boxes: int
    classes: int


class Outputs(NamedTuple):
    """The names of the graph's detection outputs; ``number`` says how many of the ``most`` rows hold a detection."""

    boxes: str
    classes: str
    scores: str
    number: str
    most: int


def noise(shape: Tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Seeded uint8 values of ``shape``, 0 and 255 among them."""
    values = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
    values.flat[0], values.flat[-1] = 0, 255
    return values


def as_fed(picture: np.ndarray, graph: Graph, structure: SsdStructure) -> np.ndarray:
    """``picture`` (uint8 [h, w, 3]) as the image placeholder takes it: a batch of one, in its type."""
    import tensorflow as tf

    kind = tf.as_dtype(graph.nodes[structure.image].attr["dtype"].type).as_numpy_dtype
    return picture[np.newaxis].astype(kind)


def measure_input(session: GraphSession, graph: Graph, structure: SsdStructure) -> Input:
    """The network's input size and normalisation, the latter proven on a picture of noise.

    Raises:
        BadInput: the size depends on the picture, or the preprocessor is not one scale and one offset.
    """
    height, width = _input_size(session, graph, structure)
    picture = noise((height, width, 3))
    black, white, seen = [
        session.run([structure.entry], {structure.image: as_fed(values, graph, structure)})[0][0]
        for values in (picture * 0, picture * 0 + 255, picture)
    ]
    offset = float(black.flat[0])
    scale = (float(white.flat[0]) - offset) / 255.0
    for channels, order in (("RGB", [0, 1, 2]), ("BGR", [2, 1, 0])):
        if np.abs(picture[:, :, order] * scale + offset - seen).max() <= TOLERANCE * max(1.0, abs(scale) * 255):
            return Input(height, width, channels, scale, offset)
    raise BadInput(
        "The graph's preprocessor is not one scale and one offset for all pixels (channel means, for "
        "example), which a runtime cannot be told; use ssd_mobilenet_v1, v2, ssdlite or inception_v2"
    )


def _input_size(session: GraphSession, graph: Graph, structure: SsdStructure) -> Tuple[int, int]:
    fixed = [dim.size for dim in graph.nodes[structure.image].attr["shape"].shape.dim]
    asked = [(int(fixed[1]), int(fixed[2]))] if len(fixed) == 4 and min(fixed[1:3]) > 0 else [(64, 32), (32, 64)]
    if max(max(size) for size in asked) > _LARGEST_SIDE:
        raise BadInput(
            "The graph takes pictures of %d x %d, more than a Jetson Nano can: its sides may have %d pixels at most"
            % (asked[0] + (_LARGEST_SIDE,))
        )
    whites = [np.full(size + (3,), 255, np.uint8) for size in asked]
    entries = [
        session.run([structure.entry], {structure.image: as_fed(white, graph, structure)})[0] for white in whites
    ]
    shape = entries[0].shape
    stretches = all(entry.shape == shape and entry.size and np.ptp(entry) <= TOLERANCE for entry in entries)
    if not stretches or len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or max(shape[1:3]) > _LARGEST_SIDE:
        raise BadInput(
            "The graph's preprocessor does not stretch every picture to one size "
            "(keep_aspect_ratio_resizer, pad_to_multiple, convert_to_grayscale, sides over %d pixels, or channel "
            "means); train ssd_mobilenet_v1, v2, ssdlite or inception_v2 with fixed_shape_resizer alone" % _LARGEST_SIDE
        )
    return int(shape[1]), int(shape[2])


def measure_layers(session: GraphSession, graph: Graph, structure: SsdStructure, size: Input) -> List[Layer]:
    """The feature maps, from the shapes that the heads have when the graph runs.

    Raises:
        BadInput: the shapes do not fit together, or boxes have another code size than 4.
    """
    heads = structure.box_heads + structure.class_heads
    tensors = [tensor for head in heads for tensor in (head.source, head.reshape)]
    picture = as_fed(noise((size.height, size.width, 3)), graph, structure)
    shapes = [value.shape for value in session.run(tensors, {structure.image: picture})]
    half = len(shapes) // 2
    return [
        _layer(boxes, box_rows, classes, class_rows)
        for boxes, box_rows, classes, class_rows in zip(
            shapes[0:half:2], shapes[1:half:2], shapes[half::2], shapes[half + 1 :: 2]
        )
    ]


def _layer(
    boxes: Tuple[int, ...], box_rows: Tuple[int, ...], classes: Tuple[int, ...], class_rows: Tuple[int, ...]
) -> Layer:
    cells = boxes[1] * boxes[2] if len(boxes) == 4 else 0
    priors = box_rows[1] if len(box_rows) >= 3 else 0
    fits = (
        cells > 0
        and priors > 0
        and boxes[:3] == classes[:3]
        and len(class_rows) == 3
        and class_rows[1] == priors
        and priors % cells == 0
        and boxes[0] == 1
    )
    if not fits:
        raise BadInput(
            "The heads of one feature map do not fit together (boxes %s as %s, classes %s as %s); "
            "export the graph again" % (boxes, box_rows, classes, class_rows)
        )
    if box_rows[-1] != 4:
        raise BadInput("The boxes have %d numbers each, NMS_TRT takes 4; train without keypoints" % box_rows[-1])
    return Layer(int(boxes[1]), int(boxes[2]), priors // cells, int(class_rows[2]))


def measure_anchors(session: GraphSession, graph: Graph, structure: SsdStructure, size: Input) -> np.ndarray:
    """All anchors that the graph itself computes: float32 [P, 4], rows xmin, ymin, xmax, ymax.

    Raises:
        BadInput: they are not boxes, or others for another picture.
    """
    value, other = [
        session.run([structure.anchors], {structure.image: as_fed(picture, graph, structure)})[0]
        for picture in (noise((size.height, size.width, 3)), noise(_another_size(graph, structure, size) + (3,), 1))
    ]
    if value.dtype != np.float32 or value.size % 4 or not np.isfinite(value).all():
        raise BadInput(
            "The graph's anchors are not boxes (%s of shape %s); export it again" % (value.dtype, value.shape)
        )
    if value.shape != other.shape or (value != other).any():
        raise BadInput(
            "The graph makes other anchors for another picture, which neither GridAnchor_TRT nor a "
            "constant can; train with fixed_shape_resizer"
        )
    return value.reshape(-1, 4)[:, [1, 0, 3, 2]]


def _another_size(graph: Graph, structure: SsdStructure, size: Input) -> Tuple[int, int]:
    """A picture size that the graph takes; another than the network's where pictures of any size are taken."""
    dims = [dim.size for dim in graph.nodes[structure.image].attr["shape"].shape.dim]
    is_fixed = len(dims) == 4 and min(dims[1:3]) > 0
    return (size.height, size.width) if is_fixed else (size.height + 16, size.width + 48)


class Heads:
    """Feeds heads of one's own choice into the graph's postprocessor."""

    def __init__(
        self, session: GraphSession, graph: Graph, structure: SsdStructure, size: Input, shapes: Tuple[int, int]
    ) -> None:
        self.priors, self.classes = shapes
        self._session, self._structure = session, structure
        self._picture = as_fed(noise((size.height, size.width, 3)), graph, structure)
        self._box_shape = (1, self.priors, 1, 4) if _has_unit_axis(graph, structure) else (1, self.priors, 4)

    def run(self, tensors: List[str], encodings: np.ndarray, predictions: np.ndarray) -> List[np.ndarray]:
        """The values of ``tensors`` for encodings float32 [P, 4] and class predictions float32 [P, C]."""
        return self._session.run(
            tensors,
            {
                self._structure.image: self._picture,
                self._structure.box_encodings: encodings.astype(np.float32).reshape(self._box_shape),
                self._structure.class_predictions: predictions.astype(np.float32)[np.newaxis],
            },
        )


def _has_unit_axis(graph: Graph, structure: SsdStructure) -> bool:
    return any(reader.op == "Squeeze" for reader in graph.consumers[structure.box_encodings])


def measure_variances(heads: Heads, structure: SsdStructure, anchors: np.ndarray) -> List[float]:
    """The four variances of the box coder (one over its scales: x, y, width, height), proven on random encodings.

    Raises:
        BadInput: the graph does not decode boxes as NMS_TRT does.
    """
    silent = np.zeros((heads.priors, heads.classes))
    one = heads.run([structure.decoded], np.ones((heads.priors, 4)), silent)[0].astype(np.float64)
    if one.shape != (4, heads.priors):
        raise BadInput("The graph decodes boxes of shape %s, not (4, %d); export it again" % (one.shape, heads.priors))
    ymin, xmin, ymax, xmax = one
    centre, extent = (anchors[:, :2] + anchors[:, 2:]) / 2.0, (anchors[:, 2:] - anchors[:, :2]).astype(np.float64)
    with np.errstate(all="ignore"):
        found = [
            ((xmin + xmax) / 2 - centre[:, 0]) / extent[:, 0],
            ((ymin + ymax) / 2 - centre[:, 1]) / extent[:, 1],
            np.log((xmax - xmin) / extent[:, 0]),
            np.log((ymax - ymin) / extent[:, 1]),
        ]
        variances = [grid_anchor.shortest(float(np.median(values)), 1e-5) for values in found]
    encodings = np.random.RandomState(1).normal(0, 1, (heads.priors, 4)).astype(np.float32)
    decoded = heads.run([structure.decoded], encodings, silent)[0].T[:, [1, 0, 3, 2]]
    expected = grid_anchor.decode(encodings, anchors, variances)
    if not np.abs(decoded - expected).max() <= TOLERANCE * max(1.0, np.abs(expected).max()):
        raise BadInput(
            "The graph decodes boxes in another way than NMS_TRT's TF_CENTER; "
            "only faster_rcnn_box_coder can be converted"
        )
    return variances


def converted(predictions: np.ndarray, converter: str) -> np.ndarray:
    """Scores, float64 [P, C], that a score converter makes of class predictions [P, C]."""
    values = predictions.astype(np.float64)
    if converter == SIGMOID:
        return 1 / (1 + np.exp(-values))
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True) if converter == SOFTMAX else values


def measure_converter(heads: Heads, structure: SsdStructure) -> str:
    """How scores come from class predictions: SIGMOID, SOFTMAX or IDENTITY, proven on random predictions.

    Raises:
        BadInput: in none of these ways.
    """
    logits = np.random.RandomState(2).uniform(-12, 12, (heads.priors, heads.classes)).astype(np.float32)
    seen = heads.run([structure.scores], np.zeros((heads.priors, 4)), logits)[0].reshape(-1)
    for converter in (SIGMOID, SOFTMAX, IDENTITY):
        expected = converted(logits, converter).reshape(-1)
        if seen.shape == expected.shape and np.abs(seen - expected).max() <= TOLERANCE:
            return converter
    raise BadInput(
        "The graph's scores are neither the sigmoid or softmax of the class predictions nor these themselves "
        "(a logit_scale?), which NMS_TRT cannot express; train with score_converter: SIGMOID and no "
        "logit_scale"
    )


def _predictions(scores: np.ndarray, converter: str) -> Tuple[np.ndarray, np.ndarray, float]:
    """Class predictions that become ``scores``, those of the background beside them, and what becomes nearly 0."""
    if converter == SIGMOID:
        return np.log(scores / (1 - scores)), np.full(len(scores), -50.0), -50.0
    if converter == SOFTMAX:
        return np.log(scores), np.log(1 - scores), -50.0
    return scores, np.zeros(len(scores)), 0.0


def find_outputs(heads: Heads, graph: Graph, structure: SsdStructure, anchors: np.ndarray, converter: str) -> Outputs:
    """The graph's detection outputs, recognised by giving it heads whose detections are known.

    A few anchors that do not touch get distinct scores and all classes in turn; all else gets a score of nearly zero.

    Raises:
        BadInput: no outputs show these detections: the postprocessor does something else than NMS_TRT.
    """
    chosen = _apart(anchors, 2 * (heads.classes - 1))
    scores = np.linspace(0.95, 0.55, len(chosen))
    labels = np.arange(len(chosen)) % (heads.classes - 1) + 1
    told, background, silence = _predictions(scores, converter)
    predictions = np.full((heads.priors, heads.classes), silence)
    predictions[:, 0] = 0.0 if converter == SOFTMAX else silence
    predictions[chosen, 0], predictions[chosen, labels] = background, told
    names = _ends(graph, structure)
    values = heads.run(names, np.zeros((heads.priors, 4)), predictions)
    expected = {"boxes": anchors[chosen][:, [1, 0, 3, 2]], "classes": labels, "scores": scores, "count": len(chosen)}
    found = {
        role: [name for name, value in zip(names, values) if _shows(value, np.asarray(wanted))]
        for role, wanted in expected.items()
    }
    missing = sorted(role for role, named in found.items() if not named)
    if missing:
        raise BadInput(
            "The graph's postprocessor does something else than NMS_TRT: given known detections, no output "
            "shows their %s; only batch_non_max_suppression with per-class suppression can be converted"
            % " and ".join(missing)
        )
    boxes, labelled, scored, number = (found[role][0] for role in ("boxes", "classes", "scores", "count"))
    return Outputs(boxes, labelled, scored, number, most=dict(zip(names, values))[scored].shape[1])


def _apart(anchors: np.ndarray, wanted: int) -> List[int]:
    """Indices of up to ``min(wanted, 12)`` anchors that lie inside the picture and do not touch, smallest first."""
    extents = anchors[:, 2:] - anchors[:, :2]
    chosen: List[int] = []
    for index in np.argsort(extents.prod(axis=1), kind="stable"):
        box = anchors[index]
        inside = box.min() >= 0 and box.max() <= 1 and extents[index].min() > 1e-3
        touches = any(
            (np.minimum(box[2:], anchors[other][2:]) > np.maximum(box[:2], anchors[other][:2])).all()
            for other in chosen
        )
        if inside and not touches:
            chosen.append(int(index))
        if len(chosen) == min(wanted, 12):
            break
    if not chosen:
        raise BadInput("No anchor of the graph lies inside the picture; export it again")
    return chosen


def _ends(graph: Graph, structure: SsdStructure) -> List[str]:
    behind = graph.descendants(structure.suppressions)
    return [
        name
        for name, node in graph.nodes.items()
        if name in behind and not graph.consumers[name] and node.op not in ("Assert", "NoOp", "NextIteration")
    ]


def _shows(value: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether ``value`` ([1, K, …] or [1]) begins with the rows ``wanted``."""
    if value.ndim != wanted.ndim + 1 or value.shape[0] != 1 or not np.issubdtype(value.dtype, np.floating):
        return False
    rows = value[0][: len(wanted)] if wanted.ndim else value[0]
    return rows.shape == wanted.shape and bool(np.abs(rows - wanted).max() <= TOLERANCE)


def thresholds(graph: Graph, structure: SsdStructure, classes: int) -> Dict[str, float]:
    """What the suppression nodes are told: ``iou``, ``per_class`` results and, in graphs that have it, ``score``.

    Raises:
        BadInput: classes are suppressed together or with unlike values.
    """
    if len(structure.suppressions) != classes - 1:
        raise BadInput(
            "The graph suppresses %d classes in %d steps; NMS_TRT does one per class: "
            "export with use_class_agnostic_nms: false and add_background_class: true"
            % (classes - 1, len(structure.suppressions))
        )
    found = [_told(graph, graph.nodes[name]) for name in structure.suppressions]
    if any(told != found[0] for told in found):
        raise BadInput("The graph's classes have unlike suppression thresholds, which NMS_TRT cannot express")
    if not 0 < found[0].get("iou", -1) <= 1:
        raise BadInput("The graph's suppression threshold is not a constant between 0 and 1; export it again")
    return found[0]


def _told(graph: Graph, node: Any) -> Dict[str, float]:
    inputs = dict(zip(("boxes", "scores", "per_class", "iou", "score"), data_inputs(node)))
    limit = graph.maker(inputs["per_class"])
    candidates = data_inputs(limit) if limit.op == "Minimum" else [inputs["per_class"]]
    constants = {"per_class": [graph.constant(name) for name in candidates]}
    constants.update({role: [graph.constant(inputs[role])] for role in ("iou", "score") if role in inputs})
    return {
        role: grid_anchor.shortest(float(value), 1e-7) if role != "per_class" else int(value)
        for role, values in constants.items()
        for value in values
        if value is not None and value.size == 1
    }
