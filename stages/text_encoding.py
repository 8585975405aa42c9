"""The text in a file that some editor saved: which encoding it is in.

Standard library only, Python 3.6 to current.
"""

import codecs

# The longest first: UTF-32's mark for little-endian begins as UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


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
