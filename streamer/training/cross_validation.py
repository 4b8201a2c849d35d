"""Cross-validation over subjects: everybody is judged by models that have never seen them.

Whoever is left out is left out of everything: of the means and spreads that features are measured
by, of the classifiers, and of the varied copies. So nothing of a subject has had a say in the
logits of that subject's windows. Temperatures, one number a node, are fitted to the logits of the
folds that a subject is not in.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Floats, Ints, Strings
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, in_natural_order
from streamer.errors import DataError
from streamer.model.class_tree import ClassTree
from streamer.training.linear_classifiers import (
    Algorithm,
    class_positions,
    divide_for,
    fit_classifiers,
    fit_temperature,
    outcomes_of_classes,
)

FOLDS = 7


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """What models said of recordings, as they are, of subjects whom they had not seen.

    Attributes:
        windows: all of those recordings.
        activities: the classes.
        logits: (n, rows) of the nodes, before temperatures.
        scores: (n, classes).
        folds: (n,) in which fold each window was left out.
        temperatures: of each node, by all folds.
    """

    windows: LabelledWindows
    activities: tuple[str, ...]
    logits: Floats
    scores: Floats
    folds: Ints
    temperatures: tuple[float, ...]


def assign_folds(subjects: Strings, folds: int = FOLDS) -> Ints:
    """The fold in which each window is left out; a subject is in one fold."""
    people = in_natural_order(subjects.tolist())
    fold = {subject: i % min(folds, len(people)) for i, subject in enumerate(people)}
    return np.array([fold[subject] for subject in subjects.tolist()], np.int64)


def cross_validate(
    windows: LabelledWindows,
    activities: tuple[str, ...],
    algorithm: Algorithm,
    report: Callable[[str], None] = lambda _: None,
) -> HeldOutScores:
    """Score everybody's windows by models of the others.

    Raises:
        DataError: there are fewer than two subjects, or nobody else shows an activity.
    """
    folds = assign_folds(windows.subjects)
    if folds.max(initial=0) == 0:
        raise DataError("to learn and to check what was learned takes two users")
    originals = windows.copies == 0
    judged = windows.of(originals)
    division = divide_for(algorithm, activities)
    logits = np.empty((len(judged), division.rows))
    left_out = folds[originals]
    for fold in range(int(folds.max()) + 1):
        report(f"fold {fold + 1} of {folds.max() + 1}")
        seen = windows.of((folds != fold) & (windows.truths != UNLABELLED))
        if missing := set(activities) - set(seen.truths.tolist()):
            raise DataError(
                "there is too little to learn from: without some of the users nobody is seen "
                + ", ".join(sorted(missing))
            )
        fitted = fit_classifiers(seen, activities, algorithm)
        logits[left_out == fold] = fitted.logits(judged.features[left_out == fold])
    classes = class_positions(judged.truths, activities)
    scores = np.empty((len(judged), len(activities)))
    for fold in range(int(folds.max()) + 1):
        others = left_out != fold
        by_row = division.repeat_by_row(temperatures(logits[others], classes[others], division))
        scores[~others] = division.probabilities(logits[~others] / by_row)
    found = temperatures(logits, classes, division)
    return HeldOutScores(judged, activities, logits, scores, left_out, found)


def temperatures(logits: Floats, classes: Ints, division: ClassTree) -> tuple[float, ...]:
    """The best temperature of each node."""
    found = []
    for node, outcomes in enumerate(division.nodes):
        which = outcomes_of_classes(classes, outcomes)
        rows = which >= 0
        found.append(fit_temperature(division.select_logits(node, logits[rows]), which[rows]))
    return tuple(found)
