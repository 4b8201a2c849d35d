"""Encodes requests to SageMaker containers, and decodes their answers.

| format | request | containers |
|---|---|---|
| `csv` | `text/csv`, one window per line | all stock containers |
| `jsonlines` | `application/jsonlines`, `{"features": [...]}` per line | SageMaker's algorithms |
| `npy` | `application/x-npy`, float64 (n, features) | scikit-learn, `streamer endpoint`; fast |

Content type and structure tell answers apart: scores or labels, one row per window, as CSV, NPY or
JSON; `{"predictions": [{"score": [...]}]}` (XGBoost); or the answer of `streamer endpoint`, which
names classes and model.
"""

from collections.abc import Mapping
from io import BytesIO, StringIO
from math import prod
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from streamer.arrays import Floats
from streamer.contracts.activities import check_activity_names
from streamer.model.identity import ModelIdentity
from streamer.predict.endpoint_protocol import InvalidAnswerError, check_prediction
from streamer.predict.predictor import Prediction

Format = Literal["csv", "jsonlines", "npy"]

CSV, JSON_LINES, JSON, NPY = (
    "text/csv",
    "application/jsonlines",
    "application/json",
    "application/x-npy",
)
CONTENT_TYPES: Mapping[Format, str] = {"csv": CSV, "jsonlines": JSON_LINES, "npy": NPY}


class Scores(msgspec.Struct, frozen=True):
    """The answer of `streamer endpoint`: all that an event says about the model."""

    model: str
    version: str
    labels: list[str]
    activities: list[str]
    scores: list[list[float]]


_NUMBERS_OR_TEXT = "fiuU"
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    msgspec.DecodeError,
)

_ours = msgspec.json.Decoder(Scores)
_any = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def encode(features: Floats, form: Format) -> bytes:
    """Write windows (n, features) as the body of a request."""
    match form:
        case "npy":
            body = BytesIO()
            np.save(body, features, allow_pickle=False)
            return body.getvalue()
        case "csv":
            # JSON and CSV have the same numbers, and msgspec is fifty times as fast as savetxt.
            return _encoder.encode(features.tolist())[2:-2].replace(b"],[", b"\n")
        case "jsonlines":
            return _encoder.encode_lines([{"features": row} for row in features.tolist()])


def decode(body: bytes, content_type: str, default: ModelIdentity, windows: int) -> Prediction:
    """Read an answer.

    Args:
        body: body of the answer.
        content_type: content type of the answer.
        default: model and classes of an answer that does not name them.
        windows: number of windows in the question.

    Raises:
        InvalidAnswerError: the answer does not fit the question.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == JSON and b'"labels"' in body:
            ours = _ours.decode(body)
            if not len(set(ours.labels)) == len(ours.labels) == len(ours.activities):
                raise ValueError("its labels are not different, or not as many as its activities")
            card = ModelIdentity(
                ours.model, ours.version, tuple(ours.labels), check_activity_names(ours.activities)
            )
            return check_prediction(np.array(ours.scores, np.float64), card, windows)
        rows = _read_rows(body, kind)
        if rows.dtype.kind not in _NUMBERS_OR_TEXT:
            raise ValueError(f"it has values of type {rows.dtype}")
        if rows.ndim == 2 and rows.shape[1] > 1:
            return check_prediction(rows.astype(np.float64), default, windows)
        return check_prediction(_make_certain(rows.reshape(-1), default), default, windows)
    except _UNREADABLE as error:
        raise InvalidAnswerError(
            f"an answer of type {kind[:50]!r} cannot be read: {str(error)[:200]}"
        ) from None


def _read_rows(body: bytes, kind: str) -> npt.NDArray[Any]:
    """Read a row of scores, or a label, for each window."""
    match kind:
        case "application/x-npy":
            return _read_npy(body)
        case "text/csv":
            # One line per window, or all labels in one line.
            if not (lines := body.decode().strip().splitlines()):
                raise ValueError("the answer is empty")
            cells = [line.split(",") for line in lines]
            if len(cells) == 1 and not _are_scores(cells[0]):
                return np.array(cells[0])
            if len(cells[0]) == 1:
                return np.array([cell for [cell] in cells])
            return np.loadtxt(StringIO("\n".join(lines)), delimiter=",", ndmin=2)
        case "application/jsonlines":
            return np.array([_plain(row) for row in _any.decode_lines(body)])
        case "application/json":
            answer = _any.decode(body)
            if isinstance(answer, dict):
                answer = answer["predictions"]
            if not isinstance(answer, list):
                raise ValueError("it is not a list")
            return np.array([_plain(row) for row in answer])
        case _:
            raise ValueError("the type is not CSV, JSON, JSON lines or NPY")


def _read_npy(body: bytes) -> npt.NDArray[Any]:
    """Read an array that is not larger than the body, whatever its header says."""
    stream = BytesIO(body)
    read_header = {
        (1, 0): npy_format.read_array_header_1_0,
        (2, 0): npy_format.read_array_header_2_0,
    }[npy_format.read_magic(stream)]
    shape, _, dtype = read_header(stream)
    if prod(shape) * dtype.itemsize > len(body):
        raise ValueError("it is cut off")
    array: npt.NDArray[Any] = npy_format.read_array(BytesIO(body), allow_pickle=False)
    return array


def _plain(row: Any) -> Any:
    """Take the scores or the label of one window out of the object that a container returns."""
    if isinstance(row, dict):
        for name in ("score", "scores", "probabilities", "predicted_label"):
            if name in row:
                return row[name]
        raise ValueError(f"it has no scores, but {', '.join(row)}")
    return row


def _are_scores(cells: list[str]) -> bool:
    try:
        return len(cells) > 1 and abs(sum(map(float, cells)) - 1) < 1e-3
    except ValueError:
        return False


def _make_certain(labels: npt.NDArray[Any], card: ModelIdentity) -> Floats:
    """Return scores for labels: one for the class with the label, zero for the others."""
    scores = np.zeros((len(labels), len(card.labels)))
    for row, label in enumerate(labels.tolist()):
        # Containers that store classes as floats return "2.0".
        name = str(label).removesuffix(".0")
        if name not in card.labels:
            raise InvalidAnswerError(
                f"an answer has the label {name[:50]!r}, expected one of {', '.join(card.labels)}; "
                "the setting endpoint_labels names them"
            )
        scores[row, card.labels.index(name)] = 1.0
    return scores
