"""Predictions with a model file, in the process of the worker."""

from streamer.arrays import Floats
from streamer.model.artifact import Model
from streamer.predict.predictor import Prediction


class LocalPredictor:
    """Scores windows with a model file."""

    name = "local"

    def __init__(self, model: Model) -> None:
        self._model = model
        self.feature_set = model.feature_set
        self.identity = model.signature

    async def predict(self, features: Floats) -> Prediction:
        """Score windows, (n, features) on the published scale; n may be 0.

        It takes microseconds per window, so it runs on the event loop.
        """
        model = self._model
        familiarity = model.familiarity
        strangeness = None if familiarity is None else familiarity.measure(features)
        return Prediction(model.probabilities(features), self.identity, strangeness)
