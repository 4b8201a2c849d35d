"""The compiled reader: what it reads, it reads as the patient decoders do, bit for bit."""

import json
import random
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.contracts import decode as decoding
from streamer.contracts.decimals import NOT_FAST, POWERS, read_number
from streamer.contracts.fast_json import read_fast
from streamer.contracts.readings import ACC, BOTH_SENSORS, GYRO, Decoded, Format
from streamer.contracts.records import Records
from tests.support.records import (
    NOW_MS,
    SKEW_US,
    ARecord,
    Bad,
    Good,
    as_f32,
    bad,
    fields,
    good,
    record,
)

NUMBERS = 100_000
SPACES = st.text(" \n\r\t", max_size=2)


def read(text: str) -> float | None:
    """The number, if the compiled reader reads all of it."""
    buffer = np.frombuffer(text.encode(), np.uint8)
    end, number = read_number(buffer, 0, len(buffer), POWERS)
    assert end in (NOT_FAST, *range(1, len(buffer) + 1))
    return number if end == len(buffer) else None


def bits(number: float) -> bytes:
    return struct.pack("d", number)


@pytest.mark.parametrize("kind", ["short", "exact", "long", "halfway", "with exponent"])
def test_numbers_are_the_nearest_doubles_to_the_last_bit(kind: str) -> None:
    rng = random.Random(kind)
    unusual = 0
    for _ in range(NUMBERS):
        match kind:
            case "short":
                text = repr(round(rng.gauss(0, 5), rng.randint(1, 9)))
            case "exact":
                text = repr(rng.uniform(-2, 2) * 2.0 ** rng.randint(-30, 30))
            case "long":
                text = f"{rng.randint(-(10**15), 10**15)}.{rng.randint(0, 9999):04d}"
            case "halfway":
                # Between two doubles; the one that ends in a zero bit is the right one.
                text = f"{2 * (1 << 52 | rng.getrandbits(52)) + 1}.0"
            case _:
                text = f"{rng.randint(-(10**19) + 1, 10**19 - 1)}e{rng.randint(-64, 64)}"
        number = read(text)
        unusual += number is None
        assert number is None or bits(number) == bits(float(text)), text
    assert unusual < NUMBERS // 100


@pytest.mark.parametrize("text", ["-0", "0", "-0.0", "-0e1", "1E+2", "1e-2", "9223372036854775807"])
def test_zeros_and_all_forms_of_numbers_are_read_as_json_defines_them(text: str) -> None:
    number = read(text)
    assert number is not None
    assert bits(number) == bits(float(json.loads(text)))


@pytest.mark.parametrize(
    "text", ["", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "1ee1", "NaN", "Infinity", "0x1"]
)
def test_numbers_that_json_forbids_are_not_read(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("samples", [1, 50])
@pytest.mark.parametrize("form", [Format.JSON, Format.F32])
@pytest.mark.parametrize("missing", [slice(0, 0), slice(0, 3), slice(3, 6)])
def test_the_compiled_reader_reads_the_output_of_common_encoders(
    form: Format, samples: int, missing: slice
) -> None:
    values = np.random.default_rng(1).normal(size=(samples, 6)).astype(np.float32).astype(float)
    values[:, missing] = np.nan
    interval = None if samples == 1 else 20.0
    one = loose = record("phone-17", NOW_MS + 0.25, interval, values, form)
    if form is Format.JSON:
        loose = ARecord(one.key, json.dumps(json.loads(one.value or b""), indent=1).encode())
    fast = read_fast(Records.of([one, loose, one]))
    assert fast.record.tolist() == [0, 1, 2]
    assert fast.key.tolist() == [0, 0, 0]
    values[:, missing] = 0
    np.testing.assert_array_equal(fast.values, np.concatenate([values] * 3))


@st.composite
def damaged(draw: st.DrawFn) -> ARecord:
    """JSON in which a few bytes are others, or missing, or too many."""
    data = list(fields().items())
    one = dict(data, acc=[0.5, -1e-3, 2], gyro=[1.0, 0.25, 1e2])
    del one["interval_ms"]
    template = draw(st.sampled_from([dict(data), one, dict(draw(st.permutations(data)))]))
    if missing := draw(st.sampled_from(["", "acc", "gyro"])):
        template = {name: value for name, value in template.items() if name != missing}
    text = bytearray(json.dumps(template).encode())
    for _ in range(draw(st.integers(0, 2))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.sampled_from([begin, begin + 1, begin + 3]))
        text[begin:end] = draw(
            st.sampled_from(
                [b"", b" ", b",", b"0", b"-", b".", b"e", b"]", b"[", b'"', b"\\", b"}"]
            )
            | st.binary(max_size=2)
        )
    return ARecord(b"phone-17", bytes(text))


@st.composite
def damaged_block(draw: st.DrawFn) -> ARecord:
    """A block in f32 in which a few bytes are others, or missing, or too many."""
    sensors = draw(st.sampled_from([0, ACC, GYRO, BOTH_SENSORS]))
    count = draw(st.sampled_from([1, 2, 4]))
    channels = 3 if sensors in (ACC, GYRO) else 6
    block = as_f32(1, count, NOW_MS, 20, [0.5] * count * channels, sensors)
    value = bytearray(block.value or b"")
    for _ in range(draw(st.integers(0, 2))):
        begin = draw(st.integers(0, 24) | st.integers(0, len(value)))
        end = draw(st.sampled_from([begin, begin + 1, begin + 12]))
        value[begin:end] = draw(st.binary(max_size=2) | st.binary(min_size=12, max_size=12))
    return ARecord(block.key, bytes(value), block.headers)


def test_readings_beyond_the_space_of_the_compiled_reader_are_read() -> None:
    # The shortest sample of one sensor in JSON takes fewer bytes than one in f32.
    reading = {"device_id": "p", "timestamp": 0, "interval_ms": 1, "acc": [[0, 0, 0]] * 5_000}
    one = ARecord(b"p", json.dumps(reading, separators=(",", ":")).encode())
    values = np.full((5_000, 6), np.nan)
    values[:, :3] = 0
    block = record("p", 0, 1, values, Format.F32)
    decoded = decoding.decode(Records.of([one, block, one, block]), SKEW_US)
    assert decoded.rejects == []
    assert decoded.values.shape == (20_000, 6)
    assert set(decoded.sensors.tolist()) == {ACC}


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(good() | bad | damaged() | damaged_block(), min_size=1, max_size=20))
def test_the_result_is_the_same_with_and_without_the_compiled_reader(
    mixed: list[Good | Bad | ARecord],
) -> None:
    records = Records.of([one if isinstance(one, ARecord) else one.record for one in mixed])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "read_fast", lambda _: read_fast(Records.of([])))
        patiently = decoding.decode(records, SKEW_US)
    assert plain(decoding.decode(records, SKEW_US)) == plain(patiently)


def plain(decoded: Decoded) -> list[object]:
    columns = (
        decoded.record,
        decoded.device,
        decoded.time_us,
        decoded.values.view(np.int64),
        decoded.sensors,
    )
    return [decoded.device_ids, decoded.rejects, *(column.tolist() for column in columns)]
