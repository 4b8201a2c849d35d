"""A consumer that has the schema of activity events and nothing else of streamer."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError

from streamer.contracts.events import (
    ActivityEvent,
    PredictionSource,
    Reason,
    Reliability,
    encode_event,
)
from tests.support.events import WALK, events

SCHEMA: dict[str, Any] = json.loads(
    files("streamer.contracts").joinpath("schemas/activity-event.schema.json").read_text()
)
VALIDATOR = Draft202012Validator(SCHEMA)


class Diary:
    """Knows field names and meanings from the descriptions in the schema, and keeps a diary."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self.lines: list[str] = []

    def consume(self, value: bytes) -> None:
        event = json.loads(value)
        VALIDATOR.validate(event)
        if event["window_id"] in self._seen:
            return
        self._seen.add(event["window_id"])
        start = datetime.fromtimestamp(event["window_start"] / 1000, UTC)
        seconds = (event["window_end"] - event["window_start"]) / 1000
        if event["model"] is None:
            why = f"{event['predictor']} could not be asked"
        else:
            why = (
                f"{event['model']['id']} {event['model']['version']} ({event['source']}) "
                f"says {event['label']} with {event['scores'][event['label']]:.1%}"
            )
        warming_up = "" if event["settled"] else ", filters warming up"
        self.lines.append(
            f"{start:%H:%M:%S} {event['device_id']} {event['activity']} for {seconds} s: {why}, "
            f"{event['coverage']:.0%} of the samples{warming_up}"
        )


def test_a_consumer_written_from_the_schema_alone_understands_an_event() -> None:
    diary = Diary()
    diary.consume(encode_event(WALK))
    diary.consume(encode_event(WALK))
    assert diary.lines == [
        (
            "14:00:00 phone-17 walking for 2.56 s: har-linear 1 (endpoint) "
            "says WALKING with 98.1%, 99% of the samples"
        )
    ]


def test_the_examples_in_the_schema_are_events() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for example in SCHEMA["examples"]:
        Diary().consume(json.dumps(example).encode())


@given(events())
def test_every_event_that_the_code_writes_fits_the_schema(event: ActivityEvent) -> None:
    written = json.loads(encode_event(event))
    VALIDATOR.validate(written)
    assert list(written)[: len(SCHEMA["required"])] == SCHEMA["required"]
    assert list(written) in (SCHEMA["required"], list(SCHEMA["properties"]))


def test_the_schema_names_every_reason_and_source_and_no_other() -> None:
    properties = SCHEMA["properties"]
    assert properties["reason"]["enum"] == [*Reason, None]
    assert properties["reliability"]["enum"] == [*Reliability, None]
    assert properties["source"]["enum"] == list(PredictionSource)


@pytest.mark.parametrize("name", SCHEMA["required"])
def test_the_schema_refuses_documents_that_are_not_events(name: str) -> None:
    event = json.loads(encode_event(WALK))
    for broken in (
        {other: value for other, value in event.items() if other != name},
        event | {name: [0]},
        event | {name: ""} if name not in ("label", "predictor") else event | {name: 1},
    ):
        with pytest.raises(ValidationError):
            VALIDATOR.validate(broken)
