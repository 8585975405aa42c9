"""The checkpoint that a training starts from: what of it fits the model, said before hours are spent."""

import os
from typing import Dict, List, Optional

import tensorflow as tf
from object_detection.builders import model_builder
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput, Job
from stages.train import buildable, pipeline_config

Shapes = Dict[str, List[int]]
EXTRACTOR = "FeatureExtractor/"
OF_OBJECTS = ".ATTRIBUTES/VARIABLE_VALUE"  # ends the names of variables that TensorFlow 2 and Keras save


def prepare(job: Job, name: Optional[str], pipeline: TrainEvalPipelineConfig) -> Optional[str]:
    """Set the pipeline to start from a checkpoint, and return its absolute prefix; None for random weights.

    A detection checkpoint gives every weight whose shape fits, heads included; a classification one the extractor's.

    Args:
        name: the file name of the checkpoint's prefix in the job's input ``start``; None: random weights.

    Raises:
        BadInput: the checkpoint is missing, unreadable or of another architecture.
    """
    theirs = pipeline.train_config.fine_tune_checkpoint
    pipeline.train_config.ClearField("fine_tune_checkpoint")
    if not name:
        if theirs:
            job.warn("The pipeline config's fine_tune_checkpoint %s is not used: name it in model.checkpoint." % theirs)
        return None
    prefix = os.path.join(job.inputs["start"], name)
    shapes = _shapes(prefix)
    if any(variable.endswith(OF_OBJECTS) for variable in shapes):
        raise BadInput(
            "The checkpoint %s is of TensorFlow 2 or Keras, whose variables have other names: take one of TensorFlow"
            " 1's model zoo, such as ssd_mobilenet_v2_coco_2018_03_29" % name
        )
    detection = any(variable.startswith(EXTRACTOR) for variable in shapes)
    pipeline.train_config.fine_tune_checkpoint_type = "detection" if detection else "classification"
    pipeline.train_config.load_all_detection_checkpoint_vars = detection
    pipeline.train_config.fine_tune_checkpoint = name
    _compare(job, name, shapes if detection else {EXTRACTOR + one: shape for one, shape in shapes.items()}, pipeline)
    return prefix


def classes_of(shapes: Shapes) -> Optional[int]:
    """How many classes a detection checkpoint tells apart, without background; None if it has no SSD heads."""
    box, label = (shapes.get("BoxPredictor_0/%s/biases" % head) for head in ("BoxEncodingPredictor", "ClassPredictor"))
    return label[0] // (box[0] // 4) - 1 if box and label else None


def _compare(job: Job, name: str, shapes: Shapes, pipeline: TrainEvalPipelineConfig) -> None:
    model = _model_shapes(pipeline)
    extractor = [variable for variable in model if variable.startswith(EXTRACTOR)]
    fitting = [variable for variable in extractor if shapes.get(variable) == model[variable]]
    theirs, ours = classes_of(shapes), pipeline.model.ssd.num_classes
    if not fitting:
        raise BadInput(
            "The checkpoint %s (%s classes) fits no weight of this model (%d classes): choose the "
            "architecture and depth multiplier it was made with." % (name, theirs or "unknown", ours)
        )
    if len(fitting) < len(extractor):
        job.warn(
            "The checkpoint %s fits %d of the feature extractor's %d variables; the others start at random."
            % (name, len(fitting), len(extractor))
        )
    if theirs is not None and theirs != ours:
        job.warn(
            "The checkpoint %s tells %d classes apart and the records have %d: the class heads start at random."
            % (name, theirs, ours)
        )


def _shapes(prefix: str) -> Shapes:
    if not os.path.exists(prefix + ".index"):
        raise BadInput("There is no checkpoint %s: its file %s.index is missing." % (prefix, os.path.basename(prefix)))
    try:
        reader = tf.train.NewCheckpointReader(prefix)
        shapes: Shapes = reader.get_variable_to_shape_map()
        for variable in shapes:  # its checksum is looked at: damage would end the training, and look like the records'
            reader.get_tensor(variable)
        return shapes
    except tf.errors.OpError as error:
        raise BadInput("The checkpoint %s cannot be read: %s" % (prefix, error.message.split("\n")[0])) from error


def _model_shapes(pipeline: TrainEvalPipelineConfig) -> Shapes:
    height, width = pipeline_config.input_size(pipeline)
    with tf.Graph().as_default(), buildable.building():
        model = model_builder.build(pipeline.model, is_training=False)
        model.predict(tf.zeros([1, height, width, 3]), tf.constant([[height, width, 3]]))
        return {variable.op.name: variable.shape.as_list() for variable in tf.global_variables()}
