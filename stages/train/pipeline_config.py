"""The pipeline config: generated for one of four architectures, or a user's own made to fit the records.

In an artifact its paths are bare file names; ``located`` makes them absolute for one run.
"""

import difflib
import os
from typing import Callable, List, Optional, Tuple

from google.protobuf import text_format
from object_detection.protos import preprocessor_pb2
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.anchor_grids import SsdAnchors
from stages.job import BadInput
from stages.parameters import TrainParameters
from stages.protos import pipeline as protos
from stages.train import buildable
from stages.train.records import LABEL_MAP, TRAINING, VALIDATION, RecordSet

FILE = "pipeline.config"  # its name in an artifact

# Each architecture's extractor and box predictor as the TensorFlow 1 model zoo configures them
# (models/research/object_detection/samples/configs/<architecture>_coco.config).
ARCHITECTURES = {
    "ssd_mobilenet_v1": {"kernel_size": 1, "use_depthwise": "false"},
    "ssd_mobilenet_v2": {"kernel_size": 1, "use_depthwise": "false"},
    "ssdlite_mobilenet_v2": {"kernel_size": 3, "use_depthwise": "true"},
    "ssd_inception_v2": {"kernel_size": 3, "use_depthwise": "false"},
}
EXTRACTOR_TYPES = {"ssdlite_mobilenet_v2": "ssd_mobilenet_v2"}

MODEL = """
ssd {
  num_classes: %(num_classes)d
  image_resizer { fixed_shape_resizer { height: %(height)d width: %(width)d } }
  feature_extractor {
    type: "%(extractor)s"
    depth_multiplier: %(depth_multiplier)r
    min_depth: 16
    use_depthwise: %(use_depthwise)s
    override_base_feature_extractor_hyperparams: true
    conv_hyperparams { %(hyperparams)s }
  }
  anchor_generator { %(anchors)s }
  box_predictor {
    convolutional_box_predictor {
      min_depth: 0
      max_depth: 0
      num_layers_before_predictor: 0
      use_dropout: false
      kernel_size: %(kernel_size)d
      box_code_size: 4
      apply_sigmoid_to_scores: false
      use_depthwise: %(use_depthwise)s
      conv_hyperparams { %(hyperparams)s }
    }
  }
  box_coder { faster_rcnn_box_coder { y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 } }
  matcher {
    argmax_matcher {
      matched_threshold: 0.5
      unmatched_threshold: 0.5
      ignore_thresholds: false
      negatives_lower_than_unmatched: true
      force_match_for_each_row: true
    }
  }
  similarity_calculator { iou_similarity {} }
  encode_background_as_zeros: true
  normalize_loss_by_num_matches: true
  loss {
    classification_loss { weighted_sigmoid {} }
    localization_loss { weighted_smooth_l1 {} }
    hard_example_miner {
      num_hard_examples: 3000
      iou_threshold: 0.99
      loss_type: CLASSIFICATION
      max_negatives_per_positive: 3
      min_negatives_per_image: 3
    }
    classification_weight: 1.0
    localization_weight: 1.0
  }
  post_processing {
    batch_non_max_suppression {
      score_threshold: 1e-8
      iou_threshold: 0.6
      max_detections_per_class: 100
      max_total_detections: 100
    }
    score_converter: SIGMOID
  }
}
"""

HYPERPARAMS = """
  op: CONV
  activation: RELU_6
  regularizer { l2_regularizer { weight: 4e-05 } }
  initializer { truncated_normal_initializer { mean: 0.0 stddev: 0.03 } }
  batch_norm { center: true scale: true decay: %(decay)r epsilon: 0.001 }
"""

TRAIN = """
batch_size: %(batch_size)d
num_steps: %(steps)d
optimizer {
  adam_optimizer {
    learning_rate {
      cosine_decay_learning_rate {
        learning_rate_base: %(learning_rate)r
        total_steps: %(steps)d
        warmup_learning_rate: %(warmup_rate)r
        warmup_steps: %(warmup_steps)d
      }
    }
  }
  use_moving_average: false
}
"""


