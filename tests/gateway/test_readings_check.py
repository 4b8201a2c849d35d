"""Readings in the format of a profile are checked as the worker reads them."""

import asyncio
import json
from pathlib import Path

import pytest

from streamer.contracts.readings import Decoded
from streamer.contracts.records import Records
from streamer.errors import RegistryError
from streamer.gateway import readings_check
from streamer.gateway.access import EVERYONE
from streamer.gateway.device_rates import DeviceRates
from streamer.gateway.intake import Intake
from streamer.gateway.reading_queue import Busy
from streamer.gateway.readings_check import Candidate, Readable, ReadingsCheck, Unreadable
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings

PROFILE = """
description = "Watches: one object with samples"
[records]
encoding = "json"
{device}
interval_ms = 20
[records.time]
field = "start"
unit = "ms"
since = "epoch"
[records.acc]
fields = ["acc[].0", "acc[].1", "acc[].2"]
unit = "g"
axes = ["x", "y", "z"]
gravity = "included"
"""


def check_with(folder: Path, device: str) -> ReadingsCheck:
    profile = folder / "watch.toml"
    profile.write_text(PROFILE.format(device=device))
    return ReadingsCheck(GatewaySettings.load({"readings_format": str(profile)}, None))


def value(**fields: object) -> bytes:
    body = {"start": 1_763_906_400_000, "acc": [[0, 1, 0], [0, 1, 0]], "watch": {"id": "w1"}}
    return json.dumps(body | fields).encode()


async def test_the_value_says_its_device_and_must_be_of_that_of_the_request(
    tmp_path: Path,
) -> None:
    check = check_with(tmp_path, 'device_field = "watch.id"')
    named, unnamed, other, broken = await check.check(
        [
            Candidate("w1", value()),
            Candidate(None, value()),
            Candidate("w2", value()),
            Candidate("w1", value(acc="none")),
        ]
    )
    assert named == unnamed == Readable("w1", value(), (), 2)
    assert other == Unreadable("key", "the reading is of the device 'w1', not of 'w2'")
    assert isinstance(broken, Unreadable)


async def test_without_a_device_in_the_value_the_request_must_name_it(tmp_path: Path) -> None:
    check = check_with(tmp_path, "")
    named, unnamed = await check.check([Candidate("w9", value()), Candidate(None, value())])
    assert named == Readable("w9", value(), (), 2)
    assert isinstance(unnamed, Unreadable)
    assert unnamed.reason == "key"


# decoder   |first      |second and third
# readings  1     2  3
async def test_readings_that_arrive_soon_after_others_are_decoded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings_check, "_PAUSE_S", 3600.0)
    check = check_with(tmp_path, 'device_field = "watch.id"')
    decode, decoded = check._decode, list[int]()

    def count(records: Records, skew_us: int) -> Decoded:
        decoded.append(len(records))
        return decode(records, skew_us)

    monkeypatch.setattr(check, "_decode", count)
    await check.check([Candidate("w1", value())])
    second = asyncio.create_task(check.check([Candidate("w1", value())]))
    for _ in range(5):  # turns of the event loop
        await asyncio.sleep(0)
    third = asyncio.create_task(check.check([Candidate("w2", value())]))
    await asyncio.sleep(0)
    assert decoded == [1]
    turn = check._turn
    assert turn is not None
    check._check_turn(turn)  # The hour is over.
    [readable], [unreadable] = await second, await third
    assert decoded == [1, 2]
    assert isinstance(readable, Readable)
    assert isinstance(unreadable, Unreadable)


async def test_a_profile_with_a_header_of_the_device_gets_it_from_the_gateway(
    tmp_path: Path,
) -> None:
    check = check_with(tmp_path, 'device_header = "device"')
    [named] = await check.check([Candidate("w9", value())])
    assert named == Readable("w9", value(), (("device", b"w9"),), 2)


async def test_readings_that_need_a_registry_which_is_down_are_sent_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("confluent_kafka.schema_registry", "fastavro", "grpc_tools"):
        pytest.importorskip(package)
    profile = tmp_path / "watch.toml"
    text = PROFILE.format(device='device_field = "watch.id"')
    profile.write_text(text.replace('"json"', '"avro"'))
    check = ReadingsCheck(
        GatewaySettings.load(
            {"readings_format": str(profile), "schema_registry": "http://127.0.0.1:9"}, None
        )
    )

    def fail(records: Records, skew_us: int) -> Decoded:
        raise RegistryError("the schema registry at http://127.0.0.1:9 does not answer")

    async def prepare() -> int:
        raise NotImplementedError

    monkeypatch.setattr(check, "_decode", fail)
    with pytest.raises(Busy, match="the schema registry does not answer"):
        await check.check([Candidate("w1", value())])
    # A protocol that takes readings one by one, such as MQTT, learns it in the same way.
    settings = GatewaySettings.load({}, None)
    intake = Intake(ReadingsWriter(settings, prepare), check, DeviceRates(1, 1), GatewayMetrics())
    [future] = await intake.submit_each("mqtt", EVERYONE, [Candidate("w1", value())] * 2)
    assert isinstance(future.exception(), Busy)
