"""Scores of a classification: confusion matrix, precision, recall, calibration, AUROC. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.datasets.class_names import order_classes


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well one activity is recognized. A ratio without cases is 0."""

    precision: float
    """Share of the windows with this label that are of this activity."""
    recall: float
    """Share of the windows of this activity that have this label."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of windows of this activity."""


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """How often each activity had each label.

    Attributes:
        truths: the true activities.
        answers: the labels: the true activities, then all others, such as `unknown`.
        counts: (truths, answers), numbers of windows.
    """

    truths: tuple[str, ...]
    answers: tuple[str, ...]
    counts: Ints

    @classmethod
    def of(cls, true: Sequence[str], labels: Sequence[str]) -> "ConfusionMatrix":
        """Count the pairs of true activities and labels, two sequences of the same length."""
        truths = order_classes(true)
        answers = truths + order_classes(set(labels) - set(truths))
        counts = np.zeros((len(truths), len(answers)), np.int64)
        rows = [truths.index(each) for each in true]
        columns = [answers.index(each) for each in labels]
        np.add.at(counts, (rows, columns), 1)
        return cls(truths, answers, counts)

    @property
    def windows(self) -> int:
        """Number of windows."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of the windows with the right label. 0 without windows."""
        return _ratio(np.trace(self.counts), self.counts.sum())

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the true activities. 0 without windows."""
        return _ratio(sum(each.f1 for each in self.classes.values()), len(self.truths))

    @property
    def classes(self) -> dict[str, ClassScores]:
        """The scores of each true activity."""
        scores = {}
        for i, activity in enumerate(self.truths):
            right, support = self.counts[i, i], self.counts[i].sum()
            labelled = self.counts[:, i].sum()
            scores[activity] = ClassScores(
                precision=_ratio(right, labelled),
                recall=_ratio(right, support),
                f1=_ratio(2 * right, support + labelled),
                support=int(support),
            )
        return scores

    def mistakes(self) -> list[tuple[str, str, int]]:
        """Return (true activity, wrong label, number of windows), the most frequent first."""
        wrong = [
            (true, label, int(self.counts[i, j]))
            for i, true in enumerate(self.truths)
            for j, label in enumerate(self.answers)
            if i != j and self.counts[i, j]
        ]
        return sorted(wrong, key=lambda each: -each[2])


@dataclass(frozen=True, slots=True)
class ReliabilityDiagram:
    """The share of right windows by the confidence of the model, in bins of equal width.

    Attributes:
        counts: (bins,), numbers of windows.
        confidence: (bins,), their mean confidence.
        accuracy: (bins,), the share of them that is right.
    """

    counts: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy."""
        apart = self.counts * np.abs(self.confidence - self.accuracy)
        return _ratio(float(apart.sum()), int(self.counts.sum()))


def compute_reliability(confidence: Floats, right: Bools, bins: int = 10) -> ReliabilityDiagram:
    """Sort windows into bins by their confidence (n,); `right` (n,) says which are right."""
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(which, minlength=bins)
    some = np.maximum(counts, 1)
    return ReliabilityDiagram(
        counts,
        np.bincount(which, confidence, bins) / some,
        np.bincount(which, right, bins) / some,
    )


def compute_auroc(positive: Floats, negative: Floats) -> float | None:
    """Return the probability that a positive scores higher than a negative; None without both."""
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    not_above = np.searchsorted(ordered, positive, "right")
    return float((below + not_above).mean() / 2 / len(negative))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
