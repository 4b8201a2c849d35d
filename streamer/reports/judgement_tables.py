"""The output of `streamer model evaluate` and `compare`: tables for a terminal, and JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from streamer.reports.confusion_tables import confusion_as_json, confusion_as_table, scores_as_table
from streamer.training.confused_pair import find_most_confused
from streamer.training.judgement import Judgement
from streamer.training.people_scores import (
    Difference,
    compare_to_baseline,
    count_errors_by_person,
    score_people,
)


def judgement_as_json(judgement: Judgement) -> dict[str, Any]:
    """Return the figures as JSON types."""
    shares, why = judgement.share_unknown(), find_most_confused(judgement)
    bins = judgement.reliability
    return {
        "macro_f1": _rounded(judgement.window_confusion.macro_f1),
        "smoothed_macro_f1": judgement.smoothed_confusion
        and _rounded(judgement.smoothed_confusion.macro_f1),
        "calibration_error": _rounded(judgement.calibration_error),
        "movement_auroc": judgement.movement_auroc and _rounded(judgement.movement_auroc),
        "places": {place: _summarize(judgement.at(place)) for place in judgement.places},
        "window": confusion_as_json(judgement.window_confusion),
        "smoothed": judgement.smoothed_confusion
        and confusion_as_json(judgement.smoothed_confusion),
        "people": {
            subject: {"macro_f1": one, "smoothed_macro_f1": smoothed}
            for subject, (one, smoothed) in score_people(judgement).items()
        },
        "errors": count_errors_by_person(judgement),
        "reliability": {
            "windows": bins.counts.tolist(),
            "confidence": bins.confidence.round(6).tolist(),
            "accuracy": bins.accuracy.round(6).tolist(),
        },
        "changes": {
            name: asdict(changes) for name, changes in judgement.changes_by_method().items()
        },
        "movements": shares and {"found": _rounded(shares[0]), "false": _rounded(shares[1])},
        "confused": why and asdict(why),
    }


def _summarize(judgement: Judgement) -> dict[str, float]:
    """Return the figures of the devices at one place, as far as there are any."""
    smoothed = judgement.smoothed_confusion
    figures = {
        "macro_f1": judgement.window_confusion.macro_f1,
        "smoothed_macro_f1": None if smoothed is None else smoothed.macro_f1,
        "calibration_error": judgement.calibration_error,
        "movement_auroc": judgement.movement_auroc,
    }
    return {name: _rounded(value) for name, value in figures.items() if value is not None}


def judgement_as_tables(judgement: Judgement) -> RenderableType:
    """Lay the figures out for a terminal."""
    ones, smooths = zip(*score_people(judgement).values(), strict=True)
    lines = [
        f"macro-F1 of one window   {judgement.window_confusion.macro_f1:.4f}   {_spread(ones)}"
    ]
    if judgement.smoothed_confusion is not None:
        lines.append(
            f"macro-F1 smoothed        {judgement.smoothed_confusion.macro_f1:.4f}   "
            f"{_spread(smooths)}"
        )
    lines.append(f"calibration error        {judgement.calibration_error:.4f}")
    if judgement.movement_auroc is not None:
        lines.append(f"transition AUROC         {judgement.movement_auroc:.4f}")
    for place in judgement.places:
        figures = _summarize(judgement.at(place))
        lines.append(f"{place}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    lines += [
        f"{name}: {each.missed} of {each.changes} changes missed, the others labelled after "
        f"{each.delay:.2f} windows; {each.false_a_minute:.2f} false changes a minute"
        for name, each in judgement.changes_by_method().items()
    ]
    if (shares := judgement.share_unknown()) is not None:
        lines.append(
            f"published as unknown: {shares[0]:.1%} of movements, {shares[1]:.1%} of activities"
        )
    if (why := find_most_confused(judgement)) is not None:
        lines.append(why.sentence)
    parts: list[RenderableType] = [
        *lines,
        "",
        "Of one window:",
        scores_as_table(judgement.window_confusion),
    ]
    parts += ["", confusion_as_table(judgement.window_confusion)]
    if judgement.smoothed_confusion is not None:
        parts += ["", "Smoothed:", scores_as_table(judgement.smoothed_confusion), ""]
        parts.append(confusion_as_table(judgement.smoothed_confusion))
    return Group(*parts, "", _people_table(judgement))


def comparison_as_json(judgements: Mapping[str, Judgement]) -> dict[str, Any]:
    """Return the figures of each, with its differences to the first one."""
    [(_, baseline), *_] = judgements.items()
    return {
        name: {
            "macro_f1": _rounded(judgement.window_confusion.macro_f1),
            "smoothed_macro_f1": judgement.smoothed_confusion
            and _rounded(judgement.smoothed_confusion.macro_f1),
            "calibration_error": _rounded(judgement.calibration_error),
            "movement_auroc": judgement.movement_auroc and _rounded(judgement.movement_auroc),
            "difference": _as_dict(compare_to_baseline(judgement, baseline, smoothed=False)),
            "smoothed_difference": _as_dict(
                compare_to_baseline(judgement, baseline, smoothed=True)
            ),
        }
        for name, judgement in judgements.items()
    }


def comparison_as_table(judgements: Mapping[str, Judgement]) -> Table:
    """Lay out one row for each, with its differences to the first one."""
    [(first, baseline), *_] = judgements.items()
    table = Table("", box=None, pad_edge=False)
    against = f"to {Path(first).name}"
    for heading in ("window", against, "smoothed", against, "calib.", "AUROC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, judgement in judgements.items():
        table.add_row(
            Path(name).name,
            f"{judgement.window_confusion.macro_f1:.4f}",
            _difference_text(compare_to_baseline(judgement, baseline, smoothed=False)),
            "-"
            if judgement.smoothed_confusion is None
            else f"{judgement.smoothed_confusion.macro_f1:.4f}",
            _difference_text(compare_to_baseline(judgement, baseline, smoothed=True)),
            f"{judgement.calibration_error:.4f}",
            "-" if judgement.movement_auroc is None else f"{judgement.movement_auroc:.4f}",
        )
    table.caption = "macro-F1; differences: mean over people ± its standard error, better:worse"
    return table


def _difference_text(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    return f"{difference.mean:+.3f}±{difference.error:.3f} {difference.better}:{difference.worse}"


def _as_dict(difference: Difference | None) -> dict[str, Any] | None:
    return None if difference is None else asdict(difference)


def _people_table(judgement: Judgement) -> Table:
    activities = judgement.window_confusion.truths
    table = Table("user", box=None, pad_edge=False, title="errors of one window / smoothed")
    for activity in activities:
        table.add_column(activity.removeprefix("walking_"), justify="right")
    for subject, row in count_errors_by_person(judgement).items():
        cells = ["/".join(map(str, row[a][1:])) if a in row else "" for a in activities]
        table.add_row(subject, *(cell if cell.strip("0/") else "." for cell in cells))
    return table


def _spread(scores: tuple[float | None, ...]) -> str:
    known = [score for score in scores if score is not None]
    return (
        f"over people {np.mean(known):.3f} ± {np.std(known):.3f}, "
        f"{min(known):.3f} to {max(known):.3f}"
    )


def _rounded(value: float) -> float:
    return round(float(value), 6)
