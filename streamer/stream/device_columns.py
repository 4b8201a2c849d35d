"""The columns of the device table: what is known about each device, and what each number means."""

from typing import NamedTuple, Self

import numpy as np

from streamer.arrays import Bools, Floats, Ints
from streamer.features.filter_chains import CHAINS
from streamer.stream.rings import RING
from streamer.stream.samples import NEVER

CROWDED = RING // 2
"""Unfiltered slots after which a device is filtered even if no window is complete."""

OPEN = 8
"""Most windows of a device that may be open at once; a power of two. RING slots have at most 6
starts of windows."""

LANDED = 128
"""Number of samples of a kind whose times are remembered."""

LOWS = 6
"""Number of crossings for which the smallest offset is remembered."""

REACH = 4
"""Most points of the grid to which one sample contributes; a power of two."""

ALWAYS = -NEVER
"""An offset, or a time, after all others."""

NOT_DUE = -1
"""No slot: no epoch waits to be started."""


class Columns(NamedTuple):
    """All facts about each device except its slots and filters.

    Slots are numbered from the first sample of a device on.
    """

    phase_us: Ints
    """Phase of its grid of hops."""
    clock_us: Ints
    """When its last record came by the partition clock, see `clock.Followed.seen_us`; `IN_DOUBT`
    before the first."""
    last_offset: Ints
    """Offset of its last record."""
    newest_us: Ints
    """Largest sample time seen."""
    late_since_us: Ints
    """Partition clock at the beginning of its present stream of late samples, or NEVER."""
    late_newest_us: Ints
    """Largest sample time of that stream."""
    restarted_clock_us: Ints
    """Partition clock at the beginning of a life that late samples began, while it is new, or
    NEVER."""
    restarted_time_us: Ints
    """Time of the first sample of that life."""
    restart_until: Ints
    """Chains that start up to this offset depend on the records of the life before too."""
    fresh: Ints
    """Number of the life that its next sample begins, see `watermarks.LIVES`; 0 if it begins
    none."""

    slots: Ints
    """Number of slots so far."""
    base: Ints
    """First slot after it last started anew."""
    hop: Ints
    """Hop of the grid in which the last slot lies."""

    opened: Ints
    """Number of windows opened so far; window j is at position ``j % OPEN``."""
    closed: Ints
    """Number of windows closed or skipped so far."""
    reopening: Ints
    """Number of windows that were opened while samples were held. They open again when these
    samples land."""
    skipped: Ints
    """Why windows of it were skipped in this fetch, a place in `WindowBuffer.counts`, or 0. A gap
    counts too where no window was open."""
    follows: Bools
    """Whether the last window before the oldest open one was predicted, in the same life."""
    window_slot: Ints
    """(rows, OPEN) slot at which the window starts."""
    window_hop: Ints
    """(rows, OPEN) number k of the window on the device's grid."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""

        def ints(*tail: int) -> Ints:
            return np.zeros((0, *tail), np.int64)

        return cls(
            phase_us=ints(),
            clock_us=ints(),
            last_offset=ints(),
            newest_us=ints(),
            late_since_us=ints(),
            late_newest_us=ints(),
            restarted_clock_us=ints(),
            restarted_time_us=ints(),
            restart_until=ints(),
            fresh=ints(),
            slots=ints(),
            base=ints(),
            hop=ints(),
            opened=ints(),
            closed=ints(),
            reopening=ints(),
            skipped=ints(),
            follows=np.zeros(0, np.bool_),
            window_slot=ints(OPEN),
            window_hop=ints(OPEN),
        )


class Sensors(NamedTuple):
    """The facts about a device's sensors that admission needs: 0 is acceleration, 1 the gyroscope.

    A sample of both sensors counts for both. The *kind* of a sample is 1 if it is of the gyroscope
    alone, and 0 otherwise. Each kind has an order of its own.
    """

    apart: Bools
    """Whether the device has sent samples of one sensor in this life; `newest_us` counts then."""
    first_us: Ints
    """Time of the first sample of its life."""
    newest_us: Ints
    """(rows, 2) largest time of each sensor."""
    landed: Ints
    """(rows, 2) samples of each kind that were admitted in this life; see `Rings.landed_us`."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""
        rows, pairs = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        return cls(np.zeros(0, np.bool_), rows, pairs, pairs)


