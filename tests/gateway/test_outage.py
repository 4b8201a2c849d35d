"""Kafka goes away and returns: nothing acknowledged is lost, and nothing piles up."""

import asyncio
from collections.abc import Awaitable, Callable

from streamer.localkafka.broker import LocalKafka
from streamer.settings import GatewaySettings
from tests.gateway.conftest import gateway_settings
from tests.support.gateway import RunningGateway, reading, running_gateway

BUFFER = 100_000


async def post_until_refused(gateway: RunningGateway, client: int, acknowledged: set[bytes]) -> int:
    """Post readings until the gateway cannot take one; return how long the client is to wait."""
    device, at_ms = f"phone-{client}", 1_763_906_400_000
    while True:
        at_ms += 1000
        body = reading(device, 50, timestamp_ms=at_ms)
        async with gateway.session.post(f"/readings/{device}", data=body) as answer:
            if answer.status != 200:
                assert answer.status == 503
                told = await answer.json()
                assert int(answer.headers["Retry-After"]) == told["retry_after_s"]
                return int(told["retry_after_s"])
            acknowledged.add(body)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while not await condition():  # noqa: ASYNC110 - it asks over HTTP
            await asyncio.sleep(0.1)


async def test_while_kafka_is_away_clients_are_told_to_wait_and_nothing_acknowledged_is_lost() -> (
    None
):
    #   Kafka:    up ───────────╳ killed          up again ─────────
    #   HTTP:     200 200 200 … 503 503 (at once)          200
    #   socket:   ack …         … not read further, error   ack
    with LocalKafka() as kafka:
        settings = gateway_settings(kafka, gateway_ack_timeout_s=2, gateway_buffer_bytes=BUFFER)
        async with running_gateway(settings) as gateway:
            acknowledged: set[bytes] = set()
            clients = [
                asyncio.create_task(post_until_refused(gateway, client, acknowledged))
                for client in range(20)
            ]

            async def some_are_in() -> bool:
                return len(acknowledged) > 100

            await until(some_are_in)
            async with gateway.session.ws_connect("/ws/phone-ws") as socket:
                await socket.send_str(reading("phone-ws").decode())
                assert await socket.receive_json() == {"ack": 1}

                await asyncio.to_thread(kafka.kill)
                waits = await asyncio.wait_for(asyncio.gather(*clients), 120)
                assert set(waits) <= {1, 5}
                assert gateway.writer.buffered_bytes <= BUFFER
                async with gateway.session.get("/readyz") as answer:
                    assert answer.status == 503
                async with gateway.session.get("/healthz") as answer:
                    assert (await answer.json())["alive"]
                await socket.send_str(reading("phone-ws", 3).decode())
                told = await socket.receive_json(timeout=60)
                assert (told["message"], told["retry_after_s"]) == (2, 5)

                await asyncio.to_thread(kafka.start)
                body = reading("phone-after", 3)

                async def is_taken() -> bool:
                    return (await gateway.post("/readings/phone-after", body))[0] == 200

                await until(is_taken)
                acknowledged.add(body)
                await socket.send_str(reading("phone-ws", 4).decode())
                assert await socket.receive_json(timeout=60) == {"ack": 3}
            found = {record.value for record in await gateway.records()}
    assert acknowledged <= found


async def test_before_kafka_has_answered_clients_are_told_to_wait() -> None:
    settings = GatewaySettings.load({"bootstrap_servers": "127.0.0.1:1", "gateway_port": 0})
    async with running_gateway(settings, wait=False) as gateway:
        status, answer = await gateway.post("/readings", reading())
        assert (status, answer["error"]) == (503, "Kafka has not answered yet")
        async with gateway.session.get("/readyz") as answer_:
            assert answer_.status == 503
