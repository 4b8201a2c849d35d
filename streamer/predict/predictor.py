"""The interface of a predictor, and its result."""

from dataclasses import dataclass
from typing import Protocol

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scores of n windows.

    Attributes:
        scores: (n, classes), probabilities in the order of ``model.labels``.
        model: the model that has computed the scores.
        strangeness: (n,), how strange the movement in each window is to the model: above 1 it is
            strange; NaN where the window does not tell. None if the model does not know.
    """

    scores: Floats
    model: ModelIdentity
    strangeness: Floats | None = None


class Predictor(Protocol):
    """A model that scores windows in the process of the worker."""

    name: str
    """The kind of predictor, as events name it."""

    async def predict(self, features: Floats) -> Prediction:
        """Score windows.

        Args:
            features: (n, 561) on the published scale.

        Returns:
            Scores in the order of the rows. The scores of a row do not depend on the other rows.
        """
        ...
