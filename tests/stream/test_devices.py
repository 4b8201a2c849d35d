"""Memory of forgotten devices is used again, and nothing of them is left in it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.features.feature_set import UCI_HAR
from streamer.stream.grid import phase_us
from streamer.stream.partition import PartitionWindows
from streamer.stream.rules import Rules
from tests.stream.logs import RULES, SHORT_EPOCHS, SIZES, START_US, STEP_US, logs, regular
from tests.stream.reference import Record
from tests.stream.runs import Result, push, take_in


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_nothing_of_a_forgotten_device_shows_in_the_one_that_gets_its_row(
    data: st.DataObject,
) -> None:
    # used   | device-0 ... device-2 | silence | other-0 ... other-2 |
    # new                                      | other-0 ... other-2 |
    rules = data.draw(RULES)
    earlier, sizes = data.draw(logs(rules)), data.draw(SIZES)
    silence_us = max(record.clock_us for record in earlier) + rules.idle_us + 1
    used = PartitionWindows(rules, SHORT_EPOCHS)
    take_in(used, earlier, 0, len(earlier), sizes)
    push(used, [Record(0, silence_us, "nobody", ())], Result())
    assert used.devices == 0
    assert used.low is None

    log = [
        replace(
            record,
            clock_us=record.clock_us - START_US + silence_us,
            device_id=record.device_id.replace("device", "other"),
        )
        for record in data.draw(logs(rules))
    ]
    new = PartitionWindows(rules, SHORT_EPOCHS, used.clock_us)
    assert take_in(used, log, 0, len(log), sizes) == take_in(new, log, 0, len(log), sizes)
    assert used.low == new.low


def test_an_epoch_that_a_forgotten_device_had_just_begun_does_not_begin_in_the_next_one() -> None:
    # row       | a: 100 slots, then an epoch | silence | b: 600 slots, from an epoch on
    # filters   |    not that far yet         |         |    must not start anew at slot 100
    epoch_us = SHORT_EPOCHS.epoch_hops * SHORT_EPOCHS.hop_us
    origin_us = START_US - START_US % epoch_us
    a_us = origin_us + phase_us("a", SHORT_EPOCHS.hop_us) - 100 * STEP_US
    b_us = origin_us + phase_us("b", SHORT_EPOCHS.hop_us) + 20 * epoch_us
    a, b = regular("a", a_us, 105), regular("b", b_us, 600, first_offset=105)
    used, new = (PartitionWindows(Rules(), SHORT_EPOCHS) for _ in range(2))
    take_in(used, a, 0, 105, [105])
    push(used, [Record(105, b_us - STEP_US, "nobody", ())], Result())
    assert used.devices == 0
    assert take_in(used, b, 0, 600, [50]) == take_in(new, b, 0, 600, [50])


def test_the_table_grows_with_the_devices_that_live_at_once_and_not_with_all_there_were() -> None:
    partition = PartitionWindows(Rules(idle_us=1_000_000), UCI_HAR)
    for number in range(200):
        push(partition, regular(f"{number}", START_US + number * 700_000, 3), Result())
        assert partition.devices <= 2
    assert partition._table.capacity == 16


def test_many_new_devices_in_one_batch_each_get_a_row() -> None:
    log = [record for number in range(300) for record in regular(f"{number}", START_US, 1)]
    partition = PartitionWindows(Rules(), UCI_HAR)
    push(partition, log, Result())
    assert partition.devices == 300
    assert partition.low == 0
