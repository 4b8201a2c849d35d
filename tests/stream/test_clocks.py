"""A device whose clock goes back, or was ahead once, is late for some seconds and not for ever."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.features.window_shape import WINDOW
from streamer.stream.accounting import Skip
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import SHORT_EPOCHS, SIZES, START_US, STEP_US, regular, renumbered, samples
from tests.stream.reference import Record
from tests.stream.runs import assert_agrees, assert_crash_changes_nothing, batch, take_in

SECOND_US = 1_000_000


def after(records: list[Record], clock_us: int) -> list[Record]:
    """The same records, published so much later by Kafka's clock than their times say."""
    return [replace(record, clock_us=record.clock_us + clock_us) for record in records]


def set_back(by_us: int, before: int = 1_500, count: int = 1_500) -> list[Record]:
    """The log of a device whose clock is set back after some samples."""
    first = regular("a", START_US, before, per_record=5)
    then_us = START_US + before * STEP_US
    then = after(regular("a", then_us - by_us, count, per_record=5, seed=1), by_us)
    return renumbered(first + then)


@pytest.mark.parametrize("back_us", [20 * SECOND_US, 600 * SECOND_US, 1_763_906_400 * SECOND_US])
@pytest.mark.parametrize("lateness_us", [0, 3 * SECOND_US])
def test_a_device_whose_clock_is_set_back_loses_five_seconds(
    back_us: int, lateness_us: int
) -> None:
    # Kafka's clock   0 s       30 s          35 s               60 s
    # device's clock  0 s       30 s -> 10 s  15 s               40 s
    #                 |---------| late         |------------------|
    #                   windows                 windows of a new life
    log = set_back(back_us)
    rules = Rules(lateness_us=lateness_us)
    partition = PartitionWindows(rules, WINDOW)
    result = take_in(partition, log, 0, len(log), [40])
    assert partition.tally.restarts == 1
    assert abs(partition.tally.late - 250) <= 5
    assert partition.tally.skipped[Skip.CLOCK] <= 3
    assert len(result.windows["a"]) >= 36
    end_us = START_US + 60 * SECOND_US - back_us
    assert result.windows["a"][-1].start_us > end_us - 8 * SECOND_US
    assert_agrees(rules, WINDOW, log, [7, 200])


def test_one_forged_sample_ahead_costs_its_device_five_seconds() -> None:
    forged = Record(0, START_US + 10 * SECOND_US, "a", samples([START_US + 299 * SECOND_US]))
    log = regular("a", START_US, 1_500, per_record=5)
    log = renumbered([*log[:100], forged, *log[100:]])
    partition = PartitionWindows(Rules(), WINDOW)
    result = take_in(partition, log, 0, len(log), [1])
    assert partition.tally.restarts == 1
    assert len(result.windows["a"]) >= 6 + 10


def test_the_devices_that_begin_anew_are_named() -> None:
    log = set_back(600 * SECOND_US)
    partition = PartitionWindows(Rules(), WINDOW)
    outcome = partition.push(batch(log))
    assert outcome.restarted == ["a"]


def test_samples_published_repeatedly_stay_duplicates_or_late() -> None:
    # The producer does not get its acknowledgement, and sends the same four seconds for a minute.
    log = regular("a", START_US, 600, per_record=200)
    last = log[-1]
    again = [replace(last, clock_us=last.clock_us + i * SECOND_US) for i in range(1, 60)]
    partition = PartitionWindows(Rules(), WINDOW)
    result = take_in(partition, renumbered(log + again), 0, len(log) + len(again), [3])
    assert partition.tally.restarts == 0
    starts = [window.start_us for window in result.windows["a"]]
    assert len(starts) == len(set(starts)) > 0


def test_old_samples_among_new_ones_stay_late() -> None:
    # A phone sends what it had stored for an hour, beside what it measures now.
    live = regular("a", START_US, 1_500, per_record=5)
    stored = after(
        regular("a", START_US - 3_600 * SECOND_US, 1_500, per_record=5, seed=1), 3_600 * SECOND_US
    )
    log = renumbered([record for pair in zip(live, stored, strict=True) for record in pair])
    partition = PartitionWindows(Rules(), WINDOW)
    take_in(partition, log, 0, len(log), [50])
    assert partition.tally.restarts == 0
    assert partition.tally.late == 1_500


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_after_a_crash_a_new_life_has_begun_at_the_same_sample(data: st.DataObject) -> None:
    # Device b is always there, so that a recovery may begin anywhere in what a sends.
    rules = Rules(
        lateness_us=data.draw(st.sampled_from([0, 250_000])),
        patience_us=data.draw(st.sampled_from([300_000, SECOND_US])),
        idle_us=data.draw(st.sampled_from([4 * SECOND_US, 60 * SECOND_US])),
    )
    log, clock_us, now_us = [], START_US, START_US
    for _ in range(data.draw(st.integers(2, 6))):
        count = data.draw(st.sampled_from([1, 3, 40, 120, 400, 900]))
        per_record = data.draw(st.sampled_from([1, 5, 50]))
        part = regular("a", now_us, count, per_record=per_record, seed=count)
        log += after(part, clock_us - now_us)
        now_us += count * STEP_US
        clock_us += count * STEP_US
        now_us += data.draw(
            st.sampled_from([0, 60_000, 90_000, 200_000, 2 * SECOND_US, 300 * SECOND_US])
        ) * data.draw(st.sampled_from([1, -1]))
        clock_us += data.draw(st.sampled_from([0, 0, 100_000, 3 * SECOND_US, 5 * SECOND_US]))
    other = regular(
        "b", START_US + 639_000, (clock_us - START_US) // STEP_US, per_record=10, seed=9
    )
    log = renumbered(sorted(log + other, key=lambda record: record.clock_us))
    sizes, other_sizes = data.draw(SIZES), data.draw(SIZES)
    crash = data.draw(st.integers(0, len(log)))

    assert_crash_changes_nothing(rules, SHORT_EPOCHS, log, crash, sizes, other_sizes)
    assert_agrees(rules, SHORT_EPOCHS, log, other_sizes)
