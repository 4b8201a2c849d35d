"""Records of another format go through the very code that a worker runs."""

import json

import msgspec
import pytest

from streamer.contracts.records import OneRecord
from streamer.errors import SettingsError
from streamer.publishing.people import Person
from streamer.settings import Settings
from streamer.testing import CRASH, START_MS, readings, run_script


async def test_the_same_samples_in_another_format_give_the_same_events() -> None:
    samples, _ = Person(3).take(1000)
    canonical = readings("phone", samples)
    connect = []
    for i, (x, y, z, p, q, r) in enumerate(samples.tolist()):
        time_ms = START_MS + 20 * i
        acc = {"acc_x": x, "acc_y": y, "acc_z": z}
        gyro = {"gyro_x": p, "gyro_y": q, "gyro_z": r}
        payload = {"device_id": "phone", "timestamp": time_ms} | acc | gyro
        value = json.dumps({"schema": {"type": "struct"}, "payload": payload}).encode()
        connect.append(OneRecord(b"phone", value, [], time_ms + 20, 0))
    settings = Settings(readings_format="kafka-connect")

    expected = await run_script(canonical)
    published = await run_script([*connect[:700], CRASH, *connect[700:]], settings=settings)

    assert len(expected.events) > 10
    assert not published.dead_letters
    assert [msgspec.json.encode(event) for event in published.events] == [
        msgspec.json.encode(event) for event in expected.events
    ]


def test_a_format_that_is_not_there_is_an_error_of_the_settings() -> None:
    with pytest.raises(SettingsError, match="there is no profile 'sensorlogger'"):
        Settings.load({"readings_format": "sensorlogger"}, None)
