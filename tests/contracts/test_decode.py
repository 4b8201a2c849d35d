import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamer.contracts import decode as decoding
from streamer.contracts.dead_letters import make_dead_letter_headers
from streamer.contracts.readings import ACC, GYRO, Decoded, Format, Reject, RejectReason
from streamer.contracts.records import Records, encode_headers
from tests.support.records import (
    NOW_MS,
    SKEW_US,
    ARecord,
    Bad,
    Good,
    as_json,
    as_msgpack,
    bad,
    decode,
    fields,
    good,
    record,
)


def _reason(one: ARecord) -> RejectReason:
    (reject,) = decode([one], SKEW_US).rejects
    return reject.reason


def test_good_records_among_ten_thousand_bad_ones_are_decoded() -> None:
    seen: Counter[RejectReason] = Counter()

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(bad, min_size=21, max_size=30),
        st.lists(good(), max_size=8),
        st.randoms(use_true_random=False),
    )
    def every_record_gets_its_due(bads: list[Bad], goods: list[Good], random: object) -> None:
        mixed: list[Good | Bad] = [*bads, *goods]
        random.shuffle(mixed)  # type: ignore[attr-defined]
        decoded = decode([one.record for one in mixed], SKEW_US)
        _check(decoded, mixed)
        seen.update(reject.reason for reject in decoded.rejects)

    every_record_gets_its_due()
    assert seen.total() >= 10_000
    assert set(seen) == set(RejectReason)


def _check(decoded: Decoded, mixed: list[Good | Bad]) -> None:
    expected_bad = {i: one.reasons for i, one in enumerate(mixed) if isinstance(one, Bad)}
    assert [reject.record for reject in decoded.rejects] == list(expected_bad)
    for reject in decoded.rejects:
        assert reject.reason in expected_bad[reject.record], reject
        assert reject.detail
        assert reject.samples >= 1

    goods = [(i, one) for i, one in enumerate(mixed) if isinstance(one, Good)]
    assert decoded.record.tolist() == [i for i, one in goods for _ in one.time_us]
    assert decoded.time_us.tolist() == [time for _, one in goods for time in one.time_us]
    devices = [decoded.device_ids[i] for i in decoded.device]
    assert devices == [one.device_id for _, one in goods for _ in one.time_us]
    assert decoded.device_ids == list(dict.fromkeys(devices))
    values = np.concatenate([np.empty((0, 6)), *(one.values for _, one in goods)])
    np.testing.assert_array_equal(decoded.values, values)
    has_acc, has_gyro = ~np.isnan(values[:, 0]), ~np.isnan(values[:, 3])
    assert decoded.sensors.tolist() == (ACC * has_acc + GYRO * has_gyro).tolist()
    assert decoded.complete == (has_acc & has_gyro).all()


def test_no_records_give_no_samples_in_the_same_types() -> None:
    empty, full = decode([], SKEW_US), decode([as_json(fields())], SKEW_US)
    for name in ("record", "device", "time_us", "values", "sensors"):
        assert getattr(empty, name).dtype == getattr(full, name).dtype
        assert getattr(empty, name).shape == (0, *getattr(full, name).shape[1:])


@given(good())
def test_a_record_decodes_to_the_same_samples_in_any_fetch(one: Good) -> None:
    alone = decode([one.record], SKEW_US)
    among = decode([as_json(fields()), one.record, as_msgpack(fields())], SKEW_US)
    own = among.record == 1
    assert alone.values.tobytes() == among.values[own].tobytes()
    assert alone.time_us.tolist() == among.time_us[own].tolist()


def test_fractions_of_a_microsecond_round_half_to_even() -> None:
    samples = np.zeros((3, 6))
    decoded = decode([record("d", 1.0005, 0.0005, samples, Format.JSON)], SKEW_US)
    assert decoded.time_us.tolist() == [1000 + 0, 1000 + 0, 1000 + 1]


def test_a_long_interval_that_is_no_whole_number_of_microseconds_does_not_drift() -> None:
    decoded = decode([record("d", 0, 1000 / 60, np.zeros((10_000, 6)), Format.JSON)], SKEW_US)
    exact = np.arange(10_000) * 1e6 / 60
    assert np.abs(decoded.time_us - exact).max() <= 0.5


def test_the_last_sample_of_a_batch_decides_whether_it_is_in_the_future() -> None:
    def ends_at(ahead_ms: float) -> ARecord:
        return as_json(fields(timestamp=NOW_MS + ahead_ms - 20))

    assert decode([ends_at(300_000)], SKEW_US).rejects == []
    assert _reason(ends_at(300_000.001)) is RejectReason.FUTURE


