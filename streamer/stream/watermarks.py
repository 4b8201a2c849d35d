"""Which samples are behind their device's watermark, and when a device begins a new life. Compiled.

The watermark of a device is its newest sample time less the allowed lateness. A device whose clock
was set back, or that once sent a sample from the future, would be late from then on. So a device
begins a new life when for longer than `Rules.patience_us` of Kafka's clock it has sent a stream of
late samples and nothing else::

    Kafka's clock   0 s   1 s   ...  | 2 s  ...  7 s   7.02 s ...
    sample time     9:00  9:01  ...  | 8:00 ...  8:05  8:05 ...
                    used             | late      late  used, in a new life

A stream goes on with samples newer than those before; one that is further away than the patience,
backwards or forwards, begins another stream. So a batch that is published again and again, or old
samples among new ones, stay late. All this depends on the device's own records, in their order.
"""

from typing import Final, NamedTuple

import numpy as np

from streamer.arrays import Bools, Ints
from streamer.compiled import compiled_together
from streamer.stream.device_columns import ALWAYS, Columns, Sensors
from streamer.stream.samples import NEVER

APART_US: Final = 5_120_000
"""A sensor that is further behind the other one is absent. Four hops: so far back reaches what a
chain depends on, and a recovery finds the same sensors absent."""

LIVES: Final = 4
BY_SILENCE, BY_CROWD, BY_CLOCK = 0, 2, 3
"""The number of a life modulo `LIVES` says why it begins: the device was silent, the partition had
too many devices, or the samples of the device were late."""


class Arrived(NamedTuple):
    """Samples sorted by device, within a device in the order in which they came; each (s,)."""

    row: Ints
    life: Ints
    time_us: Ints
    clock_us: Ints
    offset: Ints
    sends: Bools
    """(s, 2) whether it is of the accelerometer, and of the gyroscope."""


class Judged(NamedTuple):
    """What is found of each sample; each (s,)."""

    life: Ints
    watermark: Ints
    behind: Bools

    @classmethod
    def room(cls, n: int) -> "Judged":
        """Return room for n samples."""
        return cls(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.bool_))


@compiled_together
def judge(
    samples: Arrived,
    columns: Columns,
    sensors: Sensors,
    lag_us: int,
    patience_us: int,
    judged: Judged,
) -> int:
    """Compare every sample with its device's watermark, and move the watermarks forward.

    Returns how many lives begin with a sample that would have been late.
    """
    newest, restarts, begun, by_clock = 0, 0, 0, False
    for i in range(len(samples.row)):
        device, time, clock = samples.row[i], samples.time_us[i], samples.clock_us[i]
        is_first = i == 0 or samples.row[i - 1] != device
        if is_first:
            newest, restarts, by_clock = columns.newest_us[device], 0, False
        if samples.life[i] != (0 if is_first else samples.life[i - 1]):
            newest, by_clock = NEVER, False
            columns.restarted_clock_us[device], columns.restart_until[device] = NEVER, NEVER
            _forget_sensors(device, sensors)
        watermark = newest - lag_us
        if sensors.apart[device]:
            watermark = max(watermark, _newest_of(device, samples.sends, i, sensors) - lag_us)
        behind = time <= watermark
        if behind and _begins_anew(device, time, clock, columns, patience_us):
            newest, watermark, behind, by_clock = NEVER, NEVER, False, True
            _forget_sensors(device, sensors)
            restarts += 1
            begun += 1
        if not behind:
            columns.late_since_us[device] = NEVER
        reached = time
        if sensors.apart[device]:
            reached = newest if behind else _joined(device, time, samples.sends, i, sensors)
        if reached > newest:
            newest = reached
            if columns.restarted_clock_us[device] != NEVER:
                _end_restart(device, time, clock, samples.offset[i], columns, 2 * patience_us)
        life = samples.life[i] + LIVES * restarts
        judged.life[i] = life - life % LIVES - LIVES + BY_CLOCK if by_clock else life
        judged.watermark[i] = watermark
        judged.behind[i] = behind
        columns.newest_us[device] = newest
    return begun


@compiled_together
def _forget_sensors(device: int, sensors: Sensors) -> None:
    """Begin a new life."""
    sensors.first_us[device] = NEVER
    for sensor in range(2):
        sensors.newest_us[device, sensor] = NEVER


@compiled_together
def _newest_of(device: int, sends: Bools, i: int, sensors: Sensors) -> int:
    """Return the newest time of the sensors that a sample is of."""
    newest: int = NEVER
    for sensor in range(2):
        if sends[i, sensor]:
            newest = max(newest, sensors.newest_us[device, sensor])
    return newest


@compiled_together
def _joined(device: int, time: int, sends: Bools, i: int, sensors: Sensors) -> int:
    """Take in a sample's time, and return how far the sensor is that is behind.

    It is not waited for if it is too far behind.
    """
    if sensors.first_us[device] == NEVER:
        sensors.first_us[device] = time
    for sensor in range(2):
        if sends[i, sensor]:
            sensors.newest_us[device, sensor] = max(sensors.newest_us[device, sensor], time)
    ahead: int = max(sensors.newest_us[device, 0], sensors.newest_us[device, 1])
    behind: int = min(sensors.newest_us[device, 0], sensors.newest_us[device, 1])
    is_absent = ahead - max(behind, sensors.first_us[device]) > APART_US
    return ahead if is_absent else behind


@compiled_together
def _begins_anew(device: int, time: int, clock: int, columns: Columns, patience_us: int) -> bool:
    """Take in a late sample, and return whether its device begins a new life with it."""
    step_us = time - columns.late_newest_us[device]
    if columns.late_since_us[device] == NEVER or abs(step_us) > patience_us:
        columns.late_since_us[device], columns.late_newest_us[device] = clock, time
        return False
    if step_us <= 0:
        return False
    columns.late_newest_us[device] = time
    if clock - columns.late_since_us[device] <= patience_us:
        return False
    columns.restarted_clock_us[device], columns.restarted_time_us[device] = clock, time
    columns.restart_until[device] = ALWAYS
    return True


@compiled_together
def _end_restart(
    device: int, time: int, clock: int, offset: int, columns: Columns, long_us: int
) -> None:
    """Note from which record on a new life does not depend on the late samples before it.

    A recovery that begins among those late samples takes the first of them for the begin of a life.
    Once the new life has lasted for long enough, it has begun in such a recovery too.
    """
    if (
        clock - columns.restarted_clock_us[device] > long_us
        and time - columns.restarted_time_us[device] > long_us
    ):
        columns.restart_until[device] = offset
        columns.restarted_clock_us[device] = NEVER
