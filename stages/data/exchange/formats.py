"""The formats that datasets are imported from, and which of them a dataset is in."""

import re
from typing import Callable, Dict, Iterator, List, NamedTuple

from stages.data.exchange import coco, cvat, label_studio, tensorflow_csv, yolo
from stages.data.exchange.exchange_files import SourceFiles, peek
from stages.data.exchange.exchange_model import ExchangePicture
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.photo_files import PhotoFiles
from stages.job import BadInput

VOC_ROOT = re.compile(r"<annotation[\s/>]")
MOST_SAMPLED = 20  # XML files that are looked at to tell a VOC dataset
EXAMPLES = 3


class Format(NamedTuple):
    """A format: how it is called in a sentence, the files that show it, and its reader."""

    title: str
    finds: Callable[[SourceFiles], List[str]]
    read: Callable[[SourceFiles, PhotoFiles, NoteLog], Iterator[ExchangePicture]]


FORMATS: Dict[str, Format] = {
    "coco": Format("COCO JSON", coco.finds, coco.read),
    "yolo": Format("YOLO", yolo.finds, yolo.read),
    "cvat": Format("CVAT for images 1.1", cvat.finds, cvat.read),
    "label-studio": Format("Label Studio JSON", label_studio.finds, label_studio.read),
    "csv": Format("Tensorflow Object Detection CSV", tensorflow_csv.finds, tensorflow_csv.read),
}


def format_of(source: SourceFiles, said: str, what: str) -> Format:
    """The format that a dataset is in, or that ``said`` names.

    Raises:
        BadInput: there is no such format, or the files are of none, or of several.
    """
    if said:
        if said not in FORMATS:
            raise BadInput("--from %s: the formats are %s." % (said, ", ".join(FORMATS)))
        return FORMATS[said]
    found = {name: files for name, files in ((name, one.finds(source)) for name, one in FORMATS.items()) if files}
    if len(found) == 1:
        return FORMATS[next(iter(found))]
    if found:
        told = " and ".join("%s (%s)" % (FORMATS[name].title, files[0]) for name, files in found.items())
        raise BadInput("%s holds %s: say which is to be read by --from %s." % (what, told, " or --from ".join(found)))
    if any(VOC_ROOT.search(peek(source.path(name))) for name in source.ending(".xml")[:MOST_SAMPLED]):
        raise BadInput("%s holds PASCAL VOC XML, which is read as it is: `./run init %s`." % (what, what))
    there = ", ".join(source.names[:EXAMPLES]) + ("…" if len(source.names) > EXAMPLES else "")
    titles = ", ".join(one.title for one in FORMATS.values())
    raise BadInput("%s is in none of the formats %s: there is %s." % (what, titles, there or "no file in it"))
