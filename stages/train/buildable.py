"""What of a pipeline config object_detection cannot build, said about the field instead of a traceback."""

import contextlib
import difflib
import os
import traceback
from typing import Iterator, List

from object_detection.builders import model_builder
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput

# Of all that object_detection lists, those whose graphs build and are taken by convert's analysis. The first three are
# trained, converted and proven in the tests; of the last two the graphs alone, with random weights, were tried.
CONVERTED = (
    "ssd_mobilenet_v1",
    "ssd_mobilenet_v2",
    "ssd_inception_v2",
    "ssd_inception_v3",
    "embedded_ssd_mobilenet_v1",
)
# Listed too, but they do not build with Python 3.6 and TensorFlow 1.12. ssd_mobilenet_v1_ppn and _v1_keras were tried;
# the others share the code at which these fail.
BROKEN = (
    "ssd_mobilenet_v1_ppn",
    "ssd_resnet50_v1_ppn",
    "ssd_resnet101_v1_ppn",
    "ssd_resnet152_v1_ppn",
    "ssd_mobilenet_v1_keras",
    "ssd_mobilenet_v2_keras",
)
# These know no hyperparameters but those of the config.
OVERRIDDEN = ("ssd_inception_v2", "ssd_inception_v3")
# What object_detection's builders are about.
FIELDS = {
    "anchor_generator_builder": "model.ssd.anchor_generator",
    "box_coder_builder": "model.ssd.box_coder",
    "box_predictor_builder": "model.ssd.box_predictor",
    "calibration_builder": "model.ssd.post_processing.calibration_config",
    "dataset_builder": "train_input_reader",
    "hyperparams_builder": "conv_hyperparams",
    "image_resizer_builder": "model.ssd.image_resizer",
    "losses_builder": "model.ssd.loss",
    "matcher_builder": "model.ssd.matcher",
    "model_builder": "model.ssd",
    "optimizer_builder": "train_config.optimizer",
    "post_processing_builder": "model.ssd.post_processing",
    "preprocessor_builder": "train_config.data_augmentation_options",
    "region_similarity_calculator_builder": "model.ssd.similarity_calculator",
}
KNOWN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


def check_extractor(name: str, pipeline: TrainEvalPipelineConfig) -> None:
    """Refuse a feature extractor that object_detection does not have or cannot build.

    Args:
        name: of the file, for the sentence.

    Raises:
        BadInput: it names those that work.
    """
    extractor = pipeline.model.ssd.feature_extractor
    known = set(model_builder.SSD_FEATURE_EXTRACTOR_CLASS_MAP) | set(
        model_builder.SSD_KERAS_FEATURE_EXTRACTOR_CLASS_MAP
    )
    if extractor.type not in known or extractor.type in BROKEN:
        why = "is none that object_detection can build here" if extractor.type else "is not said"
        raise BadInput(
            "%s: the type of model.ssd.feature_extractor%s %s; %sthese can be trained and converted: %s (ssdlite is"
            " ssd_mobilenet_v2 with use_depthwise: true)"
            % (name, extractor.type and ", %s," % extractor.type, why, _meant(extractor.type), ", ".join(CONVERTED))
        )
    if extractor.type in OVERRIDDEN and not extractor.override_base_feature_extractor_hyperparams:
        raise BadInput(
            "%s: model.ssd.feature_extractor of type %s needs override_base_feature_extractor_hyperparams: true"
            % (name, extractor.type)
        )


def _meant(kind: str) -> str:
    base = next((kind[: -len(end)] for end in ("_keras", "_ppn") if kind.endswith(end)), kind)
    close: List[str] = difflib.get_close_matches(base, CONVERTED, 1)
    return "did you mean %s? " % close[0] if kind and close else ""


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Around what object_detection builds of a pipeline config: what it cannot build is the config's fault.

    Raises:
        BadInput: it names the field; the traceback goes to the log.
    """
    try:
        yield
    except KNOWN_ERRORS as error:
        traceback.print_exc()
        words = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            "object_detection cannot build what the pipeline config says in %s: %.300s" % (_field(error), words)
        ) from error


def _field(error: BaseException) -> str:
    """The field that the innermost builder on the way to an error reads."""
    files = [os.path.basename(frame.filename)[: -len(".py")] for frame in traceback.extract_tb(error.__traceback__)]
    for file in reversed(files):
        if file in FIELDS:
            return FIELDS[file]
        if file.endswith("feature_extractor") or file == "feature_map_generators":
            return "model.ssd.feature_extractor"
    return "model"
