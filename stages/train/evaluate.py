"""Stage: COCO's metrics of a checkpoint on the validation pictures."""

import json

from stages.job import Job, run
from stages.parameters import EvaluateParameters
from stages.train import coco, detections
from stages.train.records import VALIDATION
from stages.train.trained_model import TrainedModel

SCORE_THRESHOLD = 0.05  # of the detections that are written down; the metrics count all


def main(job: Job) -> None:
    trained = TrainedModel(job, job.read(EvaluateParameters).checkpoint)
    classes = trained.records.classes
    evaluation = trained.evaluate()
    metrics = coco.metrics(evaluation.results, classes)
    document = dict(metrics, checkpoint=trained.name, step=trained.step, loss=evaluation.loss)
    with open(job.out("evaluation.json"), "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1, sort_keys=True, ensure_ascii=False)
    lines = trained.records.index[VALIDATION]
    detections.write(
        job.out("detections.json"),
        trained.name,
        SCORE_THRESHOLD,
        [detections.entry(line, result, classes, SCORE_THRESHOLD) for line, result in zip(lines, evaluation.results)],
    )
    job.metrics(
        step=trained.step,
        loss=evaluation.loss,
        **{name: metrics[name] for name in ("mAP", "mAP@0.5", "mAP@0.75", "recall@100")},
    )


if __name__ == "__main__":
    run(main)
