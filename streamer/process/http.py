"""Serves `/metrics`, `/healthz` and `/readyz` on one port."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from streamer.errors import SettingsError
from streamer.health import Health
from streamer.metrics import Metrics
from streamer.settings import Settings

UNLABELLED = "devices_without_labels"
"""Field of `/healthz`: how many, by reason."""


class Pages(Protocol):
    """The contents of the pages: those of a worker, or of all workers of a supervisor."""

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the accepted format, and its content type."""

    async def trouble(self) -> str | None:
        """Return what is wrong; None when all is well."""

    async def why_not_ready(self) -> str | None:
        """Return why the worker is not ready; None when it is."""

    async def unlabelled(self) -> Mapping[str, int]:
        """Return how many devices have no label, by reason."""


class WorkerPages:
    """The pages of one worker."""

    def __init__(self, metrics: Metrics, health: Health) -> None:
        self._metrics = metrics
        self._health = health

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, taken at the same moment."""
        encode, content_type = choose_encoder(accept)
        with self._metrics.lock:
            return encode(self._metrics.registry), content_type

    async def trouble(self) -> str | None:
        """Return what is wrong."""
        return self._health.trouble()

    async def why_not_ready(self) -> str | None:
        """Return why the worker is not ready."""
        return self._health.why_not_ready()

    async def unlabelled(self) -> Mapping[str, int]:
        """Return how many devices have no label, by reason."""
        return Counter(list(self._health.unlabelled.values()))


@asynccontextmanager
async def serve_pages(settings: Settings, pages: Pages) -> AsyncIterator[int]:
    """Serve the pages while the context is open; yield the port, also if the setting is 0.

    Raises:
        SettingsError: the address cannot be used.
    """

    async def index(_: web.Request) -> web.Response:
        return web.Response(text="streamer: /metrics /healthz /readyz\n")

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = await pages.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        # It answers 200 whatever is wrong: a restart would not cure trouble with Kafka. The worker
        # restarts its clients by itself, and exits when that does not help.
        answer = {"alive": True, "trouble": await pages.trouble()}
        return web.json_response(answer | {UNLABELLED: dict(await pages.unlabelled())})

    async def readyz(_: web.Request) -> web.Response:
        reason = await pages.why_not_ready()
        answer = {"ready": reason is None, "reason": reason}
        return web.json_response(answer, status=200 if reason is None else 503)

    app = web.Application()
    app.add_routes(
        [
            web.get("/", index),
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.http_host, settings.http_port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(
                f"cannot serve metrics on {settings.http_host}:{settings.http_port}: "
                f"{error.strerror}; choose another with --http-port, 0 for any free one"
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
