import json

import pytest
from hypothesis import given

from streamer.contracts.events import ActivityEvent, decode_event, encode_event
from streamer.errors import DataError
from tests.support.events import WALK, events


def test_an_event_is_these_bytes() -> None:
    assert encode_event(WALK) == (
        b'{"window_id":"phone-17/1763906400512","device_id":"phone-17",'
        b'"window_start":1763906400512,"window_end":1763906403072,"activity":"walking",'
        b'"reason":null,"reliability":"model","confidence":0.998132,'
        b'"activity_raw":"walking","label":"WALKING",'
        b'"scores":{"WALKING":0.981204,"SITTING":0.018796},'
        b'"posterior":{"WALKING":0.998132,"SITTING":0.001868},'
        b'"model":{"id":"har-linear","version":"1"},"predictor":"local","source":"endpoint",'
        b'"coverage":0.992188,"feature_set":{"name":"uci-har","version":"1"},"settled":true}'
    )


@given(events())
def test_an_event_reads_back_and_is_written_with_the_same_bytes(event: ActivityEvent) -> None:
    written = encode_event(event)
    read = decode_event(written)
    assert encode_event(read) == written
    assert list(read.scores) == list(event.scores)
    assert list(read.posterior) == list(event.posterior)
    assert read == event


def test_a_field_of_a_later_version_is_ignored() -> None:
    later = json.loads(encode_event(WALK)) | {"outlook": {"walking": 0.9}}
    assert encode_event(decode_event(json.dumps(later).encode())) == encode_event(WALK)


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"a":' * 100_000]
)
def test_data_that_are_not_an_event_are_a_data_error(value: bytes) -> None:
    with pytest.raises(DataError, match=r"not an activity event: ."):
        decode_event(value)
