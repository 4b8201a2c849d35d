"""What a sample may be: checks of times and values, and the words of what is wrong."""

import numpy as np

from streamer.arrays import Bools, Floats
from streamer.contracts.readings import (
    LARGEST_ACCELERATION,
    LARGEST_ROTATION,
    LATEST_TIMESTAMP_MS,
    SECONDS_SINCE_2001,
    SECONDS_UNTIL_2100,
)

_CHANNELS = ("acc x", "acc y", "acc z", "gyro x", "gyro y", "gyro z")
LIMITS = np.array([LARGEST_ACCELERATION] * 3 + [LARGEST_ROTATION] * 3)
"""Largest absolute value of each channel: three in g, three in rad/s."""


def find_sane_times(timestamp_ms: Floats) -> Bools:
    """Return which timestamps are possible in milliseconds and do not look like seconds."""
    possible = (timestamp_ms >= 0) & (timestamp_ms <= LATEST_TIMESTAMP_MS)
    not_seconds = (timestamp_ms < SECONDS_SINCE_2001) | (timestamp_ms > SECONDS_UNTIL_2100)
    sane: Bools = possible & not_seconds
    return sane


def are_within_limits(values: Floats) -> bool:
    """Return whether all values (s, 6) are surely within the limits.

    The extremes decide, nearly always. NaN fails both comparisons.
    """
    smallest = LIMITS.min()
    return bool(values.min(initial=0) >= -smallest and values.max(initial=0) <= smallest)


def describe_timestamp(timestamp_ms: float, advice: str = "send milliseconds, such as ") -> str:
    """Say what is wrong with a timestamp; names the unit that it has by its size.

    The advice goes before the right number of milliseconds.
    """
    for unit, scale in (("seconds", 1.0), ("microseconds", 1e6), ("nanoseconds", 1e9)):
        if SECONDS_SINCE_2001 <= timestamp_ms / scale <= SECONDS_UNTIL_2100:
            right_ms = timestamp_ms / scale * 1000
            return (
                f"timestamp {timestamp_ms:.15g} looks like {unit} since the epoch; "
                f"{advice}{right_ms:.15g}"
            )
    return f"timestamp {timestamp_ms} is not within 0 and {LATEST_TIMESTAMP_MS:.0f} ms"


def describe_future(ahead_us: float) -> str:
    """Say that a record has a sample from the future."""
    return f"{ahead_us / 1e6:.3f} s ahead of Kafka's clock"


def describe_values(values: Floats) -> str:
    """Say which of the samples (n, 6) of a record is the first one beyond the limits."""
    sample, channel = np.argwhere(~(np.abs(values) <= LIMITS))[0]
    limit = LIMITS[channel]
    return (
        f"{_CHANNELS[channel]} of sample {sample} is {values[sample, channel]}, "
        f"not within -{limit:g} and {limit:g}"
    )
