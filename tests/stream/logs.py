"""Messy logs of several devices."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np
from hypothesis import strategies as st

from streamer.features.window_shape import WINDOW
from streamer.stream.rules import Rules
from tests.stream.reference import Record, Sample

SHORT_EPOCHS = replace(WINDOW, epoch_hops=4, settled_us=5_000_000)
"""Epochs of 5.12 s, so that a short log has many of them."""

RATES = [
    *(80_000, 40_000, 30_000, 29_999, 21_100, 20_900, 19_100, 18_900, 16_000),
    *(15_000, 14_999, 10_000, 5_000, 1_000, 200),
]
"""Steps in time that are not the usual one: from 12.5 Hz to more than anybody samples."""

START_US = 1_763_906_400_000_000
STEP_US = 20_000


def samples(times_us: Iterable[int], rng: np.random.Generator | None = None) -> tuple[Sample, ...]:
    """Samples of a device that is moved at random about 1 g, some of them zero or minus zero."""
    rng = rng or np.random.default_rng(0)
    return tuple(
        Sample(
            int(time_us), tuple((rng.normal(size=6) * 0.1 + (1, 0, 0, 0, 0, 0)).round(2).tolist())
        )
        for time_us in times_us
    )


def regular(
    device_id: str,
    start_us: int,
    count: int,
    *,
    step_us: int = STEP_US,
    per_record: int = 1,
    first_offset: int = 0,
    seed: int = 0,
) -> list[Record]:
    """A device that publishes at a steady rate, each record as soon as it is complete."""
    taken = samples(
        range(start_us, start_us + count * step_us, step_us), np.random.default_rng(seed)
    )
    return [
        Record(first_offset + i, part[-1].time_us, device_id, part)
        for i, part in enumerate(
            taken[j : j + per_record] for j in range(0, len(taken), per_record)
        )
    ]


def renumbered(records: Iterable[Record]) -> list[Record]:
    """The same records with offsets 0, 1, 2 and so on."""
    return [replace(record, offset=offset) for offset, record in enumerate(records)]


RULES = st.builds(
    Rules,
    max_gap_us=st.sampled_from([100_000, 100_000, 35_000, 1_500_000]),
    lateness_us=st.sampled_from([0, 0, 40_000, 250_000, 3_000_000]),
    idle_us=st.sampled_from([1_000_000, 4_000_000, 60_000_000]),
    patience_us=st.sampled_from([5_000_000, 1_000_000, 300_000]),
    min_coverage=st.sampled_from([0.8, 0.0, 0.97]),
    max_devices=st.sampled_from([100, 100, 2, 1]),
)


@dataclass(frozen=True)
class Steady:
    """Samples at some rate, published in records of some size."""

    count: int
    step_us: int
    jitter_us: int
    lost: float
    per_record: int
    sensors: str = "both"
    """Both in each sample, "acc" or "gyro" alone, or "apart": records of each in turn."""


@dataclass(frozen=True)
class Pause:
    """The device's clock goes on, or back, without samples; so may the partition's."""

    device_us: int
    partition_us: int


@dataclass(frozen=True)
class Again:
    """The newest samples are sent again."""

    count: int
    back: int


@dataclass(frozen=True)
class Shuffle:
    """The newest records come in another order."""

    count: int


@dataclass(frozen=True)
class Stray:
    """A sample of another time, as from a queue that was stuck."""

    behind_us: int


@dataclass(frozen=True)
class Reject:
    """A record without any sample that counts."""

    partition_us: int


@dataclass(frozen=True)
class Ahead:
    """A wrong clock: records whose producer's timestamp is ahead, each as much as the one before.

    The broker would not believe it, so these records have the broker's timestamp where all have.
    """

    count: int
    ahead_us: int


Act = Steady | Pause | Again | Shuffle | Stray | Reject | Ahead


def acts(rules: Rules) -> st.SearchStrategy[Act]:
    """What a device may do, close to the limits of the rules."""
    gap, late, idle = rules.max_gap_us, rules.lateness_us, rules.idle_us
    near_gap = [gap + d for d in (-STEP_US, -1, 0, 1, STEP_US)]
    near_late = [max(0, late + d) for d in (-STEP_US, -1, 0, 1, STEP_US)]
    near_idle = [idle + d for d in (-1, 0, 1)] + [3 * idle]
    steady = st.builds(
        Steady,
        count=st.sampled_from([1, 2, 40, 140, 300, 300, 700, 700]),
        step_us=st.sampled_from([20_000] * 10 + RATES),
        jitter_us=st.sampled_from([0, 0, 0, 0, 3_000, 9_000, 45_000]),
        lost=st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.15]),
        per_record=st.sampled_from([1, 1, 7, 50, 500]),
        sensors=st.sampled_from(["both"] * 6 + ["apart", "apart", "apart", "acc", "gyro"]),
    )
    pause = st.builds(
        Pause,
        device_us=st.sampled_from(
            [30_000, 90_000, *near_gap, 1_280_000, 5_120_000, 41_000_000, 0, -500_000, -10_000_000]
        ),
        partition_us=st.sampled_from([0, 0, *near_idle]),
    )
    again = st.builds(
        Again, count=st.sampled_from([1, 3, 30, 128]), back=st.sampled_from([0, 1, 60, 127, 130])
    )
    stray = st.builds(Stray, behind_us=st.sampled_from([*near_late, 500_000, 2_560_000, 2_560_001]))
    return st.one_of(
        steady,
        steady,
        steady,
        steady,
        pause,
        again,
        st.builds(Shuffle, st.integers(2, 30)),
        stray,
        st.builds(Reject, st.sampled_from([0, *near_idle])),
        st.builds(
            Ahead,
            count=st.sampled_from([1, 1, 2, 6]),
            ahead_us=st.sampled_from([idle // 4, idle // 4 + 6_000, idle, 60 * idle]),
        ),
    )


@dataclass
class Publisher:
    """Turns what a device does into its records."""

    device_id: str
    now_us: int
    rng: np.random.Generator
    sent: list[Sample] = field(default_factory=list)
    records: list[tuple[int, tuple[Sample, ...], int]] = field(default_factory=list)
    """How far the partition clock goes on, what is published then, and how far ahead its stamp."""

    def publish(self, forward_us: int, taken: tuple[Sample, ...], ahead_us: int = 0) -> None:
        self.records.append((forward_us, taken, ahead_us))

    def perform(self, act: Act) -> None:
        match act:
            case Steady():
                self._steady(act)
            case Pause(device_us, partition_us):
                self.now_us += device_us
                self.publish(partition_us, ())
            case Again(count, back):
                end = max(0, len(self.sent) - back)
                self.publish(0, tuple(self.sent[max(0, end - count) : end]))
            case Shuffle(count):
                tail = self.records[-count:]
                self.records[-count:] = [tail[i] for i in self.rng.permutation(len(tail))]
            case Stray(behind_us):
                newest = self.sent[-1].time_us if self.sent else self.now_us
                self.publish(0, samples([newest - behind_us], self.rng))
            case Ahead(count, ahead_us):
                newest = self.sent[-1].time_us if self.sent else self.now_us
                for i in range(count):
                    self.publish(0, samples([newest + i * STEP_US], self.rng), ahead_us)
            case Reject(partition_us):
                self.publish(partition_us, ())

    def _steady(self, act: Steady) -> None:
        begin_us, self.now_us = self.now_us, self.now_us + act.count * act.step_us
        kinds = ["acc", "gyro"] if act.sensors == "apart" else [act.sensors]
        parts = []
        for number, kind in enumerate(kinds):
            times = begin_us + 7_000 * number + np.arange(act.count) * act.step_us
            times += self.rng.integers(-act.jitter_us, act.jitter_us + 1, act.count)
            times = times[self.rng.random(act.count) >= act.lost]
            taken = tuple(only(kind, each) for each in samples(times.tolist(), self.rng))
            self.sent += taken
            parts.append(
                [taken[i : i + act.per_record] for i in range(0, len(taken), act.per_record)]
            )
        for together in zip_longest(*parts):
            for part in filter(None, together):
                self.publish(len(part) * act.step_us // len(kinds), part)


def only(sensors: str, sample: Sample) -> Sample:
    """The sample with NaN for a sensor that it is not of."""
    keeps = {"acc": (True, False), "gyro": (False, True), "both": (True, True)}[sensors]
    values = tuple(
        value if keeps[channel // 3] else math.nan for channel, value in enumerate(sample.values)
    )
    return replace(sample, values=values)


@st.composite
def logs(draw: st.DrawFn, rules: Rules, devices: int = 3, most_acts: int = 8) -> list[Record]:
    """A log of one partition."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    publishers = []
    for number in range(draw(st.integers(1, devices))):
        start_us = START_US + draw(st.sampled_from([0, 1_000, 639_000, 5_119_000, 123_456_789]))
        publisher = Publisher(f"device-{number}", start_us, rng)
        # Something to disturb first.
        publisher.perform(Steady(draw(st.sampled_from([200, 400, 900])), STEP_US, 0, 0.0, 5))
        for act in draw(st.lists(acts(rules), min_size=1, max_size=most_acts)):
            publisher.perform(act)
        publishers.append(publisher)
    # Devices run side by side, so each of them moves the clock only by its share.
    turns = rng.permutation(
        np.repeat(np.arange(len(publishers)), [len(each.records) for each in publishers])
    )
    queues = [iter(publisher.records) for publisher in publishers]
    clock_us = START_US
    # All timestamps are the broker's, or the producers', or each record's as it comes.
    appended = draw(st.sampled_from([1.0, 0.0, 0.0, 0.5]))
    records = []
    for offset, turn in enumerate(turns.tolist()):
        forward_us, taken, ahead_us = next(queues[turn])
        clock_us += forward_us // len(publishers) if taken else forward_us
        # Kafka's timestamps may go back a little; the partition clock does not.
        stamp_us = clock_us - int(rng.integers(0, 3)) * 5_000
        is_appended = bool(rng.random() < appended)
        stamp_us += 0 if is_appended else ahead_us
        records.append(Record(offset, stamp_us, f"device-{turn}", taken, is_appended))
    return records


SIZES = st.lists(st.sampled_from([1, 1, 2, 3, 10, 64, 200, 5_000]), min_size=1, max_size=6)
"""Sizes of the batches that a log is cut into."""
