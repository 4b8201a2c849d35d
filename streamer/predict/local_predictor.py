"""Prediction in the process itself: no network, nothing to wait for."""

from streamer.arrays import Floats
from streamer.model.artifact import Model
from streamer.predict.predictor import Prediction


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
