"""Any interleaving of records, flushes, commits and crashes: as if nothing had happened."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streamer.stream.partition import PartitionWindows
from streamer.stream.position import Position, ReplayStart
from streamer.stream.rebuilt import Rebuilt
from streamer.stream.rules import Rules
from tests.stream.logs import RULES, SHORT_EPOCHS, SIZES, START_US, STEP_US, Publisher, Steady, acts
from tests.stream.reference import Record
from tests.stream.runs import Result, cut, push, take_in
from tests.stream.segment_log import SegmentLog


class Worker(RuleBasedStateMachine):
    """A partition, the worker that has it, and what that worker has committed.

    A crash throws away all but the log, the committed position (as its text) and what was
    published with it.
    """

    @initialize(
        rules=RULES, seed=st.integers(0, 2**32 - 1), appended=st.sampled_from([1.0, 0.0, 0.0, 0.5])
    )
    def begin(self, rules: Rules, seed: int, appended: float) -> None:
        self.limits = rules
        self.appended = appended
        self.rng = np.random.default_rng(seed)
        self.log: list[Record] = []
        self.clock_us = START_US
        self.devices: dict[str, Publisher] = {}
        self.flushes: set[int] = set()
        self.committed = (0, Position(0, 0).metadata(), frozenset[int]())
        self.published = Result()
        self.segments = SegmentLog()
        self._start(Position(0, 0))

    def _start(self, position: Position) -> None:
        self.partition = PartitionWindows(self.limits, SHORT_EPOCHS, position.clock)
        self.replay_start = ReplayStart(position)
        self.next = position.next
        self.pending = Result()
        self.segments.crash()

    def _process(self, sizes: list[int]) -> None:
        for records in cut(self.log[self.next :], sizes):
            self.segments.add(push(self.partition, records, self.pending))
            self.next = records[-1].offset + 1
            self.replay_start.processed(self.next, self.partition.clock)

    @rule(data=st.data(), device=st.sampled_from("abc"), sizes=SIZES)
    def a_device_does_something(self, data: st.DataObject, device: str, sizes: list[int]) -> None:
        if device not in self.devices:
            start_us = self.clock_us + data.draw(st.sampled_from([0, 1_000, 639_000]))
            self.devices[device] = Publisher(device, start_us, self.rng)
            self.devices[device].perform(Steady(200, STEP_US, 0, 0.0, 5))
        publisher = self.devices[device]
        publisher.perform(data.draw(acts(self.limits)))
        for forward_us, samples, ahead_us in publisher.records:
            self.clock_us += forward_us
            # Kafka's timestamps may go back; the partition clock does not.
            stamp_us = self.clock_us - int(self.rng.choice([0, 0, 5_000, 2_000_000]))
            is_appended = bool(self.rng.random() < self.appended)
            stamp_us += 0 if is_appended else ahead_us
            self.log.append(Record(len(self.log), stamp_us, device, samples, is_appended))
        publisher.records.clear()
        self._process(sizes)

    @precondition(lambda self: self.next > 0)
    @rule()
    def no_sample_waits_any_longer(self) -> None:
        self.flushes.add(self.next)
        self.replay_start.flushed(self.next)
        outcome = self.partition.flush()
        self.pending.add(outcome.windows)
        self.segments.add(outcome)

    @rule()
    def it_commits(self) -> None:
        position = self.replay_start.position(self.partition.low, self.next)
        self.committed = position.low, position.metadata(), frozenset(self.flushes)
        self.published.extend(self.pending)
        self.pending = Result()
        self.segments.commit()

    @rule(sizes=SIZES, other_sizes=SIZES)
    def it_crashes_and_recovers(self, sizes: list[int], other_sizes: list[int]) -> None:
        low, metadata, flushes = self.committed
        position = Position.parse(low, metadata)
        self.flushes = set(flushes)
        self._start(position)
        start, rebuilt = position.low, Rebuilt()
        for end in sorted({*position.flushed, position.next}):
            for records in cut(self.log[start:end], sizes):
                rebuilt.add(push(self.partition, records, Result()))
                self.replay_start.processed(records[-1].offset + 1, self.partition.clock)
            if end in position.flushed:
                rebuilt.add(self.partition.flush())
            start = end
        self.segments.recover(rebuilt)
        self._process(other_sizes)

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        self.it_commits()
        whole, segments = PartitionWindows(self.limits, SHORT_EPOCHS), SegmentLog()
        wanted = take_in(
            whole, self.log, 0, len(self.log), [len(self.log) or 1], self.flushes, segments.add
        )
        segments.commit()
        assert self.segments.published == segments.published
        assert self.published.windows == wanted.windows
        assert self.published.late == wanted.late
        assert (self.partition.devices, self.partition.waiting) == (whole.devices, whole.waiting)


def test_commits_crashes_and_recoveries_at_any_time_do_not_change_the_output() -> None:
    run_state_machine_as_test(
        Worker, settings=settings(max_examples=100, stateful_step_count=25, deadline=None)
    )
