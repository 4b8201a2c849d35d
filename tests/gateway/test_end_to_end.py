"""Readings of each protocol arrive in Kafka before they are acknowledged."""

from aiokafka.partitioner import DefaultPartitioner

from streamer.contracts.readings import Format
from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import reading, running_gateway
from tests.support.published import read_partitions


async def test_a_reading_posted_for_a_device_is_in_the_topic_when_it_is_answered(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    body = reading("phone-17")
    async with running_gateway(make_gateway_settings()) as gateway:
        assert await gateway.post("/readings/phone-17", body) == (200, {"accepted": 1})
        [record] = await gateway.records()
    assert (record.key, record.value) == (b"phone-17", body)


async def test_messages_of_a_websocket_are_acknowledged_when_they_are_in_the_topic(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    async with running_gateway(make_gateway_settings()) as gateway:
        async with gateway.session.ws_connect("/ws/phone-17") as socket:
            await socket.send_str(reading("phone-17").decode())
            assert await socket.receive_json() == {"ack": 1}
            await socket.send_bytes(reading("phone-17", form=Format.F32))
            assert await socket.receive_json() == {"ack": 2}
            gateway.sockets.send_event("phone-17", '{"activity": "walking"}')
            assert await socket.receive_json() == {"event": {"activity": "walking"}}
        records = await gateway.records()
    assert [dict(record.headers) for record in records] == [
        {},
        {"content-type": b"application/x-streamer-f32"},
    ]


async def test_readings_go_to_the_partitions_that_every_client_chooses(
    make_gateway_settings: MakeGatewaySettings,
) -> None:
    settings = make_gateway_settings()
    async with running_gateway(settings) as gateway:
        for number in range(12):
            await gateway.post("/readings", reading(f"phone-{number}"))
        partitions = await read_partitions(settings)
    found = {each.key: number for number, part in partitions.items() for each in part}
    assert len(found) == 12
    for key, number in found.items():
        assert number == DefaultPartitioner()(key, [0, 1, 2], [0, 1, 2])
