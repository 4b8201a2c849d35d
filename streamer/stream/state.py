"""What the compiled code of windowing works on: the device table, and what is the same for all."""

from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.features.filter_chains import Bench, Filters
from streamer.features.window_shape import WindowShape
from streamer.stream.device_columns import Columns, Cursor, Sampling, Sensors
from streamer.stream.device_table import DeviceTable
from streamer.stream.rings import RING, RingPlaces, Rings
from streamer.stream.rules import Rules


class Limits(NamedTuple):
    """What `WindowShape` and `Rules` say, as numbers."""

    step_us: int
    hop_us: int
    length: int
    hops: int
    epoch_hops: int
    settled_us: int
    max_gap_us: int
    max_pause_us: int
    min_coverage: float

    @classmethod
    def of(cls, shape: WindowShape, rules: Rules) -> Self:
        """Return the limits; ``hops`` is how many hops a window is long.

        ``max_pause_us`` is how long one sensor may be silent while the other one is not.
        """
        return cls(
            shape.step_us,
            shape.hop_us,
            shape.length,
            shape.length // shape.hop,
            shape.epoch_hops,
            shape.settled_us,
            rules.max_gap_us,
            min(rules.max_gap_us, shape.hop_us),
            rules.min_coverage,
        )


class Held(NamedTuple):
    """Work space for the samples of a run that is resampled from its beginning.

    Attributes:
        time_us: (RING,).
        values: (RING, 6).
    """

    time_us: Ints
    values: Floats


class Tools(NamedTuple):
    """What every device is treated with."""

    limits: Limits
    bench: Bench
    filters: Filters
    held: Held

    @classmethod
    def of(cls, shape: WindowShape, rules: Rules) -> Self:
        """Return the tools, with room for a ring of samples on the bench."""
        held = Held(np.zeros(RING, np.int64), np.zeros((RING, 6)))
        return cls(Limits.of(shape, rules), Bench.empty(RING), Filters.all(), held)


class State(NamedTuple):
    """All that is known of the devices, and the tools."""

    columns: Columns
    sensors: Sensors
    sampling: Sampling
    cursor: Cursor
    places: RingPlaces
    rings: Rings
    limits: Limits
    bench: Bench
    filters: Filters
    held: Held

    @classmethod
    def of(cls, table: DeviceTable, tools: Tools) -> Self:
        """Put the present arrays of a table and the tools together."""
        return cls(
            table.columns,
            table.sensors,
            table.sampling,
            table.cursor,
            table.places,
            table.rings,
            *tools,
        )
