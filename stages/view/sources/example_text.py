"""The features of a tf.train.Example as short texts for people."""

from typing import Any, Dict, Mapping

from stages import files

MOST_VALUES, MOST_LETTERS = 8, 200


def texts(features: Mapping[str, Any]) -> Dict[str, str]:
    """Each feature by its key; long lists and texts are cut, bytes that are no text are counted."""
    return {key: text(features[key]) for key in sorted(features)}


def text(feature: Any) -> str:
    """One feature, a message with a list of bytes, floats or integers."""
    kind = feature.WhichOneof("kind")
    if kind is None:
        return "no values"
    values = getattr(feature, kind).value
    shown = [_value(one) for one in values[:MOST_VALUES]]
    more = ", … (%d values)" % len(values) if len(values) > MOST_VALUES else ""
    return ", ".join(shown) + more if shown else "empty list"


def _value(value: Any) -> str:
    if not isinstance(value, bytes):
        return "%.6g" % value if isinstance(value, float) else str(value)
    try:
        shown = value[: MOST_LETTERS + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "%d bytes" % len(value)
    if not shown.isprintable() and shown:
        return "%d bytes" % len(value)
    return files.readable(shown[:MOST_LETTERS]) + ("…" if len(value) > MOST_LETTERS else "")
