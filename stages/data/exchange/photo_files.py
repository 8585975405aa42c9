"""The photos of a dataset, found by what an annotation calls them: a path of any machine, an address, a bare name.

Nothing that an annotation says is ever opened: it is looked up among the photos that are there.
"""

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qs, unquote, urlsplit

from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.vocabulary import composed
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.pairing.names import folder_of, in_words, last
from stages.data.pairing.pairing import files_below
from stages.data.photo import head
from stages.data.split.splits import side_of
from stages.files import PICTURE_SUFFIXES, UNREAD_SUFFIXES
from stages.job import BadInput

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|/data/")  # also of Label Studio's own server, without its name
UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


class Written(NamedTuple):
    """What an annotation calls its photo, and ``side`` on which it puts it.

    ``near``: the folder of the annotation's own file, below that of the dataset; ``where``: its place in a sentence.
    """

    name: str
    near: str
    where: str
    side: str = ""


class PhotoFiles:
    """The photos below ``folder``; ``names`` are their paths, sorted."""

    def __init__(self, folder: str) -> None:
        """Walk through the folder.

        Raises:
            BadInput: it cannot be read, or holds no photo.
        """
        self.folder = folder
        self.names = files_below(folder, PICTURE_SUFFIXES + UNREAD_SUFFIXES)
        if not self.names:
            raise BadInput("There is no photo in %s: name the folder that holds them by --photos." % folder)
        self._at = {composed(name): name for name in self.names}
        self._called: Dict[str, List[str]] = {}
        for name in self.names:
            self._called.setdefault(composed(last(name)).casefold(), []).append(name)
        self._holding = {above for name in self._at for above in _folders_above(name)}

    def is_folder(self, path: str) -> bool:
        """Whether there are photos below a folder of that path."""
        return composed(path) in self._holding

    def found(self, written: Written, notes: NoteLog) -> Optional[str]:
        """The path of the photo that an annotation means; None, with a note, if there is none or more than one."""
        parts = parts_of(written.name)
        found = self._candidates(parts, written) if parts else []
        if len(found) == 1:
            return found[0]
        if found:
            notes.add("ambiguous_photo", written.where, "%s may be %s" % (written.name, in_words(found)))
        else:
            told = "its photo %s is not there" % written.name if parts else "it names no photo"
            notes.add("no_photo", written.where, told)
        return None

    def size(self, photo: str) -> Optional[WholeSize]:
        """(width, height) of the upright photo, which is what labelling tools show; None if its header tells none."""
        header = head.found(os.path.join(self.folder, photo))
        return header.upright if header else None

    def _candidates(self, parts: List[str], written: Written) -> List[str]:
        """The photos that may be meant: the one at the place that is told, or those of its name that fit best."""
        scope = self._scope(written.near)
        for base in (scope, "") if len(parts) > 1 else (scope,):
            exact = self._at.get(composed("/".join(([base] if base else []) + parts)))
            if exact:
                return [exact]
        for own_name in (parts[-1], UPLOADED.sub("", parts[-1], 1), unquote(parts[-1])):
            same = self._called.get(composed(own_name).casefold(), [])
            named = [name for name in same if last(composed(name)) == composed(own_name)] or same
            ranks = self._ranks(named, parts[:-1], scope, written.side)
            if ranks:
                best = max(rank for rank, _ in ranks)
                return [name for rank, name in ranks if rank == best]
        return []

    def _ranks(self, names: List[str], folders: List[str], scope: str, side: str) -> List[Tuple[Tuple[int, bool], str]]:
        """Photos of the name: how many folders they have in common with what is told, and whether the side fits."""
        told = side_of("/".join([*folders, "x"])) or side
        ranked = []
        for name in names:
            own = folder_of(name)
            own_side = side_of(name)
            if not folders and scope and own != scope and not own.startswith(scope + "/"):
                continue
            if told and own_side and told != own_side:
                continue
            ranked.append(((_common_end(own.split("/"), folders), bool(told and own_side == told)), name))
        return ranked

    def _scope(self, near: str) -> str:
        """The nearest folder above an annotation's file, itself included, that photos are below."""
        while near and composed(near) not in self._holding:
            near = near.rpartition("/")[0]
        return composed(near)


def parts_of(written: str) -> List[str]:
    """The folders and the name in what an annotation calls its photo, whatever machine or server it was made on.

    Label Studio names files of its own disk by ``/data/local-files/?d=FOLDER/NAME``, and quotes names.
    """
    text = written.strip()
    if ADDRESS.match(text):
        try:
            address = urlsplit(text)
        except ValueError:
            return []
        text = (parse_qs(address.query).get("d") or [unquote(address.path)])[0]
    parts = [part for part in re.split(r"[/\\]", text) if part not in ("", ".", "..")]
    return parts if text[-1:] not in ("/", "\\") else []


def _common_end(one: List[str], other: List[str]) -> int:
    count = 0
    for a, b in zip(reversed(one), reversed(other)):
        if composed(a) != composed(b):
            break
        count += 1
    return count


def _folders_above(path: str) -> List[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
