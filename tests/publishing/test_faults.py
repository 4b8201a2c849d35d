from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.contracts.encode import encode
from streamer.contracts.readings import Format, RejectReason
from streamer.publishing.due_records import Due, Fate
from streamer.publishing.faults import (
    INTERVAL_US,
    SPOILERS,
    DeviceSamples,
    SensorFaults,
    add_jitter,
    disturb,
    spoil_record,
)
from streamer.publishing.publisher import DeviceRecord
from tests.support.records import NOW_MS, SKEW_US, ARecord, decode

EVERYTHING = SensorFaults(gap=0.05, late=0.05, duplicate=0.05, bad=0.05)


def records(n: int, batch: int = 1) -> list[Due]:
    """One after the other, numbered in their values."""
    step_us = batch * INTERVAL_US
    return [
        Due(i * step_us, DeviceRecord(b"phone-1", b"%d" % i, [], batch)) for i in range(1, n + 1)
    ]


def made(faults: SensorFaults, n: int = 20_000, batch: int = 1, seed: int = 0) -> list[Due]:
    return list(disturb(records(n, batch), faults, np.random.default_rng(seed)))


def number(record: Due) -> int:
    assert record.message.value is not None
    return int(record.message.value)


def test_records_without_faults_are_unchanged() -> None:
    assert made(SensorFaults(), 500) == records(500)


def test_the_same_seed_makes_the_same_faults() -> None:
    assert made(EVERYTHING, 2000) == made(EVERYTHING, 2000)
    assert made(EVERYTHING, 2000) != made(EVERYTHING, 2000, seed=1)


@pytest.mark.parametrize("rate", [0.01, 0.2])
@pytest.mark.parametrize(
    ("fault", "fate"),
    [("late", Fate.LATE), ("duplicate", Fate.DUPLICATE), ("bad", Fate.BAD)],
)
def test_the_shares_of_faults_are_the_requested_ones(fault: str, fate: Fate, rate: float) -> None:
    n = 20_000
    count = Counter(record.fate for record in made(SensorFaults(**{fault: rate}), n))[fate]

    # Four standard deviations of a binomial.
    assert abs(count - n * rate) < 4 * np.sqrt(n * rate)


@pytest.mark.parametrize("batch", [1, 10])
def test_the_share_of_samples_lost_is_the_requested_one(batch: int) -> None:
    n, rate = 200_000 // batch, 0.02
    lost = Counter(record.fate for record in made(SensorFaults(gap=rate), n, batch))[Fate.LOST]

    # A gap in progress takes the whole record, half of one too much on average.
    assert rate * 0.8 < lost / n < rate * (1.2 + batch / 50)


def test_gaps_are_of_one_sample_up_to_five_seconds() -> None:
    there = [number(r) for r in made(SensorFaults(gap=0.02), 200_000) if r.fate is not Fate.LOST]
    gaps = np.diff(there)[np.diff(there) > 1] - 1

    assert gaps.min() == 1
    assert 200 < gaps.max() <= 2 * 250  # one may follow another at once
    assert np.mean(gaps <= 4) > 0.1  # short enough to be filled


@given(
    st.builds(SensorFaults, **dict.fromkeys(("gap", "late", "duplicate", "bad"), st.floats(0, 1))),
    st.integers(0, 300),
    st.integers(0, 99),
)
def test_every_record_has_one_fate_and_time_never_goes_back(
    faults: SensorFaults, n: int, seed: int
) -> None:
    sent = made(faults, n, seed=seed)

    fates = (Fate.NORMAL, Fate.LATE, Fate.LOST)
    assert sorted(number(r) for r in sent if r.fate in fates) == list(range(1, n + 1))
    assert all(before.time_us <= after.time_us for before, after in pairwise(sent))


# taken    1  2  3  4  5
# sent     1  2     4  5  3
def test_a_late_record_comes_after_later_ones() -> None:
    newest = 0
    for record in made(SensorFaults(late=0.1), 5000)[:-200]:  # not those that the end lets go
        if record.fate is Fate.LATE:
            assert number(record) <= newest - 2
            assert record.time_us <= (number(record) + 2) * INTERVAL_US + 2_000_000
        newest = max(newest, number(record))


def test_a_duplicate_repeats_an_earlier_record() -> None:
    seen = set()
    for record in made(SensorFaults(duplicate=0.1), 5000):
        assert (number(record) in seen) == (record.fate is Fate.DUPLICATE)
        seen.add(number(record))


def good(form: Format) -> Due:
    samples = np.array([[0.98, -0.16, 0.0, 0.01, 0.02, 0.03]])
    return Due(NOW_MS * 1000, DeviceRecord(*encode("phone-1", NOW_MS, None, samples, form), 1))


def refused(record: Due) -> list[RejectReason]:
    _, (key, value, headers, _), _ = record
    decoded = decode([ARecord(key, value, tuple(headers))], SKEW_US)
    return [reject.reason for reject in decoded.rejects]


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("kind", SPOILERS)
def test_every_malformed_record_is_rejected(kind: str, form: Format) -> None:
    assert refused(good(form)) == []
    assert len(refused(spoil_record(good(form), kind))) == 1


def test_malformed_records_have_every_reject_reason() -> None:
    reasons = {
        reason for kind in SPOILERS for reason in refused(spoil_record(good(Format.JSON), kind))
    }

    assert reasons == set(RejectReason)


def stream(n: int, part: int) -> list[DeviceSamples]:
    """Channels that rise in a straight line, in parts of some length."""
    time_us = np.arange(n, dtype=np.int64) * INTERVAL_US
    values = np.multiply.outer(time_us / 1e6, np.arange(1.0, 7.0))
    return [DeviceSamples(time_us[i : i + part], values[i : i + part]) for i in range(0, n, part)]


def jitter(n: int, part: int, jitter_ms: float, batch: int = 1) -> DeviceSamples:
    rng = np.random.default_rng(0)
    parts = list(add_jitter(stream(n, part), jitter_ms, batch, rng))
    return DeviceSamples(*map(np.concatenate, zip(*parts, strict=True)))


@pytest.mark.parametrize("jitter_ms", [0.5, 2, 5])
def test_jitter_moves_the_times_of_samples(jitter_ms: float) -> None:
    off_us = jitter(10_000, 100, jitter_ms).time_us - np.arange(10_000) * INTERVAL_US

    assert off_us.std() == pytest.approx(jitter_ms * 1000, rel=0.1)
    assert np.abs(off_us).max() < INTERVAL_US / 2


def test_values_are_those_of_the_time_at_which_they_are_taken() -> None:
    time_us, values = jitter(1000, 50, 5)

    inside = slice(1, -1)  # there is nothing to interpolate beyond the ends
    expected = np.multiply.outer(time_us / 1e6, np.arange(1.0, 7.0))
    np.testing.assert_allclose(values[inside], expected[inside], atol=1e-9)


def test_the_samples_of_a_record_stay_regular() -> None:
    steps = np.diff(jitter(1000, 100, 5, batch=25).time_us.reshape(-1, 25), axis=1)

    assert (steps == INTERVAL_US).all()


def test_jitter_loses_no_sample() -> None:
    assert len(jitter(1003, 100, 5, batch=10).time_us) == 1003
