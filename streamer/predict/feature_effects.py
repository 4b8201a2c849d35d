"""How much each feature of a window speaks for the class that the model has chosen.

The effect of a feature is measured, whatever the model is: the model is asked again about the same
window, with this feature replaced by its median in the training data. The effect is how much the
log-odds of the chosen class against the next likely one fall. A positive effect speaks for the
chosen class. Features depend on one another, so their effects do not add up; the effect of a group
is measured in the same way, with all features of one signal replaced together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.arrays import Floats
from streamer.features import FeatureSet
from streamer.predict.answers import Ask

SMALLEST: Final = 1e-9
"""Lowest probability that counts: log-odds are finite."""


@dataclass(frozen=True, slots=True)
class FeatureEffect:
    """The effect of one feature, or of all features of a signal.

    Attributes:
        name: of the feature or of the signal.
        effect: fall of the log-odds without it.
        value: of the feature, as the model takes it; None for a signal.
        usual: its median in the training data; None for a signal.
    """

    name: str
    effect: float
    value: float | None = None
    usual: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureEffects:
    """What speaks for a class and against another one.

    Attributes:
        chosen: label of the most probable class.
        rival: label of the next one.
        log_odds: logarithm of the ratio of their probabilities.
        features: effects of single features, the largest first.
        signals: effects of all features of a signal, the largest first.
    """

    chosen: str
    rival: str
    log_odds: float
    features: Sequence[FeatureEffect]
    signals: Sequence[FeatureEffect]


async def measure_effects(
    ask: Ask, feature_set: FeatureSet, features: Floats, usual: Floats
) -> FeatureEffects | None:
    """Measure the effects of the features of a window.

    Args:
        ask: asks a model in this process; it is asked about some 600 windows.
        feature_set: the features.
        features: (features,) of the window; NaN where the device has no such sensor.
        usual: (features,) medians in the training data.

    Returns:
        None if the model has only one class.
    """
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(feature_set.names):
        if not np.isnan(features[column]):
            groups.setdefault(name_signal(name), []).append(column)
    single = [column for columns in groups.values() for column in columns]
    replaced = [[], *([column] for column in single), *groups.values()]
    windows = np.repeat(features[None], len(replaced), axis=0)
    for row, columns in enumerate(replaced):
        windows[row, columns] = usual[columns]
    answered = (await ask(windows)).complete
    if answered is None or answered.prediction.scores.shape[1] < 2:
        return None
    scores = answered.prediction.scores
    chosen, rival = np.argsort(-scores[0], kind="stable")[:2].tolist()
    shares = np.log(np.maximum(scores, SMALLEST))
    odds = shares[:, chosen] - shares[:, rival]
    falls = (odds[0] - odds[1:]).tolist()
    own = [
        FeatureEffect(
            feature_set.names[column], fall, float(features[column]), float(usual[column])
        )
        for column, fall in zip(single, falls, strict=False)
    ]
    joint = [
        FeatureEffect(name, fall) for name, fall in zip(groups, falls[len(single) :], strict=True)
    ]
    labels = answered.prediction.model.labels
    return FeatureEffects(
        labels[chosen], labels[rival], float(odds[0]), _by_size(own), _by_size(joint)
    )


def name_signal(feature: str) -> str:
    """Return the signal that a feature describes, such as `tBodyAccJerk`."""
    return feature.partition("-")[0].partition("(")[0]


def _by_size(effects: Sequence[FeatureEffect]) -> list[FeatureEffect]:
    return sorted(effects, key=lambda each: (-abs(each.effect), each.name))
