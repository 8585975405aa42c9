"""The rows of "What TensorFlow's postprocessing and NMS_TRT do differently" in docs/stages/convert.md, each held to it.

Both sides get the same heads: TensorFlow in the graph's own postprocessor, NMS_TRT in the reference interpreter.
"""

import collections

import numpy as np
import pytest

from stages.convert.graph import detector_parameters
from stages.convert.graph.grid_anchor import decode
from stages.convert.parity import measure, verdict
from stages.convert.parity.verdict import Seen
from stages.reference import plugins

LEAST = 0.3


@pytest.fixture(scope="module")
def heads(examined):
    parameters = examined.parameters
    return measure.Heads(
        examined.session,
        examined.graph,
        examined.structure,
        parameters.input,
        (len(parameters.anchors), parameters.classes),
    )


def both(examined, heads, encodings, logits, **fields):
    """Detections of TensorFlow and of NMS_TRT for encodings [P, 4] and class logits [P, C]."""
    parameters, outputs = examined.parameters, examined.parameters.outputs
    boxes, classes, scores, count = heads.run(
        [outputs.boxes, outputs.classes, outputs.scores, outputs.number], encodings, logits
    )
    rows = slice(int(count[0]))
    truth = Seen(boxes[0, rows][:, [1, 0, 3, 2]], classes[0, rows].astype(int), scores[0, rows])
    priors = np.stack([parameters.anchors.reshape(-1), np.tile(parameters.variances, len(parameters.anchors))])
    inputs = [value.astype(np.float32).reshape(1, -1, 1, 1) for value in (encodings, logits)]
    table, number = plugins.nms(
        dict(detector_parameters.plugins(parameters)["NMS_TRT"], **fields),
        inputs[0],
        priors[np.newaxis, :, :, np.newaxis].astype(np.float32),
        inputs[1],
    )
    found = table[0, 0, : int(number.ravel()[0])]
    return truth, Seen(found[:, 3:], found[:, 1].astype(int), found[:, 2])


def differences(examined, truth, seen):
    """How many detections match, and for each one that does not its excuse."""
    nms = detector_parameters.plugins(examined.parameters)["NMS_TRT"]
    pairs, missing, extra = verdict.match(truth, seen, LEAST)
    reasons = [verdict.excuse(truth, seen, index, nms["nmsThreshold"], nms["keepTopK"]) for index in missing]
    reasons += [verdict.excuse(seen, truth, index, nms["nmsThreshold"], nms["keepTopK"]) for index in extra]
    return len(pairs), collections.Counter(reasons)


def silent(examined):
    parameters = examined.parameters
    return np.zeros((len(parameters.anchors), 4)), np.full((len(parameters.anchors), parameters.classes), -9.0)


@pytest.mark.parametrize("seed", range(6))
def test_random_heads_differ_in_known_ways_only_and_rarely(examined, heads, seed):
    random = np.random.RandomState(seed)
    encodings, logits = silent(examined)
    shape = encodings.shape[0], examined.parameters.classes
    matched, reasons = differences(
        examined, *both(examined, heads, random.normal(0, 1, encodings.shape), random.normal(-2, 2, shape))
    )
    assert matched > 20 and None not in reasons
    assert sum(reasons.values()) <= 0.2 * matched, reasons


def test_a_box_outside_the_picture_is_kept_by_the_plugin_only(examined, heads):
    encodings, logits = silent(examined)
    logits[0, 1] = 3.0
    encodings[0] = [-200.0, 0.0, 0.0, 0.0]  # ty of the anchor: far above the picture
    assert decode(encodings, examined.parameters.anchors, examined.parameters.variances)[0][3] < 0
    truth, seen = both(examined, heads, encodings, logits)
    assert (truth.scores > LEAST).sum() == 0 and (seen.scores > LEAST).sum() == 1
    assert differences(examined, truth, seen) == (0, {"no area inside the picture": 1})


def test_top_k_limits_candidates_before_suppression(examined, heads):
    """With topK 2 the plugin loses the third box, which TensorFlow finds: why the converter makes topK large."""
    encodings, logits = silent(examined)
    places = measure._apart(examined.parameters.anchors, 12)[:3]
    logits[places, 1] = [3.0, 2.0, 1.0]
    assert differences(examined, *both(examined, heads, encodings, logits)) == (3, {})
    matched, reasons = differences(examined, *both(examined, heads, encodings, logits, topK=2, keepTopK=2))
    assert (matched, reasons) == (2, {None: 1})
    assert detector_parameters.plugins(examined.parameters)["NMS_TRT"]["topK"] == len(encodings)


def test_logits_beyond_float32s_exponential_are_lost_by_the_plugin(examined, heads):
    encodings, logits = silent(examined)
    for logit, found in ((88.0, 1), (89.0, 0)):
        logits[measure._apart(examined.parameters.anchors, 12)[0], 1] = logit
        truth, seen = both(examined, heads, encodings, logits)
        assert ((truth.scores > LEAST).sum(), (seen.scores > LEAST).sum()) == (1, found)
        assert differences(examined, truth, seen)[1] == ({} if found else {None: 1})


def test_more_boxes_than_places_keep_the_best_on_both_sides(examined, heads):
    """All anchors, made small and apart: more than keepTopK; who stays is the same down to the last place."""
    encodings, logits = silent(examined)
    encodings[:, 2:] = -8.0
    random = np.random.RandomState(4)
    logits[:, 1] = random.permutation(np.linspace(0.0, 4.0, len(logits)))
    truth, seen = both(examined, heads, encodings, logits)
    assert len(truth.scores) == len(seen.scores) == examined.parameters.outputs.most
    matched, reasons = differences(examined, truth, seen)
    assert matched >= len(truth.scores) - 1 and set(reasons) <= {"score at the last place"}
