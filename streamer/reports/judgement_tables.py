"""What `streamer model evaluate` and `compare` say, to people and to machines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from streamer.datasets.labelled_windows import LabelledWindows
from streamer.features import NAMES
from streamer.reports.report import confusion_json, confusion_table, scores_table
from streamer.training.judgement import ActivityChanges, Judgement

ARTICLE_MACRO_F1 = 0.92
"""What the article reports that this program grew from: six classes, one window, a web console."""


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two activities that are taken for each other, and the features that tell them apart best.

    Separations are differences of means in standard deviations.
    """

    activities: tuple[str, str]
    mistakes: int
    feature: str
    separation: float
    """Among all people."""
    own_feature: str
    own_separation: float
    """For one person, on average."""

    @property
    def sentence(self) -> str:
        """Says so."""
        one, other = self.activities
        return (
            f"{one} and {other} are taken for each other most ({self.mistakes} windows): over "
            f"people, no feature alone sets them apart by more than {self.separation:.1f} standard "
            f"deviations ({self.feature}); within one person {self.own_feature} does by "
            f"{self.own_separation:.1f}"
        )


def find_most_confused(judged: Judgement) -> ConfusedPair | None:
    """Find the two activities that are taken for each other most; None when none are."""
    confusion = judged.window
    mistakes = confusion.mistakes()
    pairs = {
        pair: sum(count for true, said, count in mistakes if {true, said} == {*pair})
        for pair in combinations(confusion.truths, 2)
    }
    pair = max(pairs, key=lambda each: pairs[each], default=None)
    if pair is None or not pairs[pair]:
        return None
    everybody = _separations(judged.windows, pair)
    own = [
        _separations(judged.windows.of(judged.windows.subjects == subject), pair)
        for subject in judged.subjects
        if set(pair) <= set(judged.windows.truths[judged.windows.subjects == subject].tolist())
    ]
    each = np.median(own, axis=0) if own else everybody
    best, own_best = int(everybody.argmax()), int(each.argmax())
    return ConfusedPair(
        activities=pair,
        mistakes=pairs[pair],
        feature=NAMES[best],
        separation=_rounded(everybody[best]),
        own_feature=NAMES[own_best],
        own_separation=_rounded(each[own_best]),
    )


def _separations(windows: LabelledWindows, pair: tuple[str, str]) -> Any:
    one, other = (windows.features[windows.truths == activity] for activity in pair)
    spread = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 2)
    return np.abs(one.mean(axis=0) - other.mean(axis=0)) / np.where(spread, spread, np.inf)


def judgement_as_json(judged: Judgement) -> dict[str, Any]:
    """Return the figures as JSON types."""
    shares, why = judged.unknown_shares(), find_most_confused(judged)
    bins = judged.reliability
    return {
        "macro_f1": _rounded(judged.window.macro_f1),
        "smoothed_macro_f1": judged.smoothed and _rounded(judged.smoothed.macro_f1),
        "calibration_error": _rounded(judged.calibration_error),
        "movement_auroc": judged.movement_auroc and _rounded(judged.movement_auroc),
        "article_macro_f1": ARTICLE_MACRO_F1,
        "window": confusion_json(judged.window),
        "smoothed": judged.smoothed and confusion_json(judged.smoothed),
        "people": {
            subject: {"macro_f1": one, "smoothed_macro_f1": smoothed}
            for subject, (one, smoothed) in score_people(judged).items()
        },
        "errors": count_errors_by_person(judged),
        "reliability": {
            "windows": bins.counts.tolist(),
            "confidence": bins.confidence.round(6).tolist(),
            "accuracy": bins.accuracy.round(6).tolist(),
        },
        "changes": {name: asdict(changes) for name, changes in follow_changes(judged).items()},
        "movements": shares and {"found": _rounded(shares[0]), "false": _rounded(shares[1])},
        "confused": why and asdict(why),
    }


def judgement_as_tables(judged: Judgement) -> RenderableType:
    """Lay the figures out for a terminal."""
    ones, smooths = zip(*score_people(judged).values(), strict=True)
    lines = [f"macro-F1 of one window   {judged.window.macro_f1:.4f}   {_spread(ones)}"]
    if judged.smoothed is not None:
        lines.append(
            f"macro-F1 smoothed        {judged.smoothed.macro_f1:.4f}   {_spread(smooths)}"
        )
    lines.append(f"macro-F1 of the article  {ARTICLE_MACRO_F1:.2f}")
    lines.append(f"calibration error        {judged.calibration_error:.4f}")
    if judged.movement_auroc is not None:
        lines.append(f"transition AUROC         {judged.movement_auroc:.4f}")
    lines += [
        f"{name}: {each.missed} of {each.changes} changes missed, the others seen after "
        f"{each.delay:.2f} windows; {each.false_a_minute:.2f} false changes a minute"
        for name, each in follow_changes(judged).items()
    ]
    if (shares := judged.unknown_shares()) is not None:
        lines.append(
            f"published as unknown: {shares[0]:.1%} of movements, {shares[1]:.1%} of activities"
        )
    if (why := find_most_confused(judged)) is not None:
        lines.append(why.sentence)
    parts: list[RenderableType] = [*lines, "", "Of one window:", scores_table(judged.window)]
    parts += ["", confusion_table(judged.window)]
    if judged.smoothed is not None:
        parts += ["", "Smoothed:", scores_table(judged.smoothed), ""]
        parts.append(confusion_table(judged.smoothed))
    return Group(*parts, "", _people_table(judged))


