"""`/metrics`, `/healthz` and `/readyz` on one port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from streamer.errors import SettingsError
from streamer.metrics import Metrics
from streamer.ops.health import Health
from streamer.settings import Settings


@asynccontextmanager
async def serve(settings: Settings, metrics: Metrics, health: Health) -> AsyncIterator[int]:
    """Answer HTTP while the context is open; gives the port, which matters if it was 0.

    Raises:
        SettingsError: the address cannot be used.
    """

    async def index(_: web.Request) -> web.Response:
        return web.Response(text="streamer: /metrics /healthz /readyz\n")

    async def show_metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        with metrics.lock:
            page = encode(metrics.registry)
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        # A supervisor that restarted us for trouble in Kafka would only make more of it: we say
        # so here, cure ourselves, and exit when that does not help.
        return web.json_response({"alive": True, "trouble": health.trouble()})

    async def readyz(_: web.Request) -> web.Response:
        reason = health.why_not_ready()
        answer = {"ready": reason is None, "reason": reason}
        return web.json_response(answer, status=200 if reason is None else 503)

    app = web.Application()
    app.add_routes(
        [
            web.get("/", index),
            web.get("/metrics", show_metrics),
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
