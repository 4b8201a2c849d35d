"""From the cells of a profile's slots to samples in this program's units. Pure functions.

The sensors of a record are joined where they have the same time. Gravity that a record has as a
vector of its own is added to its acceleration, interpolated between its times.
"""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Bytes, Floats, Ints
from streamer.contracts.readings import ACC, GYRO, LONGEST_INTERVAL_MS
from streamer.profiles.ordered_rows import add_gravity_in_order, are_in_order, join_in_order
from streamer.profiles.program import NO_SLOT, Program, Sensor
from streamer.profiles.sensor_rows import PARTIAL, WHOLE, convert_rows


@dataclass(frozen=True, slots=True)
class Rows:
    """The cells of r records.

    Attributes:
        count: (r,) rows of each record.
        kafka_ms: (r,) Kafka's timestamp of each record.
        cells: (rows, slots), NaN where a record has nothing.
    """

    count: Ints
    kafka_ms: Ints
    cells: Floats


@dataclass(frozen=True, slots=True)
class RecordSamples:
    """The s samples of r records, in the order of the records, and what is wrong with records.

    Attributes:
        owner: (s,) index of each sample's record.
        time_us: (s,) microseconds since the epoch, not rounded; NaN if there is none.
        values: (s, 6) acceleration in g, rotation in rad/s; 0 where a sensor is missing.
        sensors: (s,) `ACC`, `GYRO` or both.
        faults: what the schema forbids, by record.
    """

    owner: Ints
    time_us: Floats
    values: Floats
    sensors: Bytes
    faults: dict[int, str]


def to_samples(rows: Rows, program: Program) -> RecordSamples:
    """Convert rows of cells to samples."""
    start = np.cumsum(rows.count) - rows.count
    owner = np.repeat(np.arange(len(rows.count)), rows.count)
    _spread(rows, start, program)
    # Of named readings only the rows of a sensor are read, and most rows are of another one.
    make_values = np.empty if program.is_selective else np.zeros
    values = make_values((len(owner), 6))
    faults: dict[int, str] = {}
    acc = _find(program.acc, rows, values, 0, owner, start, program, faults)
    gyro = _find(program.gyro, rows, values, 3, owner, start, program, faults)
    seen = acc | gyro
    time_slots = {each.time for each in program.sensors}
    times = {slot: _times(slot, rows, start, program) for slot in time_slots}
    if program.gravity is not None and program.acc is not None:
        vectors = make_values((len(owner), 3))
        gravity = _find(program.gravity, rows, vectors, 0, owner, start, program, faults)
        seen |= gravity
        acc_us, gravity_us = times[program.acc.time], times[program.gravity.time]
        acc_rows, gravity_rows = np.flatnonzero(acc), np.flatnonzero(gravity)
        # Named readings are never in the same row: a worker that warms up loads the other way.
        if not program.is_selective and np.array_equal(acc, gravity):
            values[:, :3] += vectors
        elif are_in_order(owner, acc_rows, acc_us) and are_in_order(
            owner, gravity_rows, gravity_us
        ):
            add_gravity_in_order(owner, acc_rows, gravity_rows, acc_us, gravity_us, values, vectors)
        else:
            add_gravity(values, vectors, acc, gravity, acc_us, gravity_us, owner)
    if not program.is_selective and not seen.all():
        _find_nothing(seen, owner, len(rows.count), program, faults)
    if program.times_are_shared and not program.is_selective:
        sensors = (ACC * acc + GYRO * gyro).astype(np.uint8)
        time_us = times[program.sensors[0].time]
        kept = sensors > 0
        if kept.all():
            return RecordSamples(owner, time_us, values, sensors, faults)
        return RecordSamples(owner[kept], time_us[kept], values[kept], sensors[kept], faults)
    # A sensor that the profile does not name is in no row; any times will do for it.
    acc_us, gyro_us = (
        times[each.time if each is not None else program.sensors[0].time]
        for each in (program.acc, program.gyro)
    )
    acc_rows, gyro_rows = np.flatnonzero(acc), np.flatnonzero(gyro)
    if are_in_order(owner, acc_rows, acc_us) and are_in_order(owner, gyro_rows, gyro_us):
        return join_rows_in_order(owner, acc_rows, gyro_rows, acc_us, gyro_us, values, faults)
    return join(acc, gyro, acc_us, gyro_us, values, owner, faults)


def _spread(rows: Rows, start: Ints, program: Program) -> None:
    """Give every row of a record the choices that the record has once."""
    once = {slot for each in program.sensors for slot, _ in each.where}
    for slot in once:
        if not program.slots[slot].is_of_rows:
            rows.cells[:, slot] = np.repeat(rows.cells[start, slot], rows.count)


def _times(slot: int, rows: Rows, start: Ints, program: Program) -> Floats:
    """Return the time of each row in microseconds since 1970."""
    cells, count = rows.cells, rows.count
    if slot != NO_SLOT and program.slots[slot].is_of_rows:
        times: Floats = cells[:, slot] * program.us
        times += program.epoch_us
        return times
    number = np.arange(len(cells)) - np.repeat(start, count)
    if slot == NO_SLOT:
        rate_hz = program.layout.time.rate_hz
        assert rate_hz is not None, "a layout has a field or a rate"
        before = np.repeat(count, count) - 1 - number
        times = np.repeat(rows.kafka_ms * 1000.0, count)
        times -= np.rint(before * (1e6 / rate_hz))
        return times
    record_times: Floats = cells[start, slot] * program.us + program.epoch_us
    if len(cells) == len(count):
        return record_times
    if program.interval == NO_SLOT:
        interval_us = np.full(len(count), (program.layout.interval_ms or np.nan) * 1000)
    else:
        interval_us = cells[start, program.interval] * program.us
    interval_us[~((interval_us > 0) & (interval_us <= LONGEST_INTERVAL_MS * 1000))] = np.nan
    later_us: Floats = np.rint(number * np.repeat(interval_us, count))
    later_us[start] = 0
    later_us += np.repeat(record_times, count)
    return later_us