def batch_norm_decay(steps: int, evaluate_every: int) -> float:
    """Decay of BatchNorm's moving averages that suits a run, 0.9 to 0.9997.

    After n steps a moving average still holds decay^n of its initial value. With decay = 1 - 10/n that is about
    e^-10 = 0.00005, so the averages are right at the first evaluation already (n: its step), and average over the last
    tenth of that stretch. The zoo's 0.9997, made for hundreds of thousands of steps, is the upper limit.
    """
    first_evaluation = min(steps, evaluate_every)
    return min(max(1.0 - 10.0 / first_evaluation, 0.9), 0.9997)


def generate(parameters: TrainParameters, records: RecordSet) -> TrainEvalPipelineConfig:
    """The pipeline config for the parameters of the stage train (docs/architecture.md), its paths bare file names.

    Raises:
        BadInput: the architecture or an augmentation is unknown.
    """
    architecture = parameters.architecture
    _check_known("architecture", architecture, list(ARCHITECTURES))
    decay = batch_norm_decay(parameters.steps, parameters.evaluate_every)
    height, width = parameters.input_size
    pipeline = TrainEvalPipelineConfig()
    text_format.Merge(
        MODEL
        % dict(
            ARCHITECTURES[architecture],
            num_classes=len(records.classes),
            height=height,
            width=width,
            anchors=SsdAnchors().text(),
            extractor=EXTRACTOR_TYPES.get(architecture, architecture),
            depth_multiplier=float(parameters.depth_multiplier),
            hyperparams=HYPERPARAMS % {"decay": decay},
        ),
        pipeline.model,
    )
    text_format.Merge(
        TRAIN % dict(parameters._asdict(), warmup_rate=parameters.learning_rate / 10.0), pipeline.train_config
    )
    for name in parameters.augmentation:
        _add_augmentation(pipeline, name)
    return _with_bare_inputs(pipeline, records)


def adopt(
    path: str, parameters: TrainParameters, records: RecordSet, warn: Callable[[str], None]
) -> TrainEvalPipelineConfig:
    """A user's own pipeline config, its paths replaced by the records' bare file names.

    Args:
        warn: is told what of the file is passed over.

    Raises:
        BadInput: the file is not a pipeline config, or its model cannot reach the Jetson with these records.
    """
    pipeline = protos.read(path, warn)
    _check_model(path, pipeline, records)
    buildable.check_extractor(os.path.basename(path), pipeline)
    held, seen = records.image_size, input_size(pipeline)
    if held and (held[0] < seen[0] or held[1] < seen[1]):
        warn(
            "The records hold pictures of %d x %d, and the network of %s sees %d x %d: it would learn from enlarged"
            " ones. Set records.image_size = [%d, %d]" % (held + (os.path.basename(path),) + seen + seen)
        )
    pipeline.train_config.num_steps = pipeline.train_config.num_steps or parameters.steps
    return _with_bare_inputs(pipeline, records)


def read(path: str) -> TrainEvalPipelineConfig:
    """The pipeline config in an artifact.

    Raises:
        BadInput: there is no such file, or it is not a pipeline config; the message names the line.
    """
    return protos.read(path, lambda _: None)


def write(pipeline: TrainEvalPipelineConfig, path: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text_format.MessageToString(pipeline))


def located(
    pipeline: TrainEvalPipelineConfig, records: RecordSet, start: Optional[str] = None
) -> TrainEvalPipelineConfig:
    """A copy whose paths are absolute: into the records' folder, and to ``start``, a checkpoint's prefix."""
    copy = TrainEvalPipelineConfig.FromString(pipeline.SerializeToString())
    for reader in [copy.train_input_reader] + list(copy.eval_input_reader):
        reader.label_map_path = os.path.join(records.folder, reader.label_map_path)
        paths = reader.tf_record_input_reader.input_path
        paths[:] = [os.path.join(records.folder, path) for path in paths]
    if start:
        copy.train_config.fine_tune_checkpoint = start
    return copy


