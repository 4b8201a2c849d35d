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
from streamer.stream.devices import ALWAYS, Columns
from streamer.stream.samples import NEVER

CLOCK: Final = 1
"""Lives are numbered so that those begun by late samples are odd, those begun by silence even."""


class Arrived(NamedTuple):
    """Samples sorted by device, within a device in the order in which they came; each (s,)."""

    row: Ints
    life: Ints
    time_us: Ints
    clock_us: Ints
    offset: Ints


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
def judge(samples: Arrived, columns: Columns, lag_us: int, patience_us: int, judged: Judged) -> int:
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
        watermark = newest - lag_us
        behind = time <= watermark
        if behind and _begins_anew(device, time, clock, columns, patience_us):
            newest, watermark, behind, by_clock = NEVER, NEVER, False, True
            restarts += 1
            begun += 1
        if not behind:
            columns.late_since_us[device] = NEVER
        if time > newest:
            newest = time
            if columns.restarted_clock_us[device] != NEVER:
                _end_restart(device, time, clock, samples.offset[i], columns, 2 * patience_us)
        judged.life[i] = samples.life[i] + 2 * restarts - (CLOCK if by_clock else 0)
        judged.watermark[i] = watermark
        judged.behind[i] = behind
        columns.newest_us[device] = newest
    return begun


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
