"""Stage: VOC photos and XML to sharded TFRecords, checked, shrunk, split, the same bytes for the same data.

Pictures that belong together are on one side of the split, and which pictures those are can be said only once all are
known. So the records are made first, into one file, and dealt out to their shards after that.
"""

import json
from typing import Dict, List, NamedTuple

from stages import disk, record_index
from stages.data import left_out
from stages.data import made as made_file
from stages.data.accounts import Accounts
from stages.data.annotation.frame import Reading
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.annotation_spool import AnnotationSpool
from stages.data.dataset_summary import DatasetSummary
from stages.data.finding_log import FILE, FindingLog
from stages.data.findings import did_you_mean, policies, summary
from stages.data.first_pass import PictureKeys, first_pass, photo_digests
from stages.data.labels import label_map
from stages.data.losses import Losses, Whole
from stages.data.made import Earlier, MadeWriter
from stages.data.making import MadeFrom, made
from stages.data.pairing.pairing import Folders, Pair, files_of, pairs, place_of, shuffled
from stages.data.patterns import patterns
from stages.data.picture_record import RecordSettings
from stages.data.progress import ImageRate
from stages.data.shards import SplitWriter, shards_for
from stages.data.split import looks, sides
from stages.data.split.groups import Gallery, Grouping, grouped
from stages.data.split.splits import Split, own_split
from stages.data.split.twins import Twins
from stages.data.spool import Spool
from stages.data.survey import Survey
from stages.finding_kinds import DROP, FAIL, FIX
from stages.job import BadInput, Job, run
from stages.parameters import RecordsParameters
from stages.workers import Pool

NAMELESS = ("damaged_xml", "no_class", "no_objects")  # why XML may name no class
BY_CHANCE = 'chance splits them, so say which of them are to validate, with records.split = "folders" or "imagesets"'
BY_ITS_OWN = "the dataset's own split holds, so see that it divides them by place or time"


class RecordsWork(NamedTuple):
    """What a run has from its beginning to its end."""

    job: Job
    parameters: RecordsParameters
    settings: RecordSettings
    annotations: AnnotationSpool
    pool: Pool
    accounts: Accounts


class TakenPictures(NamedTuple):
    """The pictures to make records of, in the order of the records, and the key of each one's record."""

    split: Split
    keys: PictureKeys


def main(job: Job) -> None:
    """Write ``*.tfrecord``, ``label_map.pbtxt``, ``index.jsonl``, ``findings.jsonl``, ``dataset.json``, ``made.jsonl``.

    Until it has done so, ``findings.jsonl`` is in the scratch folder, and in ``records.spool`` what was made so far.

    Raises:
        BadInput: nothing to read, a listed class without a box, a dataset that looks otherwise than it is read, too
            much of it lost, or a finding whose policy is to fail.
        StageFailed: the disk does not take the records.
    """
    parameters = job.read(RecordsParameters)
    settings = _settings(job, parameters)
    earlier = Earlier(job.inputs.get("earlier"))
    with FindingLog(job.scratch, settings.policy) as log, Spool(job.scratch, earlier) as spool, Pool(
        job.cpus
    ) as pool, AnnotationSpool(job.scratch, settings.folders, parameters.boxes) as annotations:
        dataset = DatasetSummary(parameters.classes, settings.image_size)
        work = RecordsWork(
            job, parameters, settings, annotations, pool, Accounts(dataset, log, Losses(parameters.findings))
        )
        taken = _taken(work, bool(len(earlier.known) or len(spool.known)))
        gallery = _make(work, taken, MadeFrom(annotations, earlier), spool)
        if gallery.photos and not parameters.accept_losses:  # before the shards are written for nothing
            pictures = dataset.tally_pictures.dropped + len(gallery.photos)
            work.accounts.losses.judge(Whole(pictures, dataset.listed + spool.listed), log)
        shards = _deal(work, gallery, taken.split, spool)
        _check(parameters, work.accounts)
        _conclude(work, taken.split, shards)


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


def _taken(work: RecordsWork, known: bool) -> TakenPictures:
    """The pictures to make records of, after all checks that need no pixel; ``known``: some may have been made before.

    A trial (``records.limit``) is about the pictures that it takes: what has no partner is told and judged, but not in
    the figures.
    """
    job, parameters, settings, accounts = work.job, work.parameters, work.settings, work.accounts
    there = files_of(settings.folders)
    with accounts.log.noting() as findings:
        found = pairs(settings.folders, there, findings, work.annotations.said)
        split = own_split(parameters.split, found, settings.folders, job.inputs.get("image_sets"), findings)
    for note in split.notes:
        job.warn(note)
    unpaired = left_out.left_out(there, split.items, findings.found)
    losses = Losses(parameters.findings) if parameters.limit else accounts.losses
    left_out.count_losses(unpaired, losses)
    if not parameters.accept_losses:
        losses.judge(Whole(unpaired.pictures, 0), accounts.log)
    if parameters.limit:
        accounts.log.set_apart()
    else:
        left_out.count_boxes(settings, found, unpaired, work.annotations, work.pool, accounts)
    items = shuffled(split.items, parameters.seed, parameters.limit)
    return TakenPictures(split._replace(items=items), _survey(work, items, known))


