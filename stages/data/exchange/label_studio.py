"""Reading Label Studio's JSON export: https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks.

Numbers are per cent of the picture as the browser shows it, which is upright; a box is turned around its upper left
corner, clockwise to see.
"""

import math
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.geometry import enclosing
from stages.data.exchange import voc_xml
from stages.data.exchange.exchange_files import SourceFiles, json_entries, peek
from stages.data.exchange.exchange_model import Attributes, ExchangeObject, ExchangePicture, TurnedBox
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.exchange_values import degrees, listing, mapping, number, numbers, shown, size, text
from stages.data.exchange.photo_files import PhotoFiles, Written, parts_of
from stages.data.split.splits import side_of
from stages.files import PICTURE_SUFFIXES, UNREAD_SUFFIXES
from stages.job import BadInput

LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "labels")
SHAPES = ("rectangle", "polygon", "ellipse", "brush", "keypoint", "bitmask", "vector")


class LabelledRegion(NamedTuple):
    """What results of one id say together: the geometry, its labels, and what else was asked about it."""

    where: str
    value: Dict[str, Any]
    result: Dict[str, Any]
    labels: List[str]
    attributes: Attributes


def finds(source: SourceFiles) -> List[str]:
    """The files that seem to be Label Studio's."""
    return [name for name in source.ending(".json") if _looks_like_it(peek(source.path(name)))]


def _looks_like_it(ends: str) -> bool:
    keys = ('"annotations"', '"completions"', '"rectanglelabels"', '"original_width"')
    return ends.lstrip()[:1] == "[" and any(key in ends for key in keys)


def read(source: SourceFiles, photos: PhotoFiles, notes: NoteLog) -> Iterator[ExchangePicture]:
    """The pictures of every file, in its order; of a task that was annotated more than once, the newest.

    Raises:
        BadInput: a file is no JSON, or no export of Label Studio in its own format.
    """
    for name in finds(source) or source.ending(".json"):
        path, near = source.path(name), name.rpartition("/")[0]
        for entry in json_entries(path):
            task, where = mapping(entry.value), "%s, %s" % (name, entry.place)
            if entry.key or "data" not in task:
                raise BadInput(
                    "%s is not in Label Studio's own format: %s is no task with data. Export JSON, not JSON-MIN."
                    % (path, entry.place or entry.key)
                )
            annotation = _newest(task, where, notes)
            called = _photo_name(task, annotation)
            if called is None:
                notes.add("several_photos", where, "the task is of several photos")
                continue
            photo = photos.found(Written(called, near, where), notes)
            if photo is not None and annotation is not None:
                picture = _picture(photo, annotation, where, photos, notes)
                if picture:
                    yield picture


def _newest(task: Dict[str, Any], where: str, notes: NoteLog) -> Optional[Dict[str, Any]]:
    """The annotation that holds, as Label Studio's own converter chooses it; None, with a note, if there is none."""
    all_of_it = listing(task.get("annotations")) or listing(task.get("completions"))
    done = [one for one in map(mapping, all_of_it) if not one.get("was_cancelled") and not one.get("skipped")]
    if not done:
        more = ", only predictions" if task.get("predictions") else ""
        notes.add("not_labelled", where, "the task has no annotation%s" % more)
        return None
    if len(done) > 1:
        notes.add("other_label", where, "it was annotated %d times, and the newest counts" % len(done))
    return max(done, key=lambda one: text(one.get("created_at")))


def _photo_name(task: Dict[str, Any], annotation: Optional[Dict[str, Any]]) -> Optional[str]:
    """What the task calls its photo: the value of its data that is the name of a picture.

    Of several, the one under the name that its regions are said to be on; None where that does not tell it.
    """
    data = mapping(task["data"])
    values = [value for _, value in sorted(data.items(), key=lambda item: item[0] != "image") if text(value)]
    names = [value for value in map(text, values) if _is_picture(value)]
    shapes = [one for one in map(mapping, listing(mapping(annotation).get("result"))) if _is_shape(one)]
    on = {text(one.get("to_name")) for one in shapes}
    if len(on) > 1 or any(number(one.get("item_index")) for one in shapes):
        return None
    if len(set(names)) > 1 and on:
        named = text(data.get(on.pop()))
        return named if named in names else None
    return names[0] if names else text(task.get("file_upload")) or (text(values[0]) if values else "")


def _is_picture(name: str) -> bool:
    return (parts_of(name) or [""])[-1].lower().endswith(PICTURE_SUFFIXES + UNREAD_SUFFIXES)


def _picture(
    photo: str, annotation: Dict[str, Any], where: str, photos: PhotoFiles, notes: NoteLog
) -> Optional[ExchangePicture]:
    results = [one for one in map(mapping, listing(annotation.get("result")))]
    if any(number(one.get("image_rotation")) for one in results):
        notes.add("turned_view", where, "it was labelled with the view turned")
        return None
    sizes = [size(one.get("original_width"), one.get("original_height")) for one in results]
    whole = next(filter(None, sizes), None) or photos.size(photo)
    if whole is None:
        notes.add("no_size", where, "neither the file nor the photo tells its size")
    objects = [one for region in _regions(results, where, notes) for one in _objects(region, whole, notes)]
    return ExchangePicture(photo, whole, objects, side_of(photo))


