"""Do the people who are labelled now resemble those whom the model has learned from?

What is seen is compared with the training profile in the model's file, by the population stability
index: the sum of ``(seen - usual) ln(seen / usual)`` over ten bins. As a rule of thumb under 0.1
nothing has changed, and from 0.25 on much has. Only the features that matter most are watched.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from streamer.arrays import Floats
from streamer.features import NAMES
from streamer.metrics import Metrics
from streamer.model.card import Profile
from streamer.model.identity import ModelIdentity
from streamer.predict.answers import Answers, Ask, Scored

HALF_LIFE: Final = 5_000
"""Windows after which what was seen counts half."""

ENOUGH: Final = 500
"""Windows before which nothing is said."""

EVERY: Final = 200
"""Windows after which what is shown is brought up to date."""

LABELS, CONFIDENCE = "labels", "confidence"


class Histogram:
    """Shares of bins among the last windows, beside the usual ones."""

    def __init__(self, usual: npt.ArrayLike) -> None:
        """Expect these shares: (..., bins), each row adding up to one."""
        self._usual: Floats = np.asarray(usual, np.float64)
        self._counts: Floats = np.zeros_like(self._usual)

    def see(self, counts: npt.ArrayLike) -> None:
        """Count windows, (..., bins); older ones fade."""
        seen = np.asarray(counts, np.float64)
        windows = seen.sum(axis=-1, keepdims=True)
        self._counts = self._counts * 0.5 ** (windows / HALF_LIFE) + seen

    def stability_index(self) -> Floats:
        """The index of each row (...); NaN before enough was seen."""
        total = self._counts.sum(axis=-1, keepdims=True)
        # A bin without windows counts as half a window, or the index would have no end.
        seen = np.maximum(self._counts, 0.5) / np.maximum(total, 1)
        usual = np.maximum(self._usual, 1e-4)
        index: Floats = ((seen - usual) * np.log(seen / usual)).sum(axis=-1)
        return np.where(total[..., 0] < ENOUGH, np.nan, index)


class Drift:
    """Watches features, labels and confidence of all partitions of a worker."""

    def __init__(self, profile: Profile, model: ModelIdentity) -> None:
        self._features = list(profile.watched)
        self._edges = profile.deciles[self._features]
        self._activities = model.activities
        self._seen = Histogram([_shares(edges) for edges in self._edges])
        self._labels, self._confidence = Histogram(profile.mix), Histogram(profile.confidence)

    def see(self, features: Floats, answers: Answers) -> None:
        """Take in windows (n, features) and what was said of them."""
        bins = (features[:, self._features, None] > self._edges).sum(axis=-1)
        self._seen.see([np.bincount(column, minlength=10) for column in bins.T])
        for scored in answers.scored:
            self._see_scores(scored)

    def _see_scores(self, scored: Scored) -> None:
        scores, classes = scored.prediction.scores, scored.prediction.model.activities
        if classes != self._activities:
            # Another model's classes have no usual share.
            return
        self._labels.see(np.bincount(scores.argmax(axis=1), minlength=len(classes)))
        tenth = np.minimum((scores.max(axis=1) * 10).astype(np.int64), 9)
        self._confidence.see(np.bincount(tenth, minlength=10))

    def indices(self) -> dict[str, float]:
        """The stability index of each watched feature, of the labels and of the confidence."""
        names = [NAMES[feature] for feature in self._features]
        found = dict(zip(names, self._seen.stability_index().tolist(), strict=True))
        found[LABELS] = float(self._labels.stability_index())
        found[CONFIDENCE] = float(self._confidence.stability_index())
        return found


def _shares(deciles: Floats) -> Floats:
    """Shares of the bins between deciles (9,): a tenth, and more where several are the same."""
    ends = [*np.searchsorted(deciles, deciles), len(deciles)]
    return np.bincount(ends, minlength=len(ends)) / len(ends)


def watch_drift(ask: Ask, drift: Drift, metrics: Metrics) -> Ask:
    """Let ``drift`` see all that is asked and answered, and show what it finds."""
    unshown = EVERY

    async def asked(features: Floats) -> Answers:
        nonlocal unshown
        answers = await ask(features)
        drift.see(features, answers)
        unshown += len(features)
        if unshown >= EVERY:
            unshown = 0
            for name, index in drift.indices().items():
                metrics.drift.labels(name).set(index)
        return answers

    return asked
