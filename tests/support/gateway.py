"""A gateway in the process of the tests, its clients, and readings to send."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import numpy as np
from aiokafka import ConsumerRecord

from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.gateway.access import Access
from streamer.gateway.app import make_app, make_intake
from streamer.gateway.device_sockets import DeviceSockets
from streamer.gateway.intake import Intake
from streamer.gateway.listener import listen
from streamer.gateway.live_pages import open_live
from streamer.gateway.readings_topic import prepare_topic
from streamer.gateway.readings_writer import ReadingsWriter
from streamer.gateway_metrics import GatewayMetrics
from streamer.settings import GatewaySettings
from streamer.tls import server_context
from tests.support.published import read_partitions


@dataclass
class RunningGateway:
    """A gateway that listens."""

    settings: GatewaySettings
    writer: ReadingsWriter
    access: Access
    sockets: DeviceSockets
    metrics: GatewayMetrics
    intake: Intake
    port: int
    session: aiohttp.ClientSession
    """Its base is the gateway's address."""

    async def post(
        self, path: str, body: bytes | str, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Post a body; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(path, data=body, headers=named) as answer:
            return answer.status, await answer.json()

    async def records_of(self, device_id: str) -> list["ConsumerRecord[bytes, bytes]"]:
        """Return what is in the topic of readings of one device, in order."""
        return [each for each in await self.records() if each.key == device_id.encode()]

    async def metrics_shown(self) -> dict[str, float]:
        """Return the metrics by name and labels."""
        async with self.session.get("/metrics") as answer:
            return read_metrics(await answer.text())

    async def records(self) -> list["ConsumerRecord[bytes, bytes]"]:
        """Return what is in the topic of readings."""
        return [each for part in (await read_partitions(self.settings)).values() for each in part]


def read_metrics(text: str) -> dict[str, float]:
    """Return the values of metrics by name and labels."""
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


async def metrics_at(port: int) -> dict[str, float]:
    """Return the metrics of a gateway without tokens on this machine."""
    url = f"http://127.0.0.1:{port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return read_metrics(await answer.text())


@asynccontextmanager
async def running_gateway(
    settings: GatewaySettings,
    *,
    live: bool = False,
    wait: bool = True,
    mqtt_trouble: Callable[[], str | None] = lambda: None,
) -> AsyncIterator[RunningGateway]:
    """Run a gateway on any free port until the end of the context, with Kafka connected.

    With ``live`` it also follows events and readings, for those who look at them. Without ``wait``
    it is yielded before Kafka has answered.
    """
    tls = server_context(
        settings.gateway_certificate, settings.gateway_private_key, "gateway_certificate"
    )
    sockets, access, metrics = DeviceSockets(), Access(settings.gateway_tokens), GatewayMetrics()
    async with (
        ReadingsWriter(settings, partial(prepare_topic, settings)) as writer,
        open_live(settings, sockets) if live else nullcontext() as followed,
    ):
        intake = make_intake(settings, writer, metrics)
        app = make_app(settings, writer, access, intake, sockets, metrics, followed, mqtt_trouble)
        async with (
            listen(settings, app, metrics, tls) as port,
            # A connection that is kept may be closed by the gateway just when it is used again.
            aiohttp.ClientSession(
                f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(force_close=True)
            ) as session,
        ):
            if wait:
                await asyncio.wait_for(writer.wait_connected(), 60)
            yield RunningGateway(settings, writer, access, sockets, metrics, intake, port, session)


def new_device() -> str:
    """Return the id of a device that no other test has."""
    return f"phone-{uuid.uuid4().hex[:12]}"


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
