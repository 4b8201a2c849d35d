"""What SageMaker containers are sent, and how their answers are read."""

from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy_format

from streamer.arrays import Floats
from streamer.model.identity import ModelIdentity
from streamer.predict import sagemaker_formats
from streamer.predict.endpoint_protocol import (
    CallError,
    InvalidAnswerError,
)
from streamer.prediction_server.sagemaker_server import read_windows
from streamer.settings import Settings

LABELS = Settings().activities
CARD = ModelIdentity("stock", "AllTraffic", tuple(LABELS), tuple(LABELS.values()))

rows = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(2, 7)),
    elements=st.floats(allow_nan=False, allow_infinity=False),
)


@given(rows)
def test_features_survive_every_format_to_the_last_bit(features: Floats) -> None:
    for form, content_type in sagemaker_formats.CONTENT_TYPES.items():
        read = read_windows(sagemaker_formats.encode(features, form), content_type)
        assert read.tobytes() == features.tobytes()


ANSWERS = [
    ("text/csv", b"0.5,0.5,0,0,0,0\n0,0,0,0,0,1\n"),
    ("application/json", b"[[0.5,0.5,0,0,0,0],[0,0,0,0,0,1]]"),
    ("application/json", b'{"predictions":[{"score":[0.5,0.5,0,0,0,0]},{"score":[0,0,0,0,0,1]}]}'),
    ("application/jsonlines", b'{"score":[0.5,0.5,0,0,0,0]}\n{"score":[0,0,0,0,0,1]}'),
    ("application/json; charset=utf-8", b'{"predictions":[[0.5,0.5,0,0,0,0],[0,0,0,0,0,1]]}'),
]


@pytest.mark.parametrize(("kind", "body"), ANSWERS)
def test_the_scores_of_stock_containers_are_read(kind: str, body: bytes) -> None:
    found = sagemaker_formats.decode(body, kind, CARD, 2)
    assert found.model == CARD
    assert found.scores.tolist() == [[0.5, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", b"2\n6\n"),
        ("text/csv", b"2,6"),
        ("text/csv", b"2.0,6.0"),
        ("application/json", b"[2, 6]"),
        ("application/json", b'["2", "6"]'),
        ("application/json", b'{"predictions": [{"predicted_label": 2}, {"predicted_label": 6}]}'),
    ],
)
def test_a_label_of_a_stock_container_has_the_score_one(kind: str, body: bytes) -> None:
    found = sagemaker_formats.decode(body, kind, CARD, 2)
    assert found.scores.tolist() == [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]


def npy(array: np.ndarray[Any, Any], shape: tuple[int, ...] | None = None) -> bytes:
    """An array as bytes; its header may claim another shape."""
    body = BytesIO()
    header = {"descr": npy_format.dtype_to_descr(array.dtype), "fortran_order": False}
    npy_format.write_array_header_1_0(body, header | {"shape": shape or array.shape})
    return body.getvalue() + array.tobytes()


def repeated_labels() -> bytes:
    names = {"labels": ["a", "a"], "activities": ["walking", "walking"]}
    return msgspec.json.encode({"model": "m", "version": "1", "scores": [[1, 0]] * 2} | names)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", b""),
        ("text/csv", b"0.5,0.5,0,0,0,0\n0,0,0,0,1\n"),
        ("text/csv", b"7\n1\n"),
        ("text/csv", b"0.5,0.5,0,0,0,0\n" * 3),
        ("text/csv", b"0.5,0.5,0,0,0,0\n"),
        ("application/json", b"[]"),
        ("application/json", b"{}"),
        ("application/json", b"5"),
        ("application/json", b'[{"x": 1}, {"x": 2}]'),
        ("application/json", b'{"labels": ["1"]}'),
        ("application/json", b'{"predictions": [[0.5,0.5,0,0,0,0]]}'),
        ("application/json", b"[[null,0,0,0,0,0],[0,0,0,0,0,1]]"),
        ("application/json", b"[[2,0,0,0,0,0],[0,0,0,0,0,1]]"),
        ("application/x-npy", b"\x93NUMPY"),
        ("application/json", b"[" * 100_000),
        ("application/jsonlines", b"[" * 100_000),
        ("application/json", b'{"labels": ' + b"[" * 100_000),
        ("application/json", b'[["a","b"],["c","d"]]'),
        ("application/json", b'"12"'),
        ("application/json", repeated_labels()),
        ("application/x-npy", npy(np.array([["a"] * 6] * 2))),
        ("application/x-npy", npy(np.zeros((2, 6), complex))),
        ("application/x-npy", npy(np.zeros((2, 6), [("a", "f8")]))),
        ("application/x-npy", npy(np.zeros((2, 6), "M8[s]"))),
        ("application/x-npy", npy(np.zeros((2, 6)), shape=(10**12, 6))),
        ("text/html", b"<h1>502</h1>"),
        ("", b""),
    ],
)
def test_an_answer_that_cannot_be_read_is_invalid(kind: str, body: bytes) -> None:
    with pytest.raises(InvalidAnswerError):
        sagemaker_formats.decode(body, kind, CARD, 2)


@given(
    st.sampled_from(["text/csv", "application/json", "application/x-npy", "application/jsonlines"]),
    st.binary(max_size=60) | st.text('0123456789.,[]{}":\n e-', max_size=60).map(str.encode),
)
def test_any_answer_is_either_read_or_invalid(kind: str, body: bytes) -> None:
    try:
        found = sagemaker_formats.decode(body, kind, CARD, 2)
    except CallError:
        return
    assert found.scores.shape == (2, 6)
