"""Which XML file belongs to which photo: their names decide. And the order in which pictures are taken."""

import hashlib
import os
import unicodedata
from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from stages import files
from stages.data import voc
from stages.data.findings import Findings
from stages.files import PICTURE_SUFFIXES
from stages.job import BadInput


class Pair(NamedTuple):
    """A photo and its XML, paths below their folders with ``/``; ``xml`` is None for a picture without objects."""

    photo: str
    xml: Optional[str]


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


def pairs(folders: Folders, findings: Findings) -> List[Pair]:
    """Every photo with its XML, sorted by photo; what has no partner is a finding.

    A photo's XML has the same name: at the same place below its folder, or else anywhere if the name is there only
    once. What is left is matched by the XML's ``<filename>``, whatever path of another machine it carries.

    Raises:
        BadInput: a folder is missing, or holds no photo or no XML.
    """
    photos, xmls = files_below(folders.photos, PICTURE_SUFFIXES), files_below(folders.annotations, (".xml",))
    if not photos:
        raise BadInput("There is no photo (%s) in %s." % (", ".join(PICTURE_SUFFIXES), folders.photos))
    if not xmls:
        raise BadInput("There is no VOC XML file in %s: label the photos first." % folders.annotations)
    matching = _Matching(folders, photos, findings)
    for candidates in (matching.same_place, matching.same_name, matching.named_inside):
        matching.settle({xml: candidates(xml) for xml in xmls if xml not in matching.settled})
    for xml in xmls:
        if xml not in matching.settled:
            findings.fixes("no_image", xml, "no photo has the name of this XML file")
    lone = [
        photo
        for photo in photos
        if photo not in matching.settled and findings.fixes("no_xml", photo, "no XML file has the name of this photo")
    ]
    return sorted([Pair(*item) for item in matching.xml_of.items()] + [Pair(photo, None) for photo in lone])


class _Matching:
    """XML files finding their photos: by ever weaker reasons, each only where no two XML files want one photo."""

    def __init__(self, folders: Folders, photos: List[str], findings: Findings) -> None:
        self.folders, self.findings = folders, findings
        self.xml_of: Dict[str, str] = {}
        self.settled: Set[str] = set()
        self.by_place, self.by_stem, self.by_name = _indexes(photos)

    def same_place(self, xml: str) -> List[str]:
        return self.by_place.get(_stem(xml), [])

    def same_name(self, xml: str) -> List[str]:
        return self.by_stem.get(_last(_stem(xml)), [])

    def named_inside(self, xml: str) -> List[str]:
        """The photos that the XML's ``<filename>`` may mean, its suffix being optional."""
        name = self._filename(xml)
        return self.by_name.get(name) or self.by_stem.get(name) or self.by_stem.get(_stem(name), [])

    def settle(self, wishes: Dict[str, List[str]]) -> None:
        """Give each XML file its photo of those that it wishes for, unless another wishes for it, too."""
        free = {xml: [photo for photo in photos if photo not in self.settled] for xml, photos in wishes.items()}
        wanted = Counter(photo for photos in free.values() for photo in photos)
        for xml, photos in free.items():
            if photos and all(wanted[photo] == 1 for photo in photos):
                self._choose(xml, photos)

    def _choose(self, xml: str, photos: List[str]) -> None:
        chosen = photos if len(photos) == 1 else [one for one in photos if _last(_plain(one)) == self._filename(xml)]
        if len(photos) > 1 and not self.findings.fixes(
            "same_name", xml, "it could mean %s" % " or ".join(photos), fixable=len(chosen) == 1
        ):
            self.settled.update(photos, [xml])
            return
        self.xml_of[chosen[0]] = xml
        self.settled.update(chosen, [xml])

    def _filename(self, xml: str) -> str:
        try:
            said = voc.parse(self.folders.xml(xml)).filename
        except voc.Damaged:
            return ""
        return _last(_plain(said.replace("\\", "/")))


def _indexes(photos: List[str]) -> List[Dict[str, List[str]]]:
    """The photos by place without suffix, by last name without suffix, and by last name."""
    indexes: List[Dict[str, List[str]]] = [{}, {}, {}]
    for photo in photos:
        for index, key in zip(indexes, (_stem(photo), _last(_stem(photo)), _last(_plain(photo)))):
            index.setdefault(key, []).append(photo)
    return indexes


def _plain(path: str) -> str:
    """The path with composed letters: macOS stores accents apart from their letters, other systems do not."""
    return unicodedata.normalize("NFC", path)


def _stem(path: str) -> str:
    return os.path.splitext(_plain(path))[0]


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def shuffled(items: List[Pair], seed: int, limit: int) -> List[Pair]:
    """The first ``limit`` pairs (0: all) in an order that looks random but hangs on the photos' names and the seed.

    So records come ready mixed, a trial sees all kinds of pictures, and a new photo changes no two others' order.
    """
    order = sorted(items, key=lambda pair: hashlib.sha256(b"%d:%s" % (seed, os.fsencode(pair.photo))).digest())
    return order[:limit] if limit else order
