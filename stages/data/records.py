"""Stage: VOC photos and XML to sharded TFRecords, checked, shrunk, split, the same bytes for the same data.

Whether a picture goes to training or validation hangs on the seed and the SHA-256 of its photo's file alone: a new
photo moves no other, a renamed one stays, and two copies of a photo never end up on both sides. Only where chance
leaves a side empty does the nearest picture change over.
"""

import hashlib
import json
from functools import partial
from typing import Counter as CounterOf
from typing import Dict, List, NamedTuple

from stages import disk, workers
from stages.data import patterns
from stages.data.dataset_summary import SPLITS, DatasetSummary
from stages.data.findings import DataFinding, Findings, did_you_mean, policies, summary
from stages.data.frame import Reading
from stages.data.labels import label_map
from stages.data.pairing import Folders, Pair, pairs, shuffled
from stages.data.picture_record import PictureRecord, RecordSettings, make
from stages.data.shards import SplitWriter
from stages.data.survey import SurveySettings, survey
from stages.data.vocabulary import Vocabulary, folded
from stages.finding_kinds import FIX
from stages.job import BadInput, Job, run
from stages.parameters import RecordsParameters

SHARES = 2**64  # a picture's share is a whole number below this, evenly distributed


class Work(NamedTuple):
    """The pictures in the order of the records, and what was found while looking for their XML."""

    items: List[Pair]
    unpaired: List[DataFinding]


class Written(NamedTuple):
    """What an attempt at writing gave: the summary, and each split's file names."""

    dataset: DatasetSummary
    shards: Dict[str, List[str]]


def main(job: Job) -> None:
    """Write ``*.tfrecord``, ``label_map.pbtxt``, ``index.jsonl``, ``findings.jsonl`` and ``dataset.json``.

    Raises:
        BadInput: nothing to read, a listed class without a box, or a finding whose policy is to fail.
        StageFailed: the disk does not take the records.
    """
    parameters = job.read(RecordsParameters)
    settings = _settings(job, parameters)
    unpaired = Findings(settings.policy)
    items = shuffled(pairs(settings.folders, unpaired), parameters.seed, parameters.limit)
    if not parameters.limit:
        job.progress(0, len(items), "reading XML")
        _check_dataset(job, settings, items)
    work = Work(items, unpaired.found)
    threshold = int(parameters.validation_fraction * SHARES)
    written = _write(job, parameters, settings, work, threshold)
    better = written.dataset.balanced(threshold)
    if better != threshold:
        job.warn("Chance left one side of the split empty: one picture changes over.")
        written = _write(job, parameters, settings, work, better)
    _conclude(job, parameters, written)


def _settings(job: Job, parameters: RecordsParameters) -> RecordSettings:
    height, width = parameters.image_size
    return RecordSettings(
        Folders(job.inputs["photos"], job.inputs["annotations"]),
        Reading(parameters.boxes, parameters.sizes),
        parameters.max_megapixels,
        Vocabulary(parameters.classes, parameters.aliases),
        (height, width),
        parameters.encoding,
        parameters.jpeg_quality,
        policies(parameters.findings),
    )


def _check_dataset(job: Job, settings: RecordSettings, items: List[Pair]) -> None:
    """Refuse what the dataset as a whole shows to be wrong, before the long work."""
    look = SurveySettings(settings.folders, settings.reading, settings.image_size, settings.policy)
    found = survey(look, items, job.cpus, lambda done: job.progress(done, len(items), "reading XML"))
    patterns.check(found.observed, settings.reading)
    _check_classes(settings, found.objects)


def _check_classes(settings: RecordSettings, counts: CounterOf[str]) -> None:
    """Refuse a listed class that no XML names."""
    names = {folded(name) for name in counts} if settings.policy["unknown_class"] == FIX else set()
    ids = set(map(settings.vocabulary.id_of, counts))
    for number, name in enumerate(settings.vocabulary.classes, 1):
        if number not in ids and folded(name) not in names:
            known = summary(counts) or "nothing"
            raise BadInput(
                "No XML file in %s names an object of class %r%s They name: %s."
                % (settings.folders.annotations, name, did_you_mean(name, counts), known)
            )


def _write(job: Job, parameters: RecordsParameters, settings: RecordSettings, work: Work, threshold: int) -> Written:
    """Make all records; a picture whose share is below ``threshold`` is for validation."""
    dataset = DatasetSummary(settings.vocabulary.classes, settings.image_size)
    splits = {name: SplitWriter(name, job.output, job.scratch, parameters.pictures_per_shard) for name in SPLITS}
    with open(job.out("findings.jsonl"), "w", encoding="utf-8") as log:
        dataset.note(work.unpaired, log)
        for done, made in enumerate(workers.in_order(partial(make, settings), work.items, job.cpus), 1):
            with disk.writing(log.name):
                dataset.note(made.findings, log)
            _place(made, parameters.seed, threshold, splits, dataset)
            if done % 20 == 0 or done == len(work.items):
                job.progress(done, len(work.items), "%d boxes" % dataset.boxes)
    if dataset.balanced(threshold) != threshold:
        for split in splits.values():
            split.discard()
        return Written(dataset, {})
    with open(job.out("index.jsonl"), "w", encoding="utf-8") as index:
        return Written(dataset, {name: split.finish(index) for name, split in splits.items()})


def _place(
    made: PictureRecord, seed: int, threshold: int, splits: Dict[str, SplitWriter], dataset: DatasetSummary
) -> None:
    if made.framed is None:
        dataset.drop_picture(made)
        return
    share = int.from_bytes(hashlib.sha256(b"%d:%s" % (seed, made.digest)).digest()[:8], "big")
    name = "validation" if share < threshold else "train"
    splits[name].add(made.framed, made.facts)
    dataset.add(name, share, made)


def _conclude(job: Job, parameters: RecordsParameters, written: Written) -> None:
    dataset = written.dataset
    if not dataset.images:
        raise BadInput(
            "None of the pictures can be used: %s. For instance %s"
            % (summary(dataset.kinds), dataset.findings[0].sentence())
        )
    _check_boxes(job, parameters, dataset)
    document = dict(dataset.document(written.shards), encoding=parameters.encoding)
    disk.write(job.out("label_map.pbtxt"), label_map(parameters.classes).encode())
    disk.write(job.out("dataset.json"), json.dumps(document, indent=1, sort_keys=True).encode())
    if dataset.kinds:
        job.warn("The data has flaws, listed in findings.jsonl: %s." % summary(dataset.kinds))
    job.metrics(
        images=dataset.images, boxes=dataset.boxes, dropped=dataset.dropped, findings=sum(dataset.kinds.values())
    )


def _check_boxes(job: Job, parameters: RecordsParameters, dataset: DatasetSummary) -> None:
    """Every class needs a box to learn from; a trial of a few pictures may do without some."""
    for name, boxes in dataset.class_boxes.items():
        if sum(boxes.values()) == 0 and not parameters.limit:
            raise BadInput("No box of class %r is left to train on; findings: %s." % (name, summary(dataset.kinds)))
        for split in SPLITS:
            if boxes[split] == 0 and dataset.pictures[split]:
                job.warn("Class %r has no box in the %s pictures." % (name, split))
    if parameters.validation_fraction > 0 and not dataset.pictures["validation"]:
        job.warn("There is no picture for validation: it takes at least two different ones.")


if __name__ == "__main__":
    run(main)
