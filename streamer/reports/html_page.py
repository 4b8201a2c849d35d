"""A report as one page of HTML that needs nothing else: no script, font or picture elsewhere.

A page has sections and a section has blocks: `Text`, `Note`, `Facts`, `Picture`, `Grid`. Pictures
are figures of matplotlib in the style of the page, of which 10 inches are the whole width::

    with styled():
        figure = Figure(figsize=(10, 3))
        figure.subplots().plot(values)
        picture = Picture(svg(figure), "What it shows")
    html = render("Title", [Section("Heading", [picture])])

Needs the extra `streamer[train]`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

from streamer.errors import DataError

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

INK, MUTED, FAINT = "#1f2933", "#66727f", "#dde3e9"
ACCENT = "#2563a8"
COLOURS = ("#2563a8", "#d97706", "#2f855a", "#b83280", "#6b46c1", "#0e7490", "#8a5a2b", "#66727f")
"""Of classes, in their order; told apart by the colour-blind too."""
SHADES = "Blues"
"""Colour map of what grows from nothing, such as a confusion matrix."""

_STYLE: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    # Text stays text: it is small, can be selected, and has the fonts of the page.
    "svg.fonttype": "none",
    # Or the same figure would be other bytes each time.
    "svg.hashsalt": "streamer",
    "text.color": INK,
    # A label such as `a$b$c` is no formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
_ONLY_IN_FILES = re.compile(r' xmlns(?::\w+)?="[^"]*"|(?<=<g) id="[^"]*"')
"""Namespaces, which HTML has already, and ids of groups, which repeat from figure to figure."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph that nobody should miss."""

    kind: ClassVar = "note"
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of (what, figure), large."""

    kind: ClassVar = "facts"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, as `svg` makes it, and what it shows."""

    kind: ClassVar = "picture"
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A small histogram in a cell of a table."""

    counts: Sequence[float]

    @property
    def path(self) -> str:
        """Outline in a box that is one wide for each count and 1 high."""
        most = max(self.counts, default=0) or 1
        return "M0 1" + "".join(f"V{1 - count / most:.3g}h1" for count in self.counts) + "V1Z"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; a click on a heading sorts by that column.

    Attributes:
        headings: of the columns.
        rows: cells are text, or numbers (to the right), or small histograms.
        digits: after the point, of numbers that are not whole.
        folded: what to click on to see it; empty for a table that is in view at once.
    """

    kind: ClassVar = "grid"
    headings: Sequence[str]
    rows: Sequence[Sequence[str | int | float | Bars]]
    digits: int = 3
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it."""

    title: str
    blocks: Sequence[Text | Note | Facts | Picture | Grid]


def require() -> None:
    """See that what pages need is installed.

    Raises:
        DataError: it is not.
    """
    if missing := [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]:
        raise DataError(
            f"a report as a page needs {' and '.join(missing)}, not installed here: "
            "pip install 'streamer[train]'"
        )


@contextmanager
def styled() -> Iterator[None]:
    """Give the figures that are made and drawn inside the style of the page.

    Raises:
        DataError: matplotlib is not installed.
    """
    require()
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    from cycler import cycler  # noqa: PLC0415

    with mpl.rc_context({**_STYLE, "axes.prop_cycle": cycler(color=COLOURS)}):
        yield


def svg(figure: "Figure") -> str:
    """Draw a figure as an element of HTML; the same figure gives the same text.

    Raises:
        DataError: matplotlib is not installed.
    """
    drawn = StringIO()
    with styled():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", metadata=nothing)
    text = drawn.getvalue()
    return _ONLY_IN_FILES.sub("", text[text.index("<svg") :])


def render(title: str, sections: Sequence[Section], subtitle: str = "") -> str:
    """Make the page; texts are escaped, pictures are not.

    Raises:
        DataError: jinja2 is not installed.
    """
    require()
    return _template().render(title=title, subtitle=subtitle, sections=sections)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - an extra

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files(__package__).joinpath("html_page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)