def _regions(results: List[Dict[str, Any]], where: str, notes: NoteLog) -> Iterator[LabelledRegion]:
    """Results of one id are of one region: its shape, its label, and answers about it."""
    by_id: Dict[str, List[Tuple[int, Dict[str, Any]]]] = {}
    for place, one in enumerate(results):
        by_id.setdefault(text(one.get("id")) or "result %d" % place, []).append((place, one))
    for parts in by_id.values():
        at = "%s, result[%d]" % (where, parts[0][0])
        shapes = [one for _, one in parts if _is_shape(one)]
        if shapes:
            labels = [label for _, one in parts for label in _labels(mapping(one.get("value")))]
            yield LabelledRegion(
                at, mapping(shapes[0].get("value")), shapes[0], list(dict.fromkeys(labels)), _answers(parts, at, notes)
            )
            continue
        for _, one in parts:
            kind = text(one.get("type"))
            notes.add("relation" if kind == "relation" else "other_label", at, "it is of the type %s" % shown(kind))


def _is_shape(result: Dict[str, Any]) -> bool:
    kind = text(result.get("type"))
    return kind in SHAPES or kind in LABELS


def _labels(value: Dict[str, Any]) -> List[str]:
    return [text(label) for key in LABELS for label in listing(value.get(key)) if text(label).strip()]


def _answers(parts: List[Tuple[int, Dict[str, Any]]], where: str, notes: NoteLog) -> Attributes:
    """What was asked about a region, by the name of the question."""
    kept: Attributes = ()
    for _, one in parts:
        if _is_shape(one):
            continue
        kind, name = text(one.get("type")), text(one.get("from_name"))
        value = mapping(one.get("value")).get("text" if kind == "textarea" else kind)
        words = [text(word) for word in (value if isinstance(value, list) else [value])]
        if name and any(words) and voc_xml.can_hold(name):
            kept += ((name, ", ".join(words)),)
        else:
            notes.add("attribute", where, "its %s %s is %s" % (kind, name, shown(value)))
    return kept


def _objects(region: LabelledRegion, whole: Optional[WholeSize], notes: NoteLog) -> List[ExchangeObject]:
    """An object for each label of a region; one without a class if it has none."""
    placed = _placed(region, whole, notes)
    if not region.labels:
        notes.add("no_class", region.where, "it has no label")
    if len(region.labels) > 1:
        notes.add("several_labels", region.where, "its labels are %s" % ", ".join(region.labels))
    if "score" in region.result:
        notes.add("score", region.where, "it has a score, as predictions have")
    return [placed._replace(name=name, attributes=region.attributes) for name in region.labels or [""]]


def _placed(region: LabelledRegion, whole: Optional[WholeSize], notes: NoteLog) -> ExchangeObject:
    """Where a region is, in pixels."""
    if whole is None:
        return ExchangeObject("", None)
    value, (across, down) = region.value, (whole[0] / 100, whole[1] / 100)
    if "points" in value:
        points = [numbers(one) for one in listing(value["points"])]
        outline = [edge * (across, down)[at] for one in points if one and len(one) == 2 for at, edge in enumerate(one)]
        if len(outline) >= 6 and len(outline) == 2 * len(points):
            notes.add("shape_boxed", region.where, "it is a polygon")
            return ExchangeObject("", enclosing(outline), [outline])
        return _without_box(region, notes, "unreadable_number", "its points are %s" % shown(value["points"]))
    if "radiusX" in value:
        return _ellipse(region, across, down, notes)
    if "rle" in value or "brushlabels" in value:
        return _without_box(region, notes, "no_box", "it was painted with a brush")
    if "width" not in value or "keypointlabels" in value:
        return _without_box(region, notes, "no_box", "it is a point")
    return _rectangle(region, across, down, notes)


def _without_box(region: LabelledRegion, notes: NoteLog, kind: str, message: str) -> ExchangeObject:
    notes.add(kind, region.where, message)
    return ExchangeObject("", None)


def _rectangle(region: LabelledRegion, across: float, down: float, notes: NoteLog) -> ExchangeObject:
    values = numbers([region.value.get(key) for key in ("x", "y", "width", "height")])
    angle = degrees(region.value.get("rotation"))
    if values is None or angle is None:
        return _without_box(region, notes, "unreadable_number", "it is %s" % shown(region.value))
    x, y, wide, high = (value * (across, down)[at % 2] for at, value in enumerate(values))
    if not angle % 360:
        return ExchangeObject("", (x, y, x + wide, y + high))
    angle = math.radians(angle % 360)
    cos, sin = math.cos(angle), math.sin(angle)
    middle = x + (wide * cos - high * sin) / 2, y + (wide * sin + high * cos) / 2
    turned = TurnedBox(middle[0], middle[1], wide, high, angle)
    return ExchangeObject("", turned.enclosing(), turned=turned)


def _ellipse(region: LabelledRegion, across: float, down: float, notes: NoteLog) -> ExchangeObject:
    """The box around an ellipse, which is turned around its centre."""
    values = numbers([region.value.get(key) for key in ("x", "y", "radiusX", "radiusY")])
    angle = degrees(region.value.get("rotation"))
    if values is None or angle is None:
        return _without_box(region, notes, "unreadable_number", "it is %s" % shown(region.value))
    notes.add("shape_boxed", region.where, "it is an ellipse")
    x, y, wide, high = (value * (across, down)[at % 2] for at, value in enumerate(values))
    angle = math.radians(angle)
    wide, high = (
        math.hypot(wide * math.cos(angle), high * math.sin(angle)),
        math.hypot(wide * math.sin(angle), high * math.cos(angle)),
    )
    return ExchangeObject("", (x - wide, y - high, x + wide, y + high))
