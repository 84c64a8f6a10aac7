"""One look for all figures: a blank figure in, a picture as SVG text or PNG bytes out."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Two colours that only text and rules use: an inline SVG takes the page's own instead.
INK = "#1a1c1f"
RULE = "#c9ced4"
MUTED = "#8a929b"
# Okabe and Ito's colours, told apart by all kinds of colour vision; lines also differ in dashes.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
SEQUENTIAL = "cividis"
PAGE_WIDTH = 7.2  # inches, a text column

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a task's name is no formula
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "vlmsel",  # equal figures give equal bytes
}


@contextmanager
def canvas(width: float = PAGE_WIDTH, height: float = 3.4) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure with one axes in the house style, without pyplot's global state.

    Args:
        width: inches.
        height: inches.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()


def line_styles() -> Iterator[tuple[str, str]]:
    """Colour and dash of one series after the other; 24 before a pair comes back."""
    dashes = cycle(dash for dash in DASHES for _ in SERIES)
    return zip(cycle(SERIES), dashes, strict=False)


def to_png(figure: Figure, *, dpi: int = 144) -> bytes:
    """The figure as a PNG on white; the figure itself stays as it is."""
    before = {"dpi": figure.dpi, "facecolor": figure.get_facecolor()}
    with mpl.rc_context(_STYLE):
        buffer = io.BytesIO()
        try:
            figure.set(dpi=dpi, facecolor="white")
            # Figure.savefig draws twice where there is a layout, once for nothing but its size.
            FigureCanvasAgg(figure).print_png(buffer)
        finally:
            figure.set(**before)
    return buffer.getvalue()


def to_svg(figure: Figure, *, alt: str, prefix: str) -> str:
    """The figure as an `<svg>` element to stand inside an HTML page.

    Args:
        figure: what a function of this package drew.
        alt: what the picture shows, for those who do not see it.
        prefix: put before every id, since several figures share one page.

    Returns:
        One element without prolog, metadata or fixed size; text and rules take the page's colours.
    """
    with mpl.rc_context(_STYLE):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(\sid="|url\(#|xlink:href="#)', rf"\g<1>{prefix}-", svg)
    svg = re.sub(r'<svg([^>]*?) (?:width|height)="[\d.]+pt"', r"<svg\1", svg, count=1)
    svg = re.sub(r'<svg([^>]*?) (?:width|height)="[\d.]+pt"', r"<svg\1", svg, count=1)
    label = f' role="img" aria-label="{escape(alt)}"'
    svg = svg.replace("<svg", f"<svg{label}", 1)
    return svg.replace(INK, "currentColor").replace(RULE, "var(--rule)").strip()
