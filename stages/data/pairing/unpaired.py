"""What to say of photos and XML files that do not belong together one to one, and what to do about it."""

import difflib
from typing import Dict, List, NamedTuple, Tuple

from stages.data.annotation.vocabulary import composed
from stages.data.findings import Findings
from stages.data.pairing.matching import Matching, SameName
from stages.data.pairing.names import grouped, in_words, last, own_name, stem

MOST_HINTS = 100  # names that are looked for among near ones; such a search is slow
MOST_COMPARED = 50


class _Left(NamedTuple):
    """Of a group, what has no partner."""

    photos: List[str]
    xmls: List[str]


def chosen(matching: Matching, findings: Findings) -> Dict[str, str]:
    """XML file -> its photo. Of several in one place the one that the XML names; none where a finding drops it.

    The other photos are without XML then, unless the finding drops them all.
    """
    photo_of: Dict[str, str] = {}
    for xml, photos in matching.photos_of.items():
        if len(photos) == 1:
            photo_of[xml] = photos[0]
            continue
        named = [photo for photo in photos if last(composed(photo)) == matching.hint(xml).name]
        if findings.fixes("same_name", xml, "it could mean %s" % in_words(photos), fixable=len(named) == 1):
            photo_of[xml] = named[0]
            for photo in photos:
                if photo != named[0]:
                    del matching.xml_of[photo]
    return photo_of


def tell_unpaired(matching: Matching, photos: List[str], findings: Findings) -> List[str]:
    """Findings for the XML files and the ``photos`` without a partner; the photos to use as background pictures."""
    xmls = matching.left()
    lone = [photo for photo in photos if photo not in matching.xml_of]
    if not xmls and not lone:
        return []
    told = _Sentences(matching, xmls, lone)
    for xml in xmls:
        findings.fixes(*told.of_xml(xml))
    return [photo for photo in lone if findings.fixes(*told.of_photo(photo), fixable=not told.is_copy(photo))]


class _Sentences:
    """Kind, file and message of each finding."""

    def __init__(self, matching: Matching, xmls: List[str], lone: List[str]) -> None:
        self._matching = matching
        self._of_xml: Dict[str, _Left] = {}
        self._of_photo: Dict[str, _Left] = {}
        self._taken: Dict[str, str] = {}
        for group in matching.groups:
            self._enter(group)
        self._partners = grouped(matching.photos_of, own_name) if lone else {}
        self._near_photos = _Near([one for one in lone if one not in self._of_photo])
        self._near_xmls = _Near([one for one in xmls if one not in self._of_xml])

    def _enter(self, group: SameName) -> None:
        """The first group counts in which something is left to choose from: it has the strongest reason."""
        left = _Left(
            [one for one in group.photos if one not in self._matching.xml_of],
            [one for one in group.xmls if one not in self._matching.photos_of],
        )
        for xml in left.xmls:
            if left.photos:
                self._of_xml.setdefault(xml, left)
            else:
                self._taken.setdefault(xml, group.photos[0])
        for photo in left.photos if left.xmls else []:
            self._of_photo.setdefault(photo, left)

    def of_xml(self, xml: str) -> Tuple[str, str, str]:
        left = self._of_xml.get(xml)
        if left:
            doubt = self._matching.doubts.get(xml, "")
            if len(left.photos) == 1 and not doubt:
                rivals = [one for one in left.xmls if one != xml]
                others = "but so could %s" % in_words(rivals, "and") if rivals else ""
                doubt = others or "but there are others of the name, and no folder tells that these two belong together"
            return "ambiguous_name", xml, "it could mean %s%s" % (in_words(left.photos), doubt and ", " + doubt)
        if xml in self._taken:
            photo = self._taken[xml]
            words = "its photo is missing: %s has the name, but belongs to %s" % (photo, self._matching.xml_of[photo])
            return "no_image", xml, words
        damage = self._matching.hint(xml).damage
        why = ", and %s" % damage if damage else self._near_photos.words(xml)
        return "no_image", xml, "no photo has the name of this XML file%s" % why

    def of_photo(self, photo: str) -> Tuple[str, str, str]:
        left = self._of_photo.get(photo)
        if left:
            return "ambiguous_name", photo, "it could belong to %s" % in_words(left.xmls)
        xml, theirs = self._partner(photo)
        if xml:
            return "no_xml", photo, "its XML file is missing: %s has the name, but belongs to %s" % (xml, theirs)
        return "no_xml", photo, "no XML file has the name of this photo%s" % self._near_xmls.words(photo)

    def is_copy(self, photo: str) -> bool:
        """Whether the photo is another form of a labelled one in its folder, and so shows what is labelled there."""
        return stem(self._partner(photo)[1]) == stem(photo)

    def _partner(self, photo: str) -> Tuple[str, str]:
        """The XML file that has the photo's name, and the other photo that it belongs to; empty if there is none."""
        for xml in self._partners.get(own_name(photo), []):
            for theirs in self._matching.photos_of[xml]:
                if self._matching.xml_of.get(theirs) == xml:
                    return xml, theirs
        return "", ""


class _Near:
    """Files of nearly a given name. Their numbers must be the same: the next frame of a video is no slip of the pen."""

    def __init__(self, files: List[str]) -> None:
        self._by_digits = grouped(files, _digits)
        self._searches = 0

    def words(self, path: str) -> str:
        """A hint, empty where nothing is near."""
        known = {own_name(one).casefold(): one for one in self._by_digits.get(_digits(path), [])[:MOST_COMPARED]}
        self._searches += bool(known)
        if not known or self._searches > MOST_HINTS:
            return ""
        near = difflib.get_close_matches(own_name(path).casefold(), list(known), 1, 0.75)
        return "; did you mean %s?" % known[near[0]] if near else ""


def _digits(path: str) -> str:
    return "".join(one for one in own_name(path) if one.isdigit())
