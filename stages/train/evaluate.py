"""Stage: COCO's metrics of a checkpoint on the pictures for validation, or on those that were set aside to test."""

import json

from stages.job import Job, run
from stages.parameters import EvaluateParameters
from stages.train import coco, detections
from stages.train.trained_model import TrainedModel

SCORE_THRESHOLD = 0.05  # of the detections that are written down; the metrics count all


def main(job: Job) -> None:
    parameters = job.read(EvaluateParameters)
    trained = TrainedModel(job, parameters.checkpoint)
    classes = trained.records.classes
    evaluation = trained.evaluate(split=parameters.split)
    metrics = coco.metrics(evaluation.results, classes)
    document = dict(metrics, checkpoint=trained.name, step=trained.step, loss=evaluation.loss, split=parameters.split)
    with open(job.out("evaluation.json"), "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, sort_keys=True, ensure_ascii=False)
    lines = trained.records.index[parameters.split]
    detections.write(
        job.out("detections.json"),
        trained.name,
        SCORE_THRESHOLD,
        [detections.entry(line, result, classes, SCORE_THRESHOLD) for line, result in zip(lines, evaluation.results)],
        parameters.split,
    )
    job.metrics(
        step=trained.step,
        loss=evaluation.loss,
        **{name: metrics[name] for name in ("mAP", "mAP@0.5", "mAP@0.75", "recall@100")},
    )


if __name__ == "__main__":
    run(main)
