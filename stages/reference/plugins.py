"""GridAnchor_TRT, FlattenConcat_TRT and NMS_TRT, as plugin/ of NVIDIA's open TensorRT 5.1 to 8.2 defines them.

Kept to the letter: float32 arithmetic in the kernels' own order, strict comparisons, stable sorts for ties, no clipping
before the output, and every assertion of the plugins, as ValueError that names it. Batch size 1.
"""

from typing import Any, Dict, List, Tuple

import numpy as np

from stages.reference.spatial import Fields, check_size

CORNER, CORNER_SIZE, TF_CENTER = 0, 2, 3  # code types; what is left, 1, is CENTER_SIZE
MAX_TOP_K = 4096  # allClassNMS has kernels for up to 8 candidates for each of 512 threads


def parameters(fields: Fields) -> Dict[str, Any]:
    """The plugin's fields without the type suffix (``_u_int``, ``_u_flist``, ...) that graphsurgeon gives them."""
    return {name.rsplit("_u_", 1)[0]: value for name, value in fields.items()}


def _number(values: Dict[str, Any], name: str, kind: type, assertion: str) -> Any:
    """A field of exactly this type; bool is TensorRT's int."""
    if name not in values:
        raise ValueError("its field %s is missing, and the plugin would use memory that nobody has set" % name)
    value = values[name]
    if type(value) is not kind and not (kind is int and type(value) is bool):
        raise ValueError(
            "its field %s is %r, but the plugin asserts type %s (%s)" % (name, value, kind.__name__, assertion)
        )
    return value


def _numbers(values: Dict[str, Any], name: str, kind: type, assertion: str) -> List[Any]:
    value = values.get(name)
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise ValueError(
            "its field %s is %r, but the plugin asserts a list of type %s (%s)"
            % (name, value, kind.__name__, assertion)
        )
    return value


def grid_anchor(fields: Fields) -> List[np.ndarray]:
    """The anchors: one float32 [1, 2, H * W * A * 4, 1] for each feature map, [xmin, ymin, xmax, ymax] and variances.

    Normalised, not clipped; stride and offset of both axes come from H, as the plugin has it.
    """
    values, where = parameters(fields), "gridAnchorPlugin.cpp"
    maps = _numbers(values, "featureMapShapes", int, where)
    ratios = np.array(_numbers(values, "aspectRatios", float, where), np.float32)
    variance = np.array(_numbers(values, "variance", float, where), np.float32)
    layers = _number(dict({"numLayers": 6}, **values), "numLayers", int, where)
    smallest, largest = (
        np.float32(_number(dict({name: default}, **values), name, float, where))
        for name, default in (("minSize", 0.2), ("maxSize", 0.95))
    )
    if len(maps) != layers or layers < 2:
        raise ValueError(
            "it has %d feature maps for numLayers %d, but the plugin asserts as many, and needs 2 (%s)"
            % (len(maps), layers, where)
        )
    if len(ratios) < 3 or len(variance) != 4:
        raise ValueError(
            "it has %d aspect ratios and %d variances, but the plugin reads at least 3 and exactly 4 (%s)"
            % (len(ratios), len(variance), where)
        )
    scales = [smallest + (largest - smallest) * np.float32(k) / np.float32(layers - 1) for k in range(layers)]
    scales.append(np.float32(1))
    return [_layer(size, *_sizes(k, scales, ratios), variance=variance) for k, size in enumerate(maps)]


