"""Stage: train the detector, evaluate it on the way, keep the best."""

import os
import shutil

import tensorflow as tf
from object_detection.protos.pipeline_pb2 import TrainEvalPipelineConfig

from stages.job import BadInput, Job, StageFailed, run
from stages.parameters import TrainParameters
from stages.train import coco, diagnosis, model, pipeline_config, start
from stages.train.evaluator import Evaluator
from stages.train.hook import Diverged, TrainingHook
from stages.train.records import TRAINING, VALIDATION, RecordSet
from stages.train.training_state import TrainingState

CHECKED_PICTURES = 32


def main(job: Job) -> None:
    parameters = job.read(TrainParameters)
    records = RecordSet(job.inputs["records"])
    pipeline = _pipeline(job, parameters, records)
    prefix = start.prepare(job, parameters.start_checkpoint, pipeline)
    os.makedirs(os.path.join(job.scratch, "checkpoints"), exist_ok=True)
    pipeline_config.write(pipeline, os.path.join(job.scratch, pipeline_config.FILE))
    own_config = "pipeline_config" in job.inputs
    training = Training(job, parameters, records, pipeline_config.located(pipeline, records, prefix))
    try:
        training.run()
    except Diverged as event:
        size = pipeline_config.input_size(pipeline)
        raise StageFailed(diagnosis.divergence(event, records, size, own_config)) from event
    except tf.errors.DataLossError as error:
        raise BadInput(diagnosis.damage(records, (TRAINING, VALIDATION), error)) from error
    except tf.errors.InvalidArgumentError as error:
        what = diagnosis.undecodable(records, (TRAINING, VALIDATION))
        if not what:
            raise
        raise BadInput(what) from error
    except tf.errors.ResourceExhaustedError as error:
        raise StageFailed(diagnosis.out_of_memory(pipeline.train_config.batch_size, own_config)) from error
    training.warn_of_gap()
    training.deliver()


class Training:
    """One training in the job's scratch folder, from its start or from where it was killed."""

    def __init__(
        self, job: Job, parameters: TrainParameters, records: RecordSet, pipeline: TrainEvalPipelineConfig
    ) -> None:
        self._job, self._parameters, self._classes = job, parameters, records.classes
        self._state = TrainingState(job.scratch, pipeline.train_config.num_steps, parameters.keep_checkpoints, job.warn)
        # Another seed where a killed training goes on: it would see the same pictures in the same order again.
        self._model = model.build(
            pipeline, os.path.join(job.scratch, "checkpoints"), parameters.seed + self._state.saved, job.cpus
        )
        self._validation = Evaluator(self._model.estimator, self._model.validation_pictures)
        self._events = tf.summary.FileWriter(os.path.join(job.scratch, "events", "validation"))

    def run(self) -> None:
        """Train to the last step and evaluate.

        Raises:
            Diverged: the loss became infinite or no number.
        """
        self._job.progress(self._state.saved, self._state.steps, "building the graph")
        every = self._parameters.evaluate_every
        for step in self._state.unevaluated(every):  # killed after the checkpoint was saved
            self._evaluate(step)
        private = [self._job.scratch, *self._job.inputs.values()]
        hook = TrainingHook(self._state, every, self._evaluate, self._tell, private)
        self._model.estimator.train(self._model.training_input, hooks=[hook], max_steps=self._state.steps)
        self._events.close()

    def warn_of_gap(self) -> None:
        """Say so if the model does not do in inference mode what its training loss makes believe."""
        training = self._state.late_loss()
        if training is None or not diagnosis.is_far_above(self._state.last_loss(), training):
            return
        seen = Evaluator(self._model.estimator, self._model.training_pictures)
        gap = diagnosis.inference_gap(training, seen.run(self._prefix(self._state.steps), CHECKED_PICTURES).loss)
        if gap:
            self._job.warn(gap)

    def deliver(self) -> None:
        """Copy what belongs to the artifact from the scratch folder to the output."""
        scratch = self._job.scratch
        for path in self._state.files() + [os.path.join(scratch, pipeline_config.FILE)]:
            shutil.copyfile(path, self._job.out(os.path.relpath(path, scratch)))
        for kind in ("train", "validation"):
            folder = os.path.join(scratch, "events", kind)
            for number, name in enumerate(sorted(os.listdir(folder)), 1):  # a run's each; their names hold the host's
                shutil.copyfile(
                    os.path.join(folder, name), self._job.out("events", kind, "events.out.tfevents.%04d" % number)
                )
        best = self._state.best()
        self._job.metrics(
            steps=self._state.steps,
            best=best["step"],
            loss=best["loss"],
            mAP=best["mAP"],
            **{"mAP@0.5": best["mAP@0.5"]},
        )

    def _evaluate(self, step: int) -> None:
        evaluation = self._validation.run(
            self._prefix(step), tell=lambda done: self._job.progress(step, self._state.steps, "evaluating: %d" % done)
        )
        metrics = coco.metrics(evaluation.results, self._classes)
        self._state.add_evaluation(step, evaluation.loss, metrics)
        values = [tf.Summary.Value(tag=tag, simple_value=metrics[tag] or 0.0) for tag in ("mAP", "mAP@0.5", "mAP@0.75")]
        values.append(tf.Summary.Value(tag="loss", simple_value=evaluation.loss))
        self._events.add_summary(tf.Summary(value=values), step)
        self._events.flush()

    def _tell(self, step: int, learning_rate: float) -> None:
        words = "loss %.2f  rate %.2g" % (self._state.recent_loss(), learning_rate)
        last_map = self._state.last_map()
        if last_map is not None:
            words += "  mAP %.2f" % last_map
        self._job.progress(step, self._state.steps, words)

    def _prefix(self, step: int) -> str:
        return os.path.join(self._job.scratch, "checkpoints", "model.ckpt-%d" % step)


def _pipeline(job: Job, parameters: TrainParameters, records: RecordSet) -> TrainEvalPipelineConfig:
    if "pipeline_config" in job.inputs:
        return pipeline_config.adopt(job.inputs["pipeline_config"], parameters, records, job.warn)
    return pipeline_config.generate(parameters, records)


if __name__ == "__main__":
    run(main)
