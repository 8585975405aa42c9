"""Names of files in a dataset: their parts, and when two of them are the same but for how they are written."""

import os
import re
from functools import lru_cache
from typing import Callable, Dict, Iterable, List, Tuple
from urllib.parse import unquote

from stages.data.annotation.vocabulary import composed

# How a stem may still end in a format: ``a.jpg.xml``, or ``a_jpg.xml`` as Roboflow writes it.
FORMAT_ENDINGS = re.compile(r"(?:[._ ](?:jpe?g|jpe|jfif|png|bmp|webp|tiff?|gif|hei[cf]|avif))+$")
# Folder names that say what is in them: the same in every part of a dataset.
ROLES = frozenset(
    ("annotation", "annotations", "anns", "bbox", "bboxes", "data", "dataset", "default", "image", "images", "img")
    + ("imgs", "jpegimages", "jpg", "label", "labels", "obj_train_data", "photo", "photos", "picture", "pictures")
    + ("png", "voc", "xml", "xmls")
)
WORDS = re.compile(r"[ _.-]+")
BLANKS = re.compile(r"[\s_]+")


def stem(path: str) -> str:
    """The path with composed letters, without its suffix."""
    return os.path.splitext(composed(path))[0]


def last(path: str) -> str:
    """The name at the end of a path."""
    return path.rsplit("/", 1)[-1]


def own_name(path: str) -> str:
    """The name of a file, without its folders and suffix."""
    return last(stem(path))


def folder_of(path: str) -> str:
    """The folder of a path, with composed letters; empty at the top."""
    return composed(path).rpartition("/")[0]


def endings_of(folder: str) -> List[str]:
    """The endings of a folder's path, the longest first: ``a/b``, ``b``."""
    names = folder.split("/") if folder else []
    return ["/".join(names[first:]) for first in range(len(names))]


@lru_cache(maxsize=1 << 14)
def is_role(name: str) -> bool:
    """Whether the name of a folder tells nothing but what is in it."""
    return name.casefold() in ROLES or all(word.casefold() in ROLES for word in WORDS.split(name))


@lru_cache(maxsize=1 << 14)
def parted(name: str) -> Tuple[str, str]:
    """What the name of a folder tells of whose it is, and of what is in it: ``train`` and ``images``."""
    if is_role(name):
        return "", name
    words = WORDS.split(name)
    roles = [word for word in words if is_role(word)]
    return ("_".join(word for word in words if not is_role(word)), "_".join(roles)) if roles else (name, "")


def loosened(name: str) -> str:
    """A stem as if writing did not count: capitals, ``%20``, blanks or underscores, ``_jpg`` at the end."""
    text = unquote(name, errors="surrogateescape") if "%" in name else name
    text = FORMAT_ENDINGS.sub("", composed(text).casefold())
    return BLANKS.sub("_", text).strip("_") or name


def grouped(paths: Iterable[str], key: Callable[[str], str]) -> Dict[str, List[str]]:
    """The paths by what ``key`` makes of them, in their order."""
    groups: Dict[str, List[str]] = {}
    for path in paths:
        groups.setdefault(key(path), []).append(path)
    return groups


def in_words(paths: List[str], joint: str = "or", most: int = 3) -> str:
    """``a.jpg or b.jpg``; of many, the first few and how many more."""
    if len(paths) > most:
        return "%s %s %d more" % (", ".join(paths[:most]), joint, len(paths) - most)
    return ("%s %s %s" % (", ".join(paths[:-1]), joint, paths[-1])) if len(paths) > 1 else paths[0]
