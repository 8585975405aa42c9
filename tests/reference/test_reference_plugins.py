"""The plugins against golden values and a plain reading of the TensorRT kernels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.reference import plugins
from stages.reference.arithmetic import Arithmetic

GRID = {
    "numLayers_u_int": 6,
    "minSize_u_float": 0.2,
    "maxSize_u_float": 0.95,
    "variance_u_flist": [0.1, 0.1, 0.2, 0.2],
    "aspectRatios_u_flist": [1.0, 2.0, 0.5, 3.0, 1 / 3],
    "featureMapShapes_u_ilist": [19, 10, 5, 3, 2, 1],
}
NMS = {
    "shareLocation": 1,
    "varianceEncodedInTarget": 0,
    "backgroundLabelId": 0,
    "confSigmoid": 1,
    "isNormalized": 1,
    "codeType": 3,
    "inputOrder": [0, 2, 1],
    "confidenceThreshold": 0.3,
    "nmsThreshold": 0.5,
}
NUMBERS = st.integers(0, 2**31 - 1)


def test_grid_anchor_gives_the_golden_anchors():
    layers = plugins.grid_anchor(GRID)
    assert [layer.shape for layer in layers] == [(1, 2, 4 * n, 1) for n in (1083, 600, 150, 54, 24, 6)]
    boxes = np.concatenate([layer[0, 0].reshape(-1, 4) for layer in layers])
    golden = {
        0: [-0.023684, -0.023684, 0.076316, 0.076316],
        1: [-0.115106, -0.044395, 0.167737, 0.097026],
        2: [-0.044395, -0.115106, 0.097026, 0.167737],
        3: [0.028947, -0.023684, 0.128947, 0.076316],
        1082: [0.902974, 0.832263, 1.044395, 1.115106],
        1083: [-0.125, -0.125, 0.225, 0.225],
        1086: [-0.253109, -0.051036, 0.353109, 0.151036],
        1088: [-0.159165, -0.159165, 0.259165, 0.259165],
        1911: [0.025, 0.025, 0.975, 0.975],
        1916: [0.01266, 0.01266, 0.98734, 0.98734],
    }
    for index, box in golden.items():
        assert boxes[index] == pytest.approx(box, abs=1e-6), index
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(layers[5][0, 1].reshape(-1, 4), np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), (6, 1)))


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(3, 6), NUMBERS)
def test_grid_anchor_is_the_plugin_s_loop(maps, ratio_count, seed):
    random = np.random.RandomState(seed)
    ratios = random.uniform(0.2, 4, ratio_count).tolist()
    fields = dict(GRID, featureMapShapes_u_ilist=maps, numLayers_u_int=len(maps), aspectRatios_u_flist=ratios)
    for k, layer in enumerate(plugins.grid_anchor(fields)):
        scale, following = (0.2 + 0.75 * i / (len(maps) - 1) if i < len(maps) else 1.0 for i in (k, k + 1))
        sizes = (
            list(zip([0.1, scale, scale], ratios))
            if k == 0
            else ([(scale, ratio) for ratio in ratios] + [(math.sqrt(scale * following), 1.0)])
        )
        expected = []
        for y in range(maps[k]):
            for x in range(maps[k]):
                for size, ratio in sizes:
                    width, height = size * math.sqrt(ratio), size / math.sqrt(ratio)
                    cx, cy = (x + 0.5) / maps[k], (y + 0.5) / maps[k]
                    expected += [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
        np.testing.assert_allclose(layer[0, 0, :, 0], expected, atol=2e-6)


@pytest.mark.parametrize(
    "change, told",
    [
        (
            {"aspectRatios_u_ilist": [1, 2, 3], "aspectRatios_u_flist": None},
            "aspectRatios.*asserts a list of type float",
        ),
        ({"minSize_u_float": 0}, "minSize.*asserts type float"),
        ({"featureMapShapes_u_ilist": [19, 10]}, "2 feature maps"),
        ({"featureMapShapes_u_ilist": [3], "numLayers_u_int": 1}, "needs 2"),
        ({"aspectRatios_u_flist": [1.0, 2.0]}, "at least 3"),
        ({"variance_u_flist": [0.1]}, "1 variances"),
        ({"featureMapShapes_u_ilist": [9, 0, 1, 1, 1, 1]}, "featureMapShapes hold 0"),
        ({"featureMapShapes_u_ilist": [2**30, 1, 1, 1, 1, 1]}, "asks for a tensor"),
    ],
)
def test_grid_anchor_asserts_as_the_plugin_does(change, told):
    fields = {name: value for name, value in dict(GRID, **change).items() if value is not None}
    with pytest.raises(ValueError, match=told):
        plugins.grid_anchor(fields)


@pytest.mark.parametrize(
    "axis, shapes, expected",
    [
        (1, [(1, 5, 1, 4), (1, 2, 1, 4)], (1, 28, 1, 1)),
        (2, [(1, 2, 3, 4), (1, 2, 1, 4)], (1, 1, 32, 1)),
        (3, [(1, 2, 3, 4), (1, 2, 3, 1)], (1, 1, 1, 30)),
        (1, [(1, 5, 4), (1, 2, 4)], (1, 28, 1, 1)),
    ],
)
def test_flatten_concat_joins_flattened_samples(axis, shapes, expected):
    inputs = [np.random.RandomState(0).randn(*shape).astype(np.float32) for shape in shapes]
    result = plugins.flatten_concat({"axis_u_int": axis, "ignoreBatch_u_int": 0}, *inputs)
    assert result.shape == expected
    np.testing.assert_array_equal(result.reshape(-1), np.concatenate([x.reshape(-1) for x in inputs]))


@pytest.mark.parametrize(
    "fields, shapes, told",
    [
        ({"ignoreBatch": 0}, [(1, 2, 1, 4)], "axis is missing"),
        ({"axis": 4, "ignoreBatch": 0}, [(1, 2, 1, 4)], "axis is 4"),
        ({"axis": 1, "ignoreBatch": 0}, [(1, 2, 1, 4), (1, 2, 1, 5)], "differ"),
        ({"axis": 1, "ignoreBatch": 0}, [], "0 inputs"),
        ({"axis": 1, "ignoreBatch": 0}, [(2, 2, 1, 4)], "batch of one"),
    ],
)
def test_flatten_concat_asserts_as_the_plugin_does(fields, shapes, told):
    with pytest.raises(ValueError, match=told):
        plugins.flatten_concat(fields, *[np.zeros(shape, np.float32) for shape in shapes])


def decode_one(code, encoded, loc, prior, variance):
    """One box as decodeBBoxes.cu has it, in double precision."""
    x0, y0, x1, y1 = prior
    w, h, cx, cy = x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2
    v = [1] * 4 if encoded and code != 3 else variance
    if code == 0:
        return [p + a * b for p, a, b in zip(prior, loc, v)]
    if code == 2:
        return [p + a * b * size for p, a, b, size in zip(prior, loc, v, (w, h, w, h))]
    tx, ty, tw, th = loc if code == 1 else (loc[1], loc[0], loc[3], loc[2])
    bx, by, bw, bh = v[0] * tx * w + cx, v[1] * ty * h + cy, math.exp(v[2] * tw) * w, math.exp(v[3] * th) * h
    return [bx - bw / 2, by - bh / 2, bx + bw / 2, by + bh / 2]


def naive_iou(a, b, normalized):
    one = 0 if normalized else 1
    a, b = ([min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])] for c in (a, b))
    inner = [max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])]
    if inner[0] > inner[2] or inner[1] > inner[3]:
        inner = [0, 0, 0, 0]
    w, h = inner[2] - inner[0] + one, inner[3] - inner[1] + one
    if w <= 0 or h <= 0:
        return 0
    areas = sum((c[2] - c[0] + one) * (c[3] - c[1] + one) for c in (a, b))
    return w * h / (areas - w * h)


def naive_nms(fields, loc, conf, prior):
    """The algorithm step by step: decode, sort each class, suppress in each class, sort all, cut."""
    priors, classes, top = prior.shape[2] // 4, fields["numClasses"], fields["topK"]
    anchors, variances = prior.reshape(2, priors, 4).astype(float)
    loc = loc.reshape(priors, -1, 4).astype(float)
    survivors = []
    for label in range(classes):
        scores = [float(score) for score in conf.reshape(priors, classes)[:, label]]
        if fields["confSigmoid"]:
            scores = [math.exp(score) / (1 + math.exp(score)) for score in scores]
        passing = [
            (-score, index)
            for index, score in enumerate(scores)
            if score > np.float32(fields["confidenceThreshold"]) and label != fields["backgroundLabelId"]
        ]
        kept = []
        for negated, index in sorted(passing)[:top]:
            box = decode_one(
                fields["codeType"],
                fields["varianceEncodedInTarget"],
                loc[index, 0 if fields["shareLocation"] else label],
                anchors[index],
                variances[index],
            )
            if not any(naive_iou(box, other, fields["isNormalized"]) > fields["nmsThreshold"] for _, other in kept):
                kept.append((negated, box))
        survivors += [(negated, label, rank, box) for rank, (negated, box) in enumerate(kept)]
    rows = [
        [0, label, -negated] + [min(max(edge, 0), 1) for edge in box]
        for negated, label, _, box in sorted(survivors)[: fields["keepTopK"]]
    ]
    return rows + [[0, -1, 0, 0, 0, 0, 0]] * (fields["keepTopK"] - len(rows)), len(rows)


@settings(max_examples=150)
@given(
    st.integers(5, 40),
    st.integers(1, 4),
    st.sampled_from([0, 1, 2, 3]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    NUMBERS,
)
def test_nms_is_the_plugin_s_algorithm(priors, classes, code, shared, encoded, normalized, seed):
    random = np.random.RandomState(seed)
    top = random.randint(1, priors + 1)
    fields = dict(
        NMS,
        numClasses=classes + 1,
        topK=int(top),
        keepTopK=int(random.randint(1, top + 1)),
        codeType=code,
        shareLocation=int(shared),
        varianceEncodedInTarget=int(encoded),
        isNormalized=int(normalized),
        confSigmoid=int(random.randint(2)),
        backgroundLabelId=int(random.randint(-1, 2)),
    )
    corners = np.sort(random.rand(priors, 2, 2), axis=1).reshape(priors, 4)
    prior = (
        np.stack([corners, np.tile([0.1, 0.1, 0.2, 0.2], (priors, 1))]).astype(np.float32).reshape(1, 2, 4 * priors, 1)
    )
    loc = random.randn(1, priors * (1 if shared else classes + 1) * 4, 1, 1).astype(np.float32) * 0.5
    levels = random.permutation(priors * (classes + 1)) / np.float32(priors * (classes + 1))  # no near ties
    conf = np.where(random.rand(len(levels)) < 0.3, np.round(levels, 1), levels)  # but some exact ones
    conf = conf.astype(np.float32).reshape(1, -1, 1, 1)
    rows, count = naive_nms(fields, loc, conf, prior)
    result, number = plugins.nms(fields, loc, prior, conf)
    assert (result.shape, number.shape, number.dtype) == ((1, 1, fields["keepTopK"], 7), (1, 1, 1, 1), np.int32)
    assert number.item() == count
    np.testing.assert_allclose(result[0, 0], rows, atol=1e-5)


def scene(scores, boxes=None, **changes):
    """NMS on priors that are the boxes themselves (default: apart from each other), scores [priors, classes]."""
    scores = np.array(scores, np.float32)
    if boxes is None:
        boxes = [[i / 10, 0, i / 10 + 0.05, 0.05] for i in range(len(scores))]
    fields = dict(NMS, numClasses=scores.shape[1], topK=len(scores), keepTopK=len(scores), confSigmoid=0, **changes)
    prior = np.stack([np.array(boxes, np.float32), np.full((len(scores), 4), 0.1, np.float32)]).reshape(1, 2, -1, 1)
    inputs = [np.zeros((1, len(scores) * 4, 1, 1), np.float32), prior, scores.reshape(1, -1, 1, 1)]
    rows, count = plugins.nms(fields, *inputs)
    return rows[0, 0, : count.item()], rows[0, 0, count.item() :]


def test_thresholds_are_strict():
    rows, rest = scene([[0, 0.3], [0, 0.30001]])
    assert rows[:, 3].tolist() == pytest.approx([0.1])
    assert rest.tolist() == [[0, -1, 0, 0, 0, 0, 0]]
    half = [[0, 0, 1, 1], [0, 0, 0.5, 1]]
    assert len(scene([[0, 0.9], [0, 0.8]], half, nmsThreshold=0.5)[0]) == 2
    assert len(scene([[0, 0.9], [0, 0.8]], half, nmsThreshold=0.49)[0]) == 1


def test_ties_go_by_class_and_then_by_prior():
    rows, _ = scene([[0, 0.5, 0.5], [0, 0.5, 0.5]])
    assert [(row[1], round(float(row[3]), 1)) for row in rows] == [(1, 0.0), (1, 0.1)]


def test_clips_only_what_it_puts_out():
    """Two boxes that are equal inside the picture but not outside of it do not suppress each other."""
    rows, _ = scene([[0, 0.9], [0, 0.8]], [[-1, 0, 1, 1], [-9, 0, 1, 1]])
    assert rows[:, 3:].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_a_sigmoid_that_overflows_makes_the_box_vanish():
    prior = np.array([[[0, 0, 1, 1]], [[0.1] * 4]], np.float32).reshape(1, 2, 4, 1)
    fields = dict(NMS, numClasses=2, topK=1, keepTopK=1)
    for logit, expected in ((80, 1), (100, 0), (float("nan"), 0)):
        conf = np.array([0, logit], np.float32).reshape(1, 2, 1, 1)
        assert plugins.nms(fields, np.zeros((1, 4, 1, 1), np.float32), prior, conf)[1].item() == expected


def test_half_precision_rounds_the_boxes():
    random = np.random.RandomState(0)
    boxes = np.sort(random.rand(8, 2, 2), axis=1).reshape(8, 4).astype(np.float32)
    prior = np.stack([boxes, np.full((8, 4), 0.1, np.float32)]).reshape(1, 2, 32, 1)
    inputs = [
        random.randn(1, 32, 1, 1).astype(np.float32),
        prior,
        np.linspace(1, 3, 16, dtype=np.float32).reshape(1, 16, 1, 1),
    ]
    fields = dict(NMS, numClasses=2, topK=8, keepTopK=8, nmsThreshold=1.0)
    full, half = (plugins.nms(fields, *inputs, arithmetic=Arithmetic(half=half))[0] for half in (False, True))
    assert 0 < np.abs(full - half).max() < 5e-3
    np.testing.assert_array_equal(half, half.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize(
    "change, told",
    [
        ({"inputOrder": [0, 0, 1]}, "inputOrder"),
        ({"codeType": 9}, "codeType"),
        ({"topK": 9}, "larger than the number of priors"),
        ({"topK": 5000}, "4096"),
        ({"keepTopK": 5}, "keepTopK"),
        ({"numClasses": 3}, r"nmsPlugin.cpp,249"),
        ({"shareLocation": 0}, r"nmsPlugin.cpp,246"),
        ({"nmsThreshold": 1}, "nmsThreshold.*asserts type float"),
        ({"isNormalized": None}, "isNormalized is missing"),
        ({"inputOrder": [2, 0, 1]}, "prior input|loc input"),
        ({"confidenceThreshold": -0.1}, "confidenceThreshold"),
    ],
)
def test_nms_asserts_as_the_plugin_does(change, told):
    fields = dict(NMS, numClasses=2, topK=4, keepTopK=4)
    fields.update(change)
    fields = {name: value for name, value in fields.items() if value is not None}
    inputs = [np.zeros(shape, np.float32) for shape in ((1, 16, 1, 1), (1, 2, 16, 1), (1, 8, 1, 1))]
    with pytest.raises(ValueError, match=told):
        plugins.nms(fields, *inputs)


def test_nms_asserts_three_inputs():
    with pytest.raises(ValueError, match="nbInputDims == 3"):
        plugins.nms(dict(NMS, numClasses=2, topK=4, keepTopK=4), np.zeros((1, 16, 1, 1), np.float32))
