"""What TensorRT's plugins compute differently from version to version, and NVIDIA's own results where they are at hand.

The expected numbers of the small cases are those of NVIDIA's code (tags v5.1.5, v6.0.1, 7.1.3, 8.0.1, 8.2.1), compiled
for the CPU. A folder of more of them (index.json with the arrays beside it) is tried if NANOFORGE_GOLDEN names one.
"""

import json
import os

import numpy as np
import pytest

from stages.job import BadInput
from stages.reference import arithmetic, plugins
from stages.reference.arithmetic import Arithmetic

GOLDEN = os.environ.get("NANOFORGE_GOLDEN", "")
UNSORTED, FLOAT32, NEWER = [(5, 0, 6), (5, 1, 6), (6, 0, 1)], [(7, 1, 0), (7, 1, 3)], [(8, 0, 1), (8, 2, 1)]
CORNER = {
    "shareLocation": 1,
    "varianceEncodedInTarget": 0,
    "backgroundLabelId": 0,
    "numClasses": 2,
    "confSigmoid": 0,
    "isNormalized": 1,
    "codeType": 0,
    "inputOrder": [0, 2, 1],
    "confidenceThreshold": 0.25,
    "nmsThreshold": 0.5,
}


def rows(boxes, scores, computing, **fields):
    """The rows that hold a detection; a box is its own prior, but for a NaN, which comes from the network."""
    boxes = np.array(boxes, np.float32)
    lost = np.isnan(boxes)
    fields = dict(CORNER, topK=len(boxes), keepTopK=len(boxes), **fields)
    prior = np.stack([np.where(lost, 0, boxes), np.ones_like(boxes)]).astype(np.float32)
    conf = np.stack([np.zeros(len(scores)), scores], axis=1).astype(np.float32)
    found, count = plugins.nms(
        fields,
        np.where(lost, np.nan, 0).astype(np.float32).reshape(1, -1, 1, 1),
        prior.reshape(1, 2, -1, 1),
        conf.reshape(1, -1, 1, 1),
        arithmetic=computing,
    )
    taken = found[0, 0, found[0, 0, :, 1] >= 0]
    assert len(taken) == count.item()
    return taken[:, 2:]


@pytest.mark.parametrize("version, left", [(v, 3) for v in UNSORTED] + [(v, 1) for v in FLOAT32 + NEWER])
def test_inverted_boxes_suppress_from_71_on(version, left):
    boxes = [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0.5, 0, 0, 0.5]]
    assert len(rows(boxes, [0.9, 0.8, 0.7], Arithmetic(version))) == left


@pytest.mark.parametrize("version, edge", [(v, 1) for v in UNSORTED + FLOAT32] + [(v, 0) for v in NEWER])
def test_a_coordinate_that_is_no_number_becomes_1_before_80_and_0_from_then_on(version, edge):
    nan = float("nan")
    found = rows([[nan, 0, 0.5, nan], [0, 0, 0.5, 0.5]], [0.9, 0.8], Arithmetic(version))
    assert found[:, 1:].tolist() == [[edge, 0, 0.5, edge], [0, 0, 0.5, 0.5]]


@pytest.mark.parametrize("version, left", [(v, 2) for v in UNSORTED] + [(v, 1) for v in FLOAT32 + NEWER])
def test_in_pixels_such_a_side_counts_as_one_pixel_from_71_on(version, left):
    boxes = [[float("nan"), 0, 0, 9], [0, 0, 0, 9]]
    assert len(rows(boxes, [0.9, 0.8], Arithmetic(version), isNormalized=0, nmsThreshold=0.3)) == left


APART = [[0.2 * place, 0.1, 0.2 * place + 0.1, 0.2] for place in range(5)]
SCORES = [0.7, 0.7001, 1.0, 0.6, 0.3]


@pytest.mark.parametrize(
    "bits, expected",
    [
        (10, [0.9990234375, 0.7001953125, 0.7001953125, 0.599609375, 0.2998046875]),
        (4, [0.9990234375, 0.7001953125, 0.7001953125, 0.599609375, 0.2998046875]),
        # One bit: all over 0.5 tie, and 0.3 ties with the background's nothing, which goes first and takes its row.
        (1, [0.7001953125, 0.7001953125, 0.9990234375, 0.599609375]),
        (16, [1.0, 0.7001953125, 0.7001953125, 0.60009765625, 0.300048828125]),
        (0, [1.0, 0.7001953125, 0.7001953125, 0.60009765625, 0.300048828125]),
    ],
)
def test_few_score_bits_sort_by_few_bits_and_round_in_float16(bits, expected):
    for version in NEWER:
        found = rows(APART, SCORES, Arithmetic(version, half=True), scoreBits=bits)
        assert found[:, 0].tolist() == expected
    full = rows(APART, SCORES, Arithmetic(NEWER[0]), scoreBits=bits)[:, 0]
    np.testing.assert_array_equal(full, np.sort(np.float32(SCORES))[::-1])


def test_before_80_there_is_no_float16():
    for version in UNSORTED + FLOAT32:
        found = rows(APART, SCORES, Arithmetic(version, half=True), scoreBits=1)
        np.testing.assert_array_equal(found, rows(APART, SCORES, Arithmetic(version)))


def anchors(computing, **fields):
    chosen = dict({"variance": [0.1, 0.1, 0.2, 0.2], "minSize": 0.2, "maxSize": 0.95}, **fields)
    rectangles = chosen.pop("rectangles", False)
    return [layer[0, 0].reshape(-1, 4) for layer in plugins.grid_anchor(chosen, computing, rectangles)]


