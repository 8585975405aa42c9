"""GridAnchor_TRT, FlattenConcat_TRT and NMS_TRT, as plugin/ of NVIDIA's open TensorRT 5.1 to 8.2 defines them.

Kept to the letter: float32 arithmetic in the kernels' own order, strict comparisons, stable sorts for ties, no clipping
before the output, what changed with 7.1 and 8.0, and every assertion of the plugins, as ValueError that names it. Batch
size 1.

Against NVIDIA's own code, compiled for the CPU (5.1.5, 6.0.1, 7.1.3, 8.0.1 and 8.2.1), exact to the last bit are the
anchors, with fused multiply-adds and without, the decisions of NMS_TRT (what passes, ties, what suppresses what, how
many) and boxes whose decoding takes no ``exp``. numpy's ``exp`` rounds otherwise than the C library's and CUDA's, so
decoded sizes and the sigmoid may be off by a last unit (2.4e-7 at coordinates of up to 2; 1e-3 in float16).

Where the plugin would go astray in silence, this refuses: topK over the priors reads the next class, keepTopK over
topK writes no rows, codeType over 3 no boxes, a negative confidenceThreshold sorts detections behind empty rows.
"""

from typing import Any, Dict, List, Tuple

import numpy as np

from stages.reference.arithmetic import PLAIN, Arithmetic
from stages.reference.spatial import Fields, check_size

SORTED_CORNERS, FLOAT16 = (7, 1, 0), (8, 0, 0)  # the first versions that have these
HALF_MANTISSA = 10  # bits
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


