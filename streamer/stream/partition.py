"""The windows of one partition: a fetch of samples goes in, closed windows come out.

The output is a pure function of the records from `PartitionWindows.low` on. It does not depend on
how these records were cut into fetches.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from streamer.arrays import Bools, Ints
from streamer.features.window_shape import WindowShape
from streamer.stream.accounting import Skip, Tally
from streamer.stream.admission import Admission, Arrivals, first_of_each, sort_rows
from streamer.stream.clock import IN_DOUBT, NOBODY, START, Followed, PartitionClock
from streamer.stream.closing import IDLE, LATE, PUSHED_OUT, SKIPS
from streamer.stream.crowd import push_out
from streamer.stream.device_columns import LAST_US, LOW
from streamer.stream.device_table import DeviceTable
from streamer.stream.rules import Rules
from streamer.stream.samples import NEVER, Samples
from streamer.stream.watermarks import BY_CLOCK, BY_CROWD, BY_SILENCE, LIVES
from streamer.stream.windowing import Windowing
from streamer.stream.windows import ClosedWindows


@dataclass(frozen=True, slots=True)
class PushResult:
    """The result of a fetch.

    Attributes:
        windows: the closed windows, which are to be predicted.
        late: (n,) places in the fetch of the samples behind the watermark.
        forgotten: devices that were silent for too long, or of which the partition had too many;
            they are gone after these windows.
        restarted: devices that began a new life because all their samples were late for too long.
        ahead: devices whose records have timestamps ahead of those of all others.
        skipped: devices of which windows were skipped, or that had a gap, and the last reason.
        ended: devices whose next window, if there is one, does not follow their last one here. The
            forgotten ones may be missing.
    """

    windows: list[ClosedWindows]
    late: Ints
    forgotten: list[str]
    restarted: list[str]
    ahead: list[str]
    skipped: list[tuple[str, Skip]]
    ended: list[str]


def find_senders(samples: Samples) -> Ints:
    """Return (r,) a number for the device of each record, see `PartitionClock.follow`.

    Where the broker has set all timestamps, nobody asks for it, and it is 0.
    """
    if samples.appended.all():
        return np.zeros(len(samples.stamp_us), np.int64)
    sender = np.full(len(samples.stamp_us), NOBODY)
    names = np.array([zlib.crc32(each.encode()) for each in samples.device_ids], np.int64)
    sender[samples.record] = names[samples.device]
    return sender


class PartitionWindows:
    """Devices, their samples and their open windows, for one partition."""

    def __init__(self, rules: Rules, shape: WindowShape, clock: PartitionClock = START) -> None:
        self._rules = rules
        self._table = DeviceTable(shape)
        self._admission = Admission(rules)
        self._windowing = Windowing(rules, shape, self._table)
        self.clock = clock
        self.tally = Tally()

    @property
    def clock_us(self) -> int:
        """The partition clock."""
        return self.clock.now_us

    @property
    def devices(self) -> int:
        """Number of remembered devices."""
        return len(self._table)

    @property
    def waiting(self) -> int:
        """Number of samples that wait for their watermark."""
        return len(self._admission.waiting)

    @property
    def open_windows(self) -> int:
        """Number of windows that were opened and do not have all their samples."""
        columns, rows = self._table.columns, self._table.live()
        return int((columns.opened[rows] - columns.closed[rows] + columns.reopening[rows]).sum())

    def take_tally(self) -> Tally:
        """Return what was counted since the last call."""
        taken, self.tally = self.tally, Tally()
        return taken

    @property
    def low(self) -> int | None:
        """Smallest offset on which an open or later window may depend; None without devices."""
        table, rows = self._table, self._table.live()
        placed = rows[table.sampling.run[rows, LAST_US] != NEVER]
        lows = [
            table.cursor.low[placed].ravel(),
            table.sampling.run[placed, LOW],
            self._admission.waiting.offset,
        ]
        return min((int(low.min()) for low in lows if len(low)), default=None)

    def push(self, samples: Samples) -> PushResult:
        """Process the samples of a fetch.

        Args:
            samples: in the order of their records.

        Returns:
            The windows that they close, those of a device in the order of its grid, and what else
            has happened.
        """
        followed = self.clock.follow(
            samples.stamp_us, find_senders(samples), samples.appended, self._rules.idle_us
        )
        if followed.resolved_us != NEVER:
            seen_us = self._table.columns.clock_us
            seen_us[seen_us == IN_DOUBT] = followed.resolved_us
        arrivals, clock_us, order, pushed_out = self._arrivals(samples, followed)
        verdict = self._admission.admit(self._table, arrivals, clock_us)
        self.tally.late += int(verdict.late.sum())
        self.tally.duplicate += verdict.duplicates
        windows = list(self._windowing.land(verdict.admitted, self.tally))
        self._await_new_lives(arrivals.row, verdict.life, verdict.admitted)
        restarted: list[str] = []
        if verdict.restarts:
            restarted = self._table.ids(np.unique(arrivals.row[verdict.life % LIVES == BY_CLOCK]))
        self.tally.restarts += verdict.restarts
        self.clock = followed.after
        ahead: list[str] = []
        if followed.ahead.any():
            devices = np.unique(samples.device[followed.ahead[samples.record]])
            ahead = [samples.device_ids[device] for device in devices.tolist()]
        left, forgotten, skipped, ended = self._forget(pushed_out)
        late = np.sort(order[verdict.late])
        return PushResult(windows + left, late, forgotten, restarted, ahead, skipped, ended)

    def flush(self) -> PushResult:
        """Release all waiting samples. A later sample before one of them counts as late.

        Windows after these follow them, but they count as ended: no record may come after them.
        """
        rows = self._table.live()
        windows = list(self._windowing.land(self._admission.flush(rows), self.tally))
        last_us = self._table.sampling.run[rows, LAST_US]
        self._table.columns.newest_us[rows] = last_us + self._rules.watermark_lag_us
        skipped, _ = self._take_skipped()
        ended = self._table.ids(rows)
        return PushResult(windows, np.zeros(0, np.int64), [], [], [], skipped, ended)

    def _arrivals(
        self, samples: Samples, followed: Followed
    ) -> tuple[Arrivals, Ints, Ints, Ints | None]:
        """Sort samples by device, and number the lives that devices begin after they were gone.

        Returns the arrivals, the partition clock at each, their places among the samples, and the
        rows of the devices that must be forgotten because there were too many.
        """
        known = len(self._table)
        present = np.flatnonzero(np.bincount(samples.device))
        rows = np.empty(len(samples.device_ids), np.int64)
        rows[present] = self._table.rows([samples.device_ids[i] for i in present.tolist()])
        columns = self._table.columns
        row = rows[samples.device]
        order = sort_rows(row, len(columns.slots))
        left = begins = None
        if len(self._table) > self._rules.max_devices:
            left, begins = self._push_out(samples, followed, row, known)
        row, record = row[order], samples.record[order]
        clock_us, seen_us = followed.clock_us[record], followed.seen_us[record]
        first = np.flatnonzero(first_of_each(row))
        # When the device was seen before each sample.
        before = np.empty_like(clock_us)
        before[1:] = seen_us[:-1]
        before[first] = columns.clock_us[row[first]]
        gone = clock_us - before > self._rules.idle_us
        if begins is not None:
            gone |= begins[order]
        life = np.zeros(len(row), np.int64)
        if gone.any():
            lives = LIVES * np.cumsum(gone)
            lives_before = lives[first] - LIVES * gone[first]
            life = lives - np.repeat(lives_before, np.diff(first, append=len(row)))
        if begins is not None:
            start = np.flatnonzero(first_of_each(row, life))
            less = np.where(begins[order][start], LIVES - BY_CROWD, 0)
            life -= np.repeat(less, np.diff(start, append=len(row)))
        last = np.append(first, len(row))[1:] - 1
        offset = samples.record_offset[record]
        columns.clock_us[row[last]] = seen_us[last]
        columns.last_offset[row[last]] = offset[last]
        arrivals = Arrivals(row, life, samples.time_us[order], samples.values[order], offset)
        return arrivals, clock_us, order, left

    def _push_out(
        self, samples: Samples, followed: Followed, row: Ints, known: int
    ) -> tuple[Ints, Bools]:
        """Find the devices that others push out; the first of them are those known before.

        Returns the rows of those that are gone after the fetch, and (s,) whether a sample begins
        a new life because its device was pushed out.
        """
        columns, live = self._table.columns, self._table.live()[:known]
        live = live[np.argsort(columns.last_offset[live])]
        starts = np.flatnonzero(first_of_each(samples.record))
        record = samples.record[starts]
        crowd = push_out(
            live,
            columns.clock_us[live],
            row[starts],
            followed.clock_us[record],
            followed.seen_us[record],
            most=self._rules.max_devices,
            idle_us=self._rules.idle_us,
        )
        self.tally.pushed_out += crowd.pushed_out
        begins = np.zeros(len(row), np.bool_)
        begins[starts] = crowd.begins
        return crowd.left, begins

    def _take_skipped(self) -> tuple[list[tuple[str, Skip]], list[str]]:
        """Return the devices of which windows were skipped since the last call, and why.

        Also returns those of them whose next window does not follow the last one that closed.
        """
        columns = self._table.columns
        rows = np.flatnonzero(columns.skipped)
        if not len(rows):
            return [], []
        places = columns.skipped[rows].tolist()
        columns.skipped[rows] = 0
        skipped = [
            (device_id, SKIPS[place])
            for device_id, place in zip(self._table.ids(rows), places, strict=True)
        ]
        return skipped, self._table.ids(rows[~columns.follows[rows]])

    def _await_new_lives(self, row: Ints, life: Ints, admitted: Arrivals) -> None:
        """Remember the new lives whose first samples still wait, and skip the open windows."""
        if not life.any():
            return
        begun = np.zeros(self._table.capacity, np.int64)
        np.maximum.at(begun, row, life)
        landed = np.zeros(self._table.capacity, np.int64)
        np.maximum.at(landed, admitted.row, admitted.life)
        rows = np.flatnonzero(begun > landed)
        self._table.columns.fresh[rows] = begun[rows]
        for place, why in ((LATE, BY_CLOCK), (PUSHED_OUT, BY_CROWD), (IDLE, BY_SILENCE)):
            some = rows[begun[rows] % LIVES == why]
            self.tally.skip(SKIPS[place], self._table.skip_open(some, place))

    def _forget(
        self, pushed_out: Ints | None
    ) -> tuple[list[ClosedWindows], list[str], list[tuple[str, Skip]], list[str]]:
        """Close the last windows of devices, skip the open ones, and free their rows.

        These are the devices that others push out, and those that were silent for too long. Returns
        their windows, their names, and both that `_take_skipped` finds before they are gone.
        """
        live = self._table.live()
        place = np.zeros(self._table.capacity, np.int64)
        place[self.clock_us - self._table.columns.clock_us > self._rules.idle_us] = IDLE
        if pushed_out is not None:
            place[pushed_out] = PUSHED_OUT
        rows = live[place[live] > 0]
        if not len(rows):
            return [], [], *self._take_skipped()
        windows = list(self._windowing.land(self._admission.flush(rows), self.tally))
        for why in (IDLE, PUSHED_OUT):
            self.tally.skip(SKIPS[why], self._table.skip_open(rows[place[rows] == why], why))
        skipped, ended = self._take_skipped()
        forgotten = self._table.ids(rows)
        self._table.forget(rows)
        moved = self._table.shrink()
        if moved is not None:
            self._admission.move(moved)
        return windows, forgotten, skipped, ended
