"""Scores of a model for each person, and the differences from another model."""

from dataclasses import dataclass

import numpy as np

from streamer.training.judgement import Judgement


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of macro-F1 to another model, person by person."""

    mean: float
    error: float
    """Standard error of the mean."""
    better: int
    """Number of people for whom it is better."""
    worse: int


def score_people(judgement: Judgement) -> dict[str, tuple[float, float | None]]:
    """Return the macro-F1 of each person: of single windows, and smoothed."""
    scores = {}
    for subject in judgement.subjects:
        one, smoothed = judgement.confusions_of(subject)
        if one.windows:
            scores[subject] = (
                round(one.macro_f1, 6),
                None if smoothed is None else round(smoothed.macro_f1, 6),
            )
    return scores


def count_errors_by_person(judgement: Judgement) -> dict[str, dict[str, list[int]]]:
    """Count, by person and activity: windows, wrong predictions, wrong smoothed labels."""
    counts: dict[str, dict[str, list[int]]] = {}
    windows, smoothed = judgement.windows, judgement.smoothed_labels
    for subject in judgement.subjects:
        counts[subject] = {}
        own = judgement.within_activity & (windows.subjects == subject)
        for activity in judgement.window_confusion.truths:
            rows = own & (windows.truths == activity)
            if rows.any():
                cells = [int(rows.sum()), int((judgement.predicted[rows] != activity).sum())]
                if smoothed is not None:
                    cells.append(int((smoothed[rows] != activity).sum()))
                counts[subject][activity] = cells
    return counts


def compare_to_baseline(
    judgement: Judgement, baseline: Judgement, smoothed: bool
) -> Difference | None:
    """Compare the macro-F1 of the same people; None where one of the two has none."""
    own, other = score_people(judgement), score_people(baseline)
    pairs = [(own[subject][smoothed], other[subject][smoothed]) for subject in own]
    gains = np.array([a - b for a, b in pairs if a is not None and b is not None])
    if not len(gains):
        return None
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
    return Difference(
        round(float(gains.mean()), 6),
        round(error, 6),
        int((gains > 0).sum()),
        int((gains < 0).sum()),
    )
