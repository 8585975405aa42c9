"""evaluate, preview and export on a trained detector."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from train_helpers import SIZE, InProcessStage, draw, write_records

from stages import pixels
from stages.job import BadInput
from stages.parameters import EvaluateParameters, ExportParameters, PreviewParameters
from stages.train import evaluate, export, pipeline_config, preview

TESTED = [draw(number) for number in range(20, 25)]  # what conftest.py validates with
EXPORT = ExportParameters(checkpoint="6", score_threshold=0.001, iou_threshold=0.5, max_detections=20)


@pytest.fixture(scope="module")
def inputs(trained, records_folder):
    return {"records": records_folder, "train": trained.output}


@pytest.fixture(scope="module")
def evaluated(inputs, tmp_path_factory):
    """The last checkpoint, evaluated once for the tests that only look at what came of it."""
    stage = InProcessStage(str(tmp_path_factory.mktemp("evaluated")))
    return stage.run(evaluate.main, inputs, EvaluateParameters("last", "validation"))


@pytest.fixture(scope="module")
def exported(inputs, tmp_path_factory):
    """The same checkpoint, exported once."""
    return InProcessStage(str(tmp_path_factory.mktemp("exported"))).run(export.main, inputs, EXPORT)


@pytest.fixture
def train_copy(trained, tmp_path):
    return shutil.copytree(trained.output, str(tmp_path / "train"))


def run_graph(path, picture):
    """What a frozen graph detects on a uint8 picture: boxes, scores and class ids."""
    graph = tf.GraphDef()
    with open(path, "rb") as stream:
        graph.ParseFromString(stream.read())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph, name="")
        names = ["detection_boxes:0", "detection_scores:0", "detection_classes:0", "num_detections:0"]
        boxes, scores, classes, count = session.run(names, {"image_tensor:0": picture[np.newaxis]})
        shape = session.graph.get_tensor_by_name("image_tensor:0").shape.as_list()
    count = int(count[0])
    return shape, boxes[0][:count], scores[0][:count], classes[0][:count]


def test_the_metrics_are_those_of_the_training(inputs, trained, stage):
    job = stage().run(evaluate.main, inputs, EvaluateParameters("best", "validation"))
    document = job.document("evaluation.json")
    listed = trained.document("checkpoints.json")
    best = next(entry for entry in listed["checkpoints"] if entry["step"] == listed["best"])
    assert document["checkpoint"] == best["prefix"] and document["step"] == best["step"]
    for name in ("mAP", "mAP@0.5", "loss"):
        assert document[name] == pytest.approx(best[name], abs=1e-6)
    assert set(document["per_class"]) == {"red", "blue"}
    assert job.metrics()["mAP"] == document["mAP"]


@pytest.mark.slow
def test_the_test_pictures_are_evaluated_on_only_if_asked_for(trained, inputs, evaluated, stage, tmp_path):
    """Their records are the validation's, so that the figures must be, too."""
    both = write_records(str(tmp_path / "both"), {"train": [draw(1)], "validation": [draw(3)], "test": TESTED})
    job = stage().run(evaluate.main, {"records": both, "train": trained.output}, EvaluateParameters("last", "test"))
    document = job.document("detections.json")
    assert (document["split"], job.document("evaluation.json")["split"]) == ("test", "test")
    assert [entry["file"] for entry in document["pictures"]] == ["picture-%02d.png" % number for number in range(3, 8)]
    with pytest.raises(BadInput, match="no test picture to evaluate on.*records.split"):
        stage().run(evaluate.main, inputs, EvaluateParameters("last", "test"))
    assert evaluated.document("evaluation.json")["mAP"] == job.document("evaluation.json")["mAP"]
    assert evaluated.document("detections.json")["split"] == "validation"


