"""Decode the records of a fetch to columns of samples.

A compiled reader reads the usual readings; the general decoder reads the others one by one. NumPy
checks the numbers of all samples of the fetch at once. A record is accepted or rejected as a whole.
No content of a record raises an exception: the stream goes on, whatever devices publish.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.contracts import f32
from streamer.contracts.decoded_samples import make_decoded
from streamer.contracts.fast_json import FastReadings, read_fast
from streamer.contracts.parse import Reading, parse
from streamer.contracts.readings import (
    ACC,
    BOTH_SENSORS,
    GYRO,
    Axes,
    Decoded,
    Reject,
    RejectReason,
    Sample,
    SampleBatch,
)
from streamer.contracts.records import KEY, KEY_END, Records
from streamer.contracts.sample_checks import (
    LIMITS,
    are_within_limits,
    describe_future,
    describe_timestamp,
    describe_values,
    find_sane_times,
)

_NO_SENSOR = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Readings:
    """The r well-formed readings of a fetch, with s samples, in the order of their records."""

    record: Ints
    device: Ints
    """(r,) Index into `device_ids`."""
    device_ids: list[str]
    count: Ints
    sensors: Ints
    """(r,) `ACC`, `GYRO` or both."""
    timestamp: Floats
    interval_ms: Floats
    values: Floats
    """(s, 6) with 0 in the columns of a sensor that is missing."""


def decode(records: Records, max_future_skew_us: int) -> Decoded:
    """Decode and check the records of a fetch.

    Args:
        records: of one partition, in order.
        max_future_skew_us: how far a sample may be ahead of its record's timestamp.

    Returns:
        The samples of all good records, and a reject for every other one. Sample j of a batch
        is at ``round(timestamp * 1000) + round(j * interval_ms * 1000)`` microseconds, halves
        to even.
    """
    readings, rejects = _read(records)
    return _check(records, readings, rejects, max_future_skew_us)


def _read(records: Records) -> tuple[_Readings, list[Reject]]:
    """Read all records: with the compiled reader, or else with the general decoder."""
    found = read_fast(records)
    fast = _of_fast(records, found)
    rest = np.ones(len(records), np.bool_)
    rest[found.record] = False
    if not rest.any():
        return fast, []
    others = np.flatnonzero(rest)
    contents = Records(records.buffer, records.table[others]).contents()
    parsed, readings, rejects = parse(
        (index, *content) for index, content in zip(others.tolist(), contents, strict=True)
    )
    return _merged(fast, _of_parsed(parsed, readings)), rejects


def _of_fast(records: Records, fast: FastReadings) -> _Readings:
    firsts = fast.record[fast.key == fast.record]
    device_of_first = np.zeros(len(records), np.int64)
    device_of_first[firsts] = np.arange(len(firsts))
    ends = records.table[firsts][:, [KEY, KEY_END]].tolist()
    return _Readings(
        fast.record,
        device_of_first[fast.key],
        [records.buffer[begin:end].decode("ascii") for begin, end in ends],
        fast.count,
        fast.sensors,
        fast.timestamp,
        fast.interval_ms,
        fast.values,
    )


def _of_parsed(parsed: list[int], readings: list[Reading]) -> _Readings:
    count = np.array([reading.count for reading in readings], np.int64)
    device_of: dict[str, int] = {}
    device = [device_of.setdefault(reading.device_id, len(device_of)) for reading in readings]
    return _Readings(
        np.array(parsed, np.int64),
        np.array(device, np.int64),
        list(device_of),
        count,
        np.array([_sensors(reading) for reading in readings], np.int64),
        np.array([reading.timestamp for reading in readings], np.float64),
        np.array([reading.interval_ms for reading in readings], np.float64),
        _values(readings, count),
    )


def _merged(one: _Readings, other: _Readings) -> _Readings:
    """Return the readings of both in the order of their records."""
    device_of = {device_id: i for i, device_id in enumerate(one.device_ids)}
    known = [device_of.setdefault(device_id, len(device_of)) for device_id in other.device_ids]
    device = np.concatenate([one.device, np.array(known, np.int64)[other.device]])
    record = np.concatenate([one.record, other.record])
    count = np.concatenate([one.count, other.count])
    order = np.argsort(record)
    samples = np.argsort(np.repeat(record, count), kind="stable")
    return _Readings(
        record[order],
        device[order],
        list(device_of),
        count[order],
        np.concatenate([one.sensors, other.sensors])[order],
        np.concatenate([one.timestamp, other.timestamp])[order],
        np.concatenate([one.interval_ms, other.interval_ms])[order],
        np.concatenate([one.values, other.values])[samples],
    )


def _check(
    records: Records, readings: _Readings, rejects: list[Reject], max_future_skew_us: int
) -> Decoded:
    """Check the numbers of all readings, and return those that are good as samples."""
    count, timestamp, values = readings.count, readings.timestamp, readings.values
    interval_us = readings.interval_ms * 1000
    # In float64: a Kafka timestamp is any 64-bit integer, so 1000 times it may overflow.
    kafka_us = records.timestamp[readings.record].astype(np.float64) * 1000
    start = np.cumsum(count) - count

    sane = find_sane_times(timestamp)
    first_us = np.rint(np.where(sane, timestamp, 0) * 1000).astype(np.int64)
    last_us = first_us + np.rint((count - 1) * interval_us).astype(np.int64)
    ahead_us = last_us - kafka_us
    plausible = np.ones(len(count), dtype=np.bool_)
    if not are_within_limits(values):
        implausible = ~(np.abs(values) <= LIMITS).all(axis=1)
        plausible[np.repeat(np.arange(len(count)), count)[implausible]] = False
    good = sane & (ahead_us <= max_future_skew_us) & plausible

    for i in np.flatnonzero(~good).tolist():
        if not sane[i]:
            reason = RejectReason.TIMESTAMP
            detail = describe_timestamp(float(timestamp[i]))
        elif not plausible[i]:
            reason = RejectReason.VALUE
            detail = describe_values(values[start[i] : start[i] + count[i]])
        else:
            reason = RejectReason.FUTURE
            detail = describe_future(float(ahead_us[i]))
        rejects.append(Reject(int(readings.record[i]), reason, detail, int(count[i])))
    rejects.sort(key=lambda reject: reject.record)

    if good.all():
        return _decoded(readings, first_us, rejects)
    return _decoded(_only(readings, good), first_us[good], rejects)


def _only(readings: _Readings, good: Bools) -> _Readings:
    return _Readings(
        readings.record[good],
        readings.device[good],
        readings.device_ids,
        readings.count[good],
        readings.sensors[good],
        readings.timestamp[good],
        readings.interval_ms[good],
        readings.values[np.repeat(good, readings.count)],
    )


def _decoded(readings: _Readings, first_us: Ints, rejects: list[Reject]) -> Decoded:
    """Return the samples of readings; ``first_us`` is the time of the first one of each."""
    count, device = readings.count, readings.device
    position = np.arange(len(readings.values)) - np.repeat(np.cumsum(count) - count, count)
    later_us = np.rint(position * np.repeat(readings.interval_ms * 1000, count)).astype(np.int64)
    complete = bool(readings.sensors.min(initial=BOTH_SENSORS) == BOTH_SENSORS)
    if complete:
        sensors = np.full(len(readings.values), BOTH_SENSORS, np.uint8)
    else:
        sensors = np.repeat(readings.sensors.astype(np.uint8), count)
    return make_decoded(
        np.repeat(readings.record, count),
        np.repeat(device, count),
        readings.device_ids,
        np.repeat(first_us, count) + later_us,
        readings.values,
        sensors,
        complete,
        rejects,
    )


def _values(readings: list[Reading], count: Ints) -> Floats:
    """Return all samples in the order of the readings, (s, 6)."""
    acc: list[Axes] = []
    gyro: list[Axes] = []
    blocks: list[Floats] = [np.empty((0, 6))]
    for reading in readings:
        if isinstance(reading, Sample):
            acc.append(reading.acc or _NO_SENSOR)
            gyro.append(reading.gyro or _NO_SENSOR)
        elif isinstance(reading, SampleBatch):
            acc.extend(reading.acc or [_NO_SENSOR] * reading.count)
            gyro.extend(reading.gyro or [_NO_SENSOR] * reading.count)
        else:
            blocks.append(reading.rows())
    is_block = np.array([type(reading) is f32.Block for reading in readings], dtype=np.bool_)
    in_block = np.repeat(is_block, count)
    values = np.empty((len(in_block), 6))
    values[~in_block, :3] = _rows(acc)
    values[~in_block, 3:] = _rows(gyro)
    values[in_block] = np.concatenate(blocks)
    return values


def _sensors(reading: Reading) -> int:
    if isinstance(reading, f32.Block):
        return reading.sensors
    return (ACC if reading.acc else 0) | (GYRO if reading.gyro else 0)


def _rows(axes: list[Axes]) -> Floats:
    return np.fromiter(chain.from_iterable(axes), np.float64, 3 * len(axes)).reshape(-1, 3)
