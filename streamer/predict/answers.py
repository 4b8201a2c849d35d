"""What became of windows that a model was asked about, row by row."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts.events import PredictionSource
from streamer.errors import ModelError
from streamer.predict.endpoint_protocol import InvalidAnswerError, check_prediction
from streamer.predict.predictor import Prediction, Predictor


@dataclass(frozen=True, slots=True)
class Scored:
    """Windows that one model has scored.

    Attributes:
        rows: (k,) which of the windows asked about, ascending.
        prediction: their scores, in the order of ``rows``.
        predictor: the kind of predictor that was asked.
        source: whether that was the one the worker is set up with.
    """

    rows: Ints
    prediction: Prediction
    predictor: str
    source: PredictionSource = PredictionSource.ENDPOINT

    def part(self, start: int, stop: int) -> "Scored":
        """Those of the windows from ``start`` to ``stop``, counted from ``start``."""
        first, last = np.searchsorted(self.rows, (start, stop))
        scores = self.prediction.scores[first:last]
        prediction = Prediction(scores, self.prediction.model)
        return Scored(self.rows[first:last] - start, prediction, self.predictor, self.source)

    def moved(self, by: int) -> "Scored":
        """The same windows, counted from elsewhere."""
        return Scored(self.rows + by, self.prediction, self.predictor, self.source)


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of each of ``count`` windows.

    Attributes:
        count: how many were asked about.
        scored: those with scores.
        refused: by row, what the endpoint said of a window that it does not take.

    Of windows that are in neither, nobody could be asked.
    """

    count: int
    scored: Sequence[Scored] = ()
    refused: Mapping[int, str] = field(default_factory=dict)

    @property
    def everything(self) -> Scored | None:
        """The one answer that there is when a single model has scored all windows."""
        if len(self.scored) == 1 and len(self.scored[0].rows) == self.count:
            return self.scored[0]
        return None

    @property
    def unavailable(self) -> list[int]:
        """The rows that nobody could be asked about, ascending."""
        settled = {row for each in self.scored for row in each.rows.tolist()} | self.refused.keys()
        return sorted(set(range(self.count)) - settled)

    def part(self, start: int, stop: int) -> "Answers":
        """Those about the windows from ``start`` to ``stop``."""
        refused = {row - start: why for row, why in self.refused.items() if start <= row < stop}
        scored = [part for each in self.scored if len((part := each.part(start, stop)).rows)]
        return Answers(stop - start, scored, refused)

    @classmethod
    def joined(cls, parts: Sequence["Answers"]) -> "Answers":
        """Answers about windows one part after the other."""
        begins = np.cumsum([0, *(part.count for part in parts)]).tolist()
        places = list(zip(begins[:-1], parts, strict=True))
        return cls(
            begins[-1],
            [each.moved(begin) for begin, part in places for each in part.scored],
            {begin + row: why for begin, part in places for row, why in part.refused.items()},
        )

    @classmethod
    def all(
        cls,
        prediction: Prediction,
        predictor: str,
        source: PredictionSource = PredictionSource.ENDPOINT,
    ) -> "Answers":
        """Every window is scored."""
        count = len(prediction.scores)
        return cls(count, [Scored(np.arange(count), prediction, predictor, source)])


Ask = Callable[[Floats], Awaitable[Answers]]
"""Asks about windows, (n, features) on the published scale; n may be 0."""


def make_ask(predictor: Predictor) -> Ask:
    """Ask a predictor that always answers, and answers at once.

    What it asks raises a `ModelError` when the answer does not fit the question: no window would
    go better.
    """

    async def ask(features: Floats) -> Answers:
        prediction = await predictor.predict(features)
        try:
            check_prediction(prediction.scores, prediction.model, len(features))
        except InvalidAnswerError as error:
            raise ModelError(
                f"the predictor {predictor.name} with the model {prediction.model.id} cannot be "
                f"used: {error}"
            ) from None
        return Answers.all(prediction, predictor.name)

    return ask
