"""The windows of one partition: a fetch of samples goes in, closed windows come out.

What comes out is a pure function of the records from `PartitionWindows.low` on, whatever batches
they come in.
"""

from dataclasses import dataclass

import numpy as np

from streamer.arrays import Ints
from streamer.features.feature_set import FeatureSet
from streamer.stream.accounting import Skip, Tally
from streamer.stream.admission import Admission, Arrivals, first_of_each
from streamer.stream.device_table import LAST_US, LOW, DeviceTable
from streamer.stream.rules import Rules
from streamer.stream.samples import NEVER, Samples
from streamer.stream.watermarks import CLOCK
from streamer.stream.windowing import Windowing
from streamer.stream.windows import ClosedWindows


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a fetch led to.

    Attributes:
        windows: closed, to be predicted.
        late: positions in the batch of the samples that came behind the watermark.
        forgotten: devices that were silent for too long, and are gone after these windows.
        restarted: devices that began a new life, as for too long all they sent was late.
    """

    windows: list[ClosedWindows]
    late: Ints
    forgotten: list[str]
    restarted: list[str]


class PartitionWindows:
    """Devices, their samples and their open windows, for one partition."""

    def __init__(self, rules: Rules, features: FeatureSet, clock_us: int = NEVER) -> None:
        self._rules = rules
        self._table = DeviceTable(features)
        self._admission = Admission(rules)
        self._windowing = Windowing(rules, features, self._table)
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
        columns, rows = self._table.columns, self._table.live()
        return int((columns.opened[rows] - columns.closed[rows] + columns.reopening[rows]).sum())

    def take_tally(self) -> Tally:
        """Counts since the last call."""
        taken, self.tally = self.tally, Tally()
        return taken

    @property
    def low(self) -> int | None:
        """Smallest offset on which a window not closed yet may depend; None without devices."""
        table, rows = self._table, self._table.live()
        placed = rows[table.sampling.run[rows, LAST_US] != NEVER]
        lows = [
            table.cursor.low[placed].ravel(),
            table.sampling.run[placed, LOW],
            self._admission.waiting.offset,
        ]
        return min((int(low.min()) for low in lows if len(low)), default=None)

    def push(self, samples: Samples) -> PushResult:
        """Take in a fetch.

        Args:
            samples: in the order of their records.

        Returns:
            Windows closed by it, each device's in the order of its grid, and the late samples.
        """
        arrivals, clock_us, order = self._arrivals(samples)
        verdict = self._admission.admit(self._table, arrivals, clock_us)
        self.tally.late += int(verdict.late.sum())
        self.tally.duplicate += verdict.duplicates
        windows = list(self._windowing.land(verdict.admitted, self.tally))
        self._await_new_lives(arrivals.row, verdict.life, verdict.admitted)
        restarted: list[str] = []
        if verdict.restarts:
            restarted = self._table.ids(np.unique(arrivals.row[verdict.life % 2 == CLOCK]))
        self.tally.restarts += verdict.restarts
        self.clock_us = samples.clock_after_us
        left, forgotten = self._forget_idle()
        late = np.sort(order[verdict.late])
        return PushResult(windows + left, late, forgotten, restarted)

    def flush(self) -> PushResult:
        """Let no sample wait any longer for its watermark; later ones before it are late."""
        rows = self._table.live()
        windows = list(self._windowing.land(self._admission.flush(rows), self.tally))
        last_us = self._table.sampling.run[rows, LAST_US]
        self._table.columns.newest_us[rows] = last_us + self._rules.watermark_lag_us
        return PushResult(windows, np.zeros(0, np.int64), [], [])

    def _arrivals(self, samples: Samples) -> tuple[Arrivals, Ints, Ints]:
        """Sort samples by device, and number the lives that devices begin after a silence.

        Returns the arrivals, the partition clock at each, and their places among the samples.
        """
        present = np.flatnonzero(np.bincount(samples.device))
        rows = np.empty(len(samples.device_ids), np.int64)
        rows[present] = self._table.rows([samples.device_ids[i] for i in present.tolist()])
        columns = self._table.columns
        row = rows[samples.device]
        order = np.argsort(row, kind="stable")
        row, clock_us = row[order], samples.clock_us[order]
        first = np.flatnonzero(first_of_each(row))
        before = np.empty_like(clock_us)
        before[1:] = clock_us[:-1]
        before[first] = columns.clock_us[row[first]]
        silent = clock_us - before > self._rules.idle_us
        lives = 2 * np.cumsum(silent.astype(np.int64))
        lives_before = lives[first] - 2 * silent[first]
        life = lives - np.repeat(lives_before, np.diff(first, append=len(row)))
        last = np.append(first, len(row))[1:] - 1
        columns.clock_us[row[last]] = clock_us[last]
        arrivals = Arrivals(
            row, life, samples.time_us[order], samples.values[order], samples.offset[order]
        )
        return arrivals, clock_us, order

    def _await_new_lives(self, row: Ints, life: Ints, admitted: Arrivals) -> None:
        """Remember the devices whose new life has begun with samples that still wait."""
        begun = np.zeros(self._table.capacity, np.int64)
        np.maximum.at(begun, row, life)
        landed = np.zeros(self._table.capacity, np.int64)
        np.maximum.at(landed, admitted.row, admitted.life)
        rows = np.flatnonzero(begun > landed)
        self._table.columns.fresh[rows] = begun[rows]
        for reason, begins in ((Skip.CLOCK, CLOCK), (Skip.IDLE, 0)):
            some = rows[begun[rows] % 2 == begins]
            self.tally.skip(reason, self._table.skip_open(some))

    def _forget_idle(self) -> tuple[list[ClosedWindows], list[str]]:
        """Close what devices silent for too long have left, and free their rows."""
        live = self._table.live()
        rows = live[self.clock_us - self._table.columns.clock_us[live] > self._rules.idle_us]
        if not len(rows):
            return [], []
        windows = list(self._windowing.land(self._admission.flush(rows), self.tally))
        self.tally.skip(Skip.IDLE, self._table.skip_open(rows))
        forgotten = self._table.ids(rows)
        self._table.forget(rows)
        moved = self._table.shrink()
        if moved is not None:
            self._admission.move(moved)
        return windows, forgotten
