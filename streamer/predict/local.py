"""Prediction in the process itself: no network, nothing to wait for."""

import numpy as np
import numpy.typing as npt

from streamer.model.artifact import Model
from streamer.predict.protocol import Prediction

Floats = npt.NDArray[np.float64]


class LocalPredictor:
    """Scores windows with a model of ours."""

    name = "local"

    def __init__(self, model: Model) -> None:
        self._model = model

    async def predict(self, features: Floats) -> Prediction:
        """Score windows, (n, features) on the published scale; n may be 0.

        Microseconds a window, so it is not worth a thread.
        """
        return Prediction(self._model.probabilities(features), self._model.signature)
