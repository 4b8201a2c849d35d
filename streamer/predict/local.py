"""Prediction in the process itself: no network, nothing to wait for."""

import numpy as np
import numpy.typing as npt

from streamer.model.artifact import LinearModel
from streamer.predict.protocol import Prediction

Floats = npt.NDArray[np.float64]


class LocalPredictor:
    """Scores windows with a linear model."""

    name = "local"

    def __init__(self, model: LinearModel) -> None:
        self._weights = model.weights
        self._bias = model.bias
        self._card = model.signature

    async def predict(self, features: Floats) -> Prediction:
        """Score windows, (n, features) on the published scale; n may be 0.

        Microseconds a window, so it is not worth a thread.
        """
        return Prediction(softmax(self.logits(features)), self._card)

    def logits(self, features: Floats) -> Floats:
        """Return (n, classes), before the softmax."""
        # A BLAS product gives a row other last bits in other batches, and `einsum` picks its loops
        # by memory layout: unoptimized on C order, each row is summed by itself.
        rows = np.ascontiguousarray(features)
        products: Floats = np.einsum("nf,cf->nc", rows, self._weights, optimize=False)
        return products + self._bias


def softmax(logits: Floats) -> Floats:
    """Turn (n, classes) logits of any size into probabilities."""
    # Relative to the largest, so that nothing overflows.
    powers: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Floats = powers.sum(axis=1, keepdims=True)
    return powers / total
