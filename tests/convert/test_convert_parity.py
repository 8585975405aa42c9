"""The proof that a .uff computes what its graph does finds every change, and excuses only what is known to differ."""

import json

import convert_helpers as helpers
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from stages import drawing, pixels
from stages.convert.graph.analysis import analyse
from stages.convert.parity import pictures, verdict, worst
from stages.convert.parity.verdict import Seen
from stages.convert.uff import schema
from stages.job import BadInput
from stages.overlap import iou
from stages.reference.interpreter import UffInterpreter

ARCHITECTURES = [
    ("v1", True, {}),
    ("v2", False, {}),
    ("v1", True, {"early_sigmoid": "true", "converter": "IDENTITY"}),
    ("v1", True, {"resizer": "fixed_shape_resizer { height: 96 width: 160 }"}),
    pytest.param("v1", True, {"anchors": "reduce_boxes_in_lowest_layer: false"}, marks=pytest.mark.slow),
    pytest.param("lite", True, {}, marks=pytest.mark.slow),
    pytest.param("inception", False, {}, marks=pytest.mark.slow),
    pytest.param("v1", True, {"explicit_padding": "true"}, marks=pytest.mark.slow),
]


def compare(examined, folder, change=None, count=2):
    """The report of :func:`comparing`."""
    return comparing(examined, folder, change, count).report()


def comparing(examined, folder, change=None, count=2):
    """The comparison on ``count`` pictures of noise, after ``change`` to a copy of the message."""
    meta = schema.meta_graph()
    meta.CopyFrom(examined.uff)
    if change:
        change(meta)
    path = str(folder / "model.uff")
    with open(path, "wb") as stream:
        stream.write(schema.serialize(meta))
    return helpers.compared(examined, UffInterpreter(path), count)


BOX, FAR = [0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]


@pytest.mark.parametrize("architecture, fixed, options", ARCHITECTURES)
def test_what_is_converted_computes_the_same(export, tmp_path, architecture, fixed, options):
    report = compare(analyse(export(architecture, fixed, **options).graph), tmp_path)
    assert report["failures"] == []
    assert 0 < report["detections"] - sum(report["excused"].values()) <= report["matched"] <= report["detections"]
    assert report["min_iou"] > 0.99 and report["max_score_diff"] < 0.001
    assert max(report["heads"].values()) < 1e-3 and report["anchors"] < 1e-5


def test_a_repaired_graph_computes_the_same(definition, tmp_path):
    found = helpers.analyse_definition(helpers.aged(definition), tmp_path)
    assert found.audit.verdict == "repairable"
    assert compare(found, tmp_path)["failures"] == []


def test_both_sides_are_measured_where_the_truth_is_known(examined, tmp_path):
    """Two of TensorFlow's own detections as the truth of one picture, nothing as that of another."""
    size = examined.parameters.input
    first, second = pictures.of_noise(2, size.height, size.width)
    path = str(tmp_path / "model.uff")
    with open(path, "wb") as stream:
        stream.write(schema.serialize(examined.uff))

    def measured(*shown):
        comparison = verdict.Comparison(examined, UffInterpreter(path))
        for picture in shown:
            comparison.add(picture)
        return comparison

    found = measured(first).view.truth
    known = pictures.Truth(found.boxes[:2][:, [1, 0, 3, 2]], found.classes[:2])
    nothing = pictures.Truth(np.zeros((0, 4)), np.zeros(0, int))
    report = measured(first._replace(truth=known), second._replace(truth=nothing)).report()
    assert report["mAP"]["tensorflow"] == pytest.approx(report["mAP"]["model"], abs=1e-3)
    assert 0 < report["mAP"]["tensorflow"] <= 1
    assert measured(first).report()["mAP"] is None
    elsewhere = pictures.Truth(np.array([[0.001, 0.001, 0.002, 0.002]]), np.array([1]))
    assert measured(first._replace(truth=elsewhere)).report()["mAP"] == {"tensorflow": 0.0, "model": 0.0}


