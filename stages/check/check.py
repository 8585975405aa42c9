"""The stage that looks at the data before a training: health.html for people, health.json for programs."""

import json

from stages import disk, files
from stages.check import dataset, health, model_anchors, stored_pictures
from stages.check.page import page
from stages.check.verdicts import BAD, WARN
from stages.job import Job, run
from stages.parameters import CheckDataParameters


def main(job: Job) -> None:
    """Write ``health.html`` and ``health.json`` from the records that the job names.

    Raises:
        BadInput: the records are damaged, or the pipeline.config describes no SSD.
        StageFailed: the disk does not take the page.
    """
    model = model_anchors.of_model(job.read(CheckDataParameters), job.inputs.get("pipeline_config"), job.warn)
    job.progress(0, 1, "reading the index")
    data = dataset.read(job.inputs["records"])
    total = len(data.pictures.names)
    rows = stored_pictures.all_looks(data, job.cpus, lambda done: job.progress(done, total, "looking at the pictures"))
    examined = health.examine(data, model, rows, lambda words: job.progress(total, total, words))
    job.progress(total, total, "writing the page")
    html = files.readable(page(data, examined)).encode("utf-8")
    document = json.dumps(examined.document, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    disk.write(job.out("health.json"), files.readable(document + "\n").encode("utf-8"))
    disk.write(job.out("health.html"), html)
    verdicts = examined.document["verdicts"]
    for verdict in verdicts:
        if verdict["severity"] == BAD:
            job.warn("%s. %s %s" % (verdict["title"], verdict["why"], verdict["remedy"]))
    job.metrics(
        bytes=len(html),
        to_mend=sum(one["severity"] == BAD for one in verdicts),
        to_look_at=sum(one["severity"] == WARN for one in verdicts),
    )


if __name__ == "__main__":
    run(main)
