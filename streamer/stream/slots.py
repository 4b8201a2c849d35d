"""Samples as they come, holes filled: the slots that windows and filters count in.

A step of ``dt`` between two samples is ``max(1, round(dt / step))`` slots (halves up)::

    samples  0     20          60   83 ms
    slots    0     1     2     3    4        slot 2 is a filled hole at 40 ms

Nothing else is resampled, so a regular stream passes through untouched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.stream.admission import Arrivals


class Start(IntEnum):
    """Whether a device starts anew at a slot, and why."""

    NO = 0
    GAP = 1
    IDLE = 2


@dataclass(frozen=True, slots=True)
class Slots:
    """Consecutive slots of devices, sorted by row.

    Attributes:
        row: (n,) device row.
        start: (n,) a `Start`.
        time_us: (n,) time, interpolated in holes.
        values: (n, 6) sample, interpolated in holes.
        real: (n,) false in holes.
        offset: (n,) offset of the record; in holes, the smaller one of the records around.
    """

    row: Ints
    start: Ints
    time_us: Ints
    values: Floats
    real: Bools
    offset: Ints

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: Ints | slice) -> "Slots":
        return Slots(
            self.row[index],
            self.start[index],
            self.time_us[index],
            self.values[index],
            self.real[index],
            self.offset[index],
        )


def steps(dt_us: Ints, step_us: int) -> Ints:
    """Slots that a step in time is worth, at least one."""
    return np.maximum(1, (2 * dt_us + step_us) // (2 * step_us))


def fill_holes(samples: Slots, previous: Arrivals, step_us: int) -> Slots:
    """Put linearly interpolated slots where samples are missing.

    Args:
        samples: real samples only.
        previous: (n,) the device's sample before each one; ignored at a start.
        step_us: time from one slot to the next at the nominal rate.
    """
    count = steps(samples.time_us - previous.time_us, step_us)
    count[samples.start > 0] = 1
    if bool((count == 1).all()):
        return samples
    of = np.repeat(np.arange(len(samples)), count)
    total = count[of]
    last = np.cumsum(count) - 1
    part = np.arange(len(of)) - last[of] + total
    filled = samples[of]
    hole = part < total
    part, total, of = part[hole], total[hole], of[hole]
    before, after = previous[of], samples[of]
    span_us = after.time_us - before.time_us
    filled.time_us[hole] = before.time_us + span_us * part // total
    filled.values[hole] = before.values + (after.values - before.values) * (part / total)[:, None]
    filled.real[hole] = False
    filled.offset[hole] = np.minimum(before.offset, after.offset)
    return filled


def rounds(slots: Slots, limit: int) -> Iterator[Slots]:
    """Cut into rounds of at most ``limit`` slots a device; a device starts anew only at a first.

    Args:
        slots: sorted by row.
        limit: most slots of a device in a round.
    """
    if not len(slots):
        return
    new_row = np.ones(len(slots), np.bool_)
    new_row[1:] = slots.row[1:] != slots.row[:-1]
    run = np.flatnonzero(new_row | (slots.start > 0))
    in_run = np.arange(len(slots)) - np.repeat(run, np.diff(run, append=len(slots)))
    cuts = np.cumsum(in_run % limit == 0)
    per_row = np.flatnonzero(new_row)
    number = cuts - np.repeat(cuts[per_row], np.diff(per_row, append=len(slots)))
    if not number.any():
        yield slots
        return
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))
    for begin, end in zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True):
        yield slots[order[begin:end]]
