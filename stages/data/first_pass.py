"""Before the long work: the XML of all pictures, each read once, and the heads of their photos."""

import hashlib
import json
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from stages import files
from stages.data.annotation_spool import AnnotationSpool, packed, unpacked
from stages.data.pairing.pairing import Pair
from stages.data.picture_record import RecordSettings, key_of
from stages.data.survey import CHUNK, PictureSurvey, Survey, SurveySettings, chunked, look
from stages.workers import Pool

DIGEST = 32  # bytes
READ_BYTES = 1 << 20


class ReadingTask(NamedTuple):
    """Pairs, each with its XML if it has been read already, and whether its photo's digest is wanted."""

    pairs: Sequence[Pair]
    xmls: List[Optional[bytes]]
    hashed: List[bool]


class SeenPair(NamedTuple):
    """What a pair shows: its XML, packed (None without one, or if it was given), and the digests of XML and photo,
    empty where there is none, or none was wanted."""

    survey: PictureSurvey
    xml: Optional[bytes]
    xml_digest: bytes
    photo_digest: bytes


class PictureKeys:
    """The key of each picture in the order of the items, in 32 bytes; all zero where it is not known."""

    def __init__(self) -> None:
        self._keys = bytearray()

    def add(self, key: str) -> None:
        """The next picture's; empty where it is not known."""
        self._keys += bytes.fromhex(key) if key else bytes(DIGEST)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self._keys), DIGEST):
            key = bytes(self._keys[start : start + DIGEST])
            yield key.hex() if any(key) else ""


def photo_digests(path: Optional[str]) -> Dict[str, bytes]:
    """The SHA-256 of photos whose bytes are known, from the file in which whoever started the stage says them."""
    if not path:
        return {}
    try:
        found: Any = json.loads(files.read(path).decode("utf-8"))["photos"]
        return {str(name): bytes.fromhex(digest) for name, digest in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}  # then the photos are read


def first_pass(
    settings: RecordSettings,
    items: List[Pair],
    annotations: AnnotationSpool,
    digests: Optional[Dict[str, bytes]],
    pool: Pool,
    progress: Callable[[int], None],
) -> Tuple[Survey, PictureKeys]:
    """What all pairs show, their XML put into ``annotations``; and the keys of their records.

    ``digests`` are those of photos; where they lack one, it is read. None: no key is wanted.
    """
    survey, keys = Survey(), PictureKeys()
    settings_digest = settings.digest()
    reading = SurveySettings(
        settings.folders, settings.reading, settings.image_size, settings.policy, settings.max_megapixels
    )

    def tasks() -> Iterator[ReadingTask]:
        for chunk in chunked(items, CHUNK):
            xmls = [annotations.get(pair.xml) if pair.xml else None for pair in chunk]
            yield ReadingTask(chunk, xmls, [digests is not None and pair.photo not in digests for pair in chunk])

    results = (seen for chunk in pool.in_order(partial(_seen, reading), tasks()) for seen in chunk)
    for done, (pair, seen) in enumerate(zip(items, results), 1):
        survey.add(seen.survey)
        if pair.xml and seen.xml is not None:
            annotations.add(pair.xml, seen.xml)
        photo = (digests or {}).get(pair.photo, seen.photo_digest)
        keys.add(key_of(settings_digest, pair, photo, seen.xml_digest) if photo else "")
        if done % CHUNK == 0 or done == len(items):
            progress(done)
    return survey, keys


def _seen(settings: SurveySettings, task: ReadingTask) -> List[SeenPair]:
    """In a process: what the pairs of a task show."""
    return [_seen_pair(settings, *one) for one in zip(task.pairs, task.xmls, task.hashed)]


def _seen_pair(settings: SurveySettings, pair: Pair, given: Optional[bytes], hashed: bool) -> SeenPair:
    digest = _digest(settings.folders.photo(pair.photo)) if hashed else b""
    if pair.xml is None:
        return SeenPair(look(settings, pair, None), None, b"", digest)
    xml = unpacked(given) if given else settings.folders.read(pair.xml, settings.reading.boxes)
    return SeenPair(look(settings, pair, xml.said), None if given else packed(xml), xml.digest, digest)


def _digest(path: str) -> bytes:
    """The SHA-256 of a file, empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with files.opened(path) as stream:
            for piece in iter(lambda: stream.read(READ_BYTES), b""):
                digest.update(piece)
    except OSError:
        return b""
    return digest.digest()
