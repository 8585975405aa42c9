"""A training from its start to its artifact, and what can go wrong on the way."""

import glob
import hashlib
import json
import os
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from train_helpers import SIZE, draw, events, parameters, start_process, write_records

from stages.job import BadInput, StageFailed
from stages.train import checkpoints, model, pipeline_config, train
from stages.train.evaluator import Evaluator
from stages.train.hook import TrainingHook, _meta_graph
from stages.train.records import RecordSet
from stages.train.training_state import TrainingState


def test_the_artifact_holds_what_the_architecture_promises(trained):
    listed = trained.document("checkpoints.json")
    assert listed["tensorflow"] == "1.12.0" and listed["last"] == 6
    assert [entry["step"] for entry in listed["checkpoints"]] == [4, 6]  # at the step asked for, and at the end
    for entry in listed["checkpoints"]:
        assert set(entry) == {"step", "prefix", "mAP", "mAP@0.5", "loss"}
        assert tf.train.NewCheckpointReader(trained.path(entry["prefix"])).get_tensor("global_step") == entry["step"]
    assert listed["best"] in (4, 6)


def test_the_history_holds_every_step_and_evaluation(trained):
    history = trained.document("history.json")
    assert [point["step"] for point in history["training"]] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(point["loss"]) and 0 <= point["learning_rate"] <= 0.0021 for point in history["training"])
    assert [(point["step"], set(point)) for point in history["evaluation"]] == [
        (step, {"step", "loss", "mAP", "mAP@0.5"}) for step in (4, 6)
    ]


def test_the_pipeline_config_holds_no_absolute_path(trained, records_folder):
    with open(trained.path("pipeline.config")) as stream:
        text = stream.read()
    assert records_folder not in text and trained.scratch not in text
    assert pipeline_config.read(trained.path("pipeline.config")).train_config.num_steps == 6


def test_tensorboard_finds_loss_and_map(trained):
    tags = {
        os.path.basename(os.path.dirname(path)): {
            value.tag for event in tf.train.summary_iterator(path) for value in event.summary.value
        }
        for path in glob.glob(trained.path("events", "*", "*tfevents*"))
    }
    assert {"mAP", "mAP@0.5", "loss"} <= tags["validation"]
    assert "train" in tags


def test_inference_keeps_fused_batch_norm_and_training_on_a_cpu_does_not(trained):
    with open(trained.path("checkpoints", "model.ckpt-6.meta"), "rb") as stream:
        meta = tf.MetaGraphDef.FromString(stream.read())
    assert not any(node.op == "FusedBatchNorm" for node in meta.graph_def.node)
    assert meta.meta_info_def.tensorflow_version == "1.12.0"


@pytest.mark.slow
def test_a_training_cut_short_goes_on_from_its_last_checkpoint(records_folder, stage, monkeypatch):
    job = stage("cut")

    class Cut(Exception):
        pass

    def cut(self, run_context, run_values):
        if self._step == 4:  # step 4 is saved and evaluated; the fifth comes to nothing
            raise Cut
        whole(self, run_context, run_values)

    whole = TrainingHook.after_run
    with monkeypatch.context() as patch:
        patch.setattr(TrainingHook, "after_run", cut)
        with pytest.raises(Cut):
            job.run(train.main, {"records": records_folder}, parameters())
    assert checkpoints.steps(job.scratch) == [4] and not os.listdir(job.output)
    job.run(train.main, {"records": records_folder}, parameters())
    assert [event["progress"]["done"] for event in job.events if "progress" in event][0] == 4
    assert [point["step"] for point in job.document("history.json")["training"]] == [1, 2, 3, 4, 5, 6]
    assert job.document("checkpoints.json")["last"] == 6


@pytest.mark.slow
def test_a_finished_training_killed_before_its_last_evaluation_is_only_evaluated(trained, records_folder, stage):
    job = stage("finished")
    shutil.copytree(trained.scratch, job.scratch)
    for name in ("history.json", "checkpoints.json"):
        path = os.path.join(job.scratch, name)
        with open(path) as stream:
            document = json.load(stream)
        for key in ("evaluation", "checkpoints"):
            if key in document:
                document[key] = [entry for entry in document[key] if entry["step"] == 4]
        document.update({"best": 4, "last": 4} if "best" in document else {})
        with open(path, "w") as stream:
            json.dump(document, stream)
    job.run(train.main, {"records": records_folder}, parameters())
    assert job.document("checkpoints.json") == trained.document("checkpoints.json")
    assert job.document("history.json") == trained.document("history.json")


