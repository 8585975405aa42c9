"""Stage: freeze a checkpoint into the graph that will be converted, its batch fixed to 1."""

import json
import os
import shutil
from functools import partial
from typing import Callable

import tensorflow as tf
from object_detection import exporter
from object_detection.builders import model_builder
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput, Job, run
from stages.parameters import ExportParameters
from stages.train import checkpoints, pipeline_config
from stages.train.records import LABEL_MAP
from stages.train.trained_model import TrainedModel

GRAPH = "frozen_inference_graph.pb"


def main(job: Job) -> None:
    parameters = job.read(ExportParameters)
    trained = TrainedModel(job, parameters.checkpoint)
    _check_writer(trained)
    pipeline = trained.pipeline
    patch(pipeline, parameters)
    graph = frozen_graph(pipeline, partial(_restore, pipeline, trained.prefix))
    with open(job.out(GRAPH), "wb") as stream:
        # Python's protobuf writes maps (a node's attributes) in another order in each process unless told otherwise.
        stream.write(graph.SerializeToString(deterministic=True))
    pipeline_config.write(pipeline, job.out(pipeline_config.FILE))
    shutil.copyfile(os.path.join(trained.records.folder, LABEL_MAP), job.out(LABEL_MAP))
    _describe(job, parameters, trained)


def frozen_graph(pipeline: TrainEvalPipelineConfig, fill: Callable[[tf.Session], None]) -> tf.GraphDef:
    """The inference graph as object_detection's exporter builds it, its weights as constants.

    Its input ``image_tensor`` is uint8 [1, h, w, 3]; its outputs are the detection tensors that the exporter names.

    Args:
        pipeline: what the graph is built from.
        fill: gives the variables of the session's graph their values.
    """
    height, width = pipeline_config.input_size(pipeline)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        model = model_builder.build(pipeline.model, is_training=False)
        outputs, _ = exporter.build_detection_graph("image_tensor", model, [1, height, width, 3], "inference_op", None)
        fill(session)
        definition = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [tensor.op.name for tensor in outputs.values()]
        )
    for node in definition.node:
        node.device = ""
    return definition


def _restore(pipeline: TrainEvalPipelineConfig, prefix: str, session: tf.Session) -> None:
    """Fill a graph with the weights of the checkpoint ``prefix``.

    Raises:
        BadInput: the checkpoint does not fit the pipeline, or is damaged.
    """
    with checkpoints.restoring(prefix):
        _saver(pipeline).restore(session, prefix)


def _saver(pipeline: TrainEvalPipelineConfig) -> tf.train.Saver:
    if pipeline.eval_config.use_moving_averages:
        return tf.train.Saver(tf.train.ExponentialMovingAverage(0.0).variables_to_restore())
    return tf.train.Saver()


def _check_writer(trained: TrainedModel) -> None:
    version = checkpoints.tensorflow_version(trained.folder, trained.step)
    if version.split(".")[:2] != tf.VERSION.split(".")[:2]:
        raise BadInput(
            "The checkpoint %s was written by TensorFlow %s: its graph may hold operations that UFF cannot "
            "read; train with TensorFlow %s." % (trained.name, version or "unknown", tf.VERSION)
        )


def patch(pipeline: TrainEvalPipelineConfig, parameters: ExportParameters) -> None:
    """Let the postprocessor do what the parameters say."""
    suppression = pipeline.model.ssd.post_processing.batch_non_max_suppression
    suppression.score_threshold = parameters.score_threshold
    suppression.iou_threshold = parameters.iou_threshold
    suppression.max_detections_per_class = parameters.max_detections
    suppression.max_total_detections = parameters.max_detections
    suppression.use_static_shapes = False  # what a TPU needs: no other boxes, but padding, and no op that convert knows


def _describe(job: Job, parameters: ExportParameters, trained: TrainedModel) -> None:
    size = os.path.getsize(job.out(GRAPH))
    document = {
        "checkpoint": trained.name,
        "step": trained.step,
        "tensorflow": tf.VERSION,
        "classes": trained.records.classes,
        "input_size": list(pipeline_config.input_size(trained.pipeline)),
        "score_threshold": parameters.score_threshold,
        "iou_threshold": parameters.iou_threshold,
        "max_detections": parameters.max_detections,
        "bytes": size,
    }
    with open(job.out("export.json"), "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, sort_keys=True, ensure_ascii=False)
    job.metrics(step=trained.step, tensorflow=tf.VERSION, megabytes=round(size / 1e6, 2))


if __name__ == "__main__":
    run(main)
