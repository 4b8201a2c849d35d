"""The interface of an endpoint, the errors of its calls, and the check of its answers."""

from typing import Protocol

import numpy as np

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity
from streamer.predict.predictor import Prediction


class Endpoint(Protocol):
    """A model behind a network. It makes single calls, without retries."""

    name: str
    """The kind of predictor, as events name it."""
    most_windows: int
    """Largest number of windows in a call."""

    async def score(self, features: Floats) -> Prediction:
        """Call once.

        Args:
            features: (n, features) on the published scale, n from 1 to ``most_windows``.

        Raises:
            CallError: the call has failed; the class of the error says whether to repeat it.
            EndpointError: no call can succeed before an operator corrects the set-up.
        """


class CallError(Exception):
    """A call has failed."""


class RefusedError(CallError):
    """The endpoint does not accept one of the windows; a repeated call would fail too."""


class TooLargeError(RefusedError):
    """The request has more bytes than the endpoint, or a proxy before it, accepts."""


class RetryableError(CallError):
    """The call has failed for a reason that may pass."""

    outcome = "error"
    """Label of the metric that counts calls."""


class ThrottledError(RetryableError):
    """The endpoint has refused the call because there are too many."""

    outcome = "throttled"


class CallTimeoutError(RetryableError):
    """The call has taken too long."""

    outcome = "timeout"


class InvalidAnswerError(RetryableError):
    """The answer does not fit the question."""

    outcome = "wrong_answer"


class RefusesEverythingError(RetryableError):
    """The endpoint refuses valid windows: the fault is in its set-up, or in ours."""


def check_prediction(scores: Floats, model: ModelIdentity, windows: int) -> Prediction:
    """Return the scores as a prediction if they fit the question.

    Raises:
        InvalidAnswerError: the number of rows or classes is wrong, or scores are not probabilities.
    """
    expected = (windows, len(model.labels))
    if scores.shape != expected:
        raise InvalidAnswerError(
            f"an answer has scores of shape {scores.shape}, expected {expected} (windows, classes);"
            " the setting endpoint_labels names the classes of an endpoint that does not"
        )
    if not np.isfinite(scores).all() or (scores < 0).any() or (scores > 1 + 1e-6).any():
        raise InvalidAnswerError("an answer has scores that are not probabilities")
    return Prediction(scores, model)
