"""Generated pipeline configs, and users' own."""

import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from object_detection.builders import model_builder
from train_helpers import parameters

from stages.job import BadInput
from stages.train import pipeline_config
from stages.train.records import RecordSet


@pytest.fixture
def records(records_folder):
    return RecordSet(records_folder)


def predictions(pipeline):
    """Shapes of the box encodings and class logits that the model of a config makes of one picture."""
    height, width = pipeline_config.input_size(pipeline)
    with tf.Graph().as_default():
        model = model_builder.build(pipeline.model, is_training=True)
        made = model.predict(tf.zeros([1, height, width, 3]), tf.constant([[height, width, 3]]))
        return [made[name].shape.as_list() for name in ("box_encodings", "class_predictions_with_background")]


# Building a network takes as long as a short training; tests/convert builds all of them too.
SLOW_TO_BUILD = ("ssd_inception_v2", "ssd_mobilenet_v2", "ssdlite_mobilenet_v2")


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW_TO_BUILD else [])
        for name in sorted(pipeline_config.ARCHITECTURES)
    ],
)
def test_every_architecture_builds_with_three_anchors_on_the_finest_map_and_six_on_the_others(records, architecture):
    pipeline = pipeline_config.generate(parameters(architecture=architecture, input_size=[96, 128]), records)
    anchors = 3 * 6 * 8 + 6 * (3 * 4 + 2 * 2 + 1 + 1 + 1)  # maps of a 96x128 picture, stride 16 and then halved
    assert predictions(pipeline) == [[1, anchors, 4], [1, anchors, 3]]  # two classes and background


def test_ssdlite_predicts_with_depthwise_convolutions(records):
    pipeline = pipeline_config.generate(parameters(architecture="ssdlite_mobilenet_v2"), records)
    predictor = pipeline.model.ssd.box_predictor.convolutional_box_predictor
    assert pipeline.model.ssd.feature_extractor.type == "ssd_mobilenet_v2"
    assert predictor.use_depthwise and predictor.kernel_size == 3


def test_a_generated_config_says_what_was_asked_for(records):
    pipeline = pipeline_config.generate(
        parameters(input_size=[64, 128], batch_size=5, learning_rate=0.01, augmentation=["ssd_random_crop"]), records
    )
    assert pipeline_config.input_size(pipeline) == (64, 128)
    assert pipeline.model.ssd.num_classes == 2
    assert pipeline.train_config.batch_size == 5
    assert pipeline.train_config.num_steps == 6
    assert pipeline.train_config.data_augmentation_options[0].WhichOneof("preprocessing_step") == "ssd_random_crop"
    assert pipeline.model.ssd.feature_extractor.override_base_feature_extractor_hyperparams
    assert not pipeline.eval_input_reader[0].shuffle


def test_a_config_holds_no_path_until_it_is_located(records, tmp_path):
    pipeline = pipeline_config.generate(parameters(), records)
    pipeline_config.write(pipeline, str(tmp_path / "pipeline.config"))
    again = pipeline_config.read(str(tmp_path / "pipeline.config"))
    assert again == pipeline
    assert os.sep not in "".join(again.train_input_reader.tf_record_input_reader.input_path)
    located = pipeline_config.located(again, records, "/start/model.ckpt")
    assert all(map(os.path.isfile, located.train_input_reader.tf_record_input_reader.input_path))
    assert os.path.isfile(located.eval_input_reader[0].label_map_path)
    assert located.train_config.fine_tune_checkpoint == "/start/model.ckpt"
    assert again == pipeline


@settings(max_examples=40)
@given(st.floats(1e-12, 1e6), st.floats(0.01, 4), st.integers(1, 10**7))
def test_numbers_reach_the_config_to_the_last_bit(records_folder, rate, width, steps):
    wanted = parameters(learning_rate=rate, depth_multiplier=width, steps=steps, evaluate_every=steps)
    pipeline = pipeline_config.generate(wanted, RecordSet(records_folder))
    decay = pipeline.train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    assert decay.learning_rate_base == np.float32(rate)
    assert decay.warmup_learning_rate == np.float32(rate / 10)
    assert decay.total_steps == pipeline.train_config.num_steps == steps
    extractor = pipeline.model.ssd.feature_extractor
    assert extractor.depth_multiplier == np.float32(width)
    assert extractor.conv_hyperparams.batch_norm.decay == np.float32(pipeline_config.batch_norm_decay(steps, steps))


def test_a_width_without_a_decimal_point_is_a_number_too(records):
    extractor = pipeline_config.generate(parameters(depth_multiplier=1), records).model.ssd.feature_extractor
    assert extractor.depth_multiplier == 1.0


