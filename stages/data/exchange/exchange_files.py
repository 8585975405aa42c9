"""The files of a dataset that is imported: texts in whatever encoding editors save, JSON of any size up to a limit."""

import json
import os
import re
from typing import Any, Generator, Iterator, List, NamedTuple, Tuple

from stages import files, text_encoding
from stages.data.split.split_lists import side_named
from stages.data.split.splits import side_of
from stages.job import BadInput

MOST_BYTES = 1 << 30  # of one file: ten times COCO's own train2014 with all outlines
MOST_PEEKED = 1 << 16  # bytes at each end of a file that tell its format
LONGEST_WHOLE = 18  # digits of a whole number that is read as one
_BLANK = re.compile(r"[ \t\r\n]*")
_NO_TEXT = re.compile("[\ud800-\udfff]")


class SourceFiles(NamedTuple):
    """The folder of a dataset and the paths of its files below it; of a single file, its folder and its name."""

    root: str
    names: List[str]

    def path(self, name: str) -> str:
        """The path of a file."""
        return os.path.join(self.root, name)

    def ending(self, *suffixes: str) -> List[str]:
        """The files with one of these suffixes, in any capitals."""
        return [name for name in self.names if name.lower().endswith(suffixes)]

    def called(self, *own_names: str) -> List[str]:
        """The files with one of these names, in any capitals and any folder."""
        return [name for name in self.names if name.lower().rpartition("/")[2] in own_names]


def source_files(what: str) -> SourceFiles:
    """The files of a dataset.

    Raises:
        BadInput: it is not there, or cannot be read.
    """
    try:
        names = [one.path for one in files.walk(what).files]
    except OSError as error:
        raise BadInput("%s cannot be read: %s." % (what, error.strerror)) from error
    return SourceFiles(what, names) if os.path.isdir(what) else SourceFiles(os.path.dirname(what), names)


def side_of_file(name: str) -> str:
    """The side of a split that a file is of, by its own name (instances_train2017.json, val.xml) or its folders'."""
    own = name.rpartition("/")[2].rpartition(".")[0]
    return side_named(own) or side_named(own.rpartition("_")[2]) or side_of(name)


def peek(path: str) -> str:
    """What stands at the beginning and at the end of a file: enough to tell its format."""
    try:
        with files.opened(path) as stream:
            head = stream.read(MOST_PEEKED)
            stream.seek(max(len(head), os.fstat(stream.fileno()).st_size - MOST_PEEKED))
            return text_encoding.decoded(head + stream.read())
    except OSError:
        return ""


def text(path: str) -> str:
    """The text of a file.

    Raises:
        BadInput: it cannot be read, is larger than ``MOST_BYTES``, or is not in UTF-8 or UTF-16.
    """
    try:
        found = text_encoding.decoded(files.read(path, MOST_BYTES))
    except OSError as error:
        raise BadInput("%s cannot be read: %s." % (path, error.strerror)) from error
    wrong = _NO_TEXT.search(found)
    if wrong:
        raise BadInput("%s is not UTF-8, line %d: save it as UTF-8." % (path, found.count("\n", 0, wrong.start()) + 1))
    return found


class JsonEntry(NamedTuple):
    """A value of a JSON file: a member of its object, where arrays come as empty ones and then element by element.

    ``key`` is empty for the elements of an array that is the whole file; ``place`` names it in a sentence.
    """

    key: str
    place: str
    value: Any


def json_entries(path: str) -> Iterator[JsonEntry]:
    """The entries of a JSON file one after the other, so that no more of them than one is in memory.

    Raises:
        BadInput: as ``text``, or it is no JSON, or neither an object nor an array.
    """
    return _JsonText(path, text(path)).entries()


class _JsonText:
    def __init__(self, path: str, content: str) -> None:
        self._path, self._text = path, content
        # Numbers of a thousand digits take long to read as whole ones, and mean nothing.
        whole = lambda digits: int(digits) if len(digits) <= LONGEST_WHOLE else float(digits)  # noqa: E731
        self._decoder = json.JSONDecoder(strict=False, parse_int=whole)

    def entries(self) -> Iterator[JsonEntry]:
        at = self._after_blank(0)
        if self._text[at : at + 1] == "[":
            at = yield from self._elements("", at)
        elif self._text[at : at + 1] == "{":
            at = yield from self._members(at)
        else:
            raise self._refused(at, "an object or an array was expected" if at < len(self._text) else "it is empty")
        if at != len(self._text):
            raise self._refused(at, "something stands behind its end")

    def _members(self, at: int) -> Generator[JsonEntry, None, int]:
        at = self._after_blank(at + 1)
        while self._text[at : at + 1] != "}":
            key, at = self._value(at)
            if not isinstance(key, str) or self._text[at : at + 1] != ":":
                raise self._refused(at, "a name and a colon were expected")
            at = self._after_blank(at + 1)
            if self._text[at : at + 1] == "[":
                yield JsonEntry(key, key, [])
                at = yield from self._elements(key, at)
            else:
                value, at = self._value(at)
                yield JsonEntry(key, key, value)
            at = self._after_comma(at, "}")
        return self._after_blank(at + 1)

    def _elements(self, key: str, at: int) -> Generator[JsonEntry, None, int]:
        at, number = self._after_blank(at + 1), 0
        while self._text[at : at + 1] != "]":
            value, at = self._value(at)
            yield JsonEntry(key, "%s[%d]" % (key, number), value)
            at, number = self._after_comma(at, "]"), number + 1
        return self._after_blank(at + 1)

    def _after_comma(self, at: int, end: str) -> int:
        mark = self._text[at : at + 1]
        if mark == end:
            return at
        behind = self._after_blank(at + 1)
        if mark != "," or self._text[behind : behind + 1] == end:
            why = "a comma and a value, or %s was expected" % end if mark else "it ends in the middle"
            raise self._refused(at, why)
        return behind

    def _value(self, at: int) -> Tuple[Any, int]:
        try:
            value, end = self._decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            raise self._refused(error.pos, error.msg) from None
        except RecursionError:
            raise self._refused(at, "it is nested too deeply") from None
        return value, self._after_blank(end)

    def _after_blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at

    def _refused(self, at: int, why: str) -> BadInput:
        line = self._text.count("\n", 0, at) + 1
        column = at - self._text.rfind("\n", 0, at)
        return BadInput("%s is not JSON, line %d, column %d: %s." % (self._path, line, column, why))