def test_the_worst_case_is_drawn_on_both_sides():
    one, other = seen((1, 0.9, BOX)), seen((1, 0.9, BOX), (2, 0.8, FAR), (1, 0.1, [0.0, 0.9, 0.1, 1.0]))
    view = worst.View(pictures.ProofPicture("a", np.zeros((60, 80, 3), np.uint8), None), one, other)
    drawn = worst.draw(view, FAR, ["background", "cone", "ball"], 0.3)
    left, right = drawn[:, : drawn.shape[1] // 2], drawn[:, drawn.shape[1] // 2 :]
    cone, ball = (np.array(drawing.color_of(number)) for number in (1, 2))
    assert (left == cone).all(axis=-1).any() and (right == cone).all(axis=-1).any()
    assert not (left == ball).all(axis=-1).any() and (right == ball).all(axis=-1).any()


def test_the_view_is_that_of_the_worst_case(examined, tmp_path):
    def moved(meta):
        field("NMS", "nmsThreshold_u_float", "d", 0.2)(meta)

    comparison = comparing(examined, tmp_path, moved)
    assert comparison.view.picture.name == comparison.report()["worst"]["picture"]


def weights(name, change):
    def damage(meta):
        blob = meta.referenced_data["weights_" + name].blob
        meta.referenced_data["weights_" + name].blob = change(np.frombuffer(blob, np.float32).copy()).tobytes()

    return damage


def nudge(values):
    values[len(values) // 2] += 0.5
    return values


def field(node, name, kind, value):
    def damage(meta):
        data = next(one for one in meta.graphs[0].nodes if one.id == node).fields[name]
        if kind.endswith("list"):
            getattr(data, kind).val[:] = value
        else:
            setattr(data, kind, value)

    return damage


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda meta: weights(earliest(meta, "Conv").inputs[1], nudge)(meta), "differ by"),
        (lambda meta: weights(earliest(meta, "BatchNorm").inputs[4], nudge)(meta), "differ by"),
        (field("GridAnchor", "minSize_u_float", "d", 0.21), "anchors differ"),
        (field("GridAnchor", "variance_u_flist", "d_list", [0.1, 0.1, 0.2, 0.3]), "decoded boxes differ"),
        (field("NMS", "nmsThreshold_u_float", "d", 0.2), "not found"),
        (field("NMS", "nmsThreshold_u_float", "d", 0.95), "only"),
        (field("NMS", "confSigmoid_u_int", "i", 0), "found"),
        (field("NMS", "backgroundLabelId_u_int", "i", 1), "found"),
    ],
)
def test_every_change_is_found(examined, tmp_path, change, says):
    report = compare(examined, tmp_path, change)
    assert any(says in failure["what"] for failure in report["failures"]), report
    assert report["worst"] == report["failures"][0]


def earliest(meta, operation):
    """The node nearest the input: the last one in the file."""
    return [node for node in meta.graphs[0].nodes if node.operation == operation][-1]


def seen(*rows):
    """Detections from (class, score, box)."""
    return Seen(
        np.array([row[2] for row in rows], float).reshape(-1, 4),
        np.array([row[0] for row in rows], int),
        np.array([row[1] for row in rows], float),
    )


def test_each_detection_is_used_once():
    pairs, missing, extra = verdict.match(seen((1, 0.9, BOX), (1, 0.9, BOX)), seen((1, 0.9, BOX)), 0.3)
    assert len(pairs) == 1 and missing == [1] and extra == []


@pytest.mark.parametrize("other", [(2, 0.9, BOX), (1, 0.89, BOX), (1, 0.9, FAR)])
def test_class_score_and_place_must_agree(other):
    pairs, missing, extra = verdict.match(seen((1, 0.9, BOX)), seen(other), 0.3)
    assert (pairs, missing, extra) == ([], [0], [0])


def test_places_may_be_swapped():
    first, second = (1, 0.9, BOX), (1, 0.8999999, FAR)
    pairs, missing, extra = verdict.match(seen(first, second), seen(second, first), 0.3)
    assert len(pairs) == 2 and not missing and not extra


def test_low_scores_are_not_asked_for():
    assert verdict.match(seen((1, 0.29, BOX)), seen(), 0.3) == ([], [], [])


@pytest.mark.parametrize(
    "having, lacking, expected",
    [
        (seen((1, 0.9, [1.0, 0.2, 1.0, 0.4])), seen(), "no area inside the picture"),
        (
            seen((1, 0.9, [0.0, 0.3, 2e-4, 0.5])),
            seen((1, 0.9, [0.0, 0.3, 2.03e-4, 0.5])),
            "rounding of a box cut to a sliver",
        ),
        (seen((1, 0.9, [0.0, 0.3, 2e-4, 0.5])), seen((1, 0.9, [0.0, 0.3, 4e-4, 0.5])), None),
        (seen((1, 0.9, [0.0, 0.3, 2e-4, 0.5])), seen((1, 0.8, [0.0, 0.3, 2.03e-4, 0.5])), None),
        (
            seen((1, 0.9, [0.0, 0.0, 1.0, 0.6])),
            seen((1, 0.95, [0.0, 0.0, 1.0, 1.0])),
            "overlap at the suppression threshold",
        ),
        (seen((1, 0.9, [0.0, 0.0, 1.0, 0.6])), seen((2, 0.95, [0.0, 0.0, 1.0, 1.0])), None),
        (seen((1, 0.90001, BOX)), seen((1, 0.9, FAR), (2, 0.95, FAR)), "score at the last place"),
        (seen((1, 0.5, BOX)), seen((1, 0.9, FAR), (2, 0.95, FAR)), "score at the last place"),
        (seen((1, 0.91, BOX)), seen((1, 0.9, FAR), (2, 0.95, FAR)), None),
        (seen((1, 0.9, BOX)), seen((1, 0.9, FAR)), None),
    ],
)
def test_only_known_differences_are_excused(having, lacking, expected):
    assert verdict.excuse(having, lacking, 0, 0.6, 2) == expected