@pytest.mark.parametrize(
    "change, words",
    [
        ({"architecture": "ssd_mobilenet_v3"}, "did you mean ssd_mobilenet_v"),
        ({"augmentation": ["random_horizontal_flop"]}, "did you mean random_horizontal_flip"),
        ({"architecture": "yolo"}, "known are ssd_inception_v2, ssd_mobilenet_v1"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(records, change, words):
    with pytest.raises(BadInput, match=words):
        pipeline_config.generate(parameters(**change), records)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_moving_averages_forget_their_initial_value_before_the_first_evaluation(steps, evaluate_every):
    decay = pipeline_config.batch_norm_decay(steps, evaluate_every)
    first = min(steps, evaluate_every)
    assert 0.9 <= decay <= 0.9997
    assert decay == 0.9997 or decay**first <= 5e-5 or first < 100


def own_config(tmp_path, records, *changes):
    pipeline = pipeline_config.generate(parameters(), records)
    pipeline.train_input_reader.label_map_path = "/elsewhere/label_map.pbtxt"
    pipeline.train_input_reader.tf_record_input_reader.input_path[:] = ["/elsewhere/train.record"]
    text = tmp_path / "own.config"
    pipeline_config.write(pipeline, str(text))
    content = text.read_text()
    for old, new in changes:
        assert old in content
        content = content.replace(old, new)
    text.write_text(content)
    return str(text)


def test_a_users_own_config_reads_the_records_and_keeps_the_rest(records, tmp_path):
    path = own_config(tmp_path, records, ("batch_size: 4", "batch_size: 3"), ("num_steps: 6", "num_steps: 17"))
    pipeline = pipeline_config.adopt(path, parameters(), records, print)
    assert pipeline.train_config.batch_size == 3
    assert pipeline.train_config.num_steps == 17
    assert list(pipeline.train_input_reader.tf_record_input_reader.input_path) == records.shards("train")
    assert pipeline.train_input_reader.label_map_path == "label_map.pbtxt"


def test_where_a_users_own_config_says_no_steps_those_of_the_parameters_count(records, tmp_path):
    path = own_config(tmp_path, records, ("num_steps: 6", ""))
    assert pipeline_config.adopt(path, parameters(steps=11), records, print).train_config.num_steps == 11


@pytest.mark.parametrize(("held", "told"), [((96, 96), False), ((128, 256), False), ((64, 96), True)])
def test_records_smaller_than_what_a_users_own_network_sees_are_told(records, tmp_path, held, told):
    records.image_size, said = held, []
    pipeline_config.adopt(own_config(tmp_path, records), parameters(), records, said.append)
    assert len(said) == told and all("64 x 96" in words and "image_size = [96, 96]" in words for words in said)


def test_a_users_own_config_is_evaluated_on_all_validation_pictures_once(records, tmp_path):
    reader = 'eval_input_reader { label_map_path: "x" tf_record_input_reader { input_path: "y" } }'
    path = own_config(tmp_path, records, ("\neval_config", "\n%s\n%s\neval_config" % (reader, reader)))
    assert len(pipeline_config.read(path).eval_input_reader) == 3
    pipeline = pipeline_config.adopt(path, parameters(), records, print)
    (validation,) = pipeline.eval_input_reader
    assert list(validation.tf_record_input_reader.input_path) == records.shards("validation")
    assert pipeline.eval_config.num_examples == 5 and pipeline.eval_config.batch_size == 1
    assert pipeline.train_config.max_number_of_boxes == records.most_boxes() == 2


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            [("num_classes: 2", "num_classes: 90")],
            "num_classes: 90 but the records have 2 .red, blue.: set num_classes: 2",
        ),
        (
            [
                ("fixed_shape_resizer", "keep_aspect_ratio_resizer"),
                ("height: 96", "min_dimension: 96"),
                ("width: 96", "max_dimension: 96"),
            ],
            "fixed_shape_resizer",
        ),
        ([("batch_size: ", "batch_size: 0 #")], "batch_size: 0, .* say 1 or more"),
        ([("num_classes", "number_of_classes")], "number_of_classes"),
        ([('"ssd_mobilenet_v1"', '"ssd_mobilenet_v3_large"')], "did you mean ssd_mobilenet_v2. these can be trained"),
        ([('"ssd_mobilenet_v1"', '"ssd_mobilenet_v1_ppn"')], "_ppn, is none that .* did you mean ssd_mobilenet_v1."),
        ([('"ssd_mobilenet_v1"', '"ssd_mobilenet_v2_keras"')], "did you mean ssd_mobilenet_v2.*ssd_inception_v3"),
        ([('"ssd_mobilenet_v1"', '"resnet"')], "resnet, is none that .* here; these can be trained and converted"),
        ([('type: "ssd_mobilenet_v1"', "")], "the type of model.ssd.feature_extractor is not said"),
        (
            [('"ssd_mobilenet_v1"', '"ssd_inception_v2"'), ("override_base_feature_extractor_hyperparams: true", "")],
            "needs override_base_feature_extractor_hyperparams: true",
        ),
        ([("\ntrain_config", "\ngraph_rewriter { quantization { delay: 1 } }\ntrain_config")], "quantised"),
    ],
)
def test_a_users_own_config_that_cannot_reach_the_jetson_is_refused(records, tmp_path, changes, words):
    with pytest.raises(BadInput, match=words):
        pipeline_config.adopt(own_config(tmp_path, records, *changes), parameters(), records, print)


@pytest.mark.parametrize(
    "text, told",
    [
        ("\nmodel { faster_rcnn { num_classes: 2 foo: 1 } }", "line 2, describes a faster_rcnn model"),
        ("train_config { batch_size: 1 }", "describes no model"),
        ("# model { ssd { } }", "nothing but comments and describes no model"),
    ],
)
def test_a_config_of_another_kind_of_model_is_refused(records, tmp_path, text, told):
    path = tmp_path / "other.config"
    path.write_text(text)
    with pytest.raises(BadInput, match=told + ": only SSD models"):
        pipeline_config.adopt(str(path), parameters(), records, print)


def test_a_missing_config_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="nothing.config"):
        pipeline_config.read(str(tmp_path / "nothing.config"))
