"""The windows of a partition once more: one record, one device and one sample at a time.

Slow and plain on purpose. It shares the grid's phase and the filters with the program and nothing
else, so that whatever the program's arrays get wrong shows as a difference.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streamer.arrays import Floats
from streamer.features.feature_set import FeatureSet
from streamer.features.filters import advance, median3, state_at_rest
from streamer.stream.accounting import Skip, Tally
from streamer.stream.grid import phase_us
from streamer.stream.rules import Rules


@dataclass(frozen=True)
class Sample:
    """One measurement of six channels."""

    time_us: int
    values: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class Record:
    """What a device published at once; none of its samples counts if it was rejected."""

    offset: int
    clock_us: int
    """Its own Kafka timestamp; the partition clock is the largest of them so far."""
    device_id: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Window:
    """A closed window, comparable to the last bit."""

    device_id: str
    start_us: int
    coverage: float
    settled: bool
    follows: bool
    signals: bytes


@dataclass
class Slot:
    """A sample, or the filling of a hole."""

    time_us: int
    values: Floats
    real: bool


@dataclass
class Chain:
    """Filters that started at one slot and go on from there."""

    first: int
    signals: list[Floats]
    state: Floats | None = None


@dataclass
class Run:
    """What a device sent since it last started anew."""

    slots: list[Slot] = field(default_factory=list)
    chains: dict[int, Chain] = field(default_factory=dict)
    """By the epoch that a chain started with."""
    open: list[tuple[int, int]] = field(default_factory=list)
    """Hop and first slot of each window that has not got all its samples."""
    hop: int = 0
    predicted: bool = False
    """Whether the last window that closed was."""


class Device:
    """One device, from its first sample until it is forgotten."""

    def __init__(self, device_id: str, rules: Rules, features: FeatureSet, tally: Tally) -> None:
        self.device_id = device_id
        self.rules = rules
        self.features = features
        self.tally = tally
        self.clock_us = 0
        self.newest_us: int | None = None
        self.watermark_us: int | None = None
        """Whatever is not after it is settled."""
        self.late_since_us: int | None = None
        """Partition clock when it began to send the stream of late samples that it sends now."""
        self.late_newest_us = 0
        self.waiting: list[tuple[int, Sample]] = []
        self.run = Run()
        self.windows: list[Window] = []

    def take(self, sample: Sample) -> bool:
        """Take in one sample; false if it is late."""
        is_behind = self.watermark_us is not None and sample.time_us <= self.watermark_us
        if is_behind and not self.begins_anew(sample.time_us):
            if self.remembers(sample.time_us):
                self.tally.duplicate += 1
                return True
            self.tally.late += 1
            return False
        self.late_since_us = None
        if any(time_us == sample.time_us for time_us, _ in self.waiting):
            self.tally.duplicate += 1
            return True
        heapq.heappush(self.waiting, (sample.time_us, sample))
        self.newest_us = max(sample.time_us, self.newest_us or sample.time_us)
        self.settle(self.newest_us - self.rules.watermark_lag_us)
        return True

    def begins_anew(self, time_us: int) -> bool:
        """Begin a new life if nothing but a stream of late samples has come for too long."""
        patience_us = self.rules.patience_us
        if self.late_since_us is None or abs(time_us - self.late_newest_us) > patience_us:
            self.late_since_us, self.late_newest_us = self.clock_us, time_us
        elif time_us > self.late_newest_us:
            self.late_newest_us = time_us
            if self.clock_us - self.late_since_us > patience_us:
                self.flush()
                self.skip_open(Skip.CLOCK)
                self.run, self.newest_us, self.watermark_us = Run(), None, None
                self.tally.restarts += 1
                return True
        return False

    def remembers(self, time_us: int) -> bool:
        """Whether one of the last 128 samples, over at most 2.56 s, has this time."""
        assert self.watermark_us is not None
        real = [slot.time_us for slot in self.run.slots if slot.real]
        return time_us in real[-128:] and time_us > self.watermark_us - 2_560_000

    def settle(self, watermark_us: int) -> None:
        """Move the watermark, never back, and use what waited for it."""
        if self.watermark_us is None or watermark_us > self.watermark_us:
            self.watermark_us = watermark_us
        while self.waiting and self.waiting[0][0] <= self.watermark_us:
            self.use(heapq.heappop(self.waiting)[1])

    def flush(self) -> None:
        """Let nothing wait any longer."""
        if self.newest_us is not None:
            self.settle(self.newest_us)

    def forget(self) -> None:
        """The end: nothing more will come."""
        self.flush()
        self.skip_open(Skip.IDLE)

    def skip_open(self, reason: Skip) -> None:
        if self.run.open:
            self.tally.skipped[reason] += len(self.run.open)
        self.run.open = []

    def use(self, sample: Sample) -> None:
        """The next sample in order: fill the hole before it, or start anew after a gap."""
        self.tally.used += 1
        values = np.array(sample.values)
        if self.run.slots:
            last = self.run.slots[-1]
            dt_us = sample.time_us - last.time_us
            if dt_us <= self.rules.max_gap_us:
                step_us = self.features.step_us
                steps = max(1, (2 * dt_us + step_us) // (2 * step_us))
                for j in range(1, steps):
                    between = last.values + (values - last.values) * (j / steps)
                    self.land(Slot(last.time_us + dt_us * j // steps, between, False))
            else:
                self.skip_open(Skip.GAP)
                self.run = Run()
        self.land(Slot(sample.time_us, values, True))

    def land(self, slot: Slot) -> None:
        """The next slot: it may open a window, begin an epoch, and complete the oldest window."""
        run, features = self.run, self.features
        hop, into_us = divmod(
            slot.time_us - phase_us(self.device_id, features.hop_us), features.hop_us
        )
        index = len(run.slots)
        run.slots.append(slot)
        if hop > run.hop if index else into_us < features.step_us:
            run.open.append((hop, index))
            self.tally.opened += 1
        run.hop = hop
        epoch = hop // features.epoch_hops
        if index == 0:
            # Whatever it is asked for before the next epoch begins, there is only this chain.
            run.chains[epoch - 1] = run.chains[epoch] = Chain(0, [])
        elif epoch not in run.chains:
            run.chains[epoch] = Chain(index, [])
            run.chains.pop(epoch - 3, None)
        # The sample after the jerk's is the median's.
        if run.open and index == run.open[0][1] + features.length + 1:
            self.close(*run.open.pop(0))

    def close(self, hop: int, first: int) -> None:
        """A window has all it needs."""
        features, slots = self.features, self.run.slots
        taken = slots[first : first + features.length]
        span_us = taken[-1].time_us - taken[0].time_us
        nominal_us = (features.length - 1) * features.step_us
        coverage = sum(slot.real for slot in taken) / features.length
        follows, self.run.predicted = self.run.predicted, False
        if abs(span_us - nominal_us) > nominal_us / 20:
            self.tally.skipped[Skip.SAMPLING_RATE] += 1
            return
        if coverage < self.rules.min_coverage:
            self.tally.skipped[Skip.COVERAGE] += 1
            return
        self.tally.closed += 1
        self.run.predicted = True
        end_hop = hop + features.length // features.hop
        chain = self.run.chains[end_hop // features.epoch_hops - 1]
        signals = self.signals(chain, first, first + features.length + 1)
        start_us = phase_us(self.device_id, features.hop_us) + hop * features.hop_us
        warm_us = start_us - slots[chain.first].time_us
        settled = warm_us >= features.settled_us
        self.tally.unsettled += not settled
        self.windows.append(
            Window(self.device_id, start_us, coverage, settled, follows, signals.tobytes())
        )

    def signals(self, chain: Chain, first: int, end: int) -> Floats:
        """What the chain makes of the slots from first to end."""
        filtered = chain.first + len(chain.signals)
        medians = [self.median(index) for index in range(filtered, end)]
        if medians:
            samples = np.stack(medians, axis=1)[None]
            state = state_at_rest(samples[:, :, 0]) if chain.state is None else chain.state
            signals, chain.state = advance(state, samples)
            chain.signals += list(signals[0].T)
        return np.stack(chain.signals[first - chain.first : end - chain.first], axis=1)

    def median(self, index: int) -> Floats:
        """The median-filtered slot; the first one has itself before it."""
        slots = self.run.slots
        around = [slots[max(0, index - 1)], slots[index], slots[index + 1]]
        return median3(np.stack([slot.values for slot in around], axis=1))[:, 0]


class ReferencePartition:
    """All devices of a partition."""

    def __init__(self, rules: Rules, features: FeatureSet) -> None:
        self.rules = rules
        self.features = features
        self.clock_us = 0
        self.devices: dict[str, Device] = {}
        self.tally = Tally()
        self.windows: dict[str, list[Window]] = {}
        """By device, in the order in which they closed."""
        self.late: set[tuple[int, int]] = set()
        """Offset of the record, and which of its samples."""

    def push(self, record: Record) -> None:
        """Take in one record."""
        self.clock_us = max(self.clock_us, record.clock_us)
        for device in list(self.devices.values()):
            if self.clock_us - device.clock_us > self.rules.idle_us:
                device.forget()
                del self.devices[device.device_id]
        if not record.samples:
            return
        device = self.devices.get(record.device_id) or self.device(record.device_id)
        device.clock_us = self.clock_us
        for index, sample in enumerate(record.samples):
            if not device.take(sample):
                self.late.add((record.offset, index))

    def device(self, device_id: str) -> Device:
        """A new life of a device."""
        device = Device(device_id, self.rules, self.features, self.tally)
        device.windows = self.windows.setdefault(device_id, [])
        self.devices[device_id] = device
        return device

    def push_all(self, records: Sequence[Record]) -> None:
        """Take in many."""
        for record in records:
            self.push(record)

    def flush(self) -> None:
        """Let nothing wait any longer."""
        for device in self.devices.values():
            device.flush()

    @property
    def waiting(self) -> int:
        return sum(len(device.waiting) for device in self.devices.values())

    @property
    def open_windows(self) -> int:
        return sum(len(device.run.open) for device in self.devices.values())