coordinate = st.integers(0, 100).map(lambda n: n / 100.0)
boxes = st.tuples(coordinate, coordinate, coordinate, coordinate).map(
    lambda box: [min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])]
)


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(first, second):
    one, other = np.array([first]), np.array([second])
    overlap = iou(one, other)[0, 0]
    assert 0 <= overlap <= 1 + 1e-12 and overlap == iou(other, one)[0, 0]
    area = (first[2] - first[0]) * (first[3] - first[1])
    assert iou(one, one)[0, 0] == pytest.approx(1.0 if area > 0 else 0.0)


def picture(seed, height=90, width=120):
    return pixels.resize(np.random.RandomState(seed).randint(0, 256, (6, 8, 3)).astype(np.uint8), height, width)


def test_pictures_come_from_a_folder(tmp_path):
    for seed in range(3):
        (tmp_path / ("%d.png" % seed)).write_bytes(pixels.encode_png(picture(seed)))
    (tmp_path / "notes.txt").write_text("no picture")
    found = pictures.from_folder(str(tmp_path), 2, 64, 64)
    assert [one.name for one in found] == ["0.png", "1.png"]
    np.testing.assert_array_equal(found[1].pixels, pixels.resize(picture(1), 64, 64))


def write_records(folder):
    lines, offset = [], 0
    with tf.python_io.TFRecordWriter(str(folder / "all.tfrecord")) as writer:
        for seed, split in enumerate(["train", "validation", "validation", "test"]):
            example = tf.train.Example()
            example.features.feature["image/encoded"].bytes_list.value.append(pixels.encode_png(picture(seed)))
            data = example.SerializeToString()
            writer.write(data)
            lines.append(
                {
                    "source_id": "%d.png" % seed,
                    "split": split,
                    "shard": "all.tfrecord",
                    "offset": offset,
                    "length": len(data) + 16,
                    "width": 120,
                    "height": 90,
                    "boxes": [[0.1, 0.2, 0.3, 0.4]] * seed,
                    "classes": [2] * seed,
                }
            )
            offset += len(data) + 16
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_validation_pictures_of_records_come_first_and_test_pictures_never(tmp_path):
    write_records(tmp_path)
    found = pictures.from_records(str(tmp_path), 20, 90, 120)
    assert [one.name for one in found] == ["1.png", "2.png", "0.png"]
    np.testing.assert_array_equal(found[0].pixels, picture(1))
    assert found[0].truth.boxes.tolist() == [[0.1, 0.2, 0.3, 0.4]] and found[0].truth.classes.tolist() == [2]
    assert found[2].truth.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "index.jsonl").unlink(),
        lambda folder: (folder / "index.jsonl").write_text("{"),
        lambda folder: (folder / "all.tfrecord").write_bytes((folder / "all.tfrecord").read_bytes()[:500]),
        lambda folder: (folder / "all.tfrecord").unlink(),
        lambda folder: (folder / "index.jsonl").write_text((folder / "index.jsonl").read_text().replace("[2]", "[]")),
        lambda folder: (folder / "index.jsonl").write_text((folder / "index.jsonl").read_text().replace("0.4", '"x"')),
    ],
)
def test_damaged_records_are_refused(tmp_path, damage):
    write_records(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadInput, match="run records again"):
        pictures.from_records(str(tmp_path), 20, 90, 120)


@pytest.mark.parametrize("content", [{}, {"a.jpg": b"no picture"}])
def test_folders_without_readable_pictures_are_refused(tmp_path, content):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput):
        pictures.from_folder(str(tmp_path), 20, 64, 64)


def test_noise_repeats_and_varies():
    first, second = pictures.of_noise(3, 64, 64), pictures.of_noise(3, 64, 64)
    assert all((one.pixels == other.pixels).all() for one, other in zip(first, second))
    assert (first[0].pixels != first[1].pixels).any()
