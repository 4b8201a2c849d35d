"""Defines a recording as the device made it: each sensor at its own rate, in g and rad/s."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class SensorSeries:
    """Measurements of one sensor.

    Attributes:
        times_us: (n,), ascending, all different.
        values: (n, 3), x y z on our axes, in g or rad/s.
    """

    times_us: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.times_us)

    @classmethod
    def of(cls, times_us: Ints, values: Floats) -> "SensorSeries":
        """Sort measurements (n,), (n, 3) by time; those of the same time become their mean."""
        different, which, counts = np.unique(times_us, return_inverse=True, return_counts=True)
        sums = [np.bincount(which.ravel(), column, len(different)) for column in values.T]
        return cls(different, np.stack(sums, axis=1) / counts[:, None])

    def between(self, start_us: int, end_us: int) -> "SensorSeries":
        """Return the measurements with ``start_us <= time <= end_us``."""
        first, last = np.searchsorted(self.times_us, [start_us, end_us + 1])
        return SensorSeries(self.times_us[first:last], self.values[first:last])


@dataclass(frozen=True, slots=True)
class TimedLabel:
    """An activity or movement that lasts from one time to another, the end excluded."""

    activity: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class RawRecording:
    """One person who carries one device.

    Attributes:
        name: name of the recording, under which it is replayed.
        subject: the person with the device; empty if unknown.
        acc: acceleration in g.
        gyro: rotation in rad/s; None for a device without a gyroscope.
        labels: labelled parts in the order of time.
        has_gravity: whether the acceleration includes gravity, as far as the profile says.
        from_epoch: whether times count from 1970 or from the start of the recording.
    """

    name: str
    subject: str
    acc: SensorSeries
    gyro: SensorSeries | None
    labels: tuple[TimedLabel, ...] = ()
    has_gravity: bool = True
    from_epoch: bool = True

    @property
    def start_us(self) -> int:
        """The time of the first measurement."""
        return int(min(sensor.times_us[0] for sensor in self.sensors))

    @property
    def end_us(self) -> int:
        """The time of the last measurement."""
        return int(max(sensor.times_us[-1] for sensor in self.sensors))

    @property
    def sensors(self) -> Sequence[SensorSeries]:
        """The sensors that the device has."""
        return [self.acc] if self.gyro is None else [self.acc, self.gyro]
