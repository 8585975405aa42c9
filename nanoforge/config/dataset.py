"""Where a VOC dataset keeps its photos and its XML."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from nanoforge.errors import BadInput
from nanoforge.files.selection import Selection, walk
from stages.files import PICTURE_SUFFIXES

# (photos, annotations): the layouts in use, PASCAL VOC's own first.
LAYOUTS = (
    ("JPEGImages", "Annotations"),
    ("images", "annotations"),
    ("Images", "Annotations"),
    ("images", "xml"),
    ("photos", "annotations"),
    ("images", "labels"),
)


class VocFolders(NamedTuple):
    photos: Path
    annotations: Path


def find_voc_folders(root: Path) -> VocFolders:
    """Photos and annotations of the dataset at ``root``: under one of the usual pairs of names, or side by side.

    Raises:
        BadInput: ``root`` is not a folder, or holds no photo, or no XML.
    """
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder: name the folder that holds the photos and their VOC XML files.")
    for photos, xml in LAYOUTS:
        if (root / photos).is_dir() and (root / xml).is_dir():
            return _checked(VocFolders(root / photos, root / xml))
    if root.name in {photos for photos, _ in LAYOUTS} and not _has_file(root, (".xml",)):
        return _checked(VocFolders(root, find_annotations(root)))
    return _checked(VocFolders(root, root))


def find_annotations(photos: Path) -> Path:
    """The folder of the XML files that belong to the folder ``photos``: its sibling by the usual names, else itself."""
    siblings = (photos.parent / annotations for name, annotations in LAYOUTS if name == photos.name)
    return next((folder for folder in siblings if folder.is_dir()), photos)


def find_image_sets(photos: Path) -> Optional[Path]:
    """The folder of the lists that say what is trained on, PASCAL VOC's ``ImageSets/Main`` beside or in ``photos``."""
    folders = (base / "ImageSets" / "Main" for base in (photos.parent, photos))
    return next((folder for folder in folders if folder.is_dir()), None)


def _checked(folders: VocFolders) -> VocFolders:
    if not _has_file(folders.photos, PICTURE_SUFFIXES):
        raise BadInput(f"There is no photo ({', '.join(PICTURE_SUFFIXES)}) in {folders.photos}.")
    if not _has_file(folders.annotations, (".xml",)):
        raise BadInput(
            f"There is no VOC XML file in {folders.annotations}: label the photos first (labelImg and CVAT write VOC)."
        )
    return folders


def _has_file(folder: Path, suffixes: Tuple[str, ...]) -> bool:
    try:
        return bool(walk(folder, Selection(suffixes)))
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error.strerror}.") from None
