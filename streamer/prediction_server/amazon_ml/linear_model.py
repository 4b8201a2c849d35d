"""A trained linear model: scores of records, and its bytes in the state of the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final, Literal

import msgspec
import numpy as np

from streamer.arrays import Bools, Floats
from streamer.prediction_server.amazon_ml.descent import Link, keep, soften, squash
from streamer.prediction_server.amazon_ml.encoder import Encoder
from streamer.prediction_server.amazon_ml.records import find_columns

ModelKind = Literal["MULTICLASS", "BINARY", "REGRESSION"]

LINKS: Final[Mapping[ModelKind, Link]] = {
    "MULTICLASS": soften,
    "BINARY": squash,
    "REGRESSION": keep,
}
"""What turns the sums of a model into its scores."""


class _Description(msgspec.Struct):
    kind: ModelKind
    labels: list[str]
    encoder: Encoder


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """Multinomial or logistic regression, or linear regression.

    Attributes:
        kind: what it predicts.
        labels: the classes in the order of the scores; `0` and `1` of a binary model; none of a
            regression.
        encoder: how records become rows of numbers.
        weights: (columns, scores), of the encoded columns.
        intercepts: (scores,).
    """

    kind: ModelKind
    labels: tuple[str, ...]
    encoder: Encoder
    weights: Floats
    intercepts: Floats

    @property
    def variables(self) -> Sequence[str]:
        """See `Scorer.variables`."""
        return self.encoder.variables

    async def score(self, columns: Sequence[str], rows: list[list[str]]) -> tuple[Floats, Bools]:
        """See `Scorer.score`."""
        find_columns(self.variables, columns)
        return self.compute(columns, rows), np.ones(len(rows), np.bool_)

    def compute(self, columns: Sequence[str], rows: list[list[str]]) -> Floats:
        """Return the scores (rows, scores) of valid records."""
        # A product with a sparse matrix adds row by row: a score does not depend on other rows.
        sums: Floats = self.encoder.encode(columns, rows) @ self.weights + self.intercepts
        return LINKS[self.kind](sums)

    def dump(self) -> bytes:
        """Return the bytes that `load` reads."""
        described = _Description(self.kind, list(self.labels), self.encoder)
        content = BytesIO()
        np.savez_compressed(
            content,
            description=np.frombuffer(msgspec.json.encode(described), np.uint8),
            weights=self.weights,
            intercepts=self.intercepts,
        )
        return content.getvalue()

    @classmethod
    def load(cls, content: bytes) -> "LinearModel":
        """Read a model."""
        with np.load(BytesIO(content), allow_pickle=False) as found:
            text = found["description"].tobytes()
            described = msgspec.json.decode(text, type=_Description)
            return cls(
                described.kind,
                tuple(described.labels),
                described.encoder,
                found["weights"],
                found["intercepts"],
            )