@pytest.mark.slow
def test_a_diverging_training_stops_with_cause_and_pictures(records_folder, stage):
    job = stage("diverging")
    with pytest.raises(StageFailed, match=r"became (nan|inf) in step \d.*a learning rate that is too high.*picture-\d"):
        job.run(train.main, {"records": records_folder}, parameters(learning_rate=1e25, warmup_steps=0, steps=12))
    assert not os.listdir(job.output)


@pytest.mark.slow
def test_boxes_too_small_are_the_likelier_cause(tmp_path, stage):
    picture, boxes, classes = draw(3)
    speck = [0.5, 0.5, 0.5 + 0.2 / SIZE, 0.9]
    folder = write_records(
        str(tmp_path / "specks"), {"train": [(picture, boxes + [speck], classes + [1])] * 4, "validation": [draw(5)]}
    )
    with pytest.raises(StageFailed) as failure:
        stage().run(train.main, {"records": folder}, parameters(learning_rate=1e25, warmup_steps=0, steps=12))
    assert "too small at the network's size" in str(failure.value)
    assert "picture-01.png (its smallest box, number 3, has 38.4 x 0.2 pixels)" in str(failure.value)


def test_a_disk_that_takes_no_checkpoint_is_not_told_as_too_little_memory(tmp_path):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "/disk/model.ckpt-1; No space left on device")

    (tmp_path / "checkpoints").mkdir()
    hook = TrainingHook(TrainingState(str(tmp_path), 4, 1, pytest.fail), 1, pytest.fail, pytest.fail)
    hook._meta, hook._saver, hook._step = b"", SimpleNamespace(save=full), 1
    with pytest.raises(StageFailed, match="model.ckpt-1 cannot be written .*No space left on device.*free some space"):
        hook._save(None)


@pytest.mark.slow
def test_a_record_damaged_inside_names_the_shard(records_folder, tmp_path, stage):
    folder = shutil.copytree(records_folder, str(tmp_path / "damaged"))
    with open(os.path.join(folder, "train-00000-of-00001.tfrecord"), "r+b") as stream:
        stream.seek(5000)
        stream.write(b"damage")
    with pytest.raises(BadInput, match="train-00000-of-00001.tfrecord is damaged"):
        stage().run(train.main, {"records": folder}, parameters())


def test_too_little_memory_names_the_keys_that_help(records_folder, stage, monkeypatch):
    def exhausted(_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,48,48,8]")

    monkeypatch.setattr(train.Training, "run", exhausted)
    with pytest.raises(StageFailed, match=r"smaller train.batch_size \(4 now\) or model.input_size"):
        stage().run(train.main, {"records": records_folder}, parameters())


@pytest.mark.slow
def test_evaluating_leaves_the_results_in_the_order_of_the_records(trained, records_folder):
    records = RecordSet(records_folder)
    pipeline = pipeline_config.located(pipeline_config.read(trained.path("pipeline.config")), records)
    made = model.build(pipeline, os.path.join(trained.scratch, "again"), 0, 2)
    evaluator = Evaluator(made.estimator, made.validation_pictures)
    evaluation = evaluator.run(trained.path("checkpoints", "model.ckpt-6"))
    again = evaluator.run(trained.path("checkpoints", "model.ckpt-6"), most=2)
    assert len(evaluation.results) == 5 and len(again.results) == 2
    for line, result in zip(records.index["validation"], evaluation.results):
        np.testing.assert_allclose(result.truth_boxes, line["boxes"], atol=1e-6)
        assert result.truth_classes.tolist() == line["classes"]
        assert set(result.classes) <= {1, 2} and result.scores.max() <= 1
    np.testing.assert_array_equal(again.results[1].boxes, evaluation.results[1].boxes)


def digests(folder):
    return {
        name: hashlib.sha256(open(os.path.join(folder, "checkpoints", name), "rb").read()).hexdigest()
        for name in os.listdir(os.path.join(folder, "checkpoints"))
    }


@pytest.mark.slow
def test_the_artifact_does_not_tell_where_it_was_made_nor_on_which_machine(trained, records_folder, tmp_path, stage):
    """The same training elsewhere makes the same bytes, but for the times in TensorBoard's events."""
    elsewhere = shutil.copytree(records_folder, str(tmp_path / "another folder" / "records of ours"))
    job = stage("another place").run(train.main, {"records": elsewhere}, parameters())
    assert digests(job.output) == digests(trained.output) and len(digests(job.output)) == 6
    names = ["%s/events.out.tfevents.0001" % kind for kind in ("train", "validation")]
    for made, records in ((trained, records_folder), (job, elsewhere)):
        paths = [os.path.join(folder, name) for folder, _, found in os.walk(made.output) for name in found]
        assert sorted(os.path.relpath(path, made.path("events")) for path in paths if "/events/" in path) == names
        for path in paths:
            with open(path, "rb") as stream:
                content = stream.read()
            assert not any(os.path.dirname(place).encode() in content for place in (records, made.output)), path


