"""A report as one HTML page that loads nothing: scripts, styles and pictures are in the page.

A page has sections and a section has blocks: `Text`, `Note`, `Facts`, `Picture`, `Grid`. Pictures
are matplotlib figures in the style of the page; 10 inches are the full width::

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
from streamer.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

INK, MUTED, FAINT = "#1f2933", "#66727f", "#dde3e9"
ACCENT = "#2563a8"
COLOURS = ("#2563a8", "#d97706", "#2f855a", "#b83280", "#6b46c1", "#0e7490", "#8a5a2b", "#66727f")
"""Colours of classes, in order; colour-blind readers can tell them apart."""
SHADES = "Blues"
"""Colour map of quantities that start at zero, such as a confusion matrix."""

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
    # Text in pictures stays text: it is small, can be selected, and has the fonts of the page.
    "svg.fonttype": "none",
    # With a fixed salt the same figure gives the same bytes.
    "svg.hashsalt": "streamer",
    "text.color": INK,
    # A label such as `a$b$c` is not a formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
_ONLY_IN_FILES = re.compile(r' xmlns(?::\w+)?="[^"]*"|(?<=<g) id="[^"]*"')
"""Namespaces, which HTML does not need, and ids of groups, which would not be unique."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A highlighted paragraph."""

    kind: ClassVar = "note"
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of (name, value) pairs in large type."""

    kind: ClassVar = "facts"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, as `svg` returns it, and its caption."""

    kind: ClassVar = "picture"
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A small histogram in a table cell."""

    counts: Sequence[float]

    @property
    def path(self) -> str:
        """SVG path of the outline, in a box of height 1 and of width 1 for each count."""
        most = max(self.counts, default=0) or 1
        return "M0 1" + "".join(f"V{1 - count / most:.3g}h1" for count in self.counts) + "V1Z"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. A click on a heading sorts by that column.

    Attributes:
        headings: headings of the columns.
        rows: rows of cells: text, numbers or small histograms.
        digits: digits after the decimal point of numbers that are not integers.
        folded: title of a folded table, which a click opens; empty for a table that is visible.
    """

    kind: ClassVar = "grid"
    headings: Sequence[str]
    rows: Sequence[Sequence[str | int | float | Bars]]
    digits: int = 3
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: Sequence[Text | Note | Facts | Picture | Grid]


def require() -> None:
    """Check that matplotlib and jinja2 are installed.

    Raises:
        DataError: one of them is not.
    """
    if missing := [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]:
        raise DataError(
            f"a report page needs {' and '.join(missing)}, which is not installed: "
            "pip install 'streamer[train]'"
        )


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style of the page to all figures that are made and drawn within the context.

    Raises:
        DataError: matplotlib is not installed.
    """
    require()
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    from cycler import cycler  # noqa: PLC0415

    with mpl.rc_context({**_STYLE, "axes.prop_cycle": cycler(color=COLOURS)}):
        yield


def svg(figure: "Figure") -> str:
    """Return a figure as an HTML element. The same figure gives the same text.

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
    """Return the page as HTML. Texts are escaped, pictures are not.

    Raises:
        DataError: jinja2 is not installed.
    """
    require()
    return _template().render(title=title, subtitle=subtitle, sections=sections)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - an extra
    from markupsafe import Markup  # noqa: PLC0415 - comes with it

    def finalize(value: object) -> object:
        if isinstance(value, str) and not isinstance(value, Markup):
            return printable(value, keep="\n\t")
        return value

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = files(__package__).joinpath("html_page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)
