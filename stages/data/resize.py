"""Stage: a VOC dataset to a smaller one, boxes scaled with the pixels, all else in the XML kept.

Pictures come out upright (EXIF applied and gone), JPEG or PNG as they were, other formats as JPEG. A picture that needs
no change is copied byte for byte. Boxes keep what is wrong with them: judging them is the work of ``records``.
"""

import os
import re
from functools import partial
from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from lxml import etree

from stages import disk, drawing, pixels, workers
from stages.data.annotation import boxes, voc
from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.frame import BoxFrame, Reading, Turned, frame_of
from stages.data.annotation.geometry import Move
from stages.data.annotation.numerals import decimal, visible
from stages.data.annotation.places import Note, lacking, read_shape
from stages.data.annotation.shapes import WrittenShape, found_in, stray_in, text_of
from stages.data.finding_log import FILE, FindingLog
from stages.data.findings import DataFinding, Findings, policies, summary
from stages.data.pairing.pairing import Folders, Pair, files_of, pairs, shuffled
from stages.data.photo import exif, photo
from stages.data.split.splits import Split, own_split
from stages.finding_kinds import DROP
from stages.job import BadInput, Job, run
from stages.parameters import ResizeParameters

NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
PIXEL_DIGITS, SHARE_DIGITS = 2, 6
UNMOVED = "its %s cannot be scaled and turned with the picture"


class ResizeSettings(NamedTuple):
    """``long_side`` in pixels, ``jpeg_quality`` 1 to 100."""

    folders: Folders
    max_megapixels: int
    output: str
    long_side: int
    jpeg_quality: int
    reading: Reading


class ShapeNote(NamedTuple):
    """A note about what stands in an XML, and the object's number, if it is one, with its line."""

    note: Note
    at: Tuple[Optional[int], int]


class NamedPair(NamedTuple):
    """A picture with its XML, and the path without suffix that both get, which no other pair has."""

    pair: Pair
    stem: str


def named(items: Sequence[Pair]) -> List[NamedPair]:
    """The pairs with their new names: of a.jpg and a.png, which may come out alike, one becomes a_."""
    taken: Set[str] = set()
    stems = {pair: drawing.free_name(os.path.splitext(pair.photo)[0], taken) for pair in sorted(items)}
    return [NamedPair(pair, stems[pair]) for pair in items]


def make(settings: ResizeSettings, item: NamedPair) -> Tuple[bool, List[DataFinding]]:
    """Write one picture and its XML; returns whether there is one, and what was found wrong."""
    findings, pair = Findings(policies({})), item.pair
    root = _root(settings, pair, findings)
    if root is None:
        return False, findings.found
    source = photo.load(
        settings.folders.photo(pair.photo), pair.photo, settings.max_megapixels, partial(_target, settings), findings
    )
    if source is None:
        return False, findings.found
    annotation = voc.annotation_of(root, settings.reading.boxes)
    frame = frame_of(annotation, pair, Turned(source.orientation, source.upright), settings.reading, findings)
    if frame is None:
        return False, findings.found
    target, name = target_size(source.upright, settings.long_side), item.stem + _suffix(pair.photo, source.format)
    told = rewrite(root, frame, os.path.basename(name), target, settings.reading)
    if not all([findings.fixes(note.kind, str(pair.xml), note.message, at, note.fixable) for note, at in told]):
        return False, findings.found
    disk.write(os.path.join(settings.output, "JPEGImages", name), _encoded(settings, source, target))
    text = etree.tostring(root.getroottree(), encoding="utf-8") + b"\n"
    disk.write(os.path.join(settings.output, "Annotations", item.stem + ".xml"), text)
    return True, findings.found


def _root(settings: ResizeSettings, pair: Pair, findings: Findings) -> Optional[etree._Element]:
    """The tree of a pair's XML, to be rewritten; None if it has none that can be used."""
    try:
        return voc.tree(settings.folders.xml(pair.xml)) if pair.xml else None
    except voc.Damaged as error:
        findings.fixes(error.kind, str(pair.xml), str(error), (None, error.line))
    return None


def _target(settings: ResizeSettings, size: Tuple[int, int]) -> Tuple[int, int]:
    """The (height, width) that a photo of ``size`` gets, which is (height, width) too."""
    width, height = target_size((size[1], size[0]), settings.long_side)
    return height, width


