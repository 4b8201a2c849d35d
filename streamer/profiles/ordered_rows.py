"""Compiled: joins sensors, and adds gravity, in records whose rows are in the order of time.

`columns` has the same for rows in any order, in NumPy, as the statement of what is right. Here the
rows of each sensor are read once, side by side.
"""

import numpy as np

from streamer.arrays import Bytes, Floats, Ints
from streamer.compiled import as_index, compiled_together
from streamer.contracts.readings import ACC, GYRO


@compiled_together
def are_in_order(owner: Ints, rows: Ints, time_us: Floats) -> bool:
    """Return whether a sensor's times never decrease within a record, and none is missing.

    Args:
        owner: (all rows,) record of each row, ascending.
        rows: (n,) the rows of the sensor, ascending.
        time_us: (all rows,) times of the sensor.
    """
    record, before_us = np.int64(-1), 0.0
    for i in range(len(rows)):
        row = as_index(rows[as_index(i)])
        if owner[row] != record:
            record, before_us = owner[row], -np.inf
        if not before_us <= time_us[row]:
            return False
        before_us = time_us[row]
    return True


@compiled_together
def join_in_order(  # noqa: C901 - one loop, which is run for each sample
    row_owner: Ints,
    acc_rows: Ints,
    gyro_rows: Ints,
    acc_us: Floats,
    gyro_us: Floats,
    values: Floats,
    owner: Ints,
    time_us: Floats,
    joined: Floats,
    sensors: Bytes,
) -> int:
    """Write the samples of both sensors in the order of time, one for both at the same time.

    Args:
        row_owner: (all rows,) record of each row, ascending.
        acc_rows: (a,) the rows with acceleration, ascending.
        gyro_rows: (g,) the rows with rotation, ascending.
        acc_us: (all rows,) times of acceleration, in order.
        gyro_us: (all rows,) times of rotation, in order.
        values: (all rows, 6)
        owner: written, as are the following ones; as in `columns.RecordSamples`, with room for
            all samples of both sensors.
        time_us: written.
        joined: written.
        sensors: written.

    Returns:
        The number of samples.
    """
    found = acc = gyro = 0
    while acc < len(acc_rows) or gyro < len(gyro_rows):
        # The records and times that are next; there is none after the last record.
        record = other = np.int64(len(row_owner))
        now_us = other_us = 0.0
        acc_row = gyro_row = as_index(0)
        if acc < len(acc_rows):
            acc_row = as_index(acc_rows[as_index(acc)])
            record, now_us = row_owner[acc_row], acc_us[acc_row]
        if gyro < len(gyro_rows):
            gyro_row = as_index(gyro_rows[as_index(gyro)])
            other, other_us = row_owner[gyro_row], gyro_us[gyro_row]
        sensor = GYRO
        place = as_index(found)
        if record < other or (record == other and now_us <= other_us):
            sensor = ACC
            for axis in range(3):
                joined[place, axis] = values[acc_row, axis]
                joined[place, axis + 3] = 0
            acc += 1
            # The last one of several at the same time has the rotation.
            if record == other and now_us == other_us:
                is_last = True
                if acc < len(acc_rows):
                    next_row = as_index(acc_rows[as_index(acc)])
                    is_last = row_owner[next_row] > record or acc_us[next_row] > now_us
                if is_last:
                    sensor |= GYRO
        else:
            record, now_us = other, other_us
            for axis in range(3):
                joined[place, axis] = 0
        if sensor & GYRO:
            for axis in range(3, 6):
                joined[place, axis] = values[gyro_row, axis]
            gyro += 1
        owner[place], time_us[place], sensors[place] = record, now_us, sensor
        found += 1
    return found


@compiled_together
def add_gravity_in_order(
    owner: Ints,
    acc_rows: Ints,
    gravity_rows: Ints,
    acc_us: Floats,
    gravity_us: Floats,
    values: Floats,
    vectors: Floats,
) -> None:
    """Add gravity to the acceleration of a record, interpolated between its times.

    Args:
        owner: (all rows,) record of each row, ascending.
        acc_rows: (a,) the rows with acceleration, ascending.
        gravity_rows: (g,) the rows with gravity, ascending.
        acc_us: (all rows,) times of acceleration, in order.
        gravity_us: (all rows,) times of gravity, in order.
        values: (all rows, 6), acceleration in the first three columns, changed.
        vectors: (all rows, 3) gravity.
    """
    # The gravity of the record is between `right`, its next one, and `end`; `left` is before it.
    record = np.int64(-1)
    left = right = end = 0
    for i in range(len(acc_rows)):
        acc = as_index(acc_rows[as_index(i)])
        if owner[acc] != record:
            record = owner[acc]
            while end < len(gravity_rows) and owner[gravity_rows[end]] < record:
                end += 1
            left = right = end
            while end < len(gravity_rows) and owner[gravity_rows[end]] == record:
                end += 1
        if left == end:
            continue
        now_us = acc_us[acc]
        while right < end and gravity_us[as_index(gravity_rows[as_index(right)])] <= now_us:
            left = right
            right += 1
        low = as_index(gravity_rows[as_index(left)])
        high = as_index(gravity_rows[as_index(right)]) if right < end else low
        length_us = gravity_us[high] - gravity_us[low]
        share = (now_us - gravity_us[low]) / length_us if length_us > 0 else 0.0
        for axis in range(3):
            values[acc, axis] += vectors[low, axis] + share * (
                vectors[high, axis] - vectors[low, axis]
            )
