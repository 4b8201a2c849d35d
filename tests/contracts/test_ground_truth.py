"""Labels: the schema says what the code writes, and impossible labels are told from others."""

import json
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from streamer.contracts.ground_truth import (
    LONGEST_MS,
    SKEW_MS,
    ActivityLabel,
    check_label,
    decode_label,
    encode_label,
)
from streamer.errors import DataError

PATH = files("streamer.contracts").joinpath("schemas/activity-label.schema.json")
SCHEMA: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
NOW_MS = 1_763_906_460_000
LABEL = ActivityLabel(
    device_id="phone", start=NOW_MS - 60_000, end=NOW_MS, activity="walking", by="anna"
)


def test_the_example_in_the_schema_fits_it_and_is_read() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    [example] = SCHEMA["examples"]
    Draft202012Validator(SCHEMA).validate(example)
    value = json.dumps(example, separators=(",", ":")).encode()
    assert encode_label(decode_label(value)) == value
    for name in SCHEMA["required"]:
        for broken in ({k: example[k] for k in example if k != name}, {**example, name: []}):
            with pytest.raises(ValidationError):
                Draft202012Validator(SCHEMA).validate(broken)
            with pytest.raises(DataError, match="not an activity label"):
                decode_label(json.dumps(broken).encode())


@given(NAMES, st.integers(0, NOW_MS - 1), st.integers(1, LONGEST_MS), NAMES)
def test_every_label_that_can_be_true_fits_the_schema(
    device_id: str, start: int, lasts: int, by: str
) -> None:
    end = min(start + lasts, NOW_MS)
    label = ActivityLabel(device_id=device_id, start=start, end=end, activity="walking", by=by)
    written = json.loads(encode_label(check_label(label, ["walking"], NOW_MS)))
    Draft202012Validator(SCHEMA).validate(written)
    assert list(written) == SCHEMA["required"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"activity": "wlking"}, "'wlking' is not known; is walking meant"),
        ({"activity": "unknown"}, "'unknown' is not known"),
        ({"end": NOW_MS - 60_000}, "not after its start"),
        ({"start": NOW_MS + 1}, "not after its start"),
        ({"end": NOW_MS + SKEW_MS + 1000}, "61 s in the future"),
        ({"start": NOW_MS // 1000}, r"lasts for 489\d{3}\.\d hours, and 24 are allowed"),
        ({"start": -1, "end": 1}, "milliseconds since the epoch"),
        ({"device_id": ""}, "device id must have 1 to 255 bytes"),
        ({"by": ""}, "who says so"),
        ({"device_id": "phone\udcff"}, "must be text in UTF-8"),
        ({"by": "\udcff"}, "must be text in UTF-8"),
        ({"start": 10**20}, "not after its start"),
    ],
)
def test_a_label_that_cannot_be_true_is_refused_with_the_reason(
    changes: dict[str, Any], complaint: str
) -> None:
    label = msgspec.structs.replace(LABEL, **changes)
    assert check_label(LABEL, ["walking", "sitting"], NOW_MS) is LABEL
    with pytest.raises(DataError, match=complaint):
        check_label(label, ["walking", "sitting"], NOW_MS)
