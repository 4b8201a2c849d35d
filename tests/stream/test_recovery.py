"""What comes out after a crash depends on nothing but the records from `low` on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.stream.grid import phase_us
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import RULES, SHORT_EPOCHS, SIZES, START_US, STEP_US, logs, samples
from tests.stream.reference import Record
from tests.stream.runs import recovered, take_in

EPOCH_US = SHORT_EPOCHS.epoch_hops * SHORT_EPOCHS.hop_us


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_worker_that_crashes_repeatedly_has_the_same_output(
    data: st.DataObject,
) -> None:
    # records   0 ....... low ....... P ....... low' ....... P' ........ end
    # whole     |---------------------|==================================>
    # first               |~~~~~~~~~~~|======================>
    # second                                    |~~~~~~~~~~~~|===========>    ~ thrown away
    rules = data.draw(RULES)
    log = data.draw(logs(rules))
    sizes, other_sizes = data.draw(SIZES), data.draw(SIZES)
    places = st.integers(0, len(log))
    crash, crash_again = sorted([data.draw(places), data.draw(places)])
    flushed = data.draw(st.sets(places, max_size=2))

    whole = PartitionWindows(rules, SHORT_EPOCHS)
    take_in(whole, log, 0, crash, sizes, flushed)
    first = recovered(rules, SHORT_EPOCHS, log, whole, crash, other_sizes, flushed)
    wanted = take_in(whole, log, crash, len(log), sizes, flushed)

    result = take_in(first, log, crash, crash_again, other_sizes, flushed)
    second = recovered(rules, SHORT_EPOCHS, log, first, crash_again, sizes, flushed)
    result.extend(take_in(second, log, crash_again, len(log), other_sizes, flushed))

    assert result == wanted
    assert (second.devices, second.waiting) == (whole.devices, whole.waiting)


@pytest.mark.parametrize("hole", [2, 4])
@pytest.mark.parametrize("before_epoch", [0, 1, 2, 3])
def test_a_chain_that_starts_within_a_hole_needs_the_sample_before_the_hole(
    before_epoch: int, hole: int
) -> None:
    # epoch                e-1 |   e
    # slots    0  ...  118 119 | 120  121  122
    #          *  ...   *   .  |  .    .    *       * sample  . filling
    epoch_us = START_US - START_US % EPOCH_US + EPOCH_US + phase_us("a", SHORT_EPOCHS.hop_us)
    times = [epoch_us + 1_000 + slot * STEP_US for slot in range(-120, 800)]
    del times[120 - before_epoch : 120 - before_epoch + hole]
    log = [Record(i, each.time_us, "a", (each,)) for i, each in enumerate(samples(times))]
    crash = next(i for i, each in enumerate(times) if each > epoch_us + EPOCH_US + 2 * STEP_US)

    whole = PartitionWindows(Rules(), SHORT_EPOCHS)
    take_in(whole, log, 0, crash, [len(log)])
    second = recovered(Rules(), SHORT_EPOCHS, log, whole, crash)
    wanted = take_in(whole, log, crash, len(log), [50])

    assert wanted.windows
    assert take_in(second, log, crash, len(log), [50]) == wanted


def test_a_sample_that_came_before_the_first_one_in_time_is_read_again_too() -> None:
    # offset     0    1    2    3    4  ...
    # time       60   20   40   80   100 ...
    # lateness 50 ms: the device starts with record 1, and record 0 takes its place later.
    start_us = START_US - START_US % EPOCH_US + phase_us("a", SHORT_EPOCHS.hop_us)
    times = [start_us + slot * STEP_US for slot in (2, 0, 1, *range(3, 400))]
    log = [Record(i, each, "a", samples([each])) for i, each in enumerate(times)]
    rules = Rules(lateness_us=50_000)
    whole = PartitionWindows(rules, SHORT_EPOCHS)
    take_in(whole, log, 0, 20, [1])
    assert whole.low == 0
    second = recovered(rules, SHORT_EPOCHS, log, whole, 20)
    wanted = take_in(whole, log, 20, len(log), [50])
    assert wanted.windows
    assert take_in(second, log, 20, len(log), [50]) == wanted