def score_people(judged: Judgement) -> dict[str, tuple[float, float | None]]:
    """Macro-F1 of each person: of windows alone, and smoothed."""
    found = {}
    for subject in judged.subjects:
        one, smoothed = judged.of(subject)
        if one.windows:
            found[subject] = (
                _rounded(one.macro_f1),
                None if smoothed is None else _rounded(smoothed.macro_f1),
            )
    return found


def count_errors_by_person(judged: Judgement) -> dict[str, dict[str, list[int]]]:
    """Of each person's activities: windows, those called wrong, those published wrong."""
    found: dict[str, dict[str, list[int]]] = {}
    windows = judged.windows
    for subject in judged.subjects:
        found[subject] = {}
        for activity in judged.window.truths:
            rows = judged.counted & (windows.subjects == subject) & (windows.truths == activity)
            if rows.any():
                wrong = int((judged.said[rows] != activity).sum())
                cells = [int(rows.sum()), wrong]
                if judged.published is not None:
                    cells.append(int((judged.published[rows] != activity).sum()))
                found[subject][activity] = cells
    return found


def follow_changes(judged: Judgement) -> dict[str, ActivityChanges]:
    """What becomes of changes, by windows alone and smoothed."""
    if judged.published is None:
        return {}
    return {
        "one window": judged.changes(judged.said),
        "smoothed": judged.changes(judged.published),
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one is better than another, person by person."""

    mean: float
    error: float
    """Standard error of the mean."""
    better: int
    worse: int


def compare_to_baseline(
    judged: Judgement, baseline: Judgement, smoothed: bool
) -> Difference | None:
    """Compare macro-F1 over the same people; None where one of them has none."""
    pairs = [
        (score_people(judged)[subject][smoothed], score_people(baseline)[subject][smoothed])
        for subject in score_people(judged)
    ]
    gains = np.array([a - b for a, b in pairs if a is not None and b is not None])
    if not len(gains):
        return None
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    return Difference(
        _rounded(gains.mean()), _rounded(error), int((gains > 0).sum()), int((gains < 0).sum())
    )


def comparison_as_json(found: Mapping[str, Judgement]) -> dict[str, Any]:
    """Figures of each, and differences to the first one."""
    [(_, baseline), *_] = found.items()
    return {
        name: {
            "macro_f1": _rounded(judged.window.macro_f1),
            "smoothed_macro_f1": judged.smoothed and _rounded(judged.smoothed.macro_f1),
            "calibration_error": _rounded(judged.calibration_error),
            "movement_auroc": judged.movement_auroc and _rounded(judged.movement_auroc),
            "difference": _as_dict(compare_to_baseline(judged, baseline, smoothed=False)),
            "smoothed_difference": _as_dict(compare_to_baseline(judged, baseline, smoothed=True)),
        }
        for name, judged in found.items()
    }


def comparison_as_table(found: Mapping[str, Judgement]) -> Table:
    """One row each, with differences to the first one."""
    [(first, baseline), *_] = found.items()
    table = Table("", box=None, pad_edge=False)
    against = f"to {Path(first).name}"
    for heading in ("window", against, "smoothed", against, "calib.", "AUROC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, judged in found.items():
        table.add_row(
            Path(name).name,
            f"{judged.window.macro_f1:.4f}",
            _difference_text(compare_to_baseline(judged, baseline, smoothed=False)),
            "-" if judged.smoothed is None else f"{judged.smoothed.macro_f1:.4f}",
            _difference_text(compare_to_baseline(judged, baseline, smoothed=True)),
            f"{judged.calibration_error:.4f}",
            "-" if judged.movement_auroc is None else f"{judged.movement_auroc:.4f}",
        )
    table.caption = "macro-F1; differences: mean over people ± its standard error, better:worse"
    return table


def _difference_text(found: Difference | None) -> str:
    if found is None:
        return "-"
    return f"{found.mean:+.3f}±{found.error:.3f} {found.better}:{found.worse}"


def _as_dict(found: Difference | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)


def _people_table(judged: Judgement) -> Table:
    activities = judged.window.truths
    table = Table("user", box=None, pad_edge=False, title="errors of one window / smoothed")
    for activity in activities:
        table.add_column(activity.removeprefix("walking_"), justify="right")
    for subject, row in count_errors_by_person(judged).items():
        cells = ["/".join(map(str, row[a][1:])) if a in row else "" for a in activities]
        table.add_row(subject, *(cell if cell.strip("0/") else "." for cell in cells))
    return table


def _spread(scores: tuple[float | None, ...]) -> str:
    known = [score for score in scores if score is not None]
    return (
        f"over people {np.mean(known):.3f} ± {np.std(known):.3f}, "
        f"{min(known):.3f} to {max(known):.3f}"
    )


def _rounded(value: Any) -> float:
    return round(float(value), 6)
