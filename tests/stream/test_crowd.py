"""A partition with more devices than it may have forgets the least recently seen ones."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.features.window_shape import WINDOW
from streamer.stream.accounting import Skip
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import SHORT_EPOCHS, SIZES, START_US, STEP_US, regular, renumbered
from tests.stream.reference import Record
from tests.stream.runs import assert_agrees, assert_crash_changes_nothing, batch, take_in


def in_turn(*logs: list[Record]) -> list[Record]:
    """The records of some devices by their Kafka timestamps."""
    return renumbered(sorted((each for log in logs for each in log), key=lambda r: r.clock_us))


def test_devices_that_keep_sending_stay_when_a_publisher_makes_up_device_ids() -> None:
    # a, b       |~~~~~~~~~~~~~~~~~~~~~|
    # made up       1,000, once each
    steady = [regular(name, START_US + 7, 1_000, per_record=10, seed=ord(name)) for name in "ab"]
    made_up = [regular(f"{i}", START_US + i * 15_000, 1) for i in range(1_000)]
    log = in_turn(*steady, *made_up)
    rules = Rules(max_devices=50)
    alone = PartitionWindows(rules, WINDOW)
    wanted = take_in(alone, in_turn(*steady), 0, 200, [50])

    partition = PartitionWindows(rules, WINDOW)
    found = take_in(partition, log, 0, len(log), [300])
    assert {name: found.windows[name] for name in "ab"} == wanted.windows
    assert partition.devices == 50
    assert partition.tally.pushed_out == 1_002 - 50
    assert_agrees(rules, WINDOW, log, [300, 1])


def test_a_device_that_is_pushed_out_starts_anew_and_is_named_as_forgotten() -> None:
    # devices    a   b   c   a          at most 2
    log = renumbered([regular(name, START_US, 1)[0] for name in "abca"])
    partition = PartitionWindows(Rules(max_devices=2), WINDOW)
    outcome = partition.push(batch(log))
    assert outcome.forgotten == ["b"]
    assert partition.tally.pushed_out == 2
    # The second sample of a has the time of the first, and is no duplicate in a new life.
    assert (partition.tally.used, partition.tally.duplicate) == (4, 0)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_after_a_crash_the_same_devices_are_pushed_out_at_the_same_records(
    data: st.DataObject,
) -> None:
    rules = Rules(
        max_devices=data.draw(st.sampled_from([1, 2, 3])),
        idle_us=data.draw(st.sampled_from([2_000_000, 60_000_000])),
        lateness_us=data.draw(st.sampled_from([0, 250_000])),
    )
    now_us, log = START_US, list[Record]()
    for turn in range(data.draw(st.integers(2, 12))):
        name = data.draw(st.sampled_from("aabcd"))
        count = data.draw(st.sampled_from([1, 5, 200, 400]))
        log += regular(name, now_us, count, per_record=5, seed=turn)
        now_us += count * STEP_US + data.draw(st.sampled_from([0, 1_000_000, 3_000_000]))
    log = renumbered(log)
    sizes, other_sizes = data.draw(SIZES), data.draw(SIZES)
    crash = data.draw(st.integers(0, len(log)))

    assert_crash_changes_nothing(rules, SHORT_EPOCHS, log, crash, sizes, other_sizes)
    assert_agrees(rules, SHORT_EPOCHS, log, sizes)


# a          |~~~~~~~~~~|                |~~~~~~~~~~|      pushed out by 3 others
# gone       |~~~~~|                                        then silent for too long
# others                   b c d           b c d
def test_windows_of_a_device_that_is_pushed_out_are_skipped_as_crowded_in_any_batches() -> None:
    rules = Rules(max_devices=3, idle_us=5_000_000)
    a = regular("a", START_US, 500, per_record=10) + regular("a", START_US + 14_000_000, 500)
    others = [
        regular(name, START_US + at_us, 300, per_record=10)
        for at_us in (10_000_000, 24_000_000)
        for name in "bcd"
    ]
    log = in_turn(a, regular("gone", START_US, 100, per_record=10), *others)
    tallies = []
    for size in (1, 7, len(log)):
        partition = PartitionWindows(rules, WINDOW)
        take_in(partition, log, 0, len(log), [size])
        tallies.append(partition.tally)
        assert partition.tally.skipped[Skip.CROWDED] > 0
        assert partition.tally.skipped[Skip.IDLE] > 0
    assert tallies[0] == tallies[1] == tallies[2]
    assert_agrees(rules, WINDOW, log, [7])
