"""A train artifact, or the scratch folder of a training that still runs, as the stages after it read it."""

import os
from typing import Optional

import tensorflow as tf
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput, Job
from stages.train import checkpoints, diagnosis, model, pipeline_config
from stages.train.evaluator import Evaluation, Evaluator
from stages.train.records import VALIDATION, RecordSet


class TrainedModel:
    """A job's inputs ``train`` and ``records``, and one checkpoint of the training.

    Attributes:
        records: the records.
        folder: the train artifact.
        step: of the chosen checkpoint.
        pipeline: the pipeline config, its paths bare file names.
    """

    def __init__(self, job: Job, checkpoint: str) -> None:
        """Find ``checkpoint`` (best, last or a step) and check that it belongs to the records.

        Raises:
            BadInput: an input is not what it should be, or there is no such checkpoint.
        """
        self._job = job
        self.records = RecordSet(job.inputs["records"])
        self.folder = job.inputs["train"]
        self.pipeline = pipeline_config.read(os.path.join(self.folder, pipeline_config.FILE))
        self.step = checkpoints.choose(self.folder, checkpoint)
        _check_classes(self.pipeline, self.records)

    @property
    def name(self) -> str:
        """The checkpoint's prefix in the artifact."""
        return checkpoints.prefix(self.step)

    @property
    def prefix(self) -> str:
        """The checkpoint's absolute prefix."""
        return os.path.join(self.folder, self.name)

    def evaluate(self, most: Optional[int] = None, split: str = VALIDATION) -> Evaluation:
        """Run the checkpoint on ``most`` pictures of a split, or all.

        Raises:
            BadInput: there is no such picture, the checkpoint does not fit, or it or the records are damaged.
        """
        if not self.records.index[split]:
            raise BadInput(
                "The records hold no %s picture to evaluate on: give the dataset a split that has such"
                ' (records.split = "folders" or "imagesets"), or set evaluate.split = "validation".' % split
            )
        located = pipeline_config.evaluated_on(
            split, pipeline_config.located(self.pipeline, self.records), self.records
        )
        made = model.build(located, os.path.join(self._job.scratch, "model"), 0, self._job.cpus)
        total = len(self.records.index[split]) if most is None else most
        try:
            return Evaluator(made.estimator, made.validation_pictures).run(
                self.prefix, most, lambda done: self._job.progress(done, total, "pictures")
            )
        except tf.errors.DataLossError as error:
            raise BadInput(diagnosis.damage(self.records, (split,), error)) from error
        except tf.errors.InvalidArgumentError as error:
            what = diagnosis.undecodable(self.records, (split,))
            if not what:
                raise
            raise BadInput(what) from error


def _check_classes(pipeline: TrainEvalPipelineConfig, records: RecordSet) -> None:
    if pipeline.model.ssd.num_classes != len(records.classes):
        raise BadInput(
            "The model was trained for %d classes and the records have %d (%s): run train again."
            % (pipeline.model.ssd.num_classes, len(records.classes), ", ".join(records.classes))
        )