def grid_anchor(fields: Fields, arithmetic: Arithmetic = PLAIN, rectangles: bool = False) -> List[np.ndarray]:
    """The anchors: one float32 [1, 2, H * W * A * 4, 1] for each feature map, [xmin, ymin, xmax, ymax] and variances.

    Normalised, not clipped; stride and offset of both axes come from H, as the plugin has it.

    Args:
        rectangles: as GridAnchorRect_TRT of 7.2 and later, whose featureMapShapes are pairs of height and width.
    """
    values, where = parameters(fields), "gridAnchorPlugin.cpp"
    sides = _numbers(values, "featureMapShapes", int, where)
    if rectangles and len(sides) % 2:
        raise ValueError("its featureMapShapes hold %d numbers, which are not pairs (%s)" % (len(sides), where))
    maps = list(zip(sides[::2], sides[1::2])) if rectangles else [(side, side) for side in sides]
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
    boxes = [
        _layer(height, width, *_sizes(k, scales, ratios), fused=arithmetic.fused)
        for k, (height, width) in enumerate(maps)
    ]
    return [np.stack([layer, np.tile(variance, layer.size // 4)])[None, :, :, None] for layer in boxes]


def _sizes(k: int, scales: List[np.float32], ratios: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Widths and heights of the anchors of layer ``k``: the first layer has three, the others one more than ratios."""
    if k == 0:
        scale, ratio = np.array([0.1, scales[0], scales[0]], np.float32), ratios[:3]
    else:
        between = np.float32(np.sqrt(np.float64(scales[k]) * np.float64(scales[k + 1])))  # in double, rounded once
        scale = np.append(np.full(len(ratios), scales[k], np.float32), between)
        ratio = np.append(ratios, np.float32(1))
    return scale * np.sqrt(ratio), scale / np.sqrt(ratio)


def _layer(height: int, width: int, widths: np.ndarray, heights: np.ndarray, fused: bool) -> np.ndarray:
    """The anchors of a map, flat: row by row, place by place, the ratios of a place together."""
    if min(height, width) < 1:
        raise ValueError("its featureMapShapes hold %d" % min(height, width))
    check_size([2, height, width, len(widths), 4])
    stride = np.float32(1.0 / height)
    offset = np.float32(0.5) * stride
    # A product of two float32 is exact in float64, so the sum is all that is rounded.
    steps = np.arange(max(height, width), dtype=np.float64 if fused else np.float32)
    centers = (steps * stride + offset).astype(np.float32)
    boxes = np.empty((height, width, len(widths), 4), np.float32)
    x, y = centers[None, :width, None], centers[:height, None, None]
    for edge, center, half in ((0, x, -0.5), (1, y, -0.5), (2, x, 0.5), (3, y, 0.5)):
        boxes[..., edge] = center + np.float32(half) * (widths if edge % 2 == 0 else heights)
    return boxes.reshape(-1)


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
    """The fields of NMS_TRT, checked as the plugin does and where the plugin would go astray.

    Attributes:
        kind: numpy's type of the boxes and scores.
        score_bits: how many bits of a score decide the order, where ``shifts_scores``.
    """

    def __init__(self, fields: Fields, arithmetic: Arithmetic) -> None:
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
        self.version = arithmetic.tensorrt
        self.kind = np.float16 if arithmetic.half and self.version >= FLOAT16 else np.float32
        self.score_bits = 16
        if self.version >= FLOAT16 and "scoreBits" in values:
            self.score_bits = integer("scoreBits")
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

    @property
    def shifts_scores(self) -> bool:
        """Whether scores are sorted by their first bits only, as scores over 1, whose mantissa those bits are."""
        return self.kind is np.float16 and 1 <= self.score_bits <= HALF_MANTISSA

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


def nms(fields: Fields, *inputs: np.ndarray, arithmetic: Arithmetic = PLAIN) -> List[np.ndarray]:
    """Decode, sort, suppress, sort again.

    Args:
        inputs: loc, conf and prior, in the order that ``inputOrder`` tells.

    Returns:
        Detections, float32 [1, 1, keepTopK, 7]: rows of [image, label with background, score, xmin, ymin, xmax, ymax],
        clipped to 0..1, unused rows with label -1; and their number, int32 [1, 1, 1, 1] (TensorRT declares it as float
        but stores these bits).
    """
    p = NmsParameters(fields, arithmetic)
    if len(inputs) != 3:
        raise ValueError("it has %d inputs, but the plugin asserts nbInputDims == 3 (nmsPlugin.cpp)" % len(inputs))
    loc, conf, prior = (inputs[index] for index in p.input_order)
    # A Const has no batch dimension in UFF, so anchors that are one come as [2, 4 * priors, 1].
    has_batch = prior.ndim != 3 or prior.shape[0] != 2
    priors = p.check_inputs([_sample(loc), _sample(conf), _sample(prior if has_batch else prior[np.newaxis])])
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow makes a NaN, and a NaN fails the threshold
        boxes = _decode(p, loc.reshape(priors, -1, 4).astype(p.kind), prior.reshape(2, priors, 1, 4).astype(p.kind))
        scores, best = _sorted_scores(p, conf.reshape(priors, p.classes).astype(p.kind))
        places = _select(p, boxes, scores, best)
        rows = _rows(p, boxes, scores, best, places)
    return [rows[np.newaxis, np.newaxis], np.full((1, 1, 1, 1), (places >= 0).sum(), np.int32)]


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
    if p.shifts_scores:
        scores = np.minimum(scores + np.float16(1), np.float16(2 - 2.0**-HALF_MANTISSA)) - np.float16(1)
    order = np.argsort(-_keys(p, scores), axis=1, kind="mergesort")[:, : p.top_k]
    rows = np.arange(len(scores))[:, np.newaxis]  # no take_along_axis: a Jetson's numpy is 1.13
    return scores[rows, order], np.where(passed[rows, order], order, -1)


def _keys(p: NmsParameters, scores: np.ndarray) -> np.ndarray:
    """What decides the order of scores: themselves, or the first bits of the mantissa of score + 1."""
    if not p.shifts_scores:
        return scores
    mantissa = (scores + np.float16(1)).view(np.uint16) & ((1 << HALF_MANTISSA) - 1)
    return (mantissa >> (HALF_MANTISSA - p.score_bits)).astype(int)


def _select(p: NmsParameters, boxes: np.ndarray, scores: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """Places in the flattened [class, rank] tables of the candidates that survive and are output, best first.

    The plugin suppresses in every class and sorts the survivors. Here the candidates are taken in that last order and
    each survivor suppresses the rest of its class, which gives the same rows, and ends once keepTopK are found.
    Where few bits decide, a survivor may tie with what does not count; that goes first then by class and rank, as -1.
    """
    keys, alive = _keys(p, scores).reshape(-1), priors.reshape(-1) >= 0
    wanted = keys.size if p.shifts_scores else p.keep_top_k
    chosen: List[int] = []
    candidates = np.argsort(-keys, kind="mergesort")  # stable: ties go by class, then by rank
    for place in candidates[alive[candidates]].tolist():
        if len(chosen) == wanted:
            break
        if alive[place]:
            chosen.append(place)
            label, rank = divmod(place, p.top_k)
            rivals = boxes[p.location(label), priors[label, rank:]].astype(np.float32)
            alive[place : (label + 1) * p.top_k] &= ~(iou(rivals[0], rivals, p) > p.iou_threshold)
    if not p.shifts_scores:
        return np.array(chosen, int)
    survives = np.zeros(keys.size, bool)
    survives[chosen] = True
    places = np.argsort(-np.where(survives, keys, 0), kind="mergesort")[: p.keep_top_k]
    return np.where(survives[places], places, -1)


def iou(box: np.ndarray, boxes: np.ndarray, p: NmsParameters) -> np.ndarray:
    """Intersection over union of ``box`` [4] with each of ``boxes`` [n, 4], float32.

    Sides in pixels (not normalized) count one more, as in Caffe's SSD. Before 7.1 an inverted box has no area.
    """
    more = np.float32(0 if p.is_normalized else 1)
    (low, high), (lows, highs) = _corners(box, p), _corners(boxes, p)
    apart = ((lows > high) | (highs < low)).any(axis=-1)[..., np.newaxis]
    inner = np.fmin(high, highs) - np.fmax(low, lows)  # CUDA's min and max drop a NaN
    sides = np.where(apart, np.float32(0), inner) + more  # in pixels, apart meets in one: the kernel's way
    common = sides.prod(axis=-1)
    union = _area(low, high, more) + _area(lows, highs, more) - common
    return np.divide(common, union, out=np.zeros_like(common), where=(sides > 0).all(axis=-1))


def _area(low: np.ndarray, high: np.ndarray, more: np.float32) -> np.ndarray:
    return np.where((high < low).any(axis=-1), np.float32(0), (high - low + more).prod(axis=-1))


def _corners(boxes: np.ndarray, p: NmsParameters) -> Tuple[np.ndarray, np.ndarray]:
    """Lower and higher corner; from 7.1 on whichever way round the box is."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if p.version < SORTED_CORNERS:
        return first, second
    return np.fmin(first, second), np.fmax(first, second)


def _rows(
    p: NmsParameters, boxes: np.ndarray, scores: np.ndarray, priors: np.ndarray, places: np.ndarray
) -> np.ndarray:
    rows = np.zeros((p.keep_top_k, 7), np.float32)
    rows[:, 1] = -1
    found = np.flatnonzero(places >= 0)
    labels, ranks = np.divmod(places[found], p.top_k)
    rows[found, 1], rows[found, 2] = labels, scores[labels, ranks]
    corners = boxes[p.location(labels), priors[labels, ranks]].astype(np.float32)
    if p.version < FLOAT16:
        rows[found, 3:] = np.fmax(np.fmin(corners, 1), 0)  # max of min: a NaN becomes 1
    else:
        rows[found, 3:] = np.fmin(np.fmax(corners, 0), 1)  # saturate: a NaN becomes 0
    return rows
