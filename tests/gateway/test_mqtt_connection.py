"""The connection to an MQTT broker that does not follow the protocol."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")

from streamer.gateway.intake import BadReadings, Intake
from streamer.gateway.mqtt import MqttReadings
from streamer.gateway.mqtt_client import MqttClient, MqttError
from streamer.gateway.mqtt_connection import MqttConnection, open_mqtt
from streamer.gateway.readings_check import Unreadable
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings
from tests.support.mqtt import publish_packet

ACCEPTED = b"\x20\2\0\0"
CLIENT = MqttClient("gateway", "3.1.1", None, None, 60, 10, 100_000)


@asynccontextmanager
async def connected_to(sent: bytes) -> AsyncIterator[MqttConnection]:
    """Connect to a broker that accepts the client and sends these bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(ACCEPTED)
        with contextlib.suppress(ConnectionError):
            # Not with the first packet, which is read before the context begins.
            await reader.readuntil(b"devices")
            writer.write(sent)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_mqtt("127.0.0.1", port, CLIENT, None, 60) as connection:
        yield connection


# broker   | accepts | a message with a topic that is not UTF-8 | another message
# gateway            | takes it, and finds no device in it      | takes it
async def test_a_topic_that_is_not_utf_8_does_not_stop_the_messages_behind_it() -> None:
    topics = [b"devices/\xff\xfe/readings", b"devices/a/readings"]
    sent = [publish_packet(topic, 1 + i, bytes(200)) for i, topic in enumerate(topics)]
    async with connected_to(b"".join(sent)) as connection:
        connection.subscribe("devices/+/readings", lambda: None)
        async with asyncio.timeout(60):
            messages = await connection.take(1)
            messages += await connection.take(1)
    settings = GatewaySettings.load({"mqtt_broker": "127.0.0.1:9"}, None)
    readings = MqttReadings(settings, cast("Intake", None), GatewayMetrics())
    assert [readings.find_device(each.topic) for each in messages] == [None, "a"]
    readings.refuse(messages[0].topic, BadReadings({0: Unreadable("key", "no device")}))


async def test_nothing_is_read_after_what_cannot_be_parsed() -> None:
    reads = 0

    def fail() -> None:
        nonlocal reads
        reads += 1
        raise IndexError

    async with connected_to(
        20 * publish_packet(b"devices/a/readings", 1, bytes(200))
    ) as connection:
        connection._client.loop_read = fail  # type: ignore[method-assign, assignment]
        connection.subscribe("devices/+/readings", lambda: None)
        with pytest.raises(MqttError, match="does not follow the protocol"):
            async with asyncio.timeout(60):
                await connection.take(1)
        for _ in range(20):  # turns of the event loop
            await asyncio.sleep(0)
    assert reads == 1
