"""The samples of one fetch of one partition, column by column."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from streamer.arrays import Floats, Ints

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
        offset: (s,) offset of each sample's record.
        clock_us: (s,) partition clock at each sample's record.
        clock_after_us: partition clock after the last record, with or without samples.
    """

    device_ids: list[str]
    device: Ints
    time_us: Ints
    values: Floats
    offset: Ints
    clock_us: Ints
    clock_after_us: int

    @classmethod
    def of(
        cls,
        device_ids: list[str],
        device: Ints,
        time_us: Ints,
        values: Floats,
        record: Ints,
        record_offsets: Ints,
        record_times_us: Ints,
        clock_before_us: int,
    ) -> Self:
        """Attach each sample to its record's offset and to the partition clock there.

        Args:
            device_ids: the devices that occur.
            device: (s,) index into ``device_ids``.
            time_us: (s,) when each sample was measured.
            values: (s, 6).
            record: (s,) index into the records of the fetch, ascending.
            record_offsets: (r,) offsets of all records, rejected ones too.
            record_times_us: (r,) Kafka timestamps of all records.
            clock_before_us: partition clock before the first record.
        """
        clocks = np.maximum(np.maximum.accumulate(record_times_us), clock_before_us)
        clock_after = int(clocks[-1]) if len(clocks) else clock_before_us
        return cls(
            device_ids, device, time_us, values, record_offsets[record], clocks[record], clock_after
        )
