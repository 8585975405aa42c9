"""Reading Roboflow's "Tensorflow Object Detection" CSV: a line for each object, edges in pixels."""

import csv
import io
from typing import Any, Dict, Iterator, List, Optional, Set

from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.shapes import EDGES
from stages.data.exchange.exchange_files import SourceFiles, peek, text
from stages.data.exchange.exchange_model import ExchangeObject, ExchangePicture
from stages.data.exchange.exchange_notes import NoteLog
from stages.data.exchange.exchange_values import number, shown, size
from stages.data.exchange.photo_files import PhotoFiles, Written
from stages.data.split.splits import side_of
from stages.job import BadInput

COLUMNS = ("filename", "width", "height", "class", *EDGES)


def finds(source: SourceFiles) -> List[str]:
    """The files that have these columns."""
    return [name for name in source.ending(".csv") if _header(peek(source.path(name))) >= set(COLUMNS)]


def _header(content: str) -> Set[str]:
    return {word.strip() for word in (content.splitlines() or [""])[0].split(",")}


def read(source: SourceFiles, photos: PhotoFiles, notes: NoteLog) -> Iterator[ExchangePicture]:
    """The pictures of every file. One without a line may show nothing, or was not labelled: it gets no XML.

    Raises:
        BadInput: a file has not got the columns.
    """
    for name in finds(source) or source.ending(".csv"):
        path, near = source.path(name), name.rpartition("/")[0]
        content = text(path)
        if not _header(content) >= set(COLUMNS):
            raise BadInput("%s has no columns %s: export it anew." % (path, ", ".join(COLUMNS)))
        rows = csv.DictReader(io.StringIO(content, newline=""), skipinitialspace=True)
        objects: Dict[str, List[ExchangeObject]] = {}
        sizes: Dict[str, Optional[WholeSize]] = {}
        try:
            for row in rows:
                where = "%s, line %d" % (name, rows.line_num)
                photo = photos.found(Written(row["filename"] or "", near, where), notes)
                if photo is not None:
                    sizes.setdefault(photo, size(row["width"], row["height"]))
                    objects.setdefault(photo, []).append(_object(row, where, notes))
        except csv.Error as error:
            raise BadInput("%s is damaged, line %d: %s." % (path, rows.line_num, error)) from None
        for photo, found in objects.items():
            yield ExchangePicture(photo, sizes[photo] or photos.size(photo), found, side_of(photo))


def _object(row: Dict[str, Any], where: str, notes: NoteLog) -> ExchangeObject:
    behind = row.get(None, [])  # type: ignore[call-overload]  # which csv gives what has no column
    values = [number(row[edge]) for edge in EDGES]
    edges = [value for value in values if value is not None and not behind]
    if len(edges) < len(EDGES):
        told = [row[edge] for edge in EDGES] + behind
        notes.add("unreadable_number", where, "its box is %s" % shown(told))
    name = (row["class"] or "").strip()
    if not name:
        notes.add("no_class", where, "it has no class")
    return ExchangeObject(name, (edges[0], edges[1], edges[2], edges[3]) if len(edges) == len(EDGES) else None)
