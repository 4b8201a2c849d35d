"""The windows of a partition once more: one record, one device and one sample at a time.

Slow and plain on purpose. It shares the grid's phase and the filters with the program and nothing
else, so that whatever the program's arrays get wrong shows as a difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streamer.features.filters import advance, median3, state_at_rest
from streamer.features.window_shape import WindowShape
from streamer.stream.accounting import Skip, Tally
from streamer.stream.grid import phase_us
from streamer.stream.rules import Rules
from tests.stream.reference_resampling import Track

Floats = npt.NDArray[np.float64]

ACC, GYRO = "acc", "gyro"
CHANNELS = {ACC: slice(0, 3), GYRO: slice(3, 6)}
APART_US = 5_120_000
"""A sensor this far behind the other one is absent."""
PRESENT_US = 1_280_000
"""A sensor of a run pauses for no longer than this, nor than the longest gap."""
SINGLE = 1_000_000
"""What a sample of one sensor is worth in slots: too much for its run to be taken as it comes."""
HELD = 120
"""Slots that are held at most until it is decided how a run is sampled."""


@dataclass(frozen=True)
class Sample:
    """One measurement of six channels; those of a sensor that it has not are NaN."""

    time_us: int
    values: tuple[float, ...] = field(repr=False)

    @property
    def sensors(self) -> set[str]:
        """Those that it is of."""
        return {name for name, of in CHANNELS.items() if not math.isnan(self.values[of][0])}


@dataclass(frozen=True)
class Record:
    """What a device published at once; none of its samples counts if it was rejected."""

    offset: int
    clock_us: int
    """Its own Kafka timestamp; the partition clock is the largest of them so far."""
    device_id: str
    samples: tuple[Sample, ...]
    appended: bool = True
    """Whether the broker has set the timestamp."""


@dataclass(frozen=True)
class Window:
    """A closed window, comparable to the last bit."""

    device_id: str
    start_us: int
    coverage: float
    settled: bool
    follows: bool
    gyroscope: bool
    signals: bytes


@dataclass
class Slot:
    """A sample, the filling of a hole, or a point of the grid."""

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

    first_us: int
    hop: int
    """Of the last slot; at first the one before the first window's."""
    last_us: dict[str, int]
    """Of each sensor that takes part."""
    slots: list[Slot] = field(default_factory=list)
    chains: dict[int, Chain] = field(default_factory=dict)
    """By the epoch that a chain started with."""
    open: list[tuple[int, int]] = field(default_factory=list)
    """Hop and first slot of each window that has not got all its samples."""
    predicted: bool = False
    """Whether the last window that closed was."""
    newest_us: int = 0
    worth: int = 0
    """Slots that all samples would be worth as they come."""
    count: int = 0
    """Samples after the first one."""
    uneven_us: int = 0
    """By how much all steps differ from those of slots."""
    crossings: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Times of first samples in a hop; what all up to there were worth, how many, how uneven."""
    decided: bool = False
    resampled: bool = False
    held: list[Sample] = field(default_factory=list)
    """All samples until it is decided."""
    reopening: int = 0
    """Windows that opened with samples that were held, and will open again."""
    tracks: dict[str, Track] = field(default_factory=dict)

    @property
    def open_windows(self) -> int:
        return len(self.open) + self.reopening


class Device:
    """One device, from its first sample until it is forgotten."""

    def __init__(self, device_id: str, rules: Rules, shape: WindowShape, tally: Tally) -> None:
        self.device_id = device_id
        self.rules = rules
        self.shape = shape
        self.tally = tally
        self.clock_us = 0
        self.seen_us: int | None = None
        """By the partition clock; None in a doubt."""
        self.phase_us = phase_us(device_id, shape.hop_us)
        self.first_us: int | None = None
        self.newest_us: dict[str, int] = {}
        """Of each sensor."""
        self.watermark_us: int | None = None
        """Whatever is not after it is settled."""
        self.late_since_us: int | None = None
        """Partition clock when it began to send the stream of late samples that it sends now."""
        self.late_newest_us = 0
        self.waiting: list[Sample] = []
        self.landed: dict[str, list[int]] = {ACC: [], GYRO: []}
        """Times of what was used: of samples with acceleration, and of those without."""
        self.run: Run | None = None
        self.windows: list[Window] = []

    def take(self, sample: Sample) -> bool:
        """Take in one sample; false if it is late."""
        lag_us = self.rules.watermark_lag_us
        behind = [self.newest_us[name] - lag_us for name in sample.sensors & {*self.newest_us}]
        if self.watermark_us is not None:
            behind.append(self.watermark_us)
        is_behind = bool(behind) and sample.time_us <= max(behind)
        if is_behind and not self.begins_anew(sample.time_us):
            if self.remembers(sample, max(behind)):
                self.tally.duplicate += 1
                return True
            self.tally.late += 1
            return False
        self.late_since_us = None
        stream = stream_of(sample)
        waiting = [(each.time_us, stream_of(each)) for each in self.waiting]
        if (sample.time_us, stream) in waiting:
            self.tally.duplicate += 1
            return True
        self.waiting.append(sample)
        if self.first_us is None:
            self.first_us = sample.time_us
        for name in sample.sensors:
            self.newest_us[name] = max(sample.time_us, self.newest_us.get(name, sample.time_us))
        joined_us = self.joined_us()
        if joined_us is not None:
            self.settle(joined_us - lag_us)
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
                self.run, self.first_us, self.newest_us = None, None, {}
                self.watermark_us, self.landed = None, {ACC: [], GYRO: []}
                self.tally.restarts += 1
                return True
        return False

    def joined_us(self) -> int | None:
        """How far both sensors are, or one of them if the other is absent."""
        assert self.first_us is not None
        if len(self.newest_us) == 2:
            behind, ahead = sorted(self.newest_us.values())
        else:
            behind, (ahead,) = None, self.newest_us.values()
        since_us = self.first_us if behind is None else max(behind, self.first_us)
        return ahead if ahead - since_us > APART_US else behind

    def remembers(self, sample: Sample, watermark_us: int) -> bool:
        """Whether one of the last 128 of its kind, over at most 2.56 s, has this time."""
        known = self.landed[stream_of(sample)] + [
            each.time_us
            for each in self.waiting
            if stream_of(each) == stream_of(sample) and each.time_us <= watermark_us
        ]
        known.sort()
        gaps = [i + 1 for i, dt in enumerate(np.diff(known)) if dt > self.rules.max_gap_us]
        last = known[gaps[-1] if gaps else 0 :][-128:]
        return sample.time_us in last and sample.time_us > watermark_us - 2_560_000

    def settle(self, watermark_us: int) -> None:
        """Move the watermark, never back, and use what waited for it."""
        if self.watermark_us is None or watermark_us > self.watermark_us:
            self.watermark_us = watermark_us
        settled = [each for each in self.waiting if each.time_us <= self.watermark_us]
        self.waiting = [each for each in self.waiting if each.time_us > self.watermark_us]
        for sample in sorted(settled, key=lambda each: (each.time_us, stream_of(each))):
            self.use(sample)

    def flush(self) -> None:
        """Let nothing wait any longer."""
        if self.newest_us:
            self.settle(max(self.newest_us.values()))

    def forget(self, why: Skip) -> None:
        """The end: nothing more will come."""
        self.flush()
        self.skip_open(why)

    def skip_open(self, reason: Skip) -> None:
        if self.run is not None and self.run.open_windows:
            self.tally.skipped[reason] += self.run.open_windows
            self.run.open, self.run.reopening = [], 0

    def use(self, sample: Sample) -> None:
        """The next sample in order."""
        self.tally.used += 1
        self.landed[stream_of(sample)].append(sample.time_us)
        run = self.run
        anew = run is None or self.starts_anew(run, sample)
        if anew:
            self.skip_open(Skip.GAP)
            hop, into_us = self.hop(sample.time_us)
            # A device that starts within a step of a hop's beginning has the window of that hop.
            begun = hop - 1 if into_us < self.shape.step_us else hop
            run = self.run = Run(sample.time_us, begun, {})
            run.crossings = [(sample.time_us, 0, 0, 0)] * 2
        assert run is not None
        for name in sample.sensors:
            run.last_us[name] = sample.time_us
        if not anew:
            self.treat(run, sample)
        self.slot(run, sample)
        run.newest_us = sample.time_us

    def starts_anew(self, run: Run, sample: Sample) -> bool:
        """Whether a sensor has paused for too long, or one comes that was not there."""
        limit_us = min(self.rules.max_gap_us, PRESENT_US)
        for name in (ACC, GYRO):
            if name not in run.last_us:
                early = sample.time_us - run.first_us <= limit_us
                if name in sample.sensors and (run.decided or not early):
                    return True
            else:
                pause_us = sample.time_us - run.last_us[name]
                longest_us = self.rules.max_gap_us if name in sample.sensors else limit_us
                if pause_us > longest_us:
                    return True
        return False

    def treat(self, run: Run, sample: Sample) -> None:
        """Decide whether samples are taken as they come or resampled, from this one on."""
        dt_us = sample.time_us - run.newest_us
        single = len(sample.sensors) == 1
        worth = 1 if single else self.steps(dt_us)
        run.worth += SINGLE if single else worth
        run.count += 1
        run.uneven_us += abs(dt_us - worth * self.shape.step_us)
        off = self.is_off(run, sample.time_us)
        was_decided = run.decided
        if not run.decided and (
            sample.time_us - run.first_us >= self.shape.hop_us or len(run.slots) + worth > HELD
        ):
            run.decided = True
            if off:
                self.rewind(run)
        if self.hop(sample.time_us)[0] > self.hop(run.newest_us)[0]:
            run.crossings.append((sample.time_us, run.worth, run.count, run.uneven_us))
            if was_decided:
                self.switch(run, off)
        if run.decided and single:
            self.switch(run, True)

    def is_off(self, run: Run, at_us: int) -> bool:
        """Whether samples are too fast, slow, few or uneven to be taken as they come."""
        since_us, worth, count, uneven_us = run.crossings[-2]
        nominal_us = (run.worth - worth) * self.shape.step_us
        samples = run.count - count
        return (
            abs(at_us - since_us - nominal_us) * 20 > nominal_us
            or 5 * samples < 3 * (run.worth - worth)
            or run.uneven_us - uneven_us > 4_000 * samples
        )

    def rewind(self, run: Run) -> None:
        """Resample what was held."""
        run.reopening = len(run.open)
        run.resampled, run.slots, run.chains, run.open = True, [], {}, []
        hop, into_us = self.hop(run.first_us)
        run.hop = hop - 1 if into_us < self.shape.step_us else hop
        self.begin_tracks(run, run.first_us)
        for sample in run.held:
            self.resample(run, sample)

    def switch(self, run: Run, resampled: bool) -> None:
        if resampled and not run.resampled:
            last = run.slots[-1]
            self.begin_tracks(run, last.time_us + 1)
            for name, track in run.tracks.items():
                track.take(last.time_us, last.values[CHANNELS[name]], self.shape.step_us)
        run.resampled = resampled

    def begin_tracks(self, run: Run, from_us: int) -> None:
        """The first points are those at or after a time."""
        step_us = self.shape.step_us
        next_us = from_us + (self.phase_us - from_us) % step_us
        run.tracks = {name: Track(next_us) for name in run.last_us}

    def slot(self, run: Run, sample: Sample) -> None:
        """Make slots of a sample."""
        if run.resampled:
            self.resample(run, sample)
            return
        values = np.array(sample.values)
        if not run.decided:
            run.held.append(sample)
        if run.slots:
            last = run.slots[-1]
            dt_us = sample.time_us - last.time_us
            steps = self.steps(dt_us) if len(sample.sensors) == 2 else 1
            for j in range(1, steps):
                between = last.values + (values - last.values) * (j / steps)
                self.land(run, Slot(last.time_us + dt_us * j // steps, between, False))
        self.land(run, Slot(sample.time_us, values, True))

    def steps(self, dt_us: int) -> int:
        step_us = self.shape.step_us
        return max(1, (2 * dt_us + step_us) // (2 * step_us))

    def resample(self, run: Run, sample: Sample) -> None:
        """Give a sample to the tracks of its sensors, and land the slots that are complete."""
        values = np.array(sample.values)
        for name in sample.sensors:
            run.tracks[name].take(sample.time_us, values[CHANNELS[name]], self.shape.step_us)
        while all(track.points for track in run.tracks.values()):
            first = next(iter(run.tracks.values()))
            time_us = first.next_us - len(first.points) * self.shape.step_us
            together, real = np.zeros(6), True
            for name, track in run.tracks.items():
                together[CHANNELS[name]], near = track.points.pop(0)
                real = real and near
            self.land(run, Slot(time_us, together, real))

    def hop(self, time_us: int) -> tuple[int, int]:
        """In which hop of the grid a time lies, and how far from its beginning."""
        return divmod(time_us - self.phase_us, self.shape.hop_us)

    def land(self, run: Run, slot: Slot) -> None:
        """The next slot: it may open a window, begin an epoch, and complete the oldest window."""
        shape = self.shape
        hop, _ = self.hop(slot.time_us)
        index = len(run.slots)
        run.slots.append(slot)
        if not run.resampled and np.isnan(slot.values).any():
            # Held, to be resampled.
            return
        if hop > run.hop:
            run.open.append((hop, index))
            self.tally.opened += run.reopening == 0
            run.reopening = max(0, run.reopening - 1)
            run.hop = hop
        epoch = hop // shape.epoch_hops
        if not run.chains:
            # Whatever it is asked for before the next epoch begins, there is only this chain.
            run.chains[epoch - 1] = run.chains[epoch] = Chain(0, [])
        elif epoch not in run.chains:
            run.chains[epoch] = Chain(index, [])
            run.chains.pop(epoch - 3, None)
        # The sample after the jerk's is the median's.
        if run.open and index == run.open[0][1] + shape.length + 1:
            self.close(run, *run.open.pop(0))

    def close(self, run: Run, hop: int, first: int) -> None:
        """A window has all it needs."""
        shape, slots = self.shape, run.slots
        taken = slots[first : first + shape.length]
        span_us = taken[-1].time_us - taken[0].time_us
        nominal_us = (shape.length - 1) * shape.step_us
        coverage = sum(slot.real for slot in taken) / shape.length
        follows, run.predicted = run.predicted, False
        if abs(span_us - nominal_us) > nominal_us / 16:
            self.tally.skipped[Skip.SAMPLING_RATE] += 1
            return
        if coverage < self.rules.min_coverage:
            self.tally.skipped[Skip.COVERAGE] += 1
            return
        self.tally.closed += 1
        run.predicted = True
        end_hop = hop + shape.length // shape.hop
        chain = run.chains[end_hop // shape.epoch_hops - 1]
        signals = self.signals(run, chain, first, first + shape.length + 1)
        start_us = self.phase_us + hop * shape.hop_us
        warm_us = start_us - slots[chain.first].time_us
        settled = warm_us >= shape.settled_us
        self.tally.unsettled += not settled
        self.windows.append(
            Window(
                self.device_id,
                start_us,
                coverage,
                settled,
                follows,
                GYRO in run.last_us,
                signals.tobytes(),
            )
        )

    def signals(self, run: Run, chain: Chain, first: int, end: int) -> Floats:
        """What the chain makes of the slots from first to end."""
        filtered = chain.first + len(chain.signals)
        medians = [self.median(run, index) for index in range(filtered, end)]
        if medians:
            samples = np.stack(medians, axis=1)[None]
            state = state_at_rest(samples[:, :, 0]) if chain.state is None else chain.state
            signals, chain.state = advance(state, samples)
            chain.signals += list(signals[0].T)
        return np.stack(chain.signals[first - chain.first : end - chain.first], axis=1)

    def median(self, run: Run, index: int) -> Floats:
        """The median-filtered slot; the first one has itself before it."""
        around = [run.slots[max(0, index - 1)], run.slots[index], run.slots[index + 1]]
        return median3(np.stack([slot.values for slot in around], axis=1))[:, 0]


def stream_of(sample: Sample) -> str:
    """Whose order a sample keeps: a gyroscope that comes by itself has its own."""
    return ACC if ACC in sample.sensors else GYRO


@dataclass
class Lead:
    """A device ahead of the partition clock."""

    device_id: str
    begin_us: int
    reached_us: int


class Clock:
    """The partition clock, see `streamer.stream.clock`."""

    def __init__(self, idle_us: int) -> None:
        self.idle_us = idle_us
        self.us = -(10**19)
        self.lead: Lead | None = None

    @property
    def now_us(self) -> int:
        if self.us > -(10**18):
            return self.us
        return self.lead.reached_us if self.lead else self.us

    @property
    def near_us(self) -> int:
        """Two devices move the clock so far."""
        return self.us + self.idle_us // 2

    @property
    def doubt(self) -> bool:
        return self.lead is not None and self.lead.reached_us > self.near_us

    def take(self, record: Record) -> bool:
        """Take in the next record; say whether a doubt ends with it."""
        was_in_doubt = self.doubt
        if record.appended:
            self.us, self.lead = max(self.us, record.clock_us), None
        elif record.clock_us > self.us:
            self.follow(record.device_id if record.samples else "", record.clock_us)
        return was_in_doubt and not self.doubt

    def follow(self, device_id: str, stamp_us: int) -> None:
        """Take in a timestamp after the clock."""
        lead, ours = self.lead, Lead(device_id, stamp_us, stamp_us)
        if lead is None:
            self.lead = ours
            return
        both_us = min(stamp_us, lead.reached_us)
        if lead.device_id != device_id and both_us <= self.near_us:
            was_in_doubt = self.doubt
            self.us = both_us
            lead.begin_us = lead.reached_us
            is_ahead = lead.reached_us > both_us and not was_in_doubt
            self.lead = ours if stamp_us > both_us else lead if is_ahead else None
        elif stamp_us < lead.begin_us:
            self.lead = ours
        else:
            furthest_us = max(self.near_us, lead.reached_us + self.idle_us // 60)
            lead.reached_us = max(lead.reached_us, min(stamp_us, furthest_us))
            if lead.reached_us - max(lead.begin_us, self.near_us) > self.idle_us:
                self.us, self.lead = lead.reached_us, None


class ReferencePartition:
    """All devices of a partition."""

    def __init__(self, rules: Rules, shape: WindowShape) -> None:
        self.rules = rules
        self.shape = shape
        self.clock = Clock(rules.idle_us)
        self.devices: dict[str, Device] = {}
        """The least recently seen first."""
        self.tally = Tally()
        self.windows: dict[str, list[Window]] = {}
        """By device, in the order in which they closed."""
        self.late: set[tuple[int, int]] = set()
        """Offset of the record, and which of its samples."""
        self.in_doubt: dict[str, Device] = {}
        """Those that have sent a record in the present doubt."""

    def push(self, record: Record) -> None:
        """Take in one record."""
        if self.clock.take(record):
            for device in self.in_doubt.values():
                device.seen_us = self.clock.us
            self.in_doubt = {}
        for device in list(self.devices.values()):
            if device.seen_us is not None and self.clock.us - device.seen_us > self.rules.idle_us:
                self.forget(device)
        if not record.samples:
            return
        known = record.device_id in self.devices
        device = self.devices.pop(record.device_id) if known else self.device(record.device_id)
        self.devices[record.device_id] = device
        device.clock_us = self.clock.now_us
        device.seen_us = None if self.clock.doubt else self.clock.us
        if self.clock.doubt:
            self.in_doubt[record.device_id] = device
        for index, sample in enumerate(record.samples):
            if not device.take(sample):
                self.late.add((record.offset, index))
        if len(self.devices) > self.rules.max_devices:
            self.tally.pushed_out += 1
            self.forget(next(iter(self.devices.values())), Skip.CROWDED)

    def forget(self, device: Device, why: Skip = Skip.IDLE) -> None:
        """The device is gone; its next record begins another life."""
        device.forget(why)
        del self.devices[device.device_id]

    def device(self, device_id: str) -> Device:
        """A new life of a device."""
        device = Device(device_id, self.rules, self.shape, self.tally)
        device.windows = self.windows.setdefault(device_id, [])
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
        return sum(device.run.open_windows for device in self.devices.values() if device.run)
