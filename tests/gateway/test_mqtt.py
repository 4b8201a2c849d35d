"""Readings from real MQTT brokers, and when they are acknowledged."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import structlog

from streamer.contracts.readings import Format
from streamer.errors import SettingsError
from streamer.gateway import mqtt, mqtt_connection
from streamer.gateway.app import make_intake
from streamer.gateway.intake import Intake
from streamer.gateway.mqtt import MqttReadings
from streamer.gateway.mqtt_connection import MqttConnection
from streamer.gateway.reading_queue import Busy
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import RunningGateway, new_device, reading, running_gateway
from tests.support.mqtt import amqtt, mosquitto

aiomqtt = pytest.importorskip("aiomqtt", reason="aiomqtt is not installed")

from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402


@asynccontextmanager
async def taking(gateway: RunningGateway, **settings: Any) -> AsyncIterator[MqttReadings]:
    """Take readings from a broker while the context is open."""
    chosen = GatewaySettings.model_validate(gateway.settings.model_dump() | settings)
    readings = MqttReadings(chosen, gateway.intake, gateway.metrics)
    task = asyncio.create_task(readings.run())
    try:
        async with asyncio.timeout(90):
            await wait_for(lambda: is_connected(gateway))
        yield readings
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def is_connected(gateway: RunningGateway) -> bool:
    return (await gateway.metrics_shown())["streamer_gateway_mqtt_connected"] == 1


async def wait_for(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(90):
        while not await condition():  # noqa: ASYNC110 - Kafka and the broker give no event
            await asyncio.sleep(0.05)


async def count_of(gateway: RunningGateway, device: str) -> int:
    return len(await gateway.records_of(device))


@pytest.mark.parametrize("broker", ["mosquitto 5", "mosquitto 3.1.1", "amqtt 3.1.1"])
async def test_messages_of_each_device_are_written_for_it(
    gateway: RunningGateway, broker: str, tmp_path: Path
) -> None:
    name, version = broker.split()
    device, other = new_device(), new_device()
    async with (
        mosquitto(tmp_path) if name == "mosquitto" else amqtt() as port,
        taking(gateway, mqtt_broker=f"127.0.0.1:{port}", mqtt_version=version),
        aiomqtt.Client("127.0.0.1", port) as client,
    ):
        bodies = [reading(device, 1 + number) for number in range(5)]
        for body in bodies:
            await client.publish(f"devices/{device}/readings", body, qos=1)
        await client.publish(f"devices/{other}/readings", reading(other), qos=0)

        async def all_there() -> bool:
            return await count_of(gateway, device) == 5 and await count_of(gateway, other) == 1

        await wait_for(all_there)
        assert [record.value for record in await gateway.records_of(device)] == bodies


async def test_the_content_type_of_mqtt_5_names_the_format(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    device = new_device()
    block = reading(device, 4, Format.F32)
    named = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    named.ContentType = "application/x-streamer-f32"
    async with (
        mosquitto(tmp_path) as port,
        taking(gateway, mqtt_broker=f"127.0.0.1:{port}"),
        aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client,
    ):
        await client.publish(f"devices/{device}/readings", block, qos=1, properties=named)

        async def is_there() -> bool:
            return await count_of(gateway, device) == 1

        await wait_for(is_there)
    [record] = await gateway.records_of(device)
    assert (record.value, dict(record.headers)) == (
        block,
        {"content-type": b"application/x-streamer-f32"},
    )


async def test_unusable_messages_are_counted_and_named_and_do_not_stop_others(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    device, other = new_device(), new_device()
    refused = 'streamer_gateway_readings_total{outcome="unreadable",protocol="mqtt"}'
    before = (await gateway.metrics_shown()).get(refused, 0)
    with structlog.testing.capture_logs() as lines:
        async with (
            mosquitto(tmp_path) as port,
            taking(gateway, mqtt_broker=f"127.0.0.1:{port}"),
            aiomqtt.Client("127.0.0.1", port) as client,
        ):
            await client.publish(f"devices/{device}/readings", b"not JSON", qos=1)
            await client.publish(f"devices/{device}/readings", reading(other), qos=1)
            await client.publish(f"devices/{'x' * 300}/readings", b"{}", qos=1)
            await client.publish("devices//readings", b"{}", qos=1)
            await client.publish("another/topic", reading(device), qos=1)
            await client.publish(f"devices/{device}/readings", reading(device), qos=1)

            async def is_there() -> bool:
                return await count_of(gateway, device) == 1

            await wait_for(is_there)
    assert await count_of(gateway, other) == 0
    assert (await gateway.metrics_shown())[refused] == before + 4
    [line, *_] = [line for line in lines if "cannot be used" in line["event"]]
    assert line["topic"] == f"devices/{device}/readings"
    assert "malformed" in line["error"].lower()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_kafka_has_not_taken_comes_again_and_nothing_is_lost(
    gateway: RunningGateway, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kafka refuses the 2nd to the 4th reading of the first connection:
    #     sent      1 2 3 4 5 6
    #     refused     x x x        so 2 is not acknowledged, and the broker sends 2 to 6 again
    device = new_device()
    bodies = [reading(device, 1 + number) for number in range(6)]
    submit, calls = gateway.writer.submit, 0

    def refuse_some(device_id: str, value: bytes, headers: Any = ()) -> Any:
        nonlocal calls
        calls += 1
        if calls not in {2, 3, 4}:
            return submit(device_id, value, headers)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(Busy("no", 1))
        return future

    monkeypatch.setattr(gateway.writer, "submit", refuse_some)
    async with (
        mosquitto(tmp_path) as port,
        taking(gateway, mqtt_broker=f"127.0.0.1:{port}", mqtt_version=version, mqtt_in_flight=20),
        aiomqtt.Client("127.0.0.1", port) as client,
    ):
        for body in bodies:
            await client.publish(f"devices/{device}/readings", body, qos=1)

        async def all_there() -> bool:
            return {record.value for record in await gateway.records_of(device)} == {*bodies}

        await wait_for(all_there)
    values = [record.value for record in await gateway.records_of(device)]
    assert values[0] == bodies[0]
    assert values[-5:] == bodies[1:]


# Kafka     | holds 1 | has no room for 2 ........... | takes 1 | takes all
# gateway   | 1         2, 3: are left to the broker  | gives up the connection
# broker                             4                | sends 2, 3 and 4 again
async def test_messages_behind_one_that_kafka_has_no_room_for_are_not_written_before_it(
    gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = new_device()
    bodies = [reading(device, 1 + number) for number in range(4)]
    submit, require_room, take = (
        gateway.writer.submit,
        gateway.writer.require_room,
        MqttConnection.take,
    )
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    submitted: list[bytes] = []
    connections: list[MqttConnection] = []
    refused = False

    def hold_the_first(device_id: str, value: bytes, headers: Any = ()) -> Any:
        submitted.append(value)
        future = submit(device_id, value, headers)
        return first if len(submitted) == 1 else future

    def refuse_the_second(sizes: Any) -> None:
        nonlocal refused
        if len(submitted) == 1 and not refused:
            refused = True
            raise Busy("no", 1)
        require_room(sizes)

    async def note(connection: MqttConnection, most: int) -> Any:
        connections.append(connection)
        return await take(connection, most)

    async def is_refused() -> bool:
        return refused

    async def fourth_has_come() -> bool:
        waiting = [each.payload for each in connections[-1]._waiting]
        return bodies[3] in waiting + submitted

    async def all_there() -> bool:
        return {record.value for record in await gateway.records_of(device)} == {*bodies}

    monkeypatch.setattr(gateway.writer, "submit", hold_the_first)
    monkeypatch.setattr(gateway.writer, "require_room", refuse_the_second)
    monkeypatch.setattr(MqttConnection, "take", note)
    async with (
        mosquitto(tmp_path) as port,
        taking(gateway, mqtt_broker=f"127.0.0.1:{port}", mqtt_in_flight=20),
        aiomqtt.Client("127.0.0.1", port) as client,
    ):
        for body in bodies[:3]:
            await client.publish(f"devices/{device}/readings", body, qos=1)
        await wait_for(is_refused)
        await client.publish(f"devices/{device}/readings", bodies[3], qos=1)
        await wait_for(fourth_has_come)
        first.set_result(None)
        await wait_for(all_there)
    written = [record.value for record in await gateway.records_of(device)]
    assert list(dict.fromkeys(written)) == bodies


async def test_a_fault_of_our_own_is_named_and_messages_are_taken_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "_FIRST_WAIT_S", 0.0)
    settings = GatewaySettings.load({"mqtt_broker": "127.0.0.1:9"}, None)
    readings = MqttReadings(settings, cast("Intake", None), GatewayMetrics())
    attempts, again = 0, asyncio.Event()

    async def fail() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ValueError("a fault")
        again.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(readings, "_take_until_lost", fail)
    task = asyncio.create_task(readings.run())
    try:
        async with asyncio.timeout(60):
            await again.wait()
    finally:
        task.cancel()
    assert readings.trouble == "a fault of our own: ValueError('a fault')"


async def test_a_gateway_that_reconnects_gets_the_messages_sent_meanwhile(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    device = new_device()
    async with mosquitto(tmp_path) as port, aiomqtt.Client("127.0.0.1", port) as client:
        chosen = {"mqtt_broker": f"127.0.0.1:{port}", "mqtt_client_id": "gateway-1"}
        async with taking(gateway, **chosen) as readings:
            assert readings.trouble is None
        await client.publish(f"devices/{device}/readings", reading(device), qos=1)
        async with taking(gateway, **chosen):

            async def is_there() -> bool:
                return await count_of(gateway, device) == 1

            await wait_for(is_there)


async def test_trouble_with_the_broker_is_shown_and_the_gateway_stays_ready(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path
) -> None:
    async with mosquitto(tmp_path) as port:
        broker = f"127.0.0.1:{port}"
    shown: list[MqttReadings] = []
    settings = make_gateway_settings()
    async with running_gateway(settings, mqtt_trouble=lambda: shown[0].trouble) as gateway:
        chosen = settings.model_copy(update={"mqtt_broker": broker})
        shown.append(MqttReadings(chosen, gateway.intake, gateway.metrics))
        task = asyncio.create_task(shown[0].run())

        async def is_named() -> bool:
            async with gateway.session.get("/healthz") as answer:
                return str((await answer.json())["trouble"]).startswith("no connection to the MQTT")

        try:
            await wait_for(is_named)
            async with gateway.session.get("/readyz") as answer:
                assert answer.status == 200
        finally:
            task.cancel()


async def test_a_login_that_the_broker_refuses_is_named(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with mosquitto(tmp_path, "allow_anonymous false") as port:
        chosen = gateway.settings.model_copy(update={"mqtt_broker": f"127.0.0.1:{port}"})
        readings = MqttReadings(chosen, gateway.intake, gateway.metrics)
        task = asyncio.create_task(readings.run())

        async def is_named() -> bool:
            return "refuses the client: Not authorized" in str(readings.trouble)

        try:
            await wait_for(is_named)
        finally:
            task.cancel()


# broker    | answers | hangs .......................... | answers
# gateway   | taking  | hears nothing, gives up, retries | takes what came
async def test_a_broker_that_hangs_is_noticed_and_its_messages_are_taken_afterwards(
    gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "KEEP_ALIVE_S", 2)
    device = new_device()
    async with mosquitto(tmp_path) as port:
        [process] = [each for each in psutil.Process().children() if each.name() == "mosquitto"]
        async with taking(gateway, mqtt_broker=f"127.0.0.1:{port}") as readings:
            process.suspend()

            async def is_noticed() -> bool:
                return "the connection is lost" in str(readings.trouble)

            try:
                await wait_for(is_noticed)
            finally:
                process.resume()
            async with aiomqtt.Client("127.0.0.1", port, timeout=60) as client:
                await client.publish(f"devices/{device}/readings", reading(device), qos=1)

            async def is_there() -> bool:
                return await count_of(gateway, device) == 1

            await wait_for(is_there)


# gateway   |-- taking --| away ............. | taking, 5 messages in flight
# broker                 | keeps 100 messages | sends them
async def test_many_messages_that_a_broker_has_kept_are_taken_in_one_connection(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    device, count = new_device(), 100
    async with mosquitto(tmp_path) as port, aiomqtt.Client("127.0.0.1", port) as client:
        chosen = {
            "mqtt_broker": f"127.0.0.1:{port}",
            "mqtt_client_id": "gateway-1",
            "mqtt_in_flight": 5,
        }
        async with taking(gateway, **chosen):
            pass
        for _ in range(count):
            await client.publish(f"devices/{device}/readings", reading(device, 1), qos=1)
        with structlog.testing.capture_logs() as said:
            async with taking(gateway, **chosen):

                async def all_there() -> bool:
                    return await count_of(gateway, device) >= count

                await wait_for(all_there)
    assert [each for each in said if each["log_level"] == "warning"] == []
    assert await count_of(gateway, device) == count


# broker    | keeps 250 messages | sends them ...... | sends the others
# gateway   | away               | takes none        | takes
# its queue                      | full: is not read | never more than that and one read
async def test_a_broker_that_has_kept_much_is_held_back_and_nothing_is_lost(
    gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, count, one_read = new_device(), 250, 500_000
    monkeypatch.setattr(mqtt_connection, "MOST_BYTES", 20_000)
    largest, is_full = 0, asyncio.Event()
    read, submit = MqttConnection._read, MqttReadings.submit

    def watch(connection: MqttConnection) -> None:
        nonlocal largest
        read(connection)
        largest = max(largest, connection.waiting_bytes)
        if connection.waiting_bytes > 20_000:
            is_full.set()

    async def submit_when_full(readings: MqttReadings, messages: Any) -> Any:
        await is_full.wait()
        return await submit(readings, messages)

    async with mosquitto(tmp_path) as port, aiomqtt.Client("127.0.0.1", port) as client:
        chosen = {"mqtt_broker": f"127.0.0.1:{port}", "mqtt_client_id": "gateway-1"}
        async with taking(gateway, **chosen):
            pass
        bodies = [reading(device, 1 + number) for number in range(count)]
        for body in bodies:
            await client.publish(f"devices/{device}/readings", body, qos=1)
        monkeypatch.setattr(MqttConnection, "_read", watch)
        monkeypatch.setattr(MqttReadings, "submit", submit_when_full)
        async with taking(gateway, **chosen):

            async def all_there() -> bool:
                return await count_of(gateway, device) >= count

            await wait_for(all_there)
    assert sum(map(len, bodies)) > 2 * one_read
    assert 20_000 < largest < one_read
    assert [record.value for record in await gateway.records_of(device)] == bodies


def tls_options(pem: Path) -> list[str]:
    """Return how mosquitto is told of its certificate. Started by root, it would give up root."""
    return [f"certfile {pem}", f"keyfile {pem}", "user root"]


# broker    | keeps 300 messages | sends them, many in one record of TLS
# gateway   | away               | takes all
async def test_messages_come_over_tls_and_none_waits_in_the_encryption(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    device, count = new_device(), 300
    tls = tls_options(tmp_path / "server.pem")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with (
        mosquitto(tmp_path, *tls) as port,
        aiomqtt.Client("127.0.0.1", port, tls_context=context) as client,
    ):
        chosen = {
            "mqtt_broker": f"127.0.0.1:{port}",
            "mqtt_client_id": "gateway-1",
            "mqtt_tls": True,
            "mqtt_cafile": tmp_path / "ca.pem",
        }
        async with taking(gateway, **chosen):
            pass
        for _ in range(count):
            await client.publish(f"devices/{device}/readings", reading(device, 1), qos=1)
        async with taking(gateway, **chosen):

            async def all_there() -> bool:
                return await count_of(gateway, device) >= count

            await wait_for(all_there)
    assert await count_of(gateway, device) == count


async def test_a_broker_with_an_unknown_certificate_is_named(
    make_gateway_settings: MakeGatewaySettings, gateway: RunningGateway, tmp_path: Path
) -> None:
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    tls = tls_options(tmp_path / "server.pem")
    async with mosquitto(tmp_path, *tls) as port:
        settings = make_gateway_settings(mqtt_broker=f"127.0.0.1:{port}", mqtt_tls=True)
        readings = MqttReadings(settings, gateway.intake, gateway.metrics)
        task = asyncio.create_task(readings.run())

        async def is_named() -> bool:
            return "CERTIFICATE_VERIFY_FAILED" in (readings.trouble or "")

        try:
            await wait_for(is_named)
        finally:
            task.cancel()


# limit     100 samples a second, and a burst of 10,000 samples (the largest reading)
# greedy    |9,000|9,000 refused|
# other     .......................|2 taken
async def test_a_device_that_sends_too_much_loses_its_own_messages_and_no_others(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    greedy, other = new_device(), new_device()
    limited = 'streamer_gateway_readings_total{outcome="limited",protocol="mqtt"}'
    limits = gateway.settings.model_copy(update={"gateway_max_samples_per_s": 100})
    intake = make_intake(limits, gateway.writer, gateway.metrics)
    before = (await gateway.metrics_shown()).get(limited, 0)
    async with mosquitto(tmp_path) as port:
        chosen = limits.model_copy(
            update={"mqtt_broker": f"127.0.0.1:{port}", "mqtt_format": "f32"}
        )
        readings = MqttReadings(chosen, intake, gateway.metrics)
        task = asyncio.create_task(readings.run())
        try:
            await wait_for(lambda: is_connected(gateway))
            async with aiomqtt.Client("127.0.0.1", port) as client:
                block = reading(greedy, 9000, Format.F32)
                for _ in range(2):
                    await client.publish(f"devices/{greedy}/readings", block, qos=1)
                block = reading(other, 2, Format.F32)
                await client.publish(f"devices/{other}/readings", block, qos=1)

                async def is_there() -> bool:
                    return await count_of(gateway, other) == 1

                await wait_for(is_there)
        finally:
            task.cancel()
    assert await count_of(gateway, greedy) == 1
    assert (await gateway.metrics_shown())[limited] == before + 1


async def test_two_gateways_share_the_messages_of_a_broker(
    make_gateway_settings: MakeGatewaySettings, gateway: RunningGateway, tmp_path: Path
) -> None:
    devices = [new_device() for _ in range(20)]
    topic = gateway.settings.readings_topic
    async with (
        running_gateway(make_gateway_settings(readings_topic=topic)) as second,
        mosquitto(tmp_path) as port,
        taking(gateway, mqtt_broker=f"127.0.0.1:{port}", mqtt_client_id="one"),
        taking(second, mqtt_broker=f"127.0.0.1:{port}", mqtt_client_id="two"),
        aiomqtt.Client("127.0.0.1", port) as client,
    ):
        for device in devices:
            await client.publish(f"devices/{device}/readings", reading(device), qos=1)

        async def all_there() -> bool:
            keys = [record.key for record in await gateway.records()]
            return all(keys.count(device.encode()) == 1 for device in devices)

        await wait_for(all_there)


async def test_two_gateways_with_one_client_id_are_named(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as lines:
        async with mosquitto(tmp_path) as port:
            chosen = {"mqtt_broker": f"127.0.0.1:{port}", "mqtt_client_id": "the same"}
            async with taking(gateway, **chosen), taking(gateway, **chosen):

                async def is_told() -> bool:
                    return any("no connection to the MQTT" in line["event"] for line in lines)

                await wait_for(is_told)
    [line, *_] = [line for line in lines if "no connection to the MQTT" in line["event"]]
    assert "does another gateway use the client id the same? set mqtt_client_id" in line["hint"]
    assert (await gateway.post("/readings", reading(new_device())))[0] == 200


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"mqtt_topic": "devices/readings"}, "one level `{device}`"),
        ({"mqtt_topic": "devices/{device}/#"}, "no wildcards"),
        ({"mqtt_broker": "one:1883,two:1883"}, "one `host:port`"),
        ({"mqtt_share": "a/b"}, "pattern"),
    ],
)
def test_wrong_settings_of_mqtt_are_named(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        GatewaySettings.load(wrong, None)
