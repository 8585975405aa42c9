"""From a photo and its XML to one framed TFRecord: everything about a picture that needs no other picture."""

import hashlib
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from stages import record_index
from stages.data import tfrecord
from stages.data.annotation import voc
from stages.data.annotation.frame import Reading, Turned, frame_of
from stages.data.annotation.objects import LabelledBox, ObjectFilter
from stages.data.annotation.vocabulary import Vocabulary
from stages.data.findings import DataFinding, Findings
from stages.data.pairing.pairing import Folders, Pair, XmlFile
from stages.data.photo import encoding, photo
from stages.data.split import looks
from stages.finding_kinds import DROP, FIX, KINDS

DIGEST = 32  # bytes of a SHA-256, and of a look
FORM = 1  # of what is written here; another one makes all records anew


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

    def digest(self) -> bytes:
        """32 bytes, other ones for all settings with which a picture's record may be another: not for its folders."""
        rest = {name: value for name, value in self._asdict().items() if name not in ("folders", "vocabulary")}
        told = [FORM, self.vocabulary.classes, self.vocabulary.aliases, rest]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()


class ReadPair(NamedTuple):
    """A photo and what its XML says, None if it has none."""

    pair: Pair
    xml: Optional[XmlFile]


class PictureRecord(NamedTuple):
    """What was made of a picture.

    Attributes:
        key: 64 hex digits, other ones for every other photo, XML and settings; empty where the photo cannot be read.
        digest: the SHA-256 of the photo's file.
        look: what ``looks.look`` gives.
        facts: the index's keys that hang on the picture alone; none where it cannot be used.
        findings: what is wrong with it.
        written: how many objects the XML has, and ``listed`` how many of listed classes.
        checksum: of its record, as it stands at the end of its frame, in hex digits; empty where it has no record.
        at: the ``shard``, ``offset`` and ``length`` of its record's frame in an artifact, None where it is in none.
    """

    key: str
    digest: bytes
    look: bytes
    facts: Dict[str, Any]
    findings: List[DataFinding]
    written: int
    listed: int
    checksum: str
    at: Optional[Dict[str, Any]] = None

    def text(self) -> bytes:
        """As a line of JSON that begins with the key."""
        return json.dumps(dict(self._asdict(), digest=self.digest.hex(), look=self.look.hex())).encode()


def of_text(text: bytes) -> PictureRecord:
    """What ``PictureRecord.text`` was made of.

    Raises:
        ValueError, LookupError, TypeError: it is no such text.
    """
    try:
        document: Dict[str, Any] = json.loads(text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    for name in ("digest", "look"):
        document[name] = bytes.fromhex(document[name])
    record = PictureRecord(**dict(document, findings=[DataFinding(*one) for one in document["findings"]]))
    if not (_is_sound(record) and all(_is_sound_finding(one) for one in record.findings)):
        raise ValueError("it has a value of another type")
    if record.facts:
        record_index.check_facts(record.facts)
    return record


def _is_sound(record: PictureRecord) -> bool:
    texts = isinstance(record.key, str) and isinstance(record.checksum, str) and isinstance(record.facts, dict)
    digests = len(record.digest) == DIGEST * bool(record.key) and len(record.look) == DIGEST * bool(record.facts)
    return texts and digests and record_index.is_whole(record.written) and record_index.is_whole(record.listed)


def _is_sound_finding(one: DataFinding) -> bool:
    places = all(place is None or record_index.is_whole(place) for place in (one.object, one.line))
    return places and one.kind in KINDS and one.action in (DROP, FIX) and {type(one.file), type(one.message)} == {str}


def key_of(settings_digest: bytes, pair: Pair, photo_digest: bytes, xml_digest: bytes) -> str:
    """``PictureRecord.key``; ``settings_digest`` is that of ``RecordSettings``, the others of the files' bytes."""
    names = json.dumps(pair).encode()
    return hashlib.sha256(b"".join((settings_digest, photo_digest, xml_digest.ljust(32, b"\0"), names))).hexdigest()


def make(settings: RecordSettings, picture: ReadPair) -> Tuple[PictureRecord, bytes]:
    """What was made of a picture, and its record as ``tfrecord.framed`` gives it; empty if it cannot be used.

    Raises:
        BadInput: a finding whose policy is to fail.
    """
    findings, pair, said = Findings(settings.policy), picture.pair, picture.xml and picture.xml.said
    counts = objects_in(settings, said)
    source = None
    if _is_usable(said, pair, findings):
        source = photo.load(
            settings.folders.photo(pair.photo),
            pair.photo,
            settings.max_megapixels,
            lambda _: settings.image_size,
            findings,
        )
    if source is None:
        return PictureRecord("", b"", b"", {}, findings.found, *counts, ""), b""
    digest = hashlib.sha256(source.data).digest()
    key = key_of(settings.digest(), pair, digest, picture.xml.digest if picture.xml else b"")
    annotation = said if isinstance(said, voc.Annotation) else None
    labelled = _labelled(settings, pair, annotation, Turned(source.orientation, source.upright), findings)
    if labelled is None:
        return PictureRecord(key, digest, b"", {}, findings.found, *counts, ""), b""
    encoded = encoding.encoded(source, settings.encoding, settings.jpeg_quality)
    framed = tfrecord.framed(_example(settings, pair.photo, encoded, labelled))
    facts, look = _facts(pair.photo, source.upright, labelled), looks.look(source.picture)
    return PictureRecord(key, digest, look, facts, findings.found, *counts, tfrecord.checksum(framed)), framed


def _is_usable(said: Optional[voc.Said], pair: Pair, findings: Findings) -> bool:
    """Whether what an XML says can be used, or does not matter."""
    if not isinstance(said, voc.XmlFault):
        return True
    return findings.fixes(said.kind, str(pair.xml), said.message, (None, said.line))


def _labelled(
    settings: RecordSettings, pair: Pair, annotation: Optional[voc.Annotation], source: Turned, findings: Findings
) -> Optional[List[LabelledBox]]:
    """The objects for the record of a picture, None if it cannot be used."""
    frame = frame_of(annotation, pair, source, settings.reading, findings)
    if frame is None or annotation is None:
        return None if frame is None else []
    object_filter = ObjectFilter(settings.vocabulary, settings.image_size, frame, str(pair.xml), findings)
    return object_filter.kept(annotation.objects, annotation.stray)


def objects_in(settings: RecordSettings, said: Optional[voc.Said]) -> Tuple[int, int]:
    """How many objects an XML file has, and how many of them are of listed classes; none if it cannot be parsed."""
    objects = said.objects if isinstance(said, voc.Annotation) else []
    return len(objects), sum(_is_listed(settings, one.name) for one in objects)


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
