"""What a partition says about its devices."""

from dataclasses import replace

import numpy as np
from structlog.testing import capture_logs

from streamer.contracts.records import OneRecord, Records
from streamer.flow.partition_state import PartitionState
from streamer.flow.rejects import RejectLimit
from streamer.metrics import Metrics
from streamer.settings import Settings
from streamer.stream.position import Position
from streamer.testing import readings


def make_state(**chosen: str) -> tuple[PartitionState, Metrics]:
    metrics = Metrics()
    settings = Settings.load(chosen)
    return PartitionState(
        settings, metrics, Position(0, 0), RejectLimit(1, 1, lambda: 0.0)
    ), metrics


def one_each(*device_ids: str) -> list[OneRecord]:
    """A record of each device, one after the other."""
    records = [readings(device_id, np.zeros((1, 6)))[0] for device_id in device_ids]
    return [
        OneRecord(each.key, each.value, each.headers, each.timestamp, offset)
        for offset, each in enumerate(records)
    ]


def test_too_many_devices_are_counted_and_logged_once_an_hour() -> None:
    state, metrics = make_state(max_devices="2")
    with capture_logs() as logs:
        state.compute(Records.of(one_each("a", "b", "c")), 3)
        state.compute(Records.of(one_each("d", "e", "f")), 6)
    assert metrics.devices_pushed_out._value.get() == 4
    assert metrics.devices._value.get() == 2
    [line] = [each for each in logs if "more devices than max_devices" in each["event"]]
    assert (line["log_level"], line["max_devices"]) == ("warning", 2)


def test_a_device_with_timestamps_ahead_is_counted_and_named() -> None:
    state, metrics = make_state()
    state.compute(Records.of(one_each("a")), 1)
    records = one_each("b", "wrong", "c")
    for i, ahead_ms in enumerate((0, 3_600_000, 1_000)):
        records[i] = replace(records[i], timestamp=records[i].timestamp + ahead_ms)
    with capture_logs() as logs:
        state.compute(Records.of(records, appended=False), 4)
    assert metrics.devices_ahead._value.get() == 1
    [line] = [each for each in logs if "timestamps ahead" in each["event"]]
    assert line["devices"] == ["wrong"]


def test_the_time_of_a_record_may_be_any_number() -> None:
    state, metrics = make_state()
    records = one_each("a", "b", "c")
    records[1] = replace(records[1], timestamp=2**63 - 1)
    records[2] = replace(records[2], timestamp=-(2**63))
    state.compute(Records.of(records, appended=False), 3)
    assert metrics.devices._value.get() == 2  # the reading of c is from the future
