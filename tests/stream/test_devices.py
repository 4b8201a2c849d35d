"""Memory of forgotten devices is used again, and nothing of them is left in it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.features.window_shape import WINDOW
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
)
from tests.stream.reference import Record
from tests.stream.runs import Result, assert_agrees, push, take_in


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_device_that_gets_the_row_of_a_forgotten_one_starts_clean(
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
    # Now no doubt is left in which a device may have been seen.
    silence_us += rules.idle_us + 1
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
    new = PartitionWindows(rules, SHORT_EPOCHS, used.clock)
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
    partition = PartitionWindows(Rules(idle_us=1_000_000), WINDOW)
    for number in range(200):
        push(partition, regular(f"{number}", START_US + number * 700_000, 3), Result())
        assert partition.devices <= 2
    assert partition._table.capacity == 16


def test_many_new_devices_in_one_batch_each_get_a_row() -> None:
    log = [record for number in range(300) for record in regular(f"{number}", START_US, 1)]
    partition = PartitionWindows(Rules(), WINDOW)
    push(partition, log, Result())
    assert partition.devices == 300
    assert partition.low == 0


def nbytes(partition: PartitionWindows) -> int:
    """Bytes of a partition's device table; cells that were never used are not resident."""
    table, rings = partition._table, partition._table.rings
    used, chains = map(int, rings.used)
    facts = table.columns, table.sensors, table.sampling, table.cursor, table.places
    rows = sum(array.nbytes for arrays in facts for array in arrays)
    cells = rings.time_us, rings.values, rings.real, rings.landed_us[0]
    cell = sum(array[:1].nbytes for array in cells)
    chain = sum(array[:1].nbytes for array in rings.chains)
    return int(rows + used * cell + chains * chain)


@pytest.mark.parametrize(
    ("samples_each", "most"), [(1, 1_500), (8, 2_500), (60, 12_000), (150, 41_000)]
)
def test_the_memory_of_a_device_grows_with_the_samples_it_has_sent(
    samples_each: int, most: int
) -> None:
    log = [
        record
        for number in range(2_000)
        for record in regular(f"{number}", START_US, samples_each, per_record=samples_each)
    ]
    partition = PartitionWindows(Rules(), WINDOW)
    push(partition, renumbered(log), Result())
    assert partition.devices == 2_000
    assert nbytes(partition) / 2_000 < most


def test_memory_of_many_devices_is_returned_and_those_that_stay_go_on() -> None:
    # a, b     |~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~|
    # others      5,000 for a moment     | forgotten
    stay = [
        regular(device_id, START_US, 4_000, per_record=10, seed=seed)
        for seed, device_id in enumerate("ab")
    ]
    steady = [record for pair in zip(*stay, strict=True) for record in pair]
    moment = [regular(f"{number}", START_US + 5_000_000, 1)[0] for number in range(5_000)]
    log = renumbered(sorted(steady + moment, key=lambda record: record.clock_us))
    rules = Rules(lateness_us=250_000, idle_us=20_000_000)
    assert_agrees(rules, WINDOW, log, [300])

    partition = PartitionWindows(rules, WINDOW)
    take_in(partition, log, 0, 5_200, [300])
    full = nbytes(partition)
    take_in(partition, log, 5_200, len(log), [300])
    assert partition.devices == 2
    assert nbytes(partition) < full / 10
