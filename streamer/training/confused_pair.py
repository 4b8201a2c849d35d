"""The two activities that a model confuses most, and the features that separate them best."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.labelled_windows import LabelledWindows
from streamer.training.judgement import Judgement


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two activities that are often confused.

    A separation is the difference of a feature's means, in standard deviations.
    """

    activities: tuple[str, str]
    mistakes: int
    """Windows of either activity with the label of the other."""
    feature: str
    """The feature that separates them best over all people."""
    separation: float
    own_feature: str
    """The feature that separates them best within one person, in the median of people."""
    own_separation: float

    @property
    def sentence(self) -> str:
        """The pair in words."""
        one, other = self.activities
        return (
            f"{one} and {other} are confused most often ({self.mistakes} windows). Over all people "
            f"no feature separates them by more than {self.separation:.1f} standard deviations "
            f"({self.feature}); within one person {self.own_feature} separates them by "
            f"{self.own_separation:.1f}"
        )


def find_most_confused(judgement: Judgement) -> ConfusedPair | None:
    """Find the two activities that are confused most often; None when none are."""
    confusion = judgement.window_confusion
    mistakes = confusion.mistakes()
    pairs = {
        pair: sum(count for true, label, count in mistakes if {true, label} == {*pair})
        for pair in combinations(confusion.truths, 2)
    }
    pair = max(pairs, key=lambda each: pairs[each], default=None)
    if pair is None or not pairs[pair]:
        return None
    everybody = _measure_separations(judgement.windows, pair)
    by_person = [
        _measure_separations(windows, pair)
        for subject in judgement.subjects
        if set(pair)
        <= set((windows := judgement.windows.of(judgement.windows.subjects == subject)).truths)
    ]
    own = np.median(by_person, axis=0) if by_person else everybody
    names = judgement.windows.feature_set.names
    best, own_best = int(everybody.argmax()), int(own.argmax())
    return ConfusedPair(
        activities=pair,
        mistakes=pairs[pair],
        feature=names[best],
        separation=round(float(everybody[best]), 6),
        own_feature=names[own_best],
        own_separation=round(float(own[own_best]), 6),
    )


def _measure_separations(windows: LabelledWindows, pair: tuple[str, str]) -> Floats:
    """Return the separation (features,) of the pair by each feature."""
    one, other = (windows.features[windows.truths == activity] for activity in pair)
    spread = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 2)
    separations: Floats = np.abs(one.mean(axis=0) - other.mean(axis=0)) / np.where(
        spread, spread, np.inf
    )
    return separations
