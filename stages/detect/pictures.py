"""Where the pictures come from: files, or the validation records of a dataset."""

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from stages import files, picture_header, pixels, record_index
from stages.detect import media, tfrecord
from stages.job import BadInput

Tell = Callable[[str], None]
"""Takes a sentence for the user."""


class Loaded(NamedTuple):
    """A picture that was read.

    Attributes:
        picture: its pixels, uint8 RGB [h, w, 3], of the shape that was asked for.
        shape: (height, width) of the whole picture.
        whole: gives the whole picture, uint8 RGB [*shape, 3].
    """

    picture: np.ndarray
    shape: pixels.Shape
    whole: Callable[[], np.ndarray]


class Picture(NamedTuple):
    """A picture to look at.

    Attributes:
        name: relative path with ``/``.
        load: reads it and gives it at a (height, width), or as it is; raises ValueError where it cannot be read.
        size: the [height, width] that its boxes are for, None for that of its pixels.
        truth: ``{"class_id", "box"}``, box [xmin, ymin, xmax, ymax] in pixels of ``size``; None where unknown.
    """

    name: str
    load: Callable[[Optional[pixels.Shape]], Loaded]
    size: Optional[List[int]]
    truth: Optional[List[Dict[str, Any]]]


def from_files(path: str, max_megapixels: int, tell: Tell, live: bool = False) -> List[Picture]:
    """The picture at ``path``, or all in that folder and the folders in it, by name.

    Args:
        tell: takes a sentence on pictures that are passed over, because their formats are not read, and on one that is
            used although data is missing in it.
        live: other threads decode meanwhile, so that nobody can tell whose data is missing.

    Raises:
        BadInput: there is no picture.
    """
    if os.path.isfile(path):
        return [_file(path, os.path.basename(path), max_megapixels, None if live else tell)]
    try:
        found = files.names_below(path, files.PICTURE_SUFFIXES + files.UNREAD_SUFFIXES + media.VIDEO_SUFFIXES)
    except OSError as error:
        raise BadInput(
            "%s cannot be read: %s; name a picture, a folder of pictures or a video" % (path, error.strerror)
        ) from error
    names = [name for name in found if name.lower().endswith(files.PICTURE_SUFFIXES)]
    others = _others(found)
    if not names:
        raise BadInput(
            "%s holds no picture that is read (%s)%s; name a picture, a folder of pictures or a video"
            % (path, ", ".join(files.PICTURE_SUFFIXES), "".join(", but " + words for _, words in others))
        )
    for what, words in others:
        tell("In %s, %s are passed over: %s" % (path, what, words))
    damage = None if live else tell
    return [_file(os.path.join(path, *name.split("/")), name, max_megapixels, damage) for name in names]


def _others(found: List[str]) -> List[Tuple[str, str]]:
    """What of a folder is not looked at, and what to say of it."""
    unread = [name for name in found if name.lower().endswith(files.UNREAD_SUFFIXES)]
    videos = [name for name in found if name.lower().endswith(media.VIDEO_SUFFIXES)]
    return ([("pictures", files.unread_words(unread))] if unread else []) + (
        [("videos", files.counted_words(videos) + ": name each by itself, not its folder")] if videos else []
    )


def _file(path: str, name: str, max_megapixels: int, tell: Optional[Tell]) -> Picture:
    def load(shape: Optional[pixels.Shape]) -> Loaded:
        data = pixels.read(path, max_megapixels)
        decoded = pixels.decoded(data, max_megapixels, shape and (lambda _: shape), heard=tell is not None)
        if tell and decoded.missing:
            tell("%s is damaged, and looked at as far as it goes: its decoder says %r" % (name, decoded.missing))
        held = picture_header.pictures(data) if tell else 1
        if tell and held > 1:
            tell("%s holds %d pictures, of which the first is looked at" % (name, held))
        return Loaded(decoded.picture, decoded.whole, lambda: pixels.decode(data, max_megapixels))

    return Picture(name, load, None, None)


def from_records(folder: str, split: str = "validation") -> List[Picture]:
    """The pictures of one split (train or validation) of a records artifact, with truth, in file order.

    Raises:
        BadInput: the folder is not a records artifact, or it has no such picture.
    """
    path = os.path.join(folder, record_index.FILE)
    try:
        found = [_record(folder, line) for line in record_index.lines(folder) if line["split"] == split]
    except OSError as error:
        raise BadInput(
            "%s cannot be read (%s); is this the folder that records made?" % (path, error.strerror)
        ) from error
    except ValueError as error:
        raise BadInput("%s is damaged (%s); make the records again" % (path, error)) from error
    if not found:
        change = "raise" if split == "validation" else "lower"
        raise BadInput(
            "%s lists no %s picture; %s validation_fraction and make the records again" % (path, split, change)
        )
    return found


def _record(folder: str, line: Dict[str, Any]) -> Picture:
    height, width = line["height"], line["width"]
    truth = [
        {"class_id": class_id, "box": [xmin * width, ymin * height, xmax * width, ymax * height]}
        for class_id, (ymin, xmin, ymax, xmax) in zip(line["classes"], line["boxes"])
    ]
    return Picture(line["source_id"], lambda shape: _load_record(folder, line, shape), [height, width], truth)


def _load_record(folder: str, line: Dict[str, Any], shape: Optional[pixels.Shape]) -> Loaded:
    try:
        example = tfrecord.content(record_index.frame(folder, line))
        record_index.check_source(line, tfrecord.feature(example, "image/source_id"))
        data = tfrecord.feature(example, "image/encoded")
        decoded = pixels.decoded(data, target=shape and (lambda _: shape), heard=False)
        return Loaded(decoded.picture, decoded.whole, lambda: pixels.decode(data))
    except (OSError, ValueError) as error:
        raise BadInput(
            "The record at byte %d of %s cannot be read (%s); make the records again"
            % (line["offset"], os.path.join(folder, line["shard"]), error)
        ) from error