LAST_US, FIRST_US, DECIDED, RESAMPLED, WORTH, UNEVEN_US, NEXT_HOP_US, GRID = range(8)
SENSOR_US, PRESENT, CROSSING_US, CROSSING_WORTH = range(8, 16, 2)
CROSSING_LANDED, CROSSING_UNEVEN_US, LOW = range(16, 22, 2)
"""Columns of `Sampling.run`; those of two numbers have the second one in the next column."""

_RUN = LOW + LOWS

TIME_US, DONE, KNOWN, SUMMED = range(4)
"""Columns of `Sampling.points`."""

NEWEST = REACH
"""Row of `Sampling.sums` that holds each sensor's last sample itself."""

WEIGHT = 6
"""Column of `Sampling.sums` that holds the weight of acceleration, before the gyroscope's."""


class Sampling(NamedTuple):
    """How a device's samples become slots.

    The numbers of a run stand side by side in one array: compiled functions get an array handed
    over as seven arguments.
    """

    run: Ints
    """(rows, 26) what is known of all that was sent since the device last started anew:

    | column | is |
    |---|---|
    | LAST_US | time of its last sample |
    | FIRST_US | time of its first sample |
    | SENSOR_US (2) | time of each sensor's last sample |
    | PRESENT (2) | 1 if the sensor takes part in the run |
    | DECIDED | 1 if it is known how the run is sampled |
    | RESAMPLED | 1 if slots lie on the grid; otherwise they are the samples as they come |
    | WORTH | slots that the samples would be worth as they come |
    | UNEVEN_US | by how much all steps in time differ from those of their slots |
    | NEXT_HOP_US | when the hop after the one of the last sample begins |
    | CROSSING_US (2) | times of the last samples that were the first ones of a hop, newest first |
    | CROSSING_WORTH (2) | WORTH at these |
    | CROSSING_LANDED (2) | number of the sample at these |
    | CROSSING_UNEVEN_US (2) | UNEVEN_US at these |
    | GRID | point of the grid that the next slot is, if resampled |
    | LOW (`LOWS`) | least offset since the last crossing, between that and the one before, ... |

    Point p of the grid is at phase + p * step.
    """
    points: Ints
    """(rows, 2, 4) of each sensor: TIME_US of its last sample, `NEVER` before the first; points
    before DONE are finished, before KNOWN have both neighbours, before SUMMED have a sum."""
    sparse: Bools
    """(rows, REACH, 2) whether the neighbours of a point are too far apart to be weighted."""
    sums: Floats
    """(rows, REACH + 1, 8) weighted sums of samples near a point, and the weights; `NEWEST`."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""
        return cls(
            np.zeros((0, _RUN), np.int64),
            np.zeros((0, 2, 4), np.int64),
            np.zeros((0, REACH, 2), np.bool_),
            np.zeros((0, REACH + 1, 8)),
        )


class Cursor(NamedTuple):
    """How far each device is filtered, and from which record on its chains can be built again."""

    filtered: Ints
    """Slots filtered so far."""
    restart: Ints
    """Slot that starts a new epoch and is not filtered yet, or NOT_DUE."""
    restart_chain: Ints
    """Which chain starts there."""
    start_us: Ints
    """(rows, 2) time of each chain's first sample."""
    low: Ints
    """(rows, 2) smallest offset that each chain depends on."""

    @classmethod
    def empty(cls) -> Self:
        """Return no rows yet."""
        rows, pairs = np.zeros(0, np.int64), np.zeros((0, CHAINS), np.int64)
        return cls(rows, rows, rows, pairs, pairs)
