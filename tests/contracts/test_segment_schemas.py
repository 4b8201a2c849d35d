"""The schemas of segments and current activities say what the code writes."""

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from streamer.contracts.events import Reason
from streamer.contracts.segments import (
    HOP_MS,
    CurrentActivity,
    OpenSegment,
    decode_current,
    decode_segment,
    encode_current,
    encode_segment,
    make_segment,
)
from streamer.errors import DataError
from tests.support.events import WALK


def load(name: str) -> dict[str, Any]:
    path = files("streamer.contracts").joinpath(f"schemas/{name}.schema.json")
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


SEGMENT, CURRENT = load("activity-segment"), load("current-activity")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
REASONS = st.none() | st.sampled_from(Reason)
TIMES = st.integers(-1280, 253402300799999)


@pytest.mark.parametrize("schema", [SEGMENT, CURRENT])
def test_the_examples_in_a_schema_fit_it_and_are_read(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    [example] = schema["examples"]
    Draft202012Validator(schema).validate(example)
    value = json.dumps(example, separators=(",", ":")).encode()
    if schema is SEGMENT:
        assert encode_segment(decode_segment(value)) == value
    else:
        assert encode_current(decode_current(value)) == value


@given(NAMES, TIMES, st.integers(1, 10**6), NAMES, REASONS, st.none() | st.floats(0, 1))
def test_every_segment_fits_the_schema(
    device_id: str,
    start_ms: int,
    windows: int,
    activity: str,
    reason: Reason | None,
    mean: float | None,
) -> None:
    opened = OpenSegment(start_ms, None if mean is None else round(mean * windows * 1_000_000))
    segment = make_segment(device_id, opened, start_ms + windows * HOP_MS, activity, reason)
    written = json.loads(encode_segment(segment))
    Draft202012Validator(SEGMENT).validate(written)
    assert list(written) == SEGMENT["required"]
    assert segment.windows == windows
    assert segment.confidence == (None if mean is None else pytest.approx(mean, abs=1e-6))


@given(NAMES, NAMES, REASONS, TIMES, st.none() | st.floats(0, 1))
def test_every_current_activity_fits_the_schema(
    device_id: str, activity: str, reason: Reason | None, since: int, confidence: float | None
) -> None:
    current = CurrentActivity(
        device_id=device_id, activity=activity, reason=reason, since=since, confidence=confidence
    )
    written = json.loads(encode_current(current) or b"")
    Draft202012Validator(CURRENT).validate(written)
    assert list(written) == CURRENT["required"]


@pytest.mark.parametrize("schema", [SEGMENT, CURRENT])
def test_a_schema_tells_its_records_from_others(schema: dict[str, Any]) -> None:
    [example] = schema["examples"]
    for name in schema["required"]:
        for broken in (
            {key: example[key] for key in example if key != name},
            {**example, name: []},
        ):
            with pytest.raises(ValidationError):
                Draft202012Validator(schema).validate(broken)


def test_the_schemas_name_the_reasons_of_events() -> None:
    for schema in (SEGMENT, CURRENT):
        assert schema["properties"]["reason"]["enum"] == [*Reason, None]


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[1]", b"[" * 10_000])
def test_a_value_that_is_something_else_is_an_error_that_says_so(value: bytes) -> None:
    with pytest.raises(DataError, match="not an activity segment"):
        decode_segment(value)
    with pytest.raises(DataError, match="not a current activity"):
        decode_current(value)


def test_the_identity_of_a_segment_is_that_of_its_first_window() -> None:
    opened = OpenSegment(WALK.window_start, 1)
    segment = make_segment(WALK.device_id, opened, WALK.window_start + HOP_MS, "walking", None)
    assert segment.segment_id == WALK.window_id