def target_size(size: WholeSize, long_side: int) -> WholeSize:
    """(width, height) scaled so that the longer is ``long_side``; never larger than they are, never under 1."""
    longer = max(size)
    if longer <= long_side:
        return size
    return max(1, (size[0] * long_side + longer // 2) // longer), max(1, (size[1] * long_side + longer // 2) // longer)


def rewrite(root: etree._Element, frame: BoxFrame, name: str, target: WholeSize, reading: Reading) -> List[ShapeNote]:
    """Make the annotation that of the picture ``name`` of size ``target``: its name, its size, and every shape.

    Returns what was noted: what no policy mends could not be moved, and the annotation is wrong.
    """
    whole = (1, 1) if reading.boxes == "relative" else target
    told: List[ShapeNote] = []
    if (frame.size, frame.orientation) != (whole, exif.UPRIGHT):
        told = _move_shapes(root, lambda box: boxes.scaled(frame.place(box), frame.upright, whole), reading.boxes)
    for path, text in (
        ("filename", NOT_IN_XML.sub("_", name)),
        ("size/width", str(target[0])),
        ("size/height", str(target[1])),
    ):
        _made(root, path).text = text
    return told


def _move_shapes(root: etree._Element, move: Move, reading: str) -> List[ShapeNote]:
    """Move every shape of every <object> and <part>; only then is any written, as several may share an angle."""
    number, told = 0, []
    moved: List[Tuple[WrittenShape, List[str]]] = []
    for element in root.iter("object", "part"):
        number += element.tag == "object"
        found = found_in(element, sided=reading == "xywh")
        notes = [Note("other_geometry", UNMOVED % name, False) for name in found.unknown]
        for bndbox in found.unsound:
            if text_of(bndbox).strip():
                notes.append(Note("no_box", lacking(bndbox), False))
        for shape in found.boxes + found.others:
            texts, more = _moved_texts(shape, move, reading)
            notes += more
            moved += [(shape, texts)] if texts else []
        told += [ShapeNote(note, (number, element.sourceline)) for note in notes]
    stray = stray_in(root)
    if stray is not None:
        note = Note("other_geometry", UNMOVED % "<%s> outside of any <object>" % stray.tag, False)
        told.append(ShapeNote(note, (None, stray.sourceline)))
    for shape, texts in moved:
        shape.write(texts)
    return told


def _moved_texts(shape: WrittenShape, move: Move, reading: str) -> Tuple[List[str], List[Note]]:
    """The numbers of a moved shape, none if it has none or cannot be moved, and what was noted."""
    if not any(visible(text) for text, _ in shape.texts()):
        return [], []
    values, notes = read_shape(shape)
    if values is None:
        return [], notes
    angle = values[-1] if shape.form.angle_digits is not None else 0
    moved = None if angle and reading == "relative" else shape.form.moved(values, move)
    if moved is None:
        return [], [Note("other_geometry", UNMOVED % shape.told, False)]
    texts = [decimal(value, SHARE_DIGITS if reading == "relative" else PIXEL_DIGITS) for value in moved]
    if shape.form.angle_digits is not None:
        texts[-1] = decimal(moved[-1], shape.form.angle_digits)
    return texts, notes


def _made(root: etree._Element, path: str) -> etree._Element:
    """The element at ``path``, made if it is missing."""
    for name in path.split("/"):
        element = root.find(name)
        root = etree.SubElement(root, name) if element is None else element
    return root


def _encoded(settings: ResizeSettings, source: photo.Photo, target: WholeSize) -> bytes:
    unchanged = target == source.upright and source.orientation == exif.UPRIGHT
    if unchanged and source.format in ("jpeg", "png"):
        return source.data
    if source.format == "png":
        return pixels.encode_png(source.picture)
    return pixels.encode_jpeg(source.picture, settings.jpeg_quality)


def _suffix(name: str, kind: str) -> str:
    """The suffix that tells the truth, the photo's own where it does."""
    kind = "png" if kind == "png" else "jpeg"
    own = os.path.splitext(name)[1]
    return own if own.lower() in photo.SUFFIXES[kind] else photo.SUFFIXES[kind][0]


def _write_lists(job: Job, split: Split, items: List[NamedPair]) -> None:
    """The lists of the dataset's own split with the pictures' new names; folders of a split come along as they are."""
    if split.source != "imagesets":
        return
    for side, name in (("train", "train.txt"), ("validation", "val.txt"), ("test", "test.txt")):
        stems = sorted(item.stem for item in items if split.sides.get(item.pair.photo) == side)
        if stems:
            lines = "".join(stem + "\n" for stem in stems)
            disk.write(os.path.join(job.output, "ImageSets", "Main", name), lines.encode())


def main(job: Job) -> None:
    """Write ``JPEGImages/``, ``Annotations/``, ``ImageSets/Main/`` where the dataset has such, and ``findings.jsonl``.

    Raises:
        BadInput: nothing to read, or nothing that can be used.
        StageFailed: the disk does not take it.
    """
    parameters = job.read(ResizeParameters)
    folders = Folders(job.inputs["photos"], job.inputs["annotations"])
    settings = ResizeSettings(
        folders,
        parameters.max_megapixels,
        job.output,
        parameters.long_side,
        parameters.jpeg_quality,
        Reading(parameters.boxes, parameters.sizes),
    )
    there = files_of(folders)
    with FindingLog(job.scratch, policies({})) as log:
        with log.noting() as findings:
            found = pairs(folders, there, findings)
        items = named(shuffled(found, 0, parameters.limit))
        images = 0
        for done, (made, more) in enumerate(workers.in_order(partial(make, settings), items, job.cpus), 1):
            images += made
            log.note(more)
            job.progress(done, len(items))
        if not images:
            raise BadInput("None of the pictures can be used. For instance %s" % log.first_of(DROP).sentence())
        _write_lists(
            job, own_split("auto", found, folders, job.inputs.get("image_sets"), Findings(policies({}))), items
        )
        log.publish(job.out(FILE))
    if log.kinds:
        job.warn("The data has flaws, listed in findings.jsonl: %s." % summary(log.kinds))
        for line in log.lines():
            job.warn(line)
    photos = len(items) if parameters.limit else len(there.photos)
    job.metrics(images=images, dropped=photos - images, findings=sum(log.kinds.values()))


if __name__ == "__main__":
    run(main)
