"""The one reader of label maps: names by class id, or the line that is wrong."""

import os
import re
import unicodedata
from typing import Any, Dict, List

from google.protobuf import text_format
from object_detection.protos.string_int_label_map_pb2 import StringIntLabelMap

from stages.job import BadInput
from stages.protos import text_file, text_form

KIND = "label map"
LARGEST = 1 << 22  # bytes; the largest published one, of 5000 classes, has 400000
# What newer versions of object_detection say of a class besides its name.
NEWER = ("keypoints", "ancestor_ids", "descendant_ids", "frequency", "instance_count")
BACKGROUND = ("background", "none_of_the_above", "__background__")  # what object_detection and others call id 0
ITEM = 'item { id: 1 name: "cone" }'
# How other files begin that are given for it.
OTHERS = (
    (r"(model|train_config|train_input_reader|eval_config|eval_input_reader)\s*:?\s*[{<]", "a pipeline.config"),
    (r"[{\[]", "JSON"),
    (r"<", "XML"),
)


def read(path: str) -> Dict[int, str]:
    """Class names by id, from 1 on, some perhaps left out: ``display_name`` where there is one, else ``name``.

    An item of id 0 is the background's, and no class.

    Raises:
        BadInput: there is no such file, or it is not a label map; the message names the line.
    """
    text = text_file.read(path, KIND, LARGEST)
    try:
        return _names(text)
    except _Wrong as error:
        raise BadInput("%s is not a label map that can be used: %s" % (os.path.basename(path), error)) from error


class _Wrong(Exception):
    """What is wrong with a label map, and where."""


def _names(text: str) -> Dict[int, str]:
    blanks = text_form.BLANKS.match(text)
    beginning = text[blanks.end() if blanks else 0 :][:100]
    other = next((words for start, words in OTHERS if re.match(start, beginning)), "")
    if not other and beginning and "{" not in text and "<" not in text:
        other = "a list without braces"
    if other:
        raise _Wrong("it is %s; a label map has %s for each class" % (other, ITEM))
    message = StringIntLabelMap()
    try:
        merged = text_form.merge(text, message)
    except text_format.ParseError as error:
        raise _Wrong(text_form.reason(error)) from error
    for unknown in merged.unknown:
        if unknown.place.message != "StringIntLabelMapItem" or unknown.place.field not in NEWER:
            _wrong(unknown.place.line, "%.60s is no key of a label map; %s" % (unknown.place.field, unknown.nearest()))
    for place in merged.twice:
        _wrong(place.line, "%s is said twice in one item; a label map has %s for each class" % (place.field, ITEM))
    if not message.item:
        raise _Wrong("it names no class; a label map has %s for each" % ITEM)
    return _checked(message, _lines(merged.places))


def _lines(places: List[text_form.FieldPlace]) -> List[Dict[str, int]]:
    """The lines of each item and of its fields, by the field's name."""
    lines: List[Dict[str, int]] = []
    for place in places:
        if place.field == "item":
            lines.append({})
        lines[-1][place.field] = place.line
    return lines


def _checked(message: Any, lines: List[Dict[str, int]]) -> Dict[int, str]:
    names: Dict[int, str] = {}
    ids: Dict[int, int] = {}
    said: Dict[str, int] = {}
    for item, line in zip(message.item, lines):
        _check_fields(item, line)
        name = item.name or item.display_name
        if item.id in ids:
            _wrong(line["id"], "the id %d is that of line %d already" % (item.id, ids[item.id]))
        if name in said:
            _wrong(line["item"], "the name %.200r is that of the item in line %d already" % (name, said[name]))
        ids[item.id], said[name] = line["id"], line["item"]
        if item.id:
            names[item.id] = item.display_name or name
        elif name.strip().lower() not in BACKGROUND:
            _wrong(line["id"], "the id 0 of %.200r is the background's; the ids of classes count from 1" % name)
    if not names:
        raise _Wrong("it names no class but the background")
    return names


def _check_fields(item: Any, line: Dict[str, int]) -> None:
    for field in ("name", "display_name"):
        value = getattr(item, field)
        if item.HasField(field) and not _shows(value) and (field == "name" or not item.name):
            _wrong(line[field], "%s is empty" % field)
        control = next((letter for letter in value if unicodedata.category(letter) in ("Cc", "Zl", "Zp")), "")
        if control:
            _wrong(line[field], "%s %r holds a line break or control character (%a)" % (field, value[:60], control))
    if not item.HasField("id"):
        _wrong(line["item"], "this item has no id")
    if not item.name and not item.display_name:
        _wrong(line["item"], "this item has no name")
    if item.id < 0:
        _wrong(line["id"], "the id %d is below 0; the ids of classes count from 1" % item.id)


def _shows(name: str) -> bool:
    """Whether anything of a name can be seen, besides blanks and marks of width and direction."""
    return any(unicodedata.category(letter) not in ("Zs", "Cf") and not letter.isspace() for letter in name)


def _wrong(line: int, what: str) -> None:
    raise _Wrong("line %d: %s" % (line, what))
