"""Photos and XML files that are in no pair, or in none that the dataset's split names: what is left out with them."""

from functools import partial
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from stages.data.accounts import Accounts
from stages.data.annotation_spool import AnnotationSpool, unpacked
from stages.data.findings import DataFinding
from stages.data.losses import Losses
from stages.data.pairing.pairing import DatasetFiles, Pair
from stages.data.picture_record import RecordSettings, objects_in
from stages.data.survey import chunked
from stages.finding_kinds import DROP
from stages.workers import Pool

WITHOUT_PHOTO = ("no_image", "unread_format")  # kinds that stand for a picture that is not among the photos
CHUNK = 50  # XML files that a process does at a time


class Unused(NamedTuple):
    """``photos`` of all photos that count are in no item, nor are ``xmls``; ``kinds`` has, for each file left out, why.

    ``pictures`` are all of the dataset: its photos, and what has XML but no photo that can be read.
    """

    photos: int
    xmls: List[str]
    without_photo: int
    pictures: int
    kinds: Dict[str, str]


def left_out(there: DatasetFiles, items: List[Pair], findings: List[DataFinding]) -> Unused:
    """What is in no item, by the findings of pairing and of the dataset's split."""
    dropped = [one for one in findings if one.action == DROP]
    without_photo = sum(one.kind in WITHOUT_PHOTO for one in dropped)
    photos, used = len(there.photos), {pair.xml for pair in items}
    xmls = [xml for xml in there.xmls if xml not in used]
    kinds = {one.file: one.kind for one in dropped}
    return Unused(photos - len(items), xmls, without_photo, photos + without_photo, kinds)


def count_losses(found: Unused, losses: Losses) -> None:
    """A picture for each finding; of names that are ambiguous, for each photo."""
    for file, kind in found.kinds.items():
        if kind != "ambiguous_name" or not file.lower().endswith(".xml"):
            losses.picture(kind, 0)


def count_boxes(
    settings: RecordSettings,
    found: List[Pair],
    left: Unused,
    annotations: AnnotationSpool,
    pool: Pool,
    accounts: Accounts,
) -> None:
    """Count as dropped what is left out, and the objects of its XML; ``found`` were paired."""
    photo_of: Dict[Optional[str], str] = {pair.xml: pair.photo for pair in found}
    accounts.dataset.drop(left.photos + left.without_photo, 0, 0)
    tasks = ([(xml, annotations.get(xml)) for xml in chunk] for chunk in chunked(left.xmls, CHUNK))
    counts = (one for chunk in pool.in_order(partial(_counts, settings), tasks) for one in chunk)
    for xml, (written, listed) in zip(left.xmls, counts):
        accounts.dataset.drop(0, written, listed)
        kind = left.kinds.get(xml) or left.kinds.get(photo_of.get(xml, ""))
        if kind:
            accounts.losses.boxes(kind, listed)


def _counts(settings: RecordSettings, xmls: Sequence[Tuple[str, Optional[bytes]]]) -> List[Tuple[int, int]]:
    """The objects in XML files, of which some have been read."""
    boxes = settings.reading.boxes
    read = (unpacked(data) if data else settings.folders.read(xml, boxes) for xml, data in xmls)
    return [objects_in(settings, one.said) for one in read]
