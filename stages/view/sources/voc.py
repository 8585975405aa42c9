"""A folder of photos with VOC XML as a source: what the annotations say, before records leave anything out."""

import os
from typing import Dict, Iterator, List, Optional, Sequence

from stages import files, pixels
from stages.data.annotation import boxes, voc
from stages.data.annotation.frame import BoxFrame, Reading, Turned, frame_of
from stages.data.findings import DataFinding, Findings
from stages.data.pairing.pairing import DatasetFiles, Folders, Pair, files_of, pairs
from stages.data.photo import exif, head
from stages.data.split.splits import Split, own_split
from stages.finding_kinds import DROP, FIX, KINDS
from stages.view.sources.source import Looked, PictureEntry, PicturePlace, ToldFinding, TruthBox

IMAGE_SETS = os.path.join("ImageSets", "Main")
NO_CLASS = "(no class)"
# Everything is shown that can be: a finding mends where there is a way, and is told.
READING = Reading("auto", "xml")  # the defaults of dataset.boxes and dataset.sizes
POLICIES = {kind: FIX if entry.fix else DROP for kind, entry in KINDS.items()}


class VocSource:
    """The photos below a folder, and the XML that belongs to them."""

    kind = "voc"

    def __init__(self, folder: str, title: str) -> None:
        self._folders, self.title = Folders(folder, folder), title
        self.warnings: List[str] = []
        self._there: DatasetFiles = files_of(self._folders)
        self._places = {photo: number for number, photo in enumerate(self._there.photos)}
        self.total, self.done = len(self._there.photos), 0
        self._unplaced: List[ToldFinding] = []

    def files(self) -> Sequence[str]:
        return [os.path.join(self._folders.photos, name) for name in (*self._there.photos, *self._there.xmls)]

    def classes(self) -> Sequence[str]:
        return ()

    def file(self, place: PicturePlace) -> str:
        return files.readable(self._there.photos[place.file])

    def entries(self) -> Iterator[PictureEntry]:
        findings = Findings(POLICIES)
        split = self._split(pairs(self._folders, self._there, findings), findings)
        self.warnings = list(split.notes)
        about: Dict[str, List[ToldFinding]] = {}
        for found in findings.found:
            about.setdefault(found.file, []).append(_told(found))
        for pair in split.items:
            entry = self._entry(pair, split.sides.get(pair.photo, ""))
            earlier = about.pop(pair.photo, []) + about.pop(str(pair.xml), [])
            self.done += 1
            yield entry._replace(findings=[*earlier, *entry.findings])
        self._unplaced = [one for ones in about.values() for one in ones]

    def unplaced(self) -> Iterator[ToldFinding]:
        return iter(self._unplaced)

    def look(self, place: PicturePlace, name: str) -> Looked:
        photo = self._there.photos[place.file]
        if photo != name:
            raise ValueError("the files of the folder are others than when they were listed: start the viewer anew")
        data = pixels.read(self._folders.photo(photo), pixels.ANY_SIZE)
        return Looked(data, True, {})

    def _split(self, items: List[Pair], findings: Findings) -> Split:
        lists = os.path.join(self._folders.photos, IMAGE_SETS)
        return own_split("auto", items, self._folders, lists if os.path.isdir(lists) else None, findings)

    def _entry(self, pair: Pair, side: str) -> PictureEntry:
        findings = Findings(POLICIES)
        photo = self._photo(pair, findings)
        upright = photo.upright if photo else (0, 0)
        found = self._boxes(pair, photo, findings) if photo and pair.xml else []
        return PictureEntry(
            pair.photo, side, upright, found, PicturePlace(self._places[pair.photo]), list(map(_told, findings.found))
        )

    def _photo(self, pair: Pair, findings: Findings) -> Optional[Turned]:
        try:
            found = head.read(self._folders.photo(pair.photo), pixels.ANY_SIZE)
        except OSError as error:
            findings.fixes("unreadable_image", pair.photo, "it cannot be read: %s" % error.strerror)
            return None
        except ValueError as error:
            findings.fixes("unreadable_image", pair.photo, str(error))
            return None
        return Turned(found.orientation, found.upright)

    def _boxes(self, pair: Pair, photo: Turned, findings: Findings) -> List[TruthBox]:
        """The boxes of the photo's XML that can be drawn, as shares of it."""
        said = voc.said(self._folders.xml(pair.xml or ""), READING.boxes)
        if isinstance(said, voc.XmlFault):
            findings.fixes(said.kind, str(pair.xml), said.message, (None, said.line))
            return []
        frame = frame_of(said, pair, photo, READING, findings) or BoxFrame(photo.upright, exif.UPRIGHT, photo.upright)
        shown = []
        for one in said.objects:
            for note in one.notes:
                findings.fixes(note.kind, str(pair.xml), note.message, (one.number, one.line), note.fixable)
            if one.box is None:
                continue
            box = boxes.scaled(boxes.ordered(frame.place(one.box)), photo.upright, (1, 1))
            shown.append(TruthBox(box, one.name or NO_CLASS, one.difficult, one.truncated))
            if not one.name:
                message = "it has no <name>, or several that differ"
                findings.fixes("no_class", str(pair.xml), message, (one.number, one.line))
            if boxes.clipped(box, (1, 1)) != box:
                message = "its box reaches outside of the photo"
                findings.fixes("outside_box", str(pair.xml), message, (one.number, one.line))
        return shown


def _told(found: DataFinding) -> ToldFinding:
    return ToldFinding(found.kind, found.file, found.message, found.line, found.object)
