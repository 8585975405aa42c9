"""One graph that runs any checkpoint of a model over pictures, in inference mode.

Building the graph takes most of an evaluation's time, so it is built once, on first use, and kept beside the
training's.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow as tf
from object_detection.core import standard_fields

from stages.train import checkpoints
from stages.train.coco import Result

TELL_EVERY = 20  # pictures


class Evaluation(NamedTuple):
    """The mean loss in inference mode, and each picture's result in the order of the records."""

    loss: float
    results: List[Result]


class InferenceGraph(NamedTuple):
    """A model in inference mode behind its pictures: a session, and what it runs."""

    session: tf.Session
    saver: tf.train.Saver
    rewind: tf.Operation  # back to the first picture
    fetches: Dict[str, tf.Tensor]


class Evaluator:
    """Runs a model_lib estimator's model on the pictures of one of its input functions."""

    def __init__(self, estimator: tf.estimator.Estimator, input_fn: Callable[[], tf.data.Dataset]) -> None:
        self._estimator = estimator
        self._input_fn = input_fn
        self._graph: Optional[InferenceGraph] = None

    def run(
        self, prefix: str, most: Optional[int] = None, tell: Callable[[int], None] = lambda done: None
    ) -> Evaluation:
        """The mean loss and each picture's result with the checkpoint ``prefix``, for ``most`` pictures or all.

        Results stand in the order of the records; ``tell`` is called now and then with the number of pictures done.

        Raises:
            BadInput: the checkpoint does not fit the model, or is damaged.
        """
        graph = self._graph = self._graph or self._build()
        with checkpoints.restoring(prefix):
            graph.saver.restore(graph.session, prefix)
        graph.session.run(graph.rewind)
        losses: List[float] = []
        results: List[Result] = []
        while most is None or len(results) < most:
            try:
                values = graph.session.run(graph.fetches)
            except tf.errors.OutOfRangeError:
                break
            losses.append(float(values.pop("loss")))
            results.append(_result(values))
            if len(results) % TELL_EVERY == 0:
                tell(len(results))
        return Evaluation(float(np.mean(losses)), results)

    def _build(self) -> InferenceGraph:
        with tf.Graph().as_default():
            tf.train.create_global_step()
            iterator = self._input_fn().make_initializable_iterator()
            features, labels = iterator.get_next()
            spec = self._estimator.model_fn(features, labels, tf.estimator.ModeKeys.EVAL, self._estimator.config)
            fetches = _fetches(spec, labels)
            session = tf.Session(config=self._estimator.config.session_config)
            session.run(tf.tables_initializer())
            return InferenceGraph(session, spec.scaffold.saver, iterator.initializer, fetches)


def _fetches(spec: tf.estimator.EstimatorSpec, labels: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    detections, truth = standard_fields.DetectionResultFields, standard_fields.InputDataFields
    return {
        "loss": spec.loss,
        "boxes": spec.predictions[detections.detection_boxes][0],
        "scores": spec.predictions[detections.detection_scores][0],
        "classes": spec.predictions[detections.detection_classes][0],
        "count": spec.predictions[detections.num_detections][0],
        "truth_boxes": labels[truth.groundtruth_boxes][0],
        "truth_classes": labels[truth.groundtruth_classes][0],
        "truth_count": labels[truth.num_groundtruth_boxes][0],
    }


def _result(values: Dict[str, Any]) -> Result:
    count, truth_count = int(values["count"]), int(values["truth_count"])
    return Result(
        boxes=values["boxes"][:count],
        scores=values["scores"][:count],
        classes=values["classes"][:count].astype(np.int64) + 1,
        truth_boxes=values["truth_boxes"][:truth_count],
        truth_classes=values["truth_classes"][:truth_count].argmax(axis=1) + 1,
    )
