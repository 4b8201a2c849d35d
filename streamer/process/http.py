"""Serves `/metrics`, `/healthz` and `/readyz` on one port."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from streamer.health import Health
from streamer.metrics import Metrics
from streamer.process.http_tokens import HttpTokens
from streamer.process.listener import listen
from streamer.settings import Settings
from streamer.tls import server_context

UNLABELLED = "devices_without_labels"
"""Field of `/healthz`: how many, by reason."""

MOST_CONNECTIONS: Final = 100
"""Connections that are open at the same time; a probe, a scrape and a person need one each."""

LONGEST_S: Final = 10.0
"""Time for one connection, which serves one request: it is cut off then, whatever it does."""

LONGEST_LINE: Final = 4096
"""Bytes of the first line of a request, and of each of its headers."""


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


def metrics_url(settings: Settings, port: int) -> str:
    """Return where the metrics are, for people."""
    scheme = "https" if settings.http_certificate else "http"
    return f"{scheme}://{settings.http_host}:{port}/metrics"


@asynccontextmanager
async def serve_pages(settings: Settings, pages: Pages) -> AsyncIterator[int]:
    """Serve the pages while the context is open; yield the port, also if the setting is 0.

    Raises:
        SettingsError: the address, the certificate or the file of tokens cannot be used.
    """
    tokens = HttpTokens(settings.http_token_file)

    def may_see(request: web.Request) -> bool:
        return tokens.allow(request.headers.get("Authorization"))

    async def index(_: web.Request) -> web.Response:
        return web.Response(text="streamer: /metrics /healthz /readyz\n")

    async def metrics(request: web.Request) -> web.Response:
        if not may_see(request):
            raise web.HTTPUnauthorized(
                text="send a token: `Authorization: Bearer <token>`, see http_token_file\n",
                headers={"WWW-Authenticate": "Bearer"},
            )
        body, content_type = await pages.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    # Probes need no token: they look at the status. The details name topics and devices.
    async def healthz(request: web.Request) -> web.Response:
        # It answers 200 whatever is wrong: a restart would not cure trouble with Kafka. The worker
        # restarts its clients by itself, and exits when that does not help.
        answer: dict[str, Any] = {"alive": True}
        if may_see(request):
            answer["trouble"] = await pages.trouble()
            answer[UNLABELLED] = dict(await pages.unlabelled())
        return web.json_response(answer)

    async def readyz(request: web.Request) -> web.Response:
        reason = await pages.why_not_ready()
        answer: dict[str, Any] = {"ready": reason is None}
        if may_see(request):
            answer["reason"] = reason
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
    app.on_response_prepare.append(_close_after)
    async with listen(
        app,
        (settings.http_host, settings.http_port),
        server_context(settings.http_certificate, settings.http_private_key, "http_certificate"),
        most_connections=MOST_CONNECTIONS,
        longest_s=LONGEST_S,
        advice="choose another with --http-port, 0 for any free one",
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    ) as port:
        yield port


async def _close_after(_: web.Request, response: web.StreamResponse) -> None:
    """Let a connection serve one request, so that its time is limited."""
    response.force_close()
