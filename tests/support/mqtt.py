"""MQTT brokers for tests: mosquitto where it is installed, and amqtt in the process."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest


def find_mosquitto() -> str | None:
    """Return the path of mosquitto; Debian keeps it where only root looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@asynccontextmanager
async def mosquitto(folder: Path) -> AsyncIterator[int]:
    """Run mosquitto; yield its port. Skips the test where mosquitto is not installed."""
    program = find_mosquitto()
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
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
