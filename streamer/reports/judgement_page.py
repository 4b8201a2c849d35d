"""The report of `streamer model evaluate` as one page with pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.reports import html_page
from streamer.reports.html_page import Bars, Facts, Grid, Note, Picture, Section, Text
from streamer.reports.judgement_tables import PART_HEADINGS, summarize_part
from streamer.storage.atomic_files import atomic_file
from streamer.training.classification_scores import ConfusionMatrix, ReliabilityDiagram
from streamer.training.confused_pair import find_most_confused
from streamer.training.judged_parts import count_unjudged, split_by_source_and_place
from streamer.training.judgement import Judgement
from streamer.training.people_scores import count_errors_by_person, score_people

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Block = Text | Note | Facts | Picture | Grid
Cells = list[str | int | float | Bars]


def write_page(path: Path, title: str, judgement: Judgement) -> None:
    """Write the report to a file.

    Raises:
        DataError: matplotlib or jinja2 is not installed, or the file cannot be written.
    """
    html = judgement_as_page(title, judgement)
    with atomic_file(path) as file:
        file.write(html.encode())


def judgement_as_page(title: str, judgement: Judgement) -> str:
    """Return the report as HTML. The same figures give the same text."""
    sections = [
        Section("Overview", _summarize(judgement)),
        Section("Sources and places", _list_parts(judgement)),
        Section("Confusion", _draw_confusions(judgement)),
        Section("Each person", _draw_people(judgement)),
        Section("Calibration", [_draw_reliability(judgement.reliability)]),
    ]
    if judgement.smoothed_labels is not None:
        sections.append(Section("Changes and movements", _describe_changes(judgement)))
    count = judgement.window_confusion.windows
    subtitle = f"{len(judgement.subjects)} people, {count} windows within one activity"
    return html_page.render(title, sections, subtitle)


def _summarize(judgement: Judgement) -> list[Block]:
    facts = [("macro-F1 of one window", f"{judgement.window_confusion.macro_f1:.4f}")]
    if judgement.smoothed_confusion is not None:
        facts.append(("macro-F1 smoothed", f"{judgement.smoothed_confusion.macro_f1:.4f}"))
    facts.append(("calibration error", f"{judgement.calibration_error:.4f}"))
    if judgement.movement_auroc is not None:
        facts.append(("transition AUROC", f"{judgement.movement_auroc:.4f}"))
    blocks: list[Block] = [
        Facts(facts),
        Text(
            "Windows wholly within one labelled activity are judged. The prediction for one window "
            "is its likeliest activity. Smoothed is what the worker publishes, without delay; "
            "the label unknown counts as wrong."
        ),
    ]
    for name, confusion in _list_confusions(judgement):
        rows: list[Cells] = [
            [activity, scores.precision, scores.recall, scores.f1, scores.support]
            for activity, scores in confusion.classes.items()
        ]
        headings = [name, "precision", "recall", "F1", "windows"]
        blocks.append(Grid(headings, rows))
    return blocks


def _list_parts(judgement: Judgement) -> list[Block]:
    parts = split_by_source_and_place(judgement)
    rows: list[Cells] = [
        [part.name, *("-" if figure is None else figure for figure in summarize_part(part))]
        for part in parts
    ]
    sentence = count_unjudged(judgement).sentence
    return [
        Grid(["source, place", *PART_HEADINGS], rows),
        Note(f"{sentence[0].upper()}{sentence[1:]}."),
    ]


def _list_confusions(judgement: Judgement) -> list[tuple[str, ConfusionMatrix]]:
    found = [("one window", judgement.window_confusion)]
    if judgement.smoothed_confusion is not None:
        found.append(("smoothed", judgement.smoothed_confusion))
    return found


def _draw_confusions(judgement: Judgement) -> list[Block]:
    picture = draw_confusion(_list_confusions(judgement))
    why = find_most_confused(judgement)
    return [picture, *([Note(f"{why.sentence}.")] if why else [])]


def draw_confusion(confusions: Sequence[tuple[str, ConfusionMatrix]]) -> Picture:
    """Draw confusion matrices, each with its title, beside each other."""

    def paint(figure: "Figure") -> None:
        panels = html_page.make_panels(figure, *(1 for _ in confusions))
        for axes, (name, confusion) in zip(panels, confusions, strict=True):
            shares = confusion.counts / confusion.counts.sum(axis=1, keepdims=True)
            _heat(axes, shares, confusion.counts, confusion.truths, confusion.answers)
            axes.set_title(name)
            axes.set_xlabel("label")
        for axes in panels if html_page.is_narrow(figure) else panels[:1]:
            axes.set_ylabel("true")

    caption = "Numbers of windows by true activity and label."
    return html_page.draw(paint, 4.6, caption, 3.8 * len(confusions))


def _heat(
    axes: "Axes",
    shares: Any,
    texts: Any,
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Draw a table. The larger the share of a cell, the stronger its colour."""
    from matplotlib.colors import to_rgba_array  # noqa: PLC0415 - an extra

    colours = to_rgba_array([html_page.ACCENT] * shares.size, shares.ravel())
    axes.imshow(colours.reshape(*shares.shape, 4), aspect="auto")
    axes.grid(visible=False)
    short = [name.removeprefix("walking_") for name in columns]
    axes.set_xticks(range(len(columns)), short, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [name.removeprefix("walking_") for name in rows])
    for i, j in np.argwhere(np.asarray(texts) > 0).tolist():
        dark = shares[i, j] > 0.7
        colour = "white" if dark else html_page.INK
        axes.text(j, i, str(texts[i][j]), ha="center", va="center", color=colour, fontsize=9)


