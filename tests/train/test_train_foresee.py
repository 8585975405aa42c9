"""What `convert` will say of a training, foreseen before it begins: the same as it says of what was trained."""

import os
import sys

import pytest
from train_helpers import parameters

from stages.convert.graph.analysis import Refused, analyse
from stages.foresee import foresee
from stages.job import BadInput
from stages.parameters import ConvertParameters, ExportParameters, ForeseeParameters
from stages.train import export, pipeline_config, train
from stages.train.records import RecordSet

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "convert"))

from ssd_graphs import pipeline  # noqa: E402

EXPORT = ExportParameters("last", score_threshold=0.01, iou_threshold=0.6, max_detections=20)
TRAINED_BY = """
train_config { num_steps: 1 batch_size: 2
  optimizer { momentum_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.001 } } } } }
"""
FPN_PREDICTOR = """weight_shared_convolutional_box_predictor { depth: 16 num_layers_before_predictor: 1 kernel_size: 3
  conv_hyperparams { regularizer { l2_regularizer { } } initializer { random_normal_initializer { stddev: 0.01 } } } }
"""
FPN_ANCHORS = "multiscale_anchor_generator { min_level: 3 max_level: 7 aspect_ratios: [1.0, 2.0] scales_per_octave: 1 }"
CODER = "faster_rcnn_box_coder { y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 }"


def replaced(text, name, content):
    """The config ``text`` with another content of the block ``name``."""
    start = text.index(name + " {") + len(name + " {")
    depth, end = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[:start] + content + text[end - 1 :]


def fpn(extractor, size=128):
    text = pipeline(type=extractor, override="true", size=size, depth="0.25")
    return replaced(replaced(text, "box_predictor", FPN_PREDICTOR), "anchor_generator", FPN_ANCHORS)


SOFTMAX = pipeline(converter="SOFTMAX")
SHARED, KNOWN = "share one predictor", "turns class predictions into scores with a softmax"
ONNX, ANYWAY = 'set convert.to = "onnx"', "--train-anyway"
# Config -> what the refusal says, by convert.to; None: none.
VERDICTS = {
    "plain": (pipeline(), None, None),
    "softmax": (SOFTMAX, KNOWN, None),
    "fpn": (fpn("ssd_mobilenet_v1_fpn"), SHARED, SHARED),
    "logit_scale": (pipeline().replace("SIGMOID", "SIGMOID logit_scale: 2.0"), "logit_scale", "logit_scale"),
    "coder": (pipeline().replace(CODER, "mean_stddev_box_coder { }"), "0 box decoders", "0 box decoders"),
    "v2": (pipeline(type="ssd_mobilenet_v2", size=96), None, None),
    "lite": (pipeline(type="ssd_mobilenet_v2", depthwise="true", kernel=3, size=96), None, None),
    "inception": (pipeline(type="ssd_inception_v2", override="true", size=96), None, None),
    "static": (pipeline().replace("iou_threshold", "use_static_shapes: true iou_threshold", 1), None, None),
    "early sigmoid": (pipeline(early_sigmoid="true", converter="IDENTITY"), None, None),
    "v2_fpn": (fpn("ssd_mobilenet_v2_fpn"), SHARED, SHARED),
    "resnet_fpn": (fpn("ssd_resnet50_v1_fpn", size=160), SHARED, SHARED),
}
QUICK = ("softmax", "uff")


@pytest.fixture
def asked(stage, tmp_path, records_folder):
    """``asked(config, to)`` -> the stage that asked what `convert` will say; it raises as it does."""

    def ask(text, to="uff"):
        path = tmp_path / "my.config"
        path.write_text(TRAINED_BY + text)
        given = ForeseeParameters(parameters()._asdict(), EXPORT._asdict(), ConvertParameters(to, 20)._asdict())
        return stage("foresee").run(foresee.main, {"records": records_folder, "pipeline_config": str(path)}, given)

    return ask


@pytest.mark.parametrize(
    ("name", "to"),
    [
        pytest.param(name, to, marks=[] if (name, to) == QUICK else [pytest.mark.slow])
        for name in VERDICTS
        for to in (("uff", "onnx") if VERDICTS[name][1] == KNOWN else ("uff",))
    ],
)
def test_what_convert_is_sure_to_refuse_is_refused_with_every_other_way(asked, name, to):
    text, *refusals = VERDICTS[name]
    refusal = refusals[to == "onnx"]
    if refusal is None:
        asked(text, to)
        return
    with pytest.raises(BadInput) as caught:
        asked(text, to)
    said = str(caught.value)
    assert refusal in said and "my.config" in said and ANYWAY in said
    assert (ONNX in said) is (refusals == [KNOWN, None])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "softmax", "fpn", "logit_scale"])
def test_the_verdict_is_that_on_what_was_trained(asked, stage, tmp_path, records_folder, name):
    """The training goes on although it is refused, as with --train-anyway, to the graph that `convert` refuses."""
    (tmp_path / "my.config").write_text(TRAINED_BY + VERDICTS[name][0])
    inputs = {"records": records_folder, "pipeline_config": str(tmp_path / "my.config")}
    trained = stage("train").run(train.main, inputs, parameters())
    made = stage("export").run(export.main, {"records": records_folder, "train": trained.output}, EXPORT)
    for to in ("uff", "onnx"):
        found = analyse(made.output, boxes_only=to == "onnx")
        try:
            asked(VERDICTS[name][0], to)
            foreseen = None
        except BadInput as error:
            foreseen = str(error)
        assert isinstance(found, Refused) is (foreseen is not None)
        if foreseen:
            assert found.reason in foreseen


NOT_BUILT = "none that object_detection can build here"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            pipeline(classes=3), "num_classes: 3 but the records have 2", id="classes", marks=pytest.mark.slow
        ),
        pytest.param(
            pipeline(resizer="keep_aspect_ratio_resizer { }"),
            "must use a fixed_shape_resizer",
            id="resizer",
            marks=pytest.mark.slow,
        ),
        pytest.param("model { faster_rcnn { } }", "only SSD models", id="faster_rcnn"),
        pytest.param("model {", "is not a pipeline.config", id="cut off", marks=pytest.mark.slow),
        pytest.param(pipeline(type="ssd_mobilenet_v1_ppn"), NOT_BUILT, id="ppn"),
        pytest.param(pipeline(type="ssd_mobilenet_v2_keras"), NOT_BUILT, id="keras", marks=pytest.mark.slow),
        pytest.param(
            pipeline(type="embedded_ssd_mobilenet_v1", size=256),
            "object_detection cannot build what the pipeline config says",
            id="layers",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_train_refuses_is_said_as_train_says_it(asked, text, words):
    with pytest.raises(BadInput, match=words) as caught:
        asked(text)
    assert ANYWAY not in str(caught.value)


def generated(records_folder, **changes):
    """The text of the config that `train` makes itself."""
    made = pipeline_config.generate(parameters(**changes), RecordSet(records_folder))
    made.ClearField("train_config")
    return str(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "size", "depth"),
    [
        ("ssd_mobilenet_v1", [33, 47], 0.05),
        ("ssdlite_mobilenet_v2", [97, 97], 0.35),
        ("ssd_inception_v2", [257, 128], 0.1),
        ("ssd_mobilenet_v2", [300, 300], 1.0),
    ],
)
def test_of_a_generated_config_nothing_needs_to_be_asked(asked, records_folder, architecture, size, depth):
    asked(generated(records_folder, architecture=architecture, input_size=size, depth_multiplier=depth), "onnx")
