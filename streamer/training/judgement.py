"""How right a model is about recordings that it has not learned from. Pure functions.

Windows wholly within one activity are judged. A window alone is called by its likeliest activity;
smoothed, it is called what the worker would publish, `unknown` included, which is never right.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from streamer.arrays import Bools, Floats, Strings
from streamer.contracts.activities import UNKNOWN, is_movement
from streamer.datasets.labelled_windows import UNLABELLED, LabelledWindows, in_natural_order
from streamer.features import UCI_HAR
from streamer.labels.decision import decide
from streamer.labels.smoothing import find_filter
from streamer.training.classification_scores import (
    ConfusionMatrix,
    ReliabilityDiagram,
    compute_auroc,
    compute_reliability,
)

HOPS_A_MINUTE = 60 / (UCI_HAR.hop_us / 1e6)


@dataclass(frozen=True, slots=True)
class ActivityChanges:
    """What becomes of changes from one activity to another, and of what is no change."""

    changes: int
    """Times that somebody went on to do something else."""
    missed: int
    """Of these, how many were never published."""
    delay: float
    """Mean number of windows, wholly within the new activity, until it was published."""
    false_a_minute: float
    """How often what is published changes while somebody goes on doing the same."""


@dataclass(frozen=True)
class Judgement:
    """What models said of windows, beside what was true.

    Attributes:
        windows: whole recordings, as they are, in the order of time.
        activities: the classes.
        scores: (n, classes) of the windows alone.
        beliefs: (n, classes) after the filter; None where windows do not follow one another.
    """

    windows: LabelledWindows
    activities: tuple[str, ...]
    scores: Floats
    beliefs: Floats | None

    @cached_property
    def counted(self) -> Bools:
        """(n,) which windows are wholly within one activity."""
        names = {name for name in self.activities if not is_movement(name)}
        return np.isin(self.windows.truths, sorted(names))

    @cached_property
    def moving(self) -> Bools:
        """(n,) which windows are at least half within a movement."""
        return np.array([is_movement(truth) for truth in self.windows.truths.tolist()], bool)

    @cached_property
    def said(self) -> Strings:
        """(n,) the likeliest activity of each window alone."""
        columns = [i for i, name in enumerate(self.activities) if not is_movement(name)]
        best = self.scores[:, columns].argmax(axis=1)
        said: Strings = np.array(self.activities)[columns][best]
        return said

    @cached_property
    def published(self) -> Strings | None:
        """(n,) what the worker would publish."""
        if self.beliefs is None:
            return None
        return np.array([each.activity for each in decide(self.beliefs, self.activities)])

    @cached_property
    def window(self) -> ConfusionMatrix:
        """Of windows alone."""
        return self._confusion(self.said, self.counted)

    @cached_property
    def smoothed(self) -> ConfusionMatrix | None:
        """Of what would be published."""
        return None if self.published is None else self._confusion(self.published, self.counted)

    def of(self, subject: str) -> tuple[ConfusionMatrix, ConfusionMatrix | None]:
        """The same of one person: windows alone, and what would be published."""
        rows = self.counted & (self.windows.subjects == subject)
        published = self.published
        return (
            self._confusion(self.said, rows),
            None if published is None else self._confusion(published, rows),
        )

    @property
    def subjects(self) -> list[str]:
        """Everybody."""
        return in_natural_order(self.windows.subjects.tolist())

    @cached_property
    def reliability(self) -> ReliabilityDiagram:
        """Of the largest probability of windows alone."""
        best = self.scores[self.counted].argmax(axis=1)
        right = np.array(self.activities)[best] == self.windows.truths[self.counted]
        return compute_reliability(self.scores[self.counted].max(axis=1), right)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of windows alone, in ten bins."""
        return self.reliability.error

    @cached_property
    def move_scores(self) -> Floats:
        """(n,) how likely each window alone is a movement."""
        columns = [i for i, name in enumerate(self.activities) if is_movement(name)]
        likely: Floats = self.scores[:, columns].sum(axis=1)
        return likely

    @cached_property
    def movement_auroc(self) -> float | None:
        """How well that tells movements from activities; None without movements."""
        return compute_auroc(self.move_scores[self.moving], self.move_scores[self.counted])

    def unknown_shares(self) -> tuple[float, float] | None:
        """Of movements, and of activities, how much would be published as unknown."""
        if self.published is None or not self.moving.any():
            return None
        unknown = self.published == UNKNOWN
        return float(unknown[self.moving].mean()), float(unknown[self.counted].mean())

    def changes(self, said: Strings) -> ActivityChanges:
        """Follow the changes through what was said of each window."""
        count, delays, flips, steps = 0, [], 0, 0
        for rows in recording_slices(self.windows):
            truths, answers = self.windows.truths[rows], said[rows]
            # Of windows side by side with the same truth, were the answers the same?
            same = (truths[1:] == truths[:-1]) & self.counted[rows][1:]
            flips += int((same & (answers[1:] != answers[:-1])).sum())
            steps += int(same.sum())
            before = UNLABELLED
            for stretch in _stretches(truths):
                truth = str(truths[stretch][0])
                if not self.counted[rows][stretch][0]:
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
            false_a_minute=flips / steps * HOPS_A_MINUTE if steps else 0.0,
        )

    def _confusion(self, said: Strings, rows: Bools) -> ConfusionMatrix:
        return ConfusionMatrix.of(self.windows.truths[rows].tolist(), said[rows].tolist())


def judge(windows: LabelledWindows, activities: tuple[str, ...], scores: Floats) -> Judgement:
    """Smooth the scores of recordings as the worker would, and put them beside the truth."""
    recordings = recording_slices(windows)
    if len(recordings) == len(windows):
        return Judgement(windows, activities, scores, None)
    smooth = find_filter(activities)
    beliefs = np.empty_like(scores)
    weights = smooth.weights(scores)
    for rows in recordings:
        belief = None
        for row in range(rows.start, rows.stop):
            belief = beliefs[row] = smooth.after(belief, weights[row])
    return Judgement(windows, activities, scores, beliefs)


def recording_slices(windows: LabelledWindows) -> list[slice]:
    """The windows of each recording."""
    return _stretches(windows.recordings)


def _stretches(values: Strings) -> list[slice]:
    """Where successive values are equal."""
    if not len(values):
        return []
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return [slice(first, last) for first, last in pairwise(edges)]
