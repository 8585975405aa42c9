"""Which of several photos and XML files of one name belong together: those whose folders are nearest to each other.

Two folders are the nearer, the more folder names they have in common, in their order: ``task1/images`` and
``task1/annotations``, but ``images/task1`` and ``annotations/task1`` as well. So it is the deepest common parent that
decides, and in trees that mirror each other the common ending. Names that tell what a folder holds, and not whose it
is, count only where all else is equal.
"""

from functools import lru_cache
from itertools import combinations
from typing import Dict, List, NamedTuple, Optional, Tuple

from stages.data.pairing.names import is_role, parted

DEEPEST = 6  # folder names that are compared one by one; of more, those in the middle count as one

Nearness = Tuple[int, int, int]  # common names; common names that tell what is in a folder; 1 if it is the same folder
FAR: Nearness = (0, 0, 0)
Key = Tuple[str, ...]


class Match(NamedTuple):
    """An XML file and the folder in which its photo is."""

    nearness: Nearness
    folder: str
    xml: str


def nearest(folders: List[str], xmls: Dict[str, str]) -> List[Match]:
    """The matches among the ``folders`` that hold a photo of some name and the ``xmls`` (file -> folder) of that name.

    A folder and an XML file match if each is nearer to the other than all others are. Takes time in proportion to the
    number of folders and files, not to that of their pairs.
    """
    if len(folders) == len(xmls) == 1:
        ((xml, folder),) = xmls.items()
        return [Match(nearness(folders[0], folder), folders[0], xml)]
    found = _mutual(folders, xmls)
    taken = {match.folder for match in found} | {match.xml for match in found}
    rest = [one for one in folders if one not in taken]
    left = {xml: folder for xml, folder in xmls.items() if xml not in taken}
    if not found or not rest or not left:
        return found
    # What is left by elimination needs a reason of its own: the same place, but for what is in it.
    return found + [one for one in _mutual(rest, left) if owner(one.folder) == owner(left[one.xml])]


@lru_cache(maxsize=1 << 14)
def nearness(one: str, other: str) -> Nearness:
    """How near two folders are."""
    keys = dict(_keys(other))
    return max(near for key, near in _keys(one) if key in keys)


def owner(folder: str) -> Key:
    """The names on the way to a folder that tell whose it is."""
    return tuple(name for name in _names(folder) if not is_role(name))


def _names(folder: str) -> List[str]:
    """The names on the way to a folder, ``train_images`` being a folder ``images`` in ``train``."""
    return [part for name in folder.split("/") for part in parted(name) if part]


class _Sole:
    """The only name that was added, or None of several."""

    def __init__(self, item: Optional[str]) -> None:
        self.item = item

    def add(self, item: Optional[str]) -> None:
        if item != self.item:
            self.item = None


def _mutual(folders: List[str], xmls: Dict[str, str]) -> List[Match]:
    photo_side: Dict[Key, _Sole] = {}
    xml_side: Dict[Key, _Sole] = {}
    for folder in folders:
        _enter(photo_side, folder, folder)
    for xml, folder in xmls.items():
        _enter(xml_side, folder, xml)
    wanted = {folder: _best(xml_side, folder)[1] for folder in folders}
    found: List[Match] = []
    for xml, folder in xmls.items():
        near, best = _best(photo_side, folder)
        if best is not None and wanted[best] == xml:
            found.append(Match(near, best, xml))
    return found


def _enter(index: Dict[Key, _Sole], folder: str, item: str) -> None:
    for key, _ in _keys(folder):
        index.setdefault(key, _Sole(item)).add(item)


def _best(index: Dict[Key, _Sole], folder: str) -> Tuple[Nearness, Optional[str]]:
    """The nearest that was entered, None where several are as near."""
    found: Optional[_Sole] = None
    nearest_yet = FAR
    for key, near in _keys(folder):
        if found and near < nearest_yet:
            break
        if key in index:
            nearest_yet = near
            found = found or _Sole(index[key].item)
            found.add(index[key].item)
    return nearest_yet, found.item if found else None


@lru_cache(maxsize=1 << 14)
def _keys(folder: str) -> Tuple[Tuple[Key, Nearness], ...]:
    """What two folders may have in common, with how near that makes them, the nearest first."""
    names = _names(folder)
    if len(names) > DEEPEST:
        names = names[:3] + ["/".join(names[3 : 4 - DEEPEST])] + names[4 - DEEPEST :]
    keys: Dict[Key, Nearness] = {}
    for count in range(len(names) + 1):
        for key in combinations(names, count):
            roles = sum(map(is_role, key))
            keys[key] = (count - roles, roles, 0)
    keys[("", folder)] = keys[tuple(names)][:2] + (1,)
    return tuple(sorted(keys.items(), key=lambda item: item[1], reverse=True))
