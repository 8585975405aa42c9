"""Protobuf's text format read as object_detection reads it, but for what this object_detection cannot know.

A walk along the message's own description finds, line by line, the fields that it does not have, and the paths that
people write as their system does; both are taken out of the text, lines kept, and ``text_format`` reads the rest.
"""

import difflib
import re
from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Tuple

from google.protobuf import text_encoding, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from stages import files

UNSEEN = "\u200b-\u200f\u2060\ufeff"  # marks without width, as files that were joined or copied from the web have them
BLANKS = re.compile(r"(?:[\s%s]|#[^\n]*)+" % UNSEEN)
STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
WORD = re.compile(r"[^\s{}<>\[\]:;,\"'#%s]+" % UNSEEN)
NAME = re.compile(WORD.pattern + r"|\[[^\]\n]*\]")  # the latter an extension's
PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# A path ends at the quote that nothing of it follows, whatever a backslash before it means elsewhere: "C:\data\".
PATH = re.compile(r"([\"'])([^\n]*?)\1(?=[\s,;{}<>\]#]|\Z)")
BARE_PATH = re.compile(r"[^\s#][^\n#]*")
CLOSING = {"{": "}", "<": ">", "[": "]"}
COMMENT = re.compile(r"//|/\*|--")  # of other languages
FIELD_FORM = "a field is written as name: value or name { … }, a number without commas and blanks"
# How text_format begins what it says, and what to do about it.
REMEDIES = (
    ("Expected string", "a text stands between quotes, \" or '"),
    ("String missing ending quote", "end the text in its line, by the quote that it begins with"),
    ("Couldn't parse integer", "an integer is written with digits alone, the first not 0"),
    ('Expected ":"', "a colon and the value follow a field's name"),
    ('Expected "{"', "what belongs to a field of fields stands between { and }, also where it is nothing"),
    ('Expected "}"', "a { before it is not closed"),
    ("Expected identifier or number, got }", "it closes nothing: remove it"),
    ("Expected identifier or number", FIELD_FORM),
)
SURROGATES = re.compile("[\ud800-\udfff]")
NOT_FOR_TEXT_FORMAT = re.compile("[\ud800-\udfff%s]" % UNSEEN)


class FieldPlace(NamedTuple):
    """A field in the text: its message's name and its own, and its line, counted from 1."""

    message: str
    field: str
    line: int


class Unknown(NamedTuple):
    """A field that its message does not have: where, its value as written ("" for a message), and the message."""

    place: FieldPlace
    value: str
    descriptor: Descriptor

    def nearest(self, others: Iterable[str] = ()) -> str:
        """Which field may have been meant, in words; ``others`` are names that it may have besides the message's."""
        known = sorted(self.descriptor.fields_by_name)
        close = difflib.get_close_matches(self.place.field, [*known, *others], 1)
        if close:
            return "did you mean %s?" % close[0]
        return "known are %s" % ", ".join(known) if known else "remove it, there it has no fields at all"


class Merged(NamedTuple):
    """What a text says besides the message that it makes.

    Attributes:
        places: of all fields that the message has, in their order.
        unknown: fields that it does not have, and lacks now.
        twice: where a field is said again that has one value; the last one counts.
        joined: where a message is said again; it is merged with the one before.
    """

    places: List[FieldPlace]
    unknown: List[Unknown]
    twice: List[FieldPlace]
    joined: List[FieldPlace]


def merge(text: str, message: Any, paths: FrozenSet[str] = frozenset()) -> Merged:
    """Read ``text`` into ``message``.

    Args:
        text: with newlines as line ends; bytes that were no text are lone surrogates.
        paths: names of fields whose values may have backslashes that escape nothing, no quotes, and no text at all.

    Raises:
        ParseError: the text is wrong; it knows the line.
    """
    walk = _TextWalk(text, paths)
    walk.through(message.DESCRIPTOR)
    cleaned = walk.cleaned()
    try:
        text_format.Merge(SURROGATES.sub("\ufffd", cleaned), message)
    except RecursionError:
        raise text_format.ParseError("it is nested too deeply") from None
    damaged = SURROGATES.search(cleaned)
    if damaged:
        raise text_format.ParseError("it is not UTF-8: save it as UTF-8", cleaned.count("\n", 0, damaged.start()) + 1)
    return Merged(walk.places, walk.unknown, walk.twice, walk.joined)


