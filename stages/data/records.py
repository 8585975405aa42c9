"""Stage: VOC photos and XML to sharded TFRecords, checked, shrunk, split, the same bytes for the same data.

Whether a picture goes to training or validation hangs on the seed and the SHA-256 of its photo's file alone: a new
photo moves no other, a renamed one stays, and two copies of a photo never end up on both sides. Only where chance
leaves a side empty does the nearest picture change over.
"""

import hashlib
import json
from functools import partial
from typing import Dict, Iterable, List, NamedTuple

from stages import job
from stages.data import disk, workers
from stages.data.dataset_summary import SPLITS, DatasetSummary
from stages.data.findings import FIX, Findings, did_you_mean, policies, summary
from stages.data.labels import label_map
from stages.data.objects import folded
from stages.data.pairing import Folders, Pair, pairs, shuffled
from stages.data.picture_record import PictureRecord, RecordSettings, make
from stages.data.shards import Split
from stages.data.survey import survey

SHARES = 2**64  # a picture's share is a whole number below this, evenly distributed


class Written(NamedTuple):
    """What an attempt at writing gave: the tally, and each split's file names."""

    dataset: DatasetSummary
    shards: Dict[str, List[str]]


def main(task: job.Job) -> None:
    """Write ``*.tfrecord``, ``label_map.pbtxt``, ``index.jsonl``, ``findings.jsonl`` and ``dataset.json``.

    Raises:
        BadInput: nothing to read, a listed class without a box, or a finding whose policy is to fail.
        StageFailed: the disk does not take the records.
    """
    wanted = task.parameters
    policy = policies(wanted["findings"])
    folders = Folders(task.inputs["photos"], task.inputs["annotations"])
    unpaired = Findings(policy)
    items = shuffled(pairs(folders, unpaired), wanted["seed"], wanted["limit"])
    if not wanted["limit"]:
        task.progress(0, len(items), "reading XML")
        _check_classes(folders, items, wanted["classes"], policy)
    settings = RecordSettings(
        folders, wanted["classes"], tuple(wanted["image_size"]), wanted["encoding"], wanted["jpeg_quality"], policy
    )
    threshold = int(wanted["validation_fraction"] * SHARES)
    written = _write(task, settings, items, unpaired, threshold)
    better = written.dataset.balanced(threshold)
    if better != threshold:
        task.warn("Chance left one side of the split empty: one picture changes over.")
        written = _write(task, settings, items, unpaired, better)
    _conclude(task, written)


def _check_classes(folders: Folders, items: Iterable[Pair], classes: List[str], policy: Dict[str, str]) -> None:
    """Refuse a listed class that no XML names, before the long work."""
    counts = survey(folders, items)["classes"]
    names = {folded(name) for name in counts} if policy["unknown_class"] == FIX else set()
    for name in classes:
        if name not in counts and folded(name) not in names:
            known = summary(counts) or "nothing"
            raise job.BadInput(
                "No XML file in %s names an object of class %r%s They name: %s."
                % (folders.annotations, name, did_you_mean(name, counts), known)
            )


def _write(task: job.Job, settings: RecordSettings, items: List[Pair], unpaired: Findings, threshold: int) -> Written:
    """Make all records; a picture whose share is below ``threshold`` is for validation."""
    wanted = task.parameters
    dataset = DatasetSummary(settings.classes, settings.image_size)
    splits = {name: Split(name, task.output, task.scratch, wanted["pictures_per_shard"]) for name in SPLITS}
    with open(task.out("findings.jsonl"), "w", encoding="utf-8") as log:
        dataset.note(unpaired.found, log)
        for done, made in enumerate(workers.in_order(partial(make, settings), items, task.cpus), 1):
            with disk.writing(log.name):
                dataset.note(made.findings, log)
            _place(made, wanted["seed"], threshold, splits, dataset)
            if done % 20 == 0 or done == len(items):
                task.progress(done, len(items), "%d boxes" % dataset.boxes)
    if dataset.balanced(threshold) != threshold:
        for split in splits.values():
            split.discard()
        return Written(dataset, {})
    with open(task.out("index.jsonl"), "w", encoding="utf-8") as index:
        return Written(dataset, {name: split.finish(index) for name, split in splits.items()})


def _place(made: PictureRecord, seed: int, threshold: int, splits: Dict[str, Split], dataset: DatasetSummary) -> None:
    if made.frame is None:
        dataset.drop_picture(made)
        return
    share = int.from_bytes(hashlib.sha256(b"%d:%s" % (seed, made.digest)).digest()[:8], "big")
    name = "validation" if share < threshold else "train"
    splits[name].add(made.frame, made.facts)
    dataset.add(name, share, made)


def _conclude(task: job.Job, written: Written) -> None:
    dataset, classes = written.dataset, task.parameters["classes"]
    if not dataset.images:
        raise job.BadInput(
            "None of the pictures can be used: %s. For instance %s"
            % (summary(dataset.kinds), dataset.findings[0].sentence())
        )
    _check_boxes(task, dataset)
    document = dict(dataset.document(written.shards), encoding=task.parameters["encoding"])
    disk.write(task.out("label_map.pbtxt"), label_map(classes).encode())
    disk.write(task.out("dataset.json"), json.dumps(document, indent=1, sort_keys=True).encode())
    if dataset.kinds:
        task.warn("The data has flaws, listed in findings.jsonl: %s." % summary(dataset.kinds))
    task.metrics(
        images=dataset.images, boxes=dataset.boxes, dropped=dataset.dropped, findings=sum(dataset.kinds.values())
    )


def _check_boxes(task: job.Job, dataset: DatasetSummary) -> None:
    """Every class needs a box to learn from; a trial of a few pictures may do without some."""
    for name, boxes in dataset.class_boxes.items():
        if sum(boxes.values()) == 0 and not task.parameters["limit"]:
            raise job.BadInput("No box of class %r is left to train on; findings: %s." % (name, summary(dataset.kinds)))
        for split in SPLITS:
            if boxes[split] == 0 and dataset.pictures[split]:
                task.warn("Class %r has no box in the %s pictures." % (name, split))
    if task.parameters["validation_fraction"] > 0 and not dataset.pictures["validation"]:
        task.warn("There is no picture for validation: it takes at least two different ones.")


if __name__ == "__main__":
    job.run(main)
