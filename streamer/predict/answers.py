"""The results of asking a model about windows, row by row."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.errors import ModelError
from streamer.predict.endpoint_protocol import InvalidAnswerError, check_prediction
from streamer.predict.predictor import Prediction, Predictor


class Origin(StrEnum):
    """Which of a worker's predictors has scored a window."""

    LOCAL = "local"
    """The configured one, in the process of the worker."""
    ENDPOINT = "endpoint"
    """The configured one, behind an endpoint."""
    FALLBACK = "fallback"
    """The one in the process, because the endpoint did not answer."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Windows that one model has scored.

    Attributes:
        rows: (k,) positions of the windows in the question, ascending.
        prediction: their scores, in the order of ``rows``.
        predictor: the kind of predictor, as events name it.
        origin: which predictor of the worker it was.
    """

    rows: Ints
    prediction: Prediction
    predictor: str
    origin: Origin

    def slice(self, start: int, stop: int) -> "Scored":
        """Return the windows from ``start`` to ``stop``, with positions relative to ``start``."""
        first, last = np.searchsorted(self.rows, (start, stop))
        strangeness = self.prediction.strangeness
        prediction = Prediction(
            self.prediction.scores[first:last],
            self.prediction.model,
            None if strangeness is None else strangeness[first:last],
        )
        return Scored(self.rows[first:last] - start, prediction, self.predictor, self.origin)

    def shift(self, by: int) -> "Scored":
        """Return the same windows at positions that are larger by ``by``."""
        return Scored(self.rows + by, self.prediction, self.predictor, self.origin)


@dataclass(frozen=True, slots=True)
class Answers:
    """The results for ``count`` windows.

    Attributes:
        count: number of windows in the question.
        scored: windows with scores.
        refused: error message of the endpoint for each window that it refuses, by position.

    A window that is in neither is unavailable: no model has answered.
    """

    count: int
    scored: Sequence[Scored] = ()
    refused: Mapping[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> Scored | None:
        """The only entry of ``scored`` if it has all windows; otherwise None."""
        if len(self.scored) == 1 and len(self.scored[0].rows) == self.count:
            return self.scored[0]
        return None

    @property
    def unavailable(self) -> list[int]:
        """Positions of the windows that no model has answered, ascending."""
        settled = {row for each in self.scored for row in each.rows.tolist()} | self.refused.keys()
        return sorted(set(range(self.count)) - settled)

    def slice(self, start: int, stop: int) -> "Answers":
        """Return the results for the windows from ``start`` to ``stop``."""
        refused = {row - start: why for row, why in self.refused.items() if start <= row < stop}
        scored = [part for each in self.scored if len((part := each.slice(start, stop)).rows)]
        return Answers(stop - start, scored, refused)

    def of_rows(self, rows: Sequence[int]) -> "Answers":
        """Return the results for some windows, given by their positions in ascending order."""
        wanted, scored = np.asarray(rows), []
        for each in self.scored:
            there = np.isin(wanted, each.rows)
            places = np.searchsorted(each.rows, wanted[there])
            strangeness = each.prediction.strangeness
            prediction = Prediction(
                each.prediction.scores[places],
                each.prediction.model,
                None if strangeness is None else strangeness[places],
            )
            scored.append(replace(each, rows=np.flatnonzero(there), prediction=prediction))
        refused = {i: self.refused[row] for i, row in enumerate(rows) if row in self.refused}
        return Answers(len(rows), scored, refused)

    @classmethod
    def concatenate(cls, parts: Sequence["Answers"]) -> "Answers":
        """Join the results for consecutive parts of a question."""
        begins = np.cumsum([0, *(part.count for part in parts)]).tolist()
        places = list(zip(begins[:-1], parts, strict=True))
        return cls(
            begins[-1],
            [each.shift(begin) for begin, part in places for each in part.scored],
            {begin + row: why for begin, part in places for row, why in part.refused.items()},
        )

    @classmethod
    def join(cls, count: int, parts: Sequence[tuple[Ints, "Answers"]]) -> "Answers":
        """Join the results for parts of ``count`` windows; each part with the rows of its windows.

        No row is in two parts.
        """
        scored = [
            replace(each, rows=rows[each.rows])
            for rows, answers in parts
            for each in answers.scored
            if len(each.rows)
        ]
        refused = {
            int(rows[row]): words
            for rows, answers in parts
            for row, words in answers.refused.items()
        }
        return cls(count, scored, refused)

    @classmethod
    def from_prediction(cls, prediction: Prediction, predictor: str, origin: Origin) -> "Answers":
        """Make the results of a prediction for all windows."""
        count = len(prediction.scores)
        return cls(count, [Scored(np.arange(count), prediction, predictor, origin)])


Ask = Callable[[Floats], Awaitable[Answers]]
"""Asks a model about windows, (n, features) on the published scale; n may be 0."""


def make_ask(predictor: Predictor) -> Ask:
    """Make a function that asks a predictor in the process.

    The function raises a `ModelError` when an answer does not fit the question: the predictor
    would fail for every window.
    """

    async def ask(features: Floats) -> Answers:
        prediction = await predictor.predict(features)
        try:
            check_prediction(prediction.scores, prediction.model, len(features))
            _check_strangeness(prediction.strangeness, len(features))
        except InvalidAnswerError as error:
            raise ModelError(
                f"the predictor {predictor.name} with the model {prediction.model.id} cannot be "
                f"used: {error}"
            ) from None
        return Answers.from_prediction(prediction, predictor.name, Origin.LOCAL)

    return ask


def _check_strangeness(strangeness: Floats | None, windows: int) -> None:
    if strangeness is not None and strangeness.shape != (windows,):
        raise InvalidAnswerError(
            f"an answer has strangeness of shape {strangeness.shape}, expected ({windows},)"
        )