def reason(error: text_format.ParseError) -> str:
    """Where and why a text is none, for people."""
    words = re.sub(r"^\d+(:\d+)? : ('.*': )?", "", str(error), flags=re.DOTALL)  # place and line come with it
    words = " ".join(words.replace("object_detection.protos.", "").rstrip(".").split())[:300]
    remedy = next((remedy for beginning, remedy in REMEDIES if words.startswith(beginning)), "")
    words += remedy and "; " + remedy
    if error.GetLine() is None:
        return words
    column = ", column %d" % error.GetColumn() if error.GetColumn() is not None else ""
    return "line %d%s: %s" % (error.GetLine(), column, words)


def _is_repeated(field: FieldDescriptor) -> bool:
    """``label`` went with protobuf 7, ``is_repeated`` came with 6."""
    has_it: bool = field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED
    return has_it


def _refuse_foreign(place: FieldPlace, is_assigned: bool) -> None:
    """Refuse what stands where a field's name does, or behind it, and is written as it is elsewhere."""
    if is_assigned:
        raise text_format.ParseError("= stands behind %.60s; %s" % (place.field, FIELD_FORM), place.line)
    if PLAIN_NAME.fullmatch(place.field) or place.field.startswith("["):
        return
    words = "a comment begins with #" if COMMENT.match(place.field) else FIELD_FORM
    raise text_format.ParseError("%.60s stands where a field is expected; %s" % (place.field, words), place.line)


class _Level(NamedTuple):
    """A message in the text that is open, or a list of such: its field, what closes it, and what was said in it."""

    place: FieldPlace
    descriptor: Descriptor
    closing: str
    said: Dict[str, str]


