"""How a log is cut into batches changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.stream.grid import phase_us
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import (
    RULES,
    SHORT_EPOCHS,
    SIZES,
    START_US,
    STEP_US,
    logs,
    regular,
    renumbered,
    samples,
)
from tests.stream.reference import Record
from tests.stream.runs import assert_agrees, recovered, take_in

IDLE = Rules(idle_us=5_000_000)
PATIENT = replace(IDLE, lateness_us=200_000)
EPOCH_US = SHORT_EPOCHS.epoch_hops * SHORT_EPOCHS.hop_us
EPOCH_STARTS_US = START_US - START_US % EPOCH_US + EPOCH_US + phase_us("a", SHORT_EPOCHS.hop_us)
"""Where an epoch of device "a" begins."""


def several_lives_in_one_batch() -> list[Record]:
    # partition clock   0 s ... 8 s | 13.02 s ... 21 s | 26 s ...
    # device "a"        life 0      | life 1           | life 2, whose clock was set back
    lives = [START_US, START_US + 13_020_000, START_US + 2_000_000]
    log = [record for start_us in lives for record in regular("a", start_us, 400, per_record=4)]
    clock_us = START_US
    stamped = []
    for i, record in enumerate(log):
        clock_us += 5_000_001 if i and i % 100 == 0 else 4 * STEP_US
        stamped.append(replace(record, clock_us=clock_us))
    return stamped


def a_life_that_begins_with_samples_that_wait() -> list[Record]:
    # The new life's first samples are still within the allowed lateness when the log ends.
    old = regular("a", START_US, 300)
    new = regular("a", START_US + 20_000_000, 9)
    return old + new


def a_gap_and_an_epoch_in_one_round() -> list[Record]:
    times = [EPOCH_STARTS_US + slot * STEP_US for slot in range(-40, 900)]
    del times[25:35]
    times = [*times[:40], *(each + 333_000 for each in times[40:])]
    return [Record(i, each.time_us, "a", (each,)) for i, each in enumerate(samples(times))]


def a_start_exactly_at_an_epoch() -> list[Record]:
    before = regular("a", EPOCH_STARTS_US - 3_000_000, 130, per_record=13)
    after = regular("a", EPOCH_STARTS_US, 900, per_record=9, seed=1)
    return before + after


def a_hole_across_an_epoch() -> list[Record]:
    times = [EPOCH_STARTS_US + slot * STEP_US + 9_000 for slot in range(-300, 700)]
    del times[298:302]
    return [Record(i, each.time_us, "a", (each,)) for i, each in enumerate(samples(times))]


def a_thousand_samples_a_second() -> list[Record]:
    fast = regular("a", START_US, 9_000, step_us=1_000, per_record=300)
    steady = regular("b", START_US, 1_000, per_record=10)
    again = [replace(fast[12], clock_us=START_US + 9_000_000)]
    return sorted(fast + steady, key=lambda record: record.clock_us) + again


def slots_that_are_as_long_as_they_get() -> list[Record]:
    return regular("a", START_US, 1_500, step_us=29_999, per_record=750)


def everything_sent_twice() -> list[Record]:
    once = regular("a", START_US, 1_000, per_record=25)
    return [record for record in once for _ in range(2)]


def sent_again_after_a_gap() -> list[Record]:
    before = regular("a", START_US, 300, per_record=10)
    after = regular("a", before[-1].clock_us + 150_000, 400, per_record=10)
    return before + after[:2] + before[-5:] + after[2:4] + after[:3] + after[4:]


def nothing_but_rejects() -> list[Record]:
    return [Record(0, START_US + i * 1_000_000, "a", ()) for i in range(20)]


SCENARIOS = [
    several_lives_in_one_batch,
    a_life_that_begins_with_samples_that_wait,
    a_gap_and_an_epoch_in_one_round,
    a_start_exactly_at_an_epoch,
    a_hole_across_an_epoch,
    a_thousand_samples_a_second,
    slots_that_are_as_long_as_they_get,
    everything_sent_twice,
    sent_again_after_a_gap,
    nothing_but_rejects,
]


@pytest.mark.parametrize("rules", [IDLE, PATIENT], ids=["in order", "patient"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_has_the_same_result_in_any_batches_and_after_any_crash(
    scenario: Callable[[], list[Record]], rules: Rules
) -> None:
    log = renumbered(scenario())
    for sizes in ([1], [len(log)], [3, 1, 70]):
        assert_agrees(rules, SHORT_EPOCHS, log, sizes)
    for crash in range(0, len(log), 1 + len(log) // 9):
        whole = PartitionWindows(rules, SHORT_EPOCHS)
        take_in(whole, log, 0, crash, [100])
        second = recovered(rules, SHORT_EPOCHS, log, whole, crash, [17])
        wanted = take_in(whole, log, crash, len(log), [len(log)])
        assert take_in(second, log, crash, len(log), [40]) == wanted


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_cut_gives_the_same_windows_and_the_same_late_samples(data: st.DataObject) -> None:
    rules = data.draw(RULES)
    log = data.draw(logs(rules))
    one, other = (
        take_in(PartitionWindows(rules, SHORT_EPOCHS), log, 0, len(log), data.draw(SIZES))
        for _ in range(2)
    )
    assert one == other
