"""Which XML file belongs to which photo: their names decide. And the order in which pictures are taken."""

import hashlib
import os
from typing import Callable, List, NamedTuple, Optional, Tuple

from stages import files
from stages.data.annotation import voc
from stages.data.findings import Findings
from stages.data.pairing.matching import Matching
from stages.data.pairing.unpaired import chosen, tell_unpaired
from stages.files import PICTURE_SUFFIXES, UNREAD_SUFFIXES
from stages.job import BadInput

XML = ".xml"
# PASCAL VOC's pictures of outlines, under the names of the photos: nothing to train on, and none of them is missed.
MASK_FOLDERS = ("segmentationclass", "segmentationobject")


class Pair(NamedTuple):
    """A photo and its XML, paths below their folders with ``/``; ``xml`` is None for a picture without objects."""

    photo: str
    xml: Optional[str]


class XmlFile(NamedTuple):
    """An XML file that was read: what it says, and the SHA-256 of its bytes (none where they cannot be read)."""

    said: voc.Said
    digest: bytes


class Folders(NamedTuple):
    """The two folders of a dataset, which may be one and the same."""

    photos: str
    annotations: str

    def photo(self, name: str) -> str:
        """The path of a photo."""
        return os.path.join(self.photos, name)

    def xml(self, name: str) -> bytes:
        """The bytes of an XML file.

        Raises:
            voc.Damaged: it cannot be read, or is larger than any annotation.
        """
        try:
            return files.read(os.path.join(self.annotations, name), voc.MOST_BYTES)
        except OSError as error:
            raise voc.Damaged("the XML cannot be read: %s" % error.strerror) from error

    def read(self, name: str, boxes: str = "auto") -> XmlFile:
        """An XML file, parsed; ``boxes`` is what the four numbers of a box are (``dataset.boxes``)."""
        try:
            data = self.xml(name)
        except voc.Damaged as error:
            return XmlFile(voc.XmlFault(error.kind, str(error), error.line), b"")
        return XmlFile(voc.said(data, boxes), hashlib.sha256(data).digest())


def files_below(folder: str, suffixes: Tuple[str, ...]) -> List[str]:
    """The files that count (stages/files.py) below ``folder`` with one of these suffixes, in any case, sorted.

    Raises:
        BadInput: there is no such folder, or it cannot be read.
    """
    if not os.path.isdir(folder):
        raise BadInput("There is no folder %s: name the folder that holds the files." % folder)
    try:
        return files.names_below(folder, suffixes)
    except OSError as error:
        raise BadInput("The folder %s cannot be read: %s." % (folder, error.strerror)) from error


class DatasetFiles(NamedTuple):
    """What a dataset's folders hold, each sorted: photos without VOC's masks, pictures in formats that are not read."""

    photos: List[str]
    unread: List[str]
    xmls: List[str]


def files_of(folders: Folders) -> DatasetFiles:
    """The files of a dataset, by one walk through each folder, or through the one that is both.

    Raises:
        BadInput: a folder is missing, or holds no photo or no XML.
    """
    both = folders.photos == folders.annotations
    seen = files_below(folders.photos, PICTURE_SUFFIXES + UNREAD_SUFFIXES + (XML,) * both)
    photos, unread = _pictures_in([one for one in seen if not one.lower().endswith(XML)])
    xmls = [one for one in seen if one.lower().endswith(XML)] if both else files_below(folders.annotations, (XML,))
    if not photos:
        more = ", but " + files.unread_words(unread) if unread else ""
        raise BadInput("There is no photo (%s) in %s%s." % (", ".join(PICTURE_SUFFIXES), folders.photos, more))
    if not xmls:
        raise BadInput("There is no VOC XML file in %s: label the photos first." % folders.annotations)
    return DatasetFiles(photos, unread, xmls)


def pairs(
    folders: Folders, there: DatasetFiles, findings: Findings, said: Optional[Callable[[str], voc.Said]] = None
) -> List[Pair]:
    """Every photo with its XML, sorted by photo; what has no partner is a finding.

    A photo's XML has the same name: at the same place below its folder, or else in the folder nearest to the photo's.
    What is left is matched by the XML's ``<filename>``, ``<folder>`` and ``<path>``, and then by names that differ only
    in how they are written. Where nothing tells which of several is meant, none is taken.

    Args:
        said: gives what an XML file says, where it has been read for other reasons, too; None: they are read here.
    """
    matching = Matching(said or (lambda xml: folders.read(xml).said), *there).run()
    found = [Pair(photo, xml) for xml, photo in chosen(matching, findings).items() if _is_read(photo, xml, findings)]
    return sorted(found + [Pair(photo, None) for photo in tell_unpaired(matching, there.photos, findings)])


def _pictures_in(seen: List[str]) -> Tuple[List[str], List[str]]:
    """The photos, and the pictures in formats that are not read."""
    pictures = [one for one in seen if not any(name in MASK_FOLDERS for name in one.lower().split("/")[:-1])]
    photos = [one for one in pictures if one.lower().endswith(PICTURE_SUFFIXES)]
    return photos, [one for one in pictures if not one.lower().endswith(PICTURE_SUFFIXES)]


def _is_read(photo: str, xml: str, findings: Findings) -> bool:
    return photo.lower().endswith(PICTURE_SUFFIXES) or findings.fixes(
        "unread_format", photo, "it is in a format that is not read, and %s labels it" % xml, fixable=False
    )


def place_of(seed: int, photo: str) -> bytes:
    """Where a photo comes in an order that looks random but hangs on its name and the seed alone: 32 bytes to sort by,
    evenly distributed."""
    return hashlib.sha256(b"%d:%s" % (seed, os.fsencode(photo))).digest()


def shuffled(items: List[Pair], seed: int, limit: int) -> List[Pair]:
    """``limit`` of the pairs (0: all) in the order of ``place_of``.

    So records come ready mixed, a trial sees all kinds of pictures, and a new photo changes no two others' order. Which
    of them a trial takes is told by the other half of these bytes, so that its places are as evenly distributed.
    """
    if limit:
        items = sorted(items, key=lambda pair: place_of(seed, pair.photo)[16:])[:limit]
    return sorted(items, key=lambda pair: place_of(seed, pair.photo))