def evaluated_on(split: str, pipeline: TrainEvalPipelineConfig, records: RecordSet) -> TrainEvalPipelineConfig:
    """A copy of a located config that evaluates on another split than validation."""
    copy = TrainEvalPipelineConfig.FromString(pipeline.SerializeToString())
    if split == VALIDATION:
        return copy
    reader = copy.eval_input_reader[0]
    reader.tf_record_input_reader.input_path[:] = [
        os.path.join(records.folder, shard) for shard in records.shards(split)
    ]
    reader.max_number_of_boxes = records.most_boxes([split])
    copy.eval_config.num_examples = len(records.index[split])
    return copy


def input_size(pipeline: TrainEvalPipelineConfig) -> Tuple[int, int]:
    """Height and width in pixels of what the network sees."""
    resizer = pipeline.model.ssd.image_resizer.fixed_shape_resizer
    return resizer.height, resizer.width


def _with_bare_inputs(pipeline: TrainEvalPipelineConfig, records: RecordSet) -> TrainEvalPipelineConfig:
    """Let the config read the records: every picture, in an order that only the seed decides."""
    del pipeline.eval_input_reader[1:]
    readers = (
        (pipeline.train_input_reader, TRAINING),
        (pipeline.eval_input_reader[0] if pipeline.eval_input_reader else pipeline.eval_input_reader.add(), VALIDATION),
    )
    for reader, split in readers:
        reader.label_map_path = LABEL_MAP
        reader.tf_record_input_reader.ClearField("input_path")
        reader.tf_record_input_reader.input_path.extend(records.shards(split))
        reader.shuffle = split == TRAINING
        reader.max_number_of_boxes = records.most_boxes()
    pipeline.train_config.max_number_of_boxes = records.most_boxes()
    evaluation = pipeline.eval_config
    evaluation.num_examples = len(records.index[VALIDATION])
    evaluation.metrics_set[:] = ["coco_detection_metrics"]
    evaluation.batch_size = 1
    evaluation.num_visualizations = 0
    evaluation.ClearField("visualization_export_dir")  # a path of the user's, and nothing is written there
    evaluation.ClearField("export_path")
    evaluation.retain_original_images = False  # IoU is the same at the network's size; preview draws the pictures
    return pipeline


def _add_augmentation(pipeline: TrainEvalPipelineConfig, name: str) -> None:
    steps = preprocessor_pb2.PreprocessingStep.DESCRIPTOR.fields_by_name
    _check_known("augmentation", name, list(steps))
    getattr(pipeline.train_config.data_augmentation_options.add(), name).SetInParent()


def _check_model(path: str, pipeline: TrainEvalPipelineConfig, records: RecordSet) -> None:
    if pipeline.HasField("graph_rewriter"):
        raise BadInput("%s asks for quantised training (graph_rewriter), which UFF cannot express: remove it." % path)
    if pipeline.model.ssd.image_resizer.WhichOneof("image_resizer_oneof") != "fixed_shape_resizer":
        raise BadInput("%s must use a fixed_shape_resizer: the Jetson's engine has one input size." % path)
    if not pipeline.train_config.batch_size:
        raise BadInput("%s says batch_size: 0, and nothing can be learned from no picture: say 1 or more." % path)
    if pipeline.model.ssd.num_classes != len(records.classes):
        raise BadInput(
            "%s says num_classes: %d but the records have %d (%s): set num_classes: %d."
            % (
                path,
                pipeline.model.ssd.num_classes,
                len(records.classes),
                ", ".join(records.classes),
                len(records.classes),
            )
        )


def _check_known(what: str, name: str, known: List[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = "did you mean %s?" % close[0] if close else "known are %s." % ", ".join(sorted(known))
        raise BadInput("Unknown %s %s; %s" % (what, name, hint))
