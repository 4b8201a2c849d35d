"""What the pipeline asks of a model, wherever it runs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Who decided: every event carries this."""

    id: str
    version: str
    labels: tuple[str, ...]
    """The classes as the model names them, in the order of its scores."""
    activities: tuple[str, ...]
    """What the classes stand for, one for each label: `walking`, `standing>sitting`."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Scores of n windows.

    Attributes:
        scores: (n, classes), probabilities in the order of ``model.labels``.
        model: the model that computed them.
    """

    scores: npt.NDArray[np.float64]
    model: ModelCard


class Predictor(Protocol):
    """A model in the process or behind an endpoint."""

    name: str

    async def predict(self, features: npt.NDArray[np.float64]) -> Prediction:
        """Score windows.

        Args:
            features: (n, 561) on the published scale.

        Returns:
            Scores in the order of the rows; the same for a row whatever rows come with it.
        """
        ...
