"""A gateway in the process of the tests, its clients, and readings to send."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from aiokafka import ConsumerRecord

from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.gateway.access import Access
from streamer.gateway.app import make_app
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.kafka import topics
from streamer.settings import GatewaySettings
from tests.support.published import read_partitions


@dataclass
class RunningGateway:
    """A gateway that listens."""

    settings: GatewaySettings
    writer: ReadingsWriter
    access: Access
    sockets: DeviceSockets
    runner: web.AppRunner
    session: aiohttp.ClientSession
    """Its base is the gateway's address."""

    @property
    def port(self) -> int:
        return int(self.runner.addresses[0][1])

    async def post(
        self, path: str, body: bytes | str, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Post a body; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(path, data=body, headers=named) as answer:
            return answer.status, await answer.json()

    async def records(self) -> list["ConsumerRecord[bytes, bytes]"]:
        """Return what is in the topic of readings."""
        return [each for part in (await read_partitions(self.settings)).values() for each in part]


@asynccontextmanager
async def running_gateway(settings: GatewaySettings) -> AsyncIterator[RunningGateway]:
    """Run a gateway on any free port until the end of the context, with Kafka connected."""
    sockets, access = DeviceSockets(), Access(settings.gateway_tokens)

    async def prepare() -> None:
        await topics.ensure(settings)

    async with ReadingsWriter(settings, prepare) as writer:
        runner = web.AppRunner(make_app(settings, writer, access, sockets), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with asyncio.timeout(60):
                await writer.wait_connected()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                yield RunningGateway(settings, writer, access, sockets, runner, session)
        finally:
            await runner.cleanup()


def reading(
    device_id: str = "phone-17",
    samples: int = 2,
    form: Format = Format.JSON,
    timestamp_ms: float | None = None,
) -> bytes:
    """Return a batch of samples of a device at rest, taken now or at a time."""
    rows = np.tile([0.01, -0.98, 0.12, 0.02, 0.0, -0.01], (samples, 1))
    at_ms = round(time.time() * 1000) if timestamp_ms is None else timestamp_ms
    return encode(device_id, at_ms, 20, rows, form)[1]


def with_changes(body: bytes, **changes: object) -> bytes:
    """Return a reading in JSON with some fields changed."""
    return json.dumps(json.loads(body) | changes).encode()
