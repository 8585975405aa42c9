"""SSDs as object_detection itself builds them, small, with seeded random weights; by any TensorFlow 1.12 to 1.15."""

from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

PIPELINE = """
model { ssd {
  num_classes: %(classes)d
  box_coder { faster_rcnn_box_coder { y_scale: %(y_scale)s x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 } }
  matcher { argmax_matcher { } }
  similarity_calculator { iou_similarity { } }
  anchor_generator { ssd_anchor_generator { num_layers: 6 min_scale: %(min_scale)s max_scale: %(max_scale)s
    %(ratios)s %(anchors)s } }
  image_resizer { %(resizer)s }
  box_predictor { convolutional_box_predictor { min_depth: 0 max_depth: 0 num_layers_before_predictor: 0
    use_dropout: false kernel_size: %(kernel)d use_depthwise: %(depthwise)s box_code_size: 4
    apply_sigmoid_to_scores: %(early_sigmoid)s
    conv_hyperparams { activation: RELU_6 regularizer { l2_regularizer { weight: 0.00004 } }
      initializer { truncated_normal_initializer { stddev: 0.03 } } batch_norm { scale: true epsilon: 0.001 } } } }
  feature_extractor { type: '%(type)s' min_depth: 8 depth_multiplier: %(depth)s use_depthwise: %(depthwise)s
    use_explicit_padding: %(explicit_padding)s override_base_feature_extractor_hyperparams: %(override)s
    conv_hyperparams { activation: RELU_6 regularizer { l2_regularizer { weight: 0.00004 } }
      initializer { truncated_normal_initializer { stddev: 0.03 } } batch_norm { scale: true epsilon: 0.001 } } }
  loss { classification_loss { weighted_sigmoid { } } localization_loss { weighted_smooth_l1 { } } }
  post_processing { batch_non_max_suppression { score_threshold: %(score_threshold)s iou_threshold: 0.6
    max_detections_per_class: %(per_class)d max_total_detections: 50 } score_converter: %(converter)s } } }
"""
DEFAULTS = {
    "classes": 2,
    "y_scale": "10.0",
    "min_scale": "0.2",
    "max_scale": "0.95",
    "depth": "0.25",
    "aspect_ratios": ("1.0", "2.0", "0.5", "3.0", "0.3333"),
    "anchors": "",
    "size": 128,
    "kernel": 1,
    "depthwise": "false",
    "early_sigmoid": "false",
    "type": "ssd_mobilenet_v1",
    "explicit_padding": "false",
    "override": "false",
    "score_threshold": "0.05",
    "per_class": 50,
    "converter": "SIGMOID",
}
ARCHITECTURES = {
    "v1": {},
    "v2": {"type": "ssd_mobilenet_v2", "size": 160},
    "lite": {"type": "ssd_mobilenet_v2", "depthwise": "true", "kernel": 3, "size": 160},
    "inception": {"type": "ssd_inception_v2", "override": "true", "size": 160},
}


def pipeline(**options: Any) -> str:
    """The text of a pipeline.config."""
    values = dict(DEFAULTS, **options)
    values["ratios"] = " ".join("aspect_ratios: %s" % ratio for ratio in values["aspect_ratios"])
    values.setdefault("resizer", "fixed_shape_resizer { height: %(size)d width: %(size)d }" % values)
    return PIPELINE % values


def one_thread() -> tf.ConfigProto:
    """For sessions whose bits are compared: how sums are split between threads changes them.

    TensorFlow's threads are those that the first session of a process asks for, so every session needs this.
    """
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    rewrites = config.graph_options.rewrite_options
    if "disable_meta_optimizer" in rewrites.DESCRIPTOR.fields_by_name:  # since TensorFlow 1.12
        rewrites.disable_meta_optimizer = True  # it reorders arithmetic
    return config


def build(text: str, fixed: bool, seed: int = 3) -> Any:
    """The frozen GraphDef that object_detection makes of the pipeline ``text``, with seeded random weights."""
    from object_detection import exporter
    from object_detection.builders import model_builder
    from object_detection.protos import pipeline_pb2

    config = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    resizer = config.model.ssd.image_resizer.fixed_shape_resizer
    with tf.Graph().as_default() as graph:
        exporter.build_detection_graph(
            "image_tensor",
            model_builder.build(config.model, is_training=False),
            [1, resizer.height, resizer.width, 3] if fixed else None,
            "outputs",
            None,
        )
        outputs = [
            name
            for name in (
                "detection_boxes",
                "detection_scores",
                "detection_classes",
                "num_detections",
                "raw_detection_boxes",
                "raw_detection_scores",
                "detection_multiclass_scores",
            )
            if name in {node.name for node in graph.as_graph_def().node}
        ]
        with tf.Session(config=one_thread()) as session:
            randomise(session, np.random.RandomState(seed))
            frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), outputs)
    frozen.ClearField("versions")  # as the exporter does
    return frozen


def randomise(session: tf.Session, random: np.random.RandomState) -> None:
    """Weights that keep activations alive through all layers: kernels by fan-in, normalisation near the identity."""
    values = {}
    for variable in sorted(tf.global_variables(), key=lambda one: one.name):
        shape, kind = variable.shape.as_list(), variable.op.name.split("/")[-1]
        if len(shape) == 4:
            fan_in = shape[0] * shape[1] * (1 if "depthwise" in kind else shape[2])
            value = random.normal(0, np.sqrt(2.0 / fan_in), shape)
        elif kind in ("gamma", "moving_variance"):
            value = random.uniform(0.7, 1.4, shape)
        else:
            value = random.normal(0, 0.2, shape)
        values[variable] = value.astype(variable.dtype.as_numpy_dtype)
    # All in one run: a run for each variable would take longer than everything else.
    session.run(
        [variable.initializer for variable in values],
        {variable.initializer.inputs[1]: value for variable, value in values.items()},
    )
