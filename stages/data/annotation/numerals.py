"""Numbers as people and their tools write them into XML: strict where a guess could be wrong by a factor.

A number has digits 0 to 9, a point, and an exponent if need be. Marks that nobody sees (a byte order mark, a zero-width
blank) are nothing, blanks of any kind at the ends neither. ``float`` would also take 1_0, full-width digits and nan.
"""

import re
import unicodedata
from typing import NamedTuple, Optional

LARGEST = 1e9  # pixels: no picture has as many, and sums of such numbers stay finite
_POINT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
LONGEST_SHOWN = 40  # characters of what is no number


class Numeral(NamedTuple):
    """What a text says: ``value`` is None if it is no number; ``comma``: it has a decimal comma (or one that is not
    clear)."""

    value: Optional[float]
    comma: bool


def numeral(text: str) -> Numeral:
    """The number in ``text``. 12,5 is 12.5; 1,234 may be a thousand and is none, 0,125 and 1234,567 are not."""
    plain = text.strip()
    plain = plain if _POINT.fullmatch(plain) else visible(plain)
    comma = bool(_COMMA.fullmatch(plain))
    if comma and not _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", ".")
    value = float(plain) if _POINT.fullmatch(plain) else None
    return Numeral(value if value is not None and abs(value) <= LARGEST else None, comma)


def visible(text: str) -> str:
    """``text`` without marks that nobody sees, and without blanks of any kind at its ends."""
    return "".join(mark for mark in text if unicodedata.category(mark) != "Cf").strip()


def why_unreadable(text: str) -> str:
    """How a text that is no number is told, and why it is none where that is not plain to see."""
    plain = visible(text)
    shown = plain if len(plain) <= LONGEST_SHOWN else plain[:LONGEST_SHOWN] + "…"
    if _THOUSANDS.fullmatch(plain):
        return "%r, which may be %s or %s" % (shown, plain.replace(",", "."), plain.replace(",", ""))
    if _POINT.fullmatch(plain):
        return "%r, which is larger than any picture" % shown
    return "%r, which is no number" % shown


def decimal(value: float, digits: int) -> str:
    """``value`` rounded to so many digits after the point, without zeros at its end: 12.5, 12, 0."""
    text = "%.*f" % (digits, value)
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
