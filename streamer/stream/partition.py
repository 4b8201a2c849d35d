"""The windows of one partition: a fetch of samples goes in, closed windows come out.

What comes out is a pure function of the records from `PartitionWindows.low` on, whatever batches
they come in. Work goes in rounds: each device lands at most `ROUND` slots, then every window that
has all it needs is closed, together with those of all other devices.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamer.features.chains import CHAINS
from streamer.features.names import FeatureSet
from streamer.stream.accounting import Skip, Tally
from streamer.stream.admission import Admission, Arrivals, first_of_each
from streamer.stream.batch import NEVER, Batch, Bools, Floats, Ints
from streamer.stream.devices import OPEN, RING, DeviceTable
from streamer.stream.filtering import Filtering
from streamer.stream.rules import Rules
from streamer.stream.slots import Slots, Start, fill_holes, rounds

ROUND = 120
"""Slots of one device landed at once: with those not yet filtered they fit the ring."""

CROWDED = RING // 2
"""Unfiltered slots of a device after which it is filtered though no window is complete."""

RATE_TOLERANCE = 20
"""A window whose sampling rate is off by more than one part in this many gets no prediction."""


class Window(NamedTuple):
    """What is known of a window besides its signals.

    Attributes:
        device_id: whose it is.
        start_ms: nominal start h on the device's grid.
        coverage: share of the samples that were really there.
        settled: whether the filters had run long enough.
        follows: whether the window before it on the grid was predicted too, and nothing between
            them made the device start anew.
    """

    device_id: str
    start_ms: int
    coverage: float
    settled: bool
    follows: bool


@dataclass(frozen=True, slots=True)
class ClosedWindows:
    """Windows that have all they need.

    Attributes:
        device_ids: one name a window.
        start_us: (n,) nominal start h on the device's grid.
        coverage: (n,) share of the samples that were really there.
        settled: (n,) whether the filters had run long enough.
        follows: (n,) whether the window before was predicted too, see `Window`.
        signals: (n, 9, length + 1) body acceleration, gravity, gyroscope.
    """

    device_ids: list[str]
    start_us: Ints
    coverage: Floats
    settled: Bools
    follows: Bools
    signals: Floats

    def __len__(self) -> int:
        return len(self.device_ids)

    def __iter__(self) -> Iterator[Window]:
        """One by one, without their signals."""
        return map(
            Window,
            self.device_ids,
            (self.start_us // 1000).tolist(),
            self.coverage.tolist(),
            self.settled.tolist(),
            self.follows.tolist(),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fetch led to.

    Attributes:
        windows: closed, to be predicted.
        late: positions in the batch of the samples that came behind the watermark.
        forgotten: devices that were silent for too long, and are gone after these windows.
    """

    windows: list[ClosedWindows]
    late: Ints
    forgotten: list[str]


