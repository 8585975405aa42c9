"""How a stage's HTML page is made: its templates, and how values are written in it."""

import base64
import hashlib
import json
import math
import os
from typing import Any, Dict

import jinja2
from markupsafe import Markup

COMMON = os.path.join(os.path.dirname(__file__), "templates")
BYTE_UNITS = ("bytes", "kB", "MB", "GB")


def render(folder: str, name: str, values: Dict[str, Any]) -> str:
    """One HTML document that asks nothing of any network.

    Everything in ``values`` is escaped, except drawings, which are Markup. The policy in the page forbids every
    request, and every script but the one whose digest it names.

    Args:
        folder: holds ``NAME.html.j2``, ``NAME.js.j2`` and ``NAME.css.j2``, which adds to the style of all pages.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(figure=figure, share=share, seconds=seconds, size=size, short=short, plain=plain)
    script = _text(folder, name + ".js.j2")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    template = environment.get_template(name + ".html.j2")
    style = Markup(_text(COMMON, "page.css.j2") + _text(folder, name + ".css.j2"))
    return str(template.render(values, script=Markup(script), script_digest=digest, style=style))


def figure(value: Any) -> str:
    """A number as people read it: 1234567 -> 1,234,567, 0.81234 -> 0.812, 0.0000123 -> 1.23e-05, none -> an en dash."""
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return "–"
    if isinstance(value, int):
        return "{:,}".format(value)
    if isinstance(value, float):
        return "{:.3f}".format(value) if abs(value) >= 0.001 or value == 0 else "{:.3g}".format(value)
    return str(value)


def share(value: Any) -> str:
    """A share of 0 to 1 as a percentage for people and for CSS: 0.4321 -> 43.2%."""
    return "{:.1f}%".format(100 * value) if isinstance(value, (int, float)) and math.isfinite(value) else "0%"


def seconds(value: float) -> str:
    """A duration: 12.34 -> 12.3 s, 467 -> 7 min 47 s, 4000 -> 1 h 06 min."""
    if value < 60:
        return "{:.1f} s".format(value)
    minutes, rest = divmod(int(round(value)), 60)
    if minutes < 60:
        return "%d min %02d s" % (minutes, rest)
    return "%d h %02d min" % divmod(minutes, 60)


def size(count: float) -> str:
    """A number of bytes: 5600000 -> 5.6 MB."""
    if count < 1000:
        return "%d bytes" % count
    for unit in BYTE_UNITS:
        if count < 999.95 or unit == BYTE_UNITS[-1]:
            break
        count /= 1000
    return "%.1f %s" % (count, unit)


def short(digest: Any) -> str:
    """The first twelve hex digits of a digest, enough to tell one from another; a scheme before a colon goes."""
    return str(digest).split(":")[-1][:12]


def plain(value: Any) -> str:
    """Any JSON value on one line, numbers to six digits; a string without its quotes."""
    return value if isinstance(value, str) else json.dumps(_to_six_digits(value), sort_keys=True, ensure_ascii=False)


def _to_six_digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_six_digits(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_to_six_digits(one) for one in value]
    return float("%.6g" % value) if isinstance(value, float) else value


def _text(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="utf-8") as stream:
        return stream.read()
