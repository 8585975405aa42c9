"""Program of `./run to-coco`: a VOC dataset as COCO JSON, boxes and outlines on the upright photos."""

from functools import partial
from typing import List

from stages import workers
from stages.data.annotation.frame import Reading
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.exchange.coco_writer import CocoWriter
from stages.data.exchange.voc_reading import ReadPicture, VocReading, read_picture
from stages.data.finding_log import FILE, FindingLog
from stages.data.findings import Findings, policies, summary
from stages.data.pairing.pairing import Folders, Pair, files_of, pairs
from stages.data.split.split_lists import TRAIN
from stages.data.split.splits import own_split
from stages.finding_kinds import DROP
from stages.job import BadInput, Job, run
from stages.parameters import ToCocoParameters

CHUNK = 50  # pictures that a process does at a time: one takes less time than sending it there
MANY = 2000  # pictures from which more processes are faster than the time to start them


def _read_all(how: VocReading, items: List[Pair]) -> List[ReadPicture]:
    return [read_picture(how, pair) for pair in items]


def main(job: Job) -> None:
    """Write ``instances.json``, or ``instances_train.json`` and its like where the dataset has a split, and
    ``findings.jsonl``. What `records` would leave out for its size or class is kept.

    Raises:
        BadInput: nothing to read, or nothing that can be used.
        StageFailed: the disk does not take it.
    """
    parameters = job.read(ToCocoParameters)
    folders = Folders(job.inputs["photos"], job.inputs["annotations"])
    policy = policies(parameters.findings)
    vocabulary = Vocabulary(parameters.classes, parameters.aliases)
    how = VocReading(folders, Reading(parameters.boxes, parameters.sizes), policy, vocabulary)
    writer = CocoWriter(job.scratch, parameters.classes)
    with FindingLog(job.scratch, policy) as log:
        with log.noting() as findings:
            found = pairs(folders, files_of(folders), findings)
        split = own_split(parameters.split, found, folders, job.inputs.get("image_sets"), Findings(policies({})))
        chunks = [found[start : start + CHUNK] for start in range(0, len(found), CHUNK)]
        processes = job.cpus if len(found) > MANY else 1
        for done, chunk in enumerate(workers.in_order(partial(_read_all, how), chunks, processes), 1):
            for picture, more in chunk:
                log.note(more)
                if picture is not None:
                    side = split.sides.get(picture.photo, "" if split.source == "hash" else TRAIN)
                    writer.add(picture, side)
            job.progress(min(done * CHUNK, len(found)), len(found))
        if not writer.pictures:
            raise BadInput("None of the pictures can be used. For instance %s" % log.first_of(DROP).sentence())
        names = writer.publish(job.output)
        log.publish(job.out(FILE))
    if log.kinds:
        job.warn("The data has flaws, listed in findings.jsonl: %s." % summary(log.kinds))
        for line in log.lines():
            job.warn(line)
    job.metrics(files=names, pictures=writer.pictures, objects=writer.objects)


if __name__ == "__main__":
    run(main)