def _survey(work: RecordsWork, items: List[Pair], known: bool) -> PictureKeys:
    """Refuse a dataset of boxes that mean something else, or a listed class that no XML names, before the long work.

    Returns the keys of the records.
    """
    job, settings = work.job, work.settings
    job.progress(0, len(items), "reading XML")
    digests = photo_digests(job.inputs.get("digests")) if known else None
    seen, keys = first_pass(
        settings,
        items,
        work.annotations,
        digests,
        work.pool,
        lambda done: job.progress(done, len(items), "reading XML"),
    )
    patterns.check(seen.observed, settings.reading)
    renamed = settings.policy["near_class"] == FIX
    for name in [] if work.parameters.limit else settings.vocabulary.classes:
        only = Vocabulary([name], settings.vocabulary.aliases)
        if not any(only.id_of(written) or (renamed and only.nearly(written)) for written in seen.objects):
            listed = summary(seen.objects) or "nothing"
            raise BadInput(
                "No XML file in %s names an object of class %r%s They name: %s.%s"
                % (settings.folders.annotations, name, did_you_mean(name, seen.objects), listed, _nameless(seen))
            )
    return keys


def _nameless(seen: Survey) -> str:
    """A line for each reason why some XML names no class."""
    found = [seen.problems[kind] for kind in NAMELESS if kind in seen.problems]
    lines = [(one.count, one.first.kind, one.first._replace(action=FAIL).sentence()) for one in found]
    return "".join("\n  %d %s: %s" % line for line in lines)


def _make(work: RecordsWork, taken: TakenPictures, source: MadeFrom, spool: Spool) -> Gallery:
    """Make all records; the pictures that can be used, in the order of the spool."""
    accounts, items = work.accounts, taken.split.items
    gallery, boxes, rate = Gallery(), 0, ImageRate()
    records = made(work.settings, zip(items, taken.keys), source, spool, work.pool)
    for done, record in enumerate(records, 1):
        accounts.log.note(record.findings)
        accounts.losses.record(record)
        if record.facts:
            size = record.facts["width"], record.facts["height"]
            gallery.add(record.facts["source_id"], record.digest, record.look, size)
            boxes += len(record.facts["boxes"])
        else:
            accounts.dataset.drop(1, record.written, record.listed)
        if rate.is_due(done) or done == len(items):
            work.job.progress(done, len(items), "%s, %d boxes" % (rate.words(done), boxes))
    return gallery


def _deal(work: RecordsWork, gallery: Gallery, split: Split, spool: Spool) -> Dict[str, List[str]]:
    """Write the records into the shards of their sides; the names of these, ``index.jsonl`` and ``made.jsonl``."""
    job, parameters, accounts = work.job, work.parameters, work.accounts
    job.progress(len(split.items), len(split.items), "looking for pictures that belong together")
    grouping = grouped(gallery, looks.TOGETHER if split.source == "hash" else looks.SAME)
    together = grouped(gallery, looks.TOGETHER) if sides.is_completed_by_chance(gallery, split) else grouping
    groups = sides.Groups(together.labels.tolist(), grouping.labels.tolist())
    chance = sides.Chance(parameters.seed, parameters.validation_fraction)
    with accounts.log.noting() as findings:
        placed = sides.placed(gallery, groups, split, chance, findings)
    counts = {name: shards_for(placed.of.count(name), parameters.pictures_per_shard) for name in sides.SIDES}
    writers = {name: SplitWriter(name, job.output, job.scratch, counts[name]) for name in sides.SIDES}
    _write_records(work, Twins(gallery), placed, spool, writers)
    with disk.writing(job.out(record_index.FILE)), open(job.out(record_index.FILE), "wb") as index:
        for writer in writers.values():
            writer.finish(index)
    _warn_of_split(job, gallery, grouping, placed, split.source)
    return {name: writer.shards for name, writer in writers.items()}


def _write_records(
    work: RecordsWork, twins: Twins, placed: sides.Sides, spool: Spool, writers: Dict[str, SplitWriter]
) -> None:
    places = enumerate(placed.of)
    with MadeWriter(work.job.out(made_file.FILE)) as told:
        for record, framed in spool.pictures():
            if not record.facts:
                told.add(record)
                continue
            place, side = next(places)
            if side is None:
                work.accounts.dataset.drop(1, record.written, record.listed)
                work.accounts.losses.picture("leak", record.listed)
                continue
            twins.add(place, record.facts)
            at = writers[side].add(place_of(work.parameters.seed, record.facts["source_id"]), framed, record.facts)
            told.add(record._replace(at=at))
            work.accounts.dataset.add(side, record)
    if twins.differing:
        work.job.warn(twins.words())


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


def _conclude(work: RecordsWork, split: Split, shards: Dict[str, List[str]]) -> None:
    job, parameters, dataset, log = work.job, work.parameters, work.accounts.dataset, work.accounts.log
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
