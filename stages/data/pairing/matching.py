"""XML files finding their photos: by ever weaker reasons, and never where two of them want one photo."""

import itertools
import os
from collections import Counter
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from stages.data.annotation.voc import Annotation, Said
from stages.data.annotation.vocabulary import composed
from stages.data.pairing.names import endings_of, folder_of, grouped, in_words, last, loosened, own_name, stem
from stages.data.pairing.nearness import FAR, Nearness, nearest, nearness
from stages.files import PICTURE_SUFFIXES, UNREAD_SUFFIXES


class Hint(NamedTuple):
    """What an XML file says of its photo: the name, and the folders it gives, nearest to the name last.

    ``damage`` is why it says nothing, where it is no annotation.
    """

    name: str
    folders: List[str]
    damage: str = ""


class SameName(NamedTuple):
    """Photos and XML files of one name, some of which found no partner."""

    photos: List[str]
    xmls: List[str]


class Want(NamedTuple):
    """An XML file that wants the photo in a place; there may be several, such as a.jpg and a.png.

    ``alone``: there were no others to choose from.
    """

    nearness: Nearness
    xml: str
    photos: List[str]
    alone: bool = False


class Matching:
    """Which photos each XML file means.

    Attributes:
        photos_of: XML file -> its photo; several where they are in one place under one name.
        xml_of: photo -> its XML file.
        groups: where names alone left several to choose from, the strongest reason first.
        doubts: XML file -> why the photo that it seems to mean was not given to it.
    """

    def __init__(self, read: Callable[[str], Said], photos: List[str], unread: List[str], xmls: List[str]) -> None:
        """``read`` gives what an XML file says; ``unread`` are pictures in formats that are not read, which keep their
        XML from going to others' photos."""
        places = {stem(photo) for photo in photos}
        self._unread = [one for one in unread if stem(one) not in places]
        self._read, self._photos, self._xmls = read, photos, xmls
        self.photos_of: Dict[str, List[str]] = {}
        self.xml_of: Dict[str, str] = {}
        self.groups: List[SameName] = []
        self.doubts: Dict[str, str] = {}
        self._hints: Dict[str, Hint] = {}
        self._kin = _Kin()

    def run(self) -> "Matching":
        """Match what can be matched."""
        pictures = self._photos + self._unread
        self._settle(self._same_place(pictures))
        if self.left():
            by_stem, named = grouped(self._xmls, own_name), _Named(pictures)
            self._kin.learn(named.by_stem.values(), by_stem.values())
            self._settle(self._by_name(named.of, by_stem))
            if self._unread:
                self._settle(self._by_name(_Named(self._photos).of, by_stem))
            self._by_what_they_say(named)
        if self.left():
            loose = grouped(pictures, _loose_name)
            self._settle(self._by_name(lambda name: loose.get(name, []), grouped(self._xmls, _loose_name)))
            said = self._said(lambda xml: loosened(self.hint(xml).name))
            self._settle(self._by_name(lambda name: loose.get(name, []), said))
        if self.left():
            self._part_torn()
        return self

    def left(self) -> List[str]:
        """The XML files without a photo."""
        return [xml for xml in self._xmls if xml not in self.photos_of]

    def hint(self, xml: str) -> Hint:
        """What an XML file says of its photo; nothing where it cannot be read."""
        if xml not in self._hints:
            self._hints[xml] = _hint(self._read(xml))
        return self._hints[xml]

    def _part_torn(self) -> None:
        """Take a photo from its XML where another one beside that names it as well, and has objects that this has not:
        they may be two halves of its labels, or two versions. Not where the name is in all of them, as in templates."""
        by_name = grouped(self.xml_of, lambda photo: last(composed(photo)))
        twice = [(photo, xml) for xml in self.left() for photo in by_name.get(self.hint(xml).name, [])]
        times = Counter(self.hint(xml).name for xml in self.photos_of) if twice else Counter()
        torn: Dict[str, List[str]] = {}
        for photo, xml in twice:
            owner, name = self.xml_of[photo], self.hint(xml).name
            named = self.hint(owner).name == name and times[name] == 1 and folder_of(owner) == folder_of(xml)
            if named and self._objects(xml) - self._objects(owner):
                torn.setdefault(photo, []).append(xml)
        for photo, xmls in torn.items():
            owner = self.xml_of.get(photo, "")
            photos = self.photos_of.pop(owner, [])  # none where two photos have that name, but for the form of accents
            for one in photos:
                del self.xml_of[one]
            if photos:
                self.groups.insert(0, SameName(photos, [owner, *xmls]))

    def _objects(self, xml: str) -> Set[Tuple[str, object]]:
        said = self._read(xml)
        return {(one.name, one.numbers or one.box) for one in said.objects} if isinstance(said, Annotation) else set()

    def _same_place(self, pictures: List[str]) -> List[Want]:
        """The same path but for the suffix, or with the photo's suffix before the XML's: a.jpg.xml."""
        places, paths = grouped(pictures, stem), grouped(pictures, composed)
        found = ((xml, places.get(stem(xml)) or paths.get(stem(xml), [])) for xml in self._xmls)
        return [Want(FAR, xml, photos) for xml, photos in found if photos]

    def _by_name(self, photos_of: Callable[[str], List[str]], names: Dict[str, List[str]]) -> List[Want]:
        """For each name the photos and XML files of it whose folders are nearest to each other."""
        wants: List[Want] = []
        for name, xmls in names.items():
            photos = [] if all(xml in self.photos_of for xml in xmls) else photos_of(name)
            if photos:
                self.groups.append(SameName(photos, xmls))
                places = grouped(photos, folder_of)
                matches = nearest(list(places), {xml: folder_of(xml) for xml in xmls})
                alone = len(places) == len(xmls) == 1
                found = [Want(match.nearness, match.xml, places[match.folder], alone) for match in matches]
                mixed = len(places) > 1 and len({os.path.splitext(photo)[1] for photo in photos}) > 1
                wants += [self._as_it_says(want, photos) for want in found] if mixed else found
        return wants

    def _as_it_says(self, want: Want, photos: List[str]) -> Want:
        """The want, or that of the photo that the XML names with its suffix if only what is in folders speaks against
        it: a mask a.png is no a.jpg, even where it lies nearer."""
        name = self.hint(want.xml).name
        said = [photo for photo in photos if last(composed(photo)) == name]
        if not said or any(photo in said for photo in want.photos):
            return want
        near = {photo: nearness(folder_of(photo), folder_of(want.xml)) for photo in said}
        as_near = [photo for photo in said if near[photo][0] >= want.nearness[0]]
        return want._replace(nearness=near[as_near[0]], photos=as_near) if len(as_near) == 1 else want

    def _said(self, key: Callable[[str], str]) -> Dict[str, List[str]]:
        """The XML files without a photo by the name that they say it has."""
        return grouped((xml for xml in self.left() if self.hint(xml).name), key)

    def _by_what_they_say(self, named: "_Named") -> None:
        said = self._said(lambda xml: self.hint(xml).name)
        self._settle(self._by_folders_inside(named, said), sure=True)
        self._settle(self._by_name(named.of, said))

    def _by_folders_inside(self, named: "_Named", said: Dict[str, List[str]]) -> List[Want]:
        """Of the photos with the name that the XML says, the one whose lowest folders are those it says."""
        wants: List[Want] = []
        for name, xmls in said.items():
            places = grouped(named.of(name), folder_of)
            endings = _endings(places)
            for xml in xmls:
                found = (_ending(endings, folder) for folder in self.hint(xml).folders)
                folder = next((one for one in found if one), None)
                if folder:
                    wants.append(Want(FAR, xml, places[folder]))
        return wants

    def _settle(self, wants: List[Want], sure: bool = False) -> None:
        """Give each XML file its photo unless another wants it, too; in an order in which they tell which folders
        belong together. ``sure``: folders need not be asked."""
        free = [
            want._replace(photos=photos)
            for want in wants
            if want.xml not in self.photos_of
            for photos in [[photo for photo in want.photos if photo not in self.xml_of]]
            if photos
        ]
        rivals: Dict[str, List[str]] = {}
        for want in free:
            for photo in want.photos:
                rivals.setdefault(photo, []).append(want.xml)
        for batch in _batches(free):
            fit = [want for want in batch if self._fits(want, rivals, sure)]
            for want in fit:
                self.photos_of[want.xml] = want.photos
                self.xml_of.update((photo, want.xml) for photo in want.photos)
            self._kin.note(fit)

    def _fits(self, want: Want, rivals: Dict[str, List[str]], sure: bool) -> bool:
        most = max((rivals[photo] for photo in want.photos), key=len)
        if len(most) > 1:
            doubt = "but so could %s" % in_words([xml for xml in most if xml != want.xml], "and")
        else:
            doubt = "" if sure else self._kin.doubt(want)
        if doubt:
            self.doubts[want.xml] = doubt
        return not doubt


