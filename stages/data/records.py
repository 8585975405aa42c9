"""Stage: VOC photos and XML to sharded TFRecords, checked, shrunk, split, the same bytes for the same data.

Pictures that belong together are on one side of the split, and which pictures those are can be said only once all are
known. So the records are made first, into one file, and dealt out to their shards after that.
"""

import json
from functools import partial
from typing import Dict, List

from stages import disk, workers
from stages.data import left_out
from stages.data.accounts import Accounts
from stages.data.annotation.frame import Reading
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.dataset_summary import DatasetSummary
from stages.data.finding_log import FILE, FindingLog
from stages.data.findings import did_you_mean, policies, summary
from stages.data.labels import label_map
from stages.data.losses import Losses, Whole
from stages.data.pairing.pairing import Folders, Pair, files_of, pairs, shuffled
from stages.data.patterns import patterns
from stages.data.picture_record import RecordSettings, make
from stages.data.shards import SplitWriter
from stages.data.split import looks, sides
from stages.data.split.groups import Gallery, Grouping, grouped
from stages.data.split.splits import Split, own_split
from stages.data.split.twins import Twins
from stages.data.spool import Spool
from stages.data.survey import Survey, SurveySettings, survey
from stages.finding_kinds import DROP, FAIL, FIX
from stages.job import BadInput, Job, run
from stages.parameters import RecordsParameters

NAMELESS = ("damaged_xml", "no_class", "no_objects")  # why XML may name no class
BY_CHANCE = 'chance splits them, so say which of them are to validate, with records.split = "folders" or "imagesets"'
BY_ITS_OWN = "the dataset's own split holds, so see that it divides them by place or time"


def main(job: Job) -> None:
    """Write ``*.tfrecord``, ``label_map.pbtxt``, ``index.jsonl``, ``findings.jsonl`` and ``dataset.json``.

    Until it has done so, ``findings.jsonl`` is in the scratch folder.

    Raises:
        BadInput: nothing to read, a listed class without a box, a dataset that looks otherwise than it is read, too
            much of it lost, or a finding whose policy is to fail.
        StageFailed: the disk does not take the records.
    """
    parameters = job.read(RecordsParameters)
    settings = _settings(job, parameters)
    with FindingLog(job.scratch, settings.policy) as log, Spool(job.scratch) as spool:
        dataset = DatasetSummary(parameters.classes, settings.image_size)
        accounts = Accounts(dataset, log, Losses(parameters.findings))
        split = _taken(job, parameters, settings, accounts)
        gallery = _make(job, settings, split.items, spool, accounts)
        if gallery.photos and not parameters.accept_losses:  # before the shards are written for nothing
            pictures = dataset.tally_pictures.dropped + len(gallery.photos)
            accounts.losses.judge(Whole(pictures, dataset.listed + spool.listed), log)
        shards = _deal(job, parameters, gallery, split, spool, accounts)
        _check(parameters, accounts)
        _conclude(job, parameters, split, shards, accounts)


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


def _taken(job: Job, parameters: RecordsParameters, settings: RecordSettings, accounts: Accounts) -> Split:
    """The pictures to make records of, in the order of the records, after all checks that need no pixel.

    A trial (``records.limit``) is about the pictures that it takes: what has no partner is told and judged, but not in
    the figures.
    """
    there = files_of(settings.folders)
    with accounts.log.noting() as findings:
        found = pairs(settings.folders, there, findings)
        split = own_split(parameters.split, found, settings.folders, job.inputs.get("image_sets"), findings)
    for note in split.notes:
        job.warn(note)
    unpaired = left_out.left_out(there, split.items, findings.found)
    losses = Losses(parameters.findings) if parameters.limit else accounts.losses
    left_out.count_losses(unpaired, losses)
    if not parameters.accept_losses:
        losses.judge(Whole(unpaired.pictures, 0), accounts.log)
    if not parameters.limit:
        left_out.count_boxes(settings, found, unpaired, accounts, job.cpus)
    items = shuffled(split.items, parameters.seed, parameters.limit)
    _survey(job, settings, items, bool(parameters.limit))
    return split._replace(items=items)


def _survey(job: Job, settings: RecordSettings, items: List[Pair], trial: bool) -> None:
    """Refuse a dataset of boxes that mean something else, or a listed class that no XML names, before the long work."""
    job.progress(0, len(items), "reading XML")
    reading = SurveySettings(
        settings.folders, settings.reading, settings.image_size, settings.policy, settings.max_megapixels
    )
    seen = survey(reading, items, job.cpus, lambda done: job.progress(done, len(items), "reading XML"))
    patterns.check(seen.observed, settings.reading)
    renamed = settings.policy["near_class"] == FIX
    for name in [] if trial else settings.vocabulary.classes:
        only = Vocabulary([name], settings.vocabulary.aliases)
        if not any(only.id_of(written) or (renamed and only.nearly(written)) for written in seen.objects):
            known = summary(seen.objects) or "nothing"
            raise BadInput(
                "No XML file in %s names an object of class %r%s They name: %s.%s"
                % (settings.folders.annotations, name, did_you_mean(name, seen.objects), known, _nameless(seen))
            )


def _nameless(seen: Survey) -> str:
    """A line for each reason why some XML names no class."""
    found = [seen.problems[kind] for kind in NAMELESS if kind in seen.problems]
    lines = [(one.count, one.first.kind, one.first._replace(action=FAIL).sentence()) for one in found]
    return "".join("\n  %d %s: %s" % line for line in lines)


