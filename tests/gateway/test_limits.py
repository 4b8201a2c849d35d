"""Clients that are slow, many, or send without end take nothing from the others."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from aiohttp import WSCloseCode, WSMsgType

from streamer.contracts.readings import Format
from streamer.localkafka.broker import LocalKafka
from tests.gateway.conftest import gateway_settings
from tests.support.gateway import RunningGateway, new_device, reading, running_gateway


@pytest_asyncio.fixture(scope="module")
async def strict(kafka: LocalKafka) -> AsyncIterator[RunningGateway]:
    """A gateway with little patience and small limits."""
    settings = gateway_settings(
        kafka,
        gateway_request_timeout_s=2,
        gateway_idle_timeout_s=4,
        gateway_max_body_bytes=5000,
        gateway_max_connections=8,
        gateway_max_samples_per_s=100,
        gateway_max_devices_per_token=30,
    )
    async with running_gateway(settings) as running:
        yield running


async def open_raw(
    gateway: RunningGateway, begin: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(begin)
    return reader, writer


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection ends, in order or not."""
    with suppress(ConnectionResetError):
        async with asyncio.timeout(60):
            return await reader.read()
    return b""


async def still_works(gateway: RunningGateway) -> bool:
    device = new_device()
    return (await gateway.post(f"/readings/{device}", reading(device)))[0] == 200


async def test_headers_that_never_end_are_cut_off(strict: RunningGateway) -> None:
    reader, writer = await open_raw(strict, b"POST /readings HTTP/1.1\r\nHost: x\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X-Slow: 1\r\n")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    assert await still_works(strict)
    assert await read_answer(reader) == b""
    dripping.cancel()
    writer.close()


async def test_a_body_that_never_ends_is_answered_after_a_while(strict: RunningGateway) -> None:
    head = b"POST /readings HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n{"
    reader, writer = await open_raw(strict, head)
    assert await still_works(strict)
    answer = await read_answer(reader)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body has not arrived within 2 s" in answer
    writer.close()


async def test_a_body_that_says_to_be_too_large_is_refused_before_it_comes(
    strict: RunningGateway,
) -> None:
    head = b"POST /readings HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n"
    reader, writer = await open_raw(strict, head)
    assert (await read_answer(reader)).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_connections_that_are_too_many_are_told_so(strict: RunningGateway) -> None:
    open_ones = [await open_raw(strict, b"GET ") for _ in range(8)]
    answers = []
    for _ in range(3):
        reader, writer = await open_raw(strict, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answers.append(await read_answer(reader))
        writer.close()
    assert any(b"503" in each and b"there are too many connections" in each for each in answers)
    for _, writer in open_ones:
        writer.close()
    async with asyncio.timeout(60):
        while not await still_works(strict):  # noqa: ASYNC110 - it asks over HTTP
            await asyncio.sleep(0.05)  # until the gateway has seen that they are closed


async def test_a_device_that_sends_too_much_is_told_to_wait_and_others_are_not(
    strict: RunningGateway,
) -> None:
    device = new_device()
    body, f32 = reading(device, 200, Format.F32), {"Content-Type": "application/x-streamer-f32"}
    # 10,000 samples may come at once, the size of the largest record; then 100 a second.
    sent = 0
    while True:
        async with strict.session.post(f"/readings/{device}", data=body, headers=f32) as answer:
            if answer.status == 429:
                told = await answer.json()
                assert int(answer.headers["Retry-After"]) == told["retry_after_s"] >= 1
                break
            assert answer.status == 200
        sent += 200
    assert sent >= 10_000
    assert "more than 100 samples a second" in told["error"]
    assert await still_works(strict)


async def test_a_token_with_too_many_devices_is_told_so(strict: RunningGateway) -> None:
    known = new_device()
    assert (await strict.post("/readings", reading(known)))[0] == 200
    statuses = [(await strict.post("/readings", reading(new_device())))[0] for _ in range(31)]
    assert statuses[-1] == 429
    assert (await strict.post("/readings", reading(known)))[0] == 200


def frame(first: int, payload: bytes, size: int | None = None) -> bytes:
    """Return a masked frame of a client, whose header may say another size."""
    told = len(payload) if size is None else size
    return bytes([first, 0x80 | 127]) + struct.pack(">Q", told) + bytes(4) + payload


UPGRADE = (
    b"GET /ws/phone-17 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize(
    "frames",
    [
        frame(0x82, b"x", 2**40),
        frame(0x82, b"x" * 6000),
        b"".join(frame(0x02 if i == 0 else 0x00, b"x" * 600) for i in range(12)),
    ],
    ids=["a frame that says to be endless", "a large frame", "fragments without end"],
)
async def test_a_websocket_message_without_end_is_refused(
    strict: RunningGateway, frames: bytes
) -> None:
    reader, writer = await open_raw(strict, UPGRADE)
    async with asyncio.timeout(60):
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
    writer.write(frames)
    answer = await read_answer(reader)
    assert struct.pack(">H", WSCloseCode.MESSAGE_TOO_BIG) in answer
    writer.close()


async def test_a_websocket_frame_that_drips_is_closed_after_a_while(
    strict: RunningGateway,
) -> None:
    reader, writer = await open_raw(strict, UPGRADE + frame(0x82, b"x", 4000))

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    answer = await read_answer(reader)
    dripping.cancel()
    assert b"no message within 4 s" in answer
    writer.close()


async def test_a_websocket_with_faulty_messages_is_told_of_each_and_goes_on(
    strict: RunningGateway,
) -> None:
    async with strict.session.ws_connect("/ws/phone-17?format=msgpack") as socket:
        await socket.send_str("not JSON")
        await socket.send_bytes(b"\xc1")
        await socket.send_str(reading("another").decode())
        answers = [await socket.receive_json() for _ in range(3)]
    assert [each["message"] for each in answers] == [1, 2, 3]
    assert [each["readings"][0]["reason"] for each in answers] == ["malformed", "malformed", "key"]


async def test_a_format_of_binary_messages_that_is_not_known_is_refused(
    strict: RunningGateway,
) -> None:
    async with strict.session.get("/ws/phone-17?format=xml") as answer:
        assert answer.status == 400
        assert "format='xml' is not known" in (await answer.json())["error"]


async def test_a_websocket_of_a_client_that_says_nothing_is_closed(
    strict: RunningGateway,
) -> None:
    async with strict.session.ws_connect("/ws/phone-17") as socket:
        message = await socket.receive(timeout=60)
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.POLICY_VIOLATION)
