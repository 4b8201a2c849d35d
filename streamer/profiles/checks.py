"""Checks the samples of records in other formats, and rejects the records that have a fault."""

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.contracts.decoded_samples import make_decoded
from streamer.contracts.readings import (
    BOTH_SENSORS,
    LATEST_TIMESTAMP_MS,
    SECONDS_UNTIL_2100,
    Decoded,
    Reject,
    RejectReason,
)
from streamer.contracts.sample_checks import (
    LIMITS,
    are_within_limits,
    describe_future,
    describe_timestamp,
    describe_values,
    find_sane_times,
)
from streamer.profiles.columns import RecordSamples, Rows
from streamer.profiles.read_records import ReadRecords


def check(
    samples: RecordSamples,
    rows: Rows,
    read: ReadRecords,
    device_ids: list[str],
    rejects: list[Reject],
    max_future_skew_us: int,
) -> Decoded:
    """Check times and values, reject the records that have a fault, and return the others."""
    owner, time_us, values = samples.owner, samples.time_us, samples.values
    kafka_us = rows.kafka_ms.astype(np.float64) * 1000
    # Nearly always the extremes decide. NaN fails all comparisons.
    low, high = time_us.min(initial=_SANE_US[1]), time_us.max(initial=_SANE_US[0])
    if not (
        not samples.faults
        and _SANE_US[0] <= low
        and high <= _SANE_US[1]
        and high - kafka_us.min(initial=np.inf) <= max_future_skew_us
        and are_within_limits(values)
    ):
        faults = _find_faults(samples, kafka_us, max_future_skew_us)
        bad = np.zeros(len(read.record), np.bool_)
        for i, (reason, detail) in faults.items():
            bad[i] = True
            rejects.append(Reject(int(read.record[i]), reason, detail, int(rows.count[i])))
        rejects.sort(key=lambda reject: reject.record)
        kept = ~bad[owner]
        samples = RecordSamples(owner[kept], time_us[kept], values[kept], samples.sensors[kept], {})
    owner = samples.owner
    return make_decoded(
        read.record[owner],
        read.device[owner],
        device_ids,
        np.rint(samples.time_us).astype(np.int64),
        samples.values,
        samples.sensors,
        bool(samples.sensors.min(initial=BOTH_SENSORS) == BOTH_SENSORS),
        rejects,
    )


_SANE_US = (SECONDS_UNTIL_2100 * 1000, LATEST_TIMESTAMP_MS * 1000)
"""Times after those that may be in seconds."""


def _find_faults(
    samples: RecordSamples, kafka_us: Floats, max_future_skew_us: int
) -> dict[int, tuple[RejectReason, str]]:
    """Return the first fault of each record that has one."""
    owner, time_us, values = samples.owner, samples.time_us, samples.values
    time_ms = time_us / 1000
    sane = find_sane_times(time_ms)
    plausible = (np.abs(values) <= LIMITS).all(axis=1)
    ahead_us = time_us - kafka_us[owner]
    good: Bools = sane & plausible & (ahead_us <= max_future_skew_us)
    faults = {i: (RejectReason.SCHEMA, detail) for i, detail in samples.faults.items()}
    for i in np.unique(owner[~good]).tolist():
        if i in faults:
            continue
        own = slice(*np.searchsorted(owner, [i, i + 1]).tolist())
        times = time_ms[own]
        if np.any(np.isnan(times)):
            faults[i] = RejectReason.SCHEMA, "a time, or a valid interval, is missing"
        elif not np.all(sane[own]):
            advice = "check the profile's unit of time; in milliseconds it would be "
            wrong = float(times[~sane[own]][0])
            faults[i] = RejectReason.TIMESTAMP, describe_timestamp(wrong, advice)
        elif not np.all(np.asarray(plausible)[own]):
            faults[i] = RejectReason.VALUE, describe_values(values[own])
        else:
            faults[i] = RejectReason.FUTURE, describe_future(float(ahead_us[own].max()))
    return faults