class PartitionWindows:
    """Devices, their samples and their open windows, for one partition."""

    def __init__(self, rules: Rules, features: FeatureSet, clock_us: int = NEVER) -> None:
        self._rules = rules
        self._features = features
        self._table = DeviceTable(features.hop_us)
        self._columns = self._table.columns
        self._filtering = Filtering(self._columns, features)
        self._admission = Admission(rules)
        self.clock_us = clock_us
        self.tally = Tally()

    @property
    def devices(self) -> int:
        """Devices that are remembered."""
        return len(self._table)

    @property
    def waiting(self) -> int:
        """Samples that wait for their watermark."""
        return len(self._admission.waiting)

    @property
    def open_windows(self) -> int:
        """Windows that were opened and have not got all their samples."""
        rows = self._table.live()
        return int((self._columns.opened[rows] - self._columns.closed[rows]).sum())

    def take_tally(self) -> Tally:
        """Counts since the last call."""
        taken, self.tally = self.tally, Tally()
        return taken

    @property
    def low(self) -> int | None:
        """Smallest offset on which a window not closed yet may depend; None without devices."""
        rows = self._table.live()
        placed = rows[self._columns.count[rows] > 0]
        lows = [self._filtering.cursor.low[placed].ravel(), self._admission.waiting.offset]
        return min((int(low.min()) for low in lows if len(low)), default=None)

    def push(self, batch: Batch) -> Outcome:
        """Take in a fetch.

        Args:
            batch: samples in the order of their records.

        Returns:
            Windows closed by it, each device's in the order of its grid, and the late samples.
        """
        arrivals, order = self._arrivals(batch)
        verdict = self._admission.admit(self._columns, arrivals)
        self.tally.late += int(verdict.late.sum())
        self.tally.duplicate += verdict.duplicates
        windows = list(self._land(self._slots(verdict.admitted)))
        self._await_new_lives(arrivals, verdict.admitted)
        self.clock_us = batch.clock_after_us
        left, forgotten = self._forget_idle()
        return Outcome(windows + left, np.sort(order[verdict.late]), forgotten)

    def flush(self) -> Outcome:
        """Let no sample wait any longer for its watermark; later ones before it are late."""
        rows = self._table.live()
        windows = list(self._land(self._slots(self._admission.flush(rows))))
        columns = self._columns
        last_us = columns.time_us[rows, (columns.count[rows] - 1) % RING]
        columns.newest_us[rows] = last_us + self._rules.watermark_lag_us
        return Outcome(windows, np.zeros(0, np.int64), [])

    def _arrivals(self, batch: Batch) -> tuple[Arrivals, Ints]:
        """Sort a batch by device, and count the new lives that devices begin in it."""
        present = np.flatnonzero(np.bincount(batch.device))
        rows = np.empty(len(batch.device_ids), np.int64)
        rows[present] = self._table.rows([batch.device_ids[i] for i in present.tolist()])
        if len(self._filtering.cursor.filtered) < self._table.capacity:
            self._filtering.grow(self._table.capacity)
        columns = self._columns
        row = rows[batch.device]
        order = np.argsort(row, kind="stable")
        row, clock_us = row[order], batch.clock_us[order]
        first = np.flatnonzero(first_of_each(row))
        before = np.empty_like(clock_us)
        before[1:] = clock_us[:-1]
        before[first] = columns.clock_us[row[first]]
        silent = clock_us - before > self._rules.idle_us
        lives = np.cumsum(silent.astype(np.int64))
        lives_before = lives[first] - silent[first]
        life = lives - np.repeat(lives_before, np.diff(first, append=len(row)))
        last = np.append(first, len(row))[1:] - 1
        columns.clock_us[row[last]] = clock_us[last]
        arrivals = Arrivals(
            row, life, batch.time_us[order], batch.values[order], batch.offset[order]
        )
        return arrivals, order

    def _await_new_lives(self, arrivals: Arrivals, admitted: Arrivals) -> None:
        """Remember the devices whose new life has begun with samples that still wait."""
        begun = np.zeros(self._table.capacity, np.int64)
        np.maximum.at(begun, arrivals.row, arrivals.life)
        landed = np.zeros(self._table.capacity, np.int64)
        np.maximum.at(landed, admitted.row, admitted.life)
        rows = np.flatnonzero(begun > landed)
        self._columns.fresh[rows] = True
        self._skip_open(rows, Skip.IDLE)

    def _slots(self, samples: Arrivals) -> Slots:
        """Find where devices start anew, and fill the holes."""
        columns = self._columns
        row = samples.row
        first = np.flatnonzero(first_of_each(row)) if len(row) else row
        newest = (columns.count[row[first]] - 1) % RING
        previous = samples[np.arange(len(samples)) - 1]
        previous.life[first] = 0
        previous.time_us[first] = columns.time_us[row[first], newest]
        previous.values[first] = columns.values[row[first], newest]
        previous.offset[first] = columns.last_offset[row[first]]
        idle = samples.life != previous.life
        idle[first] |= columns.fresh[row[first]]
        gap = samples.time_us - previous.time_us > self._rules.max_gap_us
        gap[first] |= columns.count[row[first]] == 0
        start = np.where(idle, Start.IDLE, np.where(gap, Start.GAP, Start.NO))
        columns.fresh[row[first]] = False
        self.tally.used += len(samples)
        real = np.ones(len(row), np.bool_)
        slots = Slots(row, start, samples.time_us, samples.values, real, samples.offset)
        return fill_holes(slots, previous, self._features.step_us)

    def _land(self, slots: Slots) -> Iterator[ClosedWindows]:
        """Put slots into the ring, round by round; close the windows that have all they need."""
        columns, filtering = self._columns, self._filtering
        for part in rounds(slots, ROUND):
            first = np.flatnonzero(first_of_each(part.row))
            length = np.diff(first, append=len(part))
            rows = part.row[first]
            low = np.minimum.reduceat(part.offset, first)
            new = part.start[first] > 0
            self._start_anew(rows[new], part.start[first][new], low[new])
            low_before = np.minimum(low, np.where(new, low, columns.last_offset[rows]))

            slot = columns.count[part.row] + np.arange(len(part)) - np.repeat(first, length)
            position = slot % RING
            columns.time_us[part.row, position] = part.time_us
            columns.values[part.row, position] = part.values
            columns.real[part.row, position] = part.real
            columns.count[rows] += length
            columns.last_offset[rows] = part.offset[first + length - 1]
            filtering.depend(rows, low)

            hop, hop_before = self._hops(part, first)
            columns.hop[rows] = hop[first + length - 1]
            self._open(part.row, slot, hop, hop > hop_before)
            epoch = hop // self._features.epoch_hops
            new_epoch = epoch > hop_before // self._features.epoch_hops
            new_epoch[first[new]] = False
            at = np.flatnonzero(new_epoch)
            lows = np.repeat(low_before, length)[at]
            filtering.start_epoch(part.row[at], slot[at], epoch[at], lows)
            yield from self._close(rows)

    def _start_anew(self, rows: Ints, start: Ints, low: Ints) -> None:
        for reason, skip in ((Start.GAP, Skip.GAP), (Start.IDLE, Skip.IDLE)):
            self._skip_open(rows[start == reason], skip)
        self._columns.base[rows] = self._columns.count[rows]
        self._columns.follows[rows] = False
        self._filtering.start(rows, low)

    def _skip_open(self, rows: Ints, reason: Skip) -> None:
        columns = self._columns
        skipped = int((columns.opened[rows] - columns.closed[rows]).sum())
        if skipped:
            self.tally.skipped[reason] += skipped
        columns.closed[rows] = columns.opened[rows]

    def _hops(self, part: Slots, first: Ints) -> tuple[Ints, Ints]:
        """Hop of the grid in which each slot lies, and that of the slot before it."""
        columns, hop_us = self._columns, self._features.hop_us
        hop, into_us = np.divmod(part.time_us - columns.phase_us[part.row], hop_us)
        before = np.empty_like(hop)
        before[1:] = hop[:-1]
        # A device that starts within a step of a hop's beginning has not missed any of it.
        on_time = into_us[first] < self._features.step_us
        begun = np.where(on_time, hop[first] - 1, hop[first])
        before[first] = np.where(part.start[first] > 0, begun, columns.hop[part.row[first]])
        return hop, before

    def _open(self, row: Ints, slot: Ints, hop: Ints, opens: Bools) -> None:
        columns = self._columns
        at = np.flatnonzero(opens)
        row, slot, hop = row[at], slot[at], hop[at]
        if not len(row):
            return
        first = np.flatnonzero(first_of_each(row))
        count = np.diff(first, append=len(row))
        position = (columns.opened[row] + np.arange(len(row)) - np.repeat(first, count)) % OPEN
        columns.window_slot[row, position] = slot
        columns.window_hop[row, position] = hop
        columns.opened[row[first]] += count
        self.tally.opened += len(row)

    def _close(self, rows: Ints) -> Iterator[ClosedWindows]:
        """Close the devices' windows, one a device at a time, until none has all it needs."""
        columns, filtering, features = self._columns, self._filtering, self._features
        while len(rows):
            oldest = columns.window_slot[rows, columns.closed[rows] % OPEN]
            complete = oldest + features.length + 1
            ready = (columns.closed[rows] < columns.opened[rows]) & (complete < columns.count[rows])
            crowded = columns.count[rows] - filtering.cursor.filtered[rows] > CROWDED
            end = np.where(ready, complete, columns.count[rows] - 1)
            going = ready | crowded
            filtering.advance(rows[going], end[going])
            if ready.any():
                yield self._closed(rows[ready], oldest[ready])
            rows = rows[going]

    def _closed(self, rows: Ints, slot: Ints) -> ClosedWindows:
        """Close the oldest window of each device, whose signals are the newest ones filtered."""
        columns, features, tally = self._columns, self._features, self.tally
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
        for reason, skipped in ((Skip.SAMPLING_RATE, off_rate), (Skip.COVERAGE, sparse)):
            if skipped.any():
                tally.skipped[reason] += int(skipped.sum())
        good = ~off_rate & ~sparse
        follows = columns.follows[rows]
        columns.follows[rows] = good
        rows, hop, start_us = rows[good], hop[good], start_us[good]
        tally.closed += len(rows)

        # The window's nominal end is two hops on; its signals come from the epoch before that one.
        end_hop = hop + features.length // features.hop
        chain = (end_hop // features.epoch_hops - 1) % CHAINS
        warm_us = start_us - self._filtering.cursor.start_us[rows, chain]
        settled = warm_us >= features.settled_us
        tally.unsettled += int((~settled).sum())
        return ClosedWindows(
            self._table.ids(rows),
            start_us,
            coverage[good],
            settled,
            follows[good],
            self._filtering.chains.history[rows, chain],
        )

    def _forget_idle(self) -> tuple[list[ClosedWindows], list[str]]:
        """Close what devices silent for too long have left, and free their rows."""
        live = self._table.live()
        rows = live[self.clock_us - self._columns.clock_us[live] > self._rules.idle_us]
        if not len(rows):
            return [], []
        windows = list(self._land(self._slots(self._admission.flush(rows))))
        self._skip_open(rows, Skip.IDLE)
        forgotten = self._table.ids(rows)
        self._table.forget(rows)
        return windows, forgotten
