"""The samples of one fetch of one partition, column by column."""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Floats, Ints

NEVER = np.iinfo(np.int64).min // 2
"""A time before all others; half the range, so that differences do not overflow."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in the order of their records.

    Attributes:
        device_ids: the devices that occur.
        device: (s,) index into ``device_ids``.
        time_us: (s,) when each sample was measured.
        values: (s, 6) acc x y z in g, gyro x y z in rad/s.
        record: (s,) index into the records of the fetch, ascending.
        record_offset: (r,) offsets of all records, with or without samples.
        stamp_us: (r,) their Kafka timestamps.
        appended: (r,) whether the broker has set the timestamp.
    """

    device_ids: list[str]
    device: Ints
    time_us: Ints
    values: Floats
    record: Ints
    record_offset: Ints
    stamp_us: Ints
    appended: Bools
