"""A gateway that is stopped answers what is open, and closes the rest in order."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
from aiohttp import WSCloseCode, WSMsgType

from tests.gateway.conftest import MakeGatewaySettings
from tests.support.gateway import new_device, reading
from tests.support.published import read_partitions


async def read_port(process: asyncio.subprocess.Process) -> int:
    """Return the port that the log names."""
    assert process.stderr is not None
    async for line in process.stderr:
        if b"the gateway listens" in line:
            return int(json.loads(line)["port"])
    raise AssertionError("the gateway has ended")


async def post(session: aiohttp.ClientSession, body: bytes) -> int:
    async with session.post("/readings", data=body) as answer:
        return answer.status


Half = tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]


async def open_half(port: int, body: bytes) -> Half:
    """Post a reading, but for the second half of its body, which is returned."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /readings HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body[: len(body) // 2])
    await writer.drain()
    return reader, writer, body[len(body) // 2 :]


async def finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> bytes:
    """Send the rest of a body; return the first line of the answer."""
    await asyncio.sleep(1)  # the gateway has stopped to accept connections
    writer.write(rest)
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return line.strip()


async def test_sigterm_answers_open_requests_and_closes_websockets(
    make_gateway_settings: MakeGatewaySettings, tmp_path: Path
) -> None:
    settings, device = make_gateway_settings(), new_device()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamer", "gateway"),
        *("--bootstrap-servers", settings.bootstrap_servers, "--gateway-port", "0"),
        *("--readings-topic", settings.readings_topic, "--log-format", "json"),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        port = await asyncio.wait_for(read_port(process), 240)
        assert process.stderr is not None
        log = asyncio.create_task(process.stderr.read())  # so that the pipe is never full
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with asyncio.timeout(120):
                while True:
                    async with session.post("/readings", data=reading(device)) as answer:
                        if answer.status == 200:
                            break
                    await asyncio.sleep(0.2)
            async with session.ws_connect(f"/ws/{device}") as socket:
                await socket.send_str(reading(device, 3).decode())
                assert await socket.receive_json(timeout=60) == {"ack": 1}
                whole = reading(device, 90)
                half = await open_half(port, whole)
                await socket.send_str(reading(device, 4).decode())
                assert await socket.receive_json(timeout=60) == {"ack": 2}
                bodies = [reading(device, number) for number in range(20, 40)]
                posts = [asyncio.create_task(post(session, body)) for body in bodies]
                for number in range(3, 12):
                    await socket.send_str(reading(device, number).decode())
                process.send_signal(signal.SIGTERM)
                acknowledged = 2
                assert await finish(*half) == b"HTTP/1.1 200 OK"
                while (message := await socket.receive(timeout=60)).type is WSMsgType.TEXT:
                    acknowledged = max(acknowledged, message.json()["ack"])
                assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
                answers = await asyncio.gather(*posts, return_exceptions=True)
        assert await asyncio.wait_for(process.wait(), 120) == 0
        assert b"done" in await log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    written = [
        record.value for part in (await read_partitions(settings)).values() for record in part
    ]
    taken = {body for body, answer in zip(bodies, answers, strict=True) if answer == 200}
    assert taken <= set(written)
    assert len(written) >= len(taken) + acknowledged + 1
    assert whole in written
