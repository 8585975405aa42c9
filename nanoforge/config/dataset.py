"""Where a VOC dataset keeps its photos, its XML, and the lists of its split."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Iterable, List, NamedTuple, Optional, Set, Tuple

from nanoforge.errors import BadInput
from nanoforge.files.selection import FileStat, Selection, walk
from stages.files import PICTURE_SUFFIXES

# Names of the two folders, in any capitals; those that come first win.
PHOTO_NAMES = ("jpegimages", "images", "photos", "image", "imgs", "img", "pictures")
XML_NAMES = ("annotations", "xml", "xmls", "labels", "annotation", "anns")
MASK_NAMES = {"segmentationclass", "segmentationobject"}
OTHER_LISTS = ("val.txt", "valid.txt", "validation.txt", "test.txt")
DEEPEST = 3  # folders below the photos' in which lists are looked for, as in VOCdevkit/VOC2012/ImageSets


Parts = Tuple[str, ...]  # a folder below another, name by name


class VocFolders(NamedTuple):
    photos: Path
    annotations: Path


def find_voc_folders(root: Path) -> VocFolders:
    """Photos and annotations of the dataset at ``root``.

    Two folders by the usual names in it, or somewhere below if nothing is outside of them. Else ``root`` for both:
    there are several such pairs, as in train, valid and test, or photos and XML are side by side.

    Raises:
        BadInput: ``root`` is not a folder, or holds no photo, or no XML.
    """
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder: name the folder that holds the photos and their VOC XML files.")
    below = _Below(root)
    pair = below.pair_here() or below.only_pair()
    if pair:
        return _checked(VocFolders(*(root.joinpath(*folder) for folder in pair)))
    if root.name.casefold() in PHOTO_NAMES and not below.xmls:
        return _checked(VocFolders(root, find_annotations(root)))
    return _checked(VocFolders(root, root))


def find_annotations(photos: Path) -> Path:
    """The folder of the XML files that belong to the folder ``photos``: its sibling by the usual names, else itself."""
    if photos.name.casefold() not in PHOTO_NAMES or not photos.parent.is_dir():
        return photos
    siblings = {name.casefold(): photos.parent / name for name in sorted(_folders_in(photos.parent), reverse=True)}
    named = [siblings[name] for name in XML_NAMES if name in siblings]
    return next((folder for folder in named if _has_xml(folder)), photos)


def find_image_sets(photos: Path) -> Optional[Path]:
    """The folder of the lists that say what is trained on: PASCAL VOC's ``ImageSets/Main`` beside ``photos``, in it, or
    in a folder below; ``photos`` itself if there are several below."""
    for base in (photos.parent, photos):
        found = _image_sets_in(base)
        if found:
            return found
    below = list(_image_sets_below(photos, DEEPEST)) if photos.is_dir() else []
    return below[0] if len(below) == 1 else photos if below else None


def find_loose_lists(photos: Path) -> Optional[Path]:
    """The folder with a ``train.txt`` and a list of another side that is no ImageSets, as darknet's users have it:
    beside ``photos``, or in it. Any files may have such names, so that the user must say what they are."""
    for base in (photos.parent, photos):
        names = {name.casefold() for name in _files_in(base)}
        if "train.txt" in names and not names.isdisjoint(OTHER_LISTS):
            return base
    return None


class _Below:
    """The folders with photos and those with XML at or below a root."""

    def __init__(self, root: Path) -> None:
        photos = [tuple(one.path.split("/")) for one in _walk(root, PICTURE_SUFFIXES)]
        self.photos: Set[Parts] = {one[:-1] for one in photos if not _is_mask(one)}
        self.xmls: Set[Parts] = {tuple(one.path.split("/")[:-1]) for one in _walk(root, (".xml",))}

    def pair_here(self) -> Optional[Tuple[Parts, Parts]]:
        """The pair right in the root, unless there are photos and XML files elsewhere, too.

        XML alone elsewhere may be a backup, photos alone a preview.
        """
        pair = self._pair_in(())
        return pair if pair and not all(self._outside(pair)) else None

    def only_pair(self) -> Optional[Tuple[Parts, Parts]]:
        """The only pair below, if all photos and all XML files are in it."""
        bases = {folder[:depth] for folder in self.xmls for depth in _depths(folder, XML_NAMES)}
        pairs = [pair for pair in map(self._pair_in, bases) if pair]
        return pairs[0] if len(pairs) == 1 and not any(self._outside(pairs[0])) else None

    def _pair_in(self, base: Parts) -> Optional[Tuple[Parts, Parts]]:
        """Two folders by the usual names in the folder ``base``, with photos in one, and XML in the other."""
        photos, xmls = (_first_named(base, *side) for side in ((self.photos, PHOTO_NAMES), (self.xmls, XML_NAMES)))
        return (photos, xmls) if photos and xmls else None

    def _outside(self, pair: Tuple[Parts, Parts]) -> List[bool]:
        """Whether there are photos outside of the pair's first folder, and XML outside of its second."""
        return [
            any(one[: len(base)] != base for one in folders) for folders, base in zip((self.photos, self.xmls), pair)
        ]


def _is_mask(path: Parts) -> bool:
    return any(name.casefold() in MASK_NAMES for name in path[:-1])


def _depths(folder: Parts, names: Parts) -> Iterable[int]:
    return (depth for depth, name in enumerate(folder) if name.casefold() in names)


def _first_named(base: Parts, folders: Set[Parts], names: Tuple[str, ...]) -> Optional[Parts]:
    """Of the folders in ``base`` under which something is, the one whose name comes first in ``names``."""
    size = len(base)
    inside = {one[size] for one in folders if len(one) > size and one[:size] == base}
    known = [name for name in sorted(inside) if name.casefold() in names]
    first = min(known, key=lambda name: names.index(name.casefold()), default=None)
    return (*base, first) if first else None


def _image_sets_in(base: Path) -> Optional[Path]:
    """``base/ImageSets/Main``, in any capitals, or ``base/ImageSets`` without a ``Main``."""
    sets = _folder_named("imagesets", base)
    return sets and (_folder_named("main", sets) or sets)


def _folder_named(name: str, base: Path) -> Optional[Path]:
    return next((base / one for one in sorted(_folders_in(base)) if one.casefold() == name), None)


def _image_sets_below(folder: Path, depth: int) -> Iterable[Path]:
    for name in sorted(_folders_in(folder)) if depth else ():
        found = _image_sets_in(folder / name)
        if found:
            yield found
        else:
            yield from _image_sets_below(folder / name, depth - 1)


def _folders_in(folder: Path) -> List[str]:
    """The names of the folders in a folder; none if it cannot be read, which whoever reads its files will tell."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _files_in(folder: Path) -> List[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except OSError:
        return []


def _checked(folders: VocFolders) -> VocFolders:
    if not _has_file(folders.photos, PICTURE_SUFFIXES):
        raise BadInput(f"There is no photo ({', '.join(PICTURE_SUFFIXES)}) in {folders.photos}.")
    if not _has_file(folders.annotations, (".xml",)):
        raise BadInput(
            f"There is no VOC XML file in {folders.annotations}: label the photos first (labelImg and CVAT write VOC)."
        )
    return folders


def _has_xml(folder: Path) -> bool:
    """Whether there is XML, by as few looks as it takes: this is asked by every command."""
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.name.lower().endswith(".xml"):
                    return True
    return False


def _has_file(folder: Path, suffixes: Parts) -> bool:
    return bool(_walk(folder, suffixes))


def _walk(folder: Path, suffixes: Parts) -> List[FileStat]:
    try:
        return walk(folder, Selection(suffixes))
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror}.") from None
