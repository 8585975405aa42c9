"""Values of files that anybody may have written: of the type that is wanted, or none."""

import math
from typing import Any, Dict, List, Optional

from stages.data.annotation.boxes import WholeSize
from stages.data.annotation.numerals import LARGEST, numeral

MOST_SHOWN = 60  # characters of a value in a sentence


def number(value: Any) -> Optional[float]:
    """A finite number that may be pixels, also where it is written as a text; else None."""
    if isinstance(value, str):
        return numeral(value).value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and abs(value) <= LARGEST else None


def numbers(value: Any) -> Optional[List[float]]:
    """The numbers of a list; None if it is no list, or one of them is no number."""
    if not isinstance(value, list):
        return None
    found = [number(one) for one in value]
    return [one for one in found if one is not None] if None not in found else None


def size(width: Any, height: Any) -> Optional[WholeSize]:
    """(width, height) of a picture in whole pixels; None if it is none."""
    sides = number(width), number(height)
    return (int(sides[0]), int(sides[1])) if sides[0] and sides[1] and min(sides[0], sides[1]) >= 1 else None


def text(value: Any) -> str:
    """A text, or a number as one; else empty."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)


def identity(value: Any) -> str:
    """An id, the same whether a whole number is written as 1, 1.0 or "1"; empty if it is none."""
    told = text(value)
    return told[:-2] if isinstance(value, float) and told.endswith(".0") else told


def degrees(value: Any) -> Optional[float]:
    """An angle, 0 where none is told (``value`` is None); None if what is told is no number."""
    return 0.0 if value is None else number(value)


def mapping(value: Any) -> Dict[str, Any]:
    """A JSON object; else an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> List[Any]:
    """A JSON array; else an empty one."""
    return value if isinstance(value, list) else []


def shown(value: Any) -> str:
    """A value in a sentence."""
    told = repr(value)
    return told if len(told) <= MOST_SHOWN else told[:MOST_SHOWN] + "…"
