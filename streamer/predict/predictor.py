"""What the pipeline asks of a model, wherever it runs."""

from dataclasses import dataclass
from typing import Protocol

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scores of n windows.

    Attributes:
        scores: (n, classes), probabilities in the order of ``model.labels``.
        model: the model that computed them.
    """

    scores: Floats
    model: ModelIdentity


class Predictor(Protocol):
    """A model in the process or behind an endpoint."""

    name: str

    async def predict(self, features: Floats) -> Prediction:
        """Score windows.

        Args:
            features: (n, 561) on the published scale.

        Returns:
            Scores in the order of the rows; the same for a row whatever rows come with it.
        """
        ...
