"""MQTT brokers for tests: mosquitto where it is installed, and amqtt in the process."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest


def find_mosquitto() -> str | None:
    """Return the path of mosquitto; Debian keeps it where only root looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@asynccontextmanager
async def mosquitto(folder: Path, *options: str) -> AsyncIterator[int]:
    """Run mosquitto; yield its port. Skips the test where mosquitto is not installed.

    Args:
        folder: for its configuration.
        options: more lines of its configuration.
    """
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    port = free_port()
    config = folder / "mosquitto.conf"
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "max_queued_messages 0",
        "sys_interval 1",
    ]
    config.write_text("\n".join([*lines, *options, ""]))
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_listening(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def amqtt() -> AsyncIterator[int]:
    """Run a broker of the package amqtt, which speaks MQTT 3.1.1; yield its port."""
    pytest.importorskip("amqtt", reason="amqtt is not installed")
    from amqtt.broker import Broker

    port = free_port()
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()


class MqttDevices:
    """A connection in MQTT 3.1.1 that publishes with QoS 1 and little effort, for benchmarks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sent = 0
        self._acknowledged = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(b"\x10\x13\0\4MQTT\4\2\0\0\0\7devices")
        assert await self._reader.readexactly(4) == b"\x20\2\0\0"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wait_acknowledged(self._sent)
        self._writer.close()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish; wait while many messages are not acknowledged."""
        self._sent += 1
        self._writer.write(publish_packet(topic.encode(), self._sent % 65535 + 1, payload))
        if self._sent - self._acknowledged >= 500:
            await self._wait_acknowledged(self._sent - 250)

    async def _wait_acknowledged(self, count: int) -> None:
        while self._acknowledged < count:
            assert (await self._reader.readexactly(4))[0] == 0x40
            self._acknowledged += 1


def publish_packet(topic: bytes, packet_id: int, payload: bytes) -> bytes:
    """Return PUBLISH of MQTT 3.1.1 with QoS 1."""
    body = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + payload
    size = len(body)
    assert 128 <= size < 128 * 128
    return b"\x32" + bytes([size & 127 | 128, size >> 7]) + body


async def wait_listening(port: int) -> None:
    """Wait until somebody listens on a port."""
    async with asyncio.timeout(180):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
