import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.contracts.encode import encode
from streamer.contracts.readings import ACC, GYRO, Format
from streamer.errors import ShapeError
from tests.support.records import NOW_MS, SKEW_US, ARecord, decode, formats, record

_binary32 = st.floats(-160, 160, width=32)


@given(
    samples=st.lists(st.lists(_binary32, min_size=6, max_size=6), min_size=1, max_size=5),
    timestamp=st.floats(0, NOW_MS),
    interval=st.floats(0.001, 100),
)
def test_all_formats_encode_the_same_samples(
    samples: list[list[float]], timestamp: float, interval: float
) -> None:
    records = [record("phone-17", timestamp, interval, samples, form) for form in Format]
    decoded = decode(records, SKEW_US)
    assert decoded.rejects == []
    for values in decoded.values.reshape(3, -1, 6):
        np.testing.assert_array_equal(values, samples)
    times = decoded.time_us.reshape(3, -1).tolist()
    assert times[0] == times[1] == times[2]


@given(
    samples=st.lists(st.lists(_binary32, min_size=6, max_size=6), min_size=1, max_size=5),
    missing=st.sampled_from([slice(0, 3), slice(3, 6)]),
)
def test_all_formats_leave_out_a_sensor_that_is_missing(
    samples: list[list[float]], missing: slice
) -> None:
    values = np.array(samples)
    values[:, missing] = np.nan
    records = [record("phone-17", NOW_MS, 20, values, form) for form in Format]
    decoded = decode(records, SKEW_US)
    assert decoded.rejects == []
    assert set(decoded.sensors.tolist()) == {ACC if missing.start else GYRO}
    for found in decoded.values.reshape(3, -1, 6):
        np.testing.assert_array_equal(found, values)


@given(st.lists(st.floats(-160, 160), min_size=6, max_size=6), formats)
def test_one_sample_needs_no_interval(sample: list[float], form: Format) -> None:
    decoded = decode([record("phone-17", NOW_MS, None, [sample], form)], SKEW_US)
    expected = np.array(sample, dtype=np.float32 if form is Format.F32 else np.float64)
    np.testing.assert_array_equal(decoded.values, [expected])
    assert decoded.time_us.tolist() == [NOW_MS * 1000]


def test_one_sample_is_written_in_the_form_for_one() -> None:
    samples = np.array([[0.01, -0.98, 0.12, 0.02, 0.0, -0.01]])
    key, value, headers = encode("phone-17", NOW_MS, None, samples)
    assert (key, headers) == (b"phone-17", [])
    assert json.loads(value) == {
        "device_id": "phone-17",
        "timestamp": NOW_MS,
        "acc": [0.01, -0.98, 0.12],
        "gyro": [0.02, 0.0, -0.01],
    }


def test_a_block_says_which_sensor_it_has() -> None:
    samples = np.array([[np.nan, np.nan, np.nan, 4, 5, 6]])
    block = record("d", 1.5, 20, samples, Format.F32)
    assert block.value == bytes.fromhex(
        "0100 0200 01000000 000000000000f83f 0000000000003440 00008040 0000a040 0000c040"
    )


def test_headers_of_one_record_are_not_those_of_another() -> None:
    samples = np.zeros((1, 6))
    encode("a", 0, None, samples)[2].append(("trace", b"1"))
    assert encode("b", 0, None, samples)[2] == []


@pytest.mark.parametrize(
    ("shape", "interval"), [((0, 6), 20.0), ((2, 6), None), ((2, 3), 20.0), ((6,), None)]
)
@pytest.mark.parametrize("form", Format)
def test_samples_that_do_not_make_a_reading_are_an_error(
    shape: tuple[int, ...], interval: float | None, form: Format
) -> None:
    with pytest.raises(ShapeError, match="give \\(n, 6\\)"):
        encode("phone-17", NOW_MS, interval, np.zeros(shape), form)


def test_the_layout_of_a_block_is_that_of_the_contract() -> None:
    samples = np.array([[1, 2, 3, 4, 5, 6]])
    block = record("d", 1.5, 20, samples, Format.F32)
    assert block == ARecord(
        b"d",
        bytes.fromhex(
            "01000000 01000000 000000000000f83f 0000000000003440"
            "0000803f 00000040 00004040 00008040 0000a040 0000c040"
        ),
        (("content-type", b"application/x-streamer-f32"),),
    )
