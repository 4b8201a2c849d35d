"""Every sample and every window is counted once."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.features.window_shape import WINDOW
from streamer.stream.accounting import Skip
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import RULES, SHORT_EPOCHS, SIZES, START_US, logs, regular
from tests.stream.reference import Record
from tests.stream.runs import Result, cut, push, take_in

IDLE_US = Rules().idle_us


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_counts_balance_after_every_batch(data: st.DataObject) -> None:
    rules = data.draw(RULES)
    log = data.draw(logs(rules))
    partition, result, pushed = PartitionWindows(rules, SHORT_EPOCHS), Result(), 0
    for records in cut(log, data.draw(SIZES)):
        push(partition, records, result)
        pushed += sum(len(record.samples) for record in records)
        tally = partition.tally
        assert pushed == tally.used + tally.late + tally.duplicate + partition.waiting
        open_windows = partition.open_windows
        assert tally.opened == tally.closed + tally.skipped.total() + open_windows
    assert partition.tally.closed == sum(map(len, result.windows.values()))
    assert partition.tally.late == len(result.late)
    settled = [window.settled for windows in result.windows.values() for window in windows]
    assert partition.tally.unsettled == settled.count(False)


def test_a_silent_device_closes_its_complete_windows_and_skips_the_others() -> None:
    # samples          0 ........... 200, of which none has passed the watermark by much
    # partition clock  0 ........... 4 s ............... 64 s, from a record of nobody
    # windows          1 complete, 2 not
    rules = Rules(lateness_us=10_000_000)
    partition = PartitionWindows(rules, WINDOW)
    log = regular("a", START_US, 200)
    take_in(partition, log, 0, 200, [200])
    assert (partition.tally.used, partition.waiting) == (0, 200)
    result = Result()
    silence = Record(200, log[-1].clock_us + IDLE_US + 1, "b", ())
    push(partition, [silence], result)
    assert len(result.windows["a"]) == 1
    assert partition.tally.skipped == {Skip.IDLE: partition.tally.opened - 1}
    assert (partition.devices, partition.waiting, partition.open_windows) == (0, 0, 0)


def test_windows_of_an_earlier_life_do_not_stay_open_while_the_new_one_waits() -> None:
    partition = PartitionWindows(Rules(lateness_us=10_000_000), WINDOW)
    old = regular("a", START_US, 100)
    (new,) = regular("a", START_US + 2 * IDLE_US, 1, first_offset=100)
    take_in(partition, [*old, new], 0, 101, [101])
    assert partition.open_windows == 0
    assert partition.waiting == 1


def test_a_count_that_was_taken_starts_at_zero_and_open_windows_stay_open() -> None:
    partition = PartitionWindows(Rules(), WINDOW)
    log = regular("a", START_US, 1_000)
    take_in(partition, log, 0, 500, [500])
    open_before = partition.open_windows
    first = partition.take_tally()
    assert partition.tally.used == 0
    take_in(partition, log, 500, 1_000, [500])
    second = partition.take_tally()
    assert first.used + second.used == 1_000
    assert open_before > 0
    assert open_before + second.opened - second.closed == partition.open_windows


@pytest.mark.parametrize(("silence_us", "lives"), [(IDLE_US, 1), (IDLE_US + 1, 2)])
@pytest.mark.parametrize("batch", [1, 300])
def test_silence_is_measured_by_the_partition_clock_to_the_microsecond(
    silence_us: int, lives: int, batch: int
) -> None:
    # partition clock  0 ... 2 s              62 s ...
    # samples          0 ... 100              101 ... 300, as if there had been no silence
    log = regular("a", START_US, 300)
    back_us = log[99].clock_us + silence_us
    log[100:] = [replace(record, clock_us=back_us) for record in log[100:]]
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, log, 0, 300, [batch])
    assert (partition.tally.skipped[Skip.IDLE] > 0) is (lives == 2)


def test_a_device_is_forgotten_when_another_ones_record_moves_the_clock() -> None:
    log = regular("a", START_US, 10)
    at_limit = Record(10, log[-1].clock_us + IDLE_US, "b", ())
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, [*log, at_limit], 0, 11, [1])
    assert partition.devices == 1
    push(partition, [replace(at_limit, offset=11, clock_us=at_limit.clock_us + 1)], Result())
    assert partition.devices == 0
