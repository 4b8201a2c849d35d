"""What endpoints have in common: what is asked of one, and the ways in which it fails."""

from typing import Protocol

import numpy as np

from streamer.arrays import Floats
from streamer.model.identity import ModelCard
from streamer.predict.protocol import Prediction


class Endpoint(Protocol):
    """A model behind a network, called as it is: no retries, no patience."""

    name: str
    """The kind of predictor, as events name it."""
    most_windows: int
    """How many windows a call may have."""

    async def score(self, features: Floats) -> Prediction:
        """Call once.

        Args:
            features: (n, features) on the published scale, n from 1 to ``most_windows``.

        Raises:
            CallError: and which kind of it says what may be done.
            EndpointError: nothing may be done before somebody puts something right.
        """


class CallError(Exception):
    """A call has failed."""


class RefusedError(CallError):
    """The endpoint does not take one of the windows; asking again would not help."""


class TryAgainError(CallError):
    """It may well go better another time."""

    outcome = "error"


class ThrottledError(TryAgainError):
    """The endpoint is asked too much."""

    outcome = "throttled"


class SlowError(TryAgainError):
    """No answer in time."""

    outcome = "timeout"


class WrongAnswerError(TryAgainError):
    """What came back is no answer to what was asked."""

    outcome = "wrong_answer"


def checked(scores: Floats, model: ModelCard, windows: int) -> Prediction:
    """Trust an answer only when it fits the question.

    Raises:
        WrongAnswerError: it has other rows or classes, or numbers that are no probabilities.
    """
    expected = (windows, len(model.labels))
    if scores.shape != expected:
        raise WrongAnswerError(f"scores of shape {scores.shape} came back, expected {expected}")
    if not np.isfinite(scores).all() or (scores < 0).any() or (scores > 1 + 1e-6).any():
        raise WrongAnswerError("scores came back that are no probabilities")
    return Prediction(scores, model)
