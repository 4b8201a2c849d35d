"""True activities beside those that were said: counts, and what is made of them. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.datasets.class_names import classes_of


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well one activity is recognized; a ratio without cases is 0."""

    precision: float
    """Share of the windows called so that are so."""
    recall: float
    """Share of the windows that are so which are called so."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Windows that are so."""


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """How often which activity was called what.

    Attributes:
        truths: what people really did.
        answers: the same, then whatever else was said, such as `unknown`.
        counts: (truths, answers).
    """

    truths: tuple[str, ...]
    answers: tuple[str, ...]
    counts: Ints

    @classmethod
    def of(cls, true: Sequence[str], said: Sequence[str]) -> "ConfusionMatrix":
        """Count pairs of what was done and what was said."""
        truths = classes_of(true)
        answers = truths + classes_of(set(said) - set(truths))
        counts = np.zeros((len(truths), len(answers)), np.int64)
        rows = [truths.index(each) for each in true]
        columns = [answers.index(each) for each in said]
        np.add.at(counts, (rows, columns), 1)
        return cls(truths, answers, counts)

    @property
    def windows(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of the windows that are called right. 0 without windows."""
        return _ratio(np.trace(self.counts), self.counts.sum())

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the activities that really occurred. 0 without windows."""
        return _ratio(sum(each.f1 for each in self.classes.values()), len(self.truths))

    @property
    def classes(self) -> dict[str, ClassScores]:
        """The scores of each activity that really occurred."""
        scores = {}
        for i, activity in enumerate(self.truths):
            right, support = self.counts[i, i], self.counts[i].sum()
            called = self.counts[:, i].sum()
            scores[activity] = ClassScores(
                precision=_ratio(right, called),
                recall=_ratio(right, support),
                f1=_ratio(2 * right, support + called),
                support=int(support),
            )
        return scores

    def mistakes(self) -> list[tuple[str, str, int]]:
        """What was called what else, and how often; the most frequent first."""
        wrong = [
            (true, said, int(self.counts[i, j]))
            for i, true in enumerate(self.truths)
            for j, said in enumerate(self.answers)
            if i != j and self.counts[i, j]
        ]
        return sorted(wrong, key=lambda each: -each[2])


@dataclass(frozen=True, slots=True)
class ReliabilityDiagram:
    """How often windows are right, by how sure the model was: in bins of equal width.

    Attributes:
        counts, confidence, accuracy: (bins,): windows, their mean confidence, the share right.
    """

    counts: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: how far sureness and rightness are apart, on average."""
        apart = self.counts * np.abs(self.confidence - self.accuracy)
        return _ratio(float(apart.sum()), int(self.counts.sum()))


def compute_reliability(confidence: Floats, right: Bools, bins: int = 10) -> ReliabilityDiagram:
    """Sort windows (n,) by confidence into bins."""
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(which, minlength=bins)
    some = np.maximum(counts, 1)
    return ReliabilityDiagram(
        counts,
        np.bincount(which, confidence, bins) / some,
        np.bincount(which, right, bins) / some,
    )


def compute_auroc(positive: Floats, negative: Floats) -> float | None:
    """Chance that a positive has the larger score than a negative; None without one of either."""
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).mean() / 2 / len(negative))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
