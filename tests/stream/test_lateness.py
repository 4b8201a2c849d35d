"""Which samples are used, which are late, which repeat another one."""

from collections.abc import Sequence

import pytest

from streamer.features.window_shape import WINDOW
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import START_US, STEP_US, regular, samples
from tests.stream.reference import Record
from tests.stream.runs import Result, push, take_in


class Feed:
    """Sends single samples of one device, their times in ms, each batch of them as one record."""

    def __init__(self, lateness_ms: int = 0) -> None:
        self.partition = PartitionWindows(Rules(lateness_us=lateness_ms * 1000), WINDOW)
        self.records = 0

    def __call__(self, *times_ms: int, at_ms: int = 0) -> list[int]:
        """Times of the samples that were late."""
        taken = samples(START_US + ms * 1000 for ms in times_ms)
        result = Result()
        record = Record(self.records, START_US + at_ms * 1000, "a", taken)
        push(self.partition, [record], result)
        self.records += 1
        return [times_ms[index] for _, index in sorted(result.late)]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Used, late, duplicate, waiting."""
        tally = self.partition.tally
        return tally.used, tally.late, tally.duplicate, self.partition.waiting


def test_without_lateness_a_sample_before_the_newest_is_late() -> None:
    # arrival   0     20    60    40     60
    # newest    0     20    60    60     60
    # verdict   used  used  used  late   duplicate
    feed = Feed()
    assert feed(0, 20, 60, 40, 60) == [40]
    assert feed.counts == (3, 1, 1, 0)


def test_the_watermark_moves_within_a_batch_as_it_does_between_batches() -> None:
    feed = Feed()
    assert [feed(ms) for ms in (0, 20, 60, 40, 60)] == [[], [], [], [40], []]
    assert feed.counts == (3, 1, 1, 0)


def test_a_sample_exactly_as_late_as_allowed_is_used_in_its_place() -> None:
    # lateness 40 ms
    # arrival     0    60   20   100  40   59   61
    # watermark  -40   20   20   60   60   60   60
    # verdict     all but 40 and 59 are used, in the order of their times
    feed = Feed(lateness_ms=40)
    assert feed(0, 60, 20, 100, 40, 59, 61) == [40, 59]
    assert feed.counts == (2, 2, 0, 3)
    feed.partition.flush()
    assert feed.counts == (5, 2, 0, 0)


@pytest.mark.parametrize("between", [0, 1])
def test_of_two_samples_with_one_time_the_first_wins(between: int) -> None:
    feed = Feed(lateness_ms=40)
    feed(0, 20)
    feed(*[40] * between, 20, 20)
    assert feed.counts[1:3] == (0, 2)


def test_records_sent_again_are_duplicates_over_the_last_128_samples() -> None:
    feed = Feed()
    records = [range(begin, begin + 640, 20) for begin in range(0, 3_200, 640)]
    for record in records:
        assert feed(*record) == []
    for record in records[1:]:
        assert feed(*record) == []
    assert feed(*records[0]) == [*records[0]]
    assert feed.counts == (160, 32, 128, 0)


def test_at_a_high_rate_the_last_128_samples_are_a_shorter_time() -> None:
    feed = Feed()
    feed(*range(1_000))
    assert feed(999, 872, 871, 0) == [871, 0]


def test_at_a_low_rate_the_memory_for_duplicates_ends_after_2560_ms() -> None:
    feed = Feed()
    feed(*range(0, 10_000, 100))
    assert feed(9_900, 7_400, 7_300) == [7_300]


def test_a_duplicate_from_before_a_gap_is_late() -> None:
    # arrival   0  20  40      300  320     40    300
    # start     *               *           late  duplicate
    feed = Feed()
    assert feed(0, 20, 40, 300, 320) == []
    assert feed(40, 300) == [40]


def test_the_watermark_of_an_earlier_life_does_not_count() -> None:
    # partition clock   0 ... 4 ms | more than 60 s later
    # samples           0 ... 500  | 100  120          the device's clock was set back
    feed = Feed()
    feed(*range(0, 500, 20))
    assert feed(100, 120, 110, at_ms=60_001) == [110]
    assert feed.counts == (27, 1, 0, 0)


@pytest.mark.parametrize("lateness_ms", [0, 40])
def test_a_late_sample_is_not_compared_with_samples_of_an_earlier_life(lateness_ms: int) -> None:
    # partition clock   0 ms ...     | more than 60 s later
    # samples           0 ... 1000   | 600  500
    # verdict           used           used late
    feed = Feed(lateness_ms)
    feed(*range(0, 1_020, 20))
    assert feed(600, at_ms=60_001) == []
    assert feed(500, at_ms=60_001) == [500]


def test_each_device_has_its_own_watermark() -> None:
    # One clock is an hour ahead; the other device is not late.
    ahead = regular("b", START_US + 3_600_000_000, 10)
    honest = regular("a", START_US, 10, first_offset=10)
    partition = PartitionWindows(Rules(), WINDOW)
    assert take_in(partition, [*ahead, *honest], 0, 20, [20]).late == set()


@pytest.mark.parametrize("flushes", [1, 2, 5])
def test_the_next_sample_is_not_late_after_any_number_of_flushes(
    flushes: int,
) -> None:
    # lateness 1 s
    # samples    0  20  40  flush ... flush  60   30
    # verdict    used       used             ok   late
    feed = Feed(lateness_ms=1_000)
    feed(0, 20, 40)
    for _ in range(flushes):
        feed.partition.flush()
    assert feed(60, 30) == [30]
    assert feed.counts == (3, 1, 0, 1)


def test_lateness_changes_when_windows_close_and_not_their_samples() -> None:
    log = regular("a", START_US, 1_000, per_record=10)
    swapped = [log[i ^ 1] for i in range(len(log))]

    def windows(records: Sequence[Record], lateness_us: int) -> Result:
        partition = PartitionWindows(Rules(lateness_us=lateness_us), WINDOW)
        result = take_in(partition, records, 0, len(records), [7])
        result.add(partition.flush().windows)
        return result

    assert windows(swapped, 20 * STEP_US) == windows(log, 0)
    assert windows(swapped, 0) != windows(log, 0)
