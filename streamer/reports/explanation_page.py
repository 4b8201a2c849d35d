"""How the label of a window came about, as one page with pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from streamer.contracts.events import ActivityEvent
from streamer.features.window_shape import WINDOW
from streamer.flow.window_trace import TracedWindow
from streamer.printable import utc_moment
from streamer.reports import html_page
from streamer.reports.explanation import Explanation, measure_spectrum
from streamer.reports.explanation_tables import (
    EFFECT,
    describe_before,
    describe_familiarity,
    describe_policy,
    summarize,
)
from streamer.reports.html_page import COLOURS, MUTED, Grid, Note, Picture, Section, Text
from streamer.storage.atomic_files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = 20
"""Features that the page shows."""

_SERIES: Final = (
    ("body acceleration in g", 0),
    ("gravity in g", 3),
    ("rotation in rad/s", 6),
)


def write_explanation_page(path: Path, found: Explanation) -> None:
    """Write the page to a file.

    Raises:
        DataError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    html = explanation_as_page(found)
    with atomic_file(path) as file:
        file.write(html.encode())


def explanation_as_page(found: Explanation) -> str:
    """Return the page as HTML. The same explanation gives the same text."""
    summary: list[Text | Note] = [Text(summarize(found))]
    if found.words:
        summary.append(Note(found.words))
    sections = [Section("The window", summary)]
    if found.window is not None:
        sections.append(
            Section("Signal", [_draw_signals(found.window), _draw_spectrum(found.window)])
        )
    if found.event is not None and found.event.scores:
        words = f"{describe_before(found)}. Policy: {describe_policy(found)}."
        if familiarity := describe_familiarity(found):
            words += f" Familiarity: {familiarity}."
        sections.append(
            Section("Scores and belief", [_draw_scores(found, found.event), Text(words)])
        )
    if found.effects is not None:
        sections.append(_list_effects(found))
    sections.append(_list_records(found))
    return html_page.render(found.window_id, sections, "Times are UTC.")


def _draw_signals(window: TracedWindow) -> Picture:
    seconds = np.arange(WINDOW.length) * WINDOW.step_us / 1e6

    def paint(figure: "Figure") -> None:
        rows = figure.subplots(len(_SERIES), 1, sharex=True)
        for axes, (title, first) in zip(rows, _SERIES, strict=True):
            for axis, signal in zip(
                "xyz", window.signals[first : first + 3, : WINDOW.length], strict=True
            ):
                axes.plot(seconds, signal, label=axis)
            axes.set_title(title)
        figure.legend(*rows[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
        rows[-1].set_xlabel("seconds after the nominal start")

    return html_page.draw(paint, 6, "The signals from which features are computed.")


def _draw_spectrum(window: TracedWindow) -> Picture:
    hertz, amplitudes = measure_spectrum(window.signals)

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot(hertz, amplitudes)
        axes.set_xlabel("Hz")
        axes.set_ylabel("g")

    return html_page.draw(paint, 2.6, "Spectrum of the body acceleration.")


def _draw_scores(found: Explanation, event: ActivityEvent) -> Picture:
    """Draw three bars for each class: belief before, score, belief after."""
    labels = list(event.scores)
    before = {} if found.before is None else found.before.posterior
    bars = [
        ("belief before", before, MUTED),
        ("score of this window", event.scores, COLOURS[1]),
        ("belief after", event.posterior, COLOURS[0]),
    ]

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        rows = np.arange(len(labels))
        for place, (name, shares, colour) in enumerate(bars):
            if shares:
                widths = [shares.get(label, 0.0) for label in labels]
                axes.barh(rows + 0.27 * (place - 1), widths, 0.25, color=colour, label=name)
        axes.set_yticks(rows, labels)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        columns = 1 if html_page.is_narrow(figure) else len(bars)
        figure.legend(loc="outside lower center", ncols=columns)
        axes.grid(visible=False, axis="y")

    height_in = 1.2 + 0.5 * len(labels)
    return html_page.draw(paint, height_in, "Probabilities of the classes.", height_in + 0.6)


def _list_effects(found: Explanation) -> Section:
    effects = found.effects
    assert effects is not None
    signals = Grid(
        ["signal", "effect"], [[each.name, each.effect] for each in effects.signals[:_SHOWN]]
    )
    features = Grid(
        ["feature", "effect", "value", "median in training"],
        [
            [each.name, each.effect, each.value or 0.0, each.usual or 0.0]
            for each in effects.features[:_SHOWN]
        ],
    )
    title = f"What speaks for {effects.chosen} and against {effects.rival}"
    return Section(title, [Text(EFFECT), signals, features])


def _list_records(found: Explanation) -> Section:
    stages = Grid(
        ["moment", "time", "ms after", "clock of"],
        [
            [
                each.name,
                utc_moment(each.time_ms),
                "" if each.waited_ms is None else each.waited_ms,
                each.clock,
            ]
            for each in found.stages
        ],
        digits=0,
    )
    records = Grid(
        ["offset", "Kafka time", "first sample", "last sample", "samples", "late"],
        [
            [
                each.offset,
                utc_moment(each.stamped_ms),
                utc_moment(each.first_us / 1000),
                utc_moment(each.last_us / 1000),
                each.samples,
                "yes" if each.late else "",
            ]
            for each in found.records
        ],
        folded=f"{len(found.records)} records with samples of the window",
    )
    return Section("Timing and records", [stages, records])
