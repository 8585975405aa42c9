"""One graph that runs any checkpoint of a model over pictures, in inference mode.

Building the graph takes most of an evaluation's time, so it is built once, on first use, and kept beside the
training's.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow as tf
from object_detection.core import standard_fields

from stages.train.coco import Result

Fields = standard_fields.InputDataFields
TELL_EVERY = 20  # pictures
Evaluation = NamedTuple("Evaluation", [("loss", float), ("results", List[Result])])


class Evaluator:
    """Runs a model_lib estimator's model on the pictures of one of its input functions."""

    def __init__(self, estimator: tf.estimator.Estimator, input_fn: Callable[[], tf.data.Dataset]) -> None:
        self._estimator = estimator
        self._input_fn = input_fn
        self._session: Optional[tf.Session] = None

    def run(
        self, prefix: str, most: Optional[int] = None, tell: Callable[[int], None] = lambda done: None
    ) -> Evaluation:
        """The mean loss and each picture's result with the checkpoint ``prefix``, for ``most`` pictures or all.

        Results stand in the order of the records; ``tell`` is called now and then with the number of pictures done.
        """
        if self._session is None:
            self._build()
        self._saver.restore(self._session, prefix)
        self._session.run(self._iterator.initializer)
        losses: List[float] = []
        results: List[Result] = []
        while most is None or len(results) < most:
            try:
                values = self._session.run(self._fetches)
            except tf.errors.OutOfRangeError:
                break
            losses.append(float(values.pop("loss")))
            results.append(_result(values))
            if len(results) % TELL_EVERY == 0:
                tell(len(results))
        return Evaluation(float(np.mean(losses)), results)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _build(self) -> None:
        with tf.Graph().as_default():
            tf.train.create_global_step()
            self._iterator = self._input_fn().make_initializable_iterator()
            features, labels = self._iterator.get_next()
            spec = self._estimator.model_fn(features, labels, tf.estimator.ModeKeys.EVAL, self._estimator.config)
            self._saver = spec.scaffold.saver
            self._fetches = _fetches(spec, labels)
            self._session = tf.Session(config=self._estimator.config.session_config)
            self._session.run(tf.tables_initializer())


def _fetches(spec: tf.estimator.EstimatorSpec, labels: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    detections = standard_fields.DetectionResultFields
    return {
        "loss": spec.loss,
        "boxes": spec.predictions[detections.detection_boxes][0],
        "scores": spec.predictions[detections.detection_scores][0],
        "classes": spec.predictions[detections.detection_classes][0],
        "count": spec.predictions[detections.num_detections][0],
        "truth_boxes": labels[Fields.groundtruth_boxes][0],
        "truth_classes": labels[Fields.groundtruth_classes][0],
        "truth_count": labels[Fields.num_groundtruth_boxes][0],
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
