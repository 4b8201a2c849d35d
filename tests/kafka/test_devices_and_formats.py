"""Devices in two partitions, and readings in another format, on a real broker."""

import asyncio
import json
import re

from structlog.testing import capture_logs

from streamer.contracts.records import OneRecord
from streamer.kafka import topics
from streamer.settings import TOPIC_SETTINGS
from tests.conftest import MakeSettings
from tests.support.member import (
    WINDOWS_OF_10_S,
    publish,
    read_events,
    run_to_end,
    ten_seconds,
)
from tests.support.processes import run
from tests.support.worker_process import where


async def test_a_device_whose_publishers_use_two_partitioners_is_named(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    await topics.ensure(settings)
    await publish(settings, [*ten_seconds("split"), *ten_seconds("whole")], 0)
    await publish(settings, ten_seconds("split", start_s=10), 1)
    with capture_logs() as logs:
        member = await run_to_end(settings)
    assert member.value("split_devices_total") == 1
    (line,) = [line for line in logs if "two partitions" in line["event"]]
    assert line["devices"] == ["split"]
    # Its events name it, too, whichever workers wrote them.
    flags = where(settings, *TOPIC_SETTINGS)
    checked = await asyncio.to_thread(run, "topics", "check", "--partitions", "2", *flags)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert re.search(r"1 devices have events .*: split \((0 and 1|1 and 0)\)", checked.stdout)


async def test_readings_in_the_format_of_a_profile_are_labelled(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=1, readings_format="sensor-logger")
    await topics.ensure(settings)
    pushes = []
    for record in ten_seconds("watch"):
        reading = json.loads(record.value or b"")
        payload = []
        for i, (acc, gyro) in enumerate(zip(reading["acc"], reading["gyro"], strict=True)):
            time_ns = round((reading["timestamp"] + i * reading["interval_ms"]) * 1e6)
            for name, vector, unit in (
                ("gravity", acc, 9.80665),
                ("gyroscope", gyro, 1),
                ("accelerometer", [0, 0, 0], 1),
            ):
                values = {axis: value * unit for axis, value in zip("xyz", vector, strict=True)}
                payload.append({"name": name, "time": time_ns, "values": values})
        value = json.dumps({"messageId": 1, "deviceId": "watch", "payload": payload}).encode()
        pushes.append(OneRecord(b"watch", value, [], record.timestamp, 0))
    await publish(settings, pushes)
    member = await run_to_end(settings)
    events = await read_events(settings)
    assert len(events) in WINDOWS_OF_10_S
    assert {event.device_id for event in events} == {"watch"}
    assert member.value("rejects_total", reason="schema") == 0
