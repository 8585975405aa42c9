"""A selection as a file: names, a row for each box, or all that is known of the pictures."""

import csv
import io
import json
from typing import Any, Dict, Iterator, List

from stages.view import catalog
from stages.view.exhibition import Exhibition
from stages.view.selection import PictureSelection

MIME = {"txt": "text/plain; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}
BATCH = 1000  # pictures that are in memory at once
COLUMNS = (
    "source",
    "name",
    "split",
    "width",
    "height",
    "class",
    "xmin",
    "ymin",
    "xmax",
    "ymax",
    "difficult",
    "truncated",
)
DETECTED = ("score", "matched")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


def lines(shown: Exhibition, chosen: PictureSelection, kind: str) -> Iterator[str]:
    """The file, piece by piece; ``kind`` is one of ``MIME``. Edges are pixels of the stored picture in CSV."""
    write = {"txt": _names, "csv": _rows, "json": _objects}[kind]
    return write(_batches(shown, chosen), bool(chosen.run))


def _batches(shown: Exhibition, chosen: PictureSelection) -> Iterator[List[Dict[str, Any]]]:
    with shown.opened(chosen.run) as connection:
        asked = catalog.keys(connection, chosen, 0, -1)
        for begin in range(0, len(asked), BATCH):
            yield catalog.pictures(connection, asked[begin : begin + BATCH], shown.ids, bool(chosen.run))


def _names(batches: Iterator[List[Dict[str, Any]]], _run: bool) -> Iterator[str]:
    for pictures in batches:
        # A name is one line, whatever is in it.
        yield "".join("%s\n" % " ".join(one["name"].splitlines()) for one in pictures)


def _rows(batches: Iterator[List[Dict[str, Any]]], run: bool) -> Iterator[str]:
    yield _row([*COLUMNS, *(DETECTED if run else ())])
    for pictures in batches:
        yield "".join(_row(row) for picture in pictures for row in _rows_of(picture, run))


def _rows_of(picture: Dict[str, Any], run: bool) -> Iterator[List[Any]]:
    """A row for each box, and for each detection; one without a box for a picture that has none."""
    begin = [_plain(picture["source"]), _plain(picture["name"]), picture["split"], picture["width"], picture["height"]]
    boxes = picture["boxes"] + picture.get("detections", [])
    more = ("", "") if run else ()
    if not boxes:
        yield [*begin, *[""] * 7, *more]
    for box in boxes:
        xmin, ymin, xmax, ymax = box["box"]
        width, height = picture["width"], picture["height"]
        edges = ["%.2f" % edge for edge in (xmin * width, ymin * height, xmax * width, ymax * height)]
        flags = [int(box["difficult"]), int(box["truncated"])] if "difficult" in box else ["", ""]
        found = (box["score"], int(box["matched"])) if "matched" in box else more
        yield [*begin, _plain(box["class"]), *edges, *flags, *found]


def _objects(batches: Iterator[List[Dict[str, Any]]], _run: bool) -> Iterator[str]:
    begin = "[\n"
    for pictures in batches:
        yield begin + ",\n".join(json.dumps(one, ensure_ascii=False) for one in pictures)
        begin = ",\n"
    yield "\n]\n" if begin != "[\n" else "[]\n"


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA) else text


def _row(values: List[Any]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(values)
    return stream.getvalue()