class _Kin:
    """Which folders of photos and of XML belong together, as far as is known.

    Where names begin anew in each folder, frame_000001 in every one, a name that happens to be left once is no reason:
    its photo is missing in one folder, and its XML in another.
    """

    def __init__(self) -> None:
        self._xml_folders: Dict[str, Set[str]] = {}
        self._photo_folders: Dict[str, Set[str]] = {}
        self._anew: Set[Tuple[str, str]] = set()

    def learn(self, photos: Iterable[List[str]], xmls: Iterable[List[str]]) -> None:
        """Where names begin anew, from files of one name each."""
        for side, groups in (("photo", photos), ("xml", xmls)):
            for group in groups:
                folders = {folder_of(one) for one in group} if len(group) > 1 else set()
                if len(folders) > 1:
                    self._anew.update((side, folder) for folder in folders)

    def note(self, wants: List[Want]) -> None:
        """Remember what was settled."""
        for want in wants:
            photos, xmls = folder_of(want.photos[0]), folder_of(want.xml)
            self._xml_folders.setdefault(photos, set()).add(xmls)
            self._photo_folders.setdefault(xmls, set()).add(photos)

    def doubt(self, want: Want) -> str:
        """Why the two do not belong together; empty if nothing speaks against it."""
        photos, xmls = folder_of(want.photos[0]), folder_of(want.xml)
        anew = [("photo", photos) in self._anew, ("xml", xmls) in self._anew]
        known = self._xml_folders.get(photos, set()), self._photo_folders.get(xmls, set())
        if not any(anew) or xmls in known[0]:
            return ""
        if all(known):
            theirs = in_words([one or "the top folder" for one in sorted(known[1])])
            return "but the XML files beside it belong to photos in %s" % theirs
        apart = all(want.nearness[0] < nearness(one, one)[0] for one in (photos, xmls))
        return (
            "but names begin anew in each folder, and theirs are others" if want.alone and all(anew) and apart else ""
        )


