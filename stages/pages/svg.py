"""Drawings by matplotlib for pages, as SVG that takes its colours from the page.

A page is read in light and in dark. So drawings use stand-in colours, which become CSS variables in the SVG.
"""

import io
import re

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, FIRST, SECOND = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
CSS_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    FIRST: "var(--accent)",
    SECOND: "var(--second)",
}


def dress(axes: Axes, frame: bool = False) -> None:
    """Give ``axes`` the look of the page: few lines, its colours; ``frame``: a line on every side."""
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9, length=3, which="both")
    axes.minorticks_off()
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.xaxis.offsetText.set_color(INK)
    axes.yaxis.offsetText.set_color(INK)
    for side, spine in axes.spines.items():
        spine.set_visible(frame or side == "bottom")
        spine.set_color(GRID)
    if not frame:
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)


def drawn(figure: Figure, name: str, label: str) -> Markup:
    """``figure`` as an inline SVG element: same bytes for the same figure, ids that no other drawing has."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    stream = io.StringIO()
    undated = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(stream, metadata=undated)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|url\(#|href="#)', r"\g<1>%s-" % name, svg)
    for stand_in, css in CSS_COLOURS.items():
        svg = svg.replace(stand_in, css)
    return Markup(svg.replace("<svg ", '<svg class="plot" role="img" aria-label="%s" ' % escape(label), 1))
