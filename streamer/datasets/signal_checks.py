"""Says what is wrong with the units of a recording: m/s2, deg/s, gravity removed. Pure functions.

The bounds are from public recordings of phones, watches and boards: in the right units all of them
are inside, in wrong ones nearly all are outside.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from streamer.arrays import Floats
from streamer.datasets.raw_recording import RawRecording, SensorSeries
from streamer.profiles.units import ACC_UNITS

LEAST_GRAVITY, MOST_GRAVITY = 0.4, 2.0
"""Bounds in g of the mean acceleration over a window."""
MOST_ROTATION = 12.0
"""Bound in rad/s of the root mean square of rotation over a window."""

_WINDOW_US = 2_560_000
_RELATIVE = 0.3
"""How far a mean acceleration may be from gravity in a unit to look like that unit."""


def measure_gravity(acc: SensorSeries) -> float:
    """Return the length of the mean acceleration over windows of 2.56 s, in their median."""
    means = [np.linalg.norm(values.mean(axis=0)) for values in _cut_windows(acc)]
    return float(np.median(means))


def measure_rotation(gyro: SensorSeries) -> float:
    """Return the root mean square of rotation over windows of 2.56 s, the largest one.

    The mean of each window is removed, as it is mostly the sensor's offset.
    """
    turning = [np.sqrt(((v - v.mean(axis=0)) ** 2).sum(axis=1).mean()) for v in _cut_windows(gyro)]
    return float(np.max(turning))


def guess_acc_unit(gravity: float) -> str:
    """Return the probable unit of a mean acceleration, or an empty text if it is unknown."""
    for unit, g in ACC_UNITS.items():
        if abs(gravity * g - 1) <= _RELATIVE:
            return unit
    return ""


def find_faults(raw: RawRecording) -> Iterator[str]:
    """Yield a sentence for each sensor whose values cannot be in our units."""
    gravity = measure_gravity(raw.acc)
    if not raw.has_gravity or gravity < LEAST_GRAVITY:
        yield (
            f"acceleration of {raw.name} is without gravity ({gravity:.2f} g on average, 1 g is "
            "expected): record gravity too, or a sensor that includes it, and name it in the "
            "profile"
        )
    elif gravity > MOST_GRAVITY:
        unit = guess_acc_unit(gravity)
        looks = f"looks like {unit}" if unit else "is in an unknown unit"
        yield (
            f"acceleration of {raw.name} {looks} ({gravity:.2f} on average, 1 g is expected): set "
            f"the unit of `acc` in the profile{f' to {unit}' if unit else ', or its scale'}"
        )
    if raw.gyro is None or not len(raw.gyro):
        return
    if (turning := measure_rotation(raw.gyro)) > MOST_ROTATION:
        yield (
            f"rotation of {raw.name} looks like deg/s (up to {turning:.0f} on average over "
            "2.56 s): set the unit of `gyro` in the profile to deg/s, or its scale"
        )
    elif turning == 0:
        yield (
            f"rotation of {raw.name} never changes: leave `gyro` out of the profile if the device "
            "has no gyroscope"
        )


def _cut_windows(series: SensorSeries) -> Iterator[Floats]:
    """Yield the values of successive windows of 2.56 s; those of all when there are fewer."""
    edges = np.arange(series.times_us[0], series.times_us[-1] + 1, _WINDOW_US)
    cuts = np.searchsorted(series.times_us, edges).tolist()
    parts = [series.values[a:b] for a, b in pairwise(cuts) if b > a]
    yield from parts or [series.values]