def test_the_scale_between_two_maps_is_a_root_in_double_rounded_once():
    maps = {"numLayers": 5, "featureMapShapes": [19, 10, 5, 3, 2], "aspectRatios": [1.0, 2.0, 0.5, 3.0, 0.3333]}
    scales = np.float32(0.2) + np.float32(0.75) * np.arange(5, dtype=np.float32) / np.float32(4)
    for k in (1, 2, 3):
        box = anchors(arithmetic.PLAIN, **maps)[k][5]
        size = np.float32(np.sqrt(float(scales[k]) * float(scales[k + 1])))
        center = np.float32(0.5) * np.float32(1 / maps["featureMapShapes"][k])
        assert box[0] == center - np.float32(0.5) * size


def test_fused_centres_are_rounded_once():
    maps = {"numLayers": 2, "featureMapShapes": [19, 10], "aspectRatios": [1.0, 2.0, 0.5]}
    twice, once = (anchors(Arithmetic(fused=fused), **maps)[0] for fused in (False, True))
    assert 0 < np.abs(twice - once).max() <= 1.2e-7
    stride = np.float32(1 / 19)
    half = np.float32(0.5) * np.float32(0.1)
    for place in range(19):
        center = np.float32(place * float(stride) + float(np.float32(0.5) * stride))
        assert once[3 * place, 0] == center - half


def test_maps_that_are_no_squares_take_both_strides_from_the_height():
    maps = {"numLayers": 2, "featureMapShapes": [4, 7, 3, 5], "aspectRatios": [1.0, 2.0, 0.5]}
    first, second = anchors(arithmetic.PLAIN, rectangles=True, **maps)
    assert (len(first), len(second)) == (4 * 7 * 3, 3 * 5 * 4)
    centers = (first[::3, 0] + first[::3, 2]) / 2
    np.testing.assert_allclose(centers[:7], [1 / 8 + place / 4 for place in range(7)], atol=1e-6)
    with pytest.raises(ValueError, match="not pairs"):
        anchors(arithmetic.PLAIN, rectangles=True, **dict(maps, featureMapShapes=[4, 7, 3]))


@pytest.mark.parametrize("text, version", [("8.2.1", (8, 2, 1)), ("8.2", (8, 2, 0)), ("8.2.1.8", (8, 2, 1))])
def test_versions_are_read(text, version):
    assert arithmetic.version(text) == version


@pytest.mark.parametrize("text", ["", "8", "8.x", "8.2.1.8.1", "-8.2", "8..1", "²8.2"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(BadInput, match="not a version of TensorRT"):
        arithmetic.version(text)


def golden(*names):
    if not GOLDEN:
        return []
    with open(os.path.join(GOLDEN, "index.json")) as stream:
        return [case for case in json.load(stream)["cases"] if case["plugin"] in names]


def named(case):
    """A case's name; pytest asks of what stands for no case, too."""
    return case["name"] if isinstance(case, dict) else None


def arrays(name):
    return np.load(os.path.join(GOLDEN, name + ".npz"))


def equal(found, wanted, case):
    """To the last bit where no exp takes part, else to what the case or the type allows."""
    tolerance = 0 if case["exact"] else case.get("tolerance", 1e-3 if case.get("half") else 2e-6)
    np.testing.assert_allclose(found, wanted.astype(np.float32), rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", golden("NMS_TRT"), ids=named)
def test_nms_is_nvidias(case):
    held, order = arrays("nms"), case["fields"]["inputOrder"]
    shapes = {"loc": (1, -1, 1, 1), "conf": (1, -1, 1, 1), "prior": (1, 2, -1, 1)}
    inputs = [None, None, None]
    for place, name in zip(order, ("loc", "conf", "prior")):
        inputs[place] = held[case["inputs"][name]].reshape(shapes[name])
    for output in case["outputs"]:
        for version in map(arithmetic.version, output["versions"]):
            found, count = plugins.nms(case["fields"], *inputs, arithmetic=Arithmetic(version, case["half"]))
            wanted = held[output["rows"]].reshape(-1, 7)
            assert count.item() == output["count"]
            np.testing.assert_array_equal(found[0, 0, :, 1], wanted[:, 1])
            equal(found[0, 0], wanted, case)


@pytest.mark.parametrize("case", golden("GridAnchor_TRT", "GridAnchorRect_TRT"), ids=named)
def test_anchors_are_nvidias_to_the_last_bit(case):
    held, rectangles = arrays("grid_anchor"), case["plugin"] == "GridAnchorRect_TRT"
    for output in case["outputs"]:
        for kind, fused in (("layers", False), ("fused", True)):
            found = plugins.grid_anchor(case["fields"], Arithmetic(fused=fused), rectangles)
            for layer, name in zip(found, output.get(kind, [])):
                np.testing.assert_array_equal(layer.reshape(2, -1), held[name].reshape(2, -1))


@pytest.mark.parametrize("case", golden("FlattenConcat_TRT"), ids=named)
def test_flattening_is_nvidias(case):
    held = arrays("flatten_concat")
    found = plugins.flatten_concat(case["fields"], *(held[name] for name in case["inputs"]))
    for output in case["outputs"]:
        np.testing.assert_array_equal(found.reshape(-1), held[output["out"]].reshape(-1))
