"""Trains linear models out of core: each pass reads the encoded records from files."""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import sparse

from streamer.arrays import Floats
from streamer.prediction_server.amazon_ml.descent import Batch, descend
from streamer.prediction_server.amazon_ml.encoder import EncoderFit
from streamer.prediction_server.amazon_ml.linear_model import LINKS, LinearModel, ModelKind
from streamer.prediction_server.amazon_ml.recipe import parse_recipe
from streamer.prediction_server.amazon_ml.records import Records, is_missing
from streamer.prediction_server.amazon_ml.schema import InvalidDataError

SEED: Final = 0
_DENSE: Final = 0.25
"""Share of values other than zero from which an array is faster than a sparse matrix."""
YES: Final = {"1", "y", "yes", "t", "true"}
NO: Final = {"0", "n", "no", "f", "false"}


class TrainingStoppedError(Exception):
    """The training was told to stop."""


@dataclass(frozen=True, slots=True)
class TrainingParameters:
    """The parameters `sgd...` of a request.

    Attributes:
        passes: how often the training goes through the records.
        most_bytes: largest size of the model.
        l1: coefficient of the L1 norm of the weights; 0 for none.
        l2: coefficient of the L2 norm of the weights; 0 for none.
        shuffle: whether the order of the records is random.
    """

    passes: int = 10
    most_bytes: int = 33_554_432
    l1: float = 0.0
    l2: float = 0.0
    shuffle: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> "TrainingParameters":
        """Read the parameters.

        Raises:
            InvalidDataError: one is unknown or out of its range.
        """
        known = {f"sgd.{name}" for name in _LIMITS} | {"sgd.shuffleType"}
        if unknown := given.keys() - known:
            raise InvalidDataError(f"there is no parameter {min(unknown)!r}")
        shuffle = given.get("sgd.shuffleType", "none")
        if shuffle not in {"auto", "none"}:
            raise InvalidDataError(f"sgd.shuffleType must be auto or none: {shuffle!r}")
        read = {name: _read_limited(given, name) for name in _LIMITS}
        if given.keys() >= {"sgd.l1RegularizationAmount", "sgd.l2RegularizationAmount"}:
            raise InvalidDataError("only one of the L1 and L2 regularization amounts may be given")
        return cls(
            passes=int(read["maxPasses"]),
            most_bytes=int(read["maxMLModelSizeInBytes"]),
            l1=read["l1RegularizationAmount"],
            l2=read["l2RegularizationAmount"],
            shuffle=shuffle == "auto",
        )

    def as_request(self) -> dict[str, str]:
        """Return all parameters as the service shows them."""
        shown = {
            "sgd.maxPasses": str(self.passes),
            "sgd.maxMLModelSizeInBytes": str(self.most_bytes),
            "sgd.shuffleType": "auto" if self.shuffle else "none",
        }
        if self.l1:
            shown["sgd.l1RegularizationAmount"] = repr(self.l1)
        if self.l2:
            shown["sgd.l2RegularizationAmount"] = repr(self.l2)
        return shown


_LIMITS: Final[Mapping[str, tuple[type, float, float, float]]] = {
    "maxPasses": (int, 10, 1, 10_000),
    "maxMLModelSizeInBytes": (int, 33_554_432, 100_000, 2_147_483_648),
    "l1RegularizationAmount": (float, 0.0, 0.0, float(np.finfo(np.float64).max)),
    "l2RegularizationAmount": (float, 0.0, 0.0, float(np.finfo(np.float64).max)),
}
"""Type, default, least and greatest value of the parameters."""


def train(
    records: Records,
    kind: ModelKind,
    recipe: str,
    parameters: TrainingParameters,
    stop: threading.Event,
) -> LinearModel:
    """Train a model.

    Args:
        records: the training data.
        kind: what to predict.
        recipe: what the model learns from.
        parameters: how it learns.
        stop: set when the training is to stop.

    Raises:
        InvalidDataError: the data or the recipe do not suit the kind of model.
        TrainingStoppedError: `stop` was set.
    """
    target = _Target(records, kind)
    fit = EncoderFit(parse_recipe(recipe, records.schema.variables), records.schema)
    for chunk in records.read():
        _check(stop)
        rows = target.keep_labelled(chunk.rows)
        fit.add(rows)
        target.add(rows)
    labels = target.finish()
    encoder = fit.finish()
    if (size := encoder.width * max(len(labels), 1) * 8) > parameters.most_bytes:
        raise InvalidDataError(
            f"the model would have {size} bytes, and sgd.maxMLModelSizeInBytes allows "
            f"{parameters.most_bytes}; allow more, or learn from fewer columns or bins"
        )
    with tempfile.TemporaryDirectory(prefix="streamer-amazon-ml-") as folder:
        spool = _Spool(Path(folder), parameters.shuffle)
        for chunk in records.read():
            _check(stop)
            rows = target.keep_labelled(chunk.rows)
            if rows:
                spool.add(encoder.encode(records.schema.names, rows), *target.encode(rows))
        weights, intercepts = descend(
            lambda: spool.read(stop),
            spool.rows,
            (encoder.width, max(len(labels), 1) if kind == "MULTICLASS" else 1),
            LINKS[kind],
            parameters.passes,
            parameters.l1,
            parameters.l2,
        )
    weights, intercepts = target.unscale(weights, intercepts)
    if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
        raise InvalidDataError(
            "the training did not converge; use normalize(ALL_NUMERIC) in the recipe"
        )
    return LinearModel(kind, labels, encoder, weights, intercepts)


