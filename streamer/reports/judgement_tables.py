"""The output of `streamer model evaluate` and `compare`: tables for a terminal, and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from streamer.reports.confusion_tables import confusion_as_json, confusion_as_table, scores_as_table
from streamer.training.confused_pair import find_most_confused
from streamer.training.judged_parts import JudgedPart, count_unjudged, split_by_source_and_place
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
        "parts": [
            {"source": part.source, "place": part.place, "people": len(part.judgement.subjects)}
            | count_unjudged(part.judgement)._asdict()
            | _summarize(part.judgement)
            for part in split_by_source_and_place(judgement)
        ],
        "unjudged": count_unjudged(judgement)._asdict(),
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
    """Return the figures of the devices at one place that can be computed."""
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
    lines.append(count_unjudged(judgement).sentence)
    parts: list[RenderableType] = [*lines, ""]
    if len(apart := split_by_source_and_place(judgement)) > 1:
        parts += [_parts_table(apart), ""]
    parts += [
        "Of one window:",
        scores_as_table(judgement.window_confusion),
    ]
    parts += ["", confusion_as_table(judgement.window_confusion)]
    if judgement.smoothed_confusion is not None:
        parts += ["", "Smoothed:", scores_as_table(judgement.smoothed_confusion), ""]
        parts.append(confusion_as_table(judgement.smoothed_confusion))
    return Group(*parts, "", _people_table(judgement))


def _parts_table(parts: Sequence[JudgedPart]) -> Table:
    table = Table("source, place", box=None, pad_edge=False)
    for heading in PART_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for part in parts:
        table.add_row(part.name, *map(_cell, summarize_part(part)))
    return table


PART_HEADINGS: Final = ("users", "windows", "window", "smoothed", "calib.", "AUROC", "not judged")


def summarize_part(part: JudgedPart) -> list[int | float | None]:
    """Return the figures of a part under `PART_HEADINGS`, None where there is none."""
    judgement, counts = part.judgement, count_unjudged(part.judgement)
    smoothed = judgement.smoothed_confusion
    return [
        len(judgement.subjects),
        counts.judged,
        judgement.window_confusion.macro_f1,
        None if smoothed is None else smoothed.macro_f1,
        judgement.calibration_error,
        judgement.movement_auroc,
        counts.windows - counts.judged,
    ]


def _cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return str(figure) if isinstance(figure, int) else f"{figure:.4f}"


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
            "parts": [
                {"source": part.source, "place": part.place} | _summarize(part.judgement)
                for part in split_by_source_and_place(judgement)
            ],
            "unjudged": count_unjudged(judgement)._asdict(),
            "difference": _as_dict(compare_to_baseline(judgement, baseline, smoothed=False)),
            "smoothed_difference": _as_dict(
                compare_to_baseline(judgement, baseline, smoothed=True)
            ),
        }
        for name, judgement in judgements.items()
    }


def comparison_as_tables(judgements: Mapping[str, Judgement]) -> RenderableType:
    """Lay out one row for each, with its differences to the first one, and by source and place."""
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
    notes = [
        f"{Path(name).name}: {count_unjudged(judgement).sentence}"
        for name, judgement in judgements.items()
    ]
    apart = {name: split_by_source_and_place(each) for name, each in judgements.items()}
    if max(map(len, apart.values())) < 2:
        return Group(table, "", *notes)
    by_part = Table("macro-F1", box=None, pad_edge=False)
    for part in apart[first]:
        by_part.add_column(part.name, justify="right", no_wrap=True)
    for name, parts in apart.items():
        figures = [summarize_part(part) for part in parts]
        by_part.add_row(Path(name).name, *(f"{_cell(f[2])} / {_cell(f[3])}" for f in figures))
    by_part.caption = "one window / smoothed"
    return Group(table, "", by_part, "", *notes)


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
