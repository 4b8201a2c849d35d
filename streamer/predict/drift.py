"""Drift detection: compares live windows with the training data of the model.

The measure is the population stability index, the sum of ``(live - reference) ln(live /
reference)`` over the shares of ten bins. By the usual rule, an index below `SLIGHT_DRIFT` means no
change, and one from `LARGE_DRIFT` a large change (`streamer.metrics`). The most important features,
the labels and the confidence are compared.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from streamer.arrays import Floats
from streamer.metrics import Metrics
from streamer.model.card import DriftReference
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Ask, Scored

HALF_LIFE: Final = 5_000
"""Number of windows after which a window counts half."""

ENOUGH: Final = 500
"""Number of windows before which there is no index."""

EVERY: Final = 200
"""Number of windows after which the metrics are updated."""

LABELS, CONFIDENCE = "labels", "confidence"


class Histogram:
    """Shares of bins among the last windows, and the reference shares."""

    def __init__(self, usual: npt.ArrayLike) -> None:
        """Set the reference shares (..., bins); each row has the sum one."""
        self._usual: Floats = np.asarray(usual, np.float64)
        self._counts: Floats = np.zeros_like(self._usual)

    def add(self, counts: npt.ArrayLike) -> None:
        """Add counts of windows (..., bins); older windows count less and less."""
        seen = np.asarray(counts, np.float64)
        windows = seen.sum(axis=-1, keepdims=True)
        self._counts = self._counts * 0.5 ** (windows / HALF_LIFE) + seen

    def stability_index(self) -> Floats:
        """Return the index of each row (...); NaN before there are enough windows."""
        total = self._counts.sum(axis=-1, keepdims=True)
        # An empty bin counts as half a window, or the index would be infinite.
        seen = np.maximum(self._counts, 0.5) / np.maximum(total, 1)
        usual = np.maximum(self._usual, 1e-4)
        index: Floats = ((seen - usual) * np.log(seen / usual)).sum(axis=-1)
        return np.where(total[..., 0] < ENOUGH, np.nan, index)


class Drift:
    """Compares features, labels and confidence of all partitions of a worker."""

    def __init__(self, profile: DriftReference, model: ModelIdentity) -> None:
        self._features = list(profile.watched)
        self._names = [profile.names[feature] for feature in profile.watched]
        self._edges = profile.deciles[self._features]
        self._activities = model.activities
        self._seen = Histogram([_shares(edges) for edges in self._edges])
        self._labels, self._confidence = Histogram(profile.mix), Histogram(profile.confidence)

    def add(self, features: Floats, answers: Answers) -> None:
        """Add windows (n, features) and their answers."""
        bins = (features[:, self._features, None] > self._edges).sum(axis=-1)
        self._seen.add([np.bincount(column, minlength=10) for column in bins.T])
        for scored in answers.scored:
            self._add_scores(scored)

    def _add_scores(self, scored: Scored) -> None:
        scores, classes = scored.prediction.scores, scored.prediction.model.activities
        if classes != self._activities:
            # There are no reference shares for the classes of another model.
            return
        self._labels.add(np.bincount(scores.argmax(axis=1), minlength=len(classes)))
        tenth = np.minimum((scores.max(axis=1) * 10).astype(np.int64), 9)
        self._confidence.add(np.bincount(tenth, minlength=10))

    def indices(self) -> dict[str, float]:
        """Return the index of each important feature, of the labels and of the confidence."""
        found = dict(zip(self._names, self._seen.stability_index().tolist(), strict=True))
        found[LABELS] = float(self._labels.stability_index())
        found[CONFIDENCE] = float(self._confidence.stability_index())
        return found


def _shares(deciles: Floats) -> Floats:
    """Return the shares of the bins between deciles (9,): a tenth, more between equal ones."""
    ends = [*np.searchsorted(deciles, deciles), len(deciles)]
    return np.bincount(ends, minlength=len(ends)) / len(ends)


def watch_drift(ask: Ask, drift: Drift, metrics: Metrics) -> Ask:
    """Wrap ``ask``: add all questions and answers to ``drift``, and update the metrics."""
    unshown = EVERY

    async def asked(features: Floats) -> Answers:
        nonlocal unshown
        answers = await ask(features)
        drift.add(features, answers)
        unshown += len(features)
        if unshown >= EVERY:
            unshown = 0
            for name, index in drift.indices().items():
                metrics.drift.labels(name).set(index)
        return answers

    return asked
