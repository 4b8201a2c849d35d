"""Samples become slots, slots fill windows, windows close: for all devices of a partition at once.

Work goes in rounds: each device lands at most `ROUND` slots, then every window that has all it
needs is closed, together with those of all other devices.
"""

from collections.abc import Iterator

import numpy as np

from streamer.arrays import Bools, Ints
from streamer.features.chains import CHAINS
from streamer.features.feature_set import FeatureSet
from streamer.stream.accounting import Skip, Tally
from streamer.stream.admission import Arrivals, first_of_each
from streamer.stream.devices import CROWDED, OPEN, RING, DeviceTable
from streamer.stream.filtering import Filtering
from streamer.stream.rules import Rules
from streamer.stream.slots import Slots, Start, fill_holes, rounds
from streamer.stream.windows import RATE_TOLERANCE, ClosedWindows

ROUND = 120
"""Slots of one device landed at once: with those not yet filtered they fit the ring."""


class Landing:
    """Puts samples where windows and filters find them."""

    def __init__(self, rules: Rules, features: FeatureSet, table: DeviceTable) -> None:
        self._rules = rules
        self._features = features
        self._table = table
        self._filtering = Filtering(table)

    def land(self, samples: Arrivals, tally: Tally) -> Iterator[ClosedWindows]:
        """Take in admitted samples.

        Returns:
            The windows that have all they need then, each device's in the order of its grid.
        """
        tally.used += len(samples)
        yield from self._land(self._slots(samples), tally)

    def _slots(self, samples: Arrivals) -> Slots:
        """Find where devices start anew, and fill the holes."""
        columns = self._table.columns
        row = samples.row
        first = np.flatnonzero(first_of_each(row)) if len(row) else row
        newest = (columns.slots[row[first]] - 1) % RING
        previous = samples[np.arange(len(samples)) - 1]
        previous.life[first] = 0
        previous.time_us[first] = columns.time_us[row[first], newest]
        previous.values[first] = columns.values[row[first], newest]
        previous.offset[first] = columns.last_offset[row[first]]
        idle = samples.life != previous.life
        idle[first] |= columns.fresh[row[first]]
        gap = samples.time_us - previous.time_us > self._rules.max_gap_us
        gap[first] |= columns.slots[row[first]] == 0
        start = np.where(idle, Start.IDLE, np.where(gap, Start.GAP, Start.NO))
        columns.fresh[row[first]] = False
        real = np.ones(len(row), np.bool_)
        slots = Slots(row, start, samples.time_us, samples.values, real, samples.offset)
        return fill_holes(slots, previous, self._features.step_us)

    def _land(self, slots: Slots, tally: Tally) -> Iterator[ClosedWindows]:
        """Put slots into the ring, round by round; close the windows that have all they need."""
        columns, filtering = self._table.columns, self._filtering
        for part in rounds(slots, ROUND):
            first = np.flatnonzero(first_of_each(part.row))
            length = np.diff(first, append=len(part))
            rows = part.row[first]
            low = np.minimum.reduceat(part.offset, first)
            new = part.start[first] > 0
            self._start_anew(rows[new], part.start[first][new], low[new], tally)
            low_before = np.minimum(low, np.where(new, low, columns.last_offset[rows]))

            slot = columns.slots[part.row] + np.arange(len(part)) - np.repeat(first, length)
            position = slot % RING
            columns.time_us[part.row, position] = part.time_us
            columns.values[part.row, position] = part.values
            columns.real[part.row, position] = part.real
            columns.slots[rows] += length
            columns.last_offset[rows] = part.offset[first + length - 1]
            filtering.depend(rows, low)

            hop, hop_before = self._hops(part, first)
            columns.hop[rows] = hop[first + length - 1]
            tally.opened += self._open(part.row, slot, hop, hop > hop_before)
            epoch = hop // self._features.epoch_hops
            new_epoch = epoch > hop_before // self._features.epoch_hops
            new_epoch[first[new]] = False
            at = np.flatnonzero(new_epoch)
            lows = np.repeat(low_before, length)[at]
            filtering.start_epoch(part.row[at], slot[at], epoch[at], lows)
            yield from self._close(rows, tally)

    def _start_anew(self, rows: Ints, start: Ints, low: Ints, tally: Tally) -> None:
        columns = self._table.columns
        for reason, skip in ((Start.GAP, Skip.GAP), (Start.IDLE, Skip.IDLE)):
            tally.skip(skip, self._table.skip_open(rows[start == reason]))
        columns.base[rows] = columns.slots[rows]
        columns.follows[rows] = False
        self._filtering.start(rows, low)

    def _hops(self, part: Slots, first: Ints) -> tuple[Ints, Ints]:
        """Hop of the grid in which each slot lies, and that of the slot before it."""
        columns, hop_us = self._table.columns, self._features.hop_us
        hop, into_us = np.divmod(part.time_us - columns.phase_us[part.row], hop_us)
        before = np.empty_like(hop)
        before[1:] = hop[:-1]
        # A device that starts within a step of a hop's beginning has not missed any of it.
        on_time = into_us[first] < self._features.step_us
        begun = np.where(on_time, hop[first] - 1, hop[first])
        before[first] = np.where(part.start[first] > 0, begun, columns.hop[part.row[first]])
        return hop, before

    def _open(self, row: Ints, slot: Ints, hop: Ints, opens: Bools) -> int:
        """Open windows at these slots; says how many."""
        columns = self._table.columns
        at = np.flatnonzero(opens)
        row, slot, hop = row[at], slot[at], hop[at]
        if not len(row):
            return 0
        first = np.flatnonzero(first_of_each(row))
        count = np.diff(first, append=len(row))
        position = (columns.opened[row] + np.arange(len(row)) - np.repeat(first, count)) % OPEN
        columns.window_slot[row, position] = slot
        columns.window_hop[row, position] = hop
        columns.opened[row[first]] += count
        return len(row)

    def _close(self, rows: Ints, tally: Tally) -> Iterator[ClosedWindows]:
        """Close the devices' windows, one a device at a time, until none has all it needs."""
        columns, cursor = self._table.columns, self._table.cursor
        while len(rows):
            oldest = columns.window_slot[rows, columns.closed[rows] % OPEN]
            complete = oldest + self._features.length + 1
            ready = (columns.closed[rows] < columns.opened[rows]) & (complete < columns.slots[rows])
            crowded = columns.slots[rows] - cursor.filtered[rows] > CROWDED
            end = np.where(ready, complete, columns.slots[rows] - 1)
            going = ready | crowded
            self._filtering.advance(rows[going], end[going])
            if ready.any():
                yield self._closed(rows[ready], oldest[ready], tally)
            rows = rows[going]

    def _closed(self, rows: Ints, slot: Ints, tally: Tally) -> ClosedWindows:
        """Close the oldest window of each device, whose signals are the newest ones filtered."""
        columns, features = self._table.columns, self._features
        hop = columns.window_hop[rows, columns.closed[rows] % OPEN]
        columns.closed[rows] += 1
        start_us = columns.phase_us[rows] + hop * features.hop_us

        span_us = (
            columns.time_us[rows, (slot + features.length - 1) % RING]
            - columns.time_us[rows, slot % RING]
        )
        nominal_us = (features.length - 1) * features.step_us
        off_rate = np.abs(span_us - nominal_us) * RATE_TOLERANCE > nominal_us
        taken = (slot[:, None] + np.arange(features.length)) % RING
        coverage = columns.real[rows[:, None], taken].sum(axis=1) / features.length
        sparse = ~off_rate & (coverage < self._rules.min_coverage)
        tally.skip(Skip.SAMPLING_RATE, int(off_rate.sum()))
        tally.skip(Skip.COVERAGE, int(sparse.sum()))
        good = ~off_rate & ~sparse
        follows = columns.follows[rows]
        columns.follows[rows] = good
        rows, hop, start_us = rows[good], hop[good], start_us[good]
        tally.closed += len(rows)

        # The window's nominal end is two hops on; its signals come from the epoch before that one.
        end_hop = hop + features.length // features.hop
        chain = (end_hop // features.epoch_hops - 1) % CHAINS
        warm_us = start_us - self._table.cursor.start_us[rows, chain]
        settled = warm_us >= features.settled_us
        tally.unsettled += int((~settled).sum())
        return ClosedWindows(
            self._table.ids(rows),
            start_us,
            coverage[good],
            settled,
            follows[good],
            self._table.chains.history[rows, chain],
        )
