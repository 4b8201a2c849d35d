"""A fetch names the devices whose next window cannot follow, in the fetch that decides it."""

import pytest

from streamer.features.window_shape import WINDOW
from streamer.stream.partition import PartitionWindows, PushResult
from streamer.stream.rules import Rules
from tests.stream.logs import START_US, STEP_US, regular, samples
from tests.stream.reference import Record
from tests.stream.runs import batch

SECONDS = 6
END_US = START_US + SECONDS * 1_000_000


class Feed:
    """A device that has sent for some seconds, and has windows that follow each other."""

    def __init__(self, **rules: float) -> None:
        self.partition = PartitionWindows(Rules(**rules), WINDOW)  # type: ignore[arg-type]
        started = self.partition.push(batch(regular("a", START_US, SECONDS * 50)))
        assert sum(map(len, started.windows)) > 1
        assert started.ended == []

    def push(self, *times_us: int, clock_us: int | None = None, device: str = "a") -> PushResult:
        """Push a record whose timestamp is the time of its last sample unless another is given."""
        stamp_us = times_us[-1] if clock_us is None else clock_us
        return self.partition.push(batch([Record(1_000, stamp_us, device, samples(times_us))]))


def test_a_device_that_goes_on_is_not_named() -> None:
    outcome = Feed().push(*range(END_US, END_US + 1_000_000, STEP_US))
    assert outcome.ended == []


def test_a_gap_ends_the_windows_before_it_at_once() -> None:
    # samples   |~~~~~~~~ 6 s ~~~~~~~~|   1 s   |.
    # windows   |--|--|--|..open..             ^ named with the first sample
    outcome = Feed().push(END_US + 1_000_000)
    assert outcome.ended == ["a"]
    assert outcome.windows == []


def test_a_gap_before_windows_of_the_same_fetch_does_not_end_those() -> None:
    begin_us = END_US + 1_000_000
    outcome = Feed().push(*range(begin_us, begin_us + 5_000_000, STEP_US))
    assert sum(map(len, outcome.windows)) > 0
    assert outcome.ended == []


def test_a_new_life_ends_the_windows_before_it_while_its_samples_wait() -> None:
    # lateness 1 s, idle 60 s
    # clock     |~~~~~~~~ 6 s ~~~~~~~~|      61 s      |.
    #                                                   ^ waits for its watermark
    feed = Feed(lateness_us=1_000_000)
    outcome = feed.push(END_US + 61_000_000)
    assert feed.partition.waiting == 1
    assert outcome.ended == ["a"]


def test_a_device_that_is_forgotten_is_named_as_forgotten() -> None:
    outcome = Feed().push(END_US, clock_us=END_US + 61_000_000, device="b")
    assert outcome.forgotten == ["a"]


def test_a_window_that_is_skipped_ends_those_before_it() -> None:
    # A sample is missing, so windows over the hole are not covered.
    feed = Feed(min_coverage=1.0)
    times = [at for at in range(END_US, END_US + 3_000_000, STEP_US) if at != END_US + STEP_US]
    outcome = feed.push(*times)
    assert [reason for _, reason in outcome.skipped] == ["coverage"]
    assert outcome.ended == ["a"]


@pytest.mark.parametrize("lateness_us", [0, 1_000_000])
def test_a_flush_ends_the_windows_of_all_devices(lateness_us: int) -> None:
    feed = Feed(lateness_us=lateness_us)
    assert feed.partition.flush().ended == ["a"]