def _draw_people(judgement: Judgement) -> list[Block]:
    found = score_people(judgement)
    users = sorted(found, key=lambda user: found[user][0])

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        series = {"one window": [found[user][0] for user in users]}
        if judgement.smoothed_confusion is not None:
            series["smoothed"] = [found[user][1] or 0.0 for user in users]
        # A narrow picture has a row for each person instead of a column.
        narrow = html_page.is_narrow(figure)
        for name, scores in series.items():
            axes.plot(*((scores, users) if narrow else (users, scores)), "o", label=name)
        for axis, words in zip("yx" if narrow else "xy", ("user", "macro-F1"), strict=True):
            axes.set(**{f"{axis}label": words})
        figure.legend(loc="outside upper right", ncols=2)

    picture = html_page.draw(
        paint, 3.4, "Macro-F1 of each person, in ascending order.", 1.2 + 0.2 * len(users)
    )
    activities = judgement.window_confusion.truths
    errors = count_errors_by_person(judgement)
    rows: list[Cells] = [
        [user, *("/".join(map(str, errors[user].get(a, [0, 0])[1:])) for a in activities)]
        for user in users
    ]
    grid = Grid(["user", *activities], rows, folded="Errors of one window / smoothed")
    return [picture, grid]


def _draw_reliability(bins: ReliabilityDiagram) -> Picture:
    def paint(figure: "Figure") -> None:
        left, right = html_page.make_panels(figure, 1, 1)
        some = bins.counts > 0
        left.plot([0, 1], [0, 1], color=html_page.MUTED, linewidth=1)
        left.plot(bins.confidence[some], bins.accuracy[some], "o-")
        left.set_xlabel("largest probability")
        left.set_ylabel("share that is right")
        edges = (np.arange(len(bins.counts)) + 0.5) / len(bins.counts)
        right.bar(edges, bins.counts, width=0.9 / len(bins.counts))
        right.set_yscale("symlog")
        right.yaxis.set_major_formatter("{x:,.0f}")
        right.set_xlabel("largest probability")
        right.set_ylabel("windows")

    caption = (
        "On the line, the share of right windows equals the probability. The mean distance is "
        f"{bins.error:.4f}."
    )
    return html_page.draw(paint, 3.6, caption, 6.4)


def _describe_changes(judgement: Judgement) -> list[Block]:
    rows: list[Cells] = [
        [name, each.changes, each.missed, each.delay, each.false_a_minute]
        for name, each in judgement.changes_by_method().items()
    ]
    headings = ["", "true changes", "missed", "delay in windows", "false changes a minute"]
    blocks: list[Block] = [Grid(headings, rows, digits=2)]
    if (shares := judgement.share_unknown()) is None:
        return blocks
    blocks.append(
        Text(
            f"{shares[0]:.1%} of the windows at least half within a movement are published as "
            f"unknown, and {shares[1]:.1%} of the windows within an activity."
        )
    )

    def paint(figure: "Figure") -> None:
        axes = figure.subplots()
        for name, rows_ in (
            ("activities", judgement.within_activity),
            ("movements", judgement.within_movement),
        ):
            axes.hist(
                judgement.movement_scores[rows_], bins=40, range=(0, 1), alpha=0.7, label=name
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("probability of a movement, one window")
        axes.set_ylabel("windows")
        figure.legend(loc="outside upper right", ncols=2)

    caption = "Probability of a movement, for windows within activities and within movements."
    return [*blocks, html_page.draw(paint, 3, caption)]
