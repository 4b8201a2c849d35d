"""What the program makes of a log, in a form that compares with the reference."""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from streamer.features.window_shape import WindowShape
from streamer.stream.clock import START, PartitionClock
from streamer.stream.partition import PartitionWindows, PushResult, find_senders
from streamer.stream.rules import Rules
from streamer.stream.samples import Samples
from streamer.stream.windows import ClosedWindows
from tests.stream.reference import Record, ReferencePartition, Window


def batch(records: Sequence[Record]) -> Samples:
    """The columns of some records."""
    samples = [sample for record in records for sample in record.samples]
    sizes = [len(record.samples) for record in records]
    device_ids = list(dict.fromkeys(record.device_id for record in records))
    index = [device_ids.index(record.device_id) for record in records]
    return Samples(
        device_ids,
        np.repeat(np.array(index, np.int64), sizes),
        np.array([sample.time_us for sample in samples], np.int64),
        np.array([sample.values for sample in samples], np.float64).reshape(-1, 6),
        np.repeat(np.arange(len(records)), sizes),
        np.array([record.offset for record in records], np.int64),
        np.array([record.clock_us for record in records], np.int64),
        np.array([record.appended for record in records], np.bool_),
    )


@dataclass
class Result:
    """What came out, comparable to the last bit."""

    windows: dict[str, list[Window]] = field(default_factory=dict)
    """By device, in the order in which they closed."""
    late: set[tuple[int, int]] = field(default_factory=set)
    """Offset of the record, and which of its samples."""

    def extend(self, other: "Result") -> None:
        """These, then those."""
        for device_id, windows in other.windows.items():
            self.windows.setdefault(device_id, []).extend(windows)
        self.late |= other.late

    def add(self, parts: Iterable[ClosedWindows]) -> None:
        """Windows as the program returns them."""
        for part in parts:
            for i, device_id in enumerate(part.device_ids):
                self.windows.setdefault(device_id, []).append(
                    Window(
                        device_id,
                        int(part.start_us[i]),
                        float(part.coverage[i]),
                        bool(part.settled[i]),
                        bool(part.follows[i]),
                        bool(part.gyroscope[i]),
                        part.signals[i].tobytes(),
                    )
                )


def push(partition: PartitionWindows, records: Sequence[Record], result: Result) -> PushResult:
    """Push records as one batch, add what comes out to a result, and return it."""
    outcome = partition.push(batch(records))
    result.add(outcome.windows)
    places = [(record.offset, index) for record in records for index in range(len(record.samples))]
    result.late |= {places[i] for i in outcome.late.tolist()}
    return outcome


def cut(records: Sequence[Record], sizes: Sequence[int]) -> list[Sequence[Record]]:
    """The records in batches of these sizes, again and again."""
    batches: list[Sequence[Record]] = []
    begin = 0
    while begin < len(records):
        size = sizes[len(batches) % len(sizes)]
        batches.append(records[begin : begin + size])
        begin += size
    return batches


def clock_before(records: Sequence[Record], offset: int, rules: Rules) -> PartitionClock:
    """The partition clock before a record."""
    before = [record for record in records if record.offset < offset]
    columns = batch(before)
    senders = find_senders(columns)
    return START.follow(columns.stamp_us, senders, columns.appended, rules.idle_us).after


def take_in(
    partition: PartitionWindows,
    log: Sequence[Record],
    begin: int,
    end: int,
    sizes: Sequence[int] = (1,),
    flushed: AbstractSet[int] = frozenset(),
    see: Callable[[PushResult], object] = lambda _: None,
) -> Result:
    """Push the records from ``begin`` to ``end``, and flush after as many as ``flushed`` says.

    Whatever comes out is shown to ``see``.
    """
    result = Result()
    stops = sorted({begin, end} | {stop for stop in flushed if begin < stop <= end})
    for first, last in pairwise(stops):
        for records in cut(log[first:last], sizes):
            see(push(partition, records, result))
        if last in flushed:
            outcome = partition.flush()
            result.add(outcome.windows)
            see(outcome)
    return result


def recovered(
    rules: Rules,
    shape: WindowShape,
    log: Sequence[Record],
    crashed: PartitionWindows,
    at: int,
    sizes: Sequence[int] = (1,),
    flushed: AbstractSet[int] = frozenset(),
) -> PartitionWindows:
    """Another partition, built from the records that the crashed one still needed."""
    low = at if crashed.low is None else crashed.low
    fresh = PartitionWindows(rules, shape, clock_before(log, low, rules))
    take_in(fresh, log, low, at, sizes, flushed)
    return fresh


def assert_crash_changes_nothing(
    rules: Rules,
    shape: WindowShape,
    log: Sequence[Record],
    crash: int,
    sizes: Sequence[int],
    other_sizes: Sequence[int],
) -> None:
    """Whoever takes over after a crash goes on as the one that did not crash."""
    whole = PartitionWindows(rules, shape)
    take_in(whole, log, 0, crash, sizes)
    second = recovered(rules, shape, log, whole, crash, other_sizes)
    wanted = take_in(whole, log, crash, len(log), sizes)
    assert take_in(second, log, crash, len(log), other_sizes) == wanted


def assert_agrees(
    rules: Rules,
    shape: WindowShape,
    log: Sequence[Record],
    sizes: Sequence[int],
    flushed: AbstractSet[int] = frozenset(),
) -> None:
    """The program makes of a log what the reference makes of it, and counts the same."""
    fast = PartitionWindows(rules, shape)
    result = take_in(fast, log, 0, len(log), sizes, flushed)
    slow = ReferencePartition(rules, shape)
    for count, record in enumerate(log, start=1):
        slow.push(record)
        if count in flushed:
            slow.flush()
    assert result.windows == {device: each for device, each in slow.windows.items() if each}
    assert result.late == slow.late
    assert fast.tally == slow.tally
    assert (fast.devices, fast.waiting) == (len(slow.devices), slow.waiting)
    assert fast.open_windows == slow.open_windows
