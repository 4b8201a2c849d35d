"""Devices of synthetic people: other rates, each sensor by itself, other units."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.publishing.due_records import Due, DueRecords, Fate
from streamer.publishing.people import RATE_HZ, Person
from streamer.publishing.publisher import DeviceRecord

MakeDevice = Callable[[str, float, np.random.Generator], RawRecording]
"""Make the recording of a device: its name, how many seconds, and what chooses the person."""


class DisturbedDevice:
    """A device of records, some of which are lost on the way."""

    def __init__(self, records: Iterator[Due]) -> None:
        self._due = DueRecords(records)

    def until(self, time_ms: float) -> Sequence[DeviceRecord]:
        """Return the records that are due at a time."""
        return [due.message for due in self._due.until(time_ms) if due.fate is not Fate.LOST]


def _make(
    name: str,
    rng: np.random.Generator,
    acc_s: Floats,
    gyro_s: Floats | None,
    acc_unit: float = 1.0,
) -> RawRecording:
    """Sample a person's acceleration and rotation at these times."""
    last_s = max(times_s[-1] for times_s in (acc_s, gyro_s) if times_s is not None)
    person, _ = Person(rng.integers(2**32, size=2).tolist()).take(int(last_s * RATE_HZ) + 2)

    def sample(times_s: Floats, channels: Floats) -> SensorSeries:
        known_s = np.arange(len(channels)) / RATE_HZ
        values = [np.interp(times_s, known_s, channel) for channel in channels.T]
        return SensorSeries.of(
            np.rint(times_s * 1e6).astype(np.int64), np.stack(values, axis=1).round(5)
        )

    acc = sample(acc_s, person[:, :3] * acc_unit)
    gyro = None if gyro_s is None else sample(gyro_s, person[:, 3:])
    return RawRecording(name, "", acc, gyro)


def _steady(rate_hz: float) -> MakeDevice:
    def make(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
        times_s = np.arange(0, seconds, 1 / rate_hz)
        return _make(name, rng, times_s, times_s)

    return make


def _jittery(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
    """62.5 Hz, and each five samples come at times of their own."""
    times_s = np.arange(0.1, seconds, 0.016)
    off_s = rng.normal(0, 0.005, -(-len(times_s) // 5)).clip(-0.1, 0.1)
    times_s = np.sort(times_s + np.repeat(off_s, 5)[: len(times_s)])
    return _make(name, rng, times_s, times_s)


def _apart(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
    return _make(name, rng, np.arange(0, seconds, 0.02), np.arange(0.007, seconds, 0.02))


def _pausing(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
    """The gyroscope is silent for so long that the acceleration goes on alone."""
    gyro_s = np.arange(0.003, seconds, 0.01)
    pausing = (gyro_s > seconds * 0.4) & (gyro_s < seconds * 0.4 + 12)
    return _make(name, rng, np.arange(0, seconds, 0.02), gyro_s[~pausing])


def _changing(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
    """A phone that saves power: 100, 50, 25 Hz, and 50 Hz again."""
    parts = np.linspace(0, seconds, 5)
    steps_s = (0.01, 0.02, 0.04, 0.02)
    times = [np.arange(a, b, s) for a, b, s in zip(parts, parts[1:], steps_s, strict=False)]
    return _make(name, rng, np.concatenate(times), np.concatenate(times))


def _without_gyroscope(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
    return _make(name, rng, np.arange(0, seconds, 0.02), None)


def _in_other_units(name: str, seconds: float, rng: np.random.Generator) -> RawRecording:
    times_s = np.arange(0, seconds, 0.02)
    return _make(name, rng, times_s, times_s, acc_unit=9.80665)


OTHER_DEVICES: dict[str, MakeDevice] = {
    "at-100-hz": _steady(100),
    "changing": _changing,
    "at-25-hz": _steady(25),
    "apart": _apart,
    "jittery": _jittery,
    "pausing": _pausing,
    "in-other-units": _in_other_units,
    "without-gyroscope": _without_gyroscope,
}
"""By the name of the device. Those at even places come and go."""
