"""Reading YOLO's label files: a line for each object, numbers in shares of the upright picture.

A line is the number of a class and x, y of the centre, width and height; with a score, as detections have; with
keypoints (data.yaml's kpt_shape); or x, y of the corners of a turned box or of an outline.
"""

import re
from typing import Dict, Iterator, List, Optional

from stages.data.annotation.boxes import SLIP, WholeSize
from stages.data.annotation.geometry import enclosing
from stages.data.annotation.vocabulary import composed
from stages.data.exchange.exchange_files import SourceFiles, text
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.exchange_values import number, shown
from stages.data.exchange.photo_files import UPLOADED, PhotoFiles, Written, parts_of
from stages.data.exchange.yolo_layout import NamedSide, YoloLayout, finds, key_of, layout
from stages.data.pairing.names import in_words
from stages.data.split.splits import side_of

__all__ = ["finds", "read"]

BOX, WITH_SCORE, FEWEST_OF_OUTLINE = 4, 5, 6  # numbers behind the class


class YoloLines:
    """Makes objects of the lines of one label file; ``size`` is that of the upright photo."""

    def __init__(self, laid: YoloLayout, size: Optional[WholeSize], notes: NoteLog) -> None:
        self._laid, self._size, self._notes = laid, size, notes

    def object_of(self, where: str, line: str) -> ExchangeObject:
        """The object of a line; without a box where its numbers are not known to be one."""
        words = line.split()
        name = self._name(where, words[0])
        values = [number(word) for word in words[1:]]
        plain = [value for value in values if value is not None]
        if len(plain) < len(values):
            wrong = next(word for word, value in zip(words[1:], values) if value is None)
            self._notes.add("unreadable_number", where, "%s is no number" % shown(wrong))
            return ExchangeObject(name, None)
        return self._placed(where, name, plain)

    def _name(self, where: str, word: str) -> str:
        """The name of a class; empty if the word is not the number of one."""
        value = number(word)
        known = value is not None and value == int(value) and int(value) in self._laid.names
        if value is None or not known:
            count = len(self._laid.names)
            self._notes.add("no_class", where, "its class is %s, and there are %d" % (shown(word), count))
            return ""
        return self._laid.names[int(value)]

    def _placed(self, where: str, name: str, values: List[float]) -> ExchangeObject:
        count = len(values)
        if self._laid.keypoints and count == BOX + self._laid.keypoints:
            self._notes.add("keypoints", where, "it has keypoints")
            return self._box(where, name, values[:BOX])
        if count == WITH_SCORE:
            self._notes.add("score", where, "it has a score, as detections have")
        if count in (BOX, WITH_SCORE):
            return self._box(where, name, values[:BOX])
        if count >= FEWEST_OF_OUTLINE and count % 2 == 0:
            return self._outline(where, name, values)
        self._notes.add("no_box", where, "it has %d numbers, which are neither a box nor an outline" % (count + 1))
        return ExchangeObject(name, None)

    def _box(self, where: str, name: str, values: List[float]) -> ExchangeObject:
        x, y, across, down = values
        self._tell_outside(where, [x - across / 2, y - down / 2, x + across / 2, y + down / 2])
        if self._size is None:
            return ExchangeObject(name, None)
        width, height = self._size
        box = ((x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height)
        return ExchangeObject(name, box)

    def _outline(self, where: str, name: str, values: List[float]) -> ExchangeObject:
        self._notes.add("shape_boxed", where, "it is an outline of %d points" % (len(values) // 2))
        self._tell_outside(where, values)
        if self._size is None:
            return ExchangeObject(name, None)
        points = [value * side for at, value in enumerate(values) for side in [self._size[at % 2]]]
        return ExchangeObject(name, enclosing(points), [points])

    def _tell_outside(self, where: str, shares: List[float]) -> None:
        if min(shares) < -SLIP or max(shares) > 1 + SLIP:
            self._notes.add("not_normalised", where, "its numbers are not within 0 to 1")


def read(source: SourceFiles, photos: PhotoFiles, notes: NoteLog) -> Iterator[ExchangePicture]:
    """The pictures with a label file, which is empty where there is nothing on one; the others are only noted.

    Raises:
        BadInput: the classes have no names, or a file cannot be read.
    """
    laid = layout(source)
    sides = _Sides(laid, photos, notes)
    labels = _labels_of(laid, photos, notes)
    for photo in photos.names:
        if photo not in labels:
            notes.add("not_labelled", photo, "it has no label file")
            continue
        content = text(source.path(labels[photo][0]))
        other = next((file for file in labels[photo][1:] if text(source.path(file)).split() != content.split()), None)
        if other:
            notes.add("several_label_files", photo, "%s and %s say different things" % (labels[photo][0], other))
            continue
        size = photos.size(photo)
        if size is None:
            notes.add("no_size", photo, "its header tells no size")
        lines = YoloLines(laid, size, notes)
        objects = [
            lines.object_of("%s, line %d" % (labels[photo][0], at), line)
            for at, line in enumerate(re.split("\r\n|\r|\n", content), 1)
            if line.strip()
        ]
        yield ExchangePicture(photo, size, objects, sides.of(photo))


def _labels_of(laid: YoloLayout, photos: PhotoFiles, notes: NoteLog) -> Dict[str, List[str]]:
    """Photo -> its label files, of which there should be one: at the same place but for folders images and labels, or
    else the only photo of the name."""
    by_key: Dict[str, List[str]] = {}
    by_name: Dict[str, List[str]] = {}
    for photo in photos.names:
        by_key.setdefault(key_of(photo), []).append(photo)
        by_name.setdefault(key_of(photo).rpartition("/")[2], []).append(photo)
    found = {photo: files for key, files in laid.labels.items() for photo in by_key.get(key, ())}
    elsewhere: Dict[str, List[str]] = {}
    for key, files in laid.labels.items():
        if key in by_key:
            continue
        own = key.rpartition("/")[2]
        same = [photo for photo in by_name.get(own) or by_name.get(UPLOADED.sub("", own), []) if photo not in found]
        if len(same) == 1 and _may_be(same[0], files[0]):
            elsewhere.setdefault(same[0], []).extend(files)
        elif same:
            notes.add("ambiguous_photo", files[0], "its photo may be %s" % in_words(same))
        else:
            notes.add("no_photo", files[0], "there is no photo of this name")
    return {**found, **elsewhere}


def _may_be(photo: str, file: str) -> bool:
    """Whether folders of a split, where both are in one, are the same."""
    sides = side_of(photo), side_of(file)
    return not all(sides) or sides[0] == sides[1]


class _Sides:
    """The side of a photo: by a list that names it, by a folder that data.yaml names, or by what its folders say."""

    def __init__(self, laid: YoloLayout, photos: PhotoFiles, notes: NoteLog) -> None:
        self._photos: Dict[str, str] = {}
        self._folders: Dict[str, str] = {}
        for named in laid.sides:
            if named.lines is not None:
                self._take_list(named, photos, notes)
            else:
                folder = _folder(named, photos)
                # Of a folder that is both, as where one is yet to be split, nothing is known.
                self._folders[folder] = "" if self._folders.get(folder, named.side) != named.side else named.side

    def _take_list(self, named: NamedSide, photos: PhotoFiles, notes: NoteLog) -> None:
        for at, line in enumerate(named.lines or [], 1):
            if line:
                where = "%s, line %d" % (named.file, at)
                photo = photos.found(Written(line, named.near, where), notes)
                if photo:
                    self._photos[photo] = named.side

    def of(self, photo: str) -> str:
        """The side, empty if nothing tells one."""
        if photo in self._photos:
            return self._photos[photo]
        folder = composed(photo).rpartition("/")[0]
        while folder not in self._folders and folder:
            folder = folder.rpartition("/")[0]
        return self._folders.get(folder, "") or side_of(photo)


def _folder(named: NamedSide, photos: PhotoFiles) -> str:
    """The folder of photos that a path ends in, whatever machine it is of; Roboflow writes ../train for train."""
    parts = parts_of(named.written)
    ends = ["/".join(parts[first:]) for first in range(len(parts))]
    places = [(named.near + "/" + end) for end in ends if named.near] + ends
    return next((composed(place) for place in places if photos.is_folder(place)), named.written)