def _make(job: Job, settings: RecordSettings, items: List[Pair], spool: Spool, accounts: Accounts) -> Gallery:
    """Make all records; the pictures that can be used, in the order of the spool."""
    gallery = Gallery()
    boxes = 0
    for done, made in enumerate(workers.in_order(partial(make, settings), items, job.cpus), 1):
        accounts.log.note(made.findings)
        accounts.losses.record(made)
        if made.framed is None:
            accounts.dataset.drop(1, made.written, made.listed)
        else:
            spool.add(made)
            gallery.add(made.facts["source_id"], made.digest, made.look, (made.facts["width"], made.facts["height"]))
            boxes += len(made.facts["boxes"])
        if done % 20 == 0 or done == len(items):
            job.progress(done, len(items), "%d boxes" % boxes)
    return gallery


def _deal(
    job: Job, parameters: RecordsParameters, gallery: Gallery, split: Split, spool: Spool, accounts: Accounts
) -> Dict[str, List[str]]:
    """Write the records into the shards of their sides; the names of these, and ``index.jsonl``."""
    dataset = accounts.dataset
    job.progress(len(split.items), len(split.items), "looking for pictures that belong together")
    grouping = grouped(gallery, looks.TOGETHER if split.source == "hash" else looks.SAME)
    together = grouped(gallery, looks.TOGETHER) if sides.is_completed_by_chance(gallery, split) else grouping
    groups = sides.Groups(together.labels.tolist(), grouping.labels.tolist())
    chance = sides.Chance(parameters.seed, parameters.validation_fraction)
    with accounts.log.noting() as findings:
        placed = sides.placed(gallery, groups, split, chance, findings)
    writers = {name: SplitWriter(name, job.output, job.scratch, parameters.pictures_per_shard) for name in sides.SIDES}
    twins = Twins(gallery)
    for place, (side, record) in enumerate(zip(placed.of, spool.records())):
        if side is None:
            dataset.drop(1, record.written, record.listed)
            accounts.losses.picture("leak", record.listed)
            continue
        twins.add(place, record.facts)
        writers[side].add(record.framed, record.facts)
        dataset.add(side, record)
    with open(job.out("index.jsonl"), "w", encoding="utf-8") as index:
        shards = {name: writer.finish(index) for name, writer in writers.items()}
    if twins.differing:
        job.warn(twins.words())
    _warn_of_split(job, gallery, grouping, placed, split.source)
    return shards


def _warn_of_split(job: Job, gallery: Gallery, grouping: Grouping, placed: sides.Sides, source: str) -> None:
    for told in grouping.all_alike:
        why = BY_CHANCE if source == "hash" else BY_ITS_OWN
        job.warn(
            "%d of %d pictures look alike (for instance %s and %s), as those of a fixed camera or of one long video do."
            " They are not kept on one side, so validation may show a better detector than there is: %s."
            % (told.pictures, len(gallery.photos), told.first, told.second, why)
        )
    if placed.drawn:
        job.warn(
            "The dataset's own split has no picture for validation: some of those to train on are taken, by chance."
        )
    if placed.moved:
        job.warn("Chance left one side of the split empty: what is nearest to the limit changes over.")
    apart = [
        (gallery.photos[one], gallery.photos[other])
        for one, other in grouping.resized
        if placed.of[one] and placed.of[other] and placed.of[one] != placed.of[other]
    ]
    if apart:
        job.warn(
            "%d pairs of pictures look the same but for their size, and are on different sides of the split, for"
            " instance %s and %s: remove one of each pair." % ((len(apart),) + apart[0])
        )


def _check(parameters: RecordsParameters, accounts: Accounts) -> None:
    """Refuse records that nobody can want."""
    dataset, log = accounts.dataset, accounts.log
    if not dataset.images:
        raise BadInput(
            "None of the pictures can be used: %s. For instance %s"
            % (summary(log.of_action(DROP)), log.first_of(DROP).sentence())
        )
    if not parameters.accept_losses:
        accounts.losses.judge(Whole(dataset.tally_pictures.read, dataset.listed), log)
    if not dataset.pictures["train"]:
        raise BadInput(
            "The dataset's own split leaves no picture to train on: mend it, raise records.limit if it is set, or set"
            ' records.split = "hash".'
        )
    for name, boxes in dataset.class_boxes.items():
        # Every class needs a box to learn from; a trial of a few pictures may do without some.
        if sum(boxes.values()) == 0 and not parameters.limit:
            raise BadInput("No box of class %r is left to train on; findings: %s." % (name, summary(log.kinds)))


def _conclude(
    job: Job, parameters: RecordsParameters, split: Split, shards: Dict[str, List[str]], accounts: Accounts
) -> None:
    dataset, log = accounts.dataset, accounts.log
    log.publish(job.out(FILE))
    document = dict(dataset.document(shards, log), encoding=parameters.encoding, split=split.source)
    disk.write(job.out("label_map.pbtxt"), label_map(parameters.classes).encode())
    disk.write(job.out("dataset.json"), json.dumps(document, indent=1, sort_keys=True).encode())
    for name, boxes in dataset.class_boxes.items():
        for side in dataset.splits():
            if boxes[side] == 0 and dataset.pictures[side]:
                job.warn("Class %r has no box in the %s pictures." % (name, side))
    if parameters.validation_fraction > 0 and not dataset.pictures["validation"]:
        job.warn("There is no picture for validation: it takes at least two different ones.")
    if log.kinds:
        job.warn("%s (see findings.jsonl)." % dataset.sentence(log))
        for line in log.lines():
            job.warn(line)
    else:
        print("%s." % dataset.sentence(log))
    job.metrics(
        images=dataset.images,
        boxes=dataset.boxes,
        dropped_pictures=dataset.tally_pictures.dropped,
        dropped=dataset.missing,
        findings=sum(log.kinds.values()),
    )


if __name__ == "__main__":
    run(main)