class _TextWalk:
    """From one end of the text to the other, or to where it is wrong: that is for text_format to refuse."""

    def __init__(self, text: str, paths: FrozenSet[str]) -> None:
        self._text, self._paths = text, paths
        self._at, self._line, self._counted = 0, 1, 0
        self._ended = 0  # where the last value ended that was gone past; blanks may follow
        self._changes: List[Tuple[int, int, str]] = []
        self.places: List[FieldPlace] = []
        self.unknown: List[Unknown] = []
        self.twice: List[FieldPlace] = []
        self.joined: List[FieldPlace] = []

    def through(self, descriptor: Descriptor) -> None:
        levels = [_Level(FieldPlace("", "", 1), descriptor, "", {})]
        going = True
        while going:
            letter = self._next()
            if letter and letter == levels[-1].closing:
                self._at += 1
                levels.pop()
            elif letter in (";", ","):
                self._at += 1
            elif levels[-1].closing == "]":
                going = letter in ("{", "<") and self._open(levels, levels[-1].place, levels[-1].descriptor)
            else:
                going = self._field(levels)

    def cleaned(self) -> str:
        """The text without what :func:`merge` takes out, every line where it was."""
        parts: List[str] = []
        end = 0
        for first, last, instead in self._changes:
            parts += [self._text[end:first], instead, "\n" * self._text.count("\n", first, last)]
            end = last
        return "".join(parts) + self._text[end:]

    def _next(self) -> str:
        """The next letter that is no blank and in no comment; a comment may be in any encoding."""
        match = BLANKS.match(self._text, self._at)
        if match:
            if NOT_FOR_TEXT_FORMAT.search(match.group()):
                self._changes.append((self._at, match.end(), " "))
            self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _open(self, levels: List[_Level], place: FieldPlace, descriptor: Descriptor) -> bool:
        letter = self._text[self._at]
        if letter != "[":
            place = place._replace(line=self._line_of(self._at)) if levels[-1].closing == "]" else place
            self.places.append(place)
        levels.append(_Level(place, descriptor, CLOSING[letter], {}))
        self._at += 1
        return True

    def _line_of(self, position: int) -> int:
        """The line of a position that is not before the last one asked for."""
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _field(self, levels: List[_Level]) -> bool:
        match = NAME.match(self._text, self._at)
        if not match or SURROGATES.search(match.group()):
            return False
        start, level = self._at, levels[-1]
        place = FieldPlace(level.descriptor.name, match.group(), self._line_of(start))
        self._at = match.end()
        _refuse_foreign(place, self._next() == "=")
        if self._next() == ":":
            self._at += 1
        letter = self._next()
        field = level.descriptor.fields_by_name.get(place.field)
        if field is None:
            return self._take_out(place, start, level.descriptor)
        self._compare(level.said, field, place)
        if field.message_type:
            return letter in CLOSING and self._open(levels, place, field.message_type)
        self.places.append(place)
        return self._path(letter) if place.field in self._paths else self._pass(letter)

    def _compare(self, said: Dict[str, str], field: FieldDescriptor, place: FieldPlace) -> None:
        if _is_repeated(field):
            return
        group = field.containing_oneof.name if field.containing_oneof else place.field
        before = said.get(group)
        if before:
            (self.joined if before == place.field and field.message_type else self.twice).append(place)
        said[group] = place.field

    def _take_out(self, place: FieldPlace, start: int, descriptor: Descriptor) -> bool:
        value, changes = self._at, len(self._changes)
        if not self._pass(self._next()):
            return False
        written = " ".join(self._text[value : self._ended].split())
        if self._next() in (",", ";"):  # text_format wants a field before each
            self._at += 1
        self._changes[changes:] = [(start, self._at, "")]
        shown = "" if written[:1] in CLOSING else files.readable(written.strip("\"'"))
        self.unknown.append(Unknown(place, shown, descriptor))
        return True

    def _pass(self, letter: str) -> bool:
        """Go past a value: a word, strings, a list, a message; False where there is none."""
        closing: List[str] = []
        while True:
            match = STRING.match(self._text, self._at)
            word = match or WORD.match(self._text, self._at)
            if word:
                self._at = word.end()
            elif letter in CLOSING:
                closing.append(CLOSING[letter])
                self._at += 1
            elif closing and letter and letter in closing[-1] + ":,;":
                self._at += 1
                if letter == closing[-1]:
                    closing.pop()
            else:
                return False
            self._ended = self._at
            letter = self._next()
            if not closing and not (match and letter in ("'", '"')):  # strings in a row are one
                return True

    def _path(self, letter: str) -> bool:
        if letter in ("'", '"'):
            going = self._quoted_path()
            while going and self._next() in ("'", '"'):
                going = self._quoted_path()
            return going
        if letter == "[":
            self._at += 1
            while self._next() in ("'", '"', ","):
                if self._text[self._at] == ",":
                    self._at += 1
                elif not self._quoted_path():
                    return False
            closed = self._next() == "]"
            self._at += closed
            return closed
        match = BARE_PATH.match(self._text, self._at)
        path = match.group().rstrip("}>;, \t\n") if match else ""
        if path:
            self._write_path(path, self._at + len(path))
        return bool(path)

    def _quoted_path(self) -> bool:
        match = PATH.match(self._text, self._at)
        if not match:
            return False
        try:
            path = text_encoding.CUnescape(match.group(2)).decode("utf-8")
            plain = path.isprintable() and STRING.fullmatch(match.group())
        except ValueError:
            plain = None
        if plain:
            self._at = match.end()
        else:
            self._write_path(match.group(2), match.end())
        return True

    def _write_path(self, path: str, end: int) -> None:
        quoted = '"%s"' % text_encoding.CEscape(files.readable(path).encode("utf-8"), as_utf8=False)
        self._changes.append((self._at, end, quoted))
        self._at = end
