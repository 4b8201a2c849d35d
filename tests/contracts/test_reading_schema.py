"""The published schema of readings and the decoder say the same."""

import json
from importlib.resources import files
from typing import Any

import msgspec
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import UNSET, UnsetType

from streamer.contracts.readings import (
    LARGEST_ACCELERATION,
    LARGEST_BATCH,
    LARGEST_ROTATION,
    LATEST_TIMESTAMP_MS,
    LONGEST_DEVICE_ID,
    LONGEST_INTERVAL_MS,
    Sample,
    SampleBatch,
)
from tests.support.records import NOW_MS, ARecord, decode

SCHEMA: dict[str, Any] = json.loads(
    files("streamer.contracts").joinpath("schemas/reading.schema.json").read_text()
)
VALIDATOR = Draft202012Validator(SCHEMA)
ANY_SKEW_US = 10**18

_junk: st.SearchStrategy[object] = st.sampled_from(
    [None, True, "1", "", [], {}, [[]], [1], [None] * 3, {"x": 1}]
)
_times = st.sampled_from(
    [
        0,
        NOW_MS,
        NOW_MS / 1000,
        1e9 - 1,
        4.1e9,
        4.1e9 + 1,
        LATEST_TIMESTAMP_MS,
        LATEST_TIMESTAMP_MS + 1,
        -0.5,
        1e300,
    ]
)
_intervals = st.sampled_from(
    [20, 16.7, LONGEST_INTERVAL_MS, LONGEST_INTERVAL_MS + 1, 0, -1, 5e-324]
)


def _axes(limit: float) -> st.SearchStrategy[object]:
    value = st.sampled_from([0, -1, 0.25, limit, -limit, limit + 0.5, -limit - 0.5])
    inside = st.sampled_from([0, -1, 0.25, limit, -limit])
    triple = st.lists(inside, min_size=3, max_size=3)
    odd = st.lists(value | _junk, min_size=2, max_size=4)
    return st.one_of(triple, odd, st.lists(triple, max_size=3), st.lists(odd, max_size=3), _junk)


_readings = st.fixed_dictionaries(
    {},
    optional={
        "device_id": st.sampled_from(["d", "d" * LONGEST_DEVICE_ID, "d" * 256, ""]) | _junk,
        "timestamp": _times | _junk,
        "interval_ms": _intervals | _junk,
        "acc": _axes(LARGEST_ACCELERATION),
        "gyro": _axes(LARGEST_ROTATION),
        "battery": _junk,
    },
)
_nearly_right = st.builds(
    lambda whole, changes: whole | changes,
    st.sampled_from(SCHEMA["examples"]),
    _readings.map(lambda d: dict(list(d.items())[:1])),
)


def _accepted(reading: object, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> bool:
    device_id = reading.get("device_id") if isinstance(reading, dict) else None
    key = device_id.encode() if isinstance(device_id, str) else b"d"
    return not decode([ARecord(key, value, headers)], ANY_SKEW_US).rejects


def _lengths_differ(reading: object) -> bool:
    """The one fault of a single JSON value that a schema cannot express."""
    match reading:
        case {"acc": [[*_], *_] as acc, "gyro": [[*_], *_] as gyro}:
            return len(acc) != len(gyro)
    return False


@settings(max_examples=3000)
@given(_nearly_right | _readings | _junk)
@example({"device_id": "d", "timestamp": 0, "acc": [0, 0, 1], "gyro": [0, 0, 0]})
@example(
    {"device_id": "d", "timestamp": 0, "interval_ms": None, "acc": [0, 0, 1], "gyro": [0, 0, 0]}
)
def test_schema_and_decoder_accept_and_refuse_the_same_examples(reading: object) -> None:
    valid = VALIDATOR.is_valid(reading) and not _lengths_differ(reading)
    event("valid" if valid else "invalid")
    assert _accepted(reading, json.dumps(reading).encode()) == valid
    msgpack = (("content-type", b"application/msgpack"),)
    assert _accepted(reading, msgspec.msgpack.encode(reading), msgpack) == valid


def test_the_largest_batch_is_the_same_in_both() -> None:
    for n in (LARGEST_BATCH, LARGEST_BATCH + 1):
        rows = [[0, 0, 1]] * n
        reading = SCHEMA["examples"][1] | {"acc": rows, "gyro": rows}
        assert VALIDATOR.is_valid(reading) == (n == LARGEST_BATCH)
        assert _accepted(reading, json.dumps(reading).encode()) == (n == LARGEST_BATCH)


def test_the_schema_is_one_and_its_examples_are_readings() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for reading in SCHEMA["examples"]:
        VALIDATOR.validate(reading)
        assert _accepted(reading, json.dumps(reading).encode())


st.register_type_strategy(UnsetType, st.just(UNSET))


@given(st.from_type(Sample) | st.from_type(SampleBatch))
def test_parser_and_schema_accept_the_same_readings(reading: Sample | SampleBatch) -> None:
    value = msgspec.json.encode(reading)
    plain = json.loads(value)
    valid = VALIDATOR.is_valid(plain) and not _lengths_differ(plain)
    assert _accepted(plain, value) == valid
