"""The features of a record as short texts for people."""

from typing import Dict, Sequence

from stages import files
from stages.view.sources.features import Blob, Features, Value

MOST_VALUES, MOST_LETTERS = 8, 200


def texts(features: Features) -> Dict[str, str]:
    """Each feature by its key; long lists and texts are cut, bytes that are no text are counted."""
    return {files.readable(key): text(features[key]) for key in sorted(features)}


def text(values: Sequence[Value]) -> str:
    """The values of one feature."""
    shown = [_shown(one) for one in values[:MOST_VALUES]]
    more = ", … (%d values)" % len(values) if len(values) > MOST_VALUES else ""
    return ", ".join(shown) + more if shown else "no values"


def _shown(value: Value) -> str:
    if isinstance(value, Blob):
        return "%d bytes" % value.size
    if not isinstance(value, bytes):
        return "%.6g" % value if isinstance(value, float) else str(value)
    letters = value[: 4 * MOST_LETTERS].decode(
        "utf-8", "ignore" if len(value) > 4 * MOST_LETTERS else "surrogateescape"
    )
    if not letters.isprintable():
        return "%d bytes" % len(value)
    return letters[:MOST_LETTERS] + ("…" if len(letters) > MOST_LETTERS else "")
