"""Program of `./run import`: a dataset of another tool as PASCAL VOC XML, its split as lists, and what was lost."""

import os
import shutil
from typing import Dict, List, Set

from stages import disk, files
from stages.data.exchange import voc_xml
from stages.data.exchange.exchange_files import source_files
from stages.data.exchange.exchange_model import ExchangePicture
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.formats import format_of
from stages.data.exchange.photo_files import PhotoFiles
from stages.data.pairing.names import stem
from stages.data.split.sides import SIDES
from stages.data.split.split_lists import TEST, TRAIN, VALIDATION
from stages.job import BadInput, Job, StageFailed, run
from stages.parameters import ImportParameters

LISTS = {TRAIN: "train.txt", VALIDATION: "val.txt", TEST: "test.txt"}
ANNOTATIONS, PHOTOS = "Annotations", "JPEGImages"
EVERY = 100  # pictures between two reports of progress


class VocDataset:
    """The dataset that is written: an XML for each picture, at its photo's place below ``Annotations``.

    Attributes:
        sides: photo -> its side, empty where the dataset tells none.
        objects: how many were written.
    """

    def __init__(self, output: str, photos: PhotoFiles, notes: NoteLog) -> None:
        self.output, self.notes = output, notes
        self.sides: Dict[str, str] = {}
        self.objects = 0
        stems: Dict[str, List[str]] = {}
        for name in photos.names:
            stems.setdefault(stem(name), []).append(name)
        self._alike: Set[str] = {name for same in stems.values() if len(same) > 1 for name in same}
        there = set(photos.names)
        self._alike.update(name for name in photos.names if os.path.splitext(name)[0] in there)

    def base(self, photo: str) -> str:
        """The path of a photo's XML without ``.xml``: the photo's, with its suffix where others differ by it only."""
        return photo if photo in self._alike else os.path.splitext(photo)[0]

    def add(self, picture: ExchangePicture) -> None:
        """Write a picture's XML, or put its objects to those of the photo that are there.

        Raises:
            StageFailed: the disk does not take it.
        """
        path = os.path.join(self.output, ANNOTATIONS, self.base(picture.photo) + ".xml")
        if picture.photo in self.sides:
            self.notes.add("repeated_picture", picture.photo, "the dataset tells of it more than once")
            disk.write(path, voc_xml.extended(files.read(path), picture.objects))
        else:
            disk.write(path, voc_xml.annotation(picture))
        self.objects += len(picture.objects)
        known = self.sides.get(picture.photo, "")
        # What somebody set aside to test with must not be trained on.
        self.sides[picture.photo] = max(known, picture.side, key=lambda side: SIDES.index(side) if side else -1)

    def write_lists(self) -> None:
        """Write the lists of the dataset's split, where it has one.

        Raises:
            StageFailed: the disk does not take it.
        """
        for side, name in LISTS.items():
            names = [self.base(photo) for photo, of in sorted(self.sides.items()) if of == side]
            # A name of several lines would be the names of other pictures; `records` finds that it is in no list.
            lines = [name + "\n" for name in names if len(name.splitlines()) == 1]
            if lines:
                path = os.path.join(self.output, "ImageSets", "Main", name)
                disk.write(path, os.fsencode("".join(lines)))


def copy_photos(job: Job, photos: PhotoFiles, names: List[str]) -> None:
    """Copy photos byte for byte.

    Raises:
        StageFailed: there is no room for them, or one cannot be copied.
    """
    room = shutil.disk_usage(job.output).free
    needed = sum(os.stat(os.path.join(photos.folder, name)).st_size for name in names)
    if needed > room:
        raise StageFailed(
            "The photos have %d MB, and the disk of the output has room for %d MB: free some, or leave out"
            " --with-photos, so that they stay where they are." % (needed >> 20, room >> 20)
        )
    for done, name in enumerate(names, 1):
        target = job.out(PHOTOS, *name.split("/"))
        with disk.writing(target):
            shutil.copyfile(os.path.join(photos.folder, name), target)
        if done % EVERY == 0:
            job.progress(done, len(names), "copying photos")


def main(job: Job) -> None:
    """Write ``Annotations/``, ``ImageSets/Main/`` where the dataset has a split, ``findings.jsonl``, and the photos as
    ``JPEGImages/`` if they are to be copied.

    Raises:
        BadInput: the format is not known, a file of the dataset cannot be read, or no photo of it is there.
        StageFailed: the disk does not take it.
    """
    parameters = job.read(ImportParameters)
    what = job.inputs["what"]
    source = source_files(what)
    chosen = format_of(source, parameters.source_format, what)
    photos = PhotoFiles(job.inputs["photos"])
    with NoteLog(job.output) as notes:
        dataset = VocDataset(job.output, photos, notes)
        for picture in chosen.read(source, photos, notes):
            dataset.add(picture)
            if len(dataset.sides) % EVERY == 0:
                job.progress(len(dataset.sides), len(photos.names), "writing XML")
        if not dataset.sides:
            raise BadInput("%s (%s) tells of no photo in %s. %s" % (what, chosen.title, photos.folder, _why(notes)))
        dataset.write_lists()
        if parameters.with_photos:
            copy_photos(job, photos, sorted(dataset.sides))
        for line in notes.lines():
            job.warn(line)
    job.metrics(
        format=chosen.title,
        pictures=len(dataset.sides),
        objects=dataset.objects,
        sides={side: sum(of == side for of in dataset.sides.values()) for side in SIDES},
        findings=sum(notes.kinds.values()),
    )


def _why(notes: NoteLog) -> str:
    lines = notes.lines()
    return "For instance " + lines[0] if lines else "It tells of no picture at all."


if __name__ == "__main__":
    run(main)
