"""Questions to the index, each answered as the page gets it (JSON values)."""

import sqlite3
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from stages import files
from stages.drawing import color_of
from stages.finding_kinds import KINDS
from stages.view import detections
from stages.view.selection import SORTS, PictureSelection, conditions, tables


class Totals(NamedTuple):
    pictures: int
    boxes: int


class FoundPicture(NamedTuple):
    """A picture in the index: its number, its source's, its name as it is and where it is."""

    key: int
    source: int
    name: bytes
    place: Tuple[int, int, int]


def totals(connection: sqlite3.Connection, chosen: PictureSelection) -> Totals:
    """How many pictures a selection has, and boxes in them."""
    where, values = conditions(chosen)
    question = "SELECT count(*), total(picture.boxes) FROM %s WHERE %s" % (tables(chosen), where)
    pictures, boxes = connection.execute(question, values).fetchone()
    return Totals(int(pictures), int(boxes))


def keys(connection: sqlite3.Connection, chosen: PictureSelection, offset: int, limit: int) -> List[int]:
    """Pictures of a selection, in its order; limit -1: all."""
    where, values = conditions(chosen)
    question = "SELECT picture.key FROM %s WHERE %s ORDER BY %s, picture.key LIMIT ? OFFSET ?"
    rows = connection.execute(question % (tables(chosen), where, SORTS[chosen.sort]), [*values, limit, offset])
    return [key for (key,) in rows]


def find(connection: sqlite3.Connection, identity: str, source: Optional[int]) -> Optional[FoundPicture]:
    """The picture of that id, in that source or the first that has it."""
    question = "SELECT key, source, name, file, offset, length FROM picture WHERE id = ? %s ORDER BY source LIMIT 1"
    only = "AND source = ?" if source is not None else ""
    row = connection.execute(question % only, [identity, *([source] if source is not None else [])]).fetchone()
    return FoundPicture(row[0], row[1], row[2], (row[3], row[4], row[5])) if row else None


class Neighbour(NamedTuple):
    """The id of a picture and the number of its source."""

    id: str
    source: int


class Standing(NamedTuple):
    """Where a picture stands in a selection: what is before and after it, and its place from 0 on (None: outside)."""

    previous: Optional[Neighbour]
    next: Optional[Neighbour]
    position: Optional[int]


def standing(connection: sqlite3.Connection, chosen: PictureSelection, key: int) -> Standing:
    """Where a picture stands in a selection's order; what is before and after it is told outside of it, too."""
    column = SORTS[chosen.sort]
    row = connection.execute("SELECT %s FROM %s WHERE picture.key = ?" % (column, tables(chosen)), [key]).fetchone()
    if row is None:
        return Standing(None, None, None)
    where, values = conditions(chosen)
    begin = "FROM %s WHERE %s AND " % (tables(chosen), where)
    found: List[Optional[Neighbour]] = []
    for sign, way in (("<", "DESC"), (">", "ASC")):
        order = "(%s, picture.key) %s (?, ?) ORDER BY %s %s, picture.key %s LIMIT 1" % (column, sign, column, way, way)
        question = "SELECT picture.id, picture.source " + begin + order
        other = connection.execute(question, [*values, row[0], key]).fetchone()
        found.append(Neighbour(*other) if other else None)
    is_in = connection.execute("SELECT count(*) " + begin + "picture.key = ?", [*values, key]).fetchone()[0]
    before = "SELECT count(*) " + begin + "(%s, picture.key) < (?, ?)" % column
    position = int(connection.execute(before, [*values, row[0], key]).fetchone()[0]) if is_in else None
    return Standing(found[0], found[1], position)


def pictures(
    connection: sqlite3.Connection, asked: Sequence[int], sources: Sequence[str], run: bool
) -> List[Dict[str, Any]]:
    """The pictures of these numbers, in this order, with their boxes and the kinds of their findings.

    Args:
        sources: their ids, by their numbers.
        run: whether detections are attached, which are told too.
    """
    listed = ", ".join(map(str, asked))
    found: Dict[int, Dict[str, Any]] = {}
    question = "SELECT key, id, source, name, split, width, height FROM picture WHERE key IN (%s)" % listed
    for key, identity, source, name, split, width, height in connection.execute(question):
        shown = files.readable(name.decode("utf-8", "surrogateescape"))
        found[key] = {"id": identity, "source": sources[source], "name": shown, "split": split, "width": width}
        found[key].update(height=height, boxes=[], findings=[])
    question = (
        "SELECT picture, xmin, ymin, xmax, ymax, name, difficult, truncated FROM box JOIN class ON class.number = class"
        " WHERE picture IN (%s) ORDER BY picture, place" % listed
    )
    for key, xmin, ymin, xmax, ymax, name, difficult, truncated in connection.execute(question):
        box = {"box": [xmin, ymin, xmax, ymax], "class": name, "score": None}
        found[key]["boxes"].append(dict(box, difficult=bool(difficult), truncated=bool(truncated)))
    question = "SELECT DISTINCT picture, kind FROM finding WHERE picture IN (%s) ORDER BY picture, kind" % listed
    for key, kind in connection.execute(question):
        found[key]["findings"].append(kind)
    if run:
        detections.add_to(connection, found)
    return [found[key] for key in asked]


def findings(connection: sqlite3.Connection, key: int) -> List[Dict[str, Any]]:
    """All findings about a picture."""
    rows = connection.execute(
        "SELECT kind, file, message, line, object, action FROM finding WHERE picture = ? ORDER BY rowid", [key]
    )
    return [dict(zip(("kind", "file", "message", "line", "object", "action"), row)) for row in rows]


def overview(connection: sqlite3.Connection) -> Dict[str, Any]:
    """Classes, splits, findings and warnings of all that is indexed so far, and the figures of each source."""
    classes = connection.execute("SELECT name, boxes FROM class ORDER BY number").fetchall()
    splits = connection.execute("SELECT name, pictures FROM split ORDER BY name = 'test', name").fetchall()
    found = connection.execute(
        "SELECT kind, count(*), count(DISTINCT picture) FROM finding GROUP BY kind ORDER BY count(*) DESC, kind"
    ).fetchall()
    return {
        "classes": [
            {"name": name, "boxes": boxes, "color": "#%02x%02x%02x" % color_of(number)}
            for number, (name, boxes) in enumerate(classes, 1)
        ],
        "splits": [{"name": name, "pictures": pictures} for name, pictures in splits],
        "findings": [
            {
                "kind": kind,
                "count": count,
                "pictures": pictures,
                "words": KINDS[kind].meaning if kind in KINDS else kind,
            }
            for kind, count, pictures in found
        ],
        "warnings": [text for (text,) in connection.execute("SELECT text FROM warning")],
        "sources": connection.execute("SELECT number, pictures, boxes FROM source ORDER BY number").fetchall(),
    }
