"""The output of `streamer dataset statistics`: tables for a terminal, and a page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table as Grid

from streamer.arrays import Ints
from streamer.datasets.feature_statistics import NEGLIGIBLE, FeatureStatistics, TableStatistics
from streamer.datasets.feature_table import FeatureTable
from streamer.reports import html_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLOCKS = " ▁▂▃▄▅▆▇█"
_BAR = 30
_SHOWN_BY_CLASS = 6
_SHOWN_RANKED = 20
_NAMED_PEOPLE = 12
"""People whose names a picture has at most."""

_ETA2 = (
    "η² (correlation ratio) is the share of a feature's variance that lies between the classes: 0 "
    "when all classes have the same mean, 1 when every class has one value of its own."
)
_R = (
    "r is the coefficient of correlation with being of one class or not (point-biserial), for the "
    "class where it is strongest."
)


def describe_correlation(statistics: TableStatistics) -> str:
    """Return a sentence that says whether features correlate with the target."""
    if len(statistics.classes) < 2:
        return (
            "Nothing correlates with the target: every record has the same label, "
            f"{next(iter(statistics.classes))}. There is nothing to learn."
        )
    if not (correlated := statistics.correlated):
        return (
            f"Nothing correlates with the target: no feature has an η² of {NEGLIGIBLE} or more "
            "that chance does not explain. A model will not learn much from these records; check "
            "that the labels belong to these features."
        )
    return (
        f"{len(correlated)} of {len(statistics.features)} features correlate with the target; "
        f"the strongest is {correlated[0].variable}, {correlated[0].name} (η² "
        f"{correlated[0].eta2:.3f})."
    )


def statistics_as_tables(
    statistics: TableStatistics, names: Mapping[str, str], invalid: int, top: int
) -> RenderableType:
    """Lay the figures out for a terminal.

    Args:
        statistics: the statistics of a table.
        names: names of its labels.
        invalid: number of records that were left out.
        top: number of features to show, those that correlate most.
    """
    shown = [*statistics.ranked, *_unranked(statistics)][:top]
    return Group(
        ", ".join(f"{figure} {what}" for what, figure in _facts(statistics, invalid)),
        "",
        _class_table(statistics, names),
        "",
        describe_correlation(statistics),
        "",
        _feature_table(shown),
        "",
        _ETA2,
    )


def statistics_as_page(
    statistics: TableStatistics, table: FeatureTable, source: str, invalid: int
) -> str:
    """Return an HTML page with the figures and plots.

    Args:
        statistics: the statistics of the table.
        table: the table.
        source: name of its source.
        invalid: number of records that were left out.

    Raises:
        DataError: matplotlib or jinja2 is not installed.
    """
    classes = [_draw_classes(statistics, table)]
    ranked = [_draw_ranked(statistics)] if statistics.ranked else []
    by_class = [_draw_by_class(statistics, table)] if statistics.ranked else []
    said = describe_correlation(statistics)
    return html_page.render(
        "Data set statistics",
        [
            html_page.Section(
                "Overview",
                [
                    html_page.Facts(_facts(statistics, invalid)),
                    html_page.Text(said) if statistics.correlated else html_page.Note(said),
                ],
            ),
            html_page.Section("Classes", classes),
            html_page.Section(
                "Correlation with the target", [html_page.Text(f"{_ETA2} {_R}"), *ranked, *by_class]
            ),
            html_page.Section("All features", [_feature_grid(statistics, table.names)]),
        ],
        subtitle=source,
    )


def _facts(statistics: TableStatistics, invalid: int) -> list[tuple[str, str]]:
    features = statistics.features
    return [
        ("records", f"{statistics.records:,}"),
        ("invalid records left out", f"{invalid:,}"),
        ("classes", str(len(statistics.classes))),
        *([] if statistics.subjects is None else [("people", str(statistics.subjects))]),
        ("missing values", f"{sum(feature.missing for feature in features):,}"),
        ("invalid values", f"{sum(feature.invalid for feature in features):,}"),
        ("constant features", str(sum(feature.least == feature.most for feature in features))),
    ]


def _unranked(statistics: TableStatistics) -> list[FeatureStatistics]:
    return [feature for feature in statistics.features if not np.isfinite(feature.eta2)]


def _title(label: str, names: Mapping[str, str]) -> str:
    return f"{label} {names[label]}" if label in names else label


def _class_table(statistics: TableStatistics, names: Mapping[str, str]) -> Grid:
    grid = Grid("class", box=None, pad_edge=False)
    grid.add_column("records", justify="right")
    grid.add_column("share", justify="right")
    grid.add_column("")
    most = max(statistics.classes.values())
    for label, count in statistics.classes.items():
        share = f"{count / statistics.records:.1%}"
        grid.add_row(_title(label, names), f"{count:,}", share, "█" * round(_BAR * count / most))
    return grid


def _feature_table(features: Sequence[FeatureStatistics]) -> Grid:
    # The table fits on 80 columns; the page has all figures.
    grid = Grid("feature", "name", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("η²", "missing", "invalid"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("range", no_wrap=True)
    grid.add_column("distribution", no_wrap=True)
    for each in features:
        grid.add_row(
            each.variable,
            each.name,
            f"{each.eta2:.3f}",
            *(f"{count:,}" for count in (each.missing, each.invalid)),
            f"{each.least:.2g} to {each.most:.2g}",
            _sparkline(each.counts),
        )
    return grid


def _sparkline(counts: Sequence[int]) -> str:
    """Return a bar chart as text, a bar for every two counts."""
    pairs = [sum(counts[i : i + 2]) for i in range(0, len(counts), 2)]
    most = max(pairs) or 1
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in pairs)


def _feature_grid(statistics: TableStatistics, names: Mapping[str, str]) -> html_page.Grid:
    return html_page.Grid(
        (
            *("feature", "name", "distribution", "η²", "r", "with", "missing", "invalid"),
            *("least", "25%", "median", "75%", "most", "mean", "deviation"),
        ),
        [
            (
                *(each.variable, each.name, html_page.Bars(each.counts), each.eta2, each.best_r),
                *(names.get(each.best, each.best), each.missing, each.invalid, each.least),
                *(*each.quartiles, each.most, each.mean, each.deviation),
            )
            for each in statistics.features
        ],
        folded=f"Distribution, correlation, missing values of all {len(statistics.features)}",
    )


def _draw_classes(statistics: TableStatistics, table: FeatureTable) -> html_page.Picture:
    labels = list(statistics.classes)
    colours = [html_page.COLOURS[i % len(html_page.COLOURS)] for i in range(len(labels))]

    def paint(figure: "Figure") -> None:
        axes, *others = html_page.make_panels(figure, *([1] if table.subjects is None else [1, 1]))
        titles = [_title(label, table.names) for label in labels]
        bars = axes.barh(titles, list(statistics.classes.values()), color=colours, height=0.7)
        axes.bar_label(bars, padding=4, fmt="{:,.0f}")
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.grid(visible=False, axis="y")
        axes.set_title("Records of each class")
        if table.subjects is not None:
            _stack_people(others[0], labels, colours, table.labels, table.subjects)

    height_in = max(2.0, 0.4 * len(labels) + 0.8)
    if table.subjects is None:
        return html_page.draw(paint, height_in, "How many records each class has.")
    caption = "How many records each class and each person has."
    return html_page.draw(paint, height_in, caption, height_in + 2.6)


def _stack_people(
    axes: "Axes",
    labels: Sequence[str],
    colours: Sequence[str],
    records: Sequence[str],
    subjects: Ints,
) -> None:
    """Draw a bar for each person, with a part for each class."""
    people = np.unique(subjects)
    base = np.zeros(len(people))
    places = np.arange(len(people))
    for label, colour in zip(labels, colours, strict=True):
        own = subjects[np.array(records) == label]
        counts = (own[:, None] == people).sum(axis=0)
        axes.bar(places, counts, bottom=base, color=colour)
        base += counts
    named = places[:: -(-len(people) // _NAMED_PEOPLE)]
    axes.set_xticks(named, [str(people[place]) for place in named])
    axes.grid(visible=False, axis="x")
    axes.set_title("Records of each person")


def _draw_ranked(statistics: TableStatistics) -> html_page.Picture:
    ranked = statistics.ranked
    first = ranked[:_SHOWN_RANKED]

    def paint(figure: "Figure") -> None:
        left, right = html_page.make_panels(figure, 3, 2)
        narrow = html_page.is_narrow(figure)
        names = [each.name if narrow else f"{each.name}  {each.variable}" for each in first]
        left.barh(names, [each.eta2 for each in first])
        left.invert_yaxis()
        left.set_xlim(0, 1)
        left.tick_params(axis="y", labelsize=9)
        left.grid(visible=False, axis="y")
        left.set_title("Highest η²")
        right.fill_between(range(1, len(ranked) + 1), [each.eta2 for each in ranked], alpha=0.25)
        right.plot(range(1, len(ranked) + 1), [each.eta2 for each in ranked])
        right.set_ylim(0, 1)
        right.set_xlabel("rank")
        right.set_title("Every η²")

    height_in = max(2.5, 0.24 * len(first) + 0.9)
    caption = "Correlation ratio of the features with the target."
    return html_page.draw(paint, height_in, caption, height_in + 3)


def _draw_by_class(statistics: TableStatistics, table: FeatureTable) -> html_page.Picture:
    shown = statistics.ranked[:_SHOWN_BY_CLASS]
    labels = np.array(table.labels)

    def paint(figure: "Figure") -> None:
        narrow = html_page.is_narrow(figure)
        columns = 1 if narrow else 3
        grid = figure.subplots(-(-len(shown) // columns), columns, squeeze=False)
        for axes, each in zip(grid.flat, shown, strict=False):
            values = table.features[:, int(each.variable.removeprefix("Var")) - 1]
            edges = np.linspace(each.least, each.most, 31)
            for i, label in enumerate(statistics.classes):
                own = values[(labels == label) & np.isfinite(values)]
                counts = np.histogram(own, edges)[0] / max(len(own), 1)
                colour = html_page.COLOURS[i % len(html_page.COLOURS)]
                axes.stairs(counts, edges, fill=True, alpha=0.25, color=colour)
                title = _title(label, table.names) if each is shown[0] else None
                axes.stairs(counts, edges, color=colour, label=title)
            axes.set_yticks([])
            axes.set_title(f"{each.name}\n{each.variable}, η² {each.eta2:.3f}", fontsize=9)
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_axis_off()
        columns = min(len(statistics.classes), 2 if narrow else 6)
        figure.legend(loc="outside lower center", ncols=columns, fontsize=9)

    return html_page.draw(
        paint,
        2.3 * -(-len(shown) // 3) + 0.6,
        "Values of the most correlated features by class, each class as if it had as many records.",
        1.9 * len(shown) + 1.2,
    )
