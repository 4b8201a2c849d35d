"""A report as one HTML page that loads nothing: scripts, styles and pictures are in the page.

A page has sections and a section has blocks: `Text`, `Note`, `Facts`, `Picture`, `Grid`. Pictures
are matplotlib figures in the style of the page. Each is drawn for wide and for narrow screens::

    def paint(figure: Figure) -> None:
        figure.subplots().plot(values)

    html = render("Title", [Section("Heading", [draw(paint, 3, "What it shows")])])

The page is light or dark, as the reader's system is. Pictures name their colours as the page does,
so they change with it. Needs the extra `streamer[train]`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

_PALETTE = {
    "paper": ("#f6f8fa", "#11161b"),
    "sheet": ("#fefefe", "#1a2128"),
    "ink": ("#1f2933", "#e3e8ed"),
    "muted": ("#66727f", "#9ba6b2"),
    "faint": ("#dde3e9", "#36414c"),
    "accent": ("#2563a8", "#6ba8ea"),
    "orange": ("#d97706", "#f0a23c"),
    "green": ("#2f855a", "#5dbf8b"),
    "pink": ("#b83280", "#e67ab2"),
    "violet": ("#6b46c1", "#a68df0"),
    "cyan": ("#0e7490", "#45b8d2"),
    "brown": ("#8a5a2b", "#c99b68"),
}
"""Colours on a light and on a dark page, by the name that the style sheet has for them."""

INK, MUTED, FAINT, ACCENT = (_PALETTE[name][0] for name in ("ink", "muted", "faint", "accent"))
COLOURS = tuple(
    _PALETTE[name][0]
    for name in ("accent", "orange", "green", "pink", "violet", "cyan", "brown", "muted")
)
"""Colours of classes, in order; colour-blind readers can tell them apart."""

WIDE_IN, NARROW_IN = 10.0, 4.2
"""Widths of pictures in inches. Text of 10 points has 10 px or more on a screen of 360 px."""

_STYLE: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
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
_NAMES = {light: name for name, (light, _) in _PALETTE.items()}
_NAMED_COLOUR = re.compile("|".join(_NAMES))


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
    """A figure for wide and one for narrow screens, as `svg` returns them, and their caption."""

    kind: ClassVar = "picture"
    wide: str
    narrow: str
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


def draw(
    paint: Callable[["Figure"], None],
    height_in: float,
    caption: str,
    narrow_height_in: float | None = None,
) -> Picture:
    """Draw a picture for wide and for narrow screens.

    Args:
        paint: draws into an empty figure, whose width it may ask for with `is_narrow`.
        height_in: height of the figures in inches.
        caption: what the picture shows.
        narrow_height_in: height of the narrow one, if it is another one.

    Raises:
        DataError: matplotlib is not installed.
    """
    with styled():
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

        wide = Figure(figsize=(WIDE_IN, height_in))
        narrow = Figure(figsize=(NARROW_IN, narrow_height_in or height_in))
        for figure in (wide, narrow):
            paint(figure)
        return Picture(svg(wide), svg(narrow), caption)


def is_narrow(figure: "Figure") -> bool:
    """Whether a figure is for narrow screens."""
    return bool(figure.get_figwidth() < WIDE_IN)


def make_panels(figure: "Figure", *widths: float) -> "list[Axes]":
    """Return axes side by side with these relative widths; on a narrow figure, rows so high."""
    if is_narrow(figure):
        rows = figure.subplots(len(widths), 1, squeeze=False, height_ratios=widths)
        return list(rows[:, 0])
    return list(figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0])


def svg(figure: "Figure") -> str:
    """Return a figure as an HTML element. The same figure gives the same text.

    Raises:
        DataError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    drawn = StringIO()
    # Figures of different widths share no ids: a browser finds no clip path in a hidden picture.
    salt = f"streamer {figure.get_figwidth():g}"
    with styled(), mpl.rc_context({"svg.hashsalt": salt}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", metadata=nothing)
    text = drawn.getvalue()
    text = _ONLY_IN_FILES.sub("", text[text.index("<svg") :])
    return _NAMED_COLOUR.sub(lambda found: f"var(--{_NAMES[found[0]]})", text)


def render(title: str, sections: Sequence[Section], subtitle: str = "") -> str:
    """Return the page as HTML. Texts are escaped, pictures are not.

    Raises:
        DataError: jinja2 is not installed.
    """
    require()
    return _template().render(title=title, subtitle=subtitle, sections=sections, palette=_PALETTE)


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