def test_detections_stand_in_pixels_of_the_original_pictures(evaluated):
    document = evaluated.document("detections.json")
    assert [entry["file"] for entry in document["pictures"]] == ["picture-%d.png" % number for number in range(13, 18)]
    first = document["pictures"][0]
    _, boxes, classes = draw(20)
    assert (first["width"], first["height"]) == (2 * SIZE, 2 * SIZE)
    ymin, xmin, ymax, xmax = (2 * SIZE * edge for edge in boxes[0])
    assert first["truth"][0]["box"] == pytest.approx([xmin, ymin, xmax, ymax], abs=1e-3)
    assert first["truth"][0]["class_id"] == classes[0]
    for detection in first["detections"]:
        assert detection["class"] in ("red", "blue") and document["score_threshold"] <= detection["score"] <= 1


def test_preview_draws_truth_and_detections(inputs, stage):
    job = stage().run(preview.main, inputs, PreviewParameters("4", pictures=2, score_threshold=0.0))
    document = job.document("detections.json")
    drawings = [entry["drawing"] for entry in document["pictures"]]
    assert drawings == ["pictures/picture-13.jpg", "pictures/picture-14.jpg"]
    with open(job.path("pictures", "picture-13.jpg"), "rb") as stream:
        drawn = pixels.decode(stream.read())
    plain = pixels.resize(draw(20)[0], 2 * SIZE, 2 * SIZE)
    assert drawn.shape == plain.shape
    assert (np.abs(drawn.astype(int) - plain).max(axis=2) > 100).sum() > 50


@pytest.mark.slow
def test_preview_reads_the_scratch_folder_of_a_running_training(trained, records_folder, stage):
    job = stage().run(
        preview.main,
        {"records": records_folder, "train": trained.scratch},
        PreviewParameters("last", pictures=1, score_threshold=0.5),
    )
    assert job.document("detections.json")["model"] == "checkpoints/model.ckpt-6"


def test_the_graph_detects_what_evaluation_detects(evaluated, inputs, stage):
    found = evaluated.document("detections.json")["pictures"][0]
    job = stage().run(export.main, inputs, EXPORT._replace(iou_threshold=0.6, max_detections=100))
    shape, boxes, scores, classes = run_graph(job.path("frozen_inference_graph.pb"), draw(20)[0])
    assert shape == [1, SIZE, SIZE, 3]
    assert len(found["detections"]) > 0
    for detection, box, score, class_id in zip(found["detections"], boxes, scores, classes):
        assert score == pytest.approx(detection["score"], abs=1e-5)
        xmin, ymin, xmax, ymax = detection["box"]
        assert 2 * SIZE * box == pytest.approx([ymin, xmin, ymax, xmax], abs=0.01)
        assert class_id == detection["class_id"]


def test_export_says_what_it_froze_and_heeds_the_thresholds(exported):
    document = exported.document("export.json")
    assert document["checkpoint"] == "checkpoints/model.ckpt-6" and document["step"] == 6
    assert document["tensorflow"] == "1.12.0"
    assert document["classes"] == ["red", "blue"] and document["input_size"] == [SIZE, SIZE]
    suppression = pipeline_config.read(
        exported.path("pipeline.config")
    ).model.ssd.post_processing.batch_non_max_suppression
    assert suppression.max_total_detections == 20 and suppression.iou_threshold == 0.5
    assert os.path.isfile(exported.path("label_map.pbtxt"))
    assert len(run_graph(exported.path("frozen_inference_graph.pb"), draw(20)[0])[1]) <= 20


def test_the_graph_is_what_the_converter_expects(exported):
    graph = tf.GraphDef()
    with open(exported.path("frozen_inference_graph.pb"), "rb") as stream:
        graph.ParseFromString(stream.read())
    operations = {node.op for node in graph.node}
    assert "FusedBatchNorm" in operations and "VariableV2" not in operations
    assert {"concat", "concat_1", "Squeeze", "Concatenate/concat", "image_tensor"} <= {node.name for node in graph.node}


def test_export_writes_the_same_bytes_again(exported, inputs, stage):
    again = stage().run(export.main, inputs, EXPORT)
    for name in ("frozen_inference_graph.pb", "pipeline.config", "export.json"):
        with open(exported.path(name), "rb") as left, open(again.path(name), "rb") as right:
            assert left.read() == right.read()


