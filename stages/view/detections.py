"""The detections of one run, matched with the truth of the index, in a file of their own beside it."""

import json
import os
import re
import sqlite3
from typing import Any, Dict, Iterator, List, Tuple

from stages import files
from stages.picture_id import picture_id
from stages.view.matching import Detected, Labelled, TruthMatch, match

FILE = "detections.json"
BETWEEN = re.compile(r"[\s,:]*")
TABLES = """
CREATE TABLE judged (picture INTEGER PRIMARY KEY, good REAL, missed TEXT);
CREATE TABLE detection (
    picture INTEGER, place INTEGER, class TEXT, xmin REAL, ymin REAL, xmax REAL, ymax REAL, score REAL, truth INTEGER,
    PRIMARY KEY (picture, place)) WITHOUT ROWID;
CREATE INDEX judged_good ON judged (good, picture);
"""


def store(index: sqlite3.Connection, source: int, folder: str, path: str) -> None:
    """Write the detections of ``folder`` on pictures of a source into a new database at ``path``, all or nothing.

    Raises:
        OSError, ValueError: ``detections.json`` cannot be read, or is damaged.
    """
    aside = "%s.%d.part" % (path, os.getpid())
    connection = sqlite3.connect(aside)
    try:
        connection.executescript(
            "PRAGMA synchronous = OFF; DROP TABLE IF EXISTS judged; DROP TABLE IF EXISTS detection;"
        )
        connection.executescript(TABLES)
        for name, found in _pictures(files.read(os.path.join(folder, FILE)).decode("utf-8")):
            row = index.execute(
                "SELECT key FROM picture WHERE id = ? AND source = ?", [picture_id(name), source]
            ).fetchone()
            if row:
                _add(connection, row[0], found, match(found, _truth(index, row[0])))
        connection.commit()
    finally:
        connection.close()
    os.rename(aside, path)


def add_to(connection: sqlite3.Connection, pictures: Dict[int, Dict[str, Any]]) -> None:
    """Put the detections of the attached run into pictures, by their numbers; what it has not looked at has none."""
    listed = ", ".join(map(str, pictures))
    for picture in pictures.values():
        picture.update(detections=[], badness=None, missed=[])
    for key, good, missed in connection.execute("SELECT * FROM run.judged WHERE picture IN (%s)" % listed):
        pictures[key].update(badness=-good, missed=json.loads(missed))
    question = "SELECT * FROM run.detection WHERE picture IN (%s) ORDER BY picture, place" % listed
    for key, _, name, xmin, ymin, xmax, ymax, score, truth in connection.execute(question):
        box = {"box": [xmin, ymin, xmax, ymax], "class": name, "score": score, "matched": truth is not None}
        box["truth"] = truth
        pictures[key]["detections"].append(box)


def _add(connection: sqlite3.Connection, key: int, found: List[Detected], told: TruthMatch) -> None:
    connection.execute("INSERT OR REPLACE INTO judged VALUES (?, ?, ?)", (key, -told.badness, json.dumps(told.missed)))
    connection.executemany(
        "INSERT OR REPLACE INTO detection VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (key, place, one.label, *one.edges, one.score, truth)
            for place, (one, truth) in enumerate(zip(found, told.truth))
        ],
    )


def _truth(index: sqlite3.Connection, key: int) -> List[Labelled]:
    question = (
        "SELECT xmin, ymin, xmax, ymax, name, difficult FROM box JOIN class ON class.number = class"
        " WHERE picture = ? ORDER BY place"
    )
    return [Labelled((row[0], row[1], row[2], row[3]), row[4], bool(row[5])) for row in index.execute(question, [key])]


def _pictures(text: str) -> Iterator[Tuple[str, List[Detected]]]:
    """Names and detections, one picture after the other: all of them at once would take ten times their file."""
    decoder, place = json.JSONDecoder(), _begin_of_pictures(text)
    while text.startswith("{", place):
        told, place = decoder.raw_decode(text, place)
        try:
            yield str(told["file"]), [_detected(one, told["width"], told["height"]) for one in told["detections"]]
        except (LookupError, TypeError, ArithmeticError) as error:
            raise ValueError("a picture in it is damaged: %s" % error) from error
        place = _after_blanks(text, place)
    if not text.startswith("]", place):
        raise ValueError("it is cut off, or damaged at letter %d" % place)


def _begin_of_pictures(text: str) -> int:
    """Where the first element of the list ``pictures`` of the whole object is."""
    decoder, place = json.JSONDecoder(), _after_blanks(text, text.find("{") + 1)
    while text.startswith('"', place):
        key, place = decoder.raw_decode(text, place)
        place = _after_blanks(text, place)
        if key == "pictures" and text.startswith("[", place):
            return _after_blanks(text, place + 1)
        place = _after_blanks(text, decoder.raw_decode(text, place)[1])
    raise ValueError("it lists no pictures")


def _after_blanks(text: str, place: int) -> int:
    """The place after blanks and what separates values."""
    found = BETWEEN.match(text, place)
    return found.end() if found else place


def _detected(told: Dict[str, Any], width: int, height: int) -> Detected:
    xmin, ymin, xmax, ymax = (float(edge) for edge in told["box"])
    edges = xmin / width, ymin / height, xmax / width, ymax / height
    return Detected(edges, files.readable(str(told["class"])), float(told["score"]))