@pytest.mark.parametrize("timestamp", [-(2**63), -1, 2**63 - 1])
def test_any_record_timestamp_is_accepted(timestamp: int) -> None:
    decoded = decode([ARecord(b"phone-17", as_json(fields()).value, (), timestamp)], SKEW_US)
    assert bool(decoded.rejects) == (timestamp < 0)


def test_values_at_the_limits_are_accepted() -> None:
    sample = np.array([[160.0, -160.0, 0.0, 350.0, -350.0, 0.0]])
    assert decode([record("d", 0, None, sample, Format.JSON)], SKEW_US).rejects == []


def test_a_batch_with_one_bad_sample_is_refused_whole_and_says_which() -> None:
    spoilt = as_msgpack(fields(gyro=[[0.0, 0.0, 0.0], [0.0, float("nan"), 0.0]]))
    worse = as_msgpack(fields(acc=[[200.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    decoded = decode([worse, spoilt], SKEW_US)
    assert decoded.rejects == [
        Reject(0, RejectReason.VALUE, "acc x of sample 0 is 200.0, not within -160 and 160", 2),
        Reject(1, RejectReason.VALUE, "gyro y of sample 1 is nan, not within -350 and 350", 2),
    ]
    assert len(decoded.values) == 0
    assert decoded.device_ids == []


def test_unknown_fields_are_ignored() -> None:
    more = fields(battery=0.5, place={"lat": [1, None]})
    assert decode([as_json(more), as_msgpack(more)], SKEW_US).rejects == []


def test_the_device_id_in_the_value_may_not_be_left_out() -> None:
    value = json.dumps({k: v for k, v in fields().items() if k != "device_id"}).encode()
    assert _reason(ARecord(b"phone-17", value)) is RejectReason.SCHEMA


@pytest.mark.parametrize(
    "content_types",
    [
        [b"application/msgpack"],
        [b"text/plain", b"application/msgpack"],
        [b"Application/MsgPack; version=1"],
    ],
)
def test_the_last_content_type_counts_without_case_and_parameters(
    content_types: list[bytes],
) -> None:
    headers = (("trace", b"1"), *(("content-type", name) for name in content_types))
    sent = ARecord(b"phone-17", as_msgpack(fields()).value, headers)
    assert decode([sent], SKEW_US).rejects == []


def test_a_signalling_nan_in_a_block_is_refused_like_any_other() -> None:
    one = record("phone-17", 0, None, np.zeros((1, 6)), Format.F32)
    assert one.value is not None
    spoilt = one.value[:-4] + bytes.fromhex("0100a07f")
    assert _reason(ARecord(b"phone-17", spoilt, one.headers)) is RejectReason.VALUE


@pytest.mark.parametrize(
    ("factor", "unit"), [(1e-3, "seconds"), (1e3, "microseconds"), (1e6, "nanoseconds")]
)
def test_a_timestamp_in_another_unit_is_rejected_with_the_name_of_the_unit(
    factor: float, unit: str
) -> None:
    (reject,) = decode([as_json(fields(timestamp=NOW_MS * factor))], SKEW_US).rejects
    assert reject.reason is RejectReason.TIMESTAMP
    assert f"looks like {unit}" in reject.detail
    assert reject.detail.endswith(f"send milliseconds, such as {NOW_MS}")


def with_raw_headers(encoded: bytes) -> Records:
    """A good record whose headers are these bytes."""
    records = Records.of([as_json(fields())])
    begin = len(records.buffer)
    table = records.table.copy()
    table[:, -2:] = begin, begin + len(encoded)
    return Records(records.buffer + encoded, table)


@settings(max_examples=500)
@given(st.binary(max_size=12))
@example(b"")
@example(b"\x01")
@example(b"\x02")
@example(b"\x04\x02a\x01")
@example(b"\x02\x01\x01")
@example(b"\xff" * 12)
def test_bytes_that_are_not_headers_are_rejected_like_any_other_fault(encoded: bytes) -> None:
    records = with_raw_headers(encoded)
    decoded = decoding.decode(records, SKEW_US)
    reasons = [reject.reason for reject in decoded.rejects]
    assert reasons in ([], [RejectReason.MALFORMED], [RejectReason.CONTENT_TYPE])
    for reject in decoded.rejects:
        make_dead_letter_headers(records[reject.record], "t", 0, reject.reason, reject.detail)


def test_a_reading_and_its_dead_letter_survive_a_header_name_that_is_not_utf8() -> None:
    records = with_raw_headers(b"\x02\x06a\xffb\x02v")
    assert decoding.decode(records, SKEW_US).rejects == []
    assert list(records[0].headers) == [("a\\xffb", b"v")]
    assert encode_headers(records[0].headers)