class _Spool:
    """Encoded records in files."""

    def __init__(self, folder: Path, shuffle: bool) -> None:
        self._folder = folder
        self._random = np.random.default_rng(SEED) if shuffle else None
        self._count = self.rows = 0

    def add(self, rows: sparse.csr_matrix, targets: Floats, weights: Floats) -> None:
        sparse.save_npz(self._folder / f"{self._count}.npz", rows, compressed=False)
        np.savez(self._folder / f"{self._count}-targets.npz", targets=targets, weights=weights)
        self._count += 1
        self.rows += len(targets)

    def read(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield the chunks; if they are shuffled, in a random order and with their rows so."""
        order = np.arange(self._count)
        if self._random is not None:
            self._random.shuffle(order)
        for number in order.tolist():
            _check(stop)
            rows: Any = sparse.load_npz(self._folder / f"{number}.npz")
            if rows.nnz > _DENSE * rows.shape[0] * rows.shape[1]:
                rows = rows.toarray()
            with np.load(self._folder / f"{number}-targets.npz") as found:
                targets, weights = found["targets"], found["weights"]
            if self._random is not None:
                mixed = self._random.permutation(len(targets))
                rows, targets, weights = rows[mixed], targets[mixed], weights[mixed]
            yield rows, targets, weights


class _Target:
    """The column to predict, and the weights of the records."""

    def __init__(self, records: Records, kind: ModelKind) -> None:
        schema = records.schema
        if schema.target is None:
            raise InvalidDataError("the schema of the training data has no targetFieldName")
        self._place = schema.names.index(schema.target)
        self._name = schema.target
        self._kind = kind
        expected = {"MULTICLASS": "CATEGORICAL", "BINARY": "BINARY", "REGRESSION": "NUMERIC"}[kind]
        if (found := schema.types[self._place]) != expected:
            raise InvalidDataError(
                f"the target {self._name} is {found}; a {kind} model needs {expected}"
            )
        self._weight = schema.names.index(schema.weight) if schema.weight else None
        self._seen: set[str] = set()
        self._labels: dict[str, int] = {}
        self._sum = self._square = 0.0
        self._count = 0

    def keep_labelled(self, rows: list[list[str]]) -> list[list[str]]:
        """Return the records whose target is valid; nothing can be learned from the others."""
        return [row for row in rows if not is_missing(row[self._place])]

    def add(self, rows: list[list[str]]) -> None:
        """Look at the targets of labelled records."""
        self._count += len(rows)
        if self._kind == "REGRESSION":
            values = [float(row[self._place]) for row in rows]
            self._sum += sum(values)
            self._square += sum(value**2 for value in values)
        else:
            self._seen |= {read_label(self._kind, row[self._place]) for row in rows}

    def finish(self) -> tuple[str, ...]:
        """Return the classes."""
        if not self._count:
            raise InvalidDataError(f"no record of the training data has the target {self._name}")
        if self._kind == "REGRESSION":
            return ()
        labels = ("0", "1") if self._kind == "BINARY" else tuple(sorted(self._seen))
        if len(self._seen) < 2:
            raise InvalidDataError(
                f"all records of the training data have the {self._name} {min(self._seen)!r}; a "
                "model needs two classes or more"
            )
        self._labels = {label: i for i, label in enumerate(labels)}
        return labels

    def encode(self, rows: list[list[str]]) -> tuple[Floats, Floats]:
        """Return targets (n, scores) and weights (n,) of labelled records."""
        weights = np.ones(len(rows))
        if self._weight is not None:
            weights = np.array([float(row[self._weight] or 1) for row in rows])
        if self._kind == "REGRESSION":
            mean, deviation = self._moments
            values = np.array([float(row[self._place]) for row in rows])
            return ((values - mean) / deviation)[:, None], weights
        labels = [self._labels[read_label(self._kind, row[self._place])] for row in rows]
        if self._kind == "BINARY":
            return np.array(labels, np.float64)[:, None], weights
        return np.eye(len(self._labels))[labels], weights

    def unscale(self, weights: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
        """Return weights and intercepts for the targets as they were given."""
        if self._kind != "REGRESSION":
            return weights, intercepts
        mean, deviation = self._moments
        return weights * deviation, intercepts * deviation + mean

    @property
    def _moments(self) -> tuple[float, float]:
        mean = self._sum / self._count
        variance = self._square / self._count - mean**2
        return mean, float(np.sqrt(variance)) if variance > 0 else 1.0


def read_label(kind: ModelKind, field: str) -> str:
    """Return the class that a target names; `1` or `0` for a binary model.

    Raises:
        InvalidDataError: the target of a binary model is neither.
    """
    if kind == "MULTICLASS":
        return field.strip()
    if (word := field.strip().lower()) in YES | NO:
        return "1" if word in YES else "0"
    raise InvalidDataError(f"{field[:40]!r} is not a BINARY value, such as 0, 1, true or false")


def _read_limited(given: Mapping[str, str], name: str) -> float:
    convert, default, least, most = _LIMITS[name]
    text = given.get(f"sgd.{name}", str(default))
    try:
        value = convert(text)
    except ValueError:
        raise InvalidDataError(f"sgd.{name} must be a number: {text!r}") from None
    if not least <= value <= most:
        raise InvalidDataError(f"sgd.{name} must be from {least:g} to {most:g}: {text}")
    return float(value)


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise TrainingStoppedError
