"""Judges predictions of recordings that a model has not learned from. Pure functions.

Windows wholly within one activity are judged. The prediction for one window is its likeliest
activity. The smoothed label is what the worker would publish; where it publishes `unknown`, the
label counts as wrong.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from streamer.arrays import Bools, Floats, Strings
from streamer.contracts.activities import UNKNOWN, is_movement
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, sort_naturally
from streamer.features.window_shape import WINDOW
from streamer.labels.decision import decide
from streamer.labels.smoothing import find_filter
from streamer.training.classification_scores import (
    ConfusionMatrix,
    ReliabilityDiagram,
    compute_auroc,
    compute_reliability,
)

HOPS_PER_MINUTE = 60 / (WINDOW.hop_us / 1e6)


@dataclass(frozen=True, slots=True)
class ActivityChanges:
    """How labels follow the changes from one activity to another."""

    changes: int
    """True changes of activity."""
    missed: int
    """True changes after which the new activity was never the label."""
    delay: float
    """Mean number of windows within the new activity before the first right label."""
    false_a_minute: float
    """Changes of the label per minute while the true activity stays the same."""


@dataclass(frozen=True)
class Judgement:
    """Predictions beside the truth.

    Attributes:
        windows: whole recordings, without varied copies, in the order of time.
        activities: the classes.
        scores: (n, classes), of each window alone.
        beliefs: (n, classes) after the forward filter; None where windows do not follow one
            another.
    """

    windows: LabelledWindows
    activities: tuple[str, ...]
    scores: Floats
    beliefs: Floats | None

    @cached_property
    def within_activity(self) -> Bools:
        """Mask (n,) of the windows wholly within one activity, whether it is a class or not."""
        labelled: Bools = self.windows.truths != UNLABELLED
        return labelled & ~self.within_movement

    @cached_property
    def within_movement(self) -> Bools:
        """Mask (n,) of the windows at least half within a movement."""
        return np.array([is_movement(truth) for truth in self.windows.truths.tolist()], bool)

    @cached_property
    def predicted(self) -> Strings:
        """(n,) the likeliest activity of each window alone."""
        columns = [i for i, name in enumerate(self.activities) if not is_movement(name)]
        best = self.scores[:, columns].argmax(axis=1)
        predicted: Strings = np.array(self.activities)[columns][best]
        return predicted

    @cached_property
    def smoothed_labels(self) -> Strings | None:
        """(n,) the label that the worker would publish; None without beliefs."""
        if self.beliefs is None:
            return None
        return np.array([each.activity for each in decide(self.beliefs, self.activities)])

    @cached_property
    def window_confusion(self) -> ConfusionMatrix:
        """Confusion matrix of the predictions for single windows."""
        return self._confusion(self.predicted, self.within_activity)

    @cached_property
    def smoothed_confusion(self) -> ConfusionMatrix | None:
        """Confusion matrix of the smoothed labels; None without beliefs."""
        labels = self.smoothed_labels
        return None if labels is None else self._confusion(labels, self.within_activity)

    def confusions_of(self, subject: str) -> tuple[ConfusionMatrix, ConfusionMatrix | None]:
        """Return the confusion matrices of one person: of single windows, and smoothed."""
        rows = self.within_activity & (self.windows.subjects == subject)
        labels = self.smoothed_labels
        return (
            self._confusion(self.predicted, rows),
            None if labels is None else self._confusion(labels, rows),
        )

    @property
    def places(self) -> list[str]:
        """The places of the devices, as far as they are known."""
        return sorted(set(self.windows.places.tolist()) - {""})

    def at(self, place: str) -> "Judgement":
        """Return the part of it about the devices at one place."""
        return self.of(self.windows.places == place)

    def of(self, rows: Bools) -> "Judgement":
        """Return the part of it about these windows (mask (n,))."""
        return Judgement(
            self.windows.of(rows),
            self.activities,
            self.scores[rows],
            None if self.beliefs is None else self.beliefs[rows],
        )

    @property
    def subjects(self) -> list[str]:
        """All people who are judged, in natural order."""
        return sort_naturally(self.windows.subjects.tolist())

    @cached_property
    def reliability(self) -> ReliabilityDiagram:
        """Reliability of the largest score of single windows."""
        best = self.scores[self.within_activity].argmax(axis=1)
        right = np.array(self.activities)[best] == self.windows.truths[self.within_activity]
        return compute_reliability(self.scores[self.within_activity].max(axis=1), right)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of single windows, in ten bins."""
        return self.reliability.error

    @cached_property
    def movement_scores(self) -> Floats:
        """(n,) the probability that a single window is any movement."""
        columns = [i for i, name in enumerate(self.activities) if is_movement(name)]
        scores: Floats = self.scores[:, columns].sum(axis=1)
        return scores

    @cached_property
    def movement_auroc(self) -> float | None:
        """AUROC of `movement_scores`, movements against activities; None without movements."""
        return compute_auroc(
            self.movement_scores[self.within_movement], self.movement_scores[self.within_activity]
        )

    def share_unknown(self) -> tuple[float, float] | None:
        """Return the shares of movements and of activities that are published as `unknown`."""
        if self.smoothed_labels is None or not self.within_movement.any():
            return None
        unknown = self.smoothed_labels == UNKNOWN
        return (
            float(unknown[self.within_movement].mean()),
            float(unknown[self.within_activity].mean()),
        )

    def follow_changes(self, labels: Strings) -> ActivityChanges:
        """Compare the changes of these labels (n,) with the true changes of activity."""
        count, delays, flips, steps = 0, [], 0, 0
        for rows in slice_recordings(self.windows):
            truths, answers = self.windows.truths[rows], labels[rows]
            # Two successive windows with the same truth should have the same label.
            same = (truths[1:] == truths[:-1]) & self.within_activity[rows][1:]
            flips += int((same & (answers[1:] != answers[:-1])).sum())
            steps += int(same.sum())
            before = UNLABELLED
            for stretch in _slice_equal(truths):
                truth = str(truths[stretch][0])
                if not self.within_activity[rows][stretch][0]:
                    continue
                if before not in (UNLABELLED, truth):
                    count += 1
                    right = np.flatnonzero(answers[stretch] == truth)
                    delays += right[:1].tolist()
                before = truth
        return ActivityChanges(
            changes=count,
            missed=count - len(delays),
            delay=float(np.mean(delays)) if delays else 0.0,
            false_a_minute=flips / steps * HOPS_PER_MINUTE if steps else 0.0,
        )

    def changes_by_method(self) -> dict[str, ActivityChanges]:
        """Return how single windows and smoothed labels follow changes; empty without beliefs."""
        if self.smoothed_labels is None:
            return {}
        return {
            "one window": self.follow_changes(self.predicted),
            "smoothed": self.follow_changes(self.smoothed_labels),
        }

    def _confusion(self, labels: Strings, rows: Bools) -> ConfusionMatrix:
        return ConfusionMatrix.of(self.windows.truths[rows].tolist(), labels[rows].tolist())


def judge(windows: LabelledWindows, activities: tuple[str, ...], scores: Floats) -> Judgement:
    """Smooth the scores (n, classes) of recordings as the worker does, for comparison."""
    recordings = slice_recordings(windows)
    if len(recordings) == len(windows):
        return Judgement(windows, activities, scores, None)
    smooth = find_filter(activities)
    beliefs = np.empty_like(scores)
    likelihoods = smooth.likelihoods(scores)
    for rows in recordings:
        belief = None
        for row in range(rows.start, rows.stop):
            belief = beliefs[row] = smooth.update(belief, likelihoods[row])
    return Judgement(windows, activities, scores, beliefs)


def slice_recordings(windows: LabelledWindows) -> list[slice]:
    """Return the rows of each recording."""
    return _slice_equal(windows.recordings)


def _slice_equal(values: Strings) -> list[slice]:
    """Return the slices in which successive values are equal."""
    if not len(values):
        return []
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return [slice(first, last) for first, last in pairwise(edges)]