def test_a_checkpoint_of_another_tensorflow_is_refused_by_name(train_copy, records_folder, stage):
    path = os.path.join(train_copy, "checkpoints", "model.ckpt-6.meta")
    with open(path, "rb") as stream:
        meta = tf.MetaGraphDef.FromString(stream.read())
    meta.meta_info_def.tensorflow_version = "1.15.5"
    with open(path, "wb") as stream:
        stream.write(meta.SerializeToString())
    with pytest.raises(BadInput, match="written by TensorFlow 1.15.5.*train with TensorFlow 1.12.0"):
        stage().run(export.main, {"records": records_folder, "train": train_copy}, EXPORT)


def test_a_checkpoint_without_its_meta_file_cannot_be_vouched_for(train_copy, records_folder, stage):
    os.remove(os.path.join(train_copy, "checkpoints", "model.ckpt-6.meta"))
    with pytest.raises(BadInput, match="nobody can tell which TensorFlow"):
        stage().run(export.main, {"records": records_folder, "train": train_copy}, EXPORT)


def test_records_of_another_class_count_are_refused(trained, tmp_path, stage):
    folder = write_records(str(tmp_path / "one"), {"train": [draw(1)], "validation": [draw(2)]}, ("red",))
    with pytest.raises(BadInput, match="trained for 2 classes and the records have 1"):
        stage().run(
            evaluate.main, {"records": folder, "train": trained.output}, EvaluateParameters("best", "validation")
        )


def test_a_folder_that_no_training_made_is_bad_input(records_folder, tmp_path, stage):
    with pytest.raises(BadInput, match="There is no pipeline.config at .*No such file"):
        stage().run(
            evaluate.main, {"records": records_folder, "train": str(tmp_path)}, EvaluateParameters("best", "validation")
        )


def cut_off(path):
    os.truncate(path, 1000)


def overwritten(path):
    with open(path, "r+b") as stream:
        stream.seek(500)
        stream.write(b"\xff" * 64)


@pytest.mark.parametrize(
    "main, wanted, damage",
    [
        (evaluate.main, EvaluateParameters("6", "validation"), cut_off),
        pytest.param(evaluate.main, EvaluateParameters("6", "validation"), overwritten, marks=pytest.mark.slow),
        pytest.param(export.main, EXPORT, cut_off, marks=pytest.mark.slow),
        pytest.param(export.main, EXPORT, overwritten, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint_is_bad_input(train_copy, records_folder, stage, main, wanted, damage):
    damage(os.path.join(train_copy, "checkpoints", "model.ckpt-6.data-00000-of-00001"))
    with pytest.raises(BadInput, match="model.ckpt-6 does not fit the pipeline.config beside it, or is damaged"):
        stage().run(main, {"records": records_folder, "train": train_copy}, wanted)


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_bad_input(train_copy, records_folder, stage):
    path = os.path.join(train_copy, "pipeline.config")
    pipeline = pipeline_config.read(path)
    pipeline.model.ssd.feature_extractor.depth_multiplier = 0.2
    pipeline_config.write(pipeline, path)
    with pytest.raises(BadInput, match="model.ckpt-6 does not fit the pipeline.config beside it"):
        stage().run(export.main, {"records": records_folder, "train": train_copy}, EXPORT)


@pytest.mark.parametrize(
    "main, wanted",
    [
        pytest.param(evaluate.main, EvaluateParameters("6", "validation"), marks=pytest.mark.slow),
        pytest.param(preview.main, PreviewParameters("6", 5, 0.5), marks=pytest.mark.slow),
    ],
)
def test_a_damaged_shard_is_not_told_as_a_checkpoint(trained, records_folder, tmp_path, stage, main, wanted):
    records = shutil.copytree(records_folder, str(tmp_path / "records"))
    overwritten(os.path.join(records, "validation-00000-of-00001.tfrecord"))
    with pytest.raises(BadInput, match="The shard .*/validation-00000-of-00001.tfrecord is damaged.*run records again"):
        stage().run(main, {"records": records, "train": trained.output}, wanted)
