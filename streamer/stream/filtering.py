"""How far each device is filtered, and from which record on its filters can be built again."""

from dataclasses import dataclass

import numpy as np

from streamer.compiled import IS_COMPILED, compiled
from streamer.features.chains import CHAINS, Chains
from streamer.features.filters import median3
from streamer.features.names import FeatureSet
from streamer.stream.batch import Floats, Ints
from streamer.stream.devices import RING, Columns, grow

NOT_DUE = -1


@dataclass(slots=True)
class Cursor:
    """Where the chains of each device stand.

    Attributes:
        filtered: (rows,) slots filtered so far.
        restart: (rows,) slot that starts a new epoch and is not filtered yet, or NOT_DUE.
        restart_chain: (rows,) which chain starts there.
        start_us: (rows, 2) time of each chain's first sample.
        low: (rows, 2) smallest offset that each chain depends on.
    """

    filtered: Ints
    restart: Ints
    restart_chain: Ints
    start_us: Ints
    low: Ints


class Filtering:
    """Both chains of every device, advanced on demand through the slots in the ring."""

    def __init__(self, columns: Columns, features: FeatureSet) -> None:
        self._columns = columns
        self._features = features
        self.chains = Chains.empty(features.length)
        rows, pairs = np.zeros(0, np.int64), np.zeros((0, CHAINS), np.int64)
        self.cursor = Cursor(rows, rows, rows, pairs, pairs)

    def grow(self, rows: int) -> None:
        """Make room for more devices."""
        grow(self.chains, rows)
        grow(self.cursor, rows)

    def start(self, rows: Ints, low: Ints) -> None:
        """Devices start anew at the slot that lands next; nothing before it matters."""
        cursor = self.cursor
        cursor.filtered[rows] = self._columns.count[rows]
        cursor.restart[rows] = NOT_DUE
        cursor.low[rows] = low[:, None]

    def depend(self, rows: Ints, low: Ints) -> None:
        """Devices got slots from records with offsets of at least ``low``."""
        self.cursor.low[rows] = np.minimum(self.cursor.low[rows], low[:, None])

    def start_epoch(self, rows: Ints, slot: Ints, epoch: Ints, low: Ints) -> None:
        """A slot begins a new epoch: one chain of each device starts anew when it gets there."""
        cursor = self.cursor
        cursor.restart[rows] = slot
        cursor.restart_chain[rows] = epoch % CHAINS
        cursor.low[rows, epoch % CHAINS] = low

    def advance(self, rows: Ints, end: Ints) -> None:
        """Filter the devices up to slot ``end`` (exclusive); slot ``end`` must have landed."""
        cursor = self.cursor
        due = (cursor.restart[rows] >= cursor.filtered[rows]) & (cursor.restart[rows] < end)
        if due.any():
            # Up to the epoch first, so that no block crosses it.
            self._filter(rows[due], cursor.restart[rows[due]])
            self._start_chains(rows[due])
        self._filter(rows, end)

    def _start_chains(self, rows: Ints) -> None:
        cursor = self.cursor
        chain = cursor.restart_chain[rows]
        cursor.start_us[rows, chain] = self._columns.time_us[rows, cursor.restart[rows] % RING]
        self.chains.restart(rows, chain, self._median(rows, cursor.restart[rows], 1)[:, :, 0])
        cursor.restart[rows] = NOT_DUE

    def _filter(self, rows: Ints, end: Ints) -> None:
        cursor = self.cursor
        slots = end - cursor.filtered[rows]
        for n in np.unique(slots[slots > 0]).tolist():
            some = rows[slots == n]
            first = cursor.filtered[some]
            samples = self._median(some, first, n)
            new = first == self._columns.base[some]
            if new.any():
                time_us = self._columns.time_us[some[new], first[new] % RING]
                cursor.start_us[some[new]] = time_us[:, None]
                for chain in range(CHAINS):
                    self.chains.restart(some[new], np.int64(chain), samples[new, :, 0])
            self.chains.advance(some, samples)
            cursor.filtered[some] = first + n

    def _median(self, rows: Ints, first: Ints, n: int) -> Floats:
        """(m, 6, n) median-filtered slots; the first one of a device is its own neighbour."""
        columns = self._columns
        if IS_COMPILED:
            medians = np.empty((len(rows), columns.values.shape[-1], n))
            _medians(columns.values, columns.base, rows, first, medians)
            return medians
        slots = np.maximum(first[:, None] + np.arange(-1, n + 1), columns.base[rows, None])
        samples = columns.values[rows[:, None], slots % RING]
        return median3(np.ascontiguousarray(samples.transpose(0, 2, 1)))


@compiled
def _medians(values: Floats, base: Ints, rows: Ints, first: Ints, medians: Floats) -> None:
    """Do the same from the ring (rows, RING, 6), without a copy of it."""
    _, channels, n = medians.shape
    for i in range(len(rows)):
        ring = values[rows[i]]
        for t in range(n):
            slot = first[i] + t
            before, here, after = (
                max(slot - 1, base[rows[i]]) % RING,
                slot % RING,
                (slot + 1) % RING,
            )
            for channel in range(channels):
                a, b = ring[before, channel], ring[here, channel]
                high = min(max(a, b), ring[after, channel])
                medians[i, channel, t] = max(min(a, b), high)
