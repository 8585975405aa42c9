"""Text of a file in protobuf's text format as people's editors save it: which encoding, and where it is not text."""

import codecs
import os

from stages import files
from stages.job import BadInput

# The longest first: UTF-32's mark for little-endian begins as UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


def read(path: str, kind: str, most: int) -> str:
    """The text of a file, its line ends all newlines; bytes that are no text are lone surrogates in it.

    Args:
        kind: what the file ought to be, as people call it.
        most: bytes that such a file may have.

    Raises:
        BadInput: there is no such file, or it is empty or no text at all.
    """
    try:
        data = files.read(path, most)
    except OSError as error:
        raise BadInput("There is no %s at %s: %s" % (kind, path, error.strerror)) from None
    if not data.strip():
        raise BadInput("%s is empty: a %s is wanted" % (os.path.basename(path), kind))
    text = decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise BadInput(
            "%s is not a %s but a binary file, as frozen graphs and checkpoints are" % (os.path.basename(path), kind)
        )
    if not text.strip():
        raise BadInput("%s is empty: a %s is wanted" % (os.path.basename(path), kind))
    return text


def decoded(data: bytes) -> str:
    """The text of ``data``, by its byte order mark, or UTF-16 where every other byte at its beginning is nought.

    Else it is UTF-8, and what is none becomes lone surrogates.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _text(data[len(mark) :], encoding)
    for zero, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(data) > 3 and not any(data[zero:64:2]) and all(data[1 - zero : 64 : 2]):
            return _text(data, encoding)
    return _text(data, "utf-8")


def _text(data: bytes, encoding: str) -> str:
    return data.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
