"""The partition clock follows the time, and one wrong clock neither moves nor stops it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.arrays import Ints
from streamer.features.window_shape import WINDOW
from streamer.stream.clock import IN_DOUBT, START, Followed, PartitionClock
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from streamer.stream.samples import NEVER
from tests.stream.logs import START_US, regular, renumbered, samples
from tests.stream.reference import Record
from tests.stream.runs import Result, assert_agrees, batch, push, take_in

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
IDLE_US = 60 * SECOND_US


def follow(
    clock: PartitionClock,
    stamps_s: Sequence[float],
    senders: Sequence[int] | int = 1,
    appended: bool = False,
) -> Followed:
    """The clock at records with these timestamps."""
    stamps = np.array([round(each * SECOND_US) for each in stamps_s], np.int64)
    sender = np.broadcast_to(np.array(senders, np.int64), stamps.shape).copy()
    return clock.follow(stamps, sender, np.full(len(stamps), appended), IDLE_US)


def in_seconds(times_us: Ints) -> list[float]:
    return [each / SECOND_US for each in times_us.tolist()]


def created(records: list[Record]) -> list[Record]:
    """The same records, with timestamps of their producers."""
    return [replace(record, appended=False) for record in records]


def test_timestamps_of_the_broker_are_the_time() -> None:
    # stamp   5   9   7   12   4000
    # clock   5   9   9   12   4000
    followed = follow(START, [5, 9, 7, 12, 4_000], appended=True)
    assert in_seconds(followed.clock_us) == [5, 9, 9, 12, 4_000]
    assert followed.seen_us.tolist() == followed.clock_us.tolist()
    assert followed.after == PartitionClock(4_000 * SECOND_US)


def test_one_record_ahead_of_the_others_does_not_move_the_clock() -> None:
    # sender    1      2     1
    # stamp   100   3700   101
    # clock   100    100   101
    followed = follow(PartitionClock(100 * SECOND_US), [100, 3_700, 101], [1, 2, 1])
    assert in_seconds(followed.clock_us) == [100, 100, 101]
    assert in_seconds(followed.seen_us) == [100, 101, 101]
    assert followed.ahead.tolist() == [False, True, False]


@pytest.mark.parametrize("senders", [[1], [1, 2]])
def test_after_a_silence_of_all_devices_the_clock_continues_if_no_record_contradicts_it(
    senders: list[int],
) -> None:
    # stamp   100 | 3700 3701 ... 3760 | 3761
    # clock   100 |  100  100 ...  100 | 3761
    clock = PartitionClock(100 * SECOND_US)
    followed = follow(clock, [100, *range(3_700, 3_763)], (64 * senders)[:64])
    assert in_seconds(followed.clock_us) == [100] * 62 + [3_761, 3_761]
    assert in_seconds(followed.seen_us)[1:62] == [3_761] * 61
    assert not followed.ahead.any()


def test_the_first_record_of_a_partition_may_have_a_wrong_clock() -> None:
    # sender     1 |   2   2       2
    # stamp   3700 | 100 101 ... 161
    # clock   3700 | 100 101 ... 161
    followed = follow(START, [3_700, *range(100, 162)], [1] + [2] * 62)
    assert in_seconds(followed.clock_us) == [3_700, *range(100, 162)]
    assert followed.after == PartitionClock(161 * SECOND_US)


@given(st.data())
def test_the_clock_is_the_same_in_any_batches_and_through_its_text(data: st.DataObject) -> None:
    stamp = st.sampled_from([0, 5, 14, 15, 16, 59, 61, 76, 100, 3_600, 3_620, 3_661, 9_999])
    stamps = data.draw(st.lists(stamp, min_size=1, max_size=30))
    appended = np.array(data.draw(st.lists(st.booleans(), min_size=30, max_size=30)))
    senders = st.lists(st.integers(-1, 2), min_size=30, max_size=30)
    sender = np.array(data.draw(senders), np.int64)[: len(stamps)]
    stamp_us = np.array(stamps, np.int64) * SECOND_US
    whole = START.follow(stamp_us, sender, appended[: len(stamps)], IDLE_US)
    cuts = data.draw(st.sets(st.integers(1, len(stamps)))) | {0, len(stamps)}

    clock, found, seen = START, list[int](), list[int]()
    for begin, end in pairwise(sorted(cuts)):
        part = clock.follow(stamp_us[begin:end], sender[begin:end], appended[begin:end], IDLE_US)
        if part.resolved_us != NEVER:
            seen = [part.resolved_us if each == IN_DOUBT else each for each in seen]
        found += part.clock_us.tolist()
        seen += part.seen_us.tolist()
        clock = PartitionClock.parse(part.after.as_text())
    assert (found, seen, clock) == (whole.clock_us.tolist(), whole.seen_us.tolist(), whole.after)


# honest devices   1     2       1        2 ...      each further than the one before, by up to 7 s
# a wrong one       * *** ** ***   * *****           any timestamps, at most 50 in a row
@given(st.data())
def test_one_device_with_wrong_timestamps_does_not_move_the_clock(data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(1, 7), min_size=2, max_size=20))
    wild = st.one_of(st.integers(-100, 5_000), st.sampled_from([10, 14, 20, 29, 30, 31, 59, 3_600]))
    runs = st.lists(wild, max_size=5) | st.builds(
        lambda begin, step: [begin + step * k for k in range(50)], wild, st.integers(0, 40)
    )
    honest_s = 1_000
    stamps, senders, newest = [1_000], [1], [1_000]
    agreed = [1_000]
    for turn, step in enumerate(steps):
        wrong = [honest_s + each for each in data.draw(runs)]
        before_s, honest_s = honest_s, honest_s + step
        stamps += [*wrong, honest_s]
        senders += [9] * len(wrong) + [1 + turn % 2]
        newest += [before_s] * len(wrong) + [honest_s]
        agreed += [agreed[-1]] * len(wrong) + [before_s]
    followed = follow(PartitionClock(1_000 * SECOND_US), stamps, senders)
    clock_s = followed.clock_us // SECOND_US
    assert (np.array(agreed) <= clock_s).all()
    assert (clock_s <= np.array(newest)).all()


# one device alone    100   114   128   142 ...     14 s further with each record
def test_one_device_cannot_move_the_clock_little_by_little() -> None:
    clock = PartitionClock(100 * SECOND_US)
    followed = follow(clock, [100 + 14 * k for k in range(50)])
    assert set(in_seconds(followed.clock_us)) == {100}
    # The next record of another device tells what is true.
    followed = follow(followed.after, [103], [2])
    assert in_seconds(followed.clock_us) == [103]


def test_a_device_that_is_alone_moves_the_clock_in_the_end() -> None:
    # Otherwise the partition would remember silent devices for as long as it is alone.
    followed = follow(PartitionClock(100 * SECOND_US), [100 + k for k in range(3_600)])
    assert 3_600 - 130 < in_seconds(followed.clock_us)[-1] <= 3_700
    assert not followed.ahead.any()


# stuck        50 50 50 50 ...        a clock that stands still
# here        |~~~~~~|        |~~~~~~~~~~~~~~~~~~|        everybody else is silent for an hour
def test_a_device_whose_clock_stands_still_does_not_stop_the_partition_clock() -> None:
    stamps = [each for k in range(120) for each in (50, 3_700 + k)]
    followed = follow(PartitionClock(100 * SECOND_US), stamps, [9, 1] * 120)
    assert in_seconds(followed.clock_us)[-1] > 3_760


# honest devices   |~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~|
# two devices of   |            ===                    |   both ahead by an hour
# one publisher
def test_devices_of_one_publisher_that_are_an_hour_ahead_are_contradicted_by_the_others() -> None:
    stamps = [each for k in range(300) for each in (100 + k, 3_700 + k, 3_701 + k, 100.5 + k)]
    followed = follow(PartitionClock(99 * SECOND_US), stamps, [1, 7, 8, 2] * 300)
    assert in_seconds(followed.clock_us)[-1] == 399.5
    assert followed.ahead.sum() == 600


@pytest.mark.parametrize("wrong_records", [1, 200])
def test_one_wrong_clock_does_not_make_a_partition_forget_its_devices(wrong_records: int) -> None:
    # 20 devices   |~~~~~~~~~~~~~~~~~~~~~~~~~~~~|  have all their windows
    # another one  |      * * * * * * * *          an hour ahead
    devices = [
        regular(f"{number}", START_US + 1_000 * number, 1_500, per_record=50, seed=number)
        for number in range(20)
    ]
    honest = sorted((each for log in devices for each in log), key=lambda each: each.clock_us)
    log = list(honest)
    for at in range(200, 200 + 2 * wrong_records, 2):
        now_us = log[at - 1].samples[-1].time_us
        log.insert(at, Record(0, now_us + HOUR_US, "wrong", samples([now_us])))
    alone, partition = (PartitionWindows(Rules(), WINDOW) for _ in range(2))
    wanted = take_in(alone, created(renumbered(honest)), 0, len(honest), [64])
    found = take_in(partition, created(renumbered(log)), 0, len(log), [64])
    assert found == wanted
    assert not partition.tally.skipped


def test_a_device_that_is_gone_is_forgotten_though_another_one_is_an_hour_ahead() -> None:
    # gone       |~~~~~|
    # here       |~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~| 160 s
    # wrong      |*   *   *   *   *   *   *   * | an hour ahead
    gone = regular("gone", START_US, 500, per_record=50)
    here = regular("here", START_US, 8_000, per_record=100)
    wrong = [
        replace(record, device_id="wrong", clock_us=record.clock_us + HOUR_US)
        for record in regular("wrong", START_US + 7, 8_000, per_record=100)
    ]
    log = gone + here + wrong
    log = created(renumbered(sorted(log, key=lambda record: record.samples[-1].time_us)))
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, log, 0, len(log), [10])
    assert sorted(partition._table._row_of) == ["here", "wrong"]
    assert_agrees(Rules(), WINDOW, log, [7])


def test_the_device_whose_timestamps_are_ahead_is_named() -> None:
    # before    |~~~~~~ 80 s ~~~~~~|
    # here                          |~|~~~~~~~~~~|
    # wrong                           *             an hour ahead
    start_us = START_US + 80 * SECOND_US
    here = regular("here", start_us, 500, per_record=50)
    wrong = Record(0, start_us + HOUR_US, "wrong", samples([start_us]))
    partition = PartitionWindows(Rules(), WINDOW)
    push(partition, [*regular("before", START_US, 4_000, per_record=50)], Result())
    outcome = partition.push(batch(created(renumbered([here[0], wrong, *here[1:]]))))
    assert outcome.ahead == ["wrong"]
