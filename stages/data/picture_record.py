"""From a photo and its XML to one framed TFRecord: everything about a picture that needs no other picture."""

import hashlib
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from stages.data import tfrecord
from stages.data.annotation import voc, xml_file
from stages.data.annotation.frame import Reading, Turned, frame_of
from stages.data.annotation.objects import LabelledBox, ObjectFilter
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.findings import DataFinding, Findings
from stages.data.pairing.pairing import Folders, Pair
from stages.data.photo import encoding, photo
from stages.data.split import looks


class RecordSettings(NamedTuple):
    """What is the same for all pictures; ``image_size`` is (height, width), ``policy`` has every finding kind."""

    folders: Folders
    reading: Reading
    max_megapixels: int
    vocabulary: Vocabulary
    image_size: Tuple[int, int]
    encoding: str
    jpeg_quality: int
    policy: Dict[str, str]


class PictureRecord(NamedTuple):
    """A picture's record as ``tfrecord.framed`` gives it (None: it cannot be used) and its facts.

    ``digest`` is the SHA-256 of the photo's file and ``look`` what ``looks.look`` gives; ``facts`` are the index's keys
    that hang on the picture alone; ``written`` counts the objects in the XML, ``listed`` those of listed classes.
    """

    framed: Optional[bytes]
    digest: bytes
    look: bytes
    facts: Dict[str, Any]
    findings: List[DataFinding]
    written: int
    listed: int


def make(settings: RecordSettings, pair: Pair) -> PictureRecord:
    """The record of a pair.

    Raises:
        BadInput: a finding whose policy is to fail.
    """
    findings = Findings(settings.policy)
    xml = xml_file.load(settings.folders, pair, findings)
    source = xml and photo.load(
        settings.folders.photo(pair.photo), pair.photo, settings.max_megapixels, lambda _: settings.image_size, findings
    )
    if xml is None or source is None:
        return PictureRecord(None, b"", b"", {}, findings.found, *objects_in(settings, pair.xml))
    frame = frame_of(xml.root, pair, Turned(source.orientation, source.upright), settings.reading, findings)
    if frame is None:
        return PictureRecord(None, b"", b"", {}, findings.found, *objects_in(settings, pair.xml))
    objects: List[voc.VocObject] = []
    labelled: Optional[List[LabelledBox]] = []
    if xml.root is not None:
        objects = voc.objects_of(xml.root, settings.reading.boxes)
        object_filter = ObjectFilter(settings.vocabulary, settings.image_size, frame, str(pair.xml), findings)
        labelled = object_filter.kept(objects, voc.stray(xml.root))
    listed = _listed(settings, objects)
    if labelled is None:
        return PictureRecord(None, b"", b"", {}, findings.found, len(objects), listed)
    encoded = encoding.encoded(source, settings.encoding, settings.jpeg_quality)
    content = _example(settings, pair.photo, encoded, labelled)
    return PictureRecord(
        tfrecord.framed(content),
        hashlib.sha256(source.data).digest(),
        looks.look(source.picture),
        _facts(pair.photo, source.upright, labelled),
        findings.found,
        len(objects),
        listed,
    )


def objects_in(settings: RecordSettings, xml: Optional[str]) -> Tuple[int, int]:
    """How many objects an XML file has, and how many of them are of listed classes; none if it cannot be parsed."""
    try:
        objects = voc.parse(settings.folders.xml(xml), settings.reading.boxes).objects if xml else []
    except voc.Damaged:
        return 0, 0
    return len(objects), _listed(settings, objects)


def _listed(settings: RecordSettings, objects: List[voc.VocObject]) -> int:
    return sum(_is_listed(settings, one.name) for one in objects)


def _is_listed(settings: RecordSettings, name: str) -> bool:
    """Whether an object of that name in the XML is of a listed class, or of one that is nearly written so."""
    return settings.vocabulary.id_of(name) is not None or bool(settings.vocabulary.nearly(name))


def _facts(name: str, size: Tuple[int, int], labelled: List[LabelledBox]) -> Dict[str, Any]:
    yxyx = [[one.box[1], one.box[0], one.box[3], one.box[2]] for one in labelled]
    return {
        "source_id": name,
        "width": size[0],
        "height": size[1],
        "boxes": yxyx,
        "classes": [one.class_id for one in labelled],
    }


def _example(settings: RecordSettings, name: str, encoded: bytes, labelled: List[LabelledBox]) -> bytes:
    """The tf.train.Example with the keys of object_detection's ``create_pascal_tf_record``."""
    integers = {
        "image/height": [settings.image_size[0]],
        "image/width": [settings.image_size[1]],
        "image/object/class/label": [one.class_id for one in labelled],
        "image/object/difficult": [int(one.source.difficult) for one in labelled],
        "image/object/truncated": [int(one.source.truncated) for one in labelled],
    }
    floats = {"image/object/bbox/" + edge: [one.box[place] for one in labelled] for place, edge in enumerate(voc.EDGES)}
    texts = {
        "image/filename": [os.fsencode(os.path.basename(name))],
        "image/source_id": [os.fsencode(name)],
        "image/key/sha256": [hashlib.sha256(encoded).hexdigest().encode()],
        "image/encoded": [encoded],
        "image/format": [settings.encoding.encode()],
        "image/object/class/text": [settings.vocabulary.classes[one.class_id - 1].encode() for one in labelled],
        "image/object/view": [one.source.view.encode() for one in labelled],
    }
    return tfrecord.example(integers, floats, texts)