def _sizes(k: int, scales: List[np.float32], ratios: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Widths and heights of the anchors of layer ``k``: the first layer has three, the others one more than ratios."""
    if k == 0:
        scale, ratio = np.array([0.1, scales[0], scales[0]], np.float32), ratios[:3]
    else:
        between = np.sqrt(scales[k] * scales[k + 1])
        scale = np.append(np.full(len(ratios), scales[k], np.float32), between)
        ratio = np.append(ratios, np.float32(1))
    return scale * np.sqrt(ratio), scale / np.sqrt(ratio)


def _layer(size: int, widths: np.ndarray, heights: np.ndarray, variance: np.ndarray) -> np.ndarray:
    if size < 1:
        raise ValueError("its featureMapShapes hold %d" % size)
    check_size([2, size, size, len(widths), 4])
    stride = np.float32(1.0 / size)
    centers = np.arange(size, dtype=np.float32) * stride + np.float32(0.5) * stride
    boxes = np.empty((size, size, len(widths), 4), np.float32)
    x, y = centers[None, :, None], centers[:, None, None]
    for edge, center, half in ((0, x, -0.5), (1, y, -0.5), (2, x, 0.5), (3, y, 0.5)):
        boxes[..., edge] = center + np.float32(half) * (widths if edge % 2 == 0 else heights)
    return np.stack([boxes.reshape(-1), np.tile(variance, boxes.size // 4)])[None, :, :, None]


def flatten_concat(fields: Fields, *inputs: np.ndarray) -> np.ndarray:
    """All inputs flattened, one after another: [1, F, 1, 1] for axis 1, [1, 1, F, 1] for 2, [1, 1, 1, F] for 3."""
    values, where = parameters(fields), "flattenConcat.cpp"
    axis = _number(values, "axis", int, where)
    _number(values, "ignoreBatch", int, where)
    if axis not in (1, 2, 3) or not inputs:
        raise ValueError(
            "its axis is %d and it has %d inputs, but the plugin asserts 1, 2 or 3 and an input (%s)"
            % (axis, len(inputs), where)
        )
    samples = [_sample(x) for x in inputs]
    for sample in samples:
        if any(sample[d] != samples[0][d] for d in range(3) if d != axis - 1):
            raise ValueError(
                "its inputs %s differ in more than axis %d, which the plugin asserts (%s)" % (samples, axis, where)
            )
    flat = np.concatenate([x.reshape(-1) for x in inputs])
    return flat.reshape([1] + [flat.size if d == axis - 1 else 1 for d in range(3)])


def _sample(x: np.ndarray) -> List[int]:
    """The three dimensions of a sample of batch 1; the parser fills missing ones up with 1."""
    if not 2 <= x.ndim <= 4 or x.shape[0] != 1:
        raise ValueError(
            "an input has shape %s, a batch of one sample with up to three dimensions is needed" % list(x.shape)
        )
    return list(x.shape[1:]) + [1] * (4 - x.ndim)


class NmsParameters:
    """The fields of NMS_TRT, checked as the plugin does and where the plugin would go astray."""

    def __init__(self, fields: Fields) -> None:
        values, where = parameters(fields), "nmsPlugin.cpp"

        def integer(name: str) -> int:
            return int(_number(values, name, int, where))

        self.share_location, self.is_normalized = bool(integer("shareLocation")), bool(integer("isNormalized"))
        self.variance_encoded, self.sigmoid = bool(integer("varianceEncodedInTarget")), bool(integer("confSigmoid"))
        self.background, self.classes = integer("backgroundLabelId"), integer("numClasses")
        self.top_k, self.keep_top_k = integer("topK"), integer("keepTopK")
        self.code_type = integer("codeType") if "codeType" in values else TF_CENTER
        self.score_threshold = np.float32(_number(values, "confidenceThreshold", float, where))
        self.iou_threshold = np.float32(_number(values, "nmsThreshold", float, where))
        self.input_order = _numbers(dict({"inputOrder": [0, 2, 1]}, **values), "inputOrder", int, where)
        self._check()

    def _check(self) -> None:
        if sorted(self.input_order) != [0, 1, 2]:
            raise ValueError("its inputOrder %s is not an order of the inputs 0, 1 and 2" % self.input_order)
        if self.code_type not in range(4):
            raise ValueError("its codeType is %d, but the plugin asserts 0 to 3 (decodeBBoxes.cu)" % self.code_type)
        if not self.score_threshold >= 0:
            raise ValueError(
                "its confidenceThreshold is %s: scores under 0 would sort behind empty rows" % self.score_threshold
            )
        if self.classes < 1 or not 0 < self.keep_top_k <= self.top_k <= MAX_TOP_K:
            raise ValueError(
                "it needs numClasses of at least 1 and 0 < keepTopK <= topK <= %d, but has %d, %d and %d"
                % (MAX_TOP_K, self.classes, self.keep_top_k, self.top_k)
            )

    def location(self, label: Any) -> Any:
        """The row of the decoded boxes that holds those of class ``label`` (or classes)."""
        return np.zeros_like(label) if self.share_location else label

    def check_inputs(self, shapes: List[List[int]]) -> int:
        """Hold (loc, conf, prior) samples against the plugin's assertions, and return the number of priors."""
        loc, conf, prior = shapes
        priors = prior[1] // 4
        locations = 1 if self.share_location else self.classes
        if prior[0] != 2 or prior[1] % 4 or prior[2] != 1:
            raise ValueError("its prior input has shape %s instead of [2, 4 * priors, 1]" % prior)
        if loc != [priors * locations * 4, 1, 1]:
            raise ValueError(
                "its loc input has shape %s, but the plugin asserts numPriors * numLocClasses * 4 = %d "
                "(nmsPlugin.cpp,246)" % (loc, priors * locations * 4)
            )
        if conf != [priors * self.classes, 1, 1]:
            raise ValueError(
                "its conf input has shape %s, but the plugin asserts numPriors * numClasses = %d "
                "(nmsPlugin.cpp,249)" % (conf, priors * self.classes)
            )
        if self.top_k > priors:
            raise ValueError(
                "its topK %d is larger than the number of priors %d: the plugin would read the next class"
                % (self.top_k, priors)
            )
        return priors


def nms(fields: Fields, *inputs: np.ndarray, half: bool = False) -> List[np.ndarray]:
    """Decode, sort, suppress, sort again.

    Args:
        inputs: loc, conf and prior, in the order that ``inputOrder`` tells.
        half: compute in float16, as TensorRT 8 does when it picks FP16 for the plugin.

    Returns:
        Detections, float32 [1, 1, keepTopK, 7]: rows of [image, label with background, score, xmin, ymin, xmax, ymax],
        clipped to 0..1, unused rows with label -1; and their number, int32 [1, 1, 1, 1] (TensorRT declares it as float
        but stores these bits).
    """
    p = NmsParameters(fields)
    if len(inputs) != 3:
        raise ValueError("it has %d inputs, but the plugin asserts nbInputDims == 3 (nmsPlugin.cpp)" % len(inputs))
    loc, conf, prior = (inputs[index] for index in p.input_order)
    # A Const has no batch dimension in UFF, so anchors that are one come as [2, 4 * priors, 1].
    has_batch = prior.ndim != 3 or prior.shape[0] != 2
    priors = p.check_inputs([_sample(loc), _sample(conf), _sample(prior if has_batch else prior[np.newaxis])])
    kind = np.float16 if half else np.float32
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow makes a NaN, and a NaN fails the threshold
        boxes = _decode(p, loc.reshape(priors, -1, 4).astype(kind), prior.reshape(2, priors, 1, 4).astype(kind))
        scores, best = _sorted_scores(p, conf.reshape(priors, p.classes).astype(kind))
        chosen = _select(p, boxes, scores, best)
        rows = _rows(p, boxes, scores, best, chosen)
    return [rows[np.newaxis, np.newaxis], np.full((1, 1, 1, 1), len(chosen), np.int32)]


def _decode(p: NmsParameters, loc: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Boxes [locations, priors, 4] as xmin, ymin, xmax, ymax from loc [priors, locations, 4]; no clipping."""
    anchors, variance = prior
    if p.variance_encoded and p.code_type != TF_CENTER:
        variance = np.ones_like(variance)
    two = loc.dtype.type(2)
    low, high = anchors[..., :2], anchors[..., 2:]
    size, center = high - low, (low + high) / two
    if p.code_type in (CORNER, CORNER_SIZE):
        extent = np.concatenate([size, size], axis=-1) if p.code_type == CORNER_SIZE else np.ones_like(anchors)
        return (anchors + loc * variance * extent).transpose(1, 0, 2)
    if p.code_type == TF_CENTER:
        loc = loc[..., [1, 0, 3, 2]]
    middle = variance[..., :2] * loc[..., :2] * size + center
    extent = np.exp(variance[..., 2:] * loc[..., 2:]) * size
    return np.concatenate([middle - extent / two, middle + extent / two], axis=-1).transpose(1, 0, 2)


def _sorted_scores(p: NmsParameters, conf: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """For each class the best topK scores, descending, and their priors; score 0 and prior -1 where none passes."""
    scores = conf.T
    if p.sigmoid:
        powers = np.exp(scores.astype(np.float32))
        scores = (powers / (1 + powers)).astype(conf.dtype)
    passed = scores.astype(np.float32) > p.score_threshold
    if 0 <= p.background < p.classes:
        passed[p.background] = False
    scores = np.where(passed, scores, scores.dtype.type(0))
    order = np.argsort(-scores, axis=1, kind="mergesort")[:, : p.top_k]
    rows = np.arange(len(scores))[:, np.newaxis]  # no take_along_axis: a Jetson's numpy is 1.13
    return scores[rows, order], np.where(passed[rows, order], order, -1)


def _select(p: NmsParameters, boxes: np.ndarray, scores: np.ndarray, priors: np.ndarray) -> List[int]:
    """Places in the flattened [class, rank] tables of the candidates that survive and are output, best first.

    The plugin suppresses in every class and sorts the survivors. Here the candidates are taken in that last order and
    each survivor suppresses the rest of its class, which gives the same rows, and ends once keepTopK are found.
    """
    alive = priors.reshape(-1) >= 0
    chosen: List[int] = []
    candidates = np.argsort(-scores.reshape(-1), kind="mergesort")  # stable: ties go by class, then by rank
    for place in candidates[alive[candidates]].tolist():
        if len(chosen) == p.keep_top_k:
            break
        if alive[place]:
            chosen.append(place)
            label, rank = divmod(place, p.top_k)
            rivals = boxes[p.location(label), priors[label, rank:]].astype(np.float32)
            alive[place : (label + 1) * p.top_k] &= ~(iou(rivals[0], rivals, p.is_normalized) > p.iou_threshold)
    return chosen


def iou(box: np.ndarray, boxes: np.ndarray, normalized: bool) -> np.ndarray:
    """Intersection over union of ``box`` [4] with each of ``boxes`` [n, 4], float32.

    Sides in pixels (not normalized) count one more, as in Caffe's SSD.
    """
    more = np.float32(0 if normalized else 1)
    (low, high), (lows, highs) = _corners(box), _corners(boxes)
    inner_low, inner_high = np.maximum(low, lows), np.minimum(high, highs)
    apart = (inner_low > inner_high).any(axis=-1, keepdims=True)
    sides = (
        np.where(apart, np.float32(0), inner_high - inner_low) + more
    )  # in pixels, apart meets in one: the kernel's way
    common = sides.prod(axis=-1)
    union = (high - low + more).prod(axis=-1) + (highs - lows + more).prod(axis=-1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=(sides > 0).all(axis=-1))


def _corners(boxes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Lower and higher corner, whichever way round the box is."""
    return np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])


def _rows(p: NmsParameters, boxes: np.ndarray, scores: np.ndarray, priors: np.ndarray, chosen: List[int]) -> np.ndarray:
    labels, ranks = np.divmod(np.array(chosen, int), p.top_k)
    rows = np.zeros((p.keep_top_k, 7), np.float32)
    rows[:, 1] = -1
    found = rows[: len(chosen)]
    found[:, 1], found[:, 2] = labels, scores[labels, ranks]
    corners = boxes[p.location(labels), priors[labels, ranks]].astype(np.float32)
    found[:, 3:] = np.fmin(np.fmax(corners, 0), 1)  # saturate: a NaN becomes 0
    return rows
