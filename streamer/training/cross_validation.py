"""Cross-validation over subjects: a subject is scored by a model that has not learned from it.

A subject that is left out is left out of everything: of the means and standard deviations of the
features, of the classifiers, and of the varied copies. The logits of a window depend on nothing
else of its subject. The calibration of each node is fitted to the outputs for the other folds.
"""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Floats, Ints, Strings
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, sort_naturally
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError
from streamer.training.calibration import Calibration, Outputs, calibrate
from streamer.training.classifiers import fit_classifiers
from streamer.training.linear_classifiers import Algorithm, divide_for, find_positions

FOLDS = 7


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Scores of recordings, each by a model that has not learned from its subject.

    Attributes:
        windows: of all recordings, without varied copies.
        activities: the classes.
        outputs: of the classifiers, before calibration.
        scores: (n, classes), probabilities.
        folds: (n,), the fold in which each window was left out.
        calibration: fitted to all folds.
    """

    windows: LabelledWindows
    activities: tuple[str, ...]
    outputs: Outputs
    scores: Floats
    folds: Ints
    calibration: Calibration


def assign_folds(subjects: Strings, folds: int = FOLDS) -> Ints:
    """Return the fold (n,) in which each window is left out. A subject is in one fold."""
    people = sort_naturally(subjects.tolist())
    fold = {subject: i % min(folds, len(people)) for i, subject in enumerate(people)}
    return np.array([fold[subject] for subject in subjects.tolist()], np.int64)


def cross_validate(
    windows: LabelledWindows,
    activities: tuple[str, ...],
    algorithm: Algorithm,
    report: ReportProgress = ignore_progress,
) -> HeldOutScores:
    """Score the windows of each subject by a model of the others.

    Raises:
        DataError: there are fewer than two subjects, or only one fold has an activity.
        ModelError: scikit-learn is not installed.
    """
    folds = assign_folds(windows.subjects)
    if folds.max(initial=0) == 0:
        raise DataError(
            "training needs at least two users: one to learn from, one to judge the model"
        )
    is_original = windows.copies == 0
    originals = windows.of(is_original)
    is_labelled = windows.truths != UNLABELLED
    division = divide_for(algorithm, activities, windows, is_labelled)
    values = np.zeros((len(originals), division.outcomes)) if algorithm == "blend" else None
    outputs = Outputs(np.empty((len(originals), division.rows)), values)
    left_out = folds[is_original]
    for fold in range(int(folds.max()) + 1):
        seen = (folds != fold) & is_labelled
        if missing := _find_shown(windows, is_labelled) - _find_shown(windows, seen):
            raise DataError(
                f"when fold {fold + 1} is left out, no window is left of: "
                f"{', '.join(sorted(missing))}; record each with several users"
            )
        fitted = fit_classifiers(windows, seen, activities, algorithm)
        outputs.put(left_out == fold, fitted.outputs(originals.features[left_out == fold]))
        report("cross-validation", fold + 1, int(folds.max()) + 1)
    classes = find_positions(originals.truths, activities)
    scores = np.empty((len(originals), len(activities)))
    for fold in range(int(folds.max()) + 1):
        others = left_out != fold
        calibration = calibrate(outputs.of(others), classes[others], division)
        scores[~others] = calibration.probabilities(division, outputs.of(~others))
    found = calibrate(outputs, classes, division)
    return HeldOutScores(originals, activities, outputs, scores, left_out, found)


def _find_shown(windows: LabelledWindows, rows: Bools) -> set[str]:
    """Return the activities at these rows, each with its place."""
    pairs = zip(windows.truths[rows].tolist(), windows.places[rows].tolist(), strict=True)
    return {f"{activity} ({place})" if place else activity for activity, place in pairs}