def test_paths_become_file_names_in_functions_and_constants_too(tmp_path):
    with tf.Graph().as_default():
        tf.Variable(0, name="weights")
        tf.constant([str(tmp_path / "start" / "model.ckpt"), "/elsewhere/x", "text"], name="names")
        dataset = tf.data.Dataset.range(2).map(lambda number: tf.constant(str(tmp_path / "records" / "map.pbtxt")))
        dataset.make_one_shot_iterator().get_next()
        meta = _meta_graph(tf.train.Saver(), [str(tmp_path / "start"), str(tmp_path / "records")])
    content = meta.SerializeToString()
    assert str(tmp_path).encode() not in content
    assert all(text in content for text in (b"model.ckpt", b"/elsewhere/x", b"map.pbtxt"))


@pytest.mark.slow
def test_two_runs_make_the_same_bits_augmentation_included(records_folder, tmp_path):
    wanted = parameters(augmentation=["random_horizontal_flip", "ssd_random_crop"])
    for name in ("one", "two"):
        process = start_process(str(tmp_path / name), {"records": records_folder}, wanted, PYTHONHASHSEED="0")
        text, _ = process.communicate()
        assert process.returncode == 0, text
    one, two = (digests(str(tmp_path / name / "output")) for name in ("one", "two"))
    assert one == two and len(one) == 6


@pytest.mark.slow
def test_a_training_killed_goes_on(records_folder, tmp_path):
    wanted = parameters(steps=400, evaluate_every=5, warmup_steps=1)
    process = start_process(str(tmp_path), {"records": records_folder}, wanted)
    for line in process.stdout:
        if any(event.get("progress", {}).get("done", 0) > 10 for event in events(line)):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not os.listdir(str(tmp_path / "output"))
    reached = checkpoints.steps(str(tmp_path / "scratch"))[-1]
    assert reached >= 10
    again = start_process(str(tmp_path), {"records": records_folder}, wanted._replace(steps=reached + 2))
    text, _ = again.communicate()
    assert again.returncode == 0, text
    assert events(text)[0]["progress"]["done"] == reached
    with open(str(tmp_path / "output" / "history.json")) as stream:
        points = json.load(stream)["training"]
    assert [point["step"] for point in points] == list(range(1, reached + 3))
    assert points[-1]["loss"] < points[0]["loss"]


def _crop_of(pipeline):
    return pipeline.train_config.data_augmentation_options.add().random_crop_pad_image


@pytest.mark.parametrize(
    "field, damage",
    [
        ("model.ssd.loss", lambda one: one.model.ssd.loss.Clear()),
        pytest.param(
            "train_config.optimizer",
            lambda one: one.train_config.optimizer.adam_optimizer.learning_rate.Clear(),
            marks=[pytest.mark.slow],
        ),
        (
            "train_config.data_augmentation_options",
            lambda one: _crop_of(one).min_padded_size_ratio.append(1.0),  # it takes two
        ),
    ],
)
def test_what_object_detection_cannot_build_is_bad_input_with_its_field(records_folder, tmp_path, stage, field, damage):
    own = str(tmp_path / "own.config")
    pipeline = pipeline_config.generate(parameters(augmentation=[]), RecordSet(records_folder))
    damage(pipeline)
    pipeline_config.write(pipeline, own)
    with pytest.raises(BadInput, match="cannot build what the pipeline config says in %s: " % field):
        stage().run(train.main, {"records": records_folder, "pipeline_config": own}, parameters())


@pytest.mark.slow
def test_batch_norm_that_lags_behind_is_named(records_folder, tmp_path, stage):
    own = str(tmp_path / "own.config")
    wanted = parameters(steps=60, evaluate_every=60, learning_rate=0.01, augmentation=[])
    pipeline = pipeline_config.generate(wanted, RecordSet(records_folder))
    pipeline.model.ssd.feature_extractor.override_base_feature_extractor_hyperparams = False
    pipeline_config.write(pipeline, own)
    job = stage().run(train.main, {"records": records_folder, "pipeline_config": own}, wanted)
    assert any("BatchNorm's moving averages have not followed" in warning for warning in job.warnings())
