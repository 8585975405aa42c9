"""Starting from a checkpoint: of another class count, of another architecture, damaged."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig
from train_helpers import CLASSES, InProcessStage, draw, events, parameters, write_records

from stages.job import BadInput
from stages.train import pipeline_config, start, train
from stages.train.records import RecordSet

START = {"start_checkpoint": "model.ckpt-6", "learning_rate": 1e-12, "steps": 1, "warmup_steps": 0, "augmentation": []}


def weights(prefix):
    reader = tf.train.NewCheckpointReader(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "Adam" not in name and "moving" not in name
    }


def before_and_after(trained, job):
    return weights(trained.path("checkpoints", "model.ckpt-6")), weights(job.path("checkpoints", "model.ckpt-1"))


def started_from(trained):
    return trained.path("checkpoints")


def test_a_checkpoint_of_tensorflow_2_is_refused_as_what_it_is(tmp_path, stage):
    name = "model/_feature_extractor/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.Saver({name: tf.get_variable("kernel", [3])})
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "ckpt-0"), write_meta_graph=False)
    job = stage()
    job.inputs = {"start": str(tmp_path)}
    with pytest.raises(BadInput, match="ckpt-0 is of TensorFlow 2 or Keras"):
        start.prepare(job, "ckpt-0", TrainEvalPipelineConfig())


@pytest.mark.slow
def test_training_goes_on_from_the_checkpoints_weights_heads_included(trained, records_folder, stage):
    job = stage().run(train.main, {"records": records_folder, "start": started_from(trained)}, parameters(**START))
    before, after = before_and_after(trained, job)
    for name in (
        "FeatureExtractor/MobilenetV1/Conv2d_0/weights",
        "BoxPredictor_0/ClassPredictor/weights",
        "BoxPredictor_5/BoxEncodingPredictor/weights",
    ):
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)
    assert after["global_step"] == 1
    assert not job.warnings()


@pytest.mark.slow
def test_another_class_count_starts_the_class_heads_anew_and_says_so(trained, tmp_path, stage):
    folder = write_records(
        str(tmp_path / "three"), {"train": [draw(1)] * 4, "validation": [draw(2)]}, CLASSES + ("green",)
    )
    job = stage().run(train.main, {"records": folder, "start": started_from(trained)}, parameters(**START))
    assert any("2 classes apart and the records have 3" in warning for warning in job.warnings())
    before, after = before_and_after(trained, job)
    box, label = "BoxPredictor_0/BoxEncodingPredictor/weights", "BoxPredictor_0/ClassPredictor/weights"
    np.testing.assert_allclose(after[box], before[box], atol=1e-9)
    assert after[label].shape[-1] == 4 * 3 and before[label].shape[-1] == 3 * 3


@pytest.mark.slow
def test_a_classification_checkpoint_gives_the_extractors_weights(trained, records_folder, tmp_path, stage):
    name = "MobilenetV1/Conv2d_0/weights"
    value = np.full((3, 3, 3, 16), 0.25, np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable(name, initializer=value)
        session.run(variable.initializer)
        tf.train.Saver().save(session, str(tmp_path / "model.ckpt"))
    job = stage().run(
        train.main,
        {"records": records_folder, "start": str(tmp_path)},
        parameters(**dict(START, start_checkpoint="model.ckpt")),
    )
    after = weights(job.path("checkpoints", "model.ckpt-1"))["FeatureExtractor/" + name]
    np.testing.assert_allclose(after, value, atol=1e-9)
    assert any("fits 1 of the feature extractor's" in warning for warning in job.warnings())


def test_a_checkpoint_of_another_architecture_is_refused(trained, records_folder, stage):
    with pytest.raises(BadInput, match=r"model.ckpt-6 \(2 classes\) fits no weight of this model \(2 classes\)"):
        stage().run(
            train.main,
            {"records": records_folder, "start": started_from(trained)},
            parameters(architecture="ssd_mobilenet_v2", **START),
        )


def test_a_missing_checkpoint_is_refused(records_folder, tmp_path, stage):
    with pytest.raises(BadInput, match="model.ckpt-6.index is missing"):
        stage().run(train.main, {"records": records_folder, "start": str(tmp_path)}, parameters(**START))


def test_a_damaged_checkpoint_is_refused(trained, records_folder, tmp_path, stage):
    folder = shutil.copytree(started_from(trained), str(tmp_path / "damaged"))
    with open(os.path.join(folder, "model.ckpt-6.index"), "wb") as stream:
        stream.write(b"no index at all" * 20)
    with pytest.raises(BadInput, match="cannot be read"):
        stage().run(train.main, {"records": records_folder, "start": folder}, parameters(**START))


def prepared(records_folder, folder, name, theirs=""):
    """The prefix to start from, and the pipeline config made ready for it."""
    pipeline = pipeline_config.generate(parameters(), RecordSet(records_folder))
    pipeline.train_config.fine_tune_checkpoint = theirs
    job = InProcessStage(str(folder)).job({"start": str(folder)}, parameters())
    return start.prepare(job, name, pipeline), pipeline.train_config


def test_a_detection_checkpoint_gives_every_weight_and_the_config_holds_its_bare_name(trained, records_folder):
    folder = started_from(trained)
    prefix, config = prepared(records_folder, folder, "model.ckpt-6", theirs="/elsewhere/model.ckpt")
    assert prefix == os.path.join(folder, "model.ckpt-6")
    assert config.fine_tune_checkpoint == "model.ckpt-6"
    assert config.fine_tune_checkpoint_type == "detection" and config.load_all_detection_checkpoint_vars


def test_a_checkpoint_that_only_the_users_own_config_names_is_not_used_and_that_is_said(
    records_folder, tmp_path, capfd
):
    prefix, config = prepared(records_folder, tmp_path, None, theirs="/elsewhere/model.ckpt")
    assert prefix is None and not config.fine_tune_checkpoint
    (event,) = events(capfd.readouterr().out)
    assert "/elsewhere/model.ckpt is not used: name it in model.checkpoint" in event["warning"]


def test_random_weights_need_no_word(records_folder, tmp_path, capfd):
    assert prepared(records_folder, tmp_path, None)[0] is None
    assert not events(capfd.readouterr().out)


@pytest.mark.parametrize("classes, anchors", [(90, 3), (1, 6)])
def test_the_class_count_is_read_off_the_heads(classes, anchors):
    heads = {
        "BoxPredictor_0/BoxEncodingPredictor/biases": [4 * anchors],
        "BoxPredictor_0/ClassPredictor/biases": [(classes + 1) * anchors],
    }
    assert start.classes_of(heads) == classes
    assert start.classes_of({"MobilenetV1/Conv2d_0/weights": [3, 3, 3, 32]}) is None