class _Named:
    """Pictures by name: without suffix, or else with it."""

    def __init__(self, pictures: List[str]) -> None:
        self.by_stem = grouped(pictures, own_name)
        self._pictures = pictures
        self._by_name: Dict[str, List[str]] = {}

    def of(self, name: str) -> List[str]:
        """The pictures that a name can mean, one with a suffix or without."""
        bare, suffix = os.path.splitext(name)
        if name in self.by_stem or suffix.lower() not in PICTURE_SUFFIXES + UNREAD_SUFFIXES:
            return self.by_stem.get(name, [])
        if not self._by_name:
            self._by_name = grouped(self._pictures, lambda picture: last(composed(picture)))
        return self._by_name.get(name) or self.by_stem.get(bare, [])


def _loose_name(path: str) -> str:
    return loosened(own_name(path))


def _hint(said: Said) -> Hint:
    if not isinstance(said, Annotation):
        return Hint("", [], said.message)
    filename, path, folder = (
        composed(text.replace("\\", "/")).rstrip("/") for text in (said.filename, said.path, said.folder)
    )
    name = last(filename or path)
    folders = [folder_of(path)] if last(path) == name else []
    return Hint(name, [one for one in folders + [folder_of(filename), folder] if one])


def _endings(folders: Iterable[str]) -> Dict[str, Optional[str]]:
    """Every ending of the folders' paths -> the folder, None where several end so."""
    endings: Dict[str, Optional[str]] = {}
    for folder in folders:
        for ending in endings_of(folder):
            endings[ending] = folder if ending not in endings else None
    return endings


def _ending(endings: Dict[str, Optional[str]], folder: str) -> Optional[str]:
    """The folder with the longest ending that ``folder`` has as well, None if there is none or several have it."""
    return next((endings[ending] for ending in endings_of(folder) if ending in endings), None)


def _batches(wants: List[Want]) -> Iterator[List[Want]]:
    """The wants of equal nearness, the nearest first, and those that had no choice after all others."""
    ordered = sorted(wants, key=_order)
    for _, batch in itertools.groupby(ordered, key=_order):
        yield list(batch)


def _order(want: Want) -> Tuple[int, ...]:
    return (want.alone,) + tuple(-number for number in want.nearness)
