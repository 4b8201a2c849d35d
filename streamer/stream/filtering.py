"""Both chains of many devices at once, advanced on demand through the slots in the ring."""

import numpy as np

from streamer.arrays import Floats, Ints
from streamer.features.chains import CHAINS
from streamer.features.filters import median3
from streamer.stream.devices import NOT_DUE, RING, DeviceTable


class Filtering:
    """The filters of every device in a table."""

    def __init__(self, table: DeviceTable) -> None:
        self._table = table

    def start(self, rows: Ints, low: Ints) -> None:
        """Devices start anew at the slot that lands next; nothing before it matters."""
        cursor = self._table.cursor
        cursor.filtered[rows] = self._table.columns.slots[rows]
        cursor.restart[rows] = NOT_DUE
        cursor.low[rows] = low[:, None]

    def depend(self, rows: Ints, low: Ints) -> None:
        """Devices got slots from records with offsets of at least ``low``."""
        cursor = self._table.cursor
        cursor.low[rows] = np.minimum(cursor.low[rows], low[:, None])

    def start_epoch(self, rows: Ints, slot: Ints, epoch: Ints, low: Ints) -> None:
        """A slot begins a new epoch: one chain of each device starts anew when it gets there."""
        cursor = self._table.cursor
        cursor.restart[rows] = slot
        cursor.restart_chain[rows] = epoch % CHAINS
        cursor.low[rows, epoch % CHAINS] = low

    def advance(self, rows: Ints, end: Ints) -> None:
        """Filter the devices up to slot ``end`` (exclusive); slot ``end`` must have landed."""
        cursor = self._table.cursor
        due = (cursor.restart[rows] >= cursor.filtered[rows]) & (cursor.restart[rows] < end)
        if due.any():
            # Up to the epoch first, so that no block crosses it.
            self._filter(rows[due], cursor.restart[rows[due]])
            self._start_chains(rows[due])
        self._filter(rows, end)

    def _start_chains(self, rows: Ints) -> None:
        columns, cursor = self._table.columns, self._table.cursor
        chain = cursor.restart_chain[rows]
        cursor.start_us[rows, chain] = columns.time_us[rows, cursor.restart[rows] % RING]
        samples = self._median(rows, cursor.restart[rows], 1)[:, :, 0]
        self._table.chains.restart(rows, chain, samples)
        cursor.restart[rows] = NOT_DUE

    def _filter(self, rows: Ints, end: Ints) -> None:
        columns, cursor, chains = self._table.columns, self._table.cursor, self._table.chains
        slots = end - cursor.filtered[rows]
        for n in np.unique(slots[slots > 0]).tolist():
            some = rows[slots == n]
            first = cursor.filtered[some]
            samples = self._median(some, first, n)
            new = first == columns.base[some]
            if new.any():
                cursor.start_us[some[new]] = columns.time_us[some[new], first[new] % RING][:, None]
                for chain in range(CHAINS):
                    chains.restart(some[new], np.int64(chain), samples[new, :, 0])
            chains.advance(some, samples)
            cursor.filtered[some] = first + n

    def _median(self, rows: Ints, first: Ints, n: int) -> Floats:
        """(m, 6, n) median-filtered slots; the first one of a device is its own neighbour."""
        columns = self._table.columns
        slots = np.maximum(first[:, None] + np.arange(-1, n + 1), columns.base[rows, None])
        samples = columns.values[rows[:, None], slots % RING]
        return median3(np.ascontiguousarray(samples.transpose(0, 2, 1)))
