"""Updates a model by ground truth: learns, judges old and new, and says which is better.

Both models are judged by the same windows. The new one is judged as in cross-validation: a person
is judged by a candidate that has not learned from this person. The old one is taken as it is.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamer.arrays import Bools, Floats, Strings
from streamer.contracts.activities import is_movement
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows
from streamer.datasets.progress import ReportProgress, ignore_progress
from streamer.errors import DataError
from streamer.model.artifact import Model
from streamer.training.classification_scores import ConfusionMatrix
from streamer.training.cross_validation import assign_folds
from streamer.training.fine_tuning import fine_tune
from streamer.training.judgement import Judgement, judge

MARGIN: Final = 0.01
"""Smallest gain in smoothed macro-F1 on the people with ground truth that is worth a promotion."""
COST: Final = 0.01
"""Largest loss in smoothed macro-F1 on the people that the model knew before."""
CHANCE: Final = 0.05
"""Largest probability of the gain by chance."""
LEAST_WINDOWS: Final = 10
"""An activity with fewer labelled windows does not count."""
ENOUGH_PEOPLE: Final = 5
"""With fewer people, stretches of one activity are compared instead of people."""
FOLDS: Final = 5
NEWEST: Final = 0.25
"""Share of the labelled windows that are the newest ones."""
_FLIPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Compared:
    """Smoothed macro-F1 of the old and the new model, on the same windows."""

    before: float
    after: float
    windows: int

    @property
    def gain(self) -> float:
        """How much better the new model is."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a candidate is worth.

    Attributes:
        new_people: those with ground truth, each left out of the learning.
        known_people: those that the model knew before, each left out of the learning.
        newest: the newest labels, judged by a candidate that has learned from the older ones; None
            if there are too few.
        chance: the probability of the gain on the new people by chance, of a paired test.
        units: what the test compares: `people`, or `stretches` of one activity.
        against: why the candidate should not be promoted; empty if it should.
    """

    new_people: Compared
    known_people: Compared
    newest: Compared | None
    chance: float
    units: str
    against: list[str]


def check_new_windows(model: Model, new: LabelledWindows) -> tuple[LabelledWindows, list[str]]:
    """Return the windows with the truths that a model can learn from, and notes about the others.

    Raises:
        DataError: fewer than two activities are left.
    """
    counts = Counter(new.truths[new.truths != UNLABELLED].tolist())
    known = {name for name in model.card.activities if not is_movement(name)}
    notes = [
        f"the model does not know {name} ({count} windows); train a model that does, with "
        "`streamer model train`"
        for name, count in sorted(counts.items())
        if name not in known
    ]
    notes += [
        f"{name} has only {count} windows, so it does not count; {LEAST_WINDOWS} are needed"
        for name, count in sorted(counts.items())
        if name in known and count < LEAST_WINDOWS
    ]
    enough = [name for name in sorted(known) if counts[name] >= LEAST_WINDOWS]
    if len(enough) < 2:
        shown = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none"
        raise DataError(
            f"ground truth of two or more activities with {LEAST_WINDOWS} windows each is needed, "
            f"and there is: {shown}"
        )
    truths = np.where(np.isin(new.truths, enough), new.truths, UNLABELLED)
    return replace(new, truths=truths), notes


def judge_update(
    model: Model,
    new: LabelledWindows,
    old: LabelledWindows,
    report: ReportProgress = ignore_progress,
) -> Verdict:
    """Judge what learning from new windows is worth.

    Args:
        model: the present model.
        new: windows of devices with ground truth, in the order of time; those without are there
            for the smoothing.
        old: windows that the model has learned from, or like them.
        report: called when a part of the work is done.

    Raises:
        DataError: the old windows are of one person.
    """
    old_folds = assign_folds(old.subjects, FOLDS)
    if old_folds.max(initial=0) == 0:
        raise DataError(
            "the windows that the model has learned from are of one person, so it cannot be judged "
            "what an update costs others; give recordings of more people with --source"
        )
    by_time = _order_by_time(new)
    new_folds = assign_folds(new.subjects, FOLDS)
    one_person = new_folds.max(initial=0) == 0
    steps = int(old_folds.max()) + 2
    new_scores = model.probabilities(new.features)
    old_scores = model.probabilities(old.features)
    before = judge(new, model.card.activities, new_scores)
    after_new, after_old = new_scores.copy(), old_scores.copy()
    for fold in range(steps - 1):
        seen = np.ones(len(new), bool) if one_person else new_folds != fold
        learned = new.of(seen & (new.truths != UNLABELLED))
        rows = old_folds == fold
        candidate = fine_tune(model, learned, old.of(~rows), "candidate")
        after_old[rows] = candidate.probabilities(old.features[rows])
        if not one_person and (~seen).any():
            after_new[~seen] = candidate.probabilities(new.features[~seen])
        report("judging", fold + 1, steps)
    newest_rows = by_time >= 1 - NEWEST
    learned = new.of(~newest_rows & (new.truths != UNLABELLED))
    newest = None
    if len(set(learned.truths.tolist())) > 1:
        candidate = fine_tune(model, learned, old, "candidate")
        scores = new_scores.copy()
        scores[newest_rows] = candidate.probabilities(new.features[newest_rows])
        later = judge(new, model.card.activities, scores)
        newest = _compare(before, later, newest_rows)
        if one_person:
            after_new = scores
    report("judging", steps, steps)
    rows = newest_rows if one_person else np.ones(len(new), bool)
    after = judge(new, model.card.activities, after_new)
    chance, units = _test(before, after, rows)
    new_people = _compare(before, after, rows)
    known = _compare(
        judge(old, model.card.activities, old_scores),
        judge(old, model.card.activities, after_old),
        np.ones(len(old), bool),
    )
    return Verdict(
        new_people, known, newest, chance, units, _find_reasons(new_people, known, newest, chance)
    )


def _find_reasons(
    new_people: Compared, known: Compared, newest: Compared | None, chance: float
) -> list[str]:
    against = []
    if new_people.gain < MARGIN:
        against.append(
            f"it gains {new_people.gain:+.4f} on people with ground truth, less than {MARGIN}"
        )
    if chance > CHANCE:
        against.append(f"the gain may be chance: p = {chance:.3f}, more than {CHANCE}")
    if known.gain < -COST:
        against.append(
            f"it loses {-known.gain:.4f} on people that the model knew, more than {COST}"
        )
    if newest is not None and newest.gain < 0:
        against.append(f"it loses {-newest.gain:.4f} on the newest labels")
    return against


def _order_by_time(windows: LabelledWindows) -> Floats:
    """Return for each window (n,) the share of the labelled windows that are older."""
    labelled = np.sort(windows.starts[windows.truths != UNLABELLED])
    older: Floats = np.searchsorted(labelled, windows.starts) / max(1, len(labelled))
    return older


def _compare(before: Judgement, after: Judgement, rows: Bools) -> Compared:
    rows = rows & before.within_activity
    truths = before.windows.truths[rows].tolist()
    scores = [
        ConfusionMatrix.of(truths, _labels(each)[rows].tolist()).macro_f1
        for each in (before, after)
    ]
    return Compared(scores[0], scores[1], len(truths))


def _test(before: Judgement, after: Judgement, rows: Bools) -> tuple[float, str]:
    """Return the probability of the gain by chance, and what was compared.

    The share of right labels of a unit is compared. Under chance, the sign of each difference is
    as likely the other one (a paired permutation test, one-sided).
    """
    windows = before.windows
    rows = rows & before.within_activity
    people = np.unique(windows.subjects[rows])
    if len(people) >= ENOUGH_PEOPLE:
        units, names = windows.subjects, "people"
    else:
        changes = (windows.truths[1:] != windows.truths[:-1]) | (
            windows.recordings[1:] != windows.recordings[:-1]
        )
        numbers = np.concatenate([[0], np.cumsum(changes)])
        units, names = numbers.astype(np.str_), "stretches"
    right = _labels(after) == windows.truths
    right_before = _labels(before) == windows.truths
    gains = np.array(
        [
            right[rows & (units == unit)].mean() - right_before[rows & (units == unit)].mean()
            for unit in np.unique(units[rows])
        ]
    )
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, len(gains)))
    by_chance = (signs * gains).mean(axis=1) >= gains.mean() - 1e-12
    return float((by_chance.sum() + 1) / (_FLIPS + 1)), names


def _labels(judgement: Judgement) -> Strings:
    labels = judgement.smoothed_labels
    return judgement.predicted if labels is None else labels
