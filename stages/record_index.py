"""The lines of a records artifact's index.jsonl, checked where they enter: training, detection and parity read them.

A damaged line, or the index of other records, must end in one sentence: not in boxes of another picture, and not in a
read of as many bytes as a damaged number says. Standard library only, Python 3.6 to current.
"""

import json
import math
import os
import struct
import sys
from typing import Any, Dict, Iterator, List, Sequence

from stages import files

FILE = "index.jsonl"
HEAD, TAIL = 12, 4  # bytes of a TFRecord frame before and after its content (TensorFlow's core/lib/io/record_writer.cc)
NUMBERS = {"offset": 0, "length": HEAD + TAIL, "width": 1, "height": 1}  # the least that each may be
MOST = 1 << 62
TEXTS, LISTS = ("source_id", "split", "shard"), ("boxes", "classes")


def lines(folder: str) -> List[Dict[str, Any]]:
    """The lines in file order, as docs/architecture.md tells them.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a line is damaged; the message names it.
    """
    return list(read(folder))


def read(folder: str) -> Iterator[Dict[str, Any]]:
    """As :func:`lines`, one after the other: memory does not grow with them.

    Raises:
        OSError, ValueError: as :func:`lines`, when the iterator comes to it.
    """
    with files.opened(os.path.join(folder, FILE)) as stream:
        for number, text in enumerate(stream, 1):
            try:
                yield _checked(json.loads(text.decode("utf-8")))
            except RecursionError:
                raise ValueError("line %d: it is nested too deeply" % number) from None
            except ValueError as error:
                raise ValueError("line %d: %s" % (number, error)) from None


def frame(folder: str, line: Dict[str, Any]) -> bytes:
    """The TFRecord frame that a line tells of; no more is read than its file has.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is cut off there, or another frame is.
    """
    with files.opened(os.path.join(folder, line["shard"])) as stream:
        if os.fstat(stream.fileno()).st_size < line["offset"] + line["length"]:
            raise ValueError("the file is cut off")
        stream.seek(line["offset"])
        data = stream.read(line["length"])
    if held(data) != line["length"]:
        raise ValueError("no record of %d bytes is there; is %s that of other records?" % (line["length"], FILE))
    return data


def held(head: bytes) -> int:
    """The bytes of the whole frame that begins with ``head``, by its own length; 0 where that is cut off."""
    return HEAD + TAIL + int(struct.unpack("<Q", head[:8])[0]) if len(head) >= HEAD else 0


def check_source(line: Dict[str, Any], source: bytes) -> None:
    """Check that a record's ``image/source_id`` is that of its line.

    Raises:
        ValueError: it is another one's, so that the line's boxes are not those of its picture.
    """
    if source and source != line["source_id"].encode("utf-8", "surrogateescape"):
        raise ValueError("it is %s; is %s that of other records?" % (_shown(source), FILE))


def _shown(name: bytes) -> str:
    return files.readable(name[:200].decode("utf-8", "surrogateescape"))


def _checked(line: Any) -> Dict[str, Any]:
    if not isinstance(line, dict):
        raise ValueError("it is not an object with keys")
    _check_texts(line, TEXTS)
    if os.path.basename(line["shard"]) != line["shard"] or line["shard"].startswith("."):
        raise ValueError("shard is not the name of a file")
    _check_numbers(line, NUMBERS)
    _check_objects(line)
    return _small(line)


def check_facts(facts: Dict[str, Any]) -> None:
    """Check what of a line hangs on its picture alone: its name, size and objects.

    Raises:
        ValueError: something is missing, or of another type.
    """
    _check_texts(facts, TEXTS[:1])
    _check_numbers(facts, {key: NUMBERS[key] for key in ("width", "height")})
    _check_objects(facts)


def _check_texts(line: Dict[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        if not isinstance(line.get(key), str) or not line[key]:
            raise ValueError("%s is not a text" % key)


def _check_numbers(line: Dict[str, Any], least: Dict[str, int]) -> None:
    for key, fewest in least.items():
        if not is_whole(line.get(key)) or not fewest <= line[key] < MOST:
            raise ValueError("%s is not a whole number from %d" % (key, fewest))


def _check_objects(line: Dict[str, Any]) -> None:
    if not isinstance(line.get("boxes"), list) or not all(_is_box(box) for box in line["boxes"]):
        raise ValueError("boxes is not a list of four numbers each")
    if not isinstance(line.get("classes"), list) or not all(is_whole(one) and one > 0 for one in line["classes"]):
        raise ValueError("classes is not a list of ids from 1")
    if len(line["boxes"]) != len(line["classes"]):
        raise ValueError("%d boxes have %d classes" % (len(line["boxes"]), len(line["classes"])))


def _small(line: Dict[str, Any]) -> Dict[str, Any]:
    """The line in half of the memory: with one copy of each key, and of what many lines have alike."""
    small = {key: line[key] for key in (*TEXTS, *NUMBERS, *LISTS)}
    small.update((key, sys.intern(small[key])) for key in ("split", "shard"))
    return small


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, which a boolean is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(_is_share(edge) for edge in value)


def _is_share(value: Any) -> bool:
    return (is_whole(value) or isinstance(value, float)) and -MOST < value < MOST and math.isfinite(value)