def _find(
    sensor: Sensor | None,
    rows: Rows,
    values: Floats,
    column: int,
    owner: Ints,
    start: Ints,
    program: Program,
    faults: dict[int, str],
) -> Bools:
    """Write a sensor's samples to the values, note faults, and return the rows that it is in."""
    if sensor is None:
        return np.zeros(len(values), np.bool_)
    states = np.empty(len(values), np.uint8)
    if convert_rows(
        rows.cells, sensor.fields, sensor.signs, sensor.factor, sensor.where, values, column, states
    ):
        for row in np.flatnonzero(states == PARTIAL).tolist():
            missing = next(i for i in sensor.fields.tolist() if np.isnan(rows.cells[row, i]))
            record = int(owner[row])
            number = row - int(start[record])
            faults.setdefault(
                record, f"`{program.slots[missing].path}` is missing in sample {number}"
            )
    found: Bools = states == WHOLE
    return found


def _find_nothing(
    seen: Bools, owner: Ints, records: int, program: Program, faults: dict[int, str]
) -> None:
    """Note the records without any sample."""
    has_samples = np.zeros(records, np.bool_)
    has_samples[owner[seen]] = True
    paths = [program.slots[i].path for each in program.sensors for i in each.fields.tolist()]
    for record in np.flatnonzero(~has_samples).tolist():
        faults.setdefault(record, f"none of {', '.join(paths)} is there")


def add_gravity(
    values: Floats,
    vectors: Floats,
    acc: Bools,
    gravity: Bools,
    acc_us: Floats,
    gravity_us: Floats,
    owner: Ints,
) -> None:
    """Add gravity to the acceleration of records that have both, whatever the order of their rows.

    See `streamer.profiles.ordered_rows.add_gravity_in_order` for the arguments.
    """
    rows = np.concatenate([np.flatnonzero(gravity), np.flatnonzero(acc)])
    is_acc = np.arange(len(rows)) >= np.count_nonzero(gravity)
    time_us = np.where(is_acc, acc_us[rows], gravity_us[rows])
    order = np.lexsort((is_acc, time_us, owner[rows]))
    rows, is_acc, time_us = rows[order], is_acc[order], time_us[order]
    of, place = owner[rows], np.arange(len(rows))
    here = place[is_acc]
    before = np.maximum.accumulate(np.where(is_acc, -1, place))[here]
    after = np.minimum.accumulate(np.where(is_acc, len(rows), place)[::-1])[::-1][here]
    has_before = (before >= 0) & (of[before] == of[here])
    after_or_last = np.minimum(after, len(rows) - 1)
    has_after = (after < len(rows)) & (of[after_or_last] == of[here])
    left = np.where(has_before, before, after_or_last)
    right = np.where(has_after, after_or_last, before)
    has = has_before | has_after
    here, left, right = here[has], left[has], right[has]
    length = time_us[right] - time_us[left]
    share = np.divide(time_us[here] - time_us[left], length, np.zeros(len(here)), where=length > 0)
    low, high = vectors[rows[left]], vectors[rows[right]]
    values[rows[here], :3] += low + share[:, None] * (high - low)


def join_rows_in_order(
    row_owner: Ints,
    acc_rows: Ints,
    gyro_rows: Ints,
    acc_us: Floats,
    gyro_us: Floats,
    values: Floats,
    faults: dict[int, str],
) -> RecordSamples:
    """Return the samples of records whose rows are in the order of time."""
    room = len(acc_rows) + len(gyro_rows)
    owner, time_us = np.empty(room, np.int64), np.empty(room)
    joined, sensors = np.empty((room, 6)), np.empty(room, np.uint8)
    found = join_in_order(
        row_owner, acc_rows, gyro_rows, acc_us, gyro_us, values, owner, time_us, joined, sensors
    )
    return RecordSamples(owner[:found], time_us[:found], joined[:found], sensors[:found], faults)


def join(
    acc: Bools,
    gyro: Bools,
    acc_us: Floats,
    gyro_us: Floats,
    values: Floats,
    row_owner: Ints,
    faults: dict[int, str],
) -> RecordSamples:
    """Return samples in the order of time, with both sensors where these have the same time.

    The rows may be in any order. See `streamer.profiles.ordered_rows.join_in_order` for the
    arguments.
    """
    rows = np.concatenate([np.flatnonzero(acc), np.flatnonzero(gyro)])
    is_gyro = np.arange(len(rows)) >= np.count_nonzero(acc)
    sensors = np.where(is_gyro, GYRO, ACC).astype(np.uint8)
    owner, time_us = row_owner[rows], np.where(is_gyro, gyro_us[rows], acc_us[rows])
    own = values[rows]
    own[is_gyro, :3] = 0
    own[~is_gyro, 3:] = 0
    order = np.lexsort((time_us, owner))
    owner, time_us, own, sensors = owner[order], time_us[order], own[order], sensors[order]
    same = (owner[1:] == owner[:-1]) & (time_us[1:] == time_us[:-1])
    second = 1 + np.flatnonzero(same & (sensors[1:] == GYRO) & (sensors[:-1] == ACC))
    own[second - 1, 3:] = own[second, 3:]
    sensors[second - 1] |= GYRO
    kept = np.ones(len(owner), np.bool_)
    kept[second] = False
    return RecordSamples(owner[kept], time_us[kept], own[kept], sensors[kept], faults)
