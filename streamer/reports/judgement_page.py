"""The report of `streamer model evaluate` as one page with pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.datasets.atomic_files import atomic_file
from streamer.reports import html_page
from streamer.reports.html_page import Bars, Facts, Grid, Note, Picture, Section, Text
from streamer.reports.judgement_tables import (
    ARTICLE_MACRO_F1,
    count_errors_by_person,
    find_most_confused,
    follow_changes,
    score_people,
)
from streamer.training.classification_scores import ConfusionMatrix, ReliabilityDiagram
from streamer.training.judgement import Judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Block = Text | Note | Facts | Picture | Grid
Cells = list[str | int | float | Bars]


def write_page(path: Path, title: str, judged: Judgement) -> None:
    """Write the report.

    Raises:
        DataError: what pages need is not installed, or the file cannot be written.
    """
    html = as_page(title, judged)
    with atomic_file(path) as file:
        file.write(html.encode())


def as_page(title: str, judged: Judgement) -> str:
    """Make the report; the same figures give the same html_page."""
    sections = [
        Section("How good it is", _summary(judged)),
        Section("What is taken for what", _confusions(judged)),
        Section("For whom it fails", _by_person(judged)),
        Section("Whether its probabilities can be believed", [_reliability(judged.reliability)]),
    ]
    if judged.published is not None:
        sections.append(Section("Changes and movements", _in_time(judged)))
    subtitle = f"{len(judged.subjects)} people, {judged.window.windows} windows within one activity"
    return html_page.render(title, sections, subtitle)


def _summary(judged: Judgement) -> list[Block]:
    facts = [("macro-F1 of one window", f"{judged.window.macro_f1:.4f}")]
    if judged.smoothed is not None:
        facts.append(("macro-F1 smoothed", f"{judged.smoothed.macro_f1:.4f}"))
    facts.append(("calibration error", f"{judged.calibration_error:.4f}"))
    if judged.movement_auroc is not None:
        facts.append(("transition AUROC", f"{judged.movement_auroc:.4f}"))
    facts.append(("the article's macro-F1", f"{ARTICLE_MACRO_F1:.2f}"))
    blocks: list[Block] = [
        Facts(facts),
        Text(
            "Judged are windows wholly within one labelled activity. One window is called by its "
            "likeliest activity; smoothed is what the worker would publish, without any delay, "
            "where unknown is never right."
        ),
    ]
    for name, confusion in _both(judged):
        rows: list[Cells] = [
            [activity, scores.precision, scores.recall, scores.f1, scores.support]
            for activity, scores in confusion.classes.items()
        ]
        headings = [name, "precision", "recall", "F1", "windows"]
        blocks.append(Grid(headings, rows))
    return blocks


def _both(judged: Judgement) -> list[tuple[str, ConfusionMatrix]]:
    found = [("one window", judged.window)]
    if judged.smoothed is not None:
        found.append(("smoothed", judged.smoothed))
    return found


def _confusions(judged: Judgement) -> list[Block]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    both = _both(judged)
    with html_page.styled():
        figure = Figure(figsize=(10, 4.6))
        axes = figure.subplots(1, len(both), squeeze=False)[0]
        for each, (name, confusion) in zip(axes, both, strict=True):
            shares = confusion.counts / confusion.counts.sum(axis=1, keepdims=True)
            _heat(each, shares, confusion.counts, confusion.truths, confusion.answers)
            each.set_title(name)
            each.set_xlabel("called")
        axes[0].set_ylabel("true")
        picture = Picture(
            html_page.svg(figure), "Windows by what they are and what they are called."
        )
    why = find_most_confused(judged)
    return [picture, *([Note(f"{why.sentence}.")] if why else [])]


def _heat(
    axes: "Axes",
    shares: Any,
    texts: Any,
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """A table whose cells are the darker the larger their share is."""
    axes.imshow(shares, cmap=html_page.SHADES, vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    short = [name.removeprefix("walking_") for name in columns]
    axes.set_xticks(range(len(columns)), short, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [name.removeprefix("walking_") for name in rows])
    for i, j in np.argwhere(np.asarray(texts) > 0).tolist():
        dark = shares[i, j] > 0.5
        colour = "white" if dark else html_page.INK
        axes.text(j, i, str(texts[i][j]), ha="center", va="center", color=colour, fontsize=9)


def _by_person(judged: Judgement) -> list[Block]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    found = score_people(judged)
    users = sorted(found, key=lambda user: found[user][0])
    with html_page.styled():
        figure = Figure(figsize=(10, 3.2))
        axes = figure.subplots()
        axes.plot(users, [found[user][0] for user in users], "o", label="one window")
        if judged.smoothed is not None:
            smoothed = [found[user][1] or 0.0 for user in users]
            axes.plot(users, smoothed, "o", label="smoothed")
        axes.axhline(ARTICLE_MACRO_F1, color=html_page.MUTED, linewidth=1, label="the article")
        axes.set_xlabel("user")
        axes.set_ylabel("macro-F1")
        axes.legend(loc="lower right")
        picture = Picture(html_page.svg(figure), "Macro-F1 of each person, the hardest first.")
    activities = judged.window.truths
    errors = count_errors_by_person(judged)
    rows: list[Cells] = [
        [user, *("/".join(map(str, errors[user].get(a, [0, 0])[1:])) for a in activities)]
        for user in users
    ]
    grid = Grid(["user", *activities], rows, folded="Errors of one window / smoothed")
    return [picture, grid]


def _reliability(bins: ReliabilityDiagram) -> Picture:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with html_page.styled():
        figure = Figure(figsize=(10, 3.6))
        left, right = figure.subplots(1, 2)
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
        return Picture(
            html_page.svg(figure),
            f"On the line, probabilities are as right as they say; they are off by {bins.error:.4f}"
            " on average.",
        )


def _in_time(judged: Judgement) -> list[Block]:
    rows: list[Cells] = [
        [name, each.changes, each.missed, each.delay, each.false_a_minute]
        for name, each in follow_changes(judged).items()
    ]
    headings = ["", "true changes", "missed", "delay in windows", "false changes a minute"]
    blocks: list[Block] = [Grid(headings, rows, digits=2)]
    if (shares := judged.unknown_shares()) is None:
        return blocks
    blocks.append(
        Text(
            f"Published as unknown are {shares[0]:.1%} of the windows that lie at least half "
            f"within a movement, and {shares[1]:.1%} of those within an activity."
        )
    )
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    with html_page.styled():
        figure = Figure(figsize=(10, 3))
        axes = figure.subplots()
        for name, rows_ in (("activities", judged.counted), ("movements", judged.moving)):
            axes.hist(judged.move_scores[rows_], bins=40, range=(0, 1), alpha=0.7, label=name)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("probability of a movement, one window")
        axes.set_ylabel("windows")
        axes.legend()
        blocks.append(Picture(html_page.svg(figure), "How well movements stand out."))
    return blocks
