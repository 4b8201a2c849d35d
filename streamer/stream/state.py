"""What the compiled code of windowing works on: the device table, and what is the same for all."""

from typing import NamedTuple, Self

from streamer.features.feature_set import FeatureSet
from streamer.features.filter_chains import Bench, Filters
from streamer.stream.devices import Columns, Cursor, DeviceTable
from streamer.stream.rings import RING, Places, Rings
from streamer.stream.rules import Rules


class Limits(NamedTuple):
    """What `FeatureSet` and `Rules` say, as numbers."""

    step_us: int
    hop_us: int
    length: int
    hops: int
    epoch_hops: int
    settled_us: int
    max_gap_us: int
    min_coverage: float

    @classmethod
    def of(cls, features: FeatureSet, rules: Rules) -> Self:
        """Return the limits; ``hops`` is how many hops a window is long."""
        return cls(
            features.step_us,
            features.hop_us,
            features.length,
            features.length // features.hop,
            features.epoch_hops,
            features.settled_us,
            rules.max_gap_us,
            rules.min_coverage,
        )


class Tools(NamedTuple):
    """What every device is treated with."""

    limits: Limits
    bench: Bench
    filters: Filters

    @classmethod
    def of(cls, features: FeatureSet, rules: Rules) -> Self:
        """Return the tools, with room for a ring of samples on the bench."""
        return cls(Limits.of(features, rules), Bench.empty(RING), Filters.all())


class State(NamedTuple):
    """All that is known of the devices, and the tools."""

    columns: Columns
    cursor: Cursor
    places: Places
    rings: Rings
    limits: Limits
    bench: Bench
    filters: Filters

    @classmethod
    def of(cls, table: DeviceTable, tools: Tools) -> Self:
        """Put the present arrays of a table and the tools together."""
        return cls(table.columns, table.cursor, table.places, table.rings, *tools)
