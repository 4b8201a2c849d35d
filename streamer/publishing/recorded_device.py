"""The device of a recording: sends samples with their own times, as the device did.

Samples of both sensors with the same time go together. Where the sensors have times of their own,
each has records of its own::

    acc    |    |    |    |         together:  {acc, gyro} {acc, gyro} ...
    gyro   |    |    |    |

    acc    |    |    |    |         apart:     {acc} {gyro} {acc} {gyro} ...
    gyro     |   |   |   |
"""

from collections.abc import Iterator, Sequence
from itertools import count

import msgspec
import numpy as np

from streamer.arrays import Floats, Ints
from streamer.contracts.encode import encode
from streamer.datasets.raw_recording import RawRecording
from streamer.datasets.regular_grid import LONGEST_GAP_US
from streamer.publishing.due_records import Due, DueRecords
from streamer.publishing.publisher import DeviceRecord
from streamer.publishing.sending import Sending

REPLAY_HEADER = "streamer-replay"
"""Header of the first record of every replay of a recording; holds a `ReplayInfo` as JSON."""

INTERVAL_MS = 20
"""Unit of the length of a replay: the step of the grid on which its labels are."""

_PAUSE_MS = 2000
"""Pause before a recording repeats; longer than any gap that is filled, so the device restarts."""

_UNEVEN_US = 500
"""The most by which a sample's time may differ from what its record says."""


class ReplayInfo(msgspec.Struct, frozen=True):
    """The time that a replay takes, as the readings have it: so many samples at an interval."""

    start_ms: float
    samples: int
    interval_ms: float


class RecordedDevice:
    """The device of a recording.

    Attributes:
        samples: how many it sends in one round; those of both sensors together count once.

    Args:
        recording: its samples.
        start_ms: the time of its first sample, since the epoch.
        sending: how it publishes.
        loop: whether the recording repeats without end.
    """

    def __init__(
        self, recording: RawRecording, start_ms: float, sending: Sending, *, loop: bool
    ) -> None:
        parts = list(_by_sensors(recording))
        self.samples = sum(len(times_us) for times_us, _ in parts)
        self._due = DueRecords(_rounds(recording, start_ms, sending, loop))

    def until(self, time_ms: float) -> Sequence[DeviceRecord]:
        """Return the records whose samples are complete at a time; each only once."""
        return [due.message for due in self._due.until(time_ms)]


def records_of(recording: RawRecording, start_ms: float, sending: Sending) -> Iterator[Due]:
    """Yield the records of a recording whose first sample is at a time, in their order.

    A record has up to ``sending.batch`` samples at a steady interval; uneven ones are in records
    of their own.
    """
    first_us = recording.start_us
    parts = list(_by_sensors(recording))
    places = [
        (int(times_us[end - 1]), part, first, end)
        for part, (times_us, _) in enumerate(parts)
        for first, end in _cut(times_us, sending.batch)
    ]
    places.sort(key=lambda place: place[0])
    for last_us, part, first, end in places:
        times_us, values = parts[part]
        written = encode(
            recording.name,
            start_ms + (int(times_us[first]) - first_us) / 1000,
            _interval_us(times_us[first:end]) / 1000 if sending.batch > 1 else None,
            values[first:end],
            sending.format,
        )
        due_us = round(start_ms * 1000) + last_us - first_us
        yield Due(due_us, DeviceRecord(*written, end - first))


def _rounds(
    recording: RawRecording, start_ms: float, sending: Sending, loop: bool
) -> Iterator[Due]:
    """Yield the records of one round, or of rounds without end, each announced by its first."""
    samples = (recording.end_us - recording.start_us) // (INTERVAL_MS * 1000) + 1
    for i in count() if loop else range(1):
        round_ms = start_ms + i * (samples * INTERVAL_MS + _PAUSE_MS)
        info = ReplayInfo(round_ms, samples, INTERVAL_MS)
        announced = [(REPLAY_HEADER, msgspec.json.encode(info))]
        for due in records_of(recording, round_ms, sending):
            headers = [*due.message.headers, *announced]
            yield due._replace(message=due.message._replace(headers=headers))
            announced = []


def _by_sensors(recording: RawRecording) -> Iterator[tuple[Ints, Floats]]:
    """Yield the samples with both sensors, with acceleration and with rotation alone.

    Each as times (n,) and values (n, 6), NaN for a sensor that is not there.
    """
    acc, gyro = recording.acc, recording.gyro
    rotation_us = np.empty(0, np.int64) if gyro is None else gyro.times_us
    times_us = np.union1d(acc.times_us, rotation_us)
    values = np.full((len(times_us), 6), np.nan)
    values[np.searchsorted(times_us, acc.times_us), :3] = acc.values
    if gyro is not None:
        values[np.searchsorted(times_us, rotation_us), 3:] = gyro.values
    has_acc, has_gyro = (~np.isnan(values[:, ::3])).T
    for rows in (has_acc & has_gyro, has_acc & ~has_gyro, ~has_acc & has_gyro):
        if rows.any():
            yield times_us[rows], values[rows]


def _cut(times_us: Ints, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first sample of each record and the one after its last."""
    first = 0
    while first < len(times_us):
        most = min(size, len(times_us) - first)
        taken = 1
        while taken < most and _is_even(times_us[first : first + min(2 * taken, most)]):
            taken = min(2 * taken, most)
        yield first, first + taken
        first += taken


def _is_even(times_us: Ints) -> bool:
    """Whether a record can say the times of its samples, by its first one and an interval."""
    interval_us = _interval_us(times_us)
    steady_us = times_us[0] + np.arange(len(times_us)) * interval_us
    return interval_us <= LONGEST_GAP_US and bool(np.abs(times_us - steady_us).max() <= _UNEVEN_US)


def _interval_us(times_us: Ints) -> float:
    """Return the interval of the samples of a record."""
    if len(times_us) == 1:
        return INTERVAL_MS * 1000
    return float(times_us[-1] - times_us[0]) / (len(times_us) - 1)
