"""Scores records with a model: the model that the server serves, or one that it has trained."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.datasets.feature_table import VARIABLES
from streamer.prediction_server.amazon_ml.linear_model import LinearModel, ModelKind
from streamer.prediction_server.amazon_ml.records import find_columns
from streamer.prediction_server.amazon_ml.store import Entity, EntityStore
from streamer.prediction_server.served_model import ServedModel, keep_activities

MOST_LOADED: Final = 8
"""Trained models in memory at once."""
THRESHOLD: Final = 0.5


class Scorer(Protocol):
    """A model that can score records."""

    @property
    def kind(self) -> ModelKind:
        """What the model predicts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the scores; those of a `BINARY` model are `0` and `1`."""

    @property
    def variables(self) -> Sequence[str]:
        """The columns that a record must have."""

    async def score(self, columns: Sequence[str], rows: list[list[str]]) -> tuple[Floats, Bools]:
        """Score records.

        Args:
            columns: names of the fields.
            rows: the fields of each record.

        Returns:
            The scores of the valid records: (n, classes) probabilities, for `BINARY` (n, 1) of
            class `1`, for `REGRESSION` (n, 1) values; and (rows,) whether a record is valid.
        """


class ServedScorer:
    """The model that the server serves. A record with a missing value is invalid."""

    kind: ModelKind = "MULTICLASS"
    variables: Sequence[str] = VARIABLES

    def __init__(self, served: ServedModel, labels: tuple[str, ...]) -> None:
        self._served = served
        self.labels = labels

    @classmethod
    async def make(cls, served: ServedModel) -> "ServedScorer":
        """Make the scorer of a served model; its labels are known from an answer."""
        prediction = await served.score(np.zeros((1, len(VARIABLES))))
        return cls(served, keep_activities(prediction, served.labels).model.labels)

    async def score(self, columns: Sequence[str], rows: list[list[str]]) -> tuple[Floats, Bools]:
        """See `Scorer.score`."""
        places = find_columns(self.variables, columns)
        features = np.array([[_parse(row[i]) for i in places] for row in rows], np.float64)
        features = features.reshape(len(rows), len(places))
        valid: Bools = np.asarray(np.isfinite(features).all(axis=1))
        if not valid.any():
            return np.empty((0, len(self.labels))), valid
        prediction = await self._served.score(features[valid])
        return keep_activities(prediction, self._served.labels).scores, valid


class ModelScorers:
    """The scorers of the models; those that were used last stay in memory."""

    def __init__(self, store: EntityStore, served: ServedModel) -> None:
        self._store = store
        self._served = served
        self._trained: OrderedDict[str, LinearModel] = OrderedDict()

    async def open(self, model: Entity) -> Scorer:
        """Return the scorer of a complete model."""
        if model.document.get("Served"):
            return await ServedScorer.make(self._served)
        if model.id not in self._trained:
            self._trained[model.id] = LinearModel.load(await self._store.load_content(model))
            if len(self._trained) > MOST_LOADED:
                self._trained.popitem(last=False)
        self._trained.move_to_end(model.id)
        return self._trained[model.id]


def read_threshold(model: Entity) -> float:
    """Return the score from which the answer of a binary model is `1`."""
    return float(model.document.get("ScoreThreshold", THRESHOLD))


def _parse(field: str) -> float:
    try:
        return float(field)
    except ValueError:
        return np.nan
