"""Scores records with a model: the model that the server serves, or one that it has trained."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.datasets.feature_table import VARIABLES
from streamer.endpoint.amazon_ml.schema import InvalidDataError
from streamer.endpoint.served_model import ServedModel, keep_activities


class Scorer(Protocol):
    """A model that can score records."""

    kind: str
    """`MULTICLASS`, `BINARY` or `REGRESSION`."""
    labels: tuple[str, ...]
    """The classes in the order of the scores; those of a `BINARY` model are `0` and `1`."""
    variables: Sequence[str]
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

    kind = "MULTICLASS"
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


def find_columns(variables: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return the places of variables among columns.

    Raises:
        InvalidDataError: a column is missing.
    """
    where = {name: i for i, name in enumerate(columns)}
    if missing := [name for name in variables if name not in where]:
        raise InvalidDataError(
            f"{len(missing)} variables of the model are missing in the data, such as {missing[0]}"
        )
    return [where[name] for name in variables]


def _parse(field: str) -> float:
    try:
        return float(field)
    except ValueError:
        return np.nan
