"""Describes a recording: rates, jitter, gaps, units. Pure functions."""

from dataclasses import dataclass

import numpy as np

from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.datasets.regular_grid import LONGEST_GAP_US
from streamer.datasets.signal_checks import find_faults, measure_gravity, measure_rotation

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 12.5, 1000.0
"""Rates that can be put on the grid of 50 Hz."""


@dataclass(frozen=True, slots=True)
class SensorReport:
    """How one sensor measured.

    Attributes:
        samples: measurements at different times.
        seconds: from the first to the last one.
        rate_hz: by the median time between two measurements; NaN for a single one.
        jitter_ms: standard deviation of that time, without gaps.
        gaps: times of more than 100 ms between two measurements.
        longest_gap_s: the longest of them; 0 without gaps.
        level: of acceleration the length of its mean over 2.56 s, in g; of rotation the largest
            root mean square over 2.56 s, in rad/s.
    """

    samples: int
    seconds: float
    rate_hz: float
    jitter_ms: float
    gaps: int
    longest_gap_s: float
    level: float


@dataclass(frozen=True, slots=True)
class RecordingReport:
    """How a recording was made.

    Attributes:
        name, subject: of the recording.
        acc, gyro: its sensors; gyro is None without a gyroscope.
        activities: seconds of each labelled activity.
        faults: sentences about what is wrong, each with what to do.
    """

    name: str
    subject: str
    acc: SensorReport
    gyro: SensorReport | None
    activities: dict[str, float]
    faults: tuple[str, ...]


def inspect_recording(raw: RawRecording) -> RecordingReport:
    """Describe a recording and what is wrong with it."""
    acc = _inspect_sensor(raw.acc, measure_gravity(raw.acc))
    has_gyro = raw.gyro is not None and len(raw.gyro) > 0
    gyro = _inspect_sensor(raw.gyro, measure_rotation(raw.gyro)) if has_gyro and raw.gyro else None
    activities: dict[str, float] = {}
    for label in raw.labels:
        seconds = (label.end_us - label.start_us) / 1e6
        activities[label.activity] = activities.get(label.activity, 0.0) + seconds
    faults = list(find_faults(raw))
    for sensor, report in (("acceleration", acc), ("rotation", gyro)):
        if report is not None and not LOWEST_RATE_HZ <= report.rate_hz <= HIGHEST_RATE_HZ:
            faults.append(
                f"{sensor} of {raw.name} has {report.rate_hz:.4g} samples a second; rates from "
                f"{LOWEST_RATE_HZ:g} to {HIGHEST_RATE_HZ:g} are accepted: check the unit of `time`"
            )
    return RecordingReport(raw.name, raw.subject, acc, gyro, activities, tuple(faults))


def _inspect_sensor(series: SensorSeries, level: float) -> SensorReport:
    steps = np.diff(series.times_us)
    if not len(steps):
        return SensorReport(len(series), 0.0, np.nan, np.nan, 0, 0.0, level)
    gaps = steps > LONGEST_GAP_US
    within = steps[~gaps]
    return SensorReport(
        samples=len(series),
        seconds=float(series.times_us[-1] - series.times_us[0]) / 1e6,
        rate_hz=float(1e6 / np.median(steps)),
        jitter_ms=float(within.std()) / 1000 if len(within) else np.nan,
        gaps=int(gaps.sum()),
        longest_gap_s=float(steps.max()) / 1e6 if gaps.any() else 0.0,
        level=level,
    )
