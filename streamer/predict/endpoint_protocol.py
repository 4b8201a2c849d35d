"""What endpoints have in common: what is asked of one, and the ways in which it fails."""

from typing import Protocol

import numpy as np

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity
from streamer.predict.predictor import Prediction


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


class RetryableError(CallError):
    """It may well go better another time."""

    outcome = "error"


class ThrottledError(RetryableError):
    """The endpoint is asked too much."""

    outcome = "throttled"


class CallTimeoutError(RetryableError):
    """No answer in time."""

    outcome = "timeout"


class InvalidAnswerError(RetryableError):
    """What came back is no answer to what was asked."""

    outcome = "wrong_answer"


def check_prediction(scores: Floats, model: ModelIdentity, windows: int) -> Prediction:
    """Trust an answer only when it fits the question.

    Raises:
        InvalidAnswerError: it has other rows or classes, or numbers that are no probabilities.
    """
    expected = (windows, len(model.labels))
    if scores.shape != expected:
        raise InvalidAnswerError(f"scores of shape {scores.shape} came back, expected {expected}")
    if not np.isfinite(scores).all() or (scores < 0).any() or (scores > 1 + 1e-6).any():
        raise InvalidAnswerError("scores came back that are no probabilities")
    return Prediction(scores, model)
