"""Compiled: joins sensors, and adds gravity, in records whose rows are in the order of time.

`columns` has the same for rows in any order, in NumPy, as the statement of what is right. Here the
rows of each sensor are read once, side by side.
"""

import numpy as np

from streamer.arrays import Bools, Bytes, Floats, Ints
from streamer.compiled import compiled_together
from streamer.contracts.readings import ACC, GYRO


@compiled_together
def are_in_order(count: Ints, has: Bools, time_us: Floats) -> bool:
    """Return whether a sensor's times never decrease within a record, and none is missing.

    Args:
        count: (r,) rows of each record.
        has: (rows,) whether a row has the sensor.
        time_us: (rows,) times of the sensor.
    """
    row = 0
    for record in range(len(count)):
        before_us = -np.inf
        for _ in range(count[record]):
            if has[row]:
                if not before_us <= time_us[row]:
                    return False
                before_us = time_us[row]
            row += 1
    return True


@compiled_together
def _next_row(has: Bools, row: int, end: int) -> int:
    """Return the next row that has a sensor, or the end."""
    while row < end and not has[row]:
        row += 1
    return row


@compiled_together
def join_in_order(
    count: Ints,
    has_acc: Bools,
    has_gyro: Bools,
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
        count: (r,) rows of each record.
        has_acc: (rows,) whether a row has acceleration.
        has_gyro: (rows,) whether it has rotation.
        acc_us: (rows,) times of acceleration, in order.
        gyro_us: (rows,) times of rotation, in order.
        values: (rows, 6)
        owner: written, as are the following ones; as in `columns.RecordSamples`, with room for
            all samples of both sensors.
        time_us: written.
        joined: written.
        sensors: written.

    Returns:
        The number of samples.
    """
    found = 0
    begin = 0
    for record in range(len(count)):
        end = begin + count[record]
        acc, gyro = _next_row(has_acc, begin, end), _next_row(has_gyro, begin, end)
        while acc < end or gyro < end:
            sensor = GYRO
            if acc < end and (gyro == end or acc_us[acc] <= gyro_us[gyro]):
                sensor = ACC
                now_us = acc_us[acc]
                for axis in range(3):
                    joined[found, axis] = values[acc, axis]
                    joined[found, axis + 3] = 0
                acc = _next_row(has_acc, acc + 1, end)
                # The last one of several at the same time has the rotation.
                if gyro < end and gyro_us[gyro] == now_us and (acc == end or acc_us[acc] > now_us):
                    sensor |= GYRO
            else:
                now_us = gyro_us[gyro]
                for axis in range(3):
                    joined[found, axis] = 0
            if sensor & GYRO:
                for axis in range(3, 6):
                    joined[found, axis] = values[gyro, axis]
                gyro = _next_row(has_gyro, gyro + 1, end)
            owner[found], time_us[found], sensors[found] = record, now_us, sensor
            found += 1
        begin = end
    return found


@compiled_together
def add_gravity_in_order(
    count: Ints,
    has_acc: Bools,
    has_gravity: Bools,
    acc_us: Floats,
    gravity_us: Floats,
    values: Floats,
    vectors: Floats,
) -> None:
    """Add gravity to the acceleration of a record, interpolated between its times.

    Args:
        count: (r,) rows of each record.
        has_acc: (rows,) whether a row has acceleration.
        has_gravity: (rows,) whether it has gravity.
        acc_us: (rows,) times of acceleration, in order.
        gravity_us: (rows,) times of gravity, in order.
        values: (rows, 6), acceleration in the first three columns, changed.
        vectors: (rows, 6), gravity in the first three columns.
    """
    begin = 0
    for record in range(len(count)):
        end = begin + count[record]
        right = _next_row(has_gravity, begin, end)
        left = right
        acc = _next_row(has_acc, begin, end) if right < end else end
        while acc < end:
            now_us = acc_us[acc]
            while right < end and gravity_us[right] <= now_us:
                left, right = right, _next_row(has_gravity, right + 1, end)
            after = right if right < end else left
            length_us = gravity_us[after] - gravity_us[left]
            share = (now_us - gravity_us[left]) / length_us if length_us > 0 else 0.0
            for axis in range(3):
                low, high = vectors[left, axis], vectors[after, axis]
                values[acc, axis] += low + share * (high - low)
            acc = _next_row(has_acc, acc + 1, end)
        begin = end
